//! Senders that repeat themselves.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::relay::{Api, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    fifty_equal_requests_at_once_make_one_event,
    a_key_with_other_content_is_refused_and_its_neighbours_are_not,
    of_conflicting_requests_at_once_exactly_one_is_accepted,
    a_repeat_of_what_was_delivered_sends_nothing,
    a_key_in_the_header_numbers_the_items_of_a_batch,
    keys_of_different_tenants_do_not_clash,
    a_batch_with_one_conflict_leaves_nothing_behind,
);

const EVENTS: &str = "/api/v1/events";

fn keyed(key: &str, number: usize) -> Value {
    json!({"eventType": "order.created", "data": {"number": number}, "idempotencyKey": key})
}

/// Posts all of these at once, each on its own.
async fn post_all(api: &Api, bodies: Vec<Value>) -> Vec<(u16, Value)> {
    let posting = bodies.into_iter().map(|body| {
        let api = api.clone();
        tokio::spawn(async move { api.post_raw(EVENTS, body.to_string()).await })
    });
    let answers = join_all(posting).await;
    answers.into_iter().map(Result::unwrap).collect()
}

async fn stored(api: &Api) -> usize {
    let page = api.get("/api/v1/events?limit=100").await;
    rows(&page).len()
}

async fn fifty_equal_requests_at_once_make_one_event(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;

    let answers = post_all(&relay.api, vec![keyed("K", 1); 50]).await;
    let ids: HashSet<&str> = answers
        .iter()
        .map(|(status, answer)| {
            assert_eq!(*status, 202, "{answer}");
            text(answer, "eventId")
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let firsts = answers
        .iter()
        .filter(|(_, answer)| answer["duplicate"] == false);
    assert_eq!(firsts.count(), 1);
    let duplicates = answers
        .iter()
        .filter(|(_, answer)| answer["duplicate"] == true);
    assert_eq!(duplicates.count(), 49);

    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(stored(&relay.api).await, 1);
}

async fn a_key_with_other_content_is_refused_and_its_neighbours_are_not(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    relay.api.post(202, EVENTS, &keyed("K", 0)).await;

    // All at once, so that they meet in groups.
    let bodies = (1..=60).map(|number| match number % 3 {
        0 => keyed("K", number),
        1 => keyed(&format!("own-{number}"), number),
        _ => json!({"eventType": "order.created", "data": {"number": number}}),
    });
    let answers = post_all(&relay.api, bodies.collect()).await;
    for (number, (status, answer)) in (1..).zip(&answers) {
        let expected = if number % 3 == 0 { 422 } else { 202 };
        assert_eq!(*status, expected, "{number}: {answer}");
        if expected == 422 {
            assert!(text(answer, "error").contains("idempotencyKey"), "{answer}");
        }
    }
    assert_eq!(receiver.received_events(41).await.len(), 41);
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 41);
}

async fn of_conflicting_requests_at_once_exactly_one_is_accepted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let bodies = (0..20).map(|number| keyed("K", number)).collect();
    let answers = post_all(&relay.api, bodies).await;
    let with = |status: u16| answers.iter().filter(|(got, _)| *got == status).count();
    assert_eq!((with(202), with(422)), (1, 19), "{answers:?}");
    assert_eq!(stored(&relay.api).await, 1);
}

async fn a_repeat_of_what_was_delivered_sends_nothing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let first = relay.api.post(202, EVENTS, &keyed("K", 1)).await;
    let event = text(&first, "eventId");
    relay.final_delivery(event).await;

    let again = relay.api.post(202, EVENTS, &keyed("K", 1)).await;
    assert_eq!(again["eventId"], event);
    assert_eq!(again["duplicate"], true);
    // The header says the same as the field.
    let body = json!({"eventType": "order.created", "data": {}});
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = relay.api.request(reqwest::Method::POST, EVENTS);
        let request = request.header("Idempotency-Key", "H").json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answers.push(answer);
    }
    assert_eq!(answers[0]["eventId"], answers[1]["eventId"]);
    assert_eq!(answers[1]["duplicate"], true);
    receiver.received(2).await;
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 2);
}

async fn a_key_in_the_header_numbers_the_items_of_a_batch(profile: Profile) {
    let relay = Relay::start(profile).await;
    let item = |number: usize| json!({"eventType": "order.created", "data": {"number": number}});
    let batch: Vec<Value> = (0..3).map(item).collect();
    let post = async |batch: &[Value]| {
        let request = relay.api.request(reqwest::Method::POST, EVENTS);
        let request = request.header("Idempotency-Key", "K").json(batch);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, first) = post(&batch).await;
    assert_eq!(status, 202, "{first}");
    let (status, second) = post(&batch).await;
    assert_eq!(status, 202, "{second}");
    for at in 0..3 {
        let id = text(&first["results"][at], "eventId");
        assert_eq!(second["results"][at]["eventId"], id);
        assert_eq!(second["results"][at]["duplicate"], true);
        let event = relay.api.get(&format!("{EVENTS}/{id}")).await;
        assert_eq!(event["idempotencyKey"], format!("K/{at}"));
    }
    // In another order they are other items.
    let (status, swapped) = post(&[item(1), item(0), item(2)]).await;
    assert_eq!(status, 422, "{swapped}");
    assert_eq!(stored(&relay.api).await, 3);
}

async fn keys_of_different_tenants_do_not_clash(profile: Profile) {
    let relay = Relay::start(profile).await;
    let mut ids = HashSet::new();
    for (number, tenant) in [json!("a"), json!("b"), Value::Null].iter().enumerate() {
        let mut body = keyed("K", number);
        body["tenant"] = tenant.clone();
        for duplicate in [false, true] {
            let answer = relay.api.post(202, EVENTS, &body).await;
            assert_eq!(answer["duplicate"], duplicate, "{tenant}");
            ids.insert(text(&answer, "eventId").to_owned());
        }
    }
    assert_eq!(ids.len(), 3);
}

async fn a_batch_with_one_conflict_leaves_nothing_behind(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    relay.api.post(202, EVENTS, &keyed("K", 0)).await;
    let batch = json!([keyed("new", 1), keyed("K", 2), keyed("other", 3)]);
    let refused = relay.api.post(422, EVENTS, &batch).await;
    assert!(text(&refused, "error").contains("[1]"), "{refused}");
    assert_eq!(stored(&relay.api).await, 1);

    // The keys beside the conflict were not taken.
    let answer = relay.api.post(202, EVENTS, &keyed("new", 9)).await;
    assert_eq!(answer["duplicate"], false);
    // One by one, only the conflict fails.
    let path = "/api/v1/events?atomic=false";
    let answer = relay
        .api
        .post(207, path, &json!([keyed("K", 2), keyed("other", 3)]))
        .await;
    assert_eq!(answer["results"][0]["status"], "failed");
    assert_eq!(answer["results"][1]["status"], "success");
    receiver.received_events(3).await;
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 3);
}
