//! Schemathesis over the whole OpenAPI document: requests drawn from its schemas, and others drawn
//! against them, at a relay that has one of everything. No answer is a fault of the relay's own,
//! none differs from what the document says, what the schemas allow is taken and what they forbid
//! is refused.
//!
//! `tests/tools/fuzz/` says what is checked and what is no finding. A run is bounded and finds the
//! same each time; `make fuzz` runs longer (`SEED`, `EXAMPLES`, `ONLY`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::document::Document;
use crate::standard_webhooks::tools;
use crate::support::relay::{KEY, Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay, receiver::status};

crate::stories!(whatever_is_sent_is_answered_as_described);

/// Every bound that a schema names is the relay's own here, and nobody is kept out for trying.
const SETTINGS: [(&str, &str); 6] = [
    ("POSTHASTE_LIMITS__FAILED_AUTH_PER_ADDRESS", "0"),
    ("POSTHASTE_LIMITS__SIGN_IN_PER_ADDRESS", "0"),
    ("POSTHASTE_LIMITS__SIGN_IN_PER_ACCOUNT", "0"),
    ("POSTHASTE_JOBS__MAX_RATE", "100000"),
    ("POSTHASTE_JOBS__MAX_OPEN", "1000"),
    ("POSTHASTE_DELIVERY__TIMEOUT_MS", "2000"),
];
/// Things of a kind that may be deleted.
const DOOMED: usize = 4;
/// What takes the cookie of a session, or a link that is good once and may have been replaced before it is
/// drawn. `tests/relay/users.rs` looks at them.
const WITHOUT_SUCCESS: [&str; 5] = [
    "GET /api/v1/session",
    "DELETE /api/v1/session",
    "POST /api/v1/session/password",
    "POST /api/v1/setup",
    "POST /api/v1/invitation",
];
/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);

async fn whatever_is_sent_is_answered_as_described(profile: Profile) {
    let relay = Relay::start_with(profile, &SETTINGS).await;
    let receiver = Receiver::answering(|_, got| match got.path.as_str() {
        "/failing" => status(500),
        "/gone" => status(410),
        _ => status(200),
    })
    .await;
    let things = Things::made(&relay, &receiver).await;
    let described = Document::of(&relay).await;
    let operations = described.operations();
    let operations = operations
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"));
    let operations: Vec<String> = operations.collect();
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.json");
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools/fuzz");
    let settings = std::fs::read_to_string(fuzz.join("schemathesis.toml")).unwrap();
    let settings = format!("{settings}\n{}", things.dictionaries());
    let file = directory.path().join("schemathesis.toml");
    std::fs::write(&file, settings).unwrap();

    let described = directory.path().join("openapi.json");
    let document = relay.api.get_text("/api/v1/openapi.json").await;
    std::fs::write(&described, document).unwrap();

    let given = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let mut run = Command::new(tools().join("python/bin/schemathesis"));
    run.arg("--config-file").arg(&file);
    run.args(["run", "--no-color", "--workers", "1"]);
    run.args(["--seed", &given("FUZZ_SEED", "1")]);
    run.args(["--max-examples", &given("FUZZ_EXAMPLES", "8")]);
    run.arg("--report-json-path").arg(&report);
    if let Ok(only) = std::env::var("FUZZ_ONLY") {
        run.args(["--include-name-regex", &only]);
    }
    // From a file: of where it gets the document itself it draws nothing.
    run.args(["--url", &relay.api.base]).arg(&described);
    run.current_dir(directory.path())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", &fuzz)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("FUZZ_KEY", KEY)
        .env("FUZZ_RECEIVER", receiver.url())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(LONGEST, run.output()).await.unwrap();
    let ended = ended.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let failed = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{failed}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    if std::env::var_os("FUZZ_ONLY").is_none() {
        all_was_reached(&report, &operations);
    }
}

/// Nothing was left out, and every operation was told something that it could do, or could have
/// done were the thing in another state.
fn all_was_reached(report: &Value, operations: &[String]) {
    assert_eq!(
        report["operations"]["tested"],
        operations.len(),
        "{report:#}"
    );
    let rates = report["valid_rates"].as_object().unwrap();
    let accepted = |phases: &Value| {
        let phases = phases.as_object().unwrap().values();
        let counts = phases.flat_map(|rate| [&rate["accepted"], &rate["conflicts"]]);
        counts.filter_map(Value::as_u64).sum::<u64>()
    };
    let refused: Vec<&String> = operations
        .iter()
        .filter(|name| rates.get(*name).is_none_or(|phases| accepted(phases) == 0))
        .filter(|name| !WITHOUT_SUCCESS.contains(&name.as_str()))
        .collect();
    assert!(refused.is_empty(), "only refused: {refused:?}");
}

