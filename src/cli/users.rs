//! `posthaste users`: makes, lists and keeps out users by way of the running relay, which knows at once.
//!
//! A password is read from standard input, or set by its user: on the command line others could read it.

use std::io::{BufRead as _, stdin};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::relay::{self, Relay, RelayArgs, word};
use super::{runtime, say};
use crate::domain::user::Role;

#[derive(Args)]
pub(super) struct UsersArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) relay: RelayArgs,
}

#[derive(Subcommand)]
enum What {
    /// Make a user. Prints a link by which they set a password, once.
    Create(CreateArgs),
    /// List the users, newest first.
    List,
    /// Keep a user out: their sessions end.
    Disable {
        /// The user's e-mail address, or id.
        user: String,
        /// Let them in again.
        #[arg(long)]
        undo: bool,
    },
    /// Give a user a new password. Prints a link by which they set it, once.
    Password {
        /// The user's e-mail address, or id.
        user: String,
        /// Read the password from the first line of standard input, and print no link.
        #[arg(long)]
        stdin: bool,
    },
}

#[derive(Args)]
#[group(skip)]
struct CreateArgs {
    /// By which they sign in.
    #[arg(long)]
    email: String,
    /// For people; by default the address.
    #[arg(long)]
    name: Option<String>,
    /// What they may do.
    #[arg(long, value_parser = role())]
    role: Role,
    /// Read the password from the first line of standard input, and print no link.
    #[arg(long)]
    stdin: bool,
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    let words = PossibleValuesParser::new(Role::ALL.map(Role::as_str));
    words.try_map(|word| Role::parse(&word).ok_or("is no role"))
}

pub(super) fn run(args: &UsersArgs) -> anyhow::Result<ExitCode> {
    let users = Users {
        relay: Relay::of(&args.relay, "users")?,
        as_json: args.relay.json,
    };
    runtime()?.block_on(async {
        match &args.what {
            What::Create(create) => users.create(create).await,
            What::List => users.list().await,
            What::Disable { user, undo } => users.disable(user, !undo).await,
            What::Password { user, stdin } => users.password(user, *stdin).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

struct Users {
    relay: Relay,
    as_json: bool,
}

impl Users {
    async fn create(&self, args: &CreateArgs) -> anyhow::Result<()> {
        let mut body = json!({"email": args.email, "role": args.role.as_str()});
        if let Some(name) = &args.name {
            body["name"] = json!(name);
        }
        if args.stdin {
            body["password"] = json!(*read_password()?);
        }
        let made = self.relay.ask(Method::POST, "", Some(body)).await?;
        self.tell("made", &made);
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<()> {
        let rows = self.relay.all().await?;
        match self.as_json {
            true => say(&Value::from(rows).to_string()),
            false => say(table(&rows).trim_end()),
        }
        Ok(())
    }

    async fn disable(&self, user: &str, disabled: bool) -> anyhow::Result<()> {
        let tail = format!("/{}", self.find(user).await?);
        let body = json!({"disabled": disabled});
        let changed = self.relay.ask(Method::PATCH, &tail, Some(body)).await?;
        let done = match disabled {
            true => "disabled",
            false => "enabled",
        };
        self.tell(done, &changed);
        Ok(())
    }

    async fn password(&self, user: &str, stdin: bool) -> anyhow::Result<()> {
        let tail = format!("/{}/password", self.find(user).await?);
        let body = match stdin {
            true => json!({"password": *read_password()?}),
            false => json!({}),
        };
        let changed = self.relay.ask(Method::POST, &tail, Some(body)).await?;
        let done = match stdin {
            true => "set the password of",
            false => "made a link for",
        };
        self.tell(done, &changed);
        Ok(())
    }

    /// The id of the user who has this address or id.
    async fn find(&self, user: &str) -> anyhow::Result<String> {
        let wanted = user.trim().to_lowercase();
        let rows = self.relay.all().await?;
        let is_it = |row: &&Value| row["email"] == *wanted || row["id"] == *wanted;
        let found = rows.iter().find(is_it).map(|row| word(&row["id"]));
        found.ok_or_else(|| anyhow!("there is no user {user}; `posthaste users list` prints them"))
    }

    fn tell(&self, done: &str, user: &Value) {
        if self.as_json {
            say(&user.to_string());
            return;
        }
        say(&format!(
            "{done} {} ({})",
            word(&user["email"]),
            word(&user["id"])
        ));
        if let Some(path) = user["invitation"]["path"].as_str() {
            say(&format!(
                "\n{}{path}\n\nThis is the only time that the link is shown. It sets a password once, \
                 until {}.",
                self.relay.base,
                word(&user["invitation"]["expiresAt"]),
            ));
        }
    }
}

fn read_password() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    let read = stdin().lock().read_line(&mut line);
    read.context("the password cannot be read from standard input")?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// Rows in columns, for people.
fn table(rows: &[Value]) -> String {
    let head = ["ID", "E-MAIL", "NAME", "ROLE", "STATE", "LAST SIGN-IN"];
    let fields = ["id", "email", "name", "role", "state", "lastSignInAt"];
    let line = |row: &Value| fields.map(|field| word(&row[field])).to_vec();
    let lines = std::iter::once(head.map(str::to_owned).to_vec()).chain(rows.iter().map(line));
    relay::table(&lines.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_stand_in_columns() {
        let rows = [json!({
            "id": "1", "email": "ada@example.com", "name": "Ada", "role": "admin",
            "state": "invited", "lastSignInAt": null,
        })];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with("admin  invited  -"), "{text}");
        assert_eq!(lines[0].find("NAME"), lines[1].find("Ada"));
    }
}
