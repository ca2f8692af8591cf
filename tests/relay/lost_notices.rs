//! Redis is away, forgets, and comes back: it only makes things fast.

use std::sync::Arc;

use redis::AsyncCommands;
use serde_json::json;

use crate::support::backend::Backend;
use crate::support::flow::pour;
use crate::support::relay::Api;
use crate::support::{Profile, Proxy, Receiver, Relay};

/// No sweep comes to help while a story waits.
const NO_SWEEPS: (&str, &str) = ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000");

/// An owner and a standby whose way to Redis leads through a proxy.
struct Pair {
    owner: Relay,
    standby: Relay,
    proxy: Proxy,
    backend: Arc<Backend>,
    receiver: Receiver,
    subscription: String,
}

async fn pair() -> Pair {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let proxy = Proxy::before(&backend.environment()["REDIS_URL"]).await;
    let more = [("REDIS_URL", proxy.url()), NO_SWEEPS];
    let owner = Relay::start_on(Arc::clone(&backend), &more).await;
    let standby = Relay::start_on(Arc::clone(&backend), &more).await;
    let receiver = Receiver::ok().await;
    let subscribed = owner.api.subscribe(&receiver, json!({})).await;
    let pair = Pair {
        subscription: subscribed.id,
        owner,
        standby,
        proxy,
        backend,
        receiver,
    };
    feed_is(&pair.owner.api, true).await;
    feed_is(&pair.standby.api, true).await;
    pair.pour_at_the_standby(10).await;
    pair
}

async fn feed_is(api: &Api, ok: bool) {
    api.until_get("/health", "the feed to change", |health| {
        health["components"]["feed"]["ok"] == ok
    })
    .await;
}

impl Pair {
    /// Posts where nobody delivers, and waits for what the owner delivers of it.
    async fn pour_at_the_standby(&self, count: usize) {
        let before = self.receiver.count();
        pour(&self.standby.api, count).await;
        self.arrives(before + count).await;
    }

    async fn arrives(&self, count: usize) {
        let tally = self.receiver.received_events(count).await;
        assert!(tally.values().all(|times| *times == 1));
        self.owner.api.settled(&self.subscription).await;
        assert_eq!(self.receiver.count(), count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_while_redis_is_away_is_delivered_when_it_is_back() {
    let pair = pair().await;
    pair.proxy.cut();
    feed_is(&pair.owner.api, false).await;
    pour(&pair.standby.api, 30).await;
    let health = pair.standby.api.get("/health").await;
    assert_eq!(health["ready"], true, "events are accepted all the same");
    assert_eq!(health["status"], "degraded");
    pair.proxy.mend();
    pair.arrives(40).await;
    pair.pour_at_the_standby(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_notice_after_a_break_that_nobody_noticed_is_heard() {
    let pair = pair().await;
    pair.proxy.cut();
    feed_is(&pair.owner.api, false).await;
    pair.proxy.mend();
    feed_is(&pair.owner.api, true).await;
    pair.pour_at_the_standby(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_deleted_grows_again() {
    let pair = pair().await;
    let url = &pair.backend.environment()["REDIS_URL"];
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let installation: String = {
        use sqlx::Connection;
        let url = pair.backend.database_url().unwrap();
        let mut database = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query_scalar("SELECT name FROM installation")
            .fetch_one(&mut database)
            .await
            .unwrap()
    };
    let stream = format!("posthaste:{installation}:feed");
    let deleted: usize = redis.del(&stream).await.unwrap();
    assert_eq!(deleted, 1);
    pair.pour_at_the_standby(10).await;
}
