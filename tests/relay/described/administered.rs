//! The walk through what is administered: types of events, tenants, keys, users and sessions.

use reqwest::Method;
use serde_json::{Value, json};

use super::walk::Walk;
use crate::support::browser::{Browser, PASSWORD, ask};
use crate::support::relay::{KEY, text};

const SESSION: &str = "/api/v1/session";
/// No user has this id.
const NOTHING: &str = "0190b5a0-0000-7000-8000-000000000000";

pub async fn with_tenants_and_keys(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    let new = json!({
        "id": "walked", "name": "Walked",
        "limits": {"ingestRate": {"perSecond": 5, "burst": 9}, "maxSubscriptions": 1},
    });
    walk.go(201, "POST /api/v1/tenants", "", "", new.clone())
        .await;
    walk.go(409, "POST /api/v1/tenants", "", "", new).await;
    walk.go(200, "GET /api/v1/tenants", "", "?limit=1", nothing.clone())
        .await;
    let one = "/api/v1/tenants/{id}";
    let secret = "/api/v1/tenants/{id}/secret";
    for (status, method, path, body) in [
        (200, "GET", one, nothing.clone()),
        (200, "PUT", one, json!({"limits": null})),
        (200, "PATCH", one, json!({"name": "Other"})),
        (400, "PATCH", one, json!({"id": "other"})),
        (404, "GET", secret, nothing.clone()),
        (201, "POST", secret, json!({})),
        (200, "POST", secret, json!({"overlapSeconds": 60})),
        (200, "GET", secret, nothing.clone()),
    ] {
        walk.go(status, &format!("{method} {path}"), "walked", "", body)
            .await;
    }
    let new = json!({
        "name": "walked", "preset": "admin", "tenant": "walked",
        "expiresAt": "2099-01-01T00:00:00Z",
    });
    let made = walk.go(201, "POST /api/v1/keys", "", "", new).await;
    let own = walk.relay.api.with_key(text(&made, "key"));
    let answer = own
        .expect(
            403,
            Method::PATCH,
            "/api/v1/tenants/walked",
            Some(&json!({})),
        )
        .await;
    assert_eq!(answer["code"], "forbidden");
    let id = text(&made, "id").to_owned();
    let name = "GET /api/v1/keys";
    walk.go(200, name, "", "?tenant=walked", nothing.clone())
        .await;
    walk.go(200, "GET /api/v1/keys/{id}", &id, "", nothing.clone())
        .await;
    walk.go(
        409,
        "DELETE /api/v1/tenants/{id}",
        "walked",
        "",
        nothing.clone(),
    )
    .await;
    walk.go(204, "DELETE /api/v1/keys/{id}", &id, "", nothing.clone())
        .await;
    let answer = own.expect(401, Method::GET, "/api/v1/tenants", None).await;
    assert_eq!(answer["code"], "key-ended");
    walk.go(204, "DELETE /api/v1/tenants/{id}", "walked", "", nothing)
        .await;
}

