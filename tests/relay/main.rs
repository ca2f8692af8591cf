//! Stories: what Posthaste promises, told end to end on both profiles.

#[path = "../support/mod.rs"]
mod support;

#[path = "../transport/receiver.rs"]
#[allow(dead_code, reason = "the transport's tests use the rest")]
mod raw;

mod apart;
mod auditing;
mod batches;
mod breaker;
mod by_hand;
mod caller_limits;
mod cancelling;
mod changing;
mod coming_in;
mod deactivating;
mod delivering;
mod described;
mod described_input;
mod document;
mod erasing;
mod event_types;
mod explaining;
mod held_bounds;
mod holding;
mod hostile;
mod idempotency;
mod keys;
mod killing;
mod limits;
#[cfg(target_os = "linux")]
mod logging;
mod lost_notices;
mod measured;
mod nodes;
mod operational;
mod ordering;
mod overtaken;
#[cfg(feature = "faults")]
mod panics;
mod poison;
mod reactivating;
mod reading;
mod reference;
mod refusing;
mod replacing;
mod replaying;
mod retention;
mod retrying;
mod runtime;
mod searching;
mod second_process;
mod secrets_kept;
mod sessions;
mod short_way;
mod signing;
mod split_roles;
mod statistics;
mod stopping;
mod store_away;
mod streaming;
mod streaming_together;
mod surviving_jobs;
#[cfg(feature = "faults")]
mod suspending;
mod tenants;
mod test_sends;
mod traced;
mod trials;
mod users;
