//! How to reach an actor that may die and be started again.
//!
//! The engine keeps one address for each singleton; whoever starts the actor puts it there.
//! ractor's own registry is process-wide, and two engines have to fit in one process.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ractor::{ActorRef, Message};

/// The address of a singleton. Cheap to clone.
pub struct Address<M>(Arc<ArcSwapOption<ActorRef<M>>>);

impl<M: Message> Address<M> {
    /// Nobody lives there yet.
    pub fn vacant() -> Self {
        Self(Arc::new(ArcSwapOption::empty()))
    }

    /// Moves an actor in.
    pub fn set(&self, actor: ActorRef<M>) {
        self.0.store(Some(Arc::new(actor)));
    }

    /// Sends a message. Between two lives it is dropped: all that messages say can be derived
    /// from the store, and a starting actor looks there first.
    pub fn cast(&self, message: M) -> bool {
        self.0
            .load()
            .as_ref()
            .is_some_and(|actor| actor.cast(message).is_ok())
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}
