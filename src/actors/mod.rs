//! The actor tree.

pub mod handle;

pub use handle::{AcceptAnswer, Component, Health, NewEvent, Relay};
