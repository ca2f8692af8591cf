//! One attempt, as a straight line: sign, send, settle.
//!
//! First attempt and retry are the same call. Nothing is held in the database meanwhile, and
//! what comes back is a record that only has to be committed.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
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
use crate::domain::retry::RetryPolicy;
use crate::domain::signature::SigningSecret;
use crate::domain::subscription::Subscription;
use crate::faults::{Faults, Point};
use crate::settings::DeliverySettings;

/// `User-Agent` of every attempt.
pub const PRODUCT: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));

static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
static WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
static BODY_TIMESTAMP: HeaderName = HeaderName::from_static("x-webhook-timestamp");
static BODY_SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
static JSON: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static("application/json"));
static AGENT: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static(PRODUCT));

/// A subscription made ready to be called: parsed once for each of its versions.
#[derive(Debug)]
pub struct Receiver {
    url: Url,
    target: Result<Target, TargetError>,
    own_headers: Vec<(HeaderName, HeaderValue)>,
    secret: SigningSecret,
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
            secret: subscription.secret.clone(),
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

    /// The call itself. The outcome is put down the moment there is one, so that nothing that
    /// comes after can lose it.
    async fn call(&self, assignment: &Assignment, sent: &mut Option<Outcome>) {
        let receiver = &assignment.receiver;
        let Some(event) = &assignment.event else {
            *sent = Some(failed(
                FailureKind::Internal,
                "the event is not stored any more",
            ));
            return;
        };
        let target = match &receiver.target {
            Ok(target) => target.clone(),
            Err(error) => {
                *sent = Some(failed(FailureKind::Request, &error.to_string()));
                return;
            }
        };
        self.faults.panic_at(Point::BeforeSend);
        let body = event.body();
        let mut headers = sign(receiver, &event.event().id.to_string(), clock::now(), &body);
        // A subscription's own header of that name says more than ours.
        let is_own = |name: &HeaderName| receiver.own_headers.iter().any(|own| own.0 == *name);
        let trace = assignment.trace.iter().filter(|(name, _)| !is_own(name));
        headers.extend(trace.cloned());
        let request = OutgoingRequest {
            target,
            headers,
            body,
            timeout: receiver.timeout,
        };
        *sent = Some(self.transport.send(request).await);
        self.faults.panic_at(Point::AfterSend);
    }
}

/// The headers of one attempt: our own, then the subscription's.
fn sign(
    receiver: &Receiver,
    id: &str,
    now: Timestamp,
    body: &Bytes,
) -> Vec<(HeaderName, HeaderValue)> {
    let seconds = now.as_unix_seconds();
    // Digits, base64 and UUIDs are always legal header values.
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    let timestamp = value(&seconds.to_string());
    let mut headers = Vec::with_capacity(7 + receiver.own_headers.len());
    headers.push((CONTENT_TYPE, JSON.clone()));
    headers.push((USER_AGENT, AGENT.clone()));
    headers.push((WEBHOOK_ID.clone(), value(id)));
    headers.push((WEBHOOK_TIMESTAMP.clone(), timestamp.clone()));
    headers.push((
        WEBHOOK_SIGNATURE.clone(),
        value(&receiver.secret.sign(id, seconds, body)),
    ));
    headers.push((BODY_TIMESTAMP.clone(), timestamp));
    headers.push((
        BODY_SIGNATURE.clone(),
        value(&receiver.secret.sign_body_hex(body)),
    ));
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
