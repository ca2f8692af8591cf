//! `posthaste config`.

use std::process::ExitCode;

use super::{SettingsArgs, complain, say};

pub(super) fn run(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    say(settings.to_masked_toml().trim_end());
    for warning in &settings.warnings {
        complain(&format!("warning: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}
