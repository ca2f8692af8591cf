//! How much is held for subscriptions that a rule holds, or that a tenant with a bound has, and when
//! that is enough.
//!
//! Nothing is counted for one event: whoever commits deliveries of such a subscription takes them
//! off a room that was measured before, and only where the room is used up the backlog is counted
//! again, beside the commits. Where the bound is reached, that becomes part of the subscription:
//! every process learns it with the directory, whose version fences each commit, so from then on
//! what comes in is stored as skipped. Other subscriptions that are delivered to, or paused, cost
//! nothing here.
//!
//! A subscription that reaches its tenant's bound is deactivated. When it is reactivated its hold stays
//! full until a tenth of it is free again: what was held goes out meanwhile, and what comes in is
//! skipped, so that the bound holds whoever reactivates how often.
//!
//! How exact that is: a process measures half of what is left as its room, or a thousand where
//! that is more, so it passes the bound by what it commits while it counts and, for each other
//! process that accepts, by at most a thousand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::deps::Deps;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::{REASON_BACKLOG_FULL, Subscription, SubscriptionState};
use crate::store::Result;

/// A room is no smaller than this while so much is left.
const LEAST_ROOM: u64 = 1_000;

/// What this process may hold for one subscription before it counts again.
#[derive(Debug)]
struct Room {
    /// The hold that it was measured in.
    held_since: Timestamp,
    left: u64,
    /// A count is under way: what it may not see.
    counting: Option<u64>,
}

/// The rooms of this process.
#[derive(Debug, Default)]
pub struct Backlogs(Mutex<HashMap<SubscriptionId, Room>>);

impl Backlogs {
    fn rooms(&self) -> MutexGuard<'_, HashMap<SubscriptionId, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many more are held. True where the caller has to see to it that they are counted.
    fn take(&self, subscription: &Subscription, count: u64) -> bool {
        let held_since = subscription.state_change.at;
        let mut rooms = self.rooms();
        let room = rooms.entry(subscription.id).or_insert(Room {
            held_since,
            left: 0,
            counting: None,
        });
        if room.held_since != held_since {
            room.held_since = held_since;
            room.left = 0;
        }
        if let Some(meanwhile) = &mut room.counting {
            *meanwhile += count;
            return false;
        }
        room.left = room.left.saturating_sub(count);
        if room.left == 0 {
            room.counting = Some(0);
        }
        room.left == 0
    }

    /// So many may still come. True where they have come already: count again.
    fn measured(&self, id: SubscriptionId, left: u64) -> bool {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(&id) else {
            return false;
        };
        let fair = (left / 2).max(left.min(LEAST_ROOM));
        room.left = fair.saturating_sub(room.counting.unwrap_or_default());
        room.counting = (room.left == 0).then_some(0);
        room.left == 0
    }

    /// Nothing bounds it any more, it is full, or it could not be counted.
    pub fn forget(&self, id: SubscriptionId) {
        self.rooms().remove(&id);
    }

    /// The bounds are others.
    pub fn forget_all(&self) {
        self.rooms().clear();
    }
}

impl Deps {
    /// Deliveries that may be pending at most: as much as may be held of what a rule holds, and what
    /// its tenant may have. No other subscription has a bound.
    fn bound_of(&self, subscription: &Subscription) -> Option<u64> {
        let held = self.settings.hold.max_backlog;
        let held = (subscription.is_held_by_rule() && held > 0).then_some(held);
        let tenant = subscription.tenant.as_deref();
        let of_tenant = tenant.and_then(|tenant| self.directory.max_backlog(tenant));
        held.into_iter().chain(of_tenant).min()
    }

    /// So many deliveries of a subscription that may have a bound were committed.
    pub(super) fn note_held(self: &Arc<Self>, subscription: &Subscription, count: u64) {
        let bounded = self.bound_of(subscription).is_some();
        if bounded && self.backlogs.take(subscription, count) {
            let (deps, id) = (Arc::clone(self), subscription.id);
            tokio::spawn(async move {
                if let Err(problem) = deps.count_backlog(id).await {
                    warn!(subscription = %id, %problem, "what is held cannot be counted; the next event is");
                    deps.backlogs.forget(id);
                }
            });
        }
    }

    async fn count_backlog(&self, id: SubscriptionId) -> Result<()> {
        let bound = || self.bound_of(&*self.directory.get(id)?);
        while let Some(most) = bound() {
            let count = self.store.backlog(id, most).await?;
            if count >= most {
                self.fill(id).await?;
                self.backlogs.forget(id);
                return Ok(());
            }
            let again = self.backlogs.measured(id, most - count);
            if bound().is_some() && !again {
                return Ok(());
            }
        }
        // Committed by a group that was matched before its release: nobody else forgets it.
        self.backlogs.forget(id);
        Ok(())
    }

