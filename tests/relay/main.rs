//! Stories: what Posthaste promises, told end to end on both profiles.

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod delivering;
mod idempotency;
mod retrying;
