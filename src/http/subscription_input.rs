//! Reading a subscription, or a change of one, from a request's body.
//!
//! What is not built is not accepted: an unknown field is a fault. Only what our own answers
//! show and nobody can set may come back unread, so that a client can send what it got.

mod breaker;
mod deactivation;
mod signing;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use subtle::ConstantTimeEq;
use url::Url;

use super::UrlGuard;
use super::error::Fault;
use super::json_fields::{Fields, whole};
use super::own_headers::OwnHeaders;
use crate::domain::Timestamp;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::deactivation::DeactivationPolicy;
use crate::domain::event_type::EventPattern;
use crate::domain::id::SubscriptionId;
use crate::domain::operational::Topic;
use crate::domain::ordering::{Ordering, OrderingFailure, OrderingRule};
use crate::domain::payload_format::PayloadFormat;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retention::Retention;
use crate::domain::retry::{RetryPolicy, RetryPolicySpec};
use crate::domain::signature::Scheme;
use crate::domain::signing::{SecretOwner, Signing, SigningSecrets};
use crate::domain::subscription::{
    Hold, StateChange, Subscription, SubscriptionChange, SubscriptionState,
};
pub use signing::SecretInput;

const MAX_URL: usize = 2_048;
const MAX_PATTERNS: usize = 100;
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=60_000;
const MAX_IN_FLIGHT: u64 = 1_000;
const ROTATED: &str = "cannot be changed here: POST …/rotate-secret replaces it";
/// Shown by our answers, set by nobody.
const READ_ONLY: [&str; 12] = [
    "breakerState",
    "hold",
    "id",
    "publicKey",
    "state",
    "stateReason",
    "stateChangedAt",
    "stateChangedBy",
    "stateEvidence",
    "createdAt",
    "updatedAt",
    "effective",
];

/// What a body is checked against.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The tenant whose key it is: whose subscription it is and stays.
    pub tenant: Option<&'a Arc<str>>,
    /// The default retry policy, which fills what an own one leaves open.
    pub retry: &'a RetryPolicy,
    /// The default breaker, which fills what an own one leaves open.
    pub breaker: &'a BreakerPolicy,
    /// The default rules of deactivation, which fill what own ones leave open.
    pub deactivation: &'a DeactivationPolicy,
    /// Attempts that one subscription can have in flight: what flies is part of its window.
    pub max_in_flight: usize,
    /// How long events are kept: no delivery may be tried for longer.
    pub retention: Retention,
    /// Whether `http://` receivers are allowed.
    pub allow_http: bool,
    /// Which receivers are allowed.
    pub guard: &'a dyn UrlGuard,
}

/// What a new subscription gets that no body decides.
#[derive(Debug)]
pub struct Seed {
    /// Its identity.
    pub id: SubscriptionId,
    /// What its secret is made of, where it brings none.
    pub random: [u8; 32],
    /// When it is made.
    pub now: Timestamp,
}

/// A checked body.
#[derive(Clone, Debug)]
pub struct SubscriptionInput {
    change: SubscriptionChange,
    headers: Option<OwnHeaders>,
    /// Cannot be set; may come back as it is.
    secret: Option<Secret>,
    /// So is this.
    scheme: Option<Scheme>,
}

/// A new subscription.
#[derive(Debug)]
pub struct NewSubscription {
    /// As it is to be stored, but for the secrets of its tenant.
    pub subscription: Subscription,
    /// Nothing was said about secrets: it signs with its tenant's, where that has some.
    pub secret_is_open: bool,
}

/// The secrets of a tenant, and its name.
pub type OfTenant = (Arc<str>, SigningSecrets);

/// Never shown.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("********")
    }
}

