//! Tenants, where parts of the API meet: nobody learns of another's things, takes what was
//! another's, or uses up what is everybody's.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::looking::Looking;
use crate::support::relay::{Api, rows, text};
use crate::support::{Profile, Receiver, Relay, soon};

crate::stories!(
    the_catalogue_is_changed_by_nobody_who_is_one_tenants,
    what_was_erased_of_another_is_as_what_never_was,
    an_id_of_anothers_is_searched_for_as_any_text,
    a_subscription_takes_no_delivery_to_another_tenant,
    whoever_gets_a_deleted_tenants_name_signs_anew,
    one_tenant_leaves_streams_to_the_others,
    an_answer_that_shows_a_secret_is_not_compressed,
    a_payload_takes_the_scope_of_events,
);

const UNKNOWN: &str = "0190b5a0-0000-7000-8000-000000000000";

async fn key(relay: &Relay, tenant: &str, preset: &str) -> Api {
    let body = json!({"name": tenant, "tenant": tenant, "preset": preset});
    let made = relay.api.post(201, "/api/v1/keys", &body).await;
    relay.api.with_key(text(&made, "key"))
}

/// An event that is posted for a tenant.
async fn send_for(relay: &Relay, tenant: &str, payload: Value) -> String {
    let body = json!({"eventType": "thing.made", "payload": payload, "clientId": tenant});
    let sent = relay.api.post(202, "/api/v1/events", &body).await;
    text(&sent, "eventId").to_owned()
}

async fn the_catalogue_is_changed_by_nobody_who_is_one_tenants(profile: Profile) {
    let relay = Relay::start(profile).await;
    let types = "/api/v1/event-types";
    let one = format!("{types}/thing.made");
    let made = json!({"name": "thing.made", "description": "everybody's"});
    relay.api.post(201, types, &made).await;
    let stands = relay.api.get(&one).await;
    let a = key(&relay, "a", "admin").await;
    let hostile = json!({"schema": false});
    let named = json!({"name": "other.type", "schema": false});
    for (method, path, body) in [
        (Method::POST, types, Some(&named)),
        (Method::PUT, &one, Some(&hostile)),
        (Method::PATCH, &one, Some(&hostile)),
        (Method::DELETE, &one, None),
    ] {
        let refused = a.expect(403, method, path, body).await;
        assert_eq!(refused["code"], "forbidden", "{refused}");
        assert!(text(&refused, "error").contains("catalogue"), "{refused}");
    }
    assert_eq!(a.get(&one).await, stands);
    assert_eq!(rows(&a.get(types).await), &[stands]);
}

async fn what_was_erased_of_another_is_as_what_never_was(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let a = key(&relay, "a", "client").await;
    let own = a.subscribe(&receiver, json!({})).await;
    let event = send_for(&relay, "b", json!(1)).await;
    let payload = format!("/api/v1/events/{event}/payload");
    relay.api.expect(200, Method::DELETE, &payload, None).await;
    let replay = format!("{}/replay", own.path());
    let ask = async |id: &str| {
        let refused = a.post(400, &replay, &json!({"eventIds": [id]})).await;
        text(&refused, "error").replace(id, "…")
    };
    assert_eq!(ask(&event).await, ask(UNKNOWN).await);
    let told = json!({"eventIds": [event]});
    let told = relay.api.post(409, &replay, &told).await;
    assert!(text(&told, "error").contains("was erased"), "{told}");
}

