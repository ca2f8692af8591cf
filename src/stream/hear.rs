//! Hears what happens on other nodes, while somebody looks on here.
//!
//! What may have been missed is said to all streams: those who look on have to ask anew.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Inner;
use super::kind::Kind;
use super::message::{Message, Want, written};
use super::tell::WANT_EVERY;
use crate::clock;
use crate::feed::talk::{Channel, Heard};

/// A node that says nothing for so long is away. Who is there answers each want.
const AWAY_AFTER: Duration = Duration::from_secs(20);
/// Pause after the connection failed.
const PAUSE: Duration = Duration::from_millis(500);
/// Messages that wait to be looked at.
const WAITING_MESSAGES: usize = 256;
/// Nodes that are remembered at most.
const MOST_NODES: usize = 1_000;

/// As far as another node was heard.
struct Known {
    run: u64,
    next: u64,
    at: Instant,
}

/// For as long as it is polled; never ends.
pub async fn hear(inner: &Inner, epoch: u64) {
    if !inner.talk.reaches_others() {
        return std::future::pending().await;
    }
    let mut lost = false;
    loop {
        let (sender, heard) = mpsc::channel(WAITING_MESSAGES);
        let mut hearing = Hearing {
            inner,
            epoch,
            lost,
            known: HashMap::new(),
        };
        let (reason, ()) = tokio::join!(
            inner.talk.listen(Channel::Facts, sender),
            hearing.until_lost(heard)
        );
        lost = true;
        hearing.alone();
        tracing::debug!(reason, "live streams show this node alone for now");
        tokio::time::sleep(PAUSE).await;
    }
}

struct Hearing<'a> {
    inner: &'a Inner,
    epoch: u64,
    /// A connection before this one was lost.
    lost: bool,
    known: HashMap<Uuid, Known>,
}

impl Hearing<'_> {
    async fn until_lost(&mut self, mut heard: mpsc::Receiver<Heard>) {
        let mut want = tokio::time::interval(WANT_EVERY);
        loop {
            tokio::select! {
                heard = heard.recv() => match heard {
                    None => return,
                    Some(Heard::Listening) => {
                        self.listening();
                        want.reset_immediately();
                    }
                    Some(Heard::Said(said)) => self.said(&said),
                },
                _ = want.tick() => {
                    self.forget_away();
                    self.want().await;
                }
            }
        }
    }

    async fn want(&self) {
        let want = Want {
            from: self.inner.node,
        };
        if let Err(reason) = self.inner.talk.say(Channel::Wanted, written(&want)).await {
            tracing::debug!(
                reason,
                "other nodes do not know yet that somebody looks on here"
            );
        }
    }

    fn listening(&self) {
        let mut state = self.inner.state();
        state.covers_all = true;
        let alone = std::mem::take(&mut state.told_alone);
        drop(state);
        if self.lost || alone {
            let inner = self.inner;
            inner.push_own(self.epoch, Kind::Covers, &json!({"covers": "cluster"}));
            inner.push_own(
                self.epoch,
                Kind::Reset,
                &json!({"reason": "others_were_away"}),
            );
        }
        self.inner.news.send_replace(());
    }

    fn alone(&self) {
        let mut state = self.inner.state();
        state.nodes.clear();
        let did = std::mem::take(&mut state.covers_all);
        drop(state);
        if did {
            let covers = json!({"covers": "node"});
            self.inner.push_own(self.epoch, Kind::Covers, &covers);
        }
    }

    fn said(&mut self, said: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Message>(said) else {
            // Of another version; the next message shows that it is missing.
            return;
        };
        if message.from == self.inner.node {
            return;
        }
        let end = message.first.saturating_add(message.facts.len() as u64);
        let now = Known {
            run: message.run,
            next: end,
            at: clock::instant(),
        };
        if !self.known.contains_key(&message.from) && self.known.len() >= MOST_NODES {
            return;
        }
        match self.known.insert(message.from, now) {
            None => {
                self.inner.state().nodes.insert(message.from);
                let node = json!({"node": message.from});
                self.inner.push_own(self.epoch, Kind::NodeHeard, &node);
            }
            Some(before) if (before.run, before.next) != (message.run, message.first) => {
                let gap = json!({"reason": "gap", "node": message.from});
                self.inner.push_own(self.epoch, Kind::Reset, &gap);
            }
            Some(_) => {}
        }
        let facts = message.facts.into_iter();
        let sane = facts.filter(|fact| fact.is_one_line() && fact.kind.scope().is_some());
        self.inner.push(self.epoch, sane);
    }

    fn forget_away(&mut self) {
        let now = clock::instant();
        let nodes = &mut self.inner.state().nodes;
        self.known.retain(|node, known| {
            let is_there = now.saturating_duration_since(known.at) < AWAY_AFTER;
            if !is_there {
                nodes.remove(node);
            }
            is_there
        });
    }
}
