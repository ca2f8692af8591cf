//! Traces: from the sender's `traceparent` through the relay to the receiver, and every span of
//! it at a collector, which here is any receiver: it understands no span, but finds their names
//! and ids in what it gets.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Received, status};
use crate::support::relay::text;
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    a_senders_trace_goes_on_to_the_receiver_and_the_collector,
    an_event_without_a_trace_gets_one,
    a_collector_that_is_away_holds_nothing_up,
    without_a_collector_nothing_is_added,
);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00f067aa0ba902b7";

async fn traced(profile: Profile, collector: &str) -> Relay {
    let endpoint = collector.strip_suffix("/hook").unwrap();
    Relay::start_with(profile, &[("POSTHASTE_TRACING__OTLP_ENDPOINT", endpoint)]).await
}

/// Posts an event with these headers.
async fn send(relay: &Relay, headers: &[(&str, &str)]) -> String {
    let mut request = relay.api.request(Method::POST, "/api/v1/events");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request
        .json(&json!({"eventType": "a", "data": 1}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    text(&answer.json::<Value>().await.unwrap(), "eventId").to_owned()
}

/// Trace, span and flags of the attempt that was received.
fn traceparent(received: &Received) -> (String, String, String) {
    let parts: Vec<&str> = received.header("traceparent").split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"));
    (parts[1].into(), parts[2].into(), parts[3].into())
}

fn holds(exports: &[Received], bytes: &[u8]) -> bool {
    exports
        .iter()
        .any(|one| one.body.windows(bytes.len()).any(|part| part == bytes))
}

/// Waits until the collector has all of these.
async fn collected(collector: &Receiver, wanted: &[&[u8]]) -> Vec<Received> {
    let mut exports = collector.received(1).await;
    while !wanted.iter().all(|bytes| holds(&exports, bytes)) {
        exports = collector.received(exports.len() + 1).await;
    }
    exports
}

async fn a_senders_trace_goes_on_to_the_receiver_and_the_collector(profile: Profile) {
    let collector = Receiver::ok().await;
    let relay = traced(profile, &collector.url()).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 1 { 500 } else { 200 })).await;
    relay.api.subscribe(&receiver, json!({})).await;

    let unsampled = format!("00-{UNSAMPLED}-{PARENT}-00");
    send(&relay, &[("traceparent", &unsampled)]).await;
    receiver.received(1).await;
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("traceparent", sampled.as_str()),
        ("tracestate", "vendor=x"),
    ];
    let event = send(&relay, &headers).await;
    let received = receiver.received(3).await;

    let (trace, _, flags) = traceparent(&received[0]);
    assert_eq!((trace.as_str(), flags.as_str()), (UNSAMPLED, "00"));
    let (first, second) = (traceparent(&received[1]), traceparent(&received[2]));
    assert_eq!((first.0.as_str(), second.0.as_str()), (TRACE, TRACE));
    assert_eq!((first.2.as_str(), second.2.as_str()), ("01", "01"));
    assert_ne!(first.1, second.1, "each attempt is a span of its own");
    assert_ne!(first.1, PARENT);
    assert_eq!(received[1].header("tracestate"), "vendor=x");

    let ids =
        [TRACE, first.1.as_str(), second.1.as_str(), PARENT].map(|id| hex::decode(id).unwrap());
    let mut wanted: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    wanted.extend([
        b"POST /events".as_slice(),
        b"accept",
        b"deliver",
        event.as_bytes(),
    ]);
    let exports = collected(&collector, &wanted).await;
    for one in &exports {
        assert_eq!(one.path, "/v1/traces");
        assert_eq!(one.header("content-type"), "application/x-protobuf");
    }
    assert!(!holds(&exports, &hex::decode(UNSAMPLED).unwrap()));
}

async fn an_event_without_a_trace_gets_one(profile: Profile) {
    let collector = Receiver::ok().await;
    let relay = traced(profile, &collector.url()).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    send(&relay, &[]).await;
    // What is no traceparent counts as none.
    send(&relay, &[("traceparent", "00-zz-yy-01")]).await;
    let received = receiver.received(2).await;
    let traces = [&received[0], &received[1]].map(|one| traceparent(one).0);
    assert_ne!(traces[0], traces[1]);
    let traces = traces.map(|trace| hex::decode(trace).unwrap());
    collected(&collector, &[&traces[0], &traces[1]]).await;

    // Its own header of that name stands, and what was not sent yet goes with the stop.
    let own = json!({"headers": {"traceparent": "mine"}, "eventTypes": ["own"]});
    let other = Receiver::ok().await;
    relay.api.subscribe(&other, own).await;
    relay.api.send("own", json!(1)).await;
    assert_eq!(
        other.received(1).await[0]
            .headers
            .get_all("traceparent")
            .iter()
            .count(),
        1
    );
    assert_eq!(other.all()[0].header("traceparent"), "mine");
    receiver.received(3).await;
    let last = traceparent(&receiver.all()[2]).1;
    relay.stop().await;
    assert!(holds(&collector.all(), &hex::decode(last).unwrap()));
}

async fn a_collector_that_is_away_holds_nothing_up(profile: Profile) {
    let relay = traced(profile, "http://127.0.0.1:9/hook").await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    send(&relay, &[]).await;
    receiver.received(1).await;
    // What was lost is counted.
    relay
        .look_until("spans to be given up", async || {
            relay.api.send("a", json!(1)).await;
            let text = relay.api.get_text("/metrics").await;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("posthaste_spans_lost_total "));
            (line.unwrap().parse::<u64>().unwrap() > 0).then_some(())
        })
        .await;
    relay.stop().await;
}

async fn without_a_collector_nothing_is_added(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    send(
        &relay,
        &[("traceparent", &format!("00-{TRACE}-{PARENT}-01"))],
    )
    .await;
    assert!(
        !receiver.received(1).await[0]
            .headers
            .contains_key("traceparent")
    );
}