/// What the relay has before anything is drawn.
#[derive(Default)]
struct Things(Vec<(&'static str, Vec<String>)>);

impl Things {
    fn dictionaries(&self) -> String {
        let mut all = String::new();
        for (name, values) in &self.0 {
            let values = serde_json::to_string(values).unwrap();
            writeln!(all, "[dictionaries.{name}]\nvalues = {values}").unwrap();
        }
        all
    }

    /// Users, their invitations, and sessions.
    async fn people(&mut self, relay: &Relay) {
        let (mut users, mut doomed, mut links, mut sessions) = (vec![], vec![], vec![], vec![]);
        for number in 0..DOOMED {
            for (kind, role) in [(&mut users, "viewer"), (&mut doomed, "admin")] {
                let email = format!("{role}-{number}@example.com");
                let body = json!({"email": email, "name": "somebody", "role": role});
                let made = relay.api.post(201, "/api/v1/users", &body).await;
                links.push(text(&made["invitation"], "token").to_owned());
                kind.push(text(&made, "id").to_owned());
            }
            let body = json!({"key": KEY});
            let made = relay.api.post(200, "/api/v1/session", &body).await;
            sessions.push(text(&made, "id").to_owned());
        }
        self.0.push(("users", users));
        self.0.push(("doomed_users", doomed));
        self.0.push(("links", links));
        self.0.push(("sessions", sessions));
        self.0.push(("signing_in_keys", vec![KEY.to_owned()]));
    }

    async fn made(relay: &Relay, receiver: &Receiver) -> Self {
        let api = &relay.api;
        let made = async |path: &str, body: Value| api.post(201, path, &body).await;
        let id = |made: &Value| text(made, "id").to_owned();
        let at = |path: &str| receiver.url().replace("/hook", path);
        let mut things = Self::default();

        let tenants = ["acme", "globex"].map(str::to_owned).to_vec();
        for tenant in &tenants {
            made("/api/v1/tenants", json!({"id": tenant, "name": tenant})).await;
        }
        made("/api/v1/tenants/acme/secret", json!({})).await;
        let mut doomed = Vec::new();
        for number in 0..DOOMED {
            let body = json!({"id": format!("doomed-{number}")});
            doomed.push(id(&made("/api/v1/tenants", body).await));
        }
        things.0.push(("tenants", tenants));
        things.0.push(("doomed_tenants", doomed));

        let mut keys = Vec::new();
        for preset in ["service", "client", "admin"] {
            let body = json!({"name": preset, "preset": preset, "tenant": "acme"});
            keys.push(id(&made("/api/v1/keys", body).await));
        }
        things.0.push(("keys", keys));

        things.people(relay).await;

        let schema = json!({"type": "object", "required": ["n"]});
        let types = ["known.type", "checked.type"].map(str::to_owned).to_vec();
        made(
            "/api/v1/event-types",
            json!({"name": types[0], "example": {"n": 1}}),
        )
        .await;
        made(
            "/api/v1/event-types",
            json!({"name": types[1], "schema": schema}),
        )
        .await;
        let mut doomed = Vec::new();
        for number in 0..DOOMED {
            let name = format!("doomed.{number}");
            made("/api/v1/event-types", json!({"name": name})).await;
            doomed.push(name);
        }
        things.0.push(("event_types", types));
        things.0.push(("doomed_event_types", doomed));

        let mut subscriptions = Vec::new();
        for (path, more) in [
            ("/hook", json!({"eventTypes": ["*"]})),
            ("/hook", json!({"clientId": "acme", "signature": "github"})),
            (
                "/hook",
                json!({"signing": "ed25519", "payloadFormat": "cloudevents"}),
            ),
            (
                "/failing",
                json!({"ordering": "key", "orderingFailure": "block"}),
            ),
            ("/gone", json!({"eventTypes": ["gone"]})),
        ] {
            let mut body = json!({
                "name": path, "url": at(path), "eventTypes": ["known.*", "checked.type"],
                "retryPolicy": {"attempts": 1},
            });
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().cloned().unwrap());
            subscriptions.push(id(&made("/api/v1/subscriptions", body).await));
        }
        let mut doomed = Vec::new();
        for _ in 0..DOOMED {
            let body = json!({"name": "doomed", "url": at("/hook"), "eventTypes": ["doomed"]});
            doomed.push(id(&made("/api/v1/subscriptions", body).await));
        }
        things.0.push(("doomed_subscriptions", doomed));

        let mut events = Vec::new();
        for (kind, tenant) in [
            ("known.type", "acme"),
            ("checked.type", "acme"),
            ("gone", "globex"),
        ] {
            let mut body = json!({
                "eventType": kind, "payload": {"n": 1}, "orderingKey": "o", "source": "fuzz",
                "idempotencyKey": format!("key of {kind}"),
            });
            if kind == "checked.type" {
                body["tenant"] = tenant.into();
            }
            let sent = api.post(202, "/api/v1/events", &body).await;
            events.push(text(&sent, "eventId").to_owned());
        }
        relay.nothing_pending().await;
        let gone = Subscribed {
            id: subscriptions[4].clone(),
            secret: String::new(),
        };
        relay
            .look_until("the deactivation", async || {
                let shown = api.subscription(&gone).await;
                (shown["state"] == "deactivated").then_some(())
            })
            .await;
        let mut doomed = Vec::new();
        for _ in 0..DOOMED {
            doomed.push(api.send("doomed", json!({"person": "somebody"})).await);
        }
        things.0.push(("doomed_events", doomed));

        let page = api.get("/api/v1/deliveries?limit=20").await;
        let deliveries = rows(&page).iter().map(id).collect();
        things.0.push(("deliveries", deliveries));
        let whole = format!("/api/v1/subscriptions/{}", subscriptions[0]);
        for path in ["pause", "resume"] {
            let path = format!("{whole}/{path}");
            api.expect(200, Method::POST, &path, None).await;
        }
        let job = json!({"eventIds": [events[0]]});
        let job = api.post(202, &format!("{whole}/replay"), &job).await;
        things.0.push(("jobs", vec![id(&job)]));
        things.0.push(("events", events));
        things.0.push(("subscriptions", subscriptions));
        let files = [
            "index.html",
            "swagger-ui.css",
            "swagger-ui-bundle.js",
            "favicon-32x32.png",
        ];
        things.0.push(("files", files.map(str::to_owned).to_vec()));
        things
    }
}
