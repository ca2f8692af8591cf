//! Passwords, links and tokens: nowhere but where they have to be. And users from the command line.

use std::process::Stdio;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::backend::Backend;
use crate::support::browser::{Browser, PASSWORD, ask};
use crate::support::process::command;
use crate::support::relay::{KEY, text};
use crate::support::{Process, Profile, Relay, soon};
use crate::users::{SESSION, USERS, setup};

crate::stories!(
    no_secret_is_anywhere_but_in_its_answer,
    the_setup_link_is_printed_where_there_is_no_user,
    the_command_line_makes_users_and_keeps_them_out,
);

async fn no_secret_is_anywhere_but_in_its_answer(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let logs = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(&backend, &[("POSTHASTE_LOG__FILTER", "trace")]);
    command.stderr(Stdio::from(logs.reopen().unwrap()));
    let process = Process::serving(command).await;
    let base = process.api.base.clone();
    let new = json!({"email": "told-apart@example.com", "role": "operator"});
    let made = process.api.post(201, USERS, &new).await;
    let link = text(&made["invitation"], "token").to_owned();
    let take = json!({"token": link, "password": PASSWORD});
    let browser = Browser::come_in(&base, 200, "/api/v1/invitation", &take).await;
    let wrong = "a wrong horse battery";
    let refused = json!({"email": "told-apart@example.com", "password": wrong});
    let refused = ask(&base, Method::POST, SESSION, &[], Some(&refused)).await;
    assert_eq!(refused.status, 401);
    let event = json!({"eventType": "a.b", "payload": 1});
    let sent = browser
        .call(Method::POST, "/api/v1/events", Some(&event))
        .await;
    assert_eq!(sent.status, 202);
    let next = "another horse battery";
    let change = json!({"current": PASSWORD, "password": next});
    let path = "/api/v1/session/password";
    assert_eq!(
        browser.call(Method::POST, path, Some(&change)).await.status,
        204
    );
    let shown = [
        process.api.get_text(USERS).await,
        process.api.get_text("/api/v1/sessions").await,
        process.api.get_text("/api/v1/audit").await,
    ];
    assert_eq!(process.terminate().await, Some(0));
    let log = std::fs::read_to_string(logs.path()).unwrap();
    let session = text(&browser.session, "id");
    assert!(
        log.contains(session),
        "the log tells that a session was opened"
    );
    let stored = stored(&backend).await;
    assert!(
        stored.contains("told-apart@example.com"),
        "the tables were looked at"
    );
    assert!(stored.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(!log.contains("$argon2id") && !shown.concat().contains("$argon2id"));
    for secret in [
        &link,
        browser.token(),
        &*browser.csrf,
        PASSWORD,
        wrong,
        next,
    ] {
        let hex = secret.bytes().map(|byte| format!("{byte:02x}"));
        for form in [secret.to_owned(), hex.collect()] {
            for (place, text) in [("log", &log), ("tables", &stored)] {
                assert!(!text.contains(&form), "{secret} stands in the {place}");
            }
            assert!(!shown.concat().contains(&form), "{secret} is shown");
        }
    }
}

/// All that a stopped relay keeps, as text.
async fn stored(backend: &Backend) -> String {
    let Some(url) = backend.database_url() else {
        let file = std::fs::read(backend.data_dir().join("posthaste.db")).unwrap();
        let log = std::fs::read(backend.data_dir().join("posthaste.db-wal")).unwrap_or_default();
        return String::from_utf8_lossy(&[file, log].concat()).into_owned();
    };
    let mut database = PgConnection::connect(&url).await.unwrap();
    let mut all = String::new();
    for table in ["users", "user_links", "sessions", "audit_log"] {
        let sql = AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM \"{table}\" AS t"));
        for row in sqlx::query(sql).fetch_all(&mut database).await.unwrap() {
            all.push_str(row.get::<&str, _>(0));
        }
    }
    all
}

/// What a relay prints until it has said all, what it logs, and its API.
async fn printed(backend: &Arc<Backend>, more: &[(&str, &str)]) -> (String, Printing) {
    let logs = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(backend, more);
    command.stderr(Stdio::from(logs.reopen().unwrap()));
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    soon("the welcome", async {
        // Its last line is how to look at deliveries.
        while !said.contains("/deliveries -H") {
            said.push_str(&lines.next_line().await.unwrap().expect("it ended"));
            said.push('\n');
        }
    })
    .await;
    (said, Printing { child, logs })
}

struct Printing {
    child: tokio::process::Child,
    logs: tempfile::NamedTempFile,
}

