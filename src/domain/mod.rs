//! The decisions of Posthaste, as values in and values out.
//!
//! Nothing here knows a runtime, a database, a socket, a clock or a source of chance: time and
//! chance arrive as arguments. That is what lets the rules be tested as tables and as random
//! interleavings, and what `tests/architecture.rs` holds.

pub mod id;
pub mod outcome;
pub mod retry;
pub mod timestamp;

pub use timestamp::Timestamp;
