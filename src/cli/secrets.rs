//! `posthaste secrets`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{FileArgs, data_dir, runtime, say};
use crate::{engine, telemetry};

#[derive(Args)]
pub(super) struct SecretsArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) file: FileArgs,
}

#[derive(Subcommand)]
enum What {
    /// Encrypt every secret with the first of secrets.master_keys: plain ones, and those under
    /// another key. On SQLite the relay must be stopped; on Postgres it may run.
    Rotate,
}

pub(super) fn run(args: &SecretsArgs) -> anyhow::Result<ExitCode> {
    let What::Rotate = args.what;
    let settings = args.file.load(false)?;
    telemetry::start(&settings.log)?;
    anyhow::ensure!(
        !settings.store.master_keys.is_empty(),
        "secrets.master_keys is empty: there is nothing to encrypt with; make a key with: openssl \
         rand -base64 32, and give it as ID:KEY (POSTHASTE_SECRETS__MASTER_KEYS)"
    );
    if !settings.is_distributed() {
        data_dir::ensure(&settings.store.data_dir)?;
    }
    let done = runtime()?.block_on(engine::reseal_secrets(&settings))?;
    let id = &settings.store.master_keys[0].id;
    say(&format!(
        "encrypted {} values with the master key {id}; {} were so already",
        done.sealed, done.current
    ));
    Ok(ExitCode::SUCCESS)
}
