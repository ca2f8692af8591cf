//! Who did what: the log of administrative actions.

use std::sync::Arc;
use std::time::Duration;

use posthaste::clock;
use posthaste::domain::audit::AuditEntry;
use posthaste::settings::Settings;
use posthaste::store::{PostgresStore, SqliteStore, Store};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::relay::{rows, settings, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    actions_are_noted_with_what_they_changed,
    what_failed_or_did_nothing_is_not_noted,
    entries_go_with_time,
);

const DAY: Duration = Duration::from_secs(86_400);

async fn store_of(settings: &Settings) -> Arc<dyn Store> {
    if settings.is_distributed() {
        Arc::new(PostgresStore::connect(&settings.store).await.unwrap())
    } else {
        Arc::new(SqliteStore::open(&settings.store).await.unwrap())
    }
}

async fn log(relay: &Relay, query: &str) -> Vec<Value> {
    let page = relay.api.get(&format!("/api/v1/audit?{query}")).await;
    rows(&page).clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| text(entry, "action")).collect()
}

async fn actions_are_noted_with_what_they_changed(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let more = json!({"headers": {"authorization": "Bearer hidden"}});
    let to = relay.api.subscribe(&receiver, more).await;
    relay.api.put(&to.path(), &json!({"name": "renamed"})).await;
    let pause = format!("{}/pause", to.path());
    let request = relay
        .api
        .request(Method::POST, &pause)
        .header("x-request-id", "my-request");
    assert_eq!(request.send().await.unwrap().status(), 200);
    relay.api.get(&format!("{}/secret", to.path())).await;
    let event = relay.api.send("job.created", json!({})).await;
    let delivery = relay.api.delivery_of(&event).await;
    let cancel = format!("/api/v1/deliveries/{}/cancel", text(&delivery, "id"));
    relay.api.expect(200, Method::POST, &cancel, None).await;
    relay
        .api
        .post(
            201,
            "/api/v1/event-types",
            &json!({"name": "a", "archived": true}),
        )
        .await;
    relay
        .api
        .expect(200, Method::POST, &format!("{}/resume", to.path()), None)
        .await;
    let replay = format!("{}/replay", to.path());
    relay
        .api
        .post(202, &replay, &json!({"eventIds": [event]}))
        .await;
    relay.api.delete(&to).await;

    let entries = log(&relay, "").await;
    assert_eq!(
        actions(&entries),
        [
            "subscription.delete",
            "subscription.replay",
            "subscription.resume",
            "event_type.create",
            "delivery.cancel",
            "subscription.show_secret",
            "subscription.pause",
            "subscription.change",
            "subscription.create",
        ]
    );
    assert!(entries.iter().all(|entry| entry["caller"] == "admin"));
    let all = format!("{entries:?}");
    for hidden in ["hidden", to.secret.as_str(), "/hook"] {
        assert!(!all.contains(hidden), "{hidden} in {all}");
    }
    let paused = log(&relay, "action=subscription.pause").await;
    assert_eq!(paused.len(), 1);
    assert_eq!(paused[0]["requestId"], "my-request");
    assert_eq!(paused[0]["thing"], "subscription");
    assert_eq!(paused[0]["thingId"], to.id.as_str());
    let changed = log(&relay, "action=subscription.change").await;
    assert_eq!(changed[0]["changes"], json!({"name": "renamed"}));
    let made = log(
        &relay,
        &format!("thingId={}&action=subscription.create", to.id),
    )
    .await;
    assert_eq!(made[0]["changes"]["headers"], "***");
    assert_eq!(log(&relay, "thing=event_type").await[0]["thingId"], "a");
    let made = &entries.last().unwrap()["at"];
    let before = log(&relay, &format!("until={}", made.as_str().unwrap())).await;
    assert_eq!(before.len(), 0);
    let page = relay.api.get("/api/v1/audit?limit=4").await;
    let next = text(&page, "nextCursor");
    assert_eq!(log(&relay, &format!("cursor={next}")).await, entries[4..]);
}

async fn what_failed_or_did_nothing_is_not_noted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let to = relay.api.subscribe(&receiver, json!({})).await;
    relay
        .api
        .post(400, "/api/v1/subscriptions", &json!({"name": "x"}))
        .await;
    relay
        .api
        .expect(404, Method::DELETE, "/api/v1/event-types/a", None)
        .await;
    relay
        .api
        .expect(
            409,
            Method::POST,
            &format!("{}/reactivate", to.path()),
            None,
        )
        .await;
    let event = relay.api.send("job.created", json!({})).await;
    let replay = format!("{}/replay", to.path());
    relay
        .api
        .post(200, &replay, &json!({"eventIds": [event], "dryRun": true}))
        .await;
    relay.api.get("/api/v1/subscriptions").await;
    assert_eq!(actions(&log(&relay, "").await), ["subscription.create"]);
    let refused = relay
        .api
        .expect(400, Method::GET, "/api/v1/audit?what=x", None)
        .await;
    assert!(text(&refused, "error").contains("what is not known here"));
}

async fn entries_go_with_time(profile: Profile) {
    let backend = Relay::start(profile).await.stop().await;
    let store = store_of(&settings(&backend, &[])).await;
    for days in [0, 2, 4] {
        let at = clock::now().minus(DAY * days);
        let millis = u64::try_from(at.as_micros() / 1_000).unwrap();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &clock::random_bytes());
        let entry = AuditEntry {
            id: id.into_uuid(),
            at,
            caller: "admin".to_owned(),
            key_id: None,
            user_id: None,
            tenant: None,
            action: format!("test.{days}"),
            thing: "test".to_owned(),
            thing_id: None,
            changes: None,
            request_id: "request".to_owned(),
        };
        store.audit(&entry).await.unwrap();
    }
    store.close().await;
    let keep = [("POSTHASTE_RETENTION__AUDIT_DAYS", "3")];
    let relay = Relay::start_on(backend, &keep).await;
    relay
        .look_until("the oldest entry to go", async || {
            let left = log(&relay, "").await;
            (actions(&left) == ["test.0", "test.2"]).then_some(())
        })
        .await;
}
