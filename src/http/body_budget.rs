//! How many bytes of request bodies the node holds at once.
//!
//! Each body is bounded, and so are the connections, but their product is not what a node has
//! memory for. A body's bytes count from the moment they are read, or announced, until its
//! request is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What all requests share.
#[derive(Debug)]
pub struct BodyBudget {
    free: AtomicUsize,
}

impl BodyBudget {
    /// `bytes` at once.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: AtomicUsize::new(bytes),
        })
    }

    /// The account of one request.
    pub fn open_account(self: &Arc<Self>) -> BodyAccount {
        BodyAccount(Arc::new(Account {
            budget: Arc::clone(self),
            taken: AtomicUsize::new(0),
            whole: AtomicBool::new(false),
        }))
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |free: usize| free.checked_sub(bytes);
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// One request's body: what it takes of the budget, and whether it has come whole. Put into the
/// request's extensions by `frame.rs`; what it took is given back when the last clone is gone.
#[derive(Clone, Debug)]
pub struct BodyAccount(Arc<Account>);

#[derive(Debug)]
struct Account {
    budget: Arc<BodyBudget>,
    taken: AtomicUsize,
    whole: AtomicBool,
}

impl BodyAccount {
    /// Sees to it that `bytes` in all are taken. False where there are not so many left.
    pub fn cover(&self, bytes: usize) -> bool {
        // One task reads a body, so nobody else changes this meanwhile.
        let taken = self.0.taken.load(Ordering::Relaxed);
        let Some(more) = bytes.checked_sub(taken) else {
            return true;
        };
        let covered = self.0.budget.take(more);
        if covered {
            self.0.taken.store(bytes, Ordering::Relaxed);
        }
        covered
    }

    /// Whether the body has come whole: tells a slow sender from a slow server when the time is
    /// up.
    pub fn is_whole(&self) -> bool {
        self.0.whole.load(Ordering::Relaxed)
    }

    /// It has.
    pub fn set_whole(&self) {
        self.0.whole.store(true, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        self.budget.free.fetch_add(taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_took_is_free_again_when_it_is_over() {
        let budget = BodyBudget::new(10);
        let (first, second) = (budget.open_account(), budget.open_account());
        assert!(first.cover(4) && first.cover(6) && first.cover(5));
        assert!(!second.cover(5), "4 are left");
        assert!(second.cover(4));
        let clone = first.clone();
        drop(first);
        assert!(!second.cover(5), "its last clone lives");
        drop(clone);
        assert!(second.cover(10));
    }
}
