//! Receivers that mean harm: each costs one deadline and a bounded amount of memory.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use posthaste::domain::outcome::FailureKind;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::receiver::{OK, Receiver};
use crate::{KEEP_BYTES, SHORT, answer, failure, request, transport};

const OK_CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// What the kernel's socket buffers may hold on top of what the relay takes.
const KERNEL_BUFFERS: usize = 16 << 20;

#[tokio::test]
async fn silence_ends_with_the_deadline() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await?;
        pending().await
    })
    .await;
    let mut call = request(&receiver.url);
    call.timeout = SHORT;
    let outcome = transport().send(call).await;
    let failure = failure(&outcome);
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!(
        failure.message,
        "the deadline of 0.3 s passed while waiting for the answer"
    );
    assert_eq!((failure.status, outcome.timing.first_byte), (None, None));
    assert!(outcome.timing.connect.is_some());
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_ends_with_the_deadline() {
    // Accepted by the kernel, never by a program.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://127.0.0.1:{}/",
        listener.local_addr().unwrap().port()
    );
    let mut call = request(&url);
    call.timeout = SHORT;
    let outcome = transport().send(call).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Timeout);
    assert!(
        failure(&outcome).message.ends_with("in the TLS handshake"),
        "{outcome:?}"
    );
    assert!(
        outcome
            .timing
            .tls
            .is_some_and(|tls| tls <= outcome.duration)
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_read_ends_with_the_deadline() {
    let receiver = Receiver::start(|peer| async move {
        let _unread = peer;
        pending().await
    })
    .await;
    let mut call = request(&receiver.url);
    call.body = vec![b'x'; KERNEL_BUFFERS].into();
    call.timeout = SHORT;
    let outcome = transport().send(call).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Timeout);
}

#[tokio::test]
async fn an_endless_body_after_2xx_is_a_success_read_to_a_bound() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut peer| {
        let (written, done) = (Arc::clone(&counter), done.clone());
        async move {
            peer.request().await?;
            peer.stream.write_all(OK_CHUNKED).await?;
            let chunk = [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat();
            while let Ok(count) = peer.stream.write(&chunk).await {
                written.fetch_add(count, Ordering::SeqCst);
            }
            done.send(()).unwrap();
            Ok(())
        }
    })
    .await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert!(outcome.is_success());
    assert_eq!(answer(&outcome).body.len(), KEEP_BYTES);
    assert!(answer(&outcome).body_cut);
    ended.recv().await.unwrap();
    assert!(
        written.load(Ordering::SeqCst) < KERNEL_BUFFERS,
        "{written:?}"
    );
}

/// Whoever unpacks what he is sent can be sent more than he has memory for.
#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came() {
    let packed: Vec<u8> = [0x1f, 0x8b, 8, 0].into_iter().cycle().take(4_000).collect();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let receiver = Receiver::answering([head.as_bytes(), &packed].concat()).await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(answer(&outcome).body, packed);
    let sent = outcome.request_headers.list();
    assert!(sent.iter().all(|header| header.name != "accept-encoding"));
}

#[tokio::test]
async fn a_body_that_hangs_is_a_success_after_2xx_and_a_timeout_otherwise() {
    for (status, success) in [(200, true), (500, false), (302, false)] {
        let receiver = Receiver::start(move |mut peer| async move {
            peer.request().await?;
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 9\r\n\r\npart");
            peer.stream.write_all(head.as_bytes()).await?;
            pending().await
        })
        .await;
        let mut call = request(&receiver.url);
        call.timeout = SHORT;
        let outcome = transport().send(call).await;
        assert_eq!(outcome.is_success(), success, "{outcome:?}");
        assert_eq!(outcome.status(), Some(status));
        assert!(outcome.timing.first_byte.is_some() && outcome.timing.body.is_some());
        if success {
            assert_eq!(answer(&outcome).body, b"part");
            assert!(answer(&outcome).body_cut);
        } else {
            assert_eq!(failure(&outcome).kind, FailureKind::Timeout);
            assert!(
                failure(&outcome)
                    .message
                    .ends_with("reading the answer's body")
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_success_after_2xx_and_a_reset_otherwise() {
    for (status, success) in [(202, true), (500, false)] {
        let receiver = Receiver::answering_once(format!(
            "HTTP/1.1 {status} X\r\ncontent-length: 9\r\n\r\npart"
        ))
        .await;
        let outcome = transport().send(request(&receiver.url)).await;
        assert_eq!(outcome.is_success(), success, "{outcome:?}");
        assert_eq!(outcome.status(), Some(status));
        if !success {
            assert_eq!(failure(&outcome).kind, FailureKind::Reset);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_http_is_a_protocol_failure() {
    let nonsense = "HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let receiver = Receiver::answering(nonsense).await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Protocol);
    assert_eq!(failure(&outcome).status, Some(500));
}

#[tokio::test]
async fn endless_heads_are_protocol_failures() {
    let beginnings: [(&[u8], &[u8]); 3] = [
        (b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-endless: ", b"xxxxxxxxxxxxxxxx"),
        (b"HTTP/1.1 200 ", b"OK OK OK OK OK OK "),
    ];
    for (beginning, more) in beginnings {
        let receiver = Receiver::start(move |mut peer| async move {
            peer.request().await?;
            peer.stream.write_all(beginning).await?;
            loop {
                peer.stream.write_all(&more.repeat(256)).await?;
            }
        })
        .await;
        let outcome = transport().send(request(&receiver.url)).await;
        assert_eq!(failure(&outcome).kind, FailureKind::Protocol, "{outcome:?}");
        let message = &failure(&outcome).message;
        assert_eq!(message, "the head of the receiver's answer is too large");
    }
}

#[tokio::test]
async fn too_many_headers_are_a_protocol_failure() {
    let headers = "a: b\r\n".repeat(200);
    let receiver = Receiver::answering(format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n"
    ))
    .await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Protocol);
}

#[tokio::test]
async fn endless_informational_answers_end_with_the_deadline() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await?;
        loop {
            peer.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
    })
    .await;
    let mut call = request(&receiver.url);
    call.timeout = SHORT;
    let outcome = transport().send(call).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Timeout);
}

#[tokio::test]
async fn something_else_than_http_is_a_protocol_failure() {
    for greeting in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"\0\0\0\0",
    ] {
        let receiver = Receiver::answering(greeting).await;
        let outcome = transport().send(request(&receiver.url)).await;
        assert_eq!(failure(&outcome).kind, FailureKind::Protocol, "{outcome:?}");
    }
}

#[tokio::test]
async fn an_upgrade_nobody_asked_for_is_an_answer_and_no_success() {
    let upgrade = "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let receiver = Receiver::answering(upgrade).await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert!(!outcome.is_success(), "{outcome:?}");
}

#[tokio::test]
async fn a_second_answer_to_one_request_does_not_reach_the_next() {
    let smuggled = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::answering([OK, smuggled].concat()).await;
    let transport = transport();
    for _ in 0..5 {
        let outcome = transport.send(request(&receiver.url)).await;
        assert_eq!(outcome.status(), Some(200), "{outcome:?}");
    }
}
