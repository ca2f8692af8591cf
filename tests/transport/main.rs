//! The transport against receivers that do everything receivers do, over real sockets.

mod answers;
mod connections;
mod hostile;
mod names;
mod receiver;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use posthaste::delivery::{OutgoingRequest, Target, Transport};
use posthaste::domain::outcome::{Answer, CallResult, Failure, Outcome};
use posthaste::settings::{AddressGuardSettings, DeliverySettings};

/// Far more than anything here takes: it passes only where a test means it to.
const LONG: Duration = Duration::from_secs(30);
/// For receivers that never answer: the test lasts this long.
const SHORT: Duration = Duration::from_millis(300);

const READ_BYTES: usize = 64 * 1024;
const KEEP_BYTES: usize = 4 * 1024;

/// The defaults, and `http://` to loopback allowed as `--dev` does.
fn transport() -> Transport {
    build(&["127.0.0.0/8", "::1/128"], true, None)
}

fn build(networks: &[&str], allow_http: bool, ca_file: Option<PathBuf>) -> Transport {
    build_with(
        &DeliverySettings {
            ca_file,
            ..settings()
        },
        networks,
        allow_http,
    )
}

fn build_with(delivery: &DeliverySettings, networks: &[&str], allow_http: bool) -> Transport {
    let guard = AddressGuardSettings {
        allow_networks: networks
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        allow_http,
    };
    Transport::new(delivery, &guard).unwrap()
}

fn settings() -> DeliverySettings {
    DeliverySettings {
        timeout: Duration::from_secs(15),
        max_in_flight: 64,
        max_in_flight_total: 1024,
        window: 256,
        window_bytes: 1 << 20,
        idle_connection: Duration::from_secs(4),
        max_idle_per_host: 64,
        answer_read_bytes: READ_BYTES,
        answer_keep_bytes: KEEP_BYTES,
        retry_after_max: Duration::from_secs(3600),
        ca_file: None,
        dns_cache: Duration::from_secs(30),
        dns_servers: Vec::new(),
        max_test_sends: 1,
    }
}

fn request(url: &str) -> OutgoingRequest {
    let mut key = HeaderValue::from_static("hush");
    key.set_sensitive(true);
    OutgoingRequest {
        target: Target::parse(&url.parse().unwrap()).unwrap(),
        headers: vec![
            (
                HeaderName::from_static("content-type"),
                HeaderValue::from_static("application/json"),
            ),
            (
                HeaderName::from_static("webhook-id"),
                HeaderValue::from_static("evt_1"),
            ),
            (HeaderName::from_static("x-own-key"), key),
        ],
        body: Bytes::from_static(b"{\"n\":1}"),
        timeout: LONG,
    }
}

#[track_caller]
fn answer(outcome: &Outcome) -> &Answer {
    match &outcome.result {
        CallResult::Answer(answer) => answer,
        CallResult::Failure(failure) => panic!("no answer: {failure:?}"),
    }
}

#[track_caller]
fn failure(outcome: &Outcome) -> &Failure {
    match &outcome.result {
        CallResult::Answer(answer) => panic!("an answer: {answer:?}"),
        CallResult::Failure(failure) => failure,
    }
}
