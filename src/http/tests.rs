use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use axum::routing::{self, MethodFilter};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::domain::Timestamp;
use crate::domain::access::Scopes;
use crate::domain::api_key::{ApiKey, KeyHash, PublicId};
use crate::domain::id::ApiKeyId;
use crate::keyring::Keyring;
use crate::limits::Limits;

/// The table's routes with handlers that only say that they were reached, so that the table
/// and all layers are tested without a database.
fn stubs(routes: &[Route<HttpState>]) -> Vec<Route<()>> {
    let stub = |route: &Route<HttpState>| {
        let filter = MethodFilter::try_from(route.method.clone()).unwrap();
        Route {
            method: route.method.clone(),
            path: route.path,
            scope: route.scope,
            or: route.or,
            handler: routing::on(filter, async || "reached"),
        }
    };
    routes.iter().map(stub).collect()
}

/// No tenant is registered, and nobody reads the log.
fn door(gate: Arc<Gate>) -> Door {
    Door {
        gate,
        tenants: Arc::new(|_| None),
        log: Arc::new(|_| Box::pin(async { Ok(()) })),
    }
}

fn around(origins: &[&str]) -> Around {
    let origins: Vec<String> = origins.iter().map(|&one| one.to_owned()).collect();
    Around {
        bounds: Bounds {
            time: Duration::from_secs(5),
            bodies: BodyBudget::new(1_000),
        },
        cross_origin: cross_origin::layer(&origins),
    }
}

/// Lets in who has the admin key `right`, or one of the keys of `issued`.
fn gate(issued: &[(&str, Scopes)]) -> Arc<Gate> {
    let settings = Settings::load(None, [("", "")], false).unwrap();
    let keyring = Arc::<Keyring>::default();
    for (text, scopes) in issued {
        let key = ApiKey {
            id: ApiKeyId(Uuid::from_u128(1)),
            name: "issued".into(),
            public: PublicId::of_key(text.as_bytes()).unwrap(),
            hash: KeyHash::of(text.as_bytes()),
            scopes: *scopes,
            tenant: None,
            created_at: Timestamp::default(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            version: 1,
        };
        keyring.apply(1, &[key], Timestamp::default());
    }
    let limits = Arc::new(Limits::new(&settings.limits, None));
    let admin_key = AdminKey::new("right");
    Arc::new(Gate::new(admin_key, keyring, limits, &settings.server))
}

async fn call(method: &Method, path: &str, key: Option<(&str, &str)>) -> (u16, HeaderMap, String) {
    call_behind(gate(&[]), method, path, key).await
}

async fn call_behind(
    gate: Arc<Gate>,
    method: &Method,
    path: &str,
    key: Option<(&str, &str)>,
) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some((name, value)) = key {
        request = request.header(name, value);
    }
    let router = assemble(
        stubs(&guarded_routes()),
        stubs(&open_routes()),
        door(gate),
        around(&[]),
    );
    let response: Response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, 9_999).await.unwrap().to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, text)
}

