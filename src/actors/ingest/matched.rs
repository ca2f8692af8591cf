//! Whom a group's events reach, and the hand-over of what was committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::queue::Group;
use crate::actors::deps::Deps;
use crate::actors::handle::NewEvent;
use crate::actors::lane::{Lane, Reservation, WaitingDelivery};
use crate::delivery::payload::LoadedEvent;
use crate::domain::delivery::{PendingDelivery, Progress};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::idempotency::{ItemFate, UnitFate};
use crate::domain::ordering::Ordering;
use crate::domain::subscription::Subscription;
use crate::faults::Point;
use crate::feed::Notice;

/// Deliveries in one group at most, unless a single unit has more: that one commits alone.
const MAX_GROUP_DELIVERIES: usize = 5_000;

/// The deliveries of a group's events.
#[derive(Default)]
pub struct Matched {
    /// The directory's version that they were matched against.
    pub version: i64,
    /// In the order of the events.
    pub deliveries: Vec<MatchedDelivery>,
    /// Those of subscriptions for which as much is held as may be.
    pub skipped: Vec<PendingDelivery>,
    /// Deliveries of each event; of those behind the bound, nothing.
    counts: Vec<usize>,
    /// Some tenant's backlogs are bounded.
    bounded: bool,
}

/// One match.
pub struct MatchedDelivery {
    /// To be committed.
    pub delivery: PendingDelivery,
    event: Arc<Event>,
    subscription: Arc<Subscription>,
    reservation: Option<Reservation>,
}

impl Matched {
    /// Matches a group's events that are about to be committed. Where the group has to be split
    /// it stops there: how much a group holds in memory is not the subscriptions' choice.
    pub fn of(deps: &Deps, group: &Group, fresh: &[NewEvent]) -> Self {
        let enough = match group.units.len() {
            1 => usize::MAX,
            _ => MAX_GROUP_DELIVERIES,
        };
        let events = fresh.iter().map(|new| new.event.as_ref());
        let matches = deps.directory.match_events(events, enough);
        let mut deliveries = Vec::with_capacity(matches.subscriptions.len());
        let mut skipped = Vec::new();
        let mut subscriptions = matches.subscriptions.into_iter();
        for (new, count) in fresh.iter().zip(&matches.counts) {
            for subscription in subscriptions.by_ref().take(*count) {
                let delivery = PendingDelivery {
                    id: DeliveryId::of(new.event.id, subscription.id),
                    event_id: new.event.id,
                    subscription_id: subscription.id,
                    due_at: new.event.received_at,
                    progress: Progress::new(),
                };
                if subscription.skips() {
                    skipped.push(delivery);
                    continue;
                }
                let event = Arc::clone(&new.event);
                deliveries.push(MatchedDelivery {
                    delivery,
                    event,
                    subscription,
                    reservation: None,
                });
            }
        }
        Self {
            version: matches.version,
            deliveries,
            skipped,
            counts: matches.counts,
            bounded: matches.bounded,
        }
    }

    /// Where the group makes too many deliveries: the unit, not the first, from which on it
    /// has to be split.
    pub fn too_many(&self, group: &Group, fates: &[UnitFate]) -> Option<usize> {
        // Those that are skipped count too: matching stopped by the same sum, and what it left out
        // would be committed without its deliveries.
        let all: usize = self.counts.iter().sum();
        if all <= MAX_GROUP_DELIVERIES || group.units.len() < 2 {
            return None;
        }
        let mut counts = self.counts.iter();
        let mut sum = 0;
        for (index, fate) in fates.iter().enumerate() {
            let UnitFate::Accepted(items) = fate else {
                continue;
            };
            let fresh = items.iter().filter(|fate| **fate == ItemFate::New).count();
            sum += counts.by_ref().take(fresh).sum::<usize>();
            if sum > MAX_GROUP_DELIVERIES {
                return Some(index.max(1));
            }
        }
        None
    }

    /// The subscriptions among them whose deliveries stand in lines.
    pub fn ordered(&self) -> BTreeMap<SubscriptionId, Ordering> {
        let all = self.deliveries.iter().map(|one| &one.subscription);
        all.filter(|subscription| subscription.ordering.ordering != Ordering::None)
            .map(|subscription| (subscription.id, subscription.ordering.ordering))
            .collect()
    }

