//! Events in memory, under one budget of bytes.
//!
//! All windows share the budget. An event that does not fit is not kept: its deliveries hold
//! ids only, and the event is read again when its turn comes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::domain::event::Event;
use crate::domain::payload_format::PayloadFormat;

/// Bytes of payload that windows may hold in memory.
#[derive(Debug)]
pub struct ByteBudget {
    limit: usize,
    used: AtomicUsize,
}

impl ByteBudget {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Whether the half of it is in use: from here on nobody is to hold more than a little.
    pub fn is_half_used(&self) -> bool {
        self.used() >= self.limit / 2
    }

    /// Takes bytes out of the budget, if they fit.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Option<ByteReservation> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .ok()?;
        Some(ByteReservation {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

/// Bytes taken out of the budget until this is dropped.
#[derive(Debug)]
pub struct ByteReservation {
    budget: Arc<ByteBudget>,
    bytes: usize,
}

impl Drop for ByteReservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// What an event weighs: its payload, and once more as the body that receivers get.
pub fn weight(payload_bytes: usize) -> usize {
    2 * payload_bytes + 512
}

/// An event in memory, with the body that receivers get of it: made once, shared by all of the
/// event's deliveries in the format that was asked for first. What else is asked for is made for
/// each attempt, so that an event never weighs more than [`weight`] says.
#[derive(Debug)]
pub struct LoadedEvent {
    event: Arc<Event>,
    body: OnceLock<(PayloadFormat, Bytes)>,
    _reservation: Option<ByteReservation>,
}

impl LoadedEvent {
    /// An event that the budget has room for.
    pub fn within(budget: &Arc<ByteBudget>, event: &Arc<Event>) -> Option<Self> {
        let reservation = budget.reserve(weight(event.payload.len()))?;
        Some(Self {
            event: Arc::clone(event),
            body: OnceLock::new(),
            _reservation: Some(reservation),
        })
    }

    /// An event that is being attempted: bounded by the attempts in flight.
    pub fn in_flight(event: Event) -> Self {
        Self {
            event: Arc::new(event),
            body: OnceLock::new(),
            _reservation: None,
        }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The body that receivers get.
    pub fn body(&self, format: PayloadFormat) -> Bytes {
        if format == PayloadFormat::Raw {
            // Shared as it is.
            return format.body(&self.event);
        }
        let (made, body) = self.body.get_or_init(|| (format, format.body(&self.event)));
        match *made == format {
            true => body.clone(),
            false => format.body(&self.event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::event_type::EventType;
    use crate::domain::id::EventId;

    fn event() -> Arc<Event> {
        Arc::new(Event {
            id: EventId(uuid::Uuid::nil()),
            tenant: None,
            event_type: EventType::from_stored("a.b"),
            event_name: None,
            source: None,
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: Timestamp::default(),
            payload: Bytes::from_static(b"{}"),
        })
    }

    #[test]
    fn a_body_is_that_of_the_format_whoever_asked_first() {
        for first in PayloadFormat::ALL {
            let loaded = LoadedEvent::in_flight(event().as_ref().clone());
            loaded.body(first);
            for format in PayloadFormat::ALL {
                assert_eq!(
                    loaded.body(format),
                    format.body(&event()),
                    "{first:?} {format:?}"
                );
            }
        }
        let loaded = LoadedEvent::in_flight(event().as_ref().clone());
        let shared = loaded.body(PayloadFormat::Relay).as_ptr();
        assert_eq!(loaded.body(PayloadFormat::Relay).as_ptr(), shared);
    }

    #[test]
    fn all_windows_share_one_budget_and_what_is_dropped_makes_room() {
        let event = event();
        let budget = Arc::new(ByteBudget::new(2 * weight(2)));
        let first = LoadedEvent::within(&budget, &event);
        let second = LoadedEvent::within(&budget, &event);
        assert!(first.is_some() && second.is_some());
        assert!(LoadedEvent::within(&budget, &event).is_none());
        drop(first);
        assert!(LoadedEvent::within(&budget, &event).is_some());
        drop(second);
        assert_eq!(budget.used(), 0);
        assert!(budget.reserve(usize::MAX).is_none());
    }
}
