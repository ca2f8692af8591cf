//! One attempt, as a straight line: sign, send, settle.
//!
//! First attempt and retry are the same call. Nothing is held in the database meanwhile, and
//! what comes back is a record that only has to be committed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use url::Url;

use super::payload::LoadedEvent;
use super::{OutgoingRequest, Target, TargetError, Transport};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::delivery::{self, AttemptRecord, PendingDelivery, Trigger};
use crate::domain::id::AttemptId;
use crate::domain::ordering::OrderingRule;
use crate::domain::outcome::{CallResult, Failure, FailureKind, Headers, Outcome, Timing};
use crate::domain::own_signature::{Mode, OwnSignature};
use crate::domain::payload_format::PayloadFormat;
use crate::domain::retry::RetryPolicy;
use crate::domain::signing::SigningSecrets;
use crate::domain::subscription::Subscription;
use crate::faults::{Faults, Point};
use crate::settings::DeliverySettings;

/// `User-Agent` of every attempt.
pub const PRODUCT: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));

static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
static WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
static WEBHOOK_TEST: HeaderName = HeaderName::from_static("webhook-test");
static BODY_TIMESTAMP: HeaderName = HeaderName::from_static("x-webhook-timestamp");
static BODY_SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");

/// A subscription made ready to be called: parsed once for each of its versions.
#[derive(Debug)]
pub struct Receiver {
    url: Url,
    target: Result<Target, TargetError>,
    own_headers: Vec<(HeaderName, HeaderValue)>,
    format: PayloadFormat,
    secrets: SigningSecrets,
    /// Own signature headers; none in nearly all, who then pay nothing for them.
    own_signatures: Option<Box<OwnSigned>>,
    timeout: Duration,
    policy: RetryPolicy,
    ordering: OrderingRule,
}

impl Receiver {
    /// Prepares a subscription, its open settings taken from the defaults.
    pub fn prepare(
        subscription: &Subscription,
        delivery: &DeliverySettings,
        default_policy: &RetryPolicy,
    ) -> Self {
        let own_headers = subscription.headers.iter().filter_map(|(name, value)| {
            // Checked when they were stored; one that does not parse must not cost a delivery.
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        Self {
            url: subscription.url.clone(),
            target: Target::parse(&subscription.url),
            own_headers: own_headers.collect(),
            format: subscription.format,
            secrets: subscription.signing.secrets().clone(),
            own_signatures: OwnSigned::prepare(subscription),
            timeout: subscription.timeout.unwrap_or(delivery.timeout),
            policy: subscription.policy(default_policy),
            ordering: subscription.ordering,
        }
    }

    /// Whether this is what is called under that address.
    pub fn is_at(&self, url: &Url) -> bool {
        self.url == *url
    }
}

/// Own signature headers made ready.
#[derive(Debug)]
struct OwnSigned {
    /// Whether the standard ones are left out.
    instead: bool,
    headers: Vec<(HeaderName, OwnSignature)>,
    /// Headers with the attempt's timestamp; each once, whoever named it.
    timestamps: Vec<HeaderName>,
}

impl OwnSigned {
    fn prepare(subscription: &Subscription) -> Option<Box<Self>> {
        let own = &subscription.signing.headers;
        // Names were checked when they were stored; one that does not parse must not cost a
        // delivery.
        let name = |text: &str| HeaderName::from_bytes(text.as_bytes()).ok();
        let headers = own.headers.iter();
        let headers = headers.filter_map(|one| Some((name(&one.header)?, one.clone())));
        let mut timestamps: Vec<HeaderName> = Vec::new();
        for named in own
            .headers
            .iter()
            .filter_map(|one| one.timestamp_header.as_deref())
        {
            if let Some(named) = name(named)
                && !timestamps.contains(&named)
            {
                timestamps.push(named);
            }
        }
        let prepared = Self {
            instead: own.mode == Mode::Instead,
            headers: headers.collect(),
            timestamps,
        };
        (!own.is_empty()).then(|| Box::new(prepared))
    }
}

/// What one attempt needs to know.
#[derive(Debug)]
pub struct Assignment {
    /// Made before the call, so that recording it twice is recording it once.
    pub attempt: AttemptId,
    /// The delivery as it was taken.
    pub delivery: PendingDelivery,
    /// Why it is attempted now.
    pub trigger: Trigger,
    /// Its event; absent where the store has it no more.
    pub event: Option<Arc<LoadedEvent>>,
    /// Whom to call.
    pub receiver: Arc<Receiver>,
    /// Whether others wait for what becomes of it.
    pub in_line: bool,
    /// Headers that say which trace it belongs to.
    pub trace: Vec<(HeaderName, HeaderValue)>,
}

/// What came of a test.
#[derive(Debug)]
pub struct TriedOut {
    /// What the receiver did.
    pub outcome: Outcome,
    /// The body as it was sent.
    pub body: Bytes,
    /// The deadline that was in force.
    pub timeout: Duration,
}

/// Makes attempts.
pub struct Courier {
    transport: Transport,
    retry_after_max: Duration,
    faults: Arc<Faults>,
}

impl Courier {
    /// A courier who calls by this transport.
    pub fn new(transport: Transport, retry_after_max: Duration, faults: Arc<Faults>) -> Self {
        Self {
            transport,
            retry_after_max,
            faults,
        }
    }

    /// Makes one attempt. Anything that goes wrong is an outcome, even a panic on the way.
    pub async fn deliver(&self, assignment: &Assignment) -> AttemptRecord {
        let mut sent = None;
        let call = self.call(assignment, &mut sent);
        let unwound = AssertUnwindSafe(call).catch_unwind().await.is_err();
        let outcome = sent.unwrap_or_else(|| no_call(unwound));
        let (now, chance) = (clock::now(), clock::chance());
        let (planned, bound) = (&assignment.delivery, self.retry_after_max);
        let verdict = match assignment.trigger {
            Trigger::Trial => delivery::settle_trial(planned, &outcome, bound, now),
            _ => delivery::settle(
                &planned.progress,
                &outcome,
                &assignment.receiver.policy,
                bound,
                now,
                chance,
            ),
        };
        AttemptRecord {
            id: assignment.attempt,
            delivery: assignment.delivery,
            trigger: assignment.trigger,
            outcome,
            verdict,
            raises: None,
            blocks: assignment
                .in_line
                .then(|| assignment.receiver.ordering.blocks(verdict.settlement))
                .flatten(),
        }
    }

    /// Sends an event that is of no delivery, marked as a test, in `most` at the longest. The call
    /// is that of an attempt; nothing is settled by it.
    pub async fn try_out(
        &self,
        receiver: &Receiver,
        event: &LoadedEvent,
        most: Duration,
    ) -> TriedOut {
        let mut request = match request(receiver, event) {
            Ok(request) => request,
            Err(error) => {
                return TriedOut {
                    outcome: failed(FailureKind::Request, &error.to_string()),
                    body: Bytes::new(),
                    timeout: Duration::ZERO,
                };
            }
        };
        let mark = (WEBHOOK_TEST.clone(), HeaderValue::from_static("true"));
        request.headers.push(mark);
        request.timeout = request.timeout.min(most);
        let (body, timeout) = (request.body.clone(), request.timeout);
        TriedOut {
            outcome: self.transport.send(request).await,
            body,
            timeout,
        }
    }

    /// The call itself. The outcome is put down the moment there is one, so that nothing that
    /// comes after can lose it.
    async fn call(&self, assignment: &Assignment, sent: &mut Option<Outcome>) {
        let receiver = &assignment.receiver;
        let Some(event) = &assignment.event else {
            *sent = Some(failed(
                FailureKind::Internal,
                "the event is not stored any more, or its payload was erased",
            ));
            return;
        };
        let mut request = match request(receiver, event) {
            Ok(request) => request,
            Err(error) => {
                *sent = Some(failed(FailureKind::Request, &error.to_string()));
                return;
            }
        };
        // A subscription's own header of that name says more than ours.
        let is_own = |name: &HeaderName| receiver.own_headers.iter().any(|own| own.0 == *name);
        let trace = assignment.trace.iter().filter(|(name, _)| !is_own(name));
        request.headers.extend(trace.cloned());
        self.faults.panic_at(Point::BeforeSend);
        *sent = Some(self.transport.send(request).await);
        self.faults.panic_at(Point::AfterSend);
    }
}

/// What is sent of an event, signed now.
fn request<'a>(
    receiver: &'a Receiver,
    event: &LoadedEvent,
) -> Result<OutgoingRequest, &'a TargetError> {
    let target = receiver.target.as_ref()?.clone();
    let body = event.body(receiver.format);
    let headers = sign(receiver, &event.event().id.to_string(), clock::now(), &body);
    Ok(OutgoingRequest {
        target,
        headers,
        body,
        timeout: receiver.timeout,
    })
}

