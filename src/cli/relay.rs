//! The running relay, as the commands that administer it ask it: they go by way of it, so that it knows
//! at once.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{FileArgs, admin_key, reachable};
use crate::settings::Secret;

const PATIENCE: Duration = Duration::from_secs(30);
/// Rows of one page of a list.
const PAGE: u32 = 100;

/// Which relay, and how it answers.
#[derive(Args)]
pub(super) struct RelayArgs {
    /// Base URL of the relay; by default the configured listen address.
    #[arg(long, global = true)]
    url: Option<String>,
    /// Print what the relay answers, as JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) file: FileArgs,
}

/// One resource of a running relay.
pub(super) struct Relay {
    client: reqwest::Client,
    /// Of the relay itself.
    pub(super) base: String,
    resource: &'static str,
    key: Secret,
}

impl Relay {
    /// With the admin key of the settings.
    pub(super) fn of(args: &RelayArgs, resource: &'static str) -> anyhow::Result<Self> {
        let settings = args.file.load(false)?;
        let listen = || format!("http://{}", reachable(settings.server.listen));
        let base = args.url.clone().unwrap_or_else(listen);
        Ok(Self {
            client: reqwest::Client::builder()
                // A system proxy would answer for itself.
                .no_proxy()
                .timeout(PATIENCE)
                .build()?,
            base: base.trim_end_matches('/').to_owned(),
            resource,
            key: admin_key::known(&settings)?,
        })
    }

    /// What it answers; nothing where that is empty.
    pub(super) async fn ask(
        &self,
        method: Method,
        tail: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/{}{tail}", self.base, self.resource);
        let mut request = self
            .client
            .request(method, &url)
            .bearer_auth(self.key.expose());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.with_context(|| {
            format!("no answer from {url}; is the relay running (posthaste serve)?")
        })?;
        let status = answer.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let text = answer.text().await?;
        let value: Value = serde_json::from_str(&text)
            .with_context(|| format!("{url} answers {status} and no JSON"))?;
        if !status.is_success() {
            let reason = value["error"].as_str().unwrap_or(&text);
            bail!("{url} answers {status}: {reason}");
        }
        Ok(value)
    }

    /// Every row of the list.
    pub(super) async fn all(&self) -> anyhow::Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut tail = format!("?limit={PAGE}");
        loop {
            let page = self.ask(Method::GET, &tail, None).await?;
            rows.extend(page["data"].as_array().into_iter().flatten().cloned());
            match page["nextCursor"].as_str() {
                Some(cursor) => tail = format!("?limit={PAGE}&cursor={cursor}"),
                None => return Ok(rows),
            }
        }
    }
}

/// Lines in columns, for people; the first one is the head.
pub(super) fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A value as a word; a dash where there is none.
pub(super) fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
