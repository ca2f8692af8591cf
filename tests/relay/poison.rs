//! Data that the database refuses costs its own event or its own answer, and no neighbour.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::support::receiver::{status, tally};
use crate::support::relay::text;
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    an_event_that_the_store_refuses_is_answered_alone,
    an_answer_that_the_store_refuses_is_replaced_by_a_note,
);

/// Makes the database refuse events from the source "poison" and answers that hold the word.
async fn poison(relay: &Relay) {
    match relay.backend.database_url() {
        Some(url) => {
            let mut database = PgConnection::connect(&url).await.unwrap();
            for sql in [
                "ALTER TABLE events ADD CHECK (source IS DISTINCT FROM 'poison')",
                "ALTER TABLE attempts ADD CHECK (position('poison'::bytea IN answer_body) = 0)",
            ] {
                database.execute(sql).await.unwrap();
            }
        }
        None => {
            let file = relay.backend.data_dir().join("posthaste.db");
            let url = format!("sqlite://{}", file.display());
            let mut database = SqliteConnection::connect(&url).await.unwrap();
            for sql in [
                "CREATE TRIGGER no_event BEFORE INSERT ON events WHEN NEW.source = 'poison'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
                "CREATE TRIGGER no_answer BEFORE INSERT ON attempts
                 WHEN instr(NEW.answer_body, CAST('poison' AS BLOB)) > 0
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
            ] {
                database.execute(sql).await.unwrap();
            }
        }
    }
}

async fn an_event_that_the_store_refuses_is_answered_alone(profile: Profile) {
    let relay = Relay::start(profile).await;
    poison(&relay).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let item = |number| match number {
        11 => json!({"eventType": "a.b", "data": number, "source": "poison"}),
        _ => json!({"eventType": "a.b", "data": number}),
    };
    let items: Value = (0..30).map(item).collect();
    let answer = relay
        .api
        .post(207, "/api/v1/events?atomic=false", &items)
        .await;
    let results = answer["results"].as_array().unwrap();
    let mut accepted = HashSet::new();
    for (number, result) in results.iter().enumerate() {
        if number == 11 {
            assert_eq!(result["status"], "failed", "{answer}");
        } else {
            accepted.insert(text(result, "eventId").to_owned());
        }
    }
    let tally = receiver.received_events(29).await;
    assert_eq!(tally.keys().cloned().collect::<HashSet<_>>(), accepted);
    assert!(tally.values().all(|times| *times == 1));
}

async fn an_answer_that_the_store_refuses_is_replaced_by_a_note(profile: Profile) {
    let relay = Relay::start(profile).await;
    poison(&relay).await;
    let receiver = Receiver::answering(|number, _| {
        let mut answer = status(200);
        *answer.body_mut() = if number == 11 { "poison" } else { "fine" }.into();
        answer
    })
    .await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let items: Value = (0..30)
        .map(|number| json!({"eventType": "a.b", "data": number}))
        .collect();
    relay.api.post(202, "/api/v1/events", &items).await;
    relay.recorded(30).await;
    assert!(tally(&receiver.all()).values().all(|times| *times == 1));
    let log = relay.api.consistent_log(&subscribed.id).await;
    let bodies: Vec<&str> = log
        .values()
        .flatten()
        .map(|attempt| text(attempt, "responseBody"))
        .collect();
    assert_eq!(bodies.len(), 30);
    assert_eq!(bodies.iter().filter(|body| **body == "fine").count(), 29);
    assert!(bodies.contains(&"(the answer could not be stored)"));
}
