//! Receivers that mean harm, each beside a healthy one that notices nothing of it.
//!
//! What each of them costs the transport is measured in `tests/transport/`; here it is told
//! what becomes of deliveries and of what others get.

use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::raw::{OK, Peer, Receiver as RawReceiver};
use crate::support::receiver::status;
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    silence_holds_nobody_up,
    silence_is_a_timeout,
    an_endless_body_after_200_is_a_success,
    an_endless_body_after_500_is_that_status,
    a_reset_is_a_reset,
    a_redirect_is_not_followed,
    foreign_bytes_are_kept_as_they_are,
    a_nul_in_a_header_is_no_http,
    too_many_headers_are_no_http,
    another_protocol_is_no_http,
    one_byte_at_a_time_is_slow_but_fine,
    one_byte_at_a_time_for_ever_is_a_timeout,
    provisional_answers_for_ever_are_a_timeout,
);

/// Events that each story sends.
const EVENTS: usize = 5;

async fn raw<S>(serve: impl Fn(Peer) -> S + Send + 'static) -> RawReceiver
where
    S: Future<Output = io::Result<()>> + Send + 'static,
{
    RawReceiver::start(serve).await
}

/// Sends events to a hostile receiver and a healthy one, and returns what became of the
/// hostile one's deliveries: one attempt each.
async fn suffered(profile: Profile, url: &str) -> Vec<Value> {
    let relay = Relay::start(profile).await;
    let fields = json!({"timeoutMs": 300, "retryPolicy": {"delaysMs": []}});
    let hostile = relay.api.subscribe_url(url, fields).await;
    let healthy = Receiver::ok().await;
    relay.api.subscribe(&healthy, json!({})).await;
    for number in 0..EVENTS {
        relay.api.send("any", json!({"number": number})).await;
    }
    let got = healthy.received_events(EVENTS).await;
    assert!(got.values().all(|count| *count == 1), "{got:?}");

    relay.nothing_pending().await;
    assert_eq!(healthy.count(), EVENTS);
    let list = relay
        .api
        .get(&format!("{}/deliveries", hostile.path()))
        .await;
    assert_eq!(rows(&list).len(), EVENTS);
    let mut deliveries = Vec::new();
    for row in rows(&list) {
        let path = format!("/api/v1/deliveries/{}", text(row, "id"));
        let delivery = relay.api.get(&path).await;
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
        deliveries.push(delivery);
    }
    deliveries
}

/// Each delivery failed, with this kind of error and this status.
async fn fails(profile: Profile, url: &str, kind: &str, status: Option<u16>) {
    for delivery in suffered(profile, url).await {
        let attempt = &delivery["attempts"][0];
        assert_eq!(attempt["errorKind"], kind, "{attempt}");
        assert_eq!(attempt["status"], json!(status), "{attempt}");
        assert!(attempt["error"].is_string());
        assert_eq!(delivery["status"], "failed");
        assert_eq!(delivery["errorKind"], kind);
    }
}

async fn silence_holds_nobody_up(profile: Profile) {
    let relay = Relay::start(profile).await;
    let silent = Receiver::scripted(|_, _| Box::pin(pending())).await;
    relay
        .api
        .subscribe(&silent, json!({"timeoutMs": 60_000}))
        .await;
    let healthy = Receiver::ok().await;
    relay.api.subscribe(&healthy, json!({})).await;
    let event = json!({"eventType": "any", "data": {}});
    // More than its bound in flight and than its window.
    for _ in 0..4 {
        let batch: Value = std::iter::repeat_n(event.clone(), 100).collect();
        relay.api.post(202, "/api/v1/events", &batch).await;
    }
    assert_eq!(healthy.received_events(400).await.len(), 400);
    assert!(silent.count() <= 64, "{}", silent.count());
}

async fn silence_is_a_timeout(profile: Profile) {
    let receiver = raw(|mut peer| async move {
        peer.request().await?;
        pending().await
    })
    .await;
    fails(profile, &receiver.url, "timeout", None).await;
}

/// A head, then chunks without end.
async fn endless(head: &'static str) -> RawReceiver {
    raw(move |mut peer| async move {
        peer.request().await?;
        let head = format!("HTTP/1.1 {head}\r\ntransfer-encoding: chunked\r\n\r\n");
        peer.stream.write_all(head.as_bytes()).await?;
        let chunk = [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat();
        loop {
            peer.stream.write_all(&chunk).await?;
        }
    })
    .await
}

async fn an_endless_body_after_200_is_a_success(profile: Profile) {
    let receiver = endless("200 OK").await;
    for delivery in suffered(profile, &receiver.url).await {
        assert_eq!(delivery["status"], "delivered");
        let attempt = &delivery["attempts"][0];
        assert_eq!(attempt["status"], 200);
        assert_eq!(attempt["errorKind"], Value::Null);
        assert_eq!(text(attempt, "responseBody"), "x".repeat(4096));
        assert_eq!(attempt["responseBodyCut"], true);
    }
}

async fn an_endless_body_after_500_is_that_status(profile: Profile) {
    let receiver = endless("500 No").await;
    fails(profile, &receiver.url, "status", Some(500)).await;
}

async fn a_reset_is_a_reset(profile: Profile) {
    let receiver = raw(|mut peer| async move {
        peer.request().await?;
        peer.reset();
        Ok(())
    })
    .await;
    fails(profile, &receiver.url, "reset", None).await;
}

async fn a_redirect_is_not_followed(profile: Profile) {
    let elsewhere = Receiver::ok().await;
    for code in [301, 302, 303, 307, 308] {
        let target = elsewhere.url();
        let receiver = Receiver::answering(move |_, _| {
            let mut answer = status(code);
            let location = target.parse().unwrap();
            answer.headers_mut().insert("location", location);
            answer
        })
        .await;
        let url = receiver.url();
        for delivery in suffered(profile, &url).await {
            assert_eq!(delivery["status"], "failed");
            let attempt = &delivery["attempts"][0];
            assert_eq!(attempt["status"], code);
            assert_eq!(attempt["errorKind"], "status");
            assert!(text(attempt, "error").contains("redirect"), "{attempt}");
            assert_eq!(attempt["responseHeaders"]["location"], elsewhere.url());
        }
        assert_eq!(receiver.count(), EVENTS);
    }
    assert_eq!(elsewhere.count(), 0);
}

async fn foreign_bytes_are_kept_as_they_are(profile: Profile) {
    for (code, becomes) in [(200, "delivered"), (500, "failed")] {
        let head = format!("HTTP/1.1 {code} X\r\nx-odd: \u{1}");
        let bytes = [
            &head.as_bytes()[..head.len() - 1],
            b"a\xff\xfe\t'\"\\",
            b"\r\nx-odd: \xc3\r\ncontent-length: 9\r\n\r\n",
            b"a\0b\xff\xfe\0'\xc3\\",
        ]
        .concat();
        let receiver = RawReceiver::answering(bytes).await;
        for delivery in suffered(profile, &receiver.url).await {
            assert_eq!(delivery["status"], becomes);
            let attempt = &delivery["attempts"][0];
            assert_eq!(attempt["status"], code);
            assert_eq!(attempt["responseBody"], "a\0b\u{fffd}\u{fffd}\0'\u{fffd}\\");
            let odd = &attempt["responseHeaders"]["x-odd"];
            assert_eq!(*odd, "a\u{fffd}\u{fffd}\t'\"\\, \u{fffd}");
            assert_eq!(delivery["responseBody"], attempt["responseBody"]);
        }
    }
}

async fn a_nul_in_a_header_is_no_http(profile: Profile) {
    let answer = b"HTTP/1.1 200 OK\r\nx-odd: a\0b\r\ncontent-length: 0\r\n\r\n";
    let receiver = RawReceiver::answering(*answer).await;
    fails(profile, &receiver.url, "protocol", None).await;
}

async fn too_many_headers_are_no_http(profile: Profile) {
    let headers = "x-many: 1\r\n".repeat(100_000);
    let answer = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n");
    let receiver = RawReceiver::answering(answer).await;
    fails(profile, &receiver.url, "protocol", None).await;
}

async fn another_protocol_is_no_http(profile: Profile) {
    let receiver = RawReceiver::answering_once("SSH-2.0-OpenSSH_9.2\r\n").await;
    fails(profile, &receiver.url, "protocol", None).await;
}

async fn one_byte_at_a_time_is_slow_but_fine(profile: Profile) {
    let receiver = raw(|mut peer| async move {
        peer.stream.set_nodelay(true)?;
        while peer.request().await?.is_some() {
            for byte in OK {
                peer.stream.write_all(&[*byte]).await?;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    })
    .await;
    for delivery in suffered(profile, &receiver.url).await {
        assert_eq!(delivery["status"], "delivered");
        assert_eq!(delivery["attempts"][0]["responseBody"], "ok");
    }
}

/// Sends this again and again, never too fast for the relay to keep up.
async fn dripping(head: &'static [u8], drop: &'static [u8]) -> RawReceiver {
    raw(move |mut peer| async move {
        peer.request().await?;
        peer.stream.write_all(head).await?;
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        loop {
            pace.tick().await;
            peer.stream.write_all(drop).await?;
        }
    })
    .await
}

async fn one_byte_at_a_time_for_ever_is_a_timeout(profile: Profile) {
    let in_the_head = dripping(b"HTTP/1.1 200 OK\r\nx-long: ", b"y").await;
    fails(profile, &in_the_head.url, "timeout", None).await;
    let head = b"HTTP/1.1 500 No\r\ncontent-length: 9999\r\n\r\n";
    let in_the_body = dripping(head, b"y").await;
    fails(profile, &in_the_body.url, "timeout", Some(500)).await;
}

async fn provisional_answers_for_ever_are_a_timeout(profile: Profile) {
    let receiver = dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n").await;
    fails(profile, &receiver.url, "timeout", None).await;
}
