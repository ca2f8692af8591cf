//! Follows the engine, from when the first stream is opened until nobody has looked on for a while.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::fact::facts_of;
use super::hear;
use super::kind::Kind;
use super::{Inner, State};
use crate::clock;
use crate::events::EngineEvent;

/// How often it is looked whether anybody still looks on.
const LOOK: Duration = Duration::from_secs(1);
/// Facts that become one step, where many wait.
const MOST_AT_ONCE: usize = 256;

/// Fills the ring of that epoch, and ends with it.
pub async fn follow(inner: Arc<Inner>, epoch: u64, follower: broadcast::Receiver<EngineEvent>) {
    let _end = End(&inner, epoch);
    tokio::select! {
        () = own(&inner, epoch, follower) => {}
        () = hear::hear(&inner, epoch) => {}
        () = idle(&inner) => {}
        () = inner.stopping.cancelled() => {}
    }
}

/// Takes the ring away, also where the task was lost: its streams end then.
struct End<'a>(&'a Inner, u64);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let Self(inner, epoch) = *self;
        let mut state = inner.state();
        // Whoever found nobody looking on has done so already, and another may have begun since.
        if state
            .ring
            .as_ref()
            .is_some_and(|ring| ring.epoch() == epoch)
        {
            state.end_following();
        }
        drop(state);
        inner.news.send_replace(());
    }
}

impl State {
    fn end_following(&mut self) {
        self.ring = None;
        self.covers_all = false;
        self.told_alone = false;
        self.nodes.clear();
    }
}

async fn own(inner: &Inner, epoch: u64, mut follower: broadcast::Receiver<EngineEvent>) {
    loop {
        let first = match follower.recv().await {
            Ok(told) => told,
            Err(RecvError::Lagged(_)) => {
                inner.push_own(epoch, Kind::Reset, &json!({"reason": "behind"}));
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let mut told = vec![first];
        let mut missed = false;
        while told.len() < MOST_AT_ONCE {
            match follower.try_recv() {
                Ok(next) => told.push(next),
                Err(TryRecvError::Lagged(_)) => {
                    missed = true;
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let keys = told.iter().any(|told| {
            matches!(
                told,
                EngineEvent::KeysChanged { .. } | EngineEvent::SessionsChanged { .. }
            )
        });
        let facts = told
            .iter()
            .flat_map(|told| facts_of(told, &inner.directory));
        let facts: Vec<_> = facts.collect();
        inner.push(epoch, facts);
        if missed {
            inner.push_own(epoch, Kind::Reset, &json!({"reason": "behind"}));
        }
        if keys {
            // A stream may be that of a key that was taken back, or of a session that ended.
            inner.news.send_replace(());
        }
    }
}

/// Ends once nobody has looked on for as long as facts are to be kept for one who comes back.
async fn idle(inner: &Inner) {
    loop {
        tokio::time::sleep(LOOK.min(inner.settings.linger.max(Duration::from_millis(10)))).await;
        let mut state = inner.state();
        let idle = state.idle_since.filter(|_| state.open == 0);
        if idle.is_some_and(|since| clock::instant() >= since + inner.settings.linger) {
            state.end_following();
            return;
        }
    }
}
