//! What the rest of the program may ask of the actors. (Signatures; the bodies follow.)

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::idempotency::{ContentHash, ItemFate};

/// One item of a unit to be accepted.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event it becomes. Its id is made by the caller.
    pub event: Arc<Event>,
    /// SHA-256 of the item as sent; needed where the event has an idempotency key.
    pub content: ContentHash,
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptAnswer {
    /// Durable, item by item in the order given.
    Accepted(Vec<ItemFate>),
    /// Nothing stored: these items (from 0) reuse an idempotency key with other content.
    Conflict(Vec<usize>),
    /// Nothing stored: the store refuses this unit's data and would refuse it again.
    Refused(String),
    /// Nothing stored: the node's own bounds are hit. Worth another try soon.
    Overloaded,
    /// The database did not answer within the time allowed; nothing was acknowledged.
    Unavailable,
    /// Nothing stored: the node is stopping.
    Draining,
}

/// How the node is.
#[derive(Clone, Debug)]
pub struct Health {
    /// Part by part, in a fixed order.
    pub components: Vec<Component>,
    /// Whether events can be committed and the node is not stopping.
    pub ready: bool,
    /// Whether the tree can still heal itself.
    pub live: bool,
}

/// One part of the node.
#[derive(Clone, Debug)]
pub struct Component {
    /// `store`, `feed`, `ownership`, `ingest`, `recorder`, `dispatcher`, …
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// One sentence.
    pub detail: String,
}

/// The way in to the actors. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    _private: (),
}

impl Relay {
    /// Hands a unit to the ingest actor and waits for its commit, at most
    /// `events.accept_timeout`.
    pub async fn accept(&self, _unit: Vec<NewEvent>) -> AcceptAnswer {
        AcceptAnswer::Unavailable
    }

    /// A subscription was created, changed or deleted in the store: brings the directory up to
    /// date on this node, tells the others, and lets the actor take note. When this returns,
    /// no event accepted on this node is matched against the old state any more.
    pub async fn subscription_changed(&self, _id: SubscriptionId) {}

    /// Deliveries of a subscription were moved in the store from outside of its actor.
    pub async fn deliveries_changed(&self, _id: SubscriptionId) {}

    /// Whether this node is making an attempt of that delivery right now.
    pub fn is_in_flight(&self, _subscription: SubscriptionId, _delivery: DeliveryId) -> bool {
        false
    }

    /// How the node is.
    pub async fn health(&self) -> Health {
        Health {
            components: Vec::new(),
            ready: true,
            live: true,
        }
    }
}
