//! Posthaste: a webhook relay.
//!
//! Services POST events; Posthaste stores them, and one supervised actor per subscription
//! delivers them, signed, at the pace each receiver can take, until they arrive. The walk of an
//! event through these modules is in `docs/architecture.md`.

pub mod domain;

pub mod clock;
pub mod settings;
pub mod store;

pub mod actors;

pub mod http;
