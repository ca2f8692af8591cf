//! What a live stream can show, and whom.

use serde::{Deserialize, Serialize};

use crate::domain::access::Scope;

/// A kind of fact. Its word is the name of the event that the stream sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// An event is durable.
    #[serde(rename = "event.accepted")]
    EventAccepted,
    /// An attempt is recorded.
    #[serde(rename = "attempt.recorded")]
    AttemptRecorded,
    /// An attempt ended its delivery.
    #[serde(rename = "delivery.settled")]
    DeliverySettled,
    /// Pending deliveries were cancelled.
    #[serde(rename = "deliveries.cancelled")]
    DeliveriesCancelled,
    /// Held deliveries were skipped.
    #[serde(rename = "deliveries.skipped")]
    DeliveriesSkipped,
    /// Held deliveries expired.
    #[serde(rename = "deliveries.expired")]
    DeliveriesExpired,
    /// A delivery that failed keeps back those behind it.
    #[serde(rename = "line.blocked")]
    LineBlocked,
    /// A job took a step.
    #[serde(rename = "job.moved")]
    JobMoved,
    /// A subscription was made, changed or deleted.
    #[serde(rename = "subscription.changed")]
    SubscriptionChanged,
    /// A receiver asked to be left alone.
    #[serde(rename = "subscription.held")]
    SubscriptionHeld,
    /// A breaker took a step.
    #[serde(rename = "breaker.changed")]
    BreakerChanged,
    /// Facts of more nodes, or of fewer, are shown from here on.
    #[serde(rename = "covers")]
    Covers,
    /// Facts of this node are shown from here on.
    #[serde(rename = "node.heard")]
    NodeHeard,
    /// Something was missed: whoever looks on has to ask anew.
    #[serde(rename = "reset")]
    Reset,
}

impl Kind {
    /// What can be asked for, in the order in which it is listed.
    pub const ALL: [Self; 11] = [
        Self::EventAccepted,
        Self::AttemptRecorded,
        Self::DeliverySettled,
        Self::DeliveriesCancelled,
        Self::DeliveriesSkipped,
        Self::DeliveriesExpired,
        Self::LineBlocked,
        Self::JobMoved,
        Self::SubscriptionChanged,
        Self::SubscriptionHeld,
        Self::BreakerChanged,
    ];

    /// The word used in queries and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventAccepted => "event.accepted",
            Self::AttemptRecorded => "attempt.recorded",
            Self::DeliverySettled => "delivery.settled",
            Self::DeliveriesCancelled => "deliveries.cancelled",
            Self::DeliveriesSkipped => "deliveries.skipped",
            Self::DeliveriesExpired => "deliveries.expired",
            Self::LineBlocked => "line.blocked",
            Self::JobMoved => "job.moved",
            Self::SubscriptionChanged => "subscription.changed",
            Self::SubscriptionHeld => "subscription.held",
            Self::BreakerChanged => "breaker.changed",
            Self::Covers => "covers",
            Self::NodeHeard => "node.heard",
            Self::Reset => "reset",
        }
    }

    /// Reads the word of what can be asked for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whom it is shown to; nothing where it is about the stream itself, which everybody has to
    /// know.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::EventAccepted => Some(Scope::EventsRead),
            Self::AttemptRecorded
            | Self::DeliverySettled
            | Self::DeliveriesCancelled
            | Self::DeliveriesSkipped
            | Self::DeliveriesExpired
            | Self::LineBlocked
            | Self::JobMoved => Some(Scope::DeliveriesRead),
            Self::SubscriptionChanged | Self::SubscriptionHeld | Self::BreakerChanged => {
                Some(Scope::SubscriptionsRead)
            }
            Self::Covers | Self::NodeHeard | Self::Reset => None,
        }
    }

    /// Whether each node knows it by itself. All others one node knows, which has to tell.
    pub fn is_known_everywhere(self) -> bool {
        self.scope().is_none() || self == Self::SubscriptionChanged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_word_wherever_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(kind.scope().is_some(), "{kind:?} is asked for");
        }
        for own in [Kind::Covers, Kind::NodeHeard, Kind::Reset] {
            assert_eq!(Kind::parse(own.as_str()), None, "nobody can do without");
            assert_eq!(serde_json::to_value(own).unwrap(), own.as_str());
        }
    }
}
