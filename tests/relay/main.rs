//! Stories: what Posthaste promises, told end to end on both profiles.

#[path = "../support/mod.rs"]
mod support;

#[path = "../transport/receiver.rs"]
#[allow(dead_code, reason = "the transport's tests use the rest")]
mod raw;

mod batches;
mod changing;
mod delivering;
mod holding;
mod hostile;
mod idempotency;
mod limits;
mod reading;
mod refusing;
mod replacing;
mod retrying;
