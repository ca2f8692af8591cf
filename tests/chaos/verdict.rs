//! After the faults: what was promised is compared with what receivers got and what the relay
//! says of it.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::attempts::{self, LogFacts};
use crate::inflict::Inflicted;
use crate::order;
use crate::receiver::Receiver;
use crate::support::relay::{Api, text};
use crate::world::{WINDOW, World};

/// Deliveries read at once.
const READERS: usize = 8;

/// What became of one subscription.
#[derive(Debug, Default)]
pub struct Row {
    pub receiver: &'static str,
    /// Acknowledged events that it subscribes to.
    pub due: usize,
    /// Events answered 2xx at least once.
    pub delivered: usize,
    pub receipts: usize,
    /// Receipts answered otherwise, each of which asks for another.
    pub asked_again: usize,
    /// Receipts answered 2xx of events that had been answered 2xx before.
    pub duplicates: usize,
    /// The most that the faults allow.
    pub bound: usize,
    /// Attempts that came too late.
    pub stale: usize,
    /// Due and never answered 2xx.
    pub lost: usize,
}

pub struct Verdict {
    pub rows: Vec<Row>,
    /// Stored without having been acknowledged: the answer was lost on the way.
    pub unacknowledged: usize,
    pub complaints: Vec<String>,
}

impl Verdict {
    /// To be asked once nothing is sent and nothing pending any more.
    pub async fn on(world: &World, inflicted: &[Inflicted]) -> Self {
        // Each time, what a subscription held as sent and not recorded may be repeated: in
        // flight or waiting for its commit, together never more than its window.
        let upsets: usize = inflicted.iter().map(|one| one.upsets).sum();
        let bound = upsets * WINDOW;
        let mut verdict = Self {
            rows: Vec::new(),
            unacknowledged: 0,
            complaints: world.ledger.notes().complaints.clone(),
        };
        for (index, receiver) in world.receivers.iter().enumerate() {
            let stored = stored(&world.api(), receiver).await;
            verdict.judge(world, index, receiver, &stored, bound);
        }
        verdict
    }

    fn judge(
        &mut self,
        world: &World,
        index: usize,
        receiver: &Receiver,
        stored: &HashMap<String, Value>,
        bound: usize,
    ) {
        let name = receiver.kind.name;
        let notes = world.ledger.notes();
        let receipts = &notes.receipts[index];
        let due: HashSet<&String> = notes
            .acknowledged
            .iter()
            .filter(|(_, event)| receiver.kind.wants(event.event_type))
            .map(|(id, _)| id)
            .collect();
        let mut came: HashMap<&String, usize> = HashMap::new();
        let mut delivered = HashSet::new();
        let mut successes = 0;
        for receipt in receipts {
            *came.entry(&receipt.event).or_default() += 1;
            if receipt.answer.is_success() {
                successes += 1;
                delivered.insert(&receipt.event);
            }
        }
        let mut complaints = Vec::new();
        let mut stale = 0;
        for event in &due {
            if !stored.contains_key(*event) {
                complaints.push(format!("{event} was acknowledged and is not stored"));
            }
        }
        for (event, delivery) in stored {
            let facts = match attempts::read(delivery) {
                Ok(facts) => facts,
                Err(fault) => {
                    complaints.push(format!("the log of {event}: {fault}"));
                    LogFacts::default()
                }
            };
            stale += facts.stale;
            let times = came.get(event).copied().unwrap_or_default();
            if facts.answered > times {
                let answered = facts.answered;
                complaints.push(format!("{event}: {answered} answers to {times} requests"));
            }
            let (state, arrived) = (&delivery["status"], delivered.contains(event));
            if *state != "delivered" || !arrived {
                complaints.push(format!("{event} is {state}; arrived: {arrived}"));
            }
        }
        for event in came.keys().filter(|event| !stored.contains_key(**event)) {
            complaints.push(format!("{event} was sent and is not stored"));
        }
        if receiver.kind.ordered {
            complaints.extend(order::went_back(&notes.acknowledged, receipts));
        }
        let row = Row {
            receiver: name,
            due: due.len(),
            delivered: delivered.len(),
            receipts: receipts.len(),
            asked_again: receipts.len() - successes,
            duplicates: notes.duplicates(index),
            bound,
            stale,
            lost: due
                .iter()
                .filter(|event| !delivered.contains(*event))
                .count(),
        };
        if row.lost > 0 {
            complaints.push(format!("{} lost", row.lost));
        }
        if row.duplicates > row.bound {
            let (duplicates, bound) = (row.duplicates, row.bound);
            complaints.push(format!("{duplicates} duplicates, {bound} allowed"));
        }
        if receiver.kind.event_types.is_empty() {
            self.unacknowledged = stored.len() - due.len().min(stored.len());
        }
        let told = complaints.into_iter().map(|what| format!("{name}: {what}"));
        self.complaints.extend(told);
        self.rows.push(row);
    }
}

/// All deliveries of a subscription with their attempts, by event.
async fn stored(api: &Api, receiver: &Receiver) -> HashMap<String, Value> {
    let rows = api.deliveries_of(&receiver.subscription).await;
    stream::iter(rows)
        .map(|(event, row)| async move {
            let path = format!("/api/v1/deliveries/{}", text(&row, "id"));
            (event, api.get(&path).await)
        })
        .buffer_unordered(READERS)
        .collect()
        .await
}
