//! Receivers whose name servers mean harm: what a name says may change between any two questions.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use posthaste::domain::outcome::FailureKind;
use posthaste::settings::DeliverySettings;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::receiver::Receiver;
use crate::{build_with, failure, request, settings};

const ONCE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Answers each question for an IPv4 address with the next of these, and again from the first.
struct NameServer {
    at: SocketAddr,
    task: JoinHandle<()>,
}

impl NameServer {
    async fn answering(addresses: Vec<Ipv4Addr>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut next = addresses.into_iter().cycle();
            let mut question = [0; 512];
            loop {
                let (size, from) = socket.recv_from(&mut question).await.unwrap();
                let answer = answer(&question[..size], &mut next);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self { at, task }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// RFC 1035, section 4: the header, the question again, and a record that may not be kept (its
/// time to live is 0). A question for anything but an IPv4 address has no answer.
fn answer(query: &[u8], addresses: &mut impl Iterator<Item = Ipv4Addr>) -> Vec<u8> {
    const HEADER: usize = 12;
    let name = query[HEADER..].iter().position(|byte| *byte == 0).unwrap();
    let end = HEADER + name + 1 + 4;
    let question = &query[HEADER..end];
    let asks_ipv4 = question[name + 1..] == [0, 1, 0, 1];
    let mut answer = Vec::from(&query[..2]);
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(asks_ipv4), 0, 0, 0, 0]);
    answer.extend(question);
    if asks_ipv4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(addresses.next().unwrap().octets());
    }
    answer
}

#[tokio::test]
async fn a_name_that_flips_to_an_address_not_allowed_is_never_called_there() {
    let public = Receiver::answering(ONCE).await;
    let private = TcpListener::bind(("127.0.0.2", public.port)).await.unwrap();
    let flips = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    let server = NameServer::answering(flips.into()).await;
    let delivery = DeliverySettings {
        dns_servers: vec![server.at],
        dns_cache: Duration::ZERO,
        ..settings()
    };
    let transport = build_with(&delivery, &["127.0.0.1/32"], true);
    let url = format!("http://flips.example:{}/", public.port);
    // Were a name asked for twice in one call, once to check it and once to connect, each check
    // would see the first address and each connection go to the second.
    for round in 0..3 {
        let outcome = transport.send(request(&url)).await;
        assert!(outcome.is_success(), "{round}: {outcome:?}");
        let outcome = transport.send(request(&url)).await;
        assert_eq!(failure(&outcome).kind, FailureKind::AddressRefused);
    }
    assert_eq!(public.connections(), 3);
    let called = tokio::select! {
        biased;
        called = private.accept() => Some(called),
        () = std::future::ready(()) => None,
    };
    assert!(called.is_none(), "{called:?}");
}

#[tokio::test]
async fn a_name_server_that_is_silent_is_a_failure_of_the_name() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let delivery = DeliverySettings {
        dns_servers: vec![silent.local_addr().unwrap()],
        ..settings()
    };
    let transport = build_with(&delivery, &["127.0.0.0/8"], true);
    let outcome = transport.send(request("http://silent.example/")).await;
    assert_eq!(failure(&outcome).kind, FailureKind::Name);
}
