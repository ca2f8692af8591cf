//! The catalogue: what senders may send, and what it has to look like.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::relay::{rows, text};
use crate::support::{Profile, Relay};

crate::stories!(
    a_schema_is_held_against_what_comes_in,
    a_batch_falls_as_a_whole_or_item_by_item,
    unknown_and_archived_types_are_refused_where_that_is_set,
    the_catalogue_is_managed,
    a_restart_knows_the_catalogue,
);

const TYPES: &str = "/api/v1/event-types";

fn person() -> Value {
    json!({
        "name": "candidate.created",
        "description": "A candidate was added",
        "example": {"candidate": {"email": "doe@example.com"}},
        "schema": {
            "type": "object",
            "required": ["candidate"],
            "properties": {"candidate": {
                "type": "object",
                "properties": {"email": {"type": "string", "format": "email"}},
            }},
        },
    })
}

fn event(event_type: &str, payload: &Value) -> Value {
    json!({"eventType": event_type, "payload": payload})
}

async fn a_schema_is_held_against_what_comes_in(profile: Profile) {
    let relay = Relay::start(profile).await;
    let bad = event(
        "candidate.created",
        &json!({"candidate": {"email": "private"}}),
    );
    relay.api.post(202, "/api/v1/events", &bad).await;
    relay.api.post(201, TYPES, &person()).await;
    let refused = relay.api.post(400, "/api/v1/events", &bad).await;
    let message = text(&refused, "error");
    assert!(
        message.contains("payload/candidate/email does not match its schema"),
        "{message}"
    );
    assert!(!message.contains("private"), "{message}");
    let good = event(
        "candidate.created",
        &json!({"candidate": {"email": "a@example.com"}}),
    );
    relay.api.post(202, "/api/v1/events", &good).await;
    relay
        .api
        .post(202, "/api/v1/events", &event("other", &json!(1)))
        .await;
    // More than is checked at once: on a thread of its own, and all the same.
    let long = json!({"candidate": {"email": "x".repeat(100_000)}});
    relay
        .api
        .post(400, "/api/v1/events", &event("candidate.created", &long))
        .await;
    let removed = format!("{TYPES}/candidate.created");
    relay.api.expect(204, Method::DELETE, &removed, None).await;
    relay.api.post(202, "/api/v1/events", &bad).await;
}

async fn a_batch_falls_as_a_whole_or_item_by_item(profile: Profile) {
    let relay = Relay::start(profile).await;
    relay.api.post(201, TYPES, &person()).await;
    let good = event("candidate.created", &json!({"candidate": {}}));
    let batch = json!([
        good,
        good,
        event("candidate.created", &json!({"candidate": 1}))
    ]);
    let refused = relay.api.post(400, "/api/v1/events", &batch).await;
    assert!(
        text(&refused, "error").contains("[2].payload/candidate does not match its schema"),
        "{refused}"
    );
    let stored = relay.api.get("/api/v1/events").await;
    assert_eq!(rows(&stored).len(), 0);
    let answer = relay
        .api
        .post(207, "/api/v1/events?atomic=false", &batch)
        .await;
    let results = answer["results"].as_array().unwrap();
    let states: Vec<&str> = results.iter().map(|one| text(one, "status")).collect();
    assert_eq!(states, ["success", "success", "failed"]);
    assert!(
        text(&results[2], "error").contains("payload/candidate"),
        "{answer}"
    );
}

async fn unknown_and_archived_types_are_refused_where_that_is_set(profile: Profile) {
    let refuse = [("POSTHASTE_EVENTS__UNKNOWN_TYPES", "refuse")];
    let relay = Relay::start_with(profile, &refuse).await;
    let sent = event("job.created", &json!({}));
    let refused = relay.api.post(400, "/api/v1/events", &sent).await;
    assert!(
        text(&refused, "error").contains("eventType is not in the catalogue"),
        "{refused}"
    );
    relay
        .api
        .post(201, TYPES, &json!({"name": "job.created"}))
        .await;
    relay.api.post(202, "/api/v1/events", &sent).await;
    let path = format!("{TYPES}/job.created");
    let archive = json!({"archived": true});
    relay
        .api
        .expect(200, Method::PATCH, &path, Some(&archive))
        .await;
    let refused = relay.api.post(400, "/api/v1/events", &sent).await;
    assert!(text(&refused, "error").contains("is archived"), "{refused}");
}

