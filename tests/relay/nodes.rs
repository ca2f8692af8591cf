//! The processes of an installation know each other: who runs, who delivers, who is lost.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::relay::{Api, text};
use crate::support::{Process, Profile, Proxy, Receiver, Relay};

crate::stories!(
    a_process_is_known_and_says_how_full_it_is,
    a_killed_process_is_lost_and_one_that_ends_is_gone,
);

const PATH: &str = "/api/v1/system/nodes";
/// Whoever is away is missed soon.
const QUICK: [(&str, &str); 3] = [
    ("POSTHASTE_ENGINE__BEAT_MS", "100"),
    ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
    ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "100"),
];

fn in_role(role: &'static str) -> Vec<(&'static str, &'static str)> {
    [&QUICK[..], &[("POSTHASTE_ENGINE__ROLE", role)]].concat()
}

async fn backend(profile: Profile) -> Arc<Backend> {
    Arc::new(Backend::new(profile).await)
}

/// Asks until the installation is as wanted.
async fn seen(api: &Api, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    api.until_get(PATH, what, wanted).await
}

/// The states by the processes' names, in the order of their starts.
fn states(installation: &Value) -> Vec<(&str, &str)> {
    let nodes = installation["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| (text(node, "name"), text(node, "state")))
        .collect()
}

fn state_of<'a>(installation: &'a Value, name: &str) -> Option<&'a str> {
    let found = states(installation)
        .into_iter()
        .find(|(one, _)| *one == name);
    found.map(|(_, state)| state)
}

/// What a process calls itself, once it is known under that name.
async fn name(api: &Api) -> String {
    let known = |seen: &Value| state_of(seen, text(seen, "answeredBy")).is_some();
    let seen = seen(api, "the process to be known", known).await;
    text(&seen, "answeredBy").to_owned()
}

async fn a_process_is_known_and_says_how_full_it_is(profile: Profile) {
    let relay = Relay::start_with(profile, &QUICK).await;
    let name = name(&relay.api).await;
    let system = relay.api.get("/api/v1/system").await;
    assert_eq!(system["node"]["name"], *name);
    let (receiver, gate) = Receiver::gated().await;
    relay.api.subscribe(&receiver, json!({})).await;
    for n in 0..3 {
        relay.api.send("a.b", json!(n)).await;
    }
    let full = seen(&relay.api, "three in flight", |seen| {
        seen["nodes"][0]["inFlight"]["count"] == 3
    })
    .await;
    assert_eq!(states(&full), [(name.as_str(), "delivering")]);
    let node = &full["nodes"][0];
    for field in ["version", "role", "profile", "residentBytes"] {
        assert_eq!(
            node[field].is_null(),
            system["node"][field].is_null(),
            "{field}: {node}"
        );
    }
    assert_eq!(node["version"], system["node"]["version"]);
    assert_eq!(node["role"], "all");
    assert_eq!(node["profile"], system["node"]["profile"]);
    assert_eq!(node["inFlight"]["most"], system["load"]["inFlight"]["most"]);
    let system = relay.api.get("/api/v1/system").await;
    assert_eq!(
        node["windowBytes"], system["load"]["windowBytes"],
        "all of it is in flight still"
    );
    assert_eq!(
        (&node["subscriptions"], &node["restarts"]),
        (&json!(1), &json!(0))
    );

    let epoch = &system["ownership"]["epoch"];
    let distributed = profile == Profile::Distributed;
    let [partition] = &full["partitions"].as_array().unwrap()[..] else {
        panic!("{full}");
    };
    assert_eq!(
        (&partition["id"], &partition["owner"]),
        (&json!(0), &json!(name))
    );
    assert_eq!(&partition["epoch"], epoch);
    assert_eq!(
        partition["leaseLeftMs"].is_number(),
        distributed,
        "{partition}"
    );
    assert_eq!(full["store"]["file"].is_object(), !distributed);
    assert_eq!(full["store"]["database"].is_object(), distributed);
    assert_eq!(
        full["feed"]["kind"],
        if distributed { "redis" } else { "memory" }
    );
    assert_eq!(full["missing"], json!({}));

    gate.open();
    seen(&relay.api, "nothing in flight", |seen| {
        seen["nodes"][0]["inFlight"]["count"] == 0
    })
    .await;
}

