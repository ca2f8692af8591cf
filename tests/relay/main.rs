//! Stories: what Posthaste promises, told end to end on both profiles.

#[path = "../support/mod.rs"]
mod support;

mod delivering;
#[cfg(feature = "faults")]
mod panics;
#[cfg(feature = "faults")]
mod suspending;

mod killing;
mod lost_notices;
mod overtaken;
mod second_process;
mod stopping;
mod store_away;
