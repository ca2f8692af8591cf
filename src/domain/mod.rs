//! The decisions of Posthaste, as values in and values out.
//!
//! Nothing here knows a runtime, a database, a socket, a clock or a source of chance: time and
//! chance arrive as arguments. That is what lets the rules be tested as tables and as random
//! interleavings, and what `tests/architecture.rs` holds.

pub mod access;
pub mod admission;
pub mod api_key;
pub mod audit;
pub mod breaker;
pub mod catalogue;
pub mod crowd;
pub mod deactivation;
pub mod delivery;
pub mod event;
pub mod event_type;
pub mod headers;
pub mod id;
pub mod idempotency;
pub mod job;
pub mod node;
pub mod operational;
pub mod ordering;
pub mod outcome;
pub mod own_signature;
pub mod pace;
pub mod payload_format;
pub mod quota;
pub mod rate_limit;
pub mod restart;
pub mod retention;
pub mod retry;
pub mod search;
pub mod session;
pub mod signature;
pub mod signing;
pub mod statistics;
pub mod subscription;
pub mod tenant;
pub mod timestamp;
pub mod token;
pub mod user;
pub mod window;

pub use timestamp::Timestamp;
