//! Which connection a request takes, and what happens to it there.

use std::sync::Arc;

use posthaste::domain::outcome::FailureKind;
use posthaste::settings::DeliverySettings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::receiver::{OK, Receiver};
use crate::{SHORT, build, build_with, failure, request, settings, transport};

#[tokio::test]
async fn timing_is_split_on_a_fresh_connection_and_empty_on_a_reused_one() {
    let receiver = Receiver::answering(OK).await;
    let url = format!("http://localhost:{}/hook", receiver.port);
    let transport = transport();

    let first = transport.send(request(&url)).await;
    assert!(first.is_success(), "{first:?}");
    assert!(first.timing.name.is_some() && first.timing.connect.is_some());
    assert_eq!(first.timing.tls, None);
    assert!(first.timing.first_byte.is_some() && first.timing.body.is_some());

    let second = transport.send(request(&url)).await;
    assert!(second.is_success());
    assert_eq!((second.timing.name, second.timing.connect), (None, None));
    assert!(second.timing.first_byte.is_some() && second.timing.body.is_some());
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_reused_connection_that_closes_on_the_request_costs_one_more_send() {
    // The first connection answers once and closes on its second request: the race between
    // our sending and the receiver's idle timeout, made certain.
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await?;
        peer.stream.write_all(OK).await?;
        if peer.request().await?.is_some() && peer.number > 0 {
            peer.stream.write_all(OK).await?;
        }
        Ok(())
    })
    .await;
    let transport = transport();
    assert!(transport.send(request(&receiver.url)).await.is_success());
    let second = transport.send(request(&receiver.url)).await;
    assert!(second.is_success(), "{second:?}");
    assert!(
        second.timing.connect.is_some(),
        "it went over a fresh connection"
    );
    assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
}

#[tokio::test]
async fn the_second_go_takes_a_fresh_connection_even_where_others_are_idle() {
    // Several connections stand idle, and each breaks on its next request.
    let together = Arc::new(tokio::sync::Barrier::new(4));
    let receiver = Receiver::start(move |mut peer| {
        let together = Arc::clone(&together);
        async move {
            peer.request().await?;
            if peer.number < 4 {
                together.wait().await;
            }
            peer.stream.write_all(OK).await?;
            peer.request().await?;
            peer.reset();
            Ok(())
        }
    })
    .await;
    let transport = transport();
    let send = || transport.send(request(&receiver.url));
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    assert!([a, b, c, d].iter().all(|outcome| outcome.is_success()));
    assert_eq!(receiver.connections(), 4);

    assert!(send().await.is_success());
    assert_eq!((receiver.connections(), receiver.requests()), (5, 6));
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_not_noticed_by_anyone() {
    let closed = Arc::new(Notify::new());
    let closing = Arc::clone(&closed);
    let receiver = Receiver::start(move |mut peer| {
        let closing = Arc::clone(&closing);
        async move {
            peer.request().await?;
            peer.stream.write_all(OK).await?;
            drop(peer);
            closing.notify_one();
            Ok(())
        }
    })
    .await;
    let transport = transport();
    for sent in 1..=20 {
        assert!(transport.send(request(&receiver.url)).await.is_success());
        closed.notified().await;
        assert_eq!((receiver.connections(), receiver.requests()), (sent, sent));
    }
}

#[tokio::test]
async fn a_broken_answer_on_a_reused_connection_is_not_sent_again() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await?;
        peer.stream.write_all(OK).await?;
        peer.request().await?;
        peer.stream.write_all(b"HTTP/1.1 2").await
    })
    .await;
    let transport = transport();
    assert!(transport.send(request(&receiver.url)).await.is_success());
    let second = transport.send(request(&receiver.url)).await;
    assert_eq!(failure(&second).kind, FailureKind::Reset);
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_not_tried_again() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await?;
        peer.reset();
        Ok(())
    })
    .await;
    let outcome = transport().send(request(&receiver.url)).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Reset);
    assert_eq!(failure(&outcome).status, None);
    assert_eq!((receiver.connections(), receiver.requests()), (1, 1));
}