    /// Holds the deliveries' ids in the windows that take them.
    pub fn reserve(&mut self, deps: &Deps) {
        if !deps.ownership.may_deliver() {
            return;
        }
        let mut last: Option<(SubscriptionId, Option<Arc<Lane>>)> = None;
        for one in &mut self.deliveries {
            // An operational event may stand already, accepted by another owner who has moved
            // its deliveries on since. These are paged.
            if one.event.event_type.is_own() {
                continue;
            }
            if one.subscription.state.delivers() {
                let id = one.subscription.id;
                // Mostly one subscription has many of a group's deliveries in a row.
                let (_, lane) = match last.take() {
                    Some(known) if known.0 == id => last.insert(known),
                    _ => last.insert((id, deps.lanes.get(id))),
                };
                let lane = lane.as_ref();
                one.reservation = lane.and_then(|lane| Reservation::make(lane, one.delivery.id));
            }
        }
    }

    /// Nothing was committed.
    pub fn withdraw(self) {
        for reservation in self
            .deliveries
            .into_iter()
            .filter_map(|one| one.reservation)
        {
            reservation.withdraw();
        }
    }

    /// Offers what is reserved, and wakes whoever has to page the rest.
    pub fn hand_over(self, deps: &Arc<Deps>) {
        let mut declined: Vec<SubscriptionId> = Vec::new();
        let mut held: HashMap<SubscriptionId, (Arc<Subscription>, u64)> = HashMap::new();
        let mut loaded: Option<Arc<LoadedEvent>> = None;
        for one in self.deliveries {
            let subscription = &one.subscription;
            // Where there is a bound on what is pending.
            if subscription.is_held_by_rule() || (self.bounded && subscription.tenant.is_some()) {
                let noted = held.entry(subscription.id);
                noted.or_insert_with(|| (Arc::clone(subscription), 0)).1 += 1;
            }
            let Some(reservation) = one.reservation else {
                if one.subscription.state.delivers() {
                    declined.push(one.subscription.id);
                }
                continue;
            };
            // Deliveries of one event stand together and share it.
            if loaded
                .as_ref()
                .is_none_or(|loaded| loaded.event().id != one.event.id)
            {
                loaded = LoadedEvent::within(&deps.budget, &one.event).map(Arc::new);
            }
            reservation.offer(WaitingDelivery {
                delivery: one.delivery,
                event: loaded.clone(),
                // Where there is an order, nothing is reserved.
                line: None,
            });
        }
        for (subscription, count) in held.into_values() {
            deps.note_held(&subscription, count);
        }
        declined.sort_unstable();
        declined.dedup();
        if declined.is_empty() || deps.faults.muted(Point::Handover) {
            return;
        }
        if deps.ownership.may_deliver() {
            deps.wake_for_more(&declined);
        } else {
            deps.feed.announce(Notice::Due(declined));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::actors::handle::AcceptAnswer;
    use crate::actors::ingest::queue::Ingest;
    use crate::actors::pump::Doorbell;
    use crate::clock;
    use crate::domain::Timestamp;
    use crate::domain::event_type::EventType;
    use crate::domain::id::EventId;
    use crate::settings::Settings;

    fn event() -> NewEvent {
        let event = Event {
            id: EventId(clock::uuid()),
            tenant: None,
            event_type: EventType::from_stored("a"),
            event_name: None,
            source: None,
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: Timestamp::default(),
            payload: Bytes::from_static(b"1"),
        };
        NewEvent {
            event: Arc::new(event),
            content: [0; 32],
        }
    }

    /// Matching stops by the sum of all matches. Was one stopped whose deliveries are skipped, the
    /// events behind would be acknowledged without deliveries.
    #[test]
    fn what_is_skipped_counts_where_matching_stopped() {
        let settings = Settings::load(None, [("", ""); 0], true).unwrap();
        let ingest = Arc::new(Ingest::new(&settings.events, Doorbell::new()));
        let deadline = clock::instant() + std::time::Duration::from_secs(60);
        let answers = [(); 3].map(|()| ingest.submit(vec![event()], deadline).unwrap());
        let mut group = ingest.take_group();
        let fates = vec![UnitFate::Accepted(vec![ItemFate::New]); 3];
        let stopped = Matched {
            // The third event was not looked at.
            counts: vec![3_000, 2_001],
            ..Matched::default()
        };
        assert_eq!(stopped.too_many(&group, &fates), Some(1));
        let all = Matched {
            counts: vec![3_000, 2_000, 0],
            ..Matched::default()
        };
        assert_eq!(all.too_many(&group, &fates), None);
        group.answer_all(&AcceptAnswer::Unavailable);
        drop(answers);
    }
}
