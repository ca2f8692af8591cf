//! What senders were told and what receivers got, as it happened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::watch;

use crate::patience::in_time;
use crate::receiver::Answer;

/// An event that was answered with 202.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub event_type: &'static str,
    pub ordering_key: String,
    /// Its place among the events of its ordering key: each was sent after the 202 of the one
    /// before it.
    pub place: usize,
    /// When it was sent first.
    pub sent_at: Instant,
}

/// A request as a receiver got it, whole and with a good signature.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub event: String,
    pub answer: Answer,
}

#[derive(Debug, Default)]
pub struct Notes {
    /// Events sent, repetitions of those with an idempotency key not counted.
    pub sent: usize,
    /// By event id.
    pub acknowledged: HashMap<String, Acknowledged>,
    /// Requests answered otherwise, by status.
    pub refused: BTreeMap<u16, usize>,
    /// Requests that got no answer.
    pub unanswered: usize,
    /// Requests with a known idempotency key that were told so.
    pub known_keys: usize,
    /// In the order in which they came, by receiver.
    pub receipts: Vec<Vec<Receipt>>,
    /// The first body of each event and how often it came, receiver by receiver.
    bodies: HashMap<(usize, String), (Vec<u8>, usize)>,
    /// What must not be, whatever happens around it.
    pub complaints: Vec<String>,
}

#[derive(Debug)]
pub struct Ledger {
    notes: Mutex<Notes>,
    changed: watch::Sender<()>,
}

impl Notes {
    /// Receipts answered 2xx of events that this receiver had answered 2xx before.
    pub fn duplicates(&self, receiver: usize) -> usize {
        let successes = self.receipts[receiver]
            .iter()
            .filter(|receipt| receipt.answer.is_success());
        let mut seen = HashSet::new();
        successes
            .filter(|receipt| !seen.insert(&receipt.event))
            .count()
    }
}

impl Ledger {
    pub fn new(receivers: usize) -> Self {
        Self {
            notes: Mutex::new(Notes {
                receipts: vec![Vec::new(); receivers],
                ..Notes::default()
            }),
            changed: watch::Sender::new(()),
        }
    }

    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    pub fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.notes());
        self.changed.send_replace(());
    }

    pub fn complain(&self, what: String) {
        self.note(|notes| notes.complaints.push(what));
    }

    /// A receiver got an event. How often before is the answer.
    pub fn received(&self, receiver: usize, event: &str, body: &[u8]) -> usize {
        let mut notes = self.notes();
        let (first, count) = notes
            .bodies
            .entry((receiver, event.to_owned()))
            .or_insert_with(|| (body.to_vec(), 0));
        *count += 1;
        let (same, before) = (first == body, *count - 1);
        if !same {
            let complaint = format!("{event} came to receiver {receiver} with another body");
            notes.complaints.push(complaint);
        }
        before
    }

    /// Waits until the notes show something.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&Notes) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        in_time(what, async {
            loop {
                if let Some(seen) = look(&self.notes()) {
                    return seen;
                }
                changed.changed().await.unwrap();
            }
        })
        .await
    }

    /// Waits until an event that was sent from now on is acknowledged and has arrived at the
    /// first receiver, the healthy one. Returns how long that took.
    pub async fn flows(&self, what: &str) -> std::time::Duration {
        let now = Instant::now();
        let seen = self.notes().receipts[0].len();
        self.until(&format!("the flow after {what}"), |notes| {
            let fresh = |receipt: &Receipt| {
                let known = notes.acknowledged.get(&receipt.event);
                known.is_some_and(|event| event.sent_at >= now)
            };
            notes.receipts[0][seen..].iter().any(fresh).then_some(())
        })
        .await;
        now.elapsed()
    }
}
