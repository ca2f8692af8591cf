//! `posthaste demo`: a relay with live traffic and five receivers that behave as receivers do, so
//! that retries, an opening breaker and its recovery can be watched at once.
//!
//! Nothing of it touches a relay or a database that is really used: of the environment it takes
//! nothing but the log's settings, its data lies in a directory that is gone when it ends, and
//! everything it calls is on the loopback interface.

mod receivers;
mod samples;
mod traffic;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use self::receivers::{Behaviour, Speed};
use super::admin_key::{self, AdminKey};
use super::{data_dir, open_files, reachable, runtime, say, serve};
use crate::settings::{Secret, Settings};
use crate::telemetry;

/// Where it listens if that is free and nothing else was asked for.
const LISTEN: &str = "127.0.0.1:8080";

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Address and port of the relay [default: 127.0.0.1:8080, or a free port where that is taken].
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Events a second.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    rate: u16,
    /// Keep the data in this directory, and go on with what is there.
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// How much faster the receivers' lives go; for tests.
    #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    speed: u32,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    // Removed when this ends, whichever way.
    let temporary = tempfile::Builder::new()
        .prefix("posthaste-demo-")
        .tempdir()
        .context("a directory for the demo's data cannot be made")?;
    let directory = args.data_dir.as_deref().unwrap_or(temporary.path());
    let settings = Arc::new(settings(listen(args), directory)?);
    telemetry::start(&settings.log)?;
    open_files::raise(&settings)?;
    data_dir::ensure(&settings.store.data_dir)?;
    let key = admin_key::obtain(&settings)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(serve::until_stopped(settings, key, async |engine, key| {
        start(engine.listen_addr(), key, args).await
    }));
    runtime.shutdown_background();
    outcome
}

/// The address asked for, else the usual one, else any free port of the loopback interface.
fn listen(args: &DemoArgs) -> String {
    let usual = || match TcpListener::bind(LISTEN) {
        Ok(_) => LISTEN.to_owned(),
        Err(_) => "127.0.0.1:0".to_owned(),
    };
    args.listen.map_or_else(usual, |listen| listen.to_string())
}

fn settings(listen: String, directory: &Path) -> anyhow::Result<Settings> {
    // What goes wrong is what is shown, in the dashboard: the terminal stays legible.
    let mut environment = vec![("POSTHASTE_LOG__FILTER".to_owned(), "error".to_owned())];
    let logging = std::env::vars().filter(|(name, _)| name.starts_with("POSTHASTE_LOG__"));
    environment.extend(logging);
    environment.push(("POSTHASTE_LISTEN".to_owned(), listen));
    environment.push((
        "POSTHASTE_DATA_DIR".to_owned(),
        directory.display().to_string(),
    ));
    Ok(Settings::load(None, environment, true)?)
}

/// Starts the receivers, registers them and sends; then says what there is to see.
async fn start(listen: SocketAddr, key: &AdminKey, args: &DemoArgs) -> anyhow::Result<()> {
    let (rate, speed) = (args.rate, Speed(args.speed));
    let base = format!("http://{}", reachable(listen));
    let sender = traffic::Sender::new(&base, key.secret.clone())?;
    let customer = sender.customer().await?;
    for behaviour in Behaviour::ALL {
        let address = receivers::start(behaviour, speed).await?;
        sender.subscribe(behaviour, address, speed).await?;
    }
    sender.catalogue().await?;
    say(&text(&base, key, &customer, args));
    tokio::spawn(traffic::send(sender, rate));
    Ok(())
}

fn text(base: &str, key: &AdminKey, customer: &Secret, args: &DemoArgs) -> String {
    let rate = args.rate;
    let fate = match &args.data_dir {
        Some(directory) => format!("its data stays in {}", directory.display()),
        None => "its data is gone".to_owned(),
    };
    let receivers = Behaviour::ALL.map(|one| format!("  {:<14} {}\n", one.name(), one.says()));
    format!(
        "Posthaste's demo: {rate} events a second to five receivers of its own.\n\n\
         {}\n\
         {}\n\
         Watch it      {base}/ui/sign-in#key={}\n\
         As a customer {base}/ui/sign-in#key={}\n\
         Or by hand    curl -sS {base}/api/v1/dashboard/overview -H 'Authorization: Bearer {}'\n\n\
         Ctrl-C ends it, and {fate}.",
        receivers.concat(),
        format_args!(
            "Chat bot and Payroll are those of a customer, {}.\n",
            receivers::TENANT_NAME
        ),
        key.secret.expose(),
        customer.expose(),
        key.secret.expose(),
    )
}