impl Printing {
    /// What it logged, once it is gone.
    async fn end(mut self) -> String {
        self.child.kill().await.unwrap();
        std::fs::read_to_string(self.logs.path()).unwrap()
    }
}

async fn the_setup_link_is_printed_where_there_is_no_user(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let trace = ("POSTHASTE_LOG__FILTER", "trace");
    let (said, process) = printed(&backend, &[trace, ("POSTHASTE_LOG__FORMAT", "json")]).await;
    assert!(
        !said.contains("token=") && said.contains("posthaste users create"),
        "{said}"
    );
    let log = process.end().await;
    assert!(!log.contains("phl_"), "{log}");

    let (said, process) = printed(&backend, &[trace]).await;
    let at = said.find("http://127.0.0.1:").unwrap();
    let base: String = said[at..]
        .chars()
        .take_while(|c| !c.is_whitespace())
        .collect();
    let (_, token) = said.split_once("/ui/setup#token=").expect(&said);
    let token: String = token.chars().take_while(|c| !c.is_whitespace()).collect();
    assert_eq!(said.matches("phl_").count(), 1, "{said}");
    let ada = Browser::come_in(&base, 201, "/api/v1/setup", &setup(&token)).await;
    assert_eq!(ada.session["role"], "admin");
    let log = process.end().await;
    assert!(!log.contains("phl_") && !log.contains(&token));

    let (said, process) = printed(&backend, &[trace]).await;
    assert!(
        !said.contains("phl_") && !said.contains("first user"),
        "{said}"
    );
    process.end().await;
}

async fn the_command_line_makes_users_and_keeps_them_out(profile: Profile) {
    let relay = Relay::start(profile).await;
    let run = async |arguments: &[&str], input: &str| {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .args(["users", "--url", &relay.api.base])
            .args(arguments)
            .env_clear()
            .env("POSTHASTE_ADMIN_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let create = ["create", "--email", "ada@example.com", "--role", "admin"];
    let (code, said, problem) = run(
        &[&create[..], &["--stdin"]].concat(),
        "correct horse battery\n",
    )
    .await;
    assert_eq!(code, Some(0), "{problem}");
    assert!(
        said.contains("made ada@example.com") && !said.contains("horse"),
        "{said}"
    );
    let base = &relay.api.base;
    let ada = Browser::sign_in(base, "ada@example.com", PASSWORD).await;
    let create = [
        "create",
        "--email",
        "bob@example.com",
        "--name",
        "Bob",
        "--role",
        "viewer",
    ];
    let (_, said, _) = run(&create, "").await;
    let link = format!("{base}/ui/invitation#token=");
    let (_, token) = said.split_once(&link).expect(&said);
    let take = json!({"token": token.split_whitespace().next(), "password": PASSWORD});
    let bob = Browser::come_in(base, 200, "/api/v1/invitation", &take).await;
    let (_, said, _) = run(&["list"], "").await;
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.contains("Bob") && said.contains("viewer  active"),
        "{said}"
    );
    let (_, said, _) = run(&["list", "--json"], "").await;
    let listed: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(listed[1]["email"], "ada@example.com");
    let (code, _, _) = run(&["disable", "BOB@example.com"], "").await;
    assert_eq!((code, bob.status(SESSION).await), (Some(0), 401));
    let (code, said, _) = run(&["disable", "bob@example.com", "--undo"], "").await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said, _) = run(&["password", "bob@example.com"], "").await;
    assert_eq!(code, Some(0));
    assert!(said.contains(&link), "{said}");
    let next = ["password", "ada@example.com", "--stdin"];
    let (code, said, _) = run(&next, "another horse battery").await;
    assert_eq!((code, ada.status(SESSION).await), (Some(0), 401), "{said}");
    Browser::sign_in(base, "ada@example.com", "another horse battery").await;
    for (wrong, input, told) in [
        (
            ["disable", "ada@example.com"].as_slice(),
            "",
            "last one who administers",
        ),
        (&["disable", "nobody@example.com"], "", "there is no user"),
        (
            &["password", "bob@example.com", "--stdin"],
            "short",
            "12 to 256",
        ),
        (
            &["create", "--email", "x", "--role", "viewer"],
            "",
            "e-mail address",
        ),
        (
            &["create", "--email", "a@b.c", "--role", "root"],
            "",
            "operator",
        ),
    ] {
        let (code, _, problem) = run(wrong, input).await;
        assert_ne!(code, Some(0), "{wrong:?}");
        assert!(problem.contains(told), "{wrong:?}: {problem}");
    }
}
