//! `posthaste health`: what a container's health check runs, as slim images have no curl.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::{FileArgs, reachable, runtime, say};

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct HealthArgs {
    /// Base URL of the relay; by default the configured listen address.
    #[arg(long)]
    url: Option<String>,
    /// TOML file with settings; the environment overrides it.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let base = match &args.url {
        Some(url) => url.clone(),
        None => {
            let settings = FileArgs {
                config: args.config.clone(),
            }
            .load(false)?;
            format!("http://{}", reachable(settings.server.listen))
        }
    };
    let url = format!("{}/health/ready", base.trim_end_matches('/'));
    runtime()?.block_on(async {
        // A system proxy would answer for itself.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        let answer = client
            .get(&url)
            .send()
            .await
            .with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        say(&format!("{url} answers {status}"));
        Ok(if status.is_success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}