/// The headers of one attempt: our own, then the subscription's.
fn sign(
    receiver: &Receiver,
    id: &str,
    now: Timestamp,
    body: &Bytes,
) -> Vec<(HeaderName, HeaderValue)> {
    let own = receiver.own_signatures.as_deref();
    let standard = own.is_none_or(|own| !own.instead);
    let seconds = now.as_unix_seconds().to_string();
    // Digits, hex, base64, UUIDs and checked prefixes are always legal header values.
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    let timestamp = value(&seconds);
    let room = own.map_or(0, |own| own.headers.len() + own.timestamps.len());
    let mut headers = Vec::with_capacity(7 + room + receiver.own_headers.len());
    let content_type = HeaderValue::from_static(receiver.format.content_type());
    headers.push((CONTENT_TYPE, content_type));
    headers.push((USER_AGENT, HeaderValue::from_static(PRODUCT)));
    headers.push((WEBHOOK_ID.clone(), value(id)));
    headers.push((WEBHOOK_TIMESTAMP.clone(), timestamp.clone()));
    let steady = receiver.secrets.steady_at(now);
    if standard {
        let signature = receiver.secrets.sign(now, id, body);
        headers.push((WEBHOOK_SIGNATURE.clone(), value(&signature)));
        if let Some(hex) = steady.and_then(|secret| secret.sign_body_hex(body)) {
            headers.push((BODY_TIMESTAMP.clone(), timestamp.clone()));
            headers.push((BODY_SIGNATURE.clone(), value(&hex)));
        }
    }
    if let Some(own) = own {
        let stamped = own.timestamps.iter();
        headers.extend(stamped.map(|name| (name.clone(), timestamp.clone())));
        let signed = own.headers.iter().filter_map(|(name, own)| {
            let signature = own.sign(steady?, &seconds, body)?;
            Some((name.clone(), value(&signature)))
        });
        headers.extend(signed);
    }
    headers.extend(receiver.own_headers.iter().cloned());
    headers
}

fn no_call(unwound: bool) -> Outcome {
    let message = if unwound {
        "the attempt failed inside Posthaste"
    } else {
        "no call was made"
    };
    failed(FailureKind::Internal, message)
}

fn failed(kind: FailureKind, message: &str) -> Outcome {
    Outcome {
        started_at: clock::now(),
        duration: Duration::ZERO,
        timing: Timing::default(),
        request_headers: Headers::default(),
        result: CallResult::Failure(Failure {
            kind,
            message: message.to_owned(),
            status: None,
        }),
    }
}
