//! `posthaste openapi`: the description of the API, for files that are made of it. Needs no store.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::postman::collection;
use super::say;
use crate::engine;

#[derive(Args)]
pub(super) struct OpenapiArgs {
    /// As a Postman collection instead.
    #[arg(long)]
    postman: bool,
}

pub(super) fn run(args: &OpenapiArgs) -> anyhow::Result<ExitCode> {
    let document = engine::api_document().context("the document cannot be made")?;
    let shown = match args.postman {
        true => collection(&document),
        false => document,
    };
    say(&serde_json::to_string_pretty(&shown)?);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    /// The dashboard's types are made of that file: a page that no longer fits does not compile.
    #[test]
    fn the_dashboard_is_built_on_the_current_document() {
        let kept = include_str!("../../dashboard/openapi.json");
        let current = crate::engine::api_document().unwrap();
        let current = serde_json::to_string_pretty(&current).unwrap();
        assert!(
            kept.trim_end() == current,
            "dashboard/openapi.json is not what the code makes: run `make postman` and commit it"
        );
    }
}