/// Reads a new subscription.
pub fn parse_new(body: &[u8], rules: Rules<'_>, seed: Seed) -> Result<NewSubscription, Vec<Fault>> {
    let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
    for name in ["name", "url", "eventTypes"] {
        if fields.lacks(name) {
            fields.fault(name, "is required");
        }
    }
    let mut secret = SecretInput::read(&mut fields);
    let mut input = SubscriptionInput::read(&mut fields, rules);
    let headers = input
        .headers
        .take()
        .map_or(Ok(Vec::new()), |own| own.with_kept(&[]));
    let headers = headers.unwrap_or_else(|faults| {
        fields.extend(faults);
        Vec::new()
    });
    secret.owner = input.change.secret_owner;
    let brings_own = secret.secret.is_some() || secret.scheme.is_some();
    if brings_own && secret.owner == Some(SecretOwner::Tenant) {
        fields.fault(
            "secretFrom",
            "contradicts secret or signing: give one of them",
        );
    }
    let faults = fields.finish();
    let change = &mut input.change;
    match (
        change.name.take(),
        change.url.take(),
        change.event_types.take(),
    ) {
        (Some(name), Some(url), Some(event_types)) if faults.is_empty() => {
            let plain = Subscription {
                id: seed.id,
                tenant: rules.tenant.cloned(),
                name,
                url,
                event_types,
                headers,
                retry_policy: None,
                timeout: None,
                max_in_flight: None,
                rate_limit: None,
                breaker: None,
                ordering: OrderingRule::default(),
                deactivation: None,
                state: SubscriptionState::Active,
                state_change: StateChange {
                    at: seed.now,
                    ..StateChange::default()
                },
                counted_from: seed.now,
                hold: Hold::default(),
                format: PayloadFormat::default(),
                signing: Signing::with(secret.secret(Scheme::Shared, seed.random)),
                created_at: seed.now,
                updated_at: seed.now,
                version: 0,
            };
            let subscription = plain
                .changed(input.change, seed.now)
                .map_err(|problem| vec![Fault::new("isActive", problem.to_string())])?;
            Ok(NewSubscription {
                subscription,
                secret_is_open: secret.is_open(),
            })
        }
        _ => Err(faults),
    }
}

/// Reads a change.
pub fn parse_change(body: &[u8], rules: Rules<'_>) -> Result<SubscriptionInput, Vec<Fault>> {
    let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
    let input = SubscriptionInput::read(&mut fields, rules);
    let faults = fields.finish();
    if faults.is_empty() {
        Ok(input)
    } else {
        Err(faults)
    }
}

impl NewSubscription {
    /// The tenant whose secrets have to be known, if any.
    pub fn tenant_asked(&self) -> Option<&Arc<str>> {
        let asked = self.secret_is_open || self.subscription.signing.owner == SecretOwner::Tenant;
        self.subscription.tenant.as_ref().filter(|_| asked)
    }

    /// The subscription, with the secrets of its tenant where it signs with them.
    pub fn with_tenants(
        mut self,
        of_tenant: Option<SigningSecrets>,
    ) -> Result<Subscription, Vec<Fault>> {
        let signing = &mut self.subscription.signing;
        if self.secret_is_open && of_tenant.is_some() {
            signing.owner = SecretOwner::Tenant;
        }
        if signing.owner == SecretOwner::Tenant {
            signing.tenant = of_tenant;
        }
        checked_whole(self.subscription)
    }
}

impl SubscriptionInput {
    /// The tenant whose secrets this change of `stored` needs to know, if any.
    pub fn tenant_asked(&self, stored: &Subscription) -> Option<Arc<str>> {
        let tenant = self.change.tenant.clone().unwrap_or(stored.tenant.clone());
        let owner = self.change.secret_owner.unwrap_or(stored.signing.owner);
        tenant.filter(|_| owner == SecretOwner::Tenant)
    }

    /// `stored` with this merged in. `of_tenant` are secrets that it may sign with.
    pub fn merged_into(
        &self,
        stored: &Subscription,
        of_tenant: Option<&OfTenant>,
        now: Timestamp,
    ) -> Result<Subscription, Vec<Fault>> {
        let mut change = self.change.clone();
        if let Some(own) = &self.headers {
            change.headers = Some(own.with_kept(&stored.headers)?);
        }
        if let Some(Secret(given)) = &self.secret {
            let signs = stored.signing.secrets().newest().expose();
            let is_same = given.as_bytes().ct_eq(signs.as_bytes());
            if !bool::from(is_same) {
                return Err(vec![Fault::new("secret", ROTATED)]);
            }
        }
        let signs = stored.signing.secrets().newest().scheme();
        if self.scheme.is_some_and(|scheme| scheme != signs) {
            return Err(vec![Fault::new("signing", ROTATED)]);
        }
        let mut next = stored
            .changed(change, now)
            .map_err(|problem| vec![Fault::new("isActive", problem.to_string())])?;
        if let (SecretOwner::Tenant, Some((tenant, secrets))) = (next.signing.owner, of_tenant)
            && next.tenant.as_ref() == Some(tenant)
        {
            next.signing.tenant = Some(secrets.clone());
        }
        checked_whole(next)
    }

