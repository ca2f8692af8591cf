//! Keys: made, shown once, refused everywhere once they are taken back.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use posthaste::clock;
use posthaste::domain::Timestamp;
use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::support::backend::Backend;
use crate::support::process::command;
use crate::support::relay::{KEY, rows, text};
use crate::support::{Process, Profile, Proxy, Relay, soon};

crate::stories!(
    a_key_is_made_used_and_taken_back,
    a_key_may_do_what_its_scopes_say,
    a_tenants_administrator_has_its_own_keys_alone,
    a_key_expires_by_the_clock,
    so_many_keys_and_no_more,
    when_a_key_was_used_survives_a_restart,
    a_key_is_nowhere_but_in_its_answer,
    the_command_line_makes_lists_and_takes_back,
);

const KEYS: &str = "/api/v1/keys";
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// A key just made.
struct Made {
    key: String,
    id: String,
}

impl Made {
    fn path(&self) -> String {
        format!("{KEYS}/{}", self.id)
    }
}

async fn make(relay: &Relay, body: Value) -> Made {
    let made = relay.api.post(201, KEYS, &body).await;
    Made {
        key: text(&made, "key").to_owned(),
        id: text(&made, "id").to_owned(),
    }
}

/// What is answered to a request with this key.
async fn with_key(
    base: &str,
    key: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let request = reqwest::Client::new().request(method, format!("{base}{path}"));
    let request = request.header("X-API-Key", key);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn list_events(relay: &Relay, key: &str) -> (u16, Value) {
    with_key(&relay.api.base, key, Method::GET, "/api/v1/events", None).await
}

/// Asks until the key is refused, and says in which words.
async fn refused(relay: &Relay, key: &str) -> String {
    soon("the key to be refused", async {
        loop {
            let (status, answer) = list_events(relay, key).await;
            if status == 401 {
                return text(&answer, "error").to_owned();
            }
            assert_eq!(status, 200, "{answer}");
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn a_key_is_made_used_and_taken_back(profile: Profile) {
    let relay = Relay::start(profile).await;
    let body = json!({"name": "billing", "preset": "service"});
    let answer = relay.api.request(Method::POST, KEYS).json(&body);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    let mut made: Value = answer.json().await.unwrap();
    let key = made.as_object_mut().unwrap().remove("key").unwrap();
    let key = key.as_str().unwrap();
    assert!(
        key.starts_with(text(&made, "prefix")) && key.len() == 55,
        "{key}"
    );
    assert_eq!(made["scopes"], json!(["events:write", "events:read"]));
    assert_eq!(
        (text(&made, "state"), &made["tenant"]),
        ("active", &Value::Null)
    );
    assert_eq!(relay.api.get(&place).await, made);

    let event = json!({"eventType": "a.b", "payload": 1});
    let bearer = format!("Bearer {key}");
    for (name, value) in [
        ("Authorization", bearer.as_str()),
        ("X-API-Key", key),
        ("X-Service-Token", key),
    ] {
        // Both ways in: past the router and through it.
        let client = reqwest::Client::new();
        let url = format!("{}/api/v1/events", relay.api.base);
        let post = client.post(&url).header(name, value).json(&event).send();
        assert_eq!(post.await.unwrap().status(), 202, "{name}");
        let get = client.get(&url).header(name, value).send();
        assert_eq!(get.await.unwrap().status(), 200, "{name}");
    }
    let forged = format!("{}_{}", text(&made, "prefix"), "A".repeat(43));
    let refusal = async |key: &str| {
        let (status, mut answer) = list_events(&relay, key).await;
        // Each request has a name of its own.
        assert!(answer["instance"].take().is_string());
        (status, answer)
    };
    let stranger = refusal("no key at all").await;
    assert_eq!(refusal(&forged).await, stranger);
    assert_eq!(
        (stranger.0, &stranger.1["code"]),
        (401, &"key-required".into())
    );

    relay.api.expect(204, Method::DELETE, &place, None).await;
    for method in [Method::GET, Method::POST] {
        let path = "/api/v1/events";
        let (status, answer) = with_key(&relay.api.base, key, method, path, Some(&event)).await;
        assert_eq!(status, 401);
        assert!(text(&answer, "error").contains("revoked at"), "{answer}");
    }
    assert_eq!(refusal(&forged).await, stranger);
    let revoked = relay.api.get(&place).await;
    assert_eq!(revoked["state"], "revoked");
    relay.api.expect(204, Method::DELETE, &place, None).await;
    assert_eq!(
        relay.api.get(&place).await["revokedAt"],
        revoked["revokedAt"]
    );
    assert_eq!(
        rows(&relay.api.get(KEYS).await).len(),
        1,
        "it is still listed"
    );
    for method in [Method::GET, Method::DELETE] {
        let path = format!("{KEYS}/{NOBODY}");
        relay.api.expect(404, method, &path, None).await;
    }
    let bad = json!({"name": "", "scopes": ["root"]});
    let faults = relay.api.post(400, KEYS, &bad).await;
    assert_eq!(faults["faults"].as_array().unwrap().len(), 2, "{faults}");
}

async fn a_key_may_do_what_its_scopes_say(profile: Profile) {
    let relay = Relay::start(profile).await;
    let base = &relay.api.base;
    let reader = make(&relay, json!({"name": "r", "scopes": ["events:read"]})).await;
    let event = json!({"eventType": "a.b", "payload": 1});
    let ask = async |method, path, body| with_key(base, &reader.key, method, path, body).await;
    assert_eq!(ask(Method::GET, "/api/v1/events", None).await.0, 200);
    for (method, path, lacks) in [
        (Method::POST, "/api/v1/events", "events:write"),
        (Method::GET, "/api/v1/subscriptions", "subscriptions:read"),
        (Method::POST, KEYS, "admin"),
        (Method::GET, KEYS, "admin"),
    ] {
        let (status, answer) = ask(method, path, Some(&event)).await;
        assert_eq!(status, 403, "{path}");
        assert!(text(&answer, "error").contains(lacks), "{answer}");
    }
    let (_, shown) = ask(Method::GET, "/health", None).await;
    assert!(
        shown["components"]["store"].get("detail").is_none(),
        "{shown}"
    );
    let admin = make(&relay, json!({"name": "a", "preset": "admin"})).await;
    let (_, shown) = with_key(base, &admin.key, Method::GET, "/health", None).await;
    assert!(
        shown["components"]["store"]["detail"].is_string(),
        "{shown}"
    );
    let (status, _) = with_key(base, &admin.key, Method::DELETE, &admin.path(), None).await;
    assert_eq!(status, 204, "a key may take itself back");
    assert_eq!(
        with_key(base, &admin.key, Method::GET, KEYS, None).await.0,
        401
    );
}

async fn a_tenants_administrator_has_its_own_keys_alone(profile: Profile) {
    let relay = Relay::start(profile).await;
    let acme = json!({"name": "acme's", "preset": "admin", "clientId": "acme"});
    let acme = make(&relay, acme).await;
    let other = json!({"name": "other's", "preset": "client", "tenant": "other"});
    let other = make(&relay, other).await;
    let nobodys = make(&relay, json!({"name": "nobody's", "preset": "client"})).await;
    let ask = async |method, path: &str, body: Option<&Value>| {
        with_key(&relay.api.base, &acme.key, method, path, body).await
    };
    let named = async |path: &str| {
        let (status, page) = ask(Method::GET, path, None).await;
        assert_eq!(status, 200);
        let names = rows(&page).iter().map(|row| text(row, "name").to_owned());
        names.collect::<Vec<_>>()
    };
    let body = json!({"name": "made by acme", "preset": "service"});
    let (status, made) = ask(Method::POST, KEYS, Some(&body)).await;
    assert_eq!((status, text(&made, "tenant")), (201, "acme"));
    assert_eq!(made["clientId"], "acme");
    let own = ["made by acme", "acme's"];
    assert_eq!(named(KEYS).await, own);
    assert_eq!(named(&format!("{KEYS}?tenant=acme")).await, own);
    assert_eq!(
        named(&format!("{KEYS}?tenant=other")).await,
        Vec::<String>::new()
    );
    for key in [&other, &nobodys] {
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(ask(method, &key.path(), None).await.0, 404);
        }
        assert_eq!(list_events(&relay, &key.key).await.0, 200);
    }
    let body = json!({"name": "n", "preset": "service", "tenant": "other"});
    let (status, answer) = ask(Method::POST, KEYS, Some(&body)).await;
    assert_eq!(status, 403);
    assert!(text(&answer, "error").contains("acme"), "{answer}");
    let page = relay.api.get(&format!("{KEYS}?limit=3")).await;
    assert_eq!(rows(&page).len(), 3);
    let cursor = text(&page, "nextCursor");
    let page = relay
        .api
        .get(&format!("{KEYS}?limit=3&cursor={cursor}"))
        .await;
    assert_eq!((rows(&page).len(), &page["nextCursor"]), (1, &Value::Null));
    relay
        .api
        .expect(400, Method::GET, &format!("{KEYS}?state=x"), None)
        .await;
}

async fn a_key_expires_by_the_clock(profile: Profile) {
    let relay = Relay::start(profile).await;
    let end = clock::now().plus(Duration::from_secs(3)).to_string();
    let end = Timestamp::parse_rfc3339(&end).unwrap();
    let body = json!({"name": "n", "preset": "service", "expiresAt": end.to_string()});
    let made = make(&relay, body).await;
    let error = refused(&relay, &made.key).await;
    assert!(error.contains(&format!("expired at {end}")), "{error}");
    assert!(clock::now() >= end);
    assert_eq!(relay.api.get(&made.path()).await["state"], "expired");
    let past = json!({"name": "n", "preset": "service", "expiresAt": "2025-01-01T00:00:00Z"});
    relay.api.post(400, KEYS, &past).await;
}

async fn so_many_keys_and_no_more(profile: Profile) {
    let relay = Relay::start_with(profile, &[("POSTHASTE_AUTH__MAX_KEYS", "2")]).await;
    let body = json!({"name": "n", "preset": "service"});
    for _ in 0..2 {
        relay.api.post(201, KEYS, &body).await;
    }
    let refused = relay.api.post(409, KEYS, &body).await;
    assert!(
        text(&refused, "error").contains("auth.max_keys"),
        "{refused}"
    );
}

async fn when_a_key_was_used_survives_a_restart(profile: Profile) {
    let relay = Relay::start(profile).await;
    let body = json!({"name": "n", "preset": "service"});
    let (used, unused) = (make(&relay, body.clone()).await, make(&relay, body).await);
    assert_eq!(relay.api.get(&used.path()).await["lastUsedAt"], Value::Null);
    assert_eq!(list_events(&relay, &used.key).await.0, 200);
    let shown = relay.api.get(&used.path()).await["lastUsedAt"].clone();
    assert!(shown.is_string());
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    assert_eq!(relay.api.get(&used.path()).await["lastUsedAt"], shown);
    assert_eq!(
        relay.api.get(&unused.path()).await["lastUsedAt"],
        Value::Null
    );
    assert_eq!(
        list_events(&relay, &used.key).await.0,
        200,
        "keys survive too"
    );
}

async fn a_key_is_nowhere_but_in_its_answer(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let logs = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(&backend, &[("POSTHASTE_LOG__FILTER", "trace")]);
    command.stderr(Stdio::from(logs.reopen().unwrap()));
    let process = Process::serving(command).await;
    let made = process
        .api
        .post(
            201,
            KEYS,
            &json!({"name": "told-apart", "preset": "service"}),
        )
        .await;
    let (key, id) = (text(&made, "key").to_owned(), text(&made, "id").to_owned());
    let base = process.api.base.clone();
    let ask = async |method| {
        with_key(&base, &key, method, "/api/v1/events", None)
            .await
            .0
    };
    assert_eq!(ask(Method::GET).await, 200);
    assert_eq!(ask(Method::POST).await, 400);
    let path = format!("{KEYS}/{id}");
    let shown = [
        process.api.get_text(&path).await,
        process.api.get_text(KEYS).await,
    ];
    process.api.expect(204, Method::DELETE, &path, None).await;
    assert_eq!(ask(Method::GET).await, 401);
    assert_eq!(process.terminate().await, Some(0));

    // The part behind the public one, as text and in the forms that databases write bytes in.
    let secret = &key[12..];
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let forms = [
        secret.to_owned(),
        hex(key.as_bytes()),
        hex(secret.as_bytes()),
    ];
    let log = std::fs::read_to_string(logs.path()).unwrap();
    assert!(log.contains(&id), "the log tells that a key was made");
    let stored = stored(&backend).await;
    assert!(stored.contains("told-apart"), "the tables were looked at");
    for (place, text) in [
        ("log", &log),
        ("answer", &shown[0]),
        ("list", &shown[1]),
        ("tables", &stored),
    ] {
        for form in &forms {
            assert!(
                !text.contains(form.as_str()),
                "the key stands in the {place}"
            );
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
    let tables =
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(&mut database)
        .await
        .unwrap();
    let mut all = String::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM \"{table}\" AS t"));
        for row in sqlx::query(sql).fetch_all(&mut database).await.unwrap() {
            all.push_str(row.get::<&str, _>(0));
        }
    }
    all
}

async fn the_command_line_makes_lists_and_takes_back(profile: Profile) {
    let relay = Relay::start(profile).await;
    let run = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .args(["keys", "--url", &relay.api.base])
            .args(arguments)
            .env_clear()
            .env("POSTHASTE_ADMIN_KEY", KEY)
            .output()
            .await
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let create = [
        "create", "--name", "a name", "--preset", "service", "--tenant", "t",
    ];
    let (code, printed, problem) = run(&[&create[..], &["--expires-in", "30d"]].concat()).await;
    assert_eq!(code, Some(0), "{problem}");
    let key = printed.lines().next().unwrap();
    assert_eq!(list_events(&relay, key).await.0, 200);
    assert!(
        printed.contains("only time") && printed.contains("expires at"),
        "{printed}"
    );

    let scopes = [
        "create",
        "--name",
        "b",
        "--scope",
        "admin",
        "--scope",
        "events:read",
        "--json",
    ];
    let (_, printed, _) = run(&scopes).await;
    let made: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(made["scopes"], json!(["events:read", "admin"]));
    assert_eq!(made["expiresAt"], Value::Null);

    let (_, printed, _) = run(&["list"]).await;
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert!(printed.contains("a name") && printed.contains("events:write,events:read"));
    let (code, printed, _) = run(&["revoke", text(&made, "id")]).await;
    assert_eq!(code, Some(0), "{printed}");
    let (_, printed, _) = run(&["list", "--json"]).await;
    let listed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (listed[0]["state"].as_str(), listed[1]["state"].as_str()),
        (Some("revoked"), Some("active"))
    );
    for (wrong, told) in [
        (["revoke", NOBODY].as_slice(), "There is no key"),
        (&["revoke", "x"], "is no id"),
        (&["create", "--name", "n"], "--preset"),
        (
            &["create", "--name", "n", "--scope", "root"],
            "events:write",
        ),
        (
            &[
                "create",
                "--name",
                "n",
                "--preset",
                "admin",
                "--expires-in",
                "soon",
            ],
            "30d",
        ),
        (&["create", "--name", "", "--preset", "admin"], "name"),
    ] {
        let (code, _, problem) = run(wrong).await;
        assert_ne!(code, Some(0), "{wrong:?}");
        assert!(problem.contains(told), "{wrong:?}: {problem}");
    }
}

/// Two relays on the same database.
async fn pair(more: &[(&str, &str)]) -> (Relay, Relay) {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let first = Relay::start_on(Arc::clone(&backend), more).await;
    (first, Relay::start_on(backend, more).await)
}

/// A key made at one relay works at the other, until it is taken back at the first.
async fn comes_and_goes(first: &Relay, second: &Relay) {
    let before = second.engine().events().follow();
    let made = make(first, json!({"name": "n", "preset": "service"})).await;
    assert_eq!(list_events(first, &made.key).await.0, 200);
    let mut facts = before;
    let changed = |fact: &EngineEvent| matches!(fact, EngineEvent::KeysChanged { .. });
    while !changed(&facts.recv().await.unwrap()) {}
    assert_eq!(list_events(second, &made.key).await.0, 200);
    first
        .api
        .expect(204, Method::DELETE, &made.path(), None)
        .await;
    assert_eq!(list_events(first, &made.key).await.0, 401);
    while !changed(&facts.recv().await.unwrap()) {}
    assert_eq!(list_events(second, &made.key).await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tells_the_other_nodes_of_keys() {
    // Were they found by looking only, so many would take longer than the story may.
    let (first, second) = pair(&[("POSTHASTE_AUTH__KEYS_REFRESH_MS", "10000")]).await;
    for relay in [&first, &second] {
        let hears = |health: &Value| health["components"]["feed"]["ok"] == true;
        relay.api.until_get("/health", "the feed", hears).await;
    }
    soon("five keys to come and go", async {
        for _ in 0..5 {
            comes_and_goes(&first, &second).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nodes_look_for_changed_keys() {
    let more = [
        ("REDIS_URL", ""),
        ("POSTHASTE_AUTH__KEYS_REFRESH_MS", "100"),
    ];
    let (first, second) = pair(&more).await;
    soon("a key to come and go", comes_and_goes(&first, &second)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_keys_are_let_in_while_the_database_is_away() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let proxy = Proxy::before(&backend.database_url().unwrap()).await;
    let more = [
        ("DATABASE_URL", proxy.url()),
        ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "300"),
        ("POSTHASTE_AUTH__KEYS_REFRESH_MS", "100"),
    ];
    let relay = Relay::start_on(backend, &more).await;
    let made = make(&relay, json!({"name": "n", "preset": "service"})).await;
    let gone = make(&relay, json!({"name": "n", "preset": "service"})).await;
    relay
        .api
        .expect(204, Method::DELETE, &gone.path(), None)
        .await;
    proxy.cut();
    for _ in 0..3 {
        assert_eq!(
            list_events(&relay, &made.key).await.0,
            503,
            "let in, and nothing to read"
        );
        assert_eq!(list_events(&relay, &gone.key).await.0, 401);
        let (status, answer) = list_events(&relay, "no key at all").await;
        assert_eq!(status, 401, "{answer}");
    }
    let body = json!({"name": "n", "preset": "service"});
    relay.api.post(503, KEYS, &body).await;
    proxy.mend();
    let healed = |health: &Value| health["components"]["store"]["ok"] == true;
    soon("the database to be back", async {
        while !healed(
            &relay
                .api
                .request(Method::GET, "/health")
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap(),
        ) {}
    })
    .await;
    assert_eq!(list_events(&relay, &made.key).await.0, 200);
}
