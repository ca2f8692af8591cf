//! Stories: what Posthaste promises, told end to end on both profiles.

#[path = "../support/mod.rs"]
mod support;

#[path = "../transport/receiver.rs"]
#[allow(dead_code, reason = "the transport's tests use the rest")]
mod raw;

mod batches;
mod breaker;
mod cancelling;
mod changing;
mod deactivating;
mod delivering;
mod held_bounds;
mod holding;
mod hostile;
mod idempotency;
mod killing;
mod limits;
mod lost_notices;
mod overtaken;
#[cfg(feature = "faults")]
mod panics;
mod poison;
mod reactivating;
mod reading;
mod refusing;
mod replacing;
mod retrying;
mod second_process;
mod split_roles;
mod stopping;
mod store_away;
#[cfg(feature = "faults")]
mod suspending;
mod trials;
