//! What the rest of the program may ask of the actors.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::Guard;
use tokio::sync::oneshot;

use super::deps::Deps;
use crate::clock;
use crate::domain::catalogue::Catalogue;
use crate::domain::event::Event;
use crate::domain::id::SubscriptionId;
use crate::domain::idempotency::{ContentHash, ItemFate};
use crate::domain::subscription::Subscription;
use crate::domain::tenant::Tenant;
use crate::feed::Notice;
use crate::metrics::Metrics;
use crate::settings::Role;
use crate::traces::Traces;

/// One item of a unit to be accepted.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event it becomes. Its id is made by the caller.
    pub event: Arc<Event>,
    /// SHA-256 of the item as sent; needed where the event has an idempotency key.
    pub content: ContentHash,
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptAnswer {
    /// Durable, item by item in the order given.
    Accepted(Vec<ItemFate>),
    /// Nothing stored: these items (from 0) reuse an idempotency key with other content.
    Conflict(Vec<usize>),
    /// Nothing stored: the store refuses this unit's data and would refuse it again.
    Refused(String),
    /// Nothing stored: the node's own bounds are hit. Worth another try soon.
    Overloaded,
    /// The database did not answer within the time allowed; nothing was acknowledged.
    Unavailable,
    /// Nothing stored: the node is stopping.
    Draining,
}

/// A unit that was handed over.
#[derive(Debug)]
pub struct Waiting {
    /// What became of it; an error where nobody can tell any more.
    pub answer: oneshot::Receiver<AcceptAnswer>,
    /// Until when to wait: what is not answered by then counts as [`AcceptAnswer::Unavailable`].
    pub deadline: Instant,
}

/// How the node is.
#[derive(Clone, Debug)]
pub struct Health {
    /// What this process does.
    pub role: Role,
    /// Part by part, in a fixed order; parts that this role does not have are left out.
    pub components: Vec<Component>,
    /// Whether the node can do its part: it can commit and is not stopping.
    pub ready: bool,
    /// Whether the tree can still heal itself.
    pub live: bool,
}

/// One part of the node.
#[derive(Clone, Debug)]
pub struct Component {
    /// `store`, `feed`, `ownership`, `ingest`, `recorder`, `deliveries`, `tree`.
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// One sentence.
    pub detail: String,
}

/// The way in to the actors. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    pub(super) deps: Arc<Deps>,
}