async fn an_id_of_anothers_is_searched_for_as_any_text(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let (a, b) = (
        key(&relay, "a", "client").await,
        key(&relay, "b", "client").await,
    );
    let free = json!({"eventTypes": ["free"]});
    a.subscribe(&receiver, json!({"eventTypes": ["thing.*"]}))
        .await;
    let of_b = b.subscribe(&receiver, json!({})).await;
    relay.api.subscribe(&receiver, free).await;
    let theirs = send_for(&relay, "b", json!(1)).await;
    let delivery = relay.final_delivery(&theirs).await;
    // Without a tenant, and for nobody that a can see.
    let nobodys = relay.api.send("free", json!(2)).await;
    let ids = [
        theirs.as_str(),
        text(&delivery, "id"),
        &of_b.id,
        &nobodys,
        UNKNOWN,
    ];
    // What a itself wrote of them is found, whatever else they name.
    let own = send_for(&relay, "a", json!({"seen": ids})).await;
    relay.final_delivery(&own).await;
    for id in ids {
        for list in ["events", "deliveries"] {
            let page = a.get(&format!("/api/v1/{list}?q={id}")).await;
            assert_eq!(rows(&page).len(), 1, "{list} {id}: {page}");
        }
    }
    // Its own lead where they always did.
    let mine = a.get(&format!("/api/v1/deliveries?q={own}")).await;
    assert_eq!(rows(&mine)[0]["eventId"], own, "{mine}");
    let all = relay
        .api
        .get(&format!("/api/v1/deliveries?q={theirs}"))
        .await;
    assert_eq!(rows(&all)[0]["id"], delivery["id"], "{all}");
    let newest = a.get("/api/v1/dashboard/recent-deliveries").await;
    assert_eq!(rows(&newest).len(), 1, "{newest}");
    assert_eq!(newest["partial"], false);
}

async fn a_subscription_takes_no_delivery_to_another_tenant(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let (a, b) = (
        key(&relay, "a", "client").await,
        key(&relay, "b", "client").await,
    );
    let own = a.subscribe(&receiver, json!({})).await;
    let event = send_for(&relay, "a", json!("a's alone")).await;
    relay.final_delivery(&event).await;
    for to in [json!("b"), Value::Null] {
        let moved = Some(json!({"clientId": to}));
        let refused = relay
            .api
            .expect(409, Method::PATCH, &own.path(), moved.as_ref())
            .await;
        assert!(text(&refused, "error").contains("deliveries"), "{refused}");
    }
    b.expect(404, Method::GET, &own.path(), None).await;
    assert_eq!(rows(&b.get("/api/v1/deliveries").await).len(), 0);
    // It is changed otherwise as ever, its tenant named or not.
    let renamed = json!({"name": "renamed", "clientId": "a"});
    assert_eq!(
        relay.api.put(&own.path(), &renamed).await["name"],
        "renamed"
    );
    // One that was sent nothing goes.
    let fresh = a
        .subscribe(&receiver, json!({"eventTypes": ["never"]}))
        .await;
    relay
        .api
        .put(&fresh.path(), &json!({"clientId": "b"}))
        .await;
    b.get(&fresh.path()).await;
}

async fn whoever_gets_a_deleted_tenants_name_signs_anew(profile: Profile) {
    let relay = Relay::start(profile).await;
    let tenant = json!({"id": "acme"});
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    let secret = "/api/v1/tenants/acme/secret";
    let given = json!({"secret": "the-first-ones-own"});
    relay.api.post(201, secret, &given).await;
    let path = "/api/v1/tenants/acme";
    relay.api.expect(204, Method::DELETE, path, None).await;
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    relay.api.expect(404, Method::GET, secret, None).await;
    let receiver = Receiver::ok().await;
    let signs = json!({"clientId": "acme", "secretFrom": "tenant", "name": "n",
        "url": receiver.url(), "eventTypes": ["*"]});
    relay.api.post(400, "/api/v1/subscriptions", &signs).await;
}

