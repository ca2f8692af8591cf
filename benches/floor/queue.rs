//! A queue that is emptied in groups, or one by one by whoever is free.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

pub(super) struct Queue<T> {
    waiting: Mutex<VecDeque<T>>,
    filled: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds some, and wakes as many as there are.
    pub(super) fn add(&self, items: impl IntoIterator<Item = T>) {
        let mut waiting = self.lock();
        let before = waiting.len();
        waiting.extend(items);
        let added = waiting.len() - before;
        drop(waiting);
        for _ in 0..added {
            self.filled.notify_one();
        }
    }

    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        while self.lock().is_empty() {
            self.filled.notified().await;
        }
    }

    /// Takes at most so many.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut waiting = self.lock();
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    /// The next one.
    pub(super) async fn next(&self) -> T {
        loop {
            if let Some(item) = self.lock().pop_front() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.waiting.lock().expect("the queue")
    }
}