    fn read(fields: &mut Fields, rules: Rules<'_>) -> Self {
        let most_in_flight = MAX_IN_FLIGHT.min(rules.max_in_flight as u64).max(1);
        let change = SubscriptionChange {
            name: fields.text("name"),
            url: read_url(fields, rules),
            event_types: read_patterns(fields),
            headers: None,
            retry_policy: fields.nullable("retryPolicy", |fields, name| {
                read_retry_policy(fields, name, rules)
            }),
            timeout: fields.nullable("timeoutMs", |fields, name| {
                fields.whole(name, TIMEOUT_MS).map(Duration::from_millis)
            }),
            max_in_flight: fields.nullable("maxInFlight", |fields, name| {
                fields.whole(name, 1..=most_in_flight)
            }),
            rate_limit: fields.nullable("rateLimit", read_rate_limit),
            breaker: fields.nullable("breaker", |fields, name| breaker::read(fields, name, rules)),
            ordering: read_word(fields, "ordering", &Ordering::ALL, Ordering::as_str),
            ordering_failure: read_word(
                fields,
                "orderingFailure",
                &OrderingFailure::ALL,
                OrderingFailure::as_str,
            ),
            deactivation: fields.nullable("deactivation", |fields, name| {
                deactivation::read(fields, name, rules)
            }),
            format: read_word(
                fields,
                "payloadFormat",
                &PayloadFormat::ALL,
                PayloadFormat::as_str,
            ),
            signature: fields
                .nullable("signature", signing::read)
                .map(Option::unwrap_or_default),
            secret_owner: read_word(fields, "secretFrom", &SecretOwner::ALL, SecretOwner::as_str),
            active: fields.flag("isActive"),
            tenant: read_tenant(fields, rules.tenant),
        };
        let headers = fields.nullable("headers", |fields, name| match fields.take(name)? {
            Value::Object(given) => match OwnHeaders::read(given) {
                Ok(own) => Some(own),
                Err(faults) => {
                    fields.extend(faults);
                    None
                }
            },
            _ => {
                fields.fault(name, "must be an object of texts");
                None
            }
        });
        let secret = fields.any_text("secret").map(Secret);
        let scheme = fields.nullable("signing", signing::read_scheme).flatten();
        fields.pass_over(&READ_ONLY);
        Self {
            change,
            headers: headers.map(|own| own.unwrap_or_else(OwnHeaders::none)),
            secret,
            scheme,
        }
    }
}

/// What no field alone can tell.
pub(super) fn checked_whole(subscription: Subscription) -> Result<Subscription, Vec<Fault>> {
    let signing = &subscription.signing;
    if signing.owner == SecretOwner::Tenant && signing.tenant.is_none() {
        let problem = "is the tenant, and there is none that holds a secret: name one by clientId, \
                       and give it a secret (POST /tenants/{id}/secret)";
        return Err(vec![Fault::new("secretFrom", problem)]);
    }
    if !signing.headers.is_empty() && signing.secrets().newest().scheme() == Scheme::Ed25519 {
        let problem = "needs a secret that the receiver shares, and this subscription signs with a \
                       key pair (ed25519)";
        return Err(vec![Fault::new("signature", problem)]);
    }
    let own = &subscription.headers;
    if let Some(name) = signing
        .headers
        .names()
        .find(|name| own.iter().any(|(own, _)| own == name))
    {
        let path = format!("headers.{name}");
        return Err(vec![Fault::new(path, "is a header of signature too")]);
    }
    if subscription.tenant.is_some() && subscription.names_operational_events() {
        let problem = "names events that Posthaste itself raises (posthaste.…): only a \
                       subscription without a clientId gets them";
        return Err(vec![Fault::new("eventTypes", problem)]);
    }
    Ok(subscription)
}

fn read_url(fields: &mut Fields, rules: Rules<'_>) -> Option<Url> {
    let text = fields.any_text("url")?;
    match check_url(&text, rules) {
        Ok(url) => Some(url),
        Err(problem) => {
            fields.fault("url", problem);
            None
        }
    }
}

fn check_url(text: &str, rules: Rules<'_>) -> Result<Url, String> {
    let length = text.chars().count();
    if !(1..=MAX_URL).contains(&length) {
        return Err(format!(
            "must be 1 to {MAX_URL} characters long, not {length}"
        ));
    }
    // The parser would take these out silently.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must not hold spaces or control characters".to_owned());
    }
    let mut url = Url::parse(text).map_err(|problem| format!("is not a URL: {problem}"))?;
    match url.scheme() {
        "https" => {}
        "http" if rules.allow_http => {}
        "http" => return Err("must begin with https:// (plain http is not allowed here)".into()),
        _ => return Err("must begin with https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password: use headers.authorization".to_owned());
    }
    url.set_fragment(None); // Never sent.
    rules.guard.check(&url)?;
    Ok(url)
}

