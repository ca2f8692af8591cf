//! What is sent, and what is read of an answer.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use posthaste::delivery::MASK;
use posthaste::domain::outcome::FailureKind;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::receiver::{OK, Receiver};
use crate::{KEEP_BYTES, READ_BYTES, answer, failure, request, transport};

#[tokio::test]
async fn sends_a_plain_post_and_records_it_with_own_values_masked() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut peer| {
        let seen = seen.clone();
        async move {
            while let Some(request) = peer.request().await? {
                seen.send(String::from_utf8(request).unwrap()).unwrap();
                peer.stream.write_all(OK).await?;
            }
            Ok(())
        }
    })
    .await;
    let mut call = request(&format!("{}?a=b", receiver.url));
    call.headers.push((
        HeaderName::from_static("host"),
        HeaderValue::from_static("elsewhere"),
    ));
    let outcome = transport().send(call).await;

    let host = format!("127.0.0.1:{}", receiver.port);
    let sent = requests.recv().await.unwrap();
    let expected = format!(
        "POST /hook?a=b HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         webhook-id: evt_1\r\nx-own-key: hush\r\ncontent-length: 7\r\n\r\n{{\"n\":1}}"
    );
    assert_eq!(sent, expected);

    let recorded = outcome.request_headers.list();
    let recorded: Vec<_> = recorded
        .iter()
        .map(|header| {
            (
                header.name.as_str(),
                std::str::from_utf8(&header.value).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        recorded,
        [
            ("host", host.as_str()),
            ("content-type", "application/json"),
            ("webhook-id", "evt_1"),
            ("x-own-key", MASK),
            ("content-length", "7"),
        ]
    );
    assert!(outcome.is_success());
    assert_eq!(answer(&outcome).body, b"ok");
    assert!(!answer(&outcome).body_cut);
}

#[tokio::test]
async fn an_empty_body_is_sent_as_one() {
    let receiver = Receiver::answering(OK).await;
    let mut call = request(&receiver.url);
    call.body = bytes::Bytes::new();
    assert!(transport().send(call).await.is_success());
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let elsewhere = Receiver::answering(OK).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let receiver = Receiver::answering(redirect).await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(answer(&outcome).status, 302);
    assert!(!outcome.is_success());
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn gone_is_told_from_other_answers() {
    let receiver = Receiver::answering("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert!(transport().send(request(&receiver.url)).await.is_gone());
}

#[tokio::test]
async fn retry_after_is_read() {
    let hour = Duration::from_secs(3600);
    for (value, expected) in [("7", Some(7)), ("soon", None), ("\u{e9}", None)] {
        let receiver = Receiver::answering(format!(
            "HTTP/1.1 503 Busy\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let outcome = transport().send(request(&receiver.url)).await;
        assert_eq!(
            outcome.hold(hour),
            expected.map(Duration::from_secs),
            "{value}"
        );
    }
}

#[tokio::test]
async fn nul_bytes_and_invalid_utf8_stay_bytes() {
    let head = b"HTTP/1.1 500 \xff\r\nx-odd: a\xff\xfeb\r\ncontent-length: 5\r\n\r\n";
    let receiver = Receiver::answering([&head[..], b"\0a\xff\xfe\0"].concat()).await;
    let outcome = transport().send(request(&receiver.url)).await;
    let answer = answer(&outcome);
    assert_eq!(answer.body, b"\0a\xff\xfe\0");
    let mut headers = answer.headers.list().into_iter();
    let odd = headers.find(|header| header.name == "x-odd").unwrap();
    assert_eq!(odd.value, b"a\xff\xfeb");
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let receiver = Receiver::answering([&hints[..], hints, OK].concat()).await;
    assert!(transport().send(request(&receiver.url)).await.is_success());
}

#[tokio::test]
async fn a_long_body_is_cut_and_its_connection_used_again() {
    let length = KEEP_BYTES + 1;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let receiver = Receiver::answering([head.as_bytes(), &vec![b'x'; length]].concat()).await;
    let transport = transport();
    for _ in 0..2 {
        let outcome = transport.send(request(&receiver.url)).await;
        assert_eq!(answer(&outcome).body.len(), KEEP_BYTES);
        assert!(answer(&outcome).body_cut);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_body_that_just_fits_is_whole() {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {KEEP_BYTES}\r\n\r\n");
    let receiver = Receiver::answering([head.as_bytes(), &vec![b'x'; KEEP_BYTES]].concat()).await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(answer(&outcome).body.len(), KEEP_BYTES);
    assert!(!answer(&outcome).body_cut);
}

#[tokio::test]
async fn a_body_announced_as_too_long_is_not_waited_for() {
    // Only what is kept arrives; nothing more ever does.
    let length = READ_BYTES + 1;
    let head = format!("HTTP/1.1 500 Oops\r\ncontent-length: {length}\r\n\r\n");
    let receiver = Receiver::answering([head.as_bytes(), &vec![b'x'; KEEP_BYTES]].concat()).await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(answer(&outcome).status, 500);
    assert!(answer(&outcome).body_cut);
}

#[tokio::test]
async fn headers_of_the_message_itself_cannot_be_set() {
    let receiver = Receiver::answering(OK).await;
    let mut call = request(&receiver.url);
    let chunked = HeaderValue::from_static("chunked");
    call.headers
        .push((HeaderName::from_static("transfer-encoding"), chunked));
    let outcome = transport().send(call).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Request);
    assert_eq!(receiver.connections(), 0);
}
