//! What the receiver did, as data.
//!
//! An [`Outcome`] is the whole result of one attempt. It is never an `Err`: `Err` means that
//! our own machinery failed. What is done about an outcome is a [`Settlement`], decided in
//! `delivery.rs`.
//!
//! [`Settlement`]: super::delivery::Settlement

use std::time::Duration;

use super::Timestamp;
pub use super::headers::{Header, Headers};

/// One finished HTTP call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// When the call began.
    pub started_at: Timestamp,
    /// How long the whole call took, from the first look-up to the last byte read.
    pub duration: Duration,
    /// Where the time went.
    pub timing: Timing,
    /// The request headers as sent, own headers' values masked.
    pub request_headers: Headers,
    /// What came of it.
    pub result: CallResult,
}

/// Where an attempt's time went. Parts that did not happen (a reused connection has no
/// look-up, a plain one no TLS) are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Resolving the name.
    pub name: Option<Duration>,
    /// Opening the TCP connection.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the request being handed to a connection to the answer's head.
    pub first_byte: Option<Duration>,
    /// Reading the answer's body.
    pub body: Option<Duration>,
}

/// Either an answer, complete or cut, or the reason there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum CallResult {
    /// The receiver answered.
    Answer(Answer),
    /// There was no usable answer.
    Failure(Failure),
}

/// What the receiver answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The answer's headers, bounded by the transport.
    pub headers: Headers,
    /// The first bytes of the body.
    pub body: Vec<u8>,
    /// Whether the body went on after `body`.
    pub body_cut: bool,
    /// How long the receiver asked us to wait (`Retry-After`), unbounded as read.
    pub retry_after: Option<Duration>,
}

/// Why there was no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, stable for filters and dashboards.
    pub kind: FailureKind,
    /// One sentence for people. Never holds a secret or an address the guard keeps to itself.
    pub message: String,
    /// The status, where the head of the answer had come before things failed.
    pub status: Option<u16>,
}

/// Classes of failure without a usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The total deadline passed.
    Timeout,
    /// The name did not resolve.
    Name,
    /// No TCP connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection ended or was reset after the request began.
    Reset,
    /// What came back was not HTTP, or its head was too large.
    Protocol,
    /// The address guard refused the address.
    AddressRefused,
    /// The request could not be made (a bad URL or header that slipped through).
    Request,
    /// The attempt's own task failed inside Posthaste.
    Internal,
}

impl FailureKind {
    /// Every kind, for exhaustive tests and documents.
    pub const ALL: [Self; 9] = [
        Self::Timeout,
        Self::Name,
        Self::Connect,
        Self::Tls,
        Self::Reset,
        Self::Protocol,
        Self::AddressRefused,
        Self::Request,
        Self::Internal,
    ];

    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Name => "name",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::AddressRefused => "address_refused",
            Self::Request => "request",
            Self::Internal => "internal",
        }
    }
}

impl Outcome {
    /// The answer's status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match &self.result {
            CallResult::Answer(answer) => Some(answer.status),
            CallResult::Failure(failure) => failure.status,
        }
    }

    /// Success is 2xx and nothing else (Standard Webhooks 1.0).
    pub fn is_success(&self) -> bool {
        matches!(&self.result, CallResult::Answer(answer) if (200..300).contains(&answer.status))
    }

    /// 410: the receiver says it is gone for good.
    pub fn is_gone(&self) -> bool {
        self.status() == Some(410)
    }

    /// How long the receiver asked the whole endpoint to be left alone: `Retry-After` counts
    /// on 429 and 503 (RFC 9110, 10.2.3), at most `bound`.
    pub fn hold(&self, bound: Duration) -> Option<Duration> {
        match &self.result {
            CallResult::Answer(answer) if matches!(answer.status, 429 | 503) => {
                answer.retry_after.map(|wait| wait.min(bound))
            }
            _ => None,
        }
    }

    /// The class of error, for filters: the failure's word, or `status` for an answer that is
    /// no success, or nothing for a success.
    pub fn error_kind(&self) -> Option<&'static str> {
        match &self.result {
            CallResult::Failure(failure) => Some(failure.kind.as_str()),
            CallResult::Answer(_) if self.is_success() => None,
            CallResult::Answer(_) => Some("status"),
        }
    }

    /// One sentence for people on what went wrong.
    pub fn error_message(&self) -> Option<String> {
        match &self.result {
            CallResult::Failure(failure) => Some(failure.message.clone()),
            CallResult::Answer(_) if self.is_success() => None,
            CallResult::Answer(answer) if (300..400).contains(&answer.status) => Some(format!(
                "the receiver answered {} (redirects are not followed; change the subscription's url instead)",
                answer.status
            )),
            CallResult::Answer(answer) => Some(format!("the receiver answered {}", answer.status)),
        }
    }
}

/// Reads a `Retry-After` value: whole seconds, or an HTTP date (RFC 9110, 10.2.3). A date in
/// the past means no wait.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than u64 holds is still a number of seconds: longer than any bound.
        return Some(Duration::from_secs(
            value.parse().unwrap_or(u64::from(u32::MAX)),
        ));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let seconds = date
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let at = Timestamp::from_micros(i64::try_from(seconds).ok()?.saturating_mul(1_000_000));
    Some(at.since(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_retry_after_is_read_as_it_was_written(
            seconds in any::<u64>(), at in 0u64..253_402_300_800, now in 0i64..253_402_300_800,
            text in any::<String>(), digits in "[0-9]{1,60}",
        ) {
            let now = Timestamp::from_micros(now * 1_000_000);
            let wait = Duration::from_secs(seconds);
            prop_assert_eq!(parse_retry_after(&seconds.to_string(), now), Some(wait));
            prop_assert!(parse_retry_after(&digits, now).is_some());
            let date = std::time::UNIX_EPOCH + Duration::from_secs(at);
            let date = httpdate::fmt_http_date(date);
            let at = Timestamp::from_micros(at as i64 * 1_000_000);
            prop_assert_eq!(parse_retry_after(&date, now), Some(at.since(now)));
            let _ = parse_retry_after(&text, now);
        }
    }

    fn answer(status: u16, retry_after: Option<Duration>) -> Outcome {
        Outcome {
            started_at: Timestamp::default(),
            duration: Duration::ZERO,
            timing: Timing::default(),
            request_headers: Headers::default(),
            result: CallResult::Answer(Answer {
                status,
                headers: Headers::default(),
                body: Vec::new(),
                body_cut: false,
                retry_after,
            }),
        }
    }

    #[test]
    fn only_2xx_is_success() {
        for status in [200, 201, 204, 299] {
            assert!(answer(status, None).is_success(), "{status}");
        }
        for status in [100, 199, 300, 301, 304, 400, 404, 410, 500, 999] {
            assert!(!answer(status, None).is_success(), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nothing_else() {
        let now = Timestamp::from_micros(1_445_412_470_000_000); // 2015-10-21T07:27:50Z
        let cases = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(10)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(
                parse_retry_after(text, now),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_hold_is_bounded_and_only_for_429_and_503() {
        let wait = Some(Duration::from_secs(7200));
        let bound = Duration::from_secs(3600);
        assert_eq!(answer(429, wait).hold(bound), Some(bound));
        assert_eq!(answer(503, wait).hold(bound), Some(bound));
        assert_eq!(answer(500, wait).hold(bound), None);
        assert_eq!(answer(200, wait).hold(bound), None);
        assert_eq!(answer(429, None).hold(bound), None);
    }
}