/// Users are administered with a key; what stands in a session is asked for in one.
pub async fn with_users(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    walk.go(200, "GET /api/v1/setup", "", "", nothing.clone())
        .await;
    let token = walk.relay.engine().setup_token().unwrap().to_owned();
    let first = json!({"token": token, "email": "ada@example.com", "password": PASSWORD});
    let wrong = json!({"token": "phl_x", "email": "ada@example.com", "password": PASSWORD});
    for (status, body) in [(403, &wrong), (201, &first), (409, &first)] {
        walk.go(status, "POST /api/v1/setup", "", "", body.clone())
            .await;
    }
    let new = json!({"email": "grace@example.com", "name": "Grace", "role": "admin"});
    let made = walk
        .go(201, "POST /api/v1/users", "", "", new.clone())
        .await;
    walk.go(409, "POST /api/v1/users", "", "", new).await;
    let id = text(&made, "id").to_owned();
    let one = "/api/v1/users/{id}";
    for (status, method, path, body) in [
        (200, "GET", one.to_owned(), nothing.clone()),
        (404, "GET", one.to_owned(), nothing.clone()),
        (
            200,
            "PATCH",
            one.to_owned(),
            json!({"name": "Grace H", "role": "viewer"}),
        ),
        (400, "PATCH", one.to_owned(), json!({"role": "root"})),
        (
            200,
            "POST",
            format!("{one}/password"),
            json!({"password": PASSWORD}),
        ),
    ] {
        let id = if status == 404 { NOTHING } else { &*id };
        walk.go(status, &format!("{method} {path}"), id, "", body)
            .await;
    }
    let again = format!("POST {one}/password");
    let link = walk.go(200, &again, &id, "", json!({})).await;
    let token = text(&link["invitation"], "token");
    let taken = json!({"token": token, "name": "Grace", "password": PASSWORD});
    for (status, body) in [(200, &taken), (403, &taken)] {
        let name = "POST /api/v1/invitation";
        walk.go(status, name, "", "", body.clone()).await;
    }
    walk.go(200, "GET /api/v1/users", "", "?limit=1", nothing.clone())
        .await;
    let sign_in = json!({"email": "ada@example.com", "password": PASSWORD});
    let wrong = json!({"email": "ada@example.com", "password": "wrong"});
    for (status, body) in [(200, &sign_in), (200, &json!({"key": KEY})), (401, &wrong)] {
        walk.go(status, "POST /api/v1/session", "", "", body.clone())
            .await;
    }
    walk.go(404, "GET /api/v1/session", "", "", nothing.clone())
        .await;
    let nobody = ask(&walk.relay.api.base, Method::GET, SESSION, &[], None).await;
    assert_eq!((nobody.status, &nobody.body), (200, &Value::Null));
    let operation = walk.document.operation(&Method::GET, SESSION);
    let media = "application/json";
    let differences = walk
        .document
        .differences(operation, 200, media, &Value::Null);
    assert!(differences.is_empty(), "nobody: {differences:#?}");
    let sessions = walk
        .go(200, "GET /api/v1/sessions", "", "", nothing.clone())
        .await;
    let ended = text(&sessions["data"][0], "id").to_owned();
    walk.go(
        204,
        "DELETE /api/v1/sessions/{id}",
        &ended,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        404,
        "DELETE /api/v1/sessions/{id}",
        &ended,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(204, "DELETE /api/v1/users/{id}", &id, "", nothing.clone())
        .await;
    let base = &walk.relay.api.base;
    let browser = Browser::sign_in(base, "ada@example.com", PASSWORD).await;
    let last = format!("/api/v1/users/{}", text(&browser.session["user"], "id"));
    walk.relay
        .api
        .expect(409, Method::DELETE, &last, None)
        .await;
    let change = json!({"current": PASSWORD, "password": "another horse battery"});
    for (status, method, path, body) in [
        (200, Method::GET, "/api/v1/session", None),
        (400, Method::POST, "/api/v1/session/password", Some(&wrong)),
        (204, Method::POST, "/api/v1/session/password", Some(&change)),
        (204, Method::DELETE, "/api/v1/session", None),
    ] {
        let operation = walk.document.operation(&method, path);
        let answered = browser.call(method.clone(), path, body).await;
        assert_eq!(answered.status, status, "{method} {path}: {answered:?}");
        walk.seen.insert(format!("{method} {path}"));
        if status == 200 {
            let media = "application/json";
            let body = &answered.body;
            let differences = walk.document.differences(operation, status, media, body);
            assert!(differences.is_empty(), "{method} {path}: {differences:#?}");
        }
    }
}

pub async fn catalogued(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    let new = json!({
        "name": "walked.type", "description": "d", "example": {"n": 1}, "schema": {"type": "object"},
    });
    let name = "POST /api/v1/event-types";
    walk.go(201, name, "", "", new.clone()).await;
    walk.go(409, name, "", "", new).await;
    let bad = json!({"name": "b", "schema": {"type": "no"}});
    walk.go(400, name, "", "", bad).await;
    let bad = json!({"eventType": "walked.type", "data": 1});
    walk.go(400, "POST /api/v1/events", "", "", bad).await;
    walk.go(
        200,
        "GET /api/v1/event-types",
        "",
        "?limit=1",
        nothing.clone(),
    )
    .await;
    for (status, name, id, body) in [
        (200, "GET", "walked.type", nothing.clone()),
        (404, "GET", "walked.other", nothing.clone()),
        (
            200,
            "PATCH",
            "walked.type",
            json!({"example": null, "archived": true}),
        ),
        (200, "PUT", "walked.type", json!({})),
        (201, "PUT", "walked.other", json!({"schema": true})),
        (204, "DELETE", "walked.type", nothing.clone()),
        (404, "DELETE", "walked.type", nothing.clone()),
    ] {
        let name = format!("{name} /api/v1/event-types/{{name}}");
        walk.go(status, &name, id, "", body).await;
    }
}
