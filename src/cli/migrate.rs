//! `posthaste migrate`.

use std::process::ExitCode;

use super::{FileArgs, data_dir, runtime, say};
use crate::{engine, telemetry};

pub(super) fn run(args: &FileArgs) -> anyhow::Result<ExitCode> {
    let settings = args.load(false)?;
    telemetry::start(&settings.log)?;
    if !settings.is_distributed() {
        data_dir::ensure(&settings.store.data_dir)?;
    }
    let applied = runtime()?.block_on(engine::migrate(&settings))?;
    for name in &applied {
        say(&format!("applied {name}"));
    }
    if applied.is_empty() {
        say("the schema is up to date");
    }
    Ok(ExitCode::SUCCESS)
}