fn error_of(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

const KEY: Option<(&str, &str)> = Some(("x-api-key", "right"));

#[tokio::test]
async fn no_route_of_the_table_is_reached_without_the_key() {
    let mut seen = 0;
    for route in guarded_routes() {
        for path in route.paths() {
            let path = path
                .replace("{id}", "0190b5a0-0000-7000-8000-000000000000")
                .replace("{event}", "0190b5a0-0000-7000-8000-000000000001")
                .replace("{name}", "a.b");
            for key in [
                None,
                Some(("authorization", "Bearer wrong")),
                Some(("x-api-key", "")),
            ] {
                let (status, headers, text) = call(&route.method, &path, key).await;
                assert_eq!(status, 401, "{} {path}", route.method);
                assert!(error_of(&text).contains("key is required"));
                assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
                assert!(headers.contains_key("x-request-id"));
            }
            for key in [
                KEY,
                Some(("authorization", "Bearer right")),
                Some(("x-service-token", "right")),
            ] {
                let (status, _, text) = call(&route.method, &path, key).await;
                assert_eq!(
                    (status, text.as_str()),
                    (200, "reached"),
                    "{} {path}",
                    route.method
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 2 * (guarded_routes().len() - 1));
}

#[tokio::test]
async fn each_route_asks_for_its_scope_and_no_other() {
    const ISSUED: &str = "ph_abcdefgh_a-test";
    let key = Some(("x-api-key", ISSUED));
    for route in guarded_routes() {
        let needed = route.scope.unwrap();
        let all = Scope::ALL
            .into_iter()
            .filter(|scope| *scope != Scope::Admin);
        let is_other = |scope: &Scope| *scope != needed && !route.or.contains(scope);
        let others: Scopes = all.filter(is_other).collect();
        for path in route.paths() {
            let path = path
                .replace("{id}", "0190b5a0-0000-7000-8000-000000000000")
                .replace("{event}", "0190b5a0-0000-7000-8000-000000000001")
                .replace("{name}", "a.b");
            let with = async |scopes| {
                call_behind(gate(&[(ISSUED, scopes)]), &route.method, &path, key).await
            };
            let (status, _, text) = with(others).await;
            assert_eq!(status, 403, "{} {path}", route.method);
            assert!(error_of(&text).contains(needed.as_str()), "{text}");
            for enough in route.or.iter().chain([&needed]) {
                let (status, _, text) = with([*enough].into_iter().collect()).await;
                assert_eq!(
                    (status, text.as_str()),
                    (200, "reached"),
                    "{} {path}",
                    route.method
                );
            }
        }
    }
}

/// Every route that changes something, and every one that shows a secret, leaves an entry: also
/// one that was added to the table without a thought of the log.
#[tokio::test]
async fn every_route_that_changes_something_is_noted() {
    let written = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log: Log = {
        let written = Arc::clone(&written);
        Arc::new(move |entry| {
            written.lock().unwrap().push(entry);
            Box::pin(async { Ok(()) })
        })
    };
    let id = "0190b5a0-0000-7000-8000-000000000000";
    let mut noted = 0;
    for route in guarded_routes() {
        let quiet = match route.method {
            Method::GET => !route.path.ends_with("/secret"),
            Method::POST => route.path == EVENTS,
            _ => false,
        };
        for path in route.paths() {
            let router = assemble(
                stubs(&guarded_routes()),
                stubs(&open_routes()),
                Door {
                    log: Arc::clone(&log),
                    ..door(gate(&[]))
                },
                around(&[]),
            );
            let request = Request::builder()
                .method(&route.method)
                .uri(
                    path.replace("{id}", id)
                        .replace("{event}", "0190b5a0-0000-7000-8000-000000000001")
                        .replace("{name}", "a.b"),
                )
                .header("x-api-key", "right")
                .header("x-request-id", "one");
            let answer = router.oneshot(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.unwrap().status(), 200, "{} {path}", route.method);
            let entries = std::mem::take(&mut *written.lock().unwrap());
            if quiet {
                assert_eq!(entries, [], "{} {path}", route.method);
                continue;
            }
            let [entry] = entries.as_slice() else {
                panic!("{} {path} is noted as {entries:?}", route.method);
            };
            noted += 1;
            assert!(entry.action.starts_with(&format!("{}.", entry.thing)));
            assert_eq!(
                (entry.caller.as_str(), entry.request_id.as_str()),
                ("admin", "one")
            );
            let named = match route.path {
                path if path.contains("{id}") => Some(id),
                path if path.contains("{name}") => Some("a.b"),
                _ => None,
            };
            assert_eq!(entry.thing_id.as_deref(), named);
        }
    }
    assert!(noted > 30);
}

/// What was not allowed, or did not succeed, was not done.
#[tokio::test]
async fn what_fails_is_not_noted() {
    let log: Log = Arc::new(|entry| panic!("{entry:?} was not done"));
    for (key, status) in [("wrong", 401), ("right", 409)] {
        let refusing = Route::post("/jobs/{id}/cancel", Scope::DeliveriesWrite, async || {
            ApiError::conflict("ended already")
        });
        let router: Router = assemble(
            vec![refusing],
            Vec::new(),
            Door {
                log: Arc::clone(&log),
                ..door(gate(&[]))
            },
            around(&[]),
        );
        let request = Request::post("/api/v1/jobs/x/cancel").header("x-api-key", key);
        let answer = router.oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), status);
    }
}

#[tokio::test]
async fn every_name_of_a_resource_leads_to_it() {
    for path in [
        "/api/v1/events",
        "/api/events",
        "/api/v1/subscriptions",
        "/api/subscriptions",
        "/api/v1/webhooks",
        "/api/webhooks",
        "/api/webhooks/x/deliveries",
        "/api/deliveries",
        "/api/logs",
        "/api/v1/logs",
        "/logs",
        "/webhooks",
        "/webhooks/x/deliveries",
        "/events",
        "/api/events?eventType=candidate.created&limit=50&offset=0",
    ] {
        assert_eq!(call(&Method::GET, path, KEY).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn health_needs_no_key() {
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(call(&Method::GET, path, None).await.0, 200, "{path}");
        let (status, headers, text) = call(&Method::POST, path, None).await;
        assert_eq!(status, 405);
        assert_eq!(headers[header::ALLOW], "GET,HEAD");
        assert!(error_of(&text).contains("method"));
    }
}

#[tokio::test]
async fn strangers_cannot_tell_which_routes_there_are() {
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/api/v1/nothing"),
        (Method::DELETE, "/api/v1/events"),
        (Method::OPTIONS, "/api/v1/events"),
        (Method::GET, "/health/"),
    ] {
        assert_eq!(call(&method, path, None).await.0, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_answered_in_our_shape() {
    let (status, headers, text) = call(&Method::GET, "/api/v1/nothing", KEY).await;
    assert_eq!(
        (status, error_of(&text).as_str()),
        (404, "There is no such route; /docs lists all")
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let (status, headers, text) = call(&Method::DELETE, "/api/v1/events", KEY).await;
    assert_eq!(status, 405);
    assert!(error_of(&text).contains("method"));
    let allowed = headers[header::ALLOW].to_str().unwrap();
    let mut allowed: Vec<&str> = allowed.split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[test]
fn the_real_table_has_no_contradictions() {
    // The router panics on overlapping routes.
    let door = door(gate(&[]));
    let _: Router<HttpState> = assemble(guarded_routes(), open_routes(), door, around(&[]));
}

#[tokio::test]
async fn an_id_that_is_no_uuid_names_nothing() {
    let router = || {
        Router::new().route(
            "/{id}",
            routing::get(async |path::PathId(id): path::PathId| id.to_string()),
        )
    };
    for (path, status) in [
        ("/0190b5a0-0000-7000-8000-000000000000", 200),
        ("/17", 404),
        ("/%00", 404),
        ("/%ff", 404),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
}

/// A router with answers of several sizes, behind all layers.
async fn answered(origins: &[&str], method: Method, headers: &[(&str, &str)]) -> Response {
    let long = Route::open("/long", async || "x".repeat(5_000));
    let short = Route::open("/short", async || "x".repeat(1_000));
    let guarded = Route::get("/guarded", Scope::EventsRead, async || "reached");
    let router: Router = assemble(
        vec![guarded],
        vec![long, short],
        door(gate(&[])),
        around(origins),
    );
    let path = headers.iter().find(|(name, _)| *name == ":path");
    let mut request = Request::builder()
        .method(method)
        .uri(path.map_or("/api/v1/guarded", |(_, path)| path));
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        request = request.header(*name, *value);
    }
    let answer = router.oneshot(request.body(Body::empty()).unwrap()).await;
    answer.unwrap()
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_read_it() {
    for (path, accepts, compressed) in [
        ("/long", "gzip, br", true),
        ("/long", "br", false),
        ("/long", "identity", false),
        ("/short", "gzip", false),
    ] {
        let headers = [(":path", path), ("accept-encoding", accepts)];
        let answer = answered(&[], Method::GET, &headers).await;
        let encoding = answer.headers().get(header::CONTENT_ENCODING).cloned();
        assert_eq!(encoding.is_some(), compressed, "{path} {accepts}");
        if compressed {
            assert_eq!(encoding.unwrap(), "gzip");
            let body = to_bytes(answer.into_body(), 9_999).await.unwrap();
            assert!(body.len() < 1_000 && body.starts_with(&[0x1f, 0x8b]));
        }
    }
}

#[tokio::test]
async fn preflights_are_answered_only_where_origins_are_allowed() {
    let preflight = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-api-key,content-type"),
        ]
    };
    let ours = "https://ops.example.com";
    for (allowed, origin, status, told) in [
        (vec![], ours, 401, None),
        (
            vec!["https://other.example.com", ours],
            ours,
            200,
            Some(ours),
        ),
        (vec![ours], "https://ops.example.com.evil.org", 200, None),
        (vec![ours], "null", 200, None),
        (vec!["*"], "https://anything.example.org", 200, Some("*")),
    ] {
        let answer = answered(&allowed, Method::OPTIONS, &preflight(origin)).await;
        assert_eq!(answer.status().as_u16(), status, "{allowed:?} {origin}");
        let headers = answer.headers();
        let named = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(
            named.map(|one| one.to_str().unwrap()),
            told,
            "{allowed:?} {origin}"
        );
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
        if told.is_some() {
            let sent = headers[header::ACCESS_CONTROL_ALLOW_HEADERS]
                .to_str()
                .unwrap();
            assert!(
                sent.contains("x-api-key") && sent.contains("idempotency-key"),
                "{sent}"
            );
        }
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_reads_answers_and_still_needs_a_key() {
    let ours = "https://ops.example.com";
    for (allowed, key, status, told) in [
        (vec![ours], "right", 200, true),
        (vec![ours], "wrong", 401, true),
        (vec![], "right", 200, false),
    ] {
        let headers = [("origin", ours), ("x-api-key", key)];
        let answer = answered(&allowed, Method::GET, &headers).await;
        assert_eq!(answer.status().as_u16(), status);
        let headers = answer.headers();
        let named = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(named.is_some(), told, "{allowed:?} {key}");
    }
}

#[tokio::test]
async fn every_answer_of_the_router_is_harmless_in_a_browser() {
    for path in ["/long", "/api/v1/guarded", "/nothing"] {
        let answer = answered(&[], Method::GET, &[(":path", path)]).await;
        let headers = answer.headers();
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}