async fn the_catalogue_is_managed(profile: Profile) {
    let relay = Relay::start(profile).await;
    let api = &relay.api;
    let made = api.post(201, TYPES, &person()).await;
    assert_eq!(made["schema"], person()["schema"]);
    assert_eq!(made["archived"], false);
    api.post(409, TYPES, &person()).await;
    let path = format!("{TYPES}/candidate.created");
    let change = json!({"description": null, "archived": true});
    let changed = api.expect(200, Method::PATCH, &path, Some(&change)).await;
    assert_eq!(changed["description"], Value::Null);
    assert_eq!(changed["schema"], person()["schema"]);
    // A PUT leaves nothing of what was there but when it was made.
    let whole = json!({"description": "again"});
    let replaced = api.expect(200, Method::PUT, &path, Some(&whole)).await;
    assert_eq!(
        (&replaced["schema"], &replaced["archived"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(replaced["createdAt"], made["createdAt"]);
    assert_eq!(api.get(&path).await, replaced);
    for name in ["a.a", "b.b", "d.d"] {
        let path = format!("{TYPES}/{name}");
        api.expect(201, Method::PUT, &path, Some(&json!({}))).await;
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("{TYPES}?limit=3{cursor}")).await;
        names.extend(rows(&page).iter().map(|row| text(row, "name").to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a.a", "b.b", "candidate.created", "d.d"]);
    let renamed = json!({"name": "other"});
    let refused = api.expect(400, Method::PATCH, &path, Some(&renamed)).await;
    assert!(text(&refused, "error").contains("name cannot be changed"));
    for (body, named) in [
        (
            json!({"name": "x", "schema": {"$ref": "https://example.com/s"}}),
            "no other is ever fetched",
        ),
        (
            json!({"name": "x", "schema": {"pattern": "(?=x)"}}),
            "schema at #/pattern",
        ),
        (json!({"name": "posthaste.x"}), "name must not begin"),
    ] {
        let refused = api.post(400, TYPES, &body).await;
        assert!(text(&refused, "error").contains(named), "{refused}");
    }
    for path in [
        format!("{TYPES}/missing"),
        format!("{TYPES}/not%20a%20type"),
    ] {
        api.expect(404, Method::GET, &path, None).await;
        api.expect(404, Method::DELETE, &path, None).await;
        api.expect(404, Method::PATCH, &path, Some(&json!({})))
            .await;
    }
}

async fn a_restart_knows_the_catalogue(profile: Profile) {
    let relay = Relay::start(profile).await;
    relay.api.post(201, TYPES, &person()).await;
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    let bad = event("candidate.created", &json!(1));
    relay.api.post(400, "/api/v1/events", &bad).await;
}

/// Whatever became of the announcement, the fence brings the news with the next commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_checks_by_the_change_from_its_next_commit_on() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let one = Relay::start_on(Arc::clone(&backend), &[]).await;
    let other = Relay::start_on(backend, &[]).await;
    let bad = event("candidate.created", &json!(1));
    for round in 0..3 {
        one.api.post(201, TYPES, &person()).await;
        // Checked by what was known as it came in; its commit learns of the change.
        other.api.post_raw("/api/v1/events", bad.to_string()).await;
        let (status, answer) = other.api.post_raw("/api/v1/events", bad.to_string()).await;
        assert_eq!(status, 400, "{round}: {answer}");
        let path = format!("{TYPES}/candidate.created");
        one.api.expect(204, Method::DELETE, &path, None).await;
        // Refused once more where it has not heard yet; then something else commits.
        other.api.send("job.created", json!({})).await;
        other.api.post(202, "/api/v1/events", &bad).await;
    }
}
