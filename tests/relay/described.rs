//! The OpenAPI document: what it says is what a real relay answers. Every answer of a walk through the
//! API fits its schema, which may lack no field.

mod administered;
mod walk;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::administered::{catalogued, with_tenants_and_keys, with_users};
use self::walk::Walk;
use crate::document::Document;
use crate::support::receiver::status;
use crate::support::relay::{Subscribed, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(every_answer_fits_its_schema);

const NOTHING: &str = "0190b5a0-0000-7000-8000-000000000000";

async fn every_answer_fits_its_schema(profile: Profile) {
    let relay = Relay::start(profile).await;
    let document = Document::of(&relay).await;
    let (good, bad) = (
        Receiver::answering(|_, _| status(200)).await,
        Receiver::answering(|_, _| status(500)).await,
    );
    let mut walk = Walk {
        relay: &relay,
        document: &document,
        seen: BTreeSet::new(),
    };
    let nothing = Value::Null;

    let new = json!({
        "name": "walk", "url": good.url(), "eventTypes": ["a", "b.*"], "clientId": "t",
        "headers": {"x-own": "1"}, "retryPolicy": {"attempts": 2}, "timeoutMs": 900,
        "maxInFlight": 3, "rateLimit": {"limit": 100}, "breaker": {"probes": 1},
        "ordering": "key", "orderingFailure": "block", "deactivation": {"failingForMs": 0},
        "payloadFormat": "standard", "signature": ["github", {"header": "x-own-signature"}],
        "secret": "made-elsewhere-1",
    });
    let made = walk
        .go(201, "POST /api/v1/subscriptions", "", "", new)
        .await;
    let first = text(&made, "id").to_owned();
    let failing = json!({
        "name": "bad", "url": bad.url(), "eventTypes": ["a"], "retryPolicy": {"attempts": 1},
        "ordering": "key", "orderingFailure": "block", "clientId": "t",
    });
    let failing = walk
        .go(201, "POST /api/v1/subscriptions", "", "", failing)
        .await;
    let failing = text(&failing, "id").to_owned();

    let event = json!({
        "eventType": "a", "eventName": "A", "payload": {"n": 1}, "source": "walk", "tenant": "t",
        "idempotencyKey": "k", "orderingKey": "o", "occurredAt": "2025-10-26T10:00:00Z",
    });
    let sent = walk
        .go(202, "POST /api/v1/events", "", "", event.clone())
        .await;
    let event_id = text(&sent, "eventId").to_owned();
    walk.go(202, "POST /api/v1/events", "", "", json!([event]))
        .await;
    let mixed = json!([{"eventType": "c", "data": 1}, {"eventType": "c"}]);
    walk.go(
        207,
        "POST /api/v1/events",
        "",
        "?atomic=false",
        mixed.clone(),
    )
    .await;
    walk.go(400, "POST /api/v1/events", "", "", mixed).await;
    let other = json!({"eventType": "a", "data": 2, "idempotencyKey": "k", "tenant": "t"});
    walk.go(422, "POST /api/v1/events", "", "", other).await;
    relay.nothing_pending().await;

    walk.go(200, "GET /api/v1/events", "", "?limit=1", nothing.clone())
        .await;
    walk.go(400, "GET /api/v1/events", "", "?limit=x", nothing.clone())
        .await;
    walk.go(
        200,
        "GET /api/v1/events/{id}",
        &event_id,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(404, "GET /api/v1/events/{id}", NOTHING, "", nothing.clone())
        .await;
    for query in [
        format!("?subscription={failing}"),
        "?explain=true&limit=5".to_owned(),
    ] {
        let name = "GET /api/v1/events/{id}";
        walk.go(200, name, &event_id, &query, nothing.clone()).await;
    }
    erased(&mut walk).await;
    tried_out(&mut walk, &first, &good.url()).await;
    let both = format!("{first} {event_id}");
    let again = "POST /api/v1/subscriptions/{id}/retry/{event}";
    walk.go(202, again, &both, "", nothing.clone()).await;
    relay.nothing_pending().await;

    let of_failing = format!("?subscriptionId={failing}");
    let page = walk
        .go(
            200,
            "GET /api/v1/deliveries",
            "",
            &of_failing,
            nothing.clone(),
        )
        .await;
    let delivery = text(&page["data"][0], "id").to_owned();
    walk.go(
        200,
        "GET /api/v1/deliveries/{id}",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    let name = "GET /api/v1/subscriptions/{id}/blocked-keys";
    walk.go(200, name, &failing, "", nothing.clone()).await;
    walk.go(
        200,
        "POST /api/v1/deliveries/{id}/skip",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        409,
        "POST /api/v1/deliveries/{id}/skip",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        409,
        "POST /api/v1/deliveries/{id}/cancel",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        200,
        "GET /api/v1/deliveries/{id}/body",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        202,
        "POST /api/v1/deliveries/{id}/retry",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    relay.nothing_pending().await;

    for (name, body) in [
        ("POST /api/v1/subscriptions/{id}/pause", json!({})),
        ("GET /api/v1/subscriptions/{id}/history", nothing.clone()),
        ("POST /api/v1/subscriptions/{id}/resume", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}/runtime", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}/secret", nothing.clone()),
        (
            "POST /api/v1/subscriptions/{id}/rotate-secret",
            json!({"overlapSeconds": 60}),
        ),
        ("GET /api/v1/subscriptions/{id}/stats", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}/deliveries", nothing.clone()),
        (
            "PUT /api/v1/subscriptions/{id}",
            json!({"isActive": false, "breaker": null}),
        ),
        (
            "POST /api/v1/subscriptions/{id}/cancel-pending",
            nothing.clone(),
        ),
        (
            "PATCH /api/v1/subscriptions/{id}",
            json!({"isActive": true, "name": "walked"}),
        ),
    ] {
        walk.go(200, name, &first, "", body).await;
    }
    walk.go(
        200,
        "GET /api/v1/subscriptions",
        "",
        "?clientId=t",
        nothing.clone(),
    )
    .await;
    let reactivate = "POST /api/v1/subscriptions/{id}/reactivate";
    walk.go(409, reactivate, &first, "", json!({"held": "send"}))
        .await;
    let gone = Receiver::answering(|_, _| status(410)).await;
    let held = json!({"name": "gone", "url": gone.url(), "eventTypes": ["gone"]});
    let held = walk
        .go(201, "POST /api/v1/subscriptions", "", "", held)
        .await;
    let held = Subscribed {
        id: text(&held, "id").into(),
        secret: String::new(),
    };
    relay.api.send("gone", json!(1)).await;
    relay
        .look_until("the deactivation", async || {
            let shown = relay.api.subscription(&held).await;
            (shown["state"] == "deactivated").then_some(())
        })
        .await;
    walk.go(
        200,
        "GET /api/v1/subscriptions/{id}",
        &held.id,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(200, reactivate, &held.id, "", json!({"held": "skip"}))
        .await;

    let since = json!({"since": "2025-01-01T00:00:00Z", "dryRun": true});
    for name in ["retry-failed", "replay"] {
        let name = format!("POST /api/v1/subscriptions/{{id}}/{name}");
        walk.go(200, &name, &first, "", since.clone()).await;
        walk.go(400, &name, &first, "", json!({"rate": 0})).await;
    }
    let named = json!({"eventIds": [event_id], "rate": 5});
    let job = walk
        .go(
            202,
            "POST /api/v1/subscriptions/{id}/replay",
            &first,
            "",
            named,
        )
        .await;
    let job = text(&job, "id").to_owned();
    walk.go(200, "GET /api/v1/jobs/{id}", &job, "", nothing.clone())
        .await;
    relay
        .look_until("the job's end", async || {
            let shown = relay.api.get(&format!("/api/v1/jobs/{job}")).await;
            (shown["state"] == "completed").then_some(())
        })
        .await;
    walk.go(
        409,
        "POST /api/v1/jobs/{id}/cancel",
        &job,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(200, "GET /api/v1/jobs", "", "", nothing.clone())
        .await;
    counted(&mut walk, &first).await;
    catalogued(&mut walk).await;
    with_tenants_and_keys(&mut walk).await;
    with_users(&mut walk).await;
    walk.go(
        200,
        "GET /api/v1/audit",
        "",
        "?thing=tenant",
        nothing.clone(),
    )
    .await;
    for name in [
        "GET /api/v1/dashboard/health",
        "GET /health",
        "GET /health/live",
        "GET /health/ready",
        "GET /api/v1/openapi.json",
    ] {
        walk.go(200, name, "", "", nothing.clone()).await;
    }
    walk.go(
        204,
        "DELETE /api/v1/subscriptions/{id}",
        &first,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        404,
        "DELETE /api/v1/subscriptions/{id}",
        &first,
        "",
        nothing,
    )
    .await;

    // What is no JSON is looked at in `reference.rs` and `measured.rs`.
    let all = document.operations();
    let all = all.iter().filter(|(_, _, operation)| {
        let good = &operation["responses"]["200"]["content"];
        let other = good.as_object().and_then(|content| content.keys().next());
        operation["responses"].get("308").is_none()
            && other.is_none_or(|media| media == "application/json")
    });
    let all = all.map(|(method, path, _)| format!("{method} {path}"));
    let left: Vec<String> = all.filter(|name| !walk.seen.contains(name)).collect();
    assert!(left.is_empty(), "the walk leaves out {left:?}");
}

async fn tried_out(walk: &mut Walk<'_>, subscription: &str, url: &str) {
    let name = "POST /api/v1/subscriptions/{id}/test";
    walk.go(200, name, subscription, "", Value::Null).await;
    let body = json!({"eventType": "a", "payload": {"n": 1}});
    walk.go(200, name, subscription, "", body).await;
    walk.go(400, name, subscription, "", json!({"more": 1}))
        .await;
    let name = "POST /api/v1/subscriptions/test";
    let unsaved = |url: &str| json!({"name": "n", "url": url, "eventTypes": ["a"]});
    walk.go(200, name, "", "", unsaved(url)).await;
    // Nobody answers there.
    walk.go(200, name, "", "", unsaved("http://127.0.0.1:9/"))
        .await;
}

async fn erased(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    let event = json!({"eventType": "c", "data": {"person": "somebody"}});
    let sent = walk.go(202, "POST /api/v1/events", "", "", event).await;
    let id = text(&sent, "eventId").to_owned();
    let search = "?q=payload.person%3Dsomebody&limit=5";
    let found = walk
        .go(200, "GET /api/v1/events", "", search, nothing.clone())
        .await;
    assert_eq!(found["data"][0]["id"], *id);
    let name = "DELETE /api/v1/events/{id}/payload";
    walk.go(200, name, &id, "?cancelPending=true", nothing.clone())
        .await;
    walk.go(200, "GET /api/v1/events/{id}", &id, "", nothing)
        .await;
}

async fn counted(walk: &mut Walk<'_>, subscription: &str) {
    let nothing = Value::Null;
    let ids = format!("?ids={subscription}");
    for (name, query) in [
        ("GET /api/v1/events/stats/summary", ""),
        ("GET /api/v1/deliveries/stats/summary", ""),
        ("GET /api/v1/subscriptions/stats", ids.as_str()),
        ("GET /api/v1/deliveries", "?statusClass=5xx&q=a"),
        ("GET /api/v1/dashboard/overview", ""),
        ("GET /api/v1/system", ""),
        ("GET /api/v1/system/settings", ""),
        ("GET /api/v1/system/nodes", ""),
        ("GET /api/v1/dashboard/metrics", "?window=1h"),
        ("GET /api/v1/dashboard/recent-deliveries", "?limit=3"),
    ] {
        walk.go(200, name, "", query, nothing.clone()).await;
    }
    let name = "GET /api/v1/events/stats/summary";
    walk.go(400, name, "", "?since=x", nothing).await;
}
