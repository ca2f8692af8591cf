//! When an actor rests until something happens, and when it leaves.

use std::time::Duration;

use ractor::ActorRef;

use super::{Next, State, SubscriptionMessage};
use crate::actors::dispatcher::DispatcherMessage;
use crate::clock;
use crate::domain::Timestamp;

impl State {
    /// Arms the timer for whatever comes next by itself, or retires.
    pub(super) fn rest(
        &mut self,
        myself: &ActorRef<SubscriptionMessage>,
        wait: Option<Duration>,
        now: Timestamp,
    ) -> Next {
        let instant = clock::instant();
        let full = self
            .bucket
            .as_ref()
            .is_none_or(|bucket| bucket.is_full(instant));
        let idle = full
            && self.hold_until.is_none()
            && !self.lane.is_keeping()
            && self.lane.window().is_idle();
        let retire = idle.then(|| {
            let since = *self.idle_since.get_or_insert(instant);
            let after = self.deps.settings.engine.retire_after;
            after.saturating_sub(instant.saturating_duration_since(since))
        });
        if retire.is_none() {
            self.idle_since = None;
        }
        if retire == Some(Duration::ZERO) && self.lane.retire() {
            self.hand_in(self.next_due);
            return Next::Leave;
        }
        let due = self.next_due.map(|due| due.since(now));
        let page = self
            .no_page_before
            .map(|at| at.saturating_duration_since(instant));
        let next = [wait, retire, due, page].into_iter().flatten().min();
        if let Some(next) = next {
            self.timer.arm(myself, next, || SubscriptionMessage::Wake);
        }
        Next::Stay
    }

    /// Held or deleted: nothing stays in memory, and the actor leaves once nothing flies.
    pub(super) fn leave_if_empty(&mut self) -> Next {
        self.lane.window().flush();
        let waits = self.awaits_deactivation() || self.lane.is_keeping();
        if !waits && self.lane.retire_empty() {
            self.hand_in(None);
            return Next::Leave;
        }
        Next::Stay
    }

    /// Whether nobody but this actor knows yet that the receiver is gone: the next actor would
    /// send to it. The change wakes it.
    fn awaits_deactivation(&self) -> bool {
        let known = self.deps.directory.get(self.id);
        self.gone.is_some()
            && known.is_some_and(|known| known.state.delivers() && self.gone == Some(known.version))
            && self.deps.ownership.may_deliver()
    }

    fn hand_in(&self, next_due: Option<Timestamp>) {
        let id = self.id;
        self.deps
            .dispatcher
            .cast(DispatcherMessage::Retired { id, next_due });
    }
}
