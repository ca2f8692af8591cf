//! Stories: what Posthaste promises, told end to end on both profiles.

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod changing;
mod delivering;
mod holding;
mod idempotency;
mod retrying;
