//! How to reach an actor that may die and be started again.
//!
//! The engine keeps one address for each singleton; whoever starts the actor puts it there.
//! ractor's own registry is process-wide, and two engines have to fit in one process. ractor does
//! not say how much stands in a mailbox: what was sent here and not yet taken is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use ractor::{ActorRef, Message};

/// The address of a singleton. Cheap to clone.
pub struct Address<M>(Arc<ArcSwapOption<Tenancy<M>>>);

/// One life of the actor. Its mailbox dies with it, and so does the count.
struct Tenancy<M> {
    actor: ActorRef<M>,
    unread: AtomicUsize,
}

impl<M: Message> Address<M> {
    /// Nobody lives there yet.
    pub fn vacant() -> Self {
        Self(Arc::new(ArcSwapOption::empty()))
    }

    /// Moves an actor in.
    pub fn set(&self, actor: ActorRef<M>) {
        let unread = AtomicUsize::new(0);
        self.0.store(Some(Arc::new(Tenancy { actor, unread })));
    }

    /// Sends a message. Between two lives it is dropped: all that messages say can be derived
    /// from the store, and a starting actor looks there first.
    pub fn cast(&self, message: M) -> bool {
        self.0.load().as_ref().is_some_and(|tenancy| {
            // Before it is sent: it may be taken at once.
            tenancy.unread.fetch_add(1, Ordering::Relaxed);
            tenancy.actor.cast(message).is_ok()
        })
    }

    /// The actor has taken a message that came by way of this address, not one it sent itself.
    pub fn taken(&self) {
        if let Some(tenancy) = self.0.load().as_ref() {
            tenancy.unread.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Messages that were sent and not yet taken; none where nobody lives there.
    pub fn unread(&self) -> usize {
        let tenancy = self.0.load();
        tenancy
            .as_ref()
            .map_or(0, |tenancy| tenancy.unread.load(Ordering::Relaxed))
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