async fn a_killed_process_is_lost_and_one_that_ends_is_gone(profile: Profile) {
    let backend = backend(profile).await;
    let first = Process::start(&backend, &QUICK).await;
    let killed = name(&first.api).await;
    first.kill().await;

    let second = Process::start(&backend, &QUICK).await;
    let next = name(&second.api).await;
    let after = seen(&second.api, "the killed one to be lost", |seen| {
        state_of(seen, &killed) == Some("lost") && state_of(seen, &next) == Some("delivering")
    })
    .await;
    assert_eq!(states(&after).len(), 2, "{after}");
    assert_eq!(after["partitions"][0]["owner"], *next);
    assert_eq!(second.terminate().await, Some(0));

    let third = Relay::start_on(Arc::clone(&backend), &QUICK).await;
    let last = name(&third.api).await;
    let after = seen(&third.api, "the last one to deliver", |seen| {
        state_of(seen, &last) == Some("delivering")
    })
    .await;
    assert_eq!(
        states(&after),
        [(killed.as_str(), "lost"), (last.as_str(), "delivering")]
    );

    // Whoever ends takes itself out, and nobody else.
    let backend = third.stop().await;
    let fourth = Relay::start_on(backend, &QUICK).await;
    let name = name(&fourth.api).await;
    let left = fourth.api.get(PATH).await;
    let left: Vec<_> = states(&left).into_iter().map(|(one, _)| one).collect();
    assert_eq!(left, [killed.as_str(), name.as_str()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_see_a_takeover() {
    let backend = backend(Profile::Distributed).await;
    let deliver = Process::start(&backend, &in_role("deliver")).await;
    let standby = Relay::start_on(Arc::clone(&backend), &in_role("deliver")).await;
    let ingest = Relay::start_on(Arc::clone(&backend), &in_role("ingest")).await;
    let [owner, heir, other] = [
        name(&deliver.api).await,
        name(&standby.api).await,
        name(&ingest.api).await,
    ];
    let of_each = |seen: &Value| {
        [&owner, &heir, &other].map(|one| state_of(seen, one).unwrap_or("unknown").to_owned())
    };
    // Whoever is asked tells the same.
    let mut epochs = Vec::new();
    for api in [&deliver.api, &standby.api, &ingest.api] {
        let all = seen(api, "all three", |seen| of_each(seen)[0] == "delivering").await;
        assert_eq!(of_each(&all), ["delivering", "standby", "ingest"]);
        assert_eq!(all["partitions"][0]["owner"], *owner);
        epochs.push(all["partitions"][0]["epoch"].as_i64().unwrap());
    }
    deliver.kill().await;
    let after = seen(&ingest.api, "the takeover", |seen| {
        of_each(seen) == ["lost", "delivering", "ingest"]
    })
    .await;
    let partition = &after["partitions"][0];
    assert_eq!(partition["owner"], *heir);
    assert!(partition["epoch"].as_i64() > epochs.pop(), "{partition}");

    standby.stop().await;
    let after = seen(&ingest.api, "nobody to deliver", |seen| {
        state_of(seen, &heir).is_none()
    })
    .await;
    assert_eq!(after["partitions"][0]["owner"], Value::Null);
    assert_eq!(state_of(&after, &owner), Some("lost"));
    assert_eq!(state_of(&after, &other), Some("ingest"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_hides_its_own_parts_only() {
    let backend = backend(Profile::Distributed).await;
    let proxy = Proxy::before(&backend.database_url().unwrap()).await;
    let way = [&QUICK[..], &[("DATABASE_URL", proxy.url())]].concat();
    let relay = Relay::start_on(Arc::clone(&backend), &way).await;
    let name = name(&relay.api).await;
    relay.owner_hears().await;

    proxy.cut();
    let away = seen(&relay.api, "the store to be missed", |seen| {
        seen["nodes"].is_null()
    })
    .await;
    assert_eq!(
        (&away["partitions"], &away["answeredBy"]),
        (&Value::Null, &json!(name))
    );
    assert_eq!(away["feed"]["connected"], true);
    assert!(away["feed"]["entries"].is_number(), "{away}");
    for part in ["nodes", "partitions"] {
        assert!(!text(&away["missing"], part).is_empty(), "{away}");
    }

    proxy.mend();
    let back = seen(&relay.api, "the store to be back", |seen| {
        seen["nodes"].is_array() && state_of(seen, &name) == Some("delivering")
    })
    .await;
    assert_eq!(back["missing"], json!({}));
    assert_eq!(
        states(&back).len(),
        1,
        "it is the same process as before: {back}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_hides_its_own_part_only() {
    let backend = backend(Profile::Distributed).await;
    let proxy = Proxy::before(&backend.environment()["REDIS_URL"]).await;
    let way = [&QUICK[..], &[("REDIS_URL", proxy.url())]].concat();
    let relay = Relay::start_on(Arc::clone(&backend), &way).await;
    relay.owner_hears().await;
    let receiver = Receiver::ok().await;
    // A change is told, also where nobody else hears it.
    relay.api.subscribe(&receiver, json!({})).await;
    let well = seen(&relay.api, "the notice to be kept and read", |seen| {
        seen["feed"]["entries"].as_u64() > Some(0) && seen["feed"]["behindMs"] == 0
    })
    .await;
    assert_eq!(
        (&well["feed"]["connected"], &well["feed"]["reconnects"]),
        (&json!(true), &json!(0))
    );
    let since = text(&well["feed"], "since").to_owned();

    proxy.cut();
    let away = seen(&relay.api, "the feed to be missed", |seen| {
        seen["feed"]["connected"] == false && seen["missing"]["feed"].is_string()
    })
    .await;
    assert_eq!(
        (&away["feed"]["entries"], &away["feed"]["behindMs"]),
        (&Value::Null, &Value::Null)
    );
    assert!(text(&away["feed"], "since") > since.as_str(), "{away}");
    assert!(
        away["nodes"].is_array() && away["store"].is_object(),
        "{away}"
    );
    // The store still takes its beats, which tell of it.
    seen(&relay.api, "the feed to be named", |seen| {
        seen["nodes"][0]["unwell"] == json!(["feed"])
    })
    .await;

    proxy.mend();
    let back = seen(&relay.api, "the feed to be back", |seen| {
        seen["feed"]["connected"] == true && seen["nodes"][0]["unwell"] == json!([])
    })
    .await;
    assert_eq!(back["feed"]["reconnects"], 1, "however often it was tried");
}