    /// From here on what comes in is skipped. What no rule holds yet is deactivated for it.
    async fn fill(&self, id: SubscriptionId) -> Result<()> {
        let full = self.change_subscription(id, |stored| {
            // By another process, or it is being emptied.
            if stored.hold.full_since.is_some() {
                return None;
            }
            self.bound_of(stored)?;
            let now = clock::now();
            let mut next = match stored.is_held_by_rule() {
                true => stored.clone(),
                false => {
                    let state = SubscriptionState::Deactivated;
                    stored
                        .moved_to(state, Some(REASON_BACKLOG_FULL), now)
                        .ok()?
                }
            };
            next.hold.full_since = Some(now);
            Some(next)
        });
        if let Some(full) = full.await? {
            let (bound, tenant) = (self.bound_of(&full), full.tenant.as_deref());
            warn!(subscription = %id, tenant, bound, "as much is held as may be; what comes in is skipped");
        }
        Ok(())
    }

    /// Holds more again of those that were reactivated with a full hold, once there is room.
    pub(super) async fn reopen_drained(&self) -> Result<()> {
        for id in self.directory.draining() {
            self.reopen_hold(id).await?;
        }
        Ok(())
    }

    /// Where what was held has become a tenth less than may be, more is held again.
    pub(super) async fn reopen_hold(&self, id: SubscriptionId) -> Result<()> {
        let Some(known) = self.directory.get(id) else {
            return Ok(());
        };
        if let Some(most) = self.bound_of(&known)
            && self.store.backlog(id, most).await? >= most - most / 10
        {
            return Ok(());
        }
        let open = self.change_subscription(id, |stored| {
            let mut next = stored.clone();
            next.hold.full_since = None;
            Some(next)
        });
        if open.await?.is_some() {
            info!(subscription = %id, "there is room again for what is held");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event_type::EventPattern;
    use crate::domain::payload_format::PayloadFormat;
    use crate::domain::signature::SigningSecret;
    use crate::domain::signing::Signing;
    use crate::domain::subscription::{Hold, StateChange, SubscriptionState};

    fn held(since: i64) -> Subscription {
        Subscription {
            id: SubscriptionId(uuid::Uuid::from_u128(1)),
            tenant: None,
            name: "held".to_owned(),
            url: "https://example.com".parse().unwrap(),
            event_types: vec![EventPattern::parse("*").unwrap()],
            headers: Vec::new(),
            retry_policy: None,
            timeout: None,
            max_in_flight: None,
            rate_limit: None,
            breaker: None,
            ordering: crate::domain::ordering::OrderingRule::default(),
            deactivation: None,
            state: SubscriptionState::Deactivated,
            state_change: StateChange {
                at: Timestamp::from_micros(since),
                ..StateChange::default()
            },
            counted_from: Timestamp::default(),
            hold: Hold::default(),
            format: PayloadFormat::Relay,
            signing: Signing::with(SigningSecret::from_random([7; 32])),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            version: 1,
        }
    }

    #[test]
    fn a_room_is_counted_anew_only_when_it_is_used_up() {
        let backlogs = Backlogs::default();
        let held = held(1);
        assert!(backlogs.take(&held, 1), "nothing is known yet");
        assert!(!backlogs.take(&held, 7), "it is being counted");
        assert!(!backlogs.measured(held.id, 10_000));
        // Half of what was left, less what came while it was counted.
        assert!(!backlogs.take(&held, 4_992));
        assert!(backlogs.take(&held, 1));
        assert!(!backlogs.measured(held.id, 1_500));
        assert!(!backlogs.take(&held, 999));
        assert!(backlogs.take(&held, 1));
        backlogs.take(&held, 500);
        assert!(backlogs.measured(held.id, 500), "they have come already");
        assert!(!backlogs.measured(held.id, 3));
        assert!(backlogs.take(&held, 3));
    }

    #[test]
    fn another_hold_is_measured_anew() {
        let backlogs = Backlogs::default();
        assert!(backlogs.take(&held(1), 1));
        assert!(!backlogs.measured(held(1).id, 100));
        assert!(backlogs.take(&held(2), 1));
        assert!(!backlogs.measured(held(2).id, 100));
        backlogs.forget(held(2).id);
        assert!(backlogs.take(&held(2), 1));
        backlogs.forget(held(2).id);
        assert!(!backlogs.measured(held(2).id, 100), "released meanwhile");
    }
}
