//! The command line: the only place that reads the process's environment, and the only one that
//! writes to the terminal.

mod admin_key;
mod config;
mod data_dir;
mod demo;
mod health;
mod keys;
mod migrate;
mod open_files;
mod openapi;
mod postman;
mod receive;
mod relay;
mod secrets;
mod serve;
mod users;
mod welcome;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::settings::{Faults, Flags, Role, Settings};

/// A webhook relay: takes events, delivers them signed until they arrive.
#[derive(Parser)]
#[command(name = "posthaste", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay.
    Serve(SettingsArgs),
    /// Bring the store's schema up to date and exit; `serve` does so by itself.
    Migrate(FileArgs),
    /// Print the settings in force, secrets masked, and where they came from.
    Config(SettingsArgs),
    /// Exit 0 if the relay of these settings is ready, 1 otherwise.
    Health(health::HealthArgs),
    /// Make, list and take back the keys of callers, by way of the running relay.
    Keys(keys::KeysArgs),
    /// Make, list and keep out users, by way of the running relay.
    Users(users::UsersArgs),
    /// Look after the secrets in the store.
    Secrets(secrets::SecretsArgs),
    /// Print the description of the API (OpenAPI 3.1).
    #[command(hide = true)]
    Openapi(openapi::OpenapiArgs),
    /// Show it all at once: a relay with live traffic and five receivers of its own.
    Demo(demo::DemoArgs),
    /// Run a local receiver that prints every webhook it gets, to try things out.
    Receive(receive::ReceiveArgs),
}

#[derive(Args)]
struct FileArgs {
    /// TOML file with settings; the environment overrides it.
    // Global: before a subcommand's name as well as behind it.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct SettingsArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Allow receivers in loopback and private networks and over http://.
    #[arg(long)]
    dev: bool,
    /// What this process does: accept events, deliver them, or all of it [setting: engine.role].
    #[arg(long, value_name = "ROLE", value_parser = role())]
    role: Option<Role>,
}

fn role() -> impl TypedValueParser<Value = Role> {
    let words = PossibleValuesParser::new(Role::ALL.map(Role::as_str));
    words.try_map(|word| Role::parse(&word).ok_or("is no role"))
}

impl FileArgs {
    fn load(&self, flags: impl Into<Flags>) -> Result<Settings, Faults> {
        let environment = std::env::vars_os().map(|(name, text)| {
            (
                name.to_string_lossy().into_owned(),
                text.to_string_lossy().into_owned(),
            )
        });
        Settings::load(self.config.as_deref(), environment, flags)
    }
}

impl SettingsArgs {
    fn load(&self) -> Result<Settings, Faults> {
        self.file.load(Flags {
            dev: self.dev,
            role: self.role,
        })
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Users(args) => users::run(&args),
        Command::Secrets(args) => secrets::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Receive(args) => receive::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("posthaste: {error:#}"));
        ExitCode::FAILURE
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

/// Where a client on this machine reaches a server bound to `listen`.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What was asked for. A closed pipe (`posthaste config | head`) is no reason to panic.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What went wrong.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn settings_may_be_named_before_and_behind_what_is_to_be_done() {
        for command in [["keys", "list"], ["users", "list"], ["secrets", "rotate"]] {
            let [name, what] = command;
            let file = ["--config", "f.toml"];
            for words in [
                [&["posthaste", name][..], &file, &[what]].concat(),
                [&["posthaste", name, what][..], &file].concat(),
            ] {
                let read = Cli::try_parse_from(&words).unwrap_or_else(|fault| panic!("{fault}"));
                let args = match &read.command {
                    Command::Keys(args) => &args.relay.file,
                    Command::Users(args) => &args.relay.file,
                    Command::Secrets(args) => &args.file,
                    _ => panic!("another command: {words:?}"),
                };
                assert_eq!(
                    args.config.as_deref(),
                    Some(Path::new("f.toml")),
                    "{words:?}"
                );
            }
        }
    }

    #[test]
    fn what_reads_no_settings_takes_no_file_of_them() {
        for words in [
            ["posthaste", "--config", "f.toml", "receive"],
            ["posthaste", "receive", "--config", "f.toml"],
        ] {
            assert!(Cli::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
