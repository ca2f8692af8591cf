//! Identifiers, one type each, so that they cannot be mistaken for one another.
//!
//! All but one are UUIDs of version 7, made by `clock.rs`: they sort by the time they were made,
//! which keeps indexes compact. A delivery's id is made of its event's and its subscription's, so
//! that there cannot be two, and lies where its event's lies. Order of delivery never comes from
//! an id (clocks differ between nodes) but from the database's sequence.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// What was received.
    EventId
);
id!(
    /// Who wants which events, where and how.
    SubscriptionId
);
id!(
    /// Event × subscription: exactly one, ever, because both together are the id.
    DeliveryId
);
id!(
    /// One HTTP call of a delivery. Made before the call, so that recording it twice is
    /// recording it once.
    AttemptId
);
id!(
    /// Bulk work that an operator asked for.
    JobId
);
id!(
    /// A key that callers show. Not the key itself, nor the part of it that is looked up.
    ApiKeyId
);
id!(
    /// Somebody who signs in.
    UserId
);
id!(
    /// Somebody's being signed in. Not the token that their cookie holds.
    SessionId
);

/// The version nibble of a UUID within its first 64 bits, and version 8 there: RFC 9562's name
/// for a layout of one's own.
const VERSION: u64 = 0xf000;
const VERSION_8: u64 = 0x8000;
/// The RFC's variant at the head of the last 64 bits; 62 bits are left.
const VARIANT: u64 = 1 << 63;
const BEHIND_VARIANT: u64 = !(3 << 62);

impl EventId {
    /// When it was made, to a quarter of a microsecond where `clock.rs` made it.
    pub fn made_at(self) -> Timestamp {
        let head = self.0.as_u64_pair().0;
        let millis = i64::try_from(head >> 16).unwrap_or_default();
        let parts = i64::try_from(head & !VERSION & 0xffff).unwrap_or_default();
        Timestamp::from_micros(millis * 1_000 + ((parts * 1_000) >> 12))
    }
}

impl DeliveryId {
    /// The one delivery of this event to this subscription. The first 64 bits are its event's,
    /// time and place, but for the version; the rest is a digest over both ids. Two deliveries
    /// could collide only among those of events made within the same 250 ns.
    pub fn of(event: EventId, subscription: SubscriptionId) -> Self {
        let mut digest = Sha256::new();
        digest.update(event.0.as_bytes());
        digest.update(subscription.0.as_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        let tail = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self(Uuid::from_u64_pair(
            Self::head(event),
            VARIANT | (tail & BEHIND_VARIANT),
        ))
    }

    /// The first and the last id that a delivery of this event can have. Few others lie between.
    pub fn range_of(event: EventId) -> (Self, Self) {
        let id = |tail| Self(Uuid::from_u64_pair(Self::head(event), tail));
        (id(VARIANT), id(VARIANT | BEHIND_VARIANT))
    }

    fn head(event: EventId) -> u64 {
        (event.0.as_u64_pair().0 & !VERSION) | VERSION_8
    }
}

/// The smallest id that anything made at `at` can have; a delivery counts as made when its event
/// was.
pub fn first_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros().div_euclid(1_000)).unwrap_or(0);
    Uuid::from_u128(u128::from(millis & 0xffff_ffff_ffff) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(millis: u64, rest: [u8; 10]) -> EventId {
        EventId(uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid())
    }

    fn subscription(number: u128) -> SubscriptionId {
        SubscriptionId(Uuid::from_u128(number))
    }

    #[test]
    fn a_delivery_is_known_by_its_event_and_subscription() {
        let (one, two) = (event(5, [1; 10]), event(5, [2; 10]));
        let id = DeliveryId::of(one, subscription(1));
        assert_eq!(id, DeliveryId::of(one, subscription(1)));
        assert_ne!(id, DeliveryId::of(one, subscription(2)));
        assert_ne!(id, DeliveryId::of(two, subscription(1)));
        // Stored: it must never come out otherwise.
        assert_eq!(id.to_string(), "00000000-0005-8101-981f-d18bee3bed16");
        assert_eq!(id.0.get_version_num(), 8);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn deliveries_lie_where_their_event_lies() {
        let events = [
            event(7, [0; 10]),
            event(7, [0xff; 10]),
            event(8, [0; 10]),
            event(9, [0x80; 10]),
        ];
        for pair in events.windows(2) {
            let [before, after] = [pair[0], pair[1]].map(DeliveryId::range_of);
            assert!(before.1 < after.0);
        }
        for (event, number) in events.into_iter().zip(1..) {
            let id = DeliveryId::of(event, subscription(number));
            let (first, last) = DeliveryId::range_of(event);
            assert!(first <= id && id <= last);
            assert_eq!(id.0.as_bytes()[..6], event.0.as_bytes()[..6]);
        }
    }

    #[test]
    fn the_first_id_of_a_moment_parts_older_from_younger() {
        let at = Timestamp::from_micros(1_761_472_800_123_000);
        let made = |millis| event(millis, [0; 10]);
        for (millis, younger) in [(1_761_472_800_122, false), (1_761_472_800_123, true)] {
            let event = made(millis);
            assert_eq!(event.0 >= first_id(at), younger);
            let delivery = DeliveryId::of(event, subscription(1));
            assert_eq!(delivery.0 >= first_id(at), younger);
        }
    }
}