async fn one_tenant_leaves_streams_to_the_others(profile: Profile) {
    let more = [
        ("POSTHASTE_STREAM__MAX_STREAMS", "8"),
        // So that it is noticed soon who has hung up.
        ("POSTHASTE_STREAM__HEARTBEAT_MS", "50"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let a = key(&relay, "a", "client").await;
    let again = key(&relay, "a", "client").await;
    let b = key(&relay, "b", "client").await;
    let first = Looking::begin(&a, "", None).await;
    let _second = Looking::begin(&again, "", None).await;
    for api in [&a, &again] {
        let refused = Looking::ask(api, "", None).await;
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
    }
    let _other = Looking::begin(&b, "", None).await;
    let mut operators = Vec::new();
    for _ in 0..5 {
        operators.push(Looking::begin(&relay.api, "", None).await);
    }
    assert_eq!(Looking::ask(&relay.api, "", None).await.status(), 503);
    operators.clear();
    drop(first);
    soon("room for another stream of the tenant", async {
        while Looking::ask(&a, "", None).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn an_answer_that_shows_a_secret_is_not_compressed(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    // Long enough to be worth it.
    let name = "é".repeat(255);
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let request = relay.api.request(method, path);
        let request = request.header("accept-encoding", "gzip");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let compressed = answer.headers().contains_key("content-encoding");
        let body = answer.bytes().await.unwrap();
        (compressed, serde_json::from_slice::<Value>(&body).ok())
    };
    let made = json!({"name": name, "url": receiver.url(), "eventTypes": ["*"]});
    let (compressed, made) = ask(Method::POST, "/api/v1/subscriptions", Some(made)).await;
    let made = made.expect("as it is");
    assert!(!compressed && made.to_string().len() > 1_024, "{made}");
    let path = format!("/api/v1/subscriptions/{}", text(&made, "id"));
    assert!(ask(Method::GET, &path, None).await.0, "others are");
    let scopes = ["admin", "events:read", "events:write", "deliveries:read"];
    let key = json!({"name": name, "scopes": scopes, "clientId": "é".repeat(255)});
    let (compressed, key) = ask(Method::POST, "/api/v1/keys", Some(key)).await;
    let key = key.expect("as it is");
    assert!(!compressed && key.to_string().len() > 1_024, "{key}");
    assert!(text(&key, "key").starts_with("ph_"));
    // As many as sign at the same time, each of them long.
    let secret = format!("{path}/rotate-secret");
    for number in 0..2 {
        let long = format!("{number}{}", "s".repeat(511));
        let rotation = json!({"secret": long, "overlapSeconds": 3_600});
        let (compressed, _) = ask(Method::POST, &secret, Some(rotation)).await;
        assert!(!compressed);
    }
    let (compressed, secrets) = ask(Method::GET, &format!("{path}/secret"), None).await;
    let secrets = secrets.expect("as it is");
    assert!(!compressed && secrets.to_string().len() > 1_024);
}

async fn a_payload_takes_the_scope_of_events(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("a.b", json!("for those who may")).await;
    let delivery = relay.final_delivery(&event).await;
    let path = format!("/api/v1/deliveries/{}", text(&delivery, "id"));
    let body = format!("{path}/body");
    let with = async |scopes: &[&str]| {
        let made = json!({"name": "k", "scopes": scopes});
        let made = relay.api.post(201, "/api/v1/keys", &made).await;
        relay.api.with_key(text(&made, "key"))
    };
    let narrow = with(&["deliveries:read"]).await;
    narrow.get(&path).await;
    let refused = narrow.expect(403, Method::GET, &body, None).await;
    assert_eq!(refused["code"], "missing-scope", "{refused}");
    let wide = with(&["deliveries:read", "events:read"]).await;
    assert_eq!(wide.get(&body).await["data"], "for those who may");
}

/// A process that only answers, and that nobody tells anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_an_idle_process_learns_that_a_tenant_is_inactive() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let alone = |role| {
        [
            ("REDIS_URL", ""),
            ("POSTHASTE_ENGINE__ROLE", role),
            ("POSTHASTE_AUTH__KEYS_REFRESH_MS", "100"),
        ]
    };
    let owner = Relay::start_on(Arc::clone(&backend), &alone("deliver")).await;
    let idle = Relay::start_on(backend, &alone("ingest")).await;
    let tenant = json!({"id": "a"});
    owner.api.post(201, "/api/v1/tenants", &tenant).await;
    let a = key(&idle, "a", "client").await;
    a.get("/api/v1/events").await;
    let inactive = json!({"status": "inactive"});
    owner.api.put("/api/v1/tenants/a", &inactive).await;
    soon("the idle process to refuse it", async {
        let ask = async || a.request(Method::GET, "/api/v1/events").send().await;
        while ask().await.unwrap().status() != 403 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
