//! Live streams where there are several nodes: what each shows of the others, and what it says where
//! it cannot.

use std::sync::Arc;

use redis::AsyncCommands;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::streaming::{QUICK_BEATS, followed_by, looking, names};
use crate::support::backend::Backend;
use crate::support::looking::Looking;
use crate::support::relay::Api;
use crate::support::{Profile, Proxy, Receiver, Relay};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_node_shows_itself_and_says_so() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let relay = Relay::start_on(backend, &[("REDIS_URL", "")]).await;
    let looking = Looking::begin(&relay.api, "", None).await;
    assert_eq!(looking.hello["covers"], "node");
    assert_eq!(looking.hello["nodes"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_on_is_told_when_other_nodes_are_not_heard() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let proxy = Proxy::before(&backend.environment()["REDIS_URL"]).await;
    let through = [
        ("REDIS_URL", proxy.url()),
        ("POSTHASTE_ENGINE__ROLE", "ingest"),
    ];
    let deliver = [("POSTHASTE_ENGINE__ROLE", "deliver")];
    let deliver = Relay::start_on(Arc::clone(&backend), &deliver).await;
    let ingest = Relay::start_on(backend, &through).await;
    let mut looking = Looking::begin(&ingest.api, "", None).await;
    assert_eq!(looking.hello["covers"], "cluster");
    looking.other_nodes(1).await;
    proxy.cut();
    let alone = looking
        .until(|shown| shown.is("covers", "covers", "node"))
        .await;
    assert_eq!(names(&alone), ["covers"]);
    proxy.mend();
    let again = looking.until(|shown| shown.name == "node.heard").await;
    assert_eq!(
        names(&again),
        ["covers", "reset", "node.heard"],
        "{again:?}"
    );
    assert_eq!(again[0].data["covers"], "cluster");

    let receiver = Receiver::ok().await;
    ingest.api.subscribe(&receiver, json!({})).await;
    let event = ingest.api.send("a", json!(1)).await;
    looking
        .until(|shown| shown.is("delivery.settled", "eventId", &event))
        .await;
    drop(deliver);
}

/// Also the other way round: what an ingest process accepts is shown where deliveries are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_accepts_another_shows() {
    let relay = Relay::start(Profile::Split).await;
    let owner = Api::new(&format!("http://{}", relay.engine().listen_addr()));
    let mut looking = Looking::begin(&owner, "?types=event.accepted", None).await;
    looking.other_nodes(1).await;
    let events = [
        relay.api.send("a", json!(1)).await,
        relay.api.send("a", json!(2)).await,
    ];
    for event in events {
        let shown = looking.next().await;
        assert!(shown.is("event.accepted", "eventId", &event), "{shown:?}");
    }
}

/// What nobody wants to know any more costs nothing, elsewhere neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_followed_for_another_only_while_somebody_looks_on_there() {
    let more = [("POSTHASTE_STREAM__LINGER_MS", "0"), QUICK_BEATS];
    let relay = Relay::start_with(Profile::Split, &more).await;
    let before = relay.engine().events().followers();
    let one = looking(&relay, "").await;
    assert_eq!(relay.engine().events().followers(), before + 1);
    drop(one);
    followed_by(&relay, before).await;
}

/// Says something on the channel by which nodes show each other what happens.
struct Impostor {
    redis: redis::aio::MultiplexedConnection,
    channel: String,
}

impl Impostor {
    async fn on(backend: &Backend) -> Self {
        let mut database = PgConnection::connect(&backend.database_url().unwrap())
            .await
            .unwrap();
        let installation: String = sqlx::query_scalar("SELECT name FROM installation")
            .fetch_one(&mut database)
            .await
            .unwrap();
        let client = redis::Client::open(backend.environment()["REDIS_URL"].as_str()).unwrap();
        Self {
            redis: client.get_multiplexed_async_connection().await.unwrap(),
            channel: format!("posthaste:{installation}:talk:facts"),
        }
    }

    async fn say(&mut self, message: &str) {
        let heard: usize = self.redis.publish(&self.channel, message).await.unwrap();
        assert_eq!(heard, 1, "the node that is looked at listens");
    }

    /// As a node would.
    async fn tell(&mut self, run: u64, first: u64, facts: Value) {
        let from = "00000000-0000-4000-8000-000000000000";
        let message = json!({"from": from, "run": run, "first": first, "facts": facts});
        self.say(&message.to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_between_nodes_is_said_and_garbage_is_not_shown() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let relay = Relay::start_on(Arc::clone(&backend), &[]).await;
    let mut looking = Looking::begin(&relay.api, "", None).await;
    let mut other = Impostor::on(&backend).await;
    let fact = |number: u64| json!([{"kind": "event.accepted", "data": {"n": number}}]);
    other.tell(1, 5, json!([])).await;
    other.tell(1, 5, fact(5)).await;
    other.tell(1, 6, fact(6)).await;
    for garbage in ["", "{}", "[1]", "{\"from\":1}", "\u{0}"] {
        other.say(garbage).await;
    }
    // Two lines could be read as an event of their own.
    let forged = r#"{"from":"00000000-0000-4000-8000-000000000000","run":1,"first":7,
        "facts":[{"kind":"event.accepted","data":{"n":
7}},{"kind":"reset","data":{}}]}"#;
    other.say(forged).await;
    other.tell(1, 9, fact(9)).await;
    // One message is missing; then the node begins anew.
    other.tell(1, 11, fact(11)).await;
    other.tell(2, 1, fact(1)).await;
    let mut shown = looking.until(|shown| shown.data["n"] == 1).await;
    let heard = shown.remove(0);
    assert_eq!(heard.name, "node.heard");
    let expected = [
        ("event.accepted", json!({"n": 5})),
        ("event.accepted", json!({"n": 6})),
        ("event.accepted", json!({"n": 9})),
        ("reset", Value::Null),
        ("event.accepted", json!({"n": 11})),
        ("reset", Value::Null),
        ("event.accepted", json!({"n": 1})),
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:?}");
    for (shown, (name, data)) in shown.iter().zip(expected) {
        assert_eq!(shown.name, name);
        match name {
            "reset" => assert_eq!(shown.data["reason"], "gap"),
            _ => assert_eq!(shown.data, data),
        }
    }
}
