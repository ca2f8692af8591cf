//! `posthaste keys`: makes, lists and takes back keys by way of the running relay, which knows at
//! once.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::relay::{self, Relay, RelayArgs, word};
use super::{runtime, say};
use crate::clock;
use crate::domain::access::{Preset, Scope};

#[derive(Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) relay: RelayArgs,
}

#[derive(Subcommand)]
enum What {
    /// Make a key. It is printed once and can never be shown again.
    Create(CreateArgs),
    /// List the keys, newest first.
    List,
    /// Take a key back, for good.
    Revoke {
        /// The key's id, as `list` prints it.
        id: String,
    },
}

#[derive(Args)]
#[group(skip)]
struct CreateArgs {
    /// A name for people.
    #[arg(long)]
    name: String,
    /// A set of scopes.
    #[arg(long, value_parser = preset(), required_unless_present = "scope", conflicts_with = "scope")]
    preset: Option<Preset>,
    /// One scope; may be given several times.
    #[arg(long, value_parser = scope())]
    scope: Vec<Scope>,
    /// The tenant whose key it is to be.
    #[arg(long)]
    tenant: Option<String>,
    /// How long it is good: a number and s, m, h, d or w, such as 30d.
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires_in: Option<Duration>,
}

fn preset() -> impl clap::builder::TypedValueParser<Value = Preset> {
    let words = PossibleValuesParser::new(Preset::ALL.map(Preset::as_str));
    words.try_map(|word| Preset::parse(&word).ok_or("is no preset"))
}

fn scope() -> impl clap::builder::TypedValueParser<Value = Scope> {
    let words = PossibleValuesParser::new(Scope::ALL.map(Scope::as_str));
    words.try_map(|word| Scope::parse(&word).ok_or("is no scope"))
}

/// `90s`, `15m`, `12h`, `30d`, `4w`.
fn span(text: &str) -> Result<Duration, String> {
    let wanted = || "write a number and s, m, h, d or w, such as 30d".to_owned();
    let unit = text.chars().last().ok_or_else(wanted)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wanted()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wanted())?;
    match count {
        0 => Err(wanted()),
        count => Ok(Duration::from_secs(u64::from(count) * seconds)),
    }
}

pub(super) fn run(args: &KeysArgs) -> anyhow::Result<ExitCode> {
    let keys = Keys(Relay::of(&args.relay, "keys")?);
    let as_json = args.relay.json;
    runtime()?.block_on(async {
        match &args.what {
            What::Create(create) => keys.create(create, as_json).await,
            What::List => keys.list(as_json).await,
            What::Revoke { id } => keys.revoke(id, as_json).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

struct Keys(Relay);

impl Keys {
    async fn create(&self, args: &CreateArgs, as_json: bool) -> anyhow::Result<()> {
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(args.name));
        match args.preset {
            Some(preset) => body.insert("preset".to_owned(), json!(preset.as_str())),
            None => {
                let words: Vec<_> = args.scope.iter().map(|scope| scope.as_str()).collect();
                body.insert("scopes".to_owned(), json!(words))
            }
        };
        if let Some(tenant) = &args.tenant {
            body.insert("tenant".to_owned(), json!(tenant));
        }
        if let Some(span) = args.expires_in {
            let end = clock::now().plus(span);
            body.insert("expiresAt".to_owned(), json!(end.to_string()));
        }
        let made = self.0.ask(Method::POST, "", Some(body.into())).await?;
        if as_json {
            say(&made.to_string());
            return Ok(());
        }
        let key = made["key"]
            .as_str()
            .ok_or_else(|| anyhow!("no key came back"))?;
        say(&format!(
            "{key}\n\nThis is the only time that the key is shown. Its id is {}; {}.",
            word(&made["id"]),
            match made["expiresAt"].as_str() {
                Some(end) => format!("it expires at {end}"),
                None => "it does not expire".to_owned(),
            }
        ));
        Ok(())
    }

    async fn list(&self, as_json: bool) -> anyhow::Result<()> {
        let rows = self.0.all().await?;
        if as_json {
            say(&Value::from(rows).to_string());
        } else {
            say(table(&rows).trim_end());
        }
        Ok(())
    }

    async fn revoke(&self, id: &str, as_json: bool) -> anyhow::Result<()> {
        let id: crate::domain::id::ApiKeyId = id
            .parse()
            .map_err(|_| anyhow!("{id} is no id; `posthaste keys list` prints them"))?;
        self.0.ask(Method::DELETE, &format!("/{id}"), None).await?;
        match as_json {
            true => say(&json!({"id": id, "state": "revoked"}).to_string()),
            false => say(&format!("revoked {id}")),
        }
        Ok(())
    }
}

/// Rows in columns, for people.
fn table(rows: &[Value]) -> String {
    let head = [
        "ID",
        "KEY",
        "STATE",
        "NAME",
        "TENANT",
        "LAST USED",
        "EXPIRES",
        "SCOPES",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let scopes = row["scopes"].as_array().into_iter().flatten();
        let scopes: Vec<String> = scopes.map(word).collect();
        let mut line: Vec<String> = [
            "id",
            "prefix",
            "state",
            "name",
            "tenant",
            "lastUsedAt",
            "expiresAt",
        ]
        .map(|field| word(&row[field]))
        .to_vec();
        line.push(scopes.join(","));
        line
    }));
    relay::table(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "30", "d", "0d", "-1d", "1y", "3é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rows_stand_in_columns() {
        let rows = [json!({
            "id": "1", "prefix": "ph_x", "state": "active", "name": "é", "tenant": null,
            "scopes": ["events:read", "admin"],
        })];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with("events:read,admin"), "{text}");
        let before = |line: &str, word: &str| line[..line.find(word).unwrap()].chars().count();
        assert_eq!(before(lines[0], "SCOPES"), before(lines[1], "events:read"));
    }
}
