//! Identifiers, one type each, so that they cannot be mistaken for one another.
//!
//! All are UUIDs of version 7, made by `clock.rs`: they sort by the time they were made, which
//! keeps indexes compact. Order of delivery never comes from an id (clocks differ between
//! nodes) but from the database's sequence.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// Event × subscription: exactly one, ever.
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