impl Relay {
    /// The way in to these actors.
    pub fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }

    /// Hands a unit to the ingest actor and waits for its commit, at most
    /// `events.accept_timeout`.
    pub async fn accept(&self, unit: Vec<NewEvent>) -> AcceptAnswer {
        let Waiting { answer, deadline } = match self.submit(unit) {
            Ok(waiting) => waiting,
            Err(refusal) => return refusal,
        };
        // The deadline is checked between commits; one that hangs must not hold the sender.
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => AcceptAnswer::Unavailable,
        }
    }

    /// Hands a unit to the ingest actor. `Err` is the answer where it is not taken.
    pub fn submit(&self, unit: Vec<NewEvent>) -> Result<Waiting, AcceptAnswer> {
        if self.deps.is_draining() {
            return Err(AcceptAnswer::Draining);
        }
        let deadline = clock::instant() + self.deps.settings.events.accept_timeout;
        let answer = self.deps.ingest.submit(unit, deadline);
        let answer = answer.ok_or(AcceptAnswer::Overloaded)?;
        Ok(Waiting { answer, deadline })
    }

    /// A subscription was created, changed or deleted in the store: brings the directory up to
    /// date on this node, tells the others, and lets the actor take note. When this returns,
    /// no event accepted on this node is matched against the old state any more; on no node is
    /// one committed that was.
    pub async fn subscription_changed(&self, id: SubscriptionId) {
        self.deps.feed.announce(Notice::Changed(id));
        self.deps.outbox.look();
        if let Err(problem) = self.deps.refresh_directory().await {
            // The fence on the directory's version makes ingest fetch it before it commits, and
            // the janitor cancels what is pending of the deleted.
            tracing::warn!(subscription = %id, %problem, "the directory is brought up to date later");
            return;
        }
        if self.deps.directory.get(id).is_none() {
            let deps = Arc::clone(&self.deps);
            tokio::spawn(async move {
                // What this does not reach, the janitor's next round does.
                if let Err(problem) = deps.cancel_all_pending(id).await {
                    tracing::warn!(subscription = %id, %problem, "pending deliveries are cancelled later");
                }
            });
        }
    }

    /// A tenant was made, changed or deleted in the store: brings the directory up to date on this
    /// node, and tells the others.
    pub async fn tenant_changed(&self) {
        self.deps.feed.announce(Notice::Tenants);
        if let Err(problem) = self.deps.refresh_directory().await {
            // The next commit fetches it, or the next sweep.
            tracing::warn!(%problem, "the directory is brought up to date later");
        }
    }

    /// A tenant that is registered, as this node knows it: one look-up in memory.
    pub fn tenant(&self, id: &str) -> Option<Arc<Tenant>> {
        self.deps.directory.tenant(id)
    }

    /// The catalogue of event types, as known here.
    pub fn catalogue(&self) -> Guard<Arc<Catalogue>> {
        self.deps.directory.catalogue()
    }

    /// The catalogue changed in the store: brings this node up to date and tells the others. When
    /// this returns, no event that comes in here is checked against the old one.
    pub async fn catalogue_changed(&self) {
        self.deps.feed.announce(Notice::Catalogue);
        if let Err(problem) = self.deps.refresh_directory().await {
            // The next commit finds that the version has moved, and fetches it.
            tracing::warn!(%problem, "the catalogue is brought up to date later");
        }
    }

    /// Deliveries of a subscription were moved in the store from outside of its actor.
    pub fn deliveries_changed(&self, id: SubscriptionId) {
        self.deps.feed.announce(Notice::Changed(id));
        self.deps.note_change(id);
    }

    /// The subscriptions that are not deleted, as this process knows them: others' changes after a
    /// moment.
    pub fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        self.deps.directory.all()
    }

    /// One of them.
    pub fn subscription(&self, id: SubscriptionId) -> Option<Arc<Subscription>> {
        self.deps.directory.get(id)
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.deps.metrics
    }

    /// Where spans go, if anywhere.
    pub fn traces(&self) -> Option<&Arc<Traces>> {
        self.deps.traces.as_ref()
    }

    /// Whether the tree can still heal itself. Asks nobody: a database that hangs is no reason
    /// to restart this process.
    pub fn is_live(&self) -> bool {
        self.deps.failure().borrow().is_none()
    }

    /// How the node is.
    pub async fn health(&self) -> Health {
        let deps = &self.deps;
        let trouble = deps.pulse.trouble(deps.store.ping()).await;
        let store_ok = trouble.is_none();
        let failure = deps.failure().borrow().clone();
        let (ingest_ok, ingest) = match (deps.ingest.trouble(), deps.ingest.usage()) {
            (Some(trouble), _) => (false, format!("events cannot be committed: {trouble}")),
            (None, (waiting, most)) => (
                waiting < most,
                format!("{waiting} of at most {most} events wait for their commit"),
            ),
        };
        let (slots, all_slots) = deps.slots.usage();
        let (feed_ok, feed) = match deps.feed.health() {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        let owner = match (deps.ownership.may_deliver(), deps.ownership.epoch()) {
            (true, Some(epoch)) => format!("delivers, epoch {epoch}"),
            (_, Some(_)) => "the lease has ended and cannot be renewed".to_owned(),
            (_, None) => "stands by: another process delivers".to_owned(),
        };
        let unrecorded = deps.recorder.waiting();
        let lag = deps.recorder.lag(clock::instant());
        let bounds = &deps.settings.health;
        let (deliveries_ok, overdue) = self.overdue();
        let lanes = deps.lanes.len();
        let live = failure.is_none();
        let component = |name, ok, detail| Component { name, ok, detail };
        let role = deps.settings.engine.role;
        let mut health = Health {
            role,
            ready: store_ok && live && !deps.is_draining(),
            live,
            components: vec![
                component(
                    "store",
                    store_ok,
                    trouble.unwrap_or_else(|| "answers".to_owned()),
                ),
                component("feed", feed_ok, feed),
                component(
                    "ownership",
                    deps.ownership.may_deliver() || deps.ownership.epoch().is_none(),
                    owner,
                ),
                component("ingest", ingest_ok, ingest),
                component(
                    "recorder",
                    lag <= bounds.max_record_lag,
                    format!(
                        "{unrecorded} outcomes wait to be recorded, the oldest for {} ms",
                        lag.as_millis()
                    ),
                ),
                component(
                    "deliveries",
                    deliveries_ok,
                    format!(
                        "{slots} of {all_slots} slots in flight, {lanes} subscriptions busy, \
                         {overdue}"
                    ),
                ),
                component(
                    "tree",
                    live,
                    failure.unwrap_or_else(|| "all actors live or are being restarted".to_owned()),
                ),
            ],
        };
        health.components.retain(|component| match component.name {
            "ingest" => role.accepts(),
            "ownership" | "recorder" | "deliveries" => role.delivers(),
            _ => true,
        });
        health
    }
}

impl Relay {
    /// Whether what is due goes out, and in a few words how late it is.
    fn overdue(&self) -> (bool, String) {
        let deps = &self.deps;
        match deps.progress.overdue(deps) {
            Ok(None) => (true, "nothing is overdue".to_owned()),
            Ok(Some(overdue)) => {
                let late = clock::now().since(overdue.since);
                let ok = late <= deps.settings.health.max_overdue;
                let (subscription, millis) = (overdue.subscription, late.as_millis());
                let words = format!("{subscription} could have been sent to for {millis} ms");
                (ok, words)
            }
            Err(age) => (false, format!("no sweep for {} s", age.as_secs())),
        }
    }
}
