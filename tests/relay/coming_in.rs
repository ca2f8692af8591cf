//! What every answer to a posted event carries, and what becomes of one that does not come whole.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::relay::KEY;
use crate::support::{Profile, Relay};

crate::stories!(
    every_answer_is_framed_and_repeats_nothing_of_the_request,
    an_event_that_does_not_come_whole_is_given_up,
);

const IMPATIENT: [(&str, &str); 3] = [
    ("POSTHASTE_SERVER__REQUEST_TIMEOUT_MS", "600"),
    ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "500"),
    ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "400"),
];

async fn every_answer_is_framed_and_repeats_nothing_of_the_request(profile: Profile) {
    let relay = Relay::start(profile).await;
    let good = json!({"eventType": "a.b", "data": 1}).to_string();
    let client = reqwest::Client::new();
    for base in ["/api/v1/events", "/api/events"] {
        for (key, query, body, status) in [
            (KEY, "", good.as_str(), 202),
            (KEY, "?atomic=false", "[1]", 207),
            (KEY, "?atomic=never", good.as_str(), 400),
            (KEY, "", "no event", 400),
            ("wrong", "", good.as_str(), 401),
        ] {
            let request = client
                .request(Method::POST, format!("{}{base}{query}", relay.api.base))
                .header("x-api-key", key)
                .header("x-request-id", "mine-1")
                .header("x-of-the-sender", "secret")
                .body(body.to_owned());
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{base}{query} {body}");
            let headers = answer.headers().clone();
            assert_eq!(headers["x-request-id"], "mine-1");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["cache-control"], "no-store");
            let media_type = match status {
                ..400 => "application/json",
                _ => "application/problem+json",
            };
            assert_eq!(headers["content-type"], media_type);
            for name in ["x-of-the-sender", "x-api-key", "host", "accept"] {
                assert!(!headers.contains_key(name), "{name}: {headers:?}");
            }
        }
    }
    let request = relay.api.request(Method::POST, "/api/v1/events");
    let answer = request.body(good).send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"].len(), 36);
}

async fn an_event_that_does_not_come_whole_is_given_up(profile: Profile) {
    let relay = Relay::start_with(profile, &IMPATIENT).await;
    let address = relay.api.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = json!({"eventType": "a.b", "data": 1}).to_string();
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // A whole one first: what is waited for then is another deadline of the same connection.
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(answered(&mut stream).await.starts_with("HTTP/1.1 202"));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..5]).await.unwrap();
    let answer = answered(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// Reads one answer, or what came until the connection was closed.
async fn answered(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        let mut some = [0; 1_024];
        let count = stream.read(&mut some).await.unwrap();
        if count == 0 {
            break;
        }
        read.extend_from_slice(&some[..count]);
    }
    String::from_utf8(read).unwrap()
}
