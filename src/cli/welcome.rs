//! What `serve` says on the terminal once it listens.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::admin_key::{AdminKey, Kept};
use super::{reachable, receive};
use crate::settings::{Role, Settings};

/// Everything a newcomer needs for a first delivery. The key itself is shown on a terminal
/// only: printed into a container's log it would be a leak, so there its file is named.
pub(super) fn text(
    settings: &Settings,
    key: &AdminKey,
    listen: SocketAddr,
    standing_by: bool,
    terminal: bool,
    program: &str,
) -> String {
    let mut text = String::new();
    let mut line = |words: &str| writeln!(text, "{words}").unwrap_or_default();
    line(&format!(
        "Posthaste {} listens on http://{listen}",
        env!("CARGO_PKG_VERSION")
    ));
    line(&format!("  profile    {}", profile(settings)));
    match settings.engine.role {
        Role::All if standing_by => {
            line("  standing by: another process owns the deliveries, this one accepts events");
        }
        Role::All => {}
        Role::Ingest => line("  role       ingest: accepts events, another process delivers them"),
        Role::Deliver if standing_by => {
            line("  role       deliver: standing by, another process owns the deliveries");
        }
        Role::Deliver => line("  role       deliver: accepts no events, others do"),
    }
    line(&format!("  admin key  {}", shown_key(key, terminal)));
    line("");
    let receiver = if settings.dev {
        line("Try it. In a second terminal, a receiver that prints what arrives:");
        line(&format!("  {program} receive"));
        line("In a third one, a subscription, an event, and what became of it:");
        format!("http://{}/", receive::LISTEN)
    } else {
        line("Try it: a subscription (a public https:// receiver), an event, what became of it:");
        "https://example.com/webhooks".to_owned()
    };
    line(&format!("  KEY={}", pasted_key(key)));
    let api = format!("http://{}/api/v1", reachable(listen));
    let post = |path: &str, body: &str| {
        format!(
            "  curl -sS {api}/{path} -H \"Authorization: Bearer $KEY\" \
             -H 'Content-Type: application/json' -d '{body}'"
        )
    };
    line(&post(
        "subscriptions",
        &format!(r#"{{"name":"first","url":"{receiver}","eventTypes":["*"]}}"#),
    ));
    line(&post(
        "events",
        r#"{"eventType":"candidate.created","payload":{"name":"Ada"}}"#,
    ));
    line(&format!(
        "  curl -sS {api}/deliveries -H \"Authorization: Bearer $KEY\""
    ));
    line("");
    line(&format!(
        "All routes: http://{}/docs, and a guide through them: docs/api.md",
        reachable(listen)
    ));
    text
}

fn profile(settings: &Settings) -> String {
    let feed = if settings.feed.redis_url.is_some() {
        "Redis"
    } else {
        "in process"
    };
    if settings.is_distributed() {
        format!("distributed (store: Postgres, feed: {feed})")
    } else {
        format!(
            "embedded (store: SQLite in {}, feed: {feed})",
            settings.store.data_dir.display()
        )
    }
}

fn shown_key(key: &AdminKey, terminal: bool) -> String {
    match &key.kept {
        Kept::Outside => "as given by POSTHASTE_ADMIN_KEY or auth.admin_key".to_owned(),
        Kept::InFile { path, new } => {
            let since = if *new {
                "made just now, kept in"
            } else {
                "kept in"
            };
            let path = path.display();
            if terminal {
                format!("{} ({since} {path})", key.secret.expose())
            } else {
                format!("{since} {path}")
            }
        }
    }
}

fn pasted_key(key: &AdminKey) -> String {
    match &key.kept {
        Kept::Outside => "\"$POSTHASTE_ADMIN_KEY\"".to_owned(),
        Kept::InFile { path, .. } => {
            format!(
                "$(cat '{}')",
                path.display().to_string().replace('\'', r"'\''")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;

    fn said(environment: &[(&str, &str)], dev: bool, kept: Kept, terminal: bool) -> String {
        let settings = Settings::load(None, environment.iter().copied(), dev).unwrap();
        let key = AdminKey {
            secret: Secret::new("phk_hunter2"),
            kept,
        };
        let listen = SocketAddr::from(([0, 0, 0, 0], 8080));
        text(&settings, &key, listen, false, terminal, "posthaste")
    }

    #[test]
    fn the_key_is_shown_once_and_on_a_terminal_only() {
        let file = || Kept::InFile {
            path: "/data/admin.key".into(),
            new: true,
        };
        let terminal = said(&[], true, file(), true);
        assert_eq!(terminal.matches("phk_hunter2").count(), 1, "{terminal}");
        assert!(terminal.contains("KEY=$(cat '/data/admin.key')"));
        assert!(
            terminal.contains("curl -sS http://127.0.0.1:8080/api/v1/events"),
            "{terminal}"
        );
        assert!(
            terminal.contains("\"url\":\"http://127.0.0.1:9000/\""),
            "{terminal}"
        );
        assert!(
            terminal.contains("http://127.0.0.1:8080/docs"),
            "{terminal}"
        );

        let log = said(&[], true, file(), false);
        assert!(
            !log.contains("hunter2") && log.contains("/data/admin.key"),
            "{log}"
        );
        let given = said(&[], true, Kept::Outside, true);
        assert!(
            !given.contains("hunter2") && given.contains("POSTHASTE_ADMIN_KEY"),
            "{given}"
        );
    }

    #[test]
    fn the_profile_is_named() {
        let embedded = said(&[], false, Kept::Outside, true);
        assert!(embedded.contains("embedded (store: SQLite in ./data, feed: in process)"));
        assert!(
            embedded.contains("https://example.com/webhooks"),
            "{embedded}"
        );
        let urls = [
            ("DATABASE_URL", "postgres://db/relay"),
            ("REDIS_URL", "redis://cache"),
        ];
        let distributed = said(&urls, false, Kept::Outside, true);
        assert!(distributed.contains("distributed (store: Postgres, feed: Redis)"));
    }
}