#[tokio::test]
async fn connection_close_is_heeded() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::answering(answer).await;
    let transport = transport();
    for _ in 0..3 {
        assert!(transport.send(request(&receiver.url)).await.is_success());
    }
    assert_eq!((receiver.connections(), receiver.requests()), (3, 3));
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for host in ["127.0.0.1", "localhost"] {
        let outcome = transport()
            .send(request(&format!("http://{host}:{port}/")))
            .await;
        assert_eq!(failure(&outcome).kind, FailureKind::Connect);
        assert_eq!(
            failure(&outcome).message,
            "the receiver refused the connection"
        );
    }
}

#[tokio::test]
async fn an_unknown_name_is_a_failure_of_the_name() {
    let outcome = transport().send(request("http://no-such.invalid/")).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Name, "{outcome:?}");
    assert!(outcome.timing.name.is_some());
    assert_eq!(outcome.timing.connect, None);
}

#[tokio::test]
async fn addresses_are_judged_at_connect_by_name_and_by_number() {
    let receiver = Receiver::answering(OK).await;
    let guarded = build(&[], true, None);
    for host in [
        "localhost",
        "a.localhost",
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let url = format!("http://{host}:{}/", receiver.port);
        let outcome = guarded.send(request(&url)).await;
        assert_eq!(
            failure(&outcome).kind,
            FailureKind::AddressRefused,
            "{host}"
        );
        let message = &failure(&outcome).message;
        assert!(
            message.contains("loopback") && !message.contains("127.0"),
            "{message}"
        );
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_is_called_on_those_of_its_addresses_that_are_allowed() {
    let receiver = Receiver::answering(OK).await;
    let v4_only = build(&["127.0.0.0/8"], true, None);
    let url = format!("http://localhost:{}/", receiver.port);
    assert!(v4_only.send(request(&url)).await.is_success());
}

#[tokio::test]
async fn plain_http_is_refused_unless_allowed() {
    let receiver = Receiver::answering(OK).await;
    let strict = build(&["127.0.0.0/8"], false, None);
    let outcome = strict.send(request(&receiver.url)).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Request);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_dropped_call_ends_its_connection() {
    let ended = Arc::new(Notify::new());
    let ending = Arc::clone(&ended);
    let receiver = Receiver::start(move |mut peer| {
        let ending = Arc::clone(&ending);
        async move {
            peer.request().await?;
            assert!(peer.request().await.is_ok_and(|next| next.is_none()));
            ending.notify_one();
            Ok(())
        }
    })
    .await;
    let transport = transport();
    let call = tokio::time::timeout(SHORT, transport.send(request(&receiver.url)));
    assert!(call.await.is_err());
    ended.notified().await;
}

#[tokio::test]
async fn idle_connections_are_closed_in_time_and_without_traffic() {
    let ended = Arc::new(Notify::new());
    let ending = Arc::clone(&ended);
    let receiver = Receiver::start(move |mut peer| {
        let ending = Arc::clone(&ending);
        async move {
            peer.request().await?;
            peer.stream.write_all(OK).await?;
            assert_eq!(peer.request().await?, None);
            ending.notify_one();
            Ok(())
        }
    })
    .await;
    let quick = DeliverySettings {
        idle_connection: SHORT,
        ..settings()
    };
    let transport = build_with(&quick, &["127.0.0.0/8"], true);
    assert!(transport.send(request(&receiver.url)).await.is_success());
    ended.notified().await;
}

#[tokio::test]
async fn idle_connections_are_bounded_over_all_receivers() {
    let one = DeliverySettings {
        max_in_flight_total: 1,
        ..settings()
    };
    let transport = build_with(&one, &["127.0.0.0/8"], true);
    let (first, second) = (Receiver::answering(OK).await, Receiver::answering(OK).await);
    for _ in 0..2 {
        for receiver in [&first, &second] {
            assert!(transport.send(request(&receiver.url)).await.is_success());
        }
    }
    assert_eq!((first.connections(), second.connections()), (1, 2));
}

#[tokio::test]
async fn no_idle_connections_are_kept_where_none_are_wanted() {
    let none = DeliverySettings {
        max_idle_per_host: 0,
        ..settings()
    };
    let transport = build_with(&none, &["127.0.0.0/8"], true);
    let receiver = Receiver::answering(OK).await;
    for _ in 0..3 {
        assert!(transport.send(request(&receiver.url)).await.is_success());
    }
    assert_eq!(receiver.connections(), 3);
}
