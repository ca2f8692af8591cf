//! Posthaste: a webhook relay.
//!
//! Services POST events; Posthaste stores them, and one supervised actor per subscription
//! delivers them, signed, at the pace each receiver can take, until they arrive. The walk of an
//! event through these modules is in `docs/architecture.md`.

pub mod domain;

pub mod actors;
pub mod cli;
pub mod clock;
pub mod delivery;
pub mod directory;
pub mod engine;
pub mod events;
pub mod faults;
pub mod feed;
pub mod http;
pub mod keyring;
pub mod limits;
pub mod metrics;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod stream;
pub mod telemetry;
pub mod traces;
