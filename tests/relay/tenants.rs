//! Tenants: each sees and touches its own alone, belongs where its key does, and is held to its
//! limits.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::deactivating::{failing, history, send, statuses, until_state};
use crate::support::relay::{Api, Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    a_tenant_sees_and_touches_its_own_alone,
    an_event_belongs_to_the_tenant_of_its_key,
    a_subscription_stays_with_the_tenant_of_its_key,
    no_more_subscriptions_than_a_tenant_may_have,
    an_inactive_tenant_is_refused_and_what_is_pending_goes_on,
    where_a_tenant_is_required_one_is_named,
    past_its_rate_a_tenant_is_told_when_to_come_again,
    a_full_backlog_takes_the_subscription_out_and_no_sender_away,
    tenants_are_registered_changed_and_deleted,
);

const CLIENT: [&str; 6] = [
    "events:write",
    "events:read",
    "subscriptions:read",
    "subscriptions:write",
    "deliveries:read",
    "deliveries:write",
];

/// The API with a new key.
async fn key(api: &Api, tenant: Option<&str>, scopes: &[&str]) -> Api {
    let body = json!({"name": "story", "scopes": scopes, "tenant": tenant});
    let made = api.post(201, "/api/v1/keys", &body).await;
    let keyed = api.with_key(text(&made, "key"));
    keyed.until_known().await;
    keyed
}

async fn client(relay: &Relay, tenant: &str) -> Api {
    key(&relay.api, Some(tenant), &CLIENT).await
}

