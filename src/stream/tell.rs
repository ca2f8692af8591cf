//! Tells other nodes what happens here, while somebody looks on there.
//!
//! Whoever looks on says so again and again. Who says it no more is told for a little longer, and
//! then this node makes nothing for it any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};

use super::Inner;
use super::fact::{Fact, facts_of};
use super::message::{Message, Want, written};
use crate::clock;
use crate::events::EngineEvent;
use crate::feed::talk::{Channel, Heard};

/// How often somebody who looks on says so.
pub const WANT_EVERY: Duration = Duration::from_secs(5);
/// How long a want is believed.
const WANT_LASTS: Duration = Duration::from_secs(15);
/// Pause after the connection failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Facts in one message at most, about.
const MOST_FACTS: usize = 256;
/// Wants that wait to be looked at.
const WAITING_WANTS: usize = 16;

/// Until the node stops.
pub async fn tell(inner: Arc<Inner>) {
    loop {
        let (sender, wants) = mpsc::channel(WAITING_WANTS);
        let telling = async {
            tokio::join!(
                inner.talk.listen(Channel::Wanted, sender),
                while_wanted(&inner, wants)
            )
        };
        tokio::select! {
            (reason, ()) = telling => {
                tracing::debug!(reason, "live streams elsewhere are told of it again soon");
            }
            () = inner.stopping.cancelled() => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Facts on their way to other nodes.
struct Telling {
    follower: broadcast::Receiver<EngineEvent>,
    run: u64,
    next: u64,
    until: Instant,
}

async fn while_wanted(inner: &Inner, mut wants: mpsc::Receiver<Heard>) {
    let mut telling: Option<Telling> = None;
    loop {
        let until = telling.as_ref().map(|telling| telling.until);
        tokio::select! {
            heard = wants.recv() => {
                let Some(heard) = heard else {
                    return;
                };
                if is_want(inner, &heard) {
                    let until = clock::instant() + WANT_LASTS;
                    let telling = telling.get_or_insert_with(|| Telling::begin(inner, until));
                    telling.until = until;
                    // Who has just begun to listen knows from here on whether anything is missing.
                    telling.say(inner, Vec::new()).await;
                }
            }
            facts = next_facts(inner, &mut telling) => {
                if let Some(telling) = &mut telling {
                    telling.say(inner, facts).await;
                }
            }
            () = passed(until) => telling = None,
        }
    }
}

fn is_want(inner: &Inner, heard: &Heard) -> bool {
    let Heard::Said(said) = heard else {
        return false;
    };
    serde_json::from_slice::<Want>(said).is_ok_and(|want| want.from != inner.node)
}

async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// What happens next, as far as others do not know it by themselves.
async fn next_facts(inner: &Inner, telling: &mut Option<Telling>) -> Vec<Fact> {
    match telling {
        Some(telling) => telling.facts(inner).await,
        None => std::future::pending().await,
    }
}

impl Telling {
    fn begin(inner: &Inner, until: Instant) -> Self {
        Self {
            follower: inner.events.follow(),
            run: u64::from_be_bytes(clock::random_bytes()),
            next: 1,
            until,
        }
    }

    /// Nothing is lost where this is dropped: what it takes from the follower it returns at once.
    async fn facts(&mut self, inner: &Inner) -> Vec<Fact> {
        let mut facts = Vec::new();
        while facts.is_empty() {
            let first = self.follower.recv().await;
            let mut told = first.map_err(|problem| match problem {
                RecvError::Lagged(count) => TryRecvError::Lagged(count),
                RecvError::Closed => TryRecvError::Closed,
            });
            loop {
                match told {
                    Ok(told) => facts.extend(
                        facts_of(&told, &inner.directory)
                            .into_iter()
                            .filter(|fact| !fact.kind.is_known_everywhere()),
                    ),
                    // Whoever listens sees by the numbers that something is missing.
                    Err(TryRecvError::Lagged(count)) => self.next += count,
                    Err(TryRecvError::Empty) => break,
                    // Nothing will ever happen again.
                    Err(TryRecvError::Closed) => return std::future::pending().await,
                }
                if facts.len() >= MOST_FACTS {
                    break;
                }
                told = self.follower.try_recv();
            }
        }
        facts
    }

    async fn say(&mut self, inner: &Inner, facts: Vec<Fact>) {
        let message = Message {
            from: inner.node,
            run: self.run,
            first: self.next,
            facts,
        };
        self.next += message.facts.len() as u64;
        if let Err(reason) = inner.talk.say(Channel::Facts, written(&message)).await {
            tracing::debug!(reason, "live streams elsewhere miss what happened here");
        }
    }
}
