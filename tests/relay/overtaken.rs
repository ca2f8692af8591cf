//! A delivery is moved from outside while its attempt is in flight.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::support::backend::Backend;
use crate::support::{Profile, Receiver, Relay};

crate::stories!(an_outcome_that_was_overtaken_is_stale_and_the_delivery_is_sent_as_asked);

/// What a retry by another program does.
const NEXT_ROUND: &str = "UPDATE pending_deliveries \
    SET version = version + 1, round = round + 1, round_attempts = 0, aged_us = 0";

async fn move_on(backend: &Backend) {
    match backend.database_url() {
        Some(url) => {
            let mut database = PgConnection::connect(&url).await.unwrap();
            let done = sqlx::query(NEXT_ROUND).execute(&mut database).await;
            assert_eq!(done.unwrap().rows_affected(), 1);
        }
        None => {
            let file = backend.data_dir().join("posthaste.db");
            let url = format!("sqlite://{}", file.display());
            let mut database = SqliteConnection::connect(&url).await.unwrap();
            let done = sqlx::query(NEXT_ROUND).execute(&mut database).await;
            assert_eq!(done.unwrap().rows_affected(), 1);
        }
    }
}

async fn an_outcome_that_was_overtaken_is_stale_and_the_delivery_is_sent_as_asked(
    profile: Profile,
) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("a.b", json!(1)).await;
    receiver.received(1).await;
    move_on(&relay.backend).await;
    gate.open();
    relay.recorded(2).await;
    overtaken_once(&relay, &subscribed.id, &event, &receiver).await;
}

/// Two attempts: the overtaken one is stale, the other delivered; what follows is unharmed.
async fn overtaken_once(relay: &Relay, subscription: &str, event: &str, receiver: &Receiver) {
    relay.api.send("a.b", json!(2)).await;
    relay.recorded(1).await;
    let log = relay.api.consistent_log(subscription).await;
    assert_eq!(log.len(), 2);
    let stale: Vec<&Value> = log[event].iter().map(|one| &one["stale"]).collect();
    assert_eq!(stale, [true, false]);
    assert_eq!(relay.api.delivery_of(event).await["round"], 2);
    assert_eq!(receiver.count(), 3);
}