impl Api {
    async fn status(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Waits until the process asked knows the key.
    async fn until_known(&self) {
        crate::support::soon("the key to be known", async {
            while self.status(Method::GET, "/api/v1/none", None).await.0 == 401 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn register(&self, body: Value) -> Value {
        self.post(201, "/api/v1/tenants", &body).await
    }

    async fn change_tenant(&self, id: &str, body: Value) -> Value {
        let path = format!("/api/v1/tenants/{id}");
        self.expect(200, Method::PATCH, &path, Some(&body)).await
    }
}

/// Everything that a tenant has one of.
struct Things {
    subscription: String,
    event: String,
    delivery: String,
    job: String,
}

impl Things {
    async fn of(relay: &Relay, api: &Api, receiver: &Receiver) -> Self {
        let subscription = api.subscribe(receiver, json!({})).await.id;
        let event = api.send("thing.made", json!(1)).await;
        let delivery = relay.final_delivery(&event).await;
        let path = format!("/api/v1/subscriptions/{subscription}/retry-failed");
        let body = json!({"since": "2020-01-01T00:00:00Z"});
        let job = api.post(202, &path, &body).await;
        Self {
            subscription,
            event,
            delivery: text(&delivery, "id").to_owned(),
            job: text(&job, "id").to_owned(),
        }
    }

    /// None of these exists.
    fn unknown() -> Self {
        let id = "0190b5a0-0000-7000-8000-000000000000".to_owned();
        Self {
            subscription: id.clone(),
            event: id.clone(),
            delivery: id.clone(),
            job: id,
        }
    }

    fn in_path(&self, path: &str) -> String {
        let path = path.replace("{s}", &self.subscription);
        let path = path
            .replace("{e}", &self.event)
            .replace("{d}", &self.delivery);
        format!("/api/v1{}", path.replace("{j}", &self.job))
    }
}

/// Every route with an id, and how it is answered to whom it belongs.
fn single_things() -> Vec<(Method, &'static str, Option<Value>, u16)> {
    let (get, post) = (Method::GET, Method::POST);
    let dry = Some(json!({"since": "2020-01-01T00:00:00Z", "dryRun": true}));
    let named = Some(json!({"name": "renamed"}));
    vec![
        (get.clone(), "/events/{e}", None, 200),
        (get.clone(), "/subscriptions/{s}", None, 200),
        (Method::PUT, "/subscriptions/{s}", named.clone(), 200),
        (Method::PATCH, "/webhooks/{s}", named, 200),
        (post.clone(), "/subscriptions/{s}/pause", None, 200),
        (post.clone(), "/subscriptions/{s}/resume", None, 200),
        (post.clone(), "/subscriptions/{s}/reactivate", None, 409),
        (post.clone(), "/subscriptions/{s}/cancel-pending", None, 200),
        (
            post.clone(),
            "/subscriptions/{s}/retry-failed",
            dry.clone(),
            200,
        ),
        (post.clone(), "/subscriptions/{s}/replay", dry, 200),
        (get.clone(), "/subscriptions/{s}/runtime", None, 200),
        (get.clone(), "/subscriptions/{s}/history", None, 200),
        (get.clone(), "/subscriptions/{s}/secret", None, 200),
        (get.clone(), "/subscriptions/{s}/deliveries", None, 200),
        (get.clone(), "/subscriptions/{s}/blocked-keys", None, 200),
        (get.clone(), "/deliveries/{d}", None, 200),
        (post.clone(), "/deliveries/{d}/cancel", None, 409),
        (post.clone(), "/deliveries/{d}/skip", None, 409),
        (post.clone(), "/deliveries/{d}/retry", None, 202),
        (get, "/jobs/{j}", None, 200),
        (post, "/jobs/{j}/cancel", None, 409),
        (Method::DELETE, "/subscriptions/{s}", None, 204),
    ]
}

async fn a_tenant_sees_and_touches_its_own_alone(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let (a, b) = (client(&relay, "a").await, client(&relay, "b").await);
    let own = Things::of(&relay, &a, &receiver).await;
    let other = Things::of(&relay, &b, &receiver).await;
    for things in [&own, &other] {
        let path = things.in_path("/jobs/{j}");
        let done = |job: &Value| job["state"] == "completed";
        relay.api.until_get(&path, "the job to end", done).await;
    }

    for list in ["events", "subscriptions", "deliveries", "jobs"] {
        let ids = |page: Value| -> BTreeSet<String> {
            let ids = rows(&page).iter().map(|row| text(row, "id").to_owned());
            ids.collect()
        };
        let path = format!("/api/v1/{list}");
        let of_a = ids(a.get(&path).await);
        let of_b = ids(b.get(&path).await);
        assert_eq!((of_a.len(), of_b.len()), (1, 1), "{list}");
        let all = ids(relay.api.get(&path).await);
        assert_eq!(all, &of_a | &of_b, "{list}");
        for name in ["tenant", "clientId"] {
            let filtered = format!("{path}?{name}=a");
            assert_eq!(ids(relay.api.get(&filtered).await), of_a, "{filtered}");
            assert_eq!(ids(a.get(&filtered).await), of_a, "{filtered}");
            assert_eq!(rows(&b.get(&filtered).await), &[] as &[Value], "{filtered}");
        }
        if ["deliveries", "jobs"].contains(&list) {
            let filtered = format!("{path}?subscriptionId={}", own.subscription);
            assert_eq!(ids(a.get(&filtered).await), of_a, "{filtered}");
            assert_eq!(rows(&b.get(&filtered).await), &[] as &[Value], "{filtered}");
        }
    }

    for (method, path, body, expected) in single_things() {
        let ask = |api: Api, things: &Things| {
            let (method, path, body) = (method.clone(), things.in_path(path), body.clone());
            async move { api.status(method, &path, body.as_ref()).await }
        };
        // Each request has a name of its own.
        let refusal = async |things: &Things| {
            let (status, mut answer) = ask(b.clone(), things).await;
            assert!(answer["instance"].take().is_string());
            (status, answer)
        };
        let of_another = refusal(&own).await;
        assert_eq!(of_another.0, 404, "{method} {path}: {of_another:?}");
        let unknown = refusal(&Things::unknown()).await;
        assert_eq!(of_another, unknown, "{method} {path}");
        let answer = ask(a.clone(), &own).await;
        assert_eq!(answer.0, expected, "{method} {path}: {answer:?}");
        let answer = ask(relay.api.clone(), &other).await;
        assert_eq!(answer.0, expected, "{method} {path}: {answer:?}");
    }
    // Deleted is not given away.
    let history = own.in_path("/subscriptions/{s}/history");
    assert_eq!(b.status(Method::GET, &history, None).await.0, 404);
    assert_eq!(a.status(Method::GET, &history, None).await.0, 200);
    assert_eq!(rows(&a.get("/api/v1/deliveries").await).len(), 1);
}

/// Where the first fault of a refusal is.
fn place(answer: &Value) -> &str {
    text(&answer["faults"][0], "path")
}

async fn an_event_belongs_to_the_tenant_of_its_key(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (at_a, at_b) = (Receiver::ok().await, Receiver::ok().await);
    let (a, b) = (client(&relay, "a").await, client(&relay, "b").await);
    a.subscribe(&at_a, json!({})).await;
    b.subscribe(&at_b, json!({})).await;

    let own = a.send("own", json!(1)).await;
    let shown = a.get(&format!("/api/v1/events/{own}")).await;
    assert_eq!(
        (&shown["tenant"], &shown["clientId"]),
        (&json!("a"), &json!("a"))
    );
    relay.final_delivery(&own).await;
    assert_eq!(
        b.status(Method::GET, &format!("/api/v1/events/{own}"), None)
            .await
            .0,
        404
    );

    let events = "/api/v1/events";
    let named = |tenant: &str| json!({"eventType": "own", "data": 1, "clientId": tenant});
    a.post(202, events, &named("a")).await;
    let refused = a.post(403, events, &named("b")).await;
    assert_eq!(place(&refused), "clientId");
    let batch = json!([named("a"), named("b")]);
    let refused = a.post(403, events, &batch).await;
    assert_eq!(place(&refused), "[1].clientId");
    let parted = a.post(207, "/api/v1/events?atomic=false", &batch).await;
    assert_eq!(parted["results"][0]["status"], "success");
    assert_eq!(parted["results"][1]["status"], "failed");
    assert!(text(&parted["results"][1], "error").contains("clientId"));
    // What else is wrong with it comes first.
    let wrong = json!([named("b"), {"data": 1}]);
    assert_eq!(a.status(Method::POST, events, Some(&wrong)).await.0, 400);
    assert_eq!(rows(&a.get(events).await).len(), 3);
    assert_eq!(at_b.count(), 0);

    // One key, two tenants: two events.
    let keyed = |number: u8| json!({"eventType": "own", "data": number, "idempotencyKey": "k"});
    let first = a.post(202, events, &keyed(1)).await;
    let second = b.post(202, events, &keyed(2)).await;
    assert_eq!(second["duplicate"], false);
    assert_ne!(first["eventId"], second["eventId"]);

    // Without a tenant it reaches both, and each sees it as far as it was sent it.
    let body = json!({"eventType": "free", "data": {"n": 1}, "idempotencyKey": "mine"});
    let free = relay.api.post(202, events, &body).await;
    let path = format!("/api/v1/events/{}", text(&free, "eventId"));
    for tenant in [&a, &b] {
        let shown = tenant.get(&path).await;
        assert_eq!(shown["payload"], json!({"n": 1}));
        assert_eq!(shown["idempotencyKey"], Value::Null);
        assert_eq!(shown["deliveries"].as_array().unwrap().len(), 1);
        let listed = tenant.get("/api/v1/events?eventType=free").await;
        assert_eq!(rows(&listed).len(), 0, "it is nobody's");
    }
    let shown = relay.api.get(&path).await;
    assert_eq!(shown["deliveries"].as_array().unwrap().len(), 2);
    assert_eq!(shown["idempotencyKey"], "mine");
    let c = client(&relay, "c").await;
    assert_eq!(c.status(Method::GET, &path, None).await.0, 404);
    relay.nothing_pending().await;
    assert_eq!(at_a.count(), 5);
    assert_eq!(at_b.count(), 2);
}

async fn a_subscription_stays_with_the_tenant_of_its_key(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let (a, b) = (client(&relay, "a").await, client(&relay, "b").await);
    let own = a.subscribe(&receiver, json!({})).await;
    assert_eq!(a.subscription(&own).await["clientId"], "a");
    a.subscribe(&receiver, json!({"clientId": "a"})).await;
    let path = "/api/v1/subscriptions";
    let foreign = json!({
        "name": "x", "url": receiver.url(), "eventTypes": ["*"], "clientId": "b",
    });
    assert_eq!(place(&a.post(403, path, &foreign).await), "clientId");
    for (body, expected) in [
        (json!({"clientId": "b"}), 403),
        (json!({"tenant": null}), 403),
        (json!({"clientId": "a", "name": "y"}), 200),
    ] {
        let answer = a.status(Method::PATCH, &own.path(), Some(&body)).await;
        assert_eq!(answer.0, expected, "{answer:?}");
    }
    // What Posthaste tells of itself is not for tenants.
    let own_events = json!({
        "name": "x", "url": receiver.url(), "eventTypes": ["posthaste.*"],
    });
    assert_eq!(place(&a.post(400, path, &own_events).await), "eventTypes");
    // An event of another is as one that is not stored.
    let event = b.send("theirs", json!(1)).await;
    let replay = format!("{}/replay", own.path());
    let refused = a.post(400, &replay, &json!({"eventIds": [event]})).await;
    let unknown = Things::unknown().event;
    let as_unknown = a.post(400, &replay, &json!({"eventIds": [unknown]})).await;
    let without = |answer: &Value, id: &str| text(answer, "error").replace(id, "");
    assert_eq!(without(&refused, &event), without(&as_unknown, &unknown));
    let told = relay
        .api
        .post(400, &replay, &json!({"eventIds": [event]}))
        .await;
    assert!(text(&told, "error").contains("another tenant's"));
    // Whoever is no tenant may move it.
    let moved = json!({"clientId": "b"});
    relay.api.put(&own.path(), &moved).await;
    assert_eq!(a.status(Method::GET, &own.path(), None).await.0, 404);
    assert_eq!(b.status(Method::GET, &own.path(), None).await.0, 200);
}

async fn no_more_subscriptions_than_a_tenant_may_have(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay
        .api
        .register(json!({"id": "a", "limits": {"maxSubscriptions": 3}}))
        .await;
    let a = client(&relay, "a").await;
    let body = json!({"name": "x", "url": receiver.url(), "eventTypes": ["*"], "clientId": "a"});
    let path = "/api/v1/subscriptions";
    let tries = (0..12).map(|number| {
        // By the tenant, and by others for it.
        let api = if number % 2 == 0 { &a } else { &relay.api };
        api.status(Method::POST, path, Some(&body))
    });
    let answers = join_all(tries).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!((of(201), of(409)), (3, 9), "{answers:?}");
    let refused = answers.iter().find(|answer| answer.0 == 409).unwrap();
    assert!(text(&refused.1, "error").contains("maxSubscriptions"));
    let listed = a.get(path).await;
    assert_eq!(rows(&listed).len(), 3);
    // One that goes makes room; so does a higher bound, or none.
    let first = format!("{path}/{}", text(&rows(&listed)[0], "id"));
    a.expect(204, Method::DELETE, &first, None).await;
    a.post(201, path, &body).await;
    a.post(409, path, &body).await;
    let limits = json!({"limits": {"maxSubscriptions": null}});
    relay.api.change_tenant("a", limits).await;
    a.post(201, path, &body).await;
}

async fn an_inactive_tenant_is_refused_and_what_is_pending_goes_on(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.register(json!({"id": "a"})).await;
    let a = client(&relay, "a").await;
    let own = a.subscribe(&receiver, json!({})).await;
    let pause = format!("{}/pause", own.path());
    a.expect(200, Method::POST, &pause, None).await;
    let waiting = a.send("own", json!(1)).await;

    relay
        .api
        .change_tenant("a", json!({"status": "inactive"}))
        .await;
    let events = "/api/v1/events";
    let event = json!({"eventType": "own", "data": 1});
    for (method, path, body) in [
        (Method::POST, events, Some(&event)),
        (Method::GET, events, None),
        (Method::GET, &own.path(), None),
        (Method::GET, "/api/v1/none", None),
    ] {
        let (status, answer) = a.status(method, path, body).await;
        assert_eq!(status, 403, "{path}: {answer}");
        assert_eq!(text(&answer, "error"), "tenant a is inactive");
    }
    let named = json!({"eventType": "own", "data": 1, "tenant": "a"});
    let refused = relay.api.post(403, events, &named).await;
    assert_eq!(place(&refused), "tenant");
    assert!(text(&refused, "error").contains("tenant a is inactive"));
    // One without a tenant reaches it as before, and what waits goes out.
    let free = relay.api.send("free", json!(2)).await;
    let resume = format!("{}/resume", own.path());
    relay.api.expect(200, Method::POST, &resume, None).await;
    for event in [&waiting, &free] {
        let delivery = relay.final_delivery(event).await;
        assert_eq!(delivery["status"], "delivered");
    }

    relay
        .api
        .change_tenant("a", json!({"status": "active"}))
        .await;
    a.send("own", json!(3)).await;
    relay.api.post(202, events, &named).await;
}

async fn where_a_tenant_is_required_one_is_named(profile: Profile) {
    let more = [("POSTHASTE_EVENTS__REQUIRE_TENANT", "true")];
    let relay = Relay::start_with(profile, &more).await;
    let a = client(&relay, "a").await;
    let events = "/api/v1/events";
    let event = json!({"eventType": "own", "data": 1});
    let refused = relay.api.post(400, events, &event).await;
    assert_eq!(place(&refused), "tenant");
    assert!(text(&refused, "error").contains("events.require_tenant"));
    let batch = json!([{"eventType": "own", "data": 1, "clientId": "a"}, event]);
    let refused = relay.api.post(400, events, &batch).await;
    assert_eq!(place(&refused), "[1].tenant");
    relay.api.post(202, events, &batch[0]).await;
    a.post(202, events, &event).await;
}

async fn past_its_rate_a_tenant_is_told_when_to_come_again(profile: Profile) {
    let relay = Relay::start(profile).await;
    let limits = json!({"ingestRate": {"perMinute": 1, "burst": 3}});
    relay
        .api
        .register(json!({"id": "a", "limits": limits}))
        .await;
    let (a, again) = (client(&relay, "a").await, client(&relay, "a").await);
    let b = client(&relay, "b").await;
    let events = "/api/v1/events";
    let event = json!({"eventType": "own", "data": 1});
    let batch = json!([event, event]);
    a.post(202, events, &batch).await;
    // Two are too many now, whatever key of the tenant's brings them; one is not.
    let refused = again.request(Method::POST, events).json(&batch);
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let header = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
    let seconds: u64 = header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(header("ratelimit-policy"), "\"tenant\";q=3;w=180");
    assert_eq!(header("ratelimit"), format!("\"tenant\";r=0;t={seconds}"));
    let told: Value = refused.json().await.unwrap();
    assert!(text(&told, "error").contains("1 per minute"));
    again.post(202, events, &event).await;
    a.post(429, events, &event).await;
    let many = json!([event, event, event, event]);
    let never = a.post(400, events, &many).await;
    assert!(text(&never, "error").contains("at most 3 in at once"));
    // Others are not held to it, whatever tenant they name.
    b.post(202, events, &many).await;
    let named = json!({"eventType": "own", "data": 1, "tenant": "a"});
    relay.api.post(202, events, &named).await;
    assert_eq!(rows(&a.get(events).await).len(), 4);
    relay.api.change_tenant("a", json!({"limits": null})).await;
    a.post(202, events, &many).await;
}

/// Held back by its breaker after one failure, and by nothing else.
fn held_back() -> Value {
    json!({
        "eventTypes": ["own"],
        "breaker": {"consecutiveFailures": 1, "coolDownMs": 86_400_000,
            "coolDownMaxMs": 86_400_000, "probes": 1},
        "retryPolicy": {"delaysMs": vec![100; 50]},
        "deactivation": {"exhaustedDeliveries": 0, "failingForMs": 0, "trialIntervalMs": 0},
    })
}

async fn a_full_backlog_takes_the_subscription_out_and_no_sender_away(profile: Profile) {
    let more = [("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "100")];
    let relay = Relay::start_with(profile, &more).await;
    relay
        .api
        .register(json!({"id": "a", "limits": {"maxBacklog": 10}}))
        .await;
    let (receiver, healed) = failing().await;
    let (watching, patient) = (Receiver::ok().await, Receiver::ok().await);
    let a = client(&relay, "a").await;
    let own = a.subscribe(&receiver, held_back()).await;
    let told = json!({"eventTypes": ["posthaste.subscription.deactivated"]});
    relay.api.subscribe(&watching, told).await;
    // Without a bound, and of another tenant.
    let mut free = held_back();
    free["clientId"] = json!("b");
    free["eventTypes"] = json!(["paused"]);
    let (failing_too, _) = failing().await;
    let free = relay.api.subscribe(&failing_too, free).await;
    let paused = a
        .subscribe(&patient, json!({"eventTypes": ["paused"]}))
        .await;
    let pause = format!("{}/pause", paused.path());
    a.expect(200, Method::POST, &pause, None).await;

    let mut held = Vec::new();
    for number in 0..10 {
        held.push(a.send("own", json!(number)).await);
        relay.api.send("paused", json!(number)).await;
    }
    let view = until_state(&relay, &own, "deactivated").await;
    assert_eq!(view["stateReason"], "backlog_full");
    assert_eq!(view["stateChangedBy"], "rule");
    assert_eq!(view["hold"]["full"], true);
    let entry = &history(&relay, &own).await[0];
    assert_eq!(entry["reason"], "backlog_full");
    assert_eq!(
        (&entry["from"], &entry["to"]),
        (&json!("active"), &json!("deactivated"))
    );
    // A pause is no way around it.
    let view = until_state(&relay, &paused, "deactivated").await;
    assert_eq!(view["stateReason"], "backlog_full");
    for told in watching.received(2).await {
        assert_eq!(told.json()["data"]["reason"], "backlog_full");
    }

    let past = send_as(&a, 3).await;
    assert_eq!(statuses(&relay, &past).await, ["skipped"; 3]);
    let view = relay.api.subscription(&free).await;
    assert_eq!(view["state"], "active");

    // Reactivated, it sends what was held; with room again, more is held.
    healed.store(true, Ordering::SeqCst);
    for one in [&own, &paused] {
        let path = format!("{}/reactivate", one.path());
        a.expect(200, Method::POST, &path, None).await;
    }
    for event in &held {
        assert_eq!(relay.final_delivery(event).await["status"], "delivered");
    }
    assert_eq!(statuses(&relay, &past).await, ["skipped"; 3]);
    let open = |view: &Value| view["hold"].is_null();
    relay.api.until_get(&own.path(), "room", open).await;
    let later = send_as(&a, 1).await;
    assert_eq!(relay.final_delivery(&later[0]).await["status"], "delivered");
    assert_eq!(relay.api.subscription(&own).await["state"], "active");
}

async fn send_as(api: &Api, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for number in 0..count {
        events.push(api.send("own", json!(number)).await);
    }
    events
}

async fn tenants_are_registered_changed_and_deleted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let api = &relay.api;
    let tenants = "/api/v1/tenants";
    let made = api
        .register(json!({"id": "acme/eu", "name": "Acme", "limits": {"maxBacklog": 5}}))
        .await;
    assert_eq!(made["status"], "active");
    let no_rate = json!({"ingestRate": null, "maxSubscriptions": null, "maxBacklog": 5});
    assert_eq!(made["limits"], no_rate);
    let path = format!("{tenants}/acme%2Feu");
    assert_eq!(api.get(&path).await, made);
    let bare = api.register(json!({})).await;
    assert_eq!(bare["name"], bare["id"]);
    let again = api.post(409, tenants, &json!({"id": "acme/eu"})).await;
    assert!(text(&again, "error").contains("acme/eu"));
    let wrong = json!({"limits": {"ingestRate": {"perSecond": 1, "perMinute": 1}}});
    api.post(400, tenants, &wrong).await;
    let page = api.get(&format!("{tenants}?limit=1")).await;
    assert_eq!(rows(&page)[0]["id"], bare["id"]);
    let next = format!("{tenants}?limit=1&cursor={}", text(&page, "nextCursor"));
    assert_eq!(rows(&api.get(&next).await), &[made]);

    let changed = api
        .put(&path, &json!({"name": "New", "status": "inactive"}))
        .await;
    assert_eq!(
        (&changed["name"], &changed["limits"]),
        (&json!("New"), &no_rate)
    );
    api.put(&path, &json!({"status": "active"})).await;
    let renamed = Some(json!({"id": "other"}));
    assert_eq!(
        api.status(Method::PATCH, &path, renamed.as_ref()).await.0,
        400
    );

    // A tenant's administrator sees its own and administers none.
    let admin = key(api, Some("acme/eu"), &["admin"]).await;
    assert_eq!(rows(&admin.get(tenants).await).len(), 1);
    assert_eq!(admin.get(&path).await["name"], "New");
    let other = format!("{tenants}/{}", text(&bare, "id"));
    let name = Some(json!({"name": "mine"}));
    for (method, path, body, expected) in [
        (Method::GET, &other, None, 404),
        (Method::PATCH, &other, name.as_ref(), 404),
        (Method::DELETE, &other, None, 404),
        (Method::PATCH, &path, name.as_ref(), 403),
        (Method::DELETE, &path, None, 403),
        (Method::POST, &tenants.to_owned(), name.as_ref(), 403),
    ] {
        let answer = admin.status(method.clone(), path, body).await;
        assert_eq!(answer.0, expected, "{method} {path}: {answer:?}");
    }

    // What is not registered is active and has no limits.
    let receiver = Receiver::ok().await;
    let free = client(&relay, "free").await;
    let subscribed: Subscribed = free.subscribe(&receiver, json!({})).await;
    api.register(json!({"id": "free"})).await;
    let (status, left) = api
        .status(Method::DELETE, &format!("{tenants}/free"), None)
        .await;
    assert_eq!(status, 409);
    assert!(text(&left, "error").contains("1 subscriptions"), "{left}");
    assert!(text(&left, "error").contains("1 keys"), "{left}");
    api.delete(&subscribed).await;
    api.expect(204, Method::DELETE, &other, None).await;
    assert_eq!(api.status(Method::GET, &other, None).await.0, 404);
    assert_eq!(api.status(Method::DELETE, &other, None).await.0, 404);
    assert_eq!(send(&relay, 1).await.len(), 1);
}
