//! A tenant: whose subscriptions and events they are, and what it may.
//!
//! The text on an event or a subscription says whose it is, and need not be registered: a tenant
//! that is not is active and has no limits. Registered, it has a name, a status and limits.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Timestamp;

/// Events per second or minute, and events at once, that a limit may allow at most.
pub const MOST_EVENTS: u32 = 1_000_000;
/// Subscriptions that a limit may allow at most.
pub const MOST_SUBSCRIPTIONS: u32 = 1_000_000;
/// Pending deliveries that a limit may allow at most.
pub const MOST_BACKLOG: u64 = 1_000_000_000;

/// How much of what all share one tenant may take: a quarter, so that none locks the others out, nor
/// those who look after the relay.
pub fn share_of(most: usize) -> usize {
    match most {
        0 => 0,
        most => (most / 4).max(1),
    }
}

/// A tenant as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// What events and subscriptions carry as `tenant` or `clientId`.
    pub id: Arc<str>,
    /// Its place in lists, which begins with the time it was made. Another one that is made with
    /// the id of a deleted one has another place.
    pub place: Uuid,
    /// A name for people.
    pub name: String,
    /// Whether it may send and be sent for.
    pub status: TenantStatus,
    /// What it may at most.
    pub limits: TenantLimits,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The directory's version that its last change drew; also the guard against lost updates.
    pub version: i64,
}

impl Tenant {
    /// Whether its keys and its events are refused.
    pub fn is_inactive(&self) -> bool {
        self.status == TenantStatus::Inactive
    }
}

/// The status of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantStatus {
    /// As any.
    Active,
    /// Its keys and its events are refused; what is pending goes on.
    Inactive,
    /// Tombstoned, so that every process hears of it: as if it had never been registered.
    Deleted,
}

impl TenantStatus {
    /// Every status, for parsers.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Deleted];
    /// Those that a caller may set.
    pub const SETTABLE: [Self; 2] = [Self::Active, Self::Inactive];

    /// The word used in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What a tenant may at most; no limit where nothing stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantLimits {
    /// Events that its own keys may post.
    pub ingest_rate: Option<IngestRate>,
    /// Subscriptions that are not deleted: 0 to 1,000,000.
    pub max_subscriptions: Option<u32>,
    /// Pending deliveries of each of its subscriptions: 1 to 1,000,000,000.
    pub max_backlog: Option<u64>,
}

/// So many events per second, or per minute, and so many at once. Checked by
/// [`IngestRate::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestRate {
    /// Events per second: 1 to 1,000,000. Either this or the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub per_second: Option<u32>,
    /// Events per minute: 1 to 1,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub per_minute: Option<u32>,
    /// Events at once after a quiet time: 1 to 1,000,000; by default as many as the rate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub burst: Option<u32>,
}

impl IngestRate {
    /// Says what is wrong with the rate, field first.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match (self.per_second, self.per_minute) {
            (None, None) => {
                let problem = "is required (or perMinute)";
                return Err(("perSecond", problem.to_owned()));
            }
            (Some(_), Some(_)) => {
                let problem = "cannot stand beside perSecond: one of them says it all";
                return Err(("perMinute", problem.to_owned()));
            }
            _ => {}
        }
        let given = [
            ("perSecond", self.per_second),
            ("perMinute", self.per_minute),
            ("burst", self.burst),
        ];
        for (field, value) in given {
            if let Some(value) = value.filter(|value| !(1..=MOST_EVENTS).contains(value)) {
                return Err((field, format!("must be 1 to {MOST_EVENTS}, not {value}")));
            }
        }
        Ok(())
    }

    /// So many events in [`IngestRate::period`].
    pub fn events(&self) -> u32 {
        let events = self.per_second.or(self.per_minute);
        events.unwrap_or(MOST_EVENTS).max(1)
    }

    /// A second or a minute.
    pub fn period(&self) -> Duration {
        match self.per_second {
            Some(_) => Duration::from_secs(1),
            None => Duration::from_secs(60),
        }
    }

    /// The burst in force.
    pub fn burst(&self) -> u32 {
        self.burst.unwrap_or_else(|| self.events()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> IngestRate {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_rate_is_per_second_or_per_minute() {
        for (text, field) in [
            ("{}", "perSecond"),
            (r#"{"burst":1}"#, "perSecond"),
            (r#"{"perSecond":1,"perMinute":1}"#, "perMinute"),
            (r#"{"perSecond":0}"#, "perSecond"),
            (r#"{"perMinute":1000001}"#, "perMinute"),
            (r#"{"perMinute":1,"burst":0}"#, "burst"),
        ] {
            assert_eq!(rate(text).check().unwrap_err().0, field, "{text}");
        }
        let minute = rate(r#"{"perMinute":90}"#);
        assert_eq!(minute.check(), Ok(()));
        assert_eq!((minute.events(), minute.burst()), (90, 90));
        assert_eq!(minute.period(), Duration::from_secs(60));
        let second = rate(r#"{"perSecond":5,"burst":7}"#);
        assert_eq!((second.events(), second.burst()), (5, 7));
        assert_eq!(second.period(), Duration::from_secs(1));
    }

    #[test]
    fn statuses_are_read_as_they_are_written() {
        for status in TenantStatus::ALL {
            assert_eq!(TenantStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(TenantStatus::parse("paused"), None);
    }
}
