//! Settings checked against each other: each within its bounds, together they could still not
//! work.

use super::reader::Reader;
use super::{Role, Settings};

/// Records every pair that cannot stand together.
pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    let Settings {
        server,
        store,
        feed,
        events,
        delivery,
        engine,
        retention,
        retry,
        ..
    } = settings;
    let rules: [(bool, &[&'static str], &str, &str); _] = [
        (
            events.accept_timeout >= server.request_timeout,
            &["events.accept_timeout_ms", "server.request_timeout_ms"],
            "the request would be cut off before its sender hears 503",
            "keep events.accept_timeout_ms below server.request_timeout_ms",
        ),
        (
            events.max_payload_bytes > events.max_body_bytes,
            &["events.max_payload_bytes", "events.max_body_bytes"],
            "a payload within its bound would not fit into a request",
            "raise events.max_body_bytes or lower events.max_payload_bytes",
        ),
        (
            events.max_batch > events.max_group,
            &["events.max_batch", "events.max_group"],
            "a batch is committed whole, and the largest one would fit into no group",
            "raise events.max_group or lower events.max_batch",
        ),
        (
            events.max_batch > events.max_waiting,
            &["events.max_batch", "events.max_waiting"],
            "the largest batch would always hear 503",
            "raise events.max_waiting or lower events.max_batch",
        ),
        (
            events.max_body_bytes > events.max_waiting_bytes,
            &["events.max_body_bytes", "events.max_waiting_bytes"],
            "the largest request would always hear 503",
            "raise events.max_waiting_bytes or lower events.max_body_bytes",
        ),
        (
            delivery.max_in_flight as usize > delivery.max_in_flight_total,
            &["delivery.max_in_flight", "delivery.max_in_flight_total"],
            "one subscription may not have more in flight than all together",
            "raise delivery.max_in_flight_total or lower delivery.max_in_flight",
        ),
        (
            delivery.max_in_flight as usize > delivery.window,
            &["delivery.max_in_flight", "delivery.window"],
            "what is in flight is part of the window, which is too small for it",
            "raise delivery.window or lower delivery.max_in_flight",
        ),
        (
            events.max_body_bytes > server.max_request_bytes,
            &["events.max_body_bytes", "server.max_request_bytes"],
            "the largest request would always hear 503",
            "raise server.max_request_bytes or lower events.max_body_bytes",
        ),
        (
            events.max_payload_bytes > delivery.window_bytes,
            &["events.max_payload_bytes", "delivery.window_bytes"],
            "the largest payload would fit into no window",
            "raise delivery.window_bytes or lower events.max_payload_bytes",
        ),
        (
            delivery.answer_keep_bytes > delivery.answer_read_bytes,
            &["delivery.answer_keep_bytes", "delivery.answer_read_bytes"],
            "more of an answer would be kept than is read",
            "lower delivery.answer_keep_bytes or raise delivery.answer_read_bytes",
        ),
        (
            engine.lease_renew >= engine.lease_ttl / 2,
            &["engine.lease_renew_ms", "engine.lease_ttl_ms"],
            "one late renewal would lose the lease",
            "keep engine.lease_renew_ms below half of engine.lease_ttl_ms",
        ),
        (
            store.acquire_timeout >= events.accept_timeout,
            &["store.acquire_timeout_ms", "events.accept_timeout_ms"],
            "a sender would give up before its commit had waited for a connection",
            "keep store.acquire_timeout_ms below events.accept_timeout_ms",
        ),
        (
            feed.redis_url.is_some() && store.database_url.is_none(),
            &["feed.redis_url", "store.database_url"],
            "a SQLite store has one process only, so there is nobody to hand deliveries to",
            "set store.database_url (DATABASE_URL), or remove feed.redis_url (REDIS_URL)",
        ),
        (
            engine.role != Role::All && store.database_url.is_none(),
            &["engine.role", "store.database_url"],
            "a SQLite store has one process only, which has to do both: accept and deliver",
            "set store.database_url (DATABASE_URL), or engine.role to all",
        ),
        (
            retry
                .max_age()
                .is_some_and(|age| !retention.allows_age(age)),
            &["retry.max_age_ms", "retention.days"],
            "a delivery may not be tried for longer than its event is kept",
            "lower retry.max_age_ms or raise retention.days",
        ),
        (
            !retention.allows_age(events.idempotency_retention),
            &["events.idempotency_retention_hours", "retention.days"],
            "a key would be answered with an event that is not kept any more",
            "lower events.idempotency_retention_hours or raise retention.days",
        ),
        (
            retention
                .answers
                .is_some_and(|kept| !retention.allows_age(kept)),
            &["retention.answer_days", "retention.days"],
            "answers go with their events at the latest",
            "lower retention.answer_days, to 0 for as long as the rest, or raise retention.days",
        ),
    ];
    for (broken, keys, problem, fix) in rules {
        if broken {
            reader.contradiction(keys, problem, fix);
        }
    }
}

/// What works, but hardly as meant.
pub(super) fn warnings(settings: &Settings, dev: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if dev {
        warnings.push(
            "DEVELOPMENT MODE (--dev): receivers may be in loopback and private networks and are \
             called over plain http://. Never run this where others can create subscriptions."
                .to_owned(),
        );
    }
    if settings.server.shutdown_grace < settings.delivery.timeout {
        warnings.push(
            "server.shutdown_grace_ms is below delivery.timeout_ms: a stop cuts off slow attempts, \
             which are then sent again after the next start"
                .to_owned(),
        );
    }
    if settings.store.database_url.is_some() && settings.auth.admin_key.is_none() {
        warnings.push(
            "auth.admin_key (POSTHASTE_ADMIN_KEY) is not set although the database may be shared: \
             every process makes and accepts a key of its own"
                .to_owned(),
        );
    }
    if settings.engine.role != Role::All
        && settings.is_distributed()
        && settings.feed.redis_url.is_none()
    {
        warnings.push(format!(
            "engine.role is {} and feed.redis_url (REDIS_URL) is not set: nobody tells the process \
             that delivers what was accepted, so deliveries wait for its sweep, up to \
             engine.sweep_interval_ms",
            settings.engine.role.as_str()
        ));
    }
    warnings
}