/// One pattern or a list of them; the same pattern twice counts once.
pub(super) fn read_patterns(fields: &mut Fields) -> Option<Vec<EventPattern>> {
    const NAME: &str = "eventTypes";
    let given = match fields.take(NAME)? {
        Value::String(one) => vec![Value::String(one)],
        Value::Array(several) => several,
        _ => {
            fields.fault(NAME, "must be a list of event types or patterns");
            return None;
        }
    };
    if !(1..=MAX_PATTERNS).contains(&given.len()) {
        fields.fault(
            NAME,
            format!("must be 1 to {MAX_PATTERNS} patterns, not {}", given.len()),
        );
        return None;
    }
    let all = given.len();
    let mut patterns: Vec<EventPattern> = Vec::with_capacity(all);
    let mut read = 0;
    for (index, value) in given.iter().enumerate() {
        let place = format!("{NAME}[{index}]");
        match value.as_str().map(EventPattern::parse) {
            None => fields.fault(&place, "must be a text"),
            Some(Err(problem)) => fields.fault(&place, problem.to_string()),
            Some(Ok(pattern)) if pattern.names_own() && !Topic::any_matches(&pattern) => {
                let topics = Topic::ALL.map(Topic::as_str).join(", ");
                fields.fault(
                    &place,
                    format!("matches no event that Posthaste raises: {topics}"),
                );
            }
            Some(Ok(pattern)) => {
                read += 1;
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
        }
    }
    (read == all).then_some(patterns)
}

fn read_retry_policy(
    fields: &mut Fields,
    name: &'static str,
    rules: Rules<'_>,
) -> Option<RetryPolicySpec> {
    let mut policy = fields.object(name)?;
    let spec = RetryPolicySpec {
        attempts: policy.nullable("attempts", Fields::count).flatten(),
        base_ms: policy.nullable("baseMs", Fields::count).flatten(),
        factor: policy.nullable("factor", Fields::number).flatten(),
        cap_ms: policy.nullable("capMs", Fields::count).flatten(),
        delays_ms: policy.nullable("delaysMs", read_delays).flatten(),
        jitter: policy.nullable("jitter", Fields::number).flatten(),
        max_age_ms: policy.nullable("maxAgeMs", Fields::count).flatten(),
    };
    if let Err(problem) = spec.validate(rules.retry) {
        policy.fault(problem.field, problem.problem);
    }
    let age = spec.max_age_ms.map(Duration::from_millis);
    if let (Some(age), Some(kept)) = (age, rules.retention.events)
        && !rules.retention.allows_age(age)
    {
        let kept = kept.as_millis();
        policy.fault(
            "maxAgeMs",
            format!("must be at most {kept}: events are not kept for longer (retention.days)"),
        );
    }
    fields.adopt(policy).then_some(spec)
}

fn read_delays(policy: &mut Fields, name: &'static str) -> Option<Vec<u64>> {
    let delays = match policy.take(name)? {
        Value::Array(delays) => delays.iter().map(whole).collect(),
        _ => None,
    };
    if delays.is_none() {
        policy.fault(name, "must be a list of whole numbers (milliseconds)");
    }
    delays
}

fn read_rate_limit(fields: &mut Fields, name: &'static str) -> Option<RateLimit> {
    let mut given = fields.object(name)?;
    if given.lacks("limit") {
        given.fault("limit", "is required");
    }
    let limit = given.count("limit");
    let period_ms = given.nullable("periodMs", Fields::count).flatten();
    let burst = given.nullable("burst", Fields::count).flatten();
    let rate_limit = limit.map(|limit| RateLimit {
        limit,
        period_ms: period_ms.unwrap_or(1_000),
        burst,
    });
    if let Some(Err((field, problem))) = rate_limit.map(|limit| limit.check()) {
        given.fault(field, problem);
    }
    if fields.adopt(given) {
        rate_limit
    } else {
        None
    }
}

/// One of a few words; null returns to the default.
fn read_word<T: Copy + Default>(
    fields: &mut Fields,
    name: &'static str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Option<T> {
    let given = fields.nullable(name, |fields, name| {
        let given = fields.take(name)?;
        let known = all.iter().find(|one| given == word(**one)).copied();
        if known.is_none() {
            let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
            fields.fault(name, format!("must be one of {}", words.join(", ")));
        }
        known
    });
    given.map(Option::unwrap_or_default)
}

/// A tenant's caller can name its own tenant only, and take it from nothing.
fn read_tenant(fields: &mut Fields, own: Option<&Arc<str>>) -> Option<Option<Arc<str>>> {
    let client = fields.nullable("clientId", Fields::text);
    let tenant = fields.nullable("tenant", Fields::text);
    if client.is_some() && tenant.is_some() && client != tenant {
        fields.fault("tenant", "contradicts clientId, which means the same");
    }
    let place = if client.is_some() {
        "clientId"
    } else {
        "tenant"
    };
    let named = client.or(tenant);
    if let (Some(own), Some(named)) = (own, &named)
        && named.as_deref() != Some(&**own)
    {
        let problem = "is not the tenant of this key: leave it out";
        fields.extend(vec![Fault::not_theirs(place, problem)]);
    }
    named.map(|named| named.map(Arc::from))
}

#[cfg(test)]
mod tests;
