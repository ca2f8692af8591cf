//! One timer for all that a connection waits for.
//!
//! Entering a deadline into the runtime's timers and taking it out again costs more than most of
//! what a request does, and nearly none ever passes. So a connection keeps one entry, which is
//! only ever moved forward when it has fired too early: once in a while, not once per request.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::Sleep;

use crate::clock;

/// Wakes the task of its connection. It remembers one waker: it is to be polled by that task
/// itself and not from within a set of futures that hands out wakers of its own.
#[derive(Debug, Default)]
pub struct ConnectionTimer(Mutex<Option<Entry>>);

#[derive(Debug)]
struct Entry {
    /// Not later than the earliest deadline that somebody waits for.
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Entry {
    fn new(at: Instant) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(at.into()));
        Self { at, sleep }
    }

    fn set(&mut self, at: Instant) {
        self.at = at;
        self.sleep.as_mut().reset(at.into());
    }
}

impl ConnectionTimer {
    /// Ready once `deadline` has passed. Whoever waits asks again each time the task is woken.
    pub fn poll(&self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let mut entry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entry.get_or_insert_with(|| Entry::new(deadline));
        if deadline < entry.at {
            entry.set(deadline);
        }
        loop {
            ready!(entry.sleep.as_mut().poll(cx));
            if deadline <= clock::instant() {
                return Poll::Ready(());
            }
            entry.set(deadline);
        }
    }

    /// What `future` comes to, or nothing where that is not so by `deadline`.
    pub async fn within<F: Future>(&self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(cx, deadline).map(|()| None),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::time::Duration;

    use super::*;

    fn within(millis: u64) -> Instant {
        clock::instant() + Duration::from_millis(millis)
    }

    #[tokio::test]
    async fn each_deadline_passes_whatever_was_waited_for_before() {
        let timer = ConnectionTimer::default();
        for millis in [30, 60_000, 10, 20] {
            let deadline = within(millis);
            if millis > 1_000 {
                // Given up: the entry may stay where it is.
                let soon = timer.within(deadline, tokio::task::yield_now()).await;
                assert_eq!(soon, Some(()));
                continue;
            }
            assert_eq!(timer.within(deadline, pending::<()>()).await, None);
            assert!(deadline <= clock::instant());
        }
    }

    #[tokio::test]
    async fn several_wait_at_once_and_the_earliest_is_first() {
        let timer = ConnectionTimer::default();
        let (late, soon) = (within(60_000), within(20));
        poll_fn(|cx| {
            assert!(timer.poll(cx, late).is_pending());
            timer.poll(cx, soon)
        })
        .await;
        assert!(soon <= clock::instant());
    }
}
