//! The processes of an installation, as they know each other: what each tells of itself with every
//! beat, and what follows for those who look.

use std::time::Duration;

/// What a process tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// What it calls itself to others, also as the owner of deliveries; never given twice.
    pub name: String,
    /// The machine that it runs on; none where the system does not say.
    pub host: Option<String>,
    /// Of the program.
    pub version: String,
    /// What it does: the word of its role.
    pub role: String,
    /// Which store it has: the word of its profile.
    pub profile: String,
    /// How full it is.
    pub figures: NodeFigures,
    /// Its parts that are not well, by their names.
    pub unwell: Vec<String>,
}

/// How full a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeFigures {
    /// Attempts in flight.
    pub in_flight: u64,
    /// How many there may be.
    pub most_in_flight: u64,
    /// Bytes of payload in windows.
    pub window_bytes: u64,
    /// How many there may be.
    pub most_window_bytes: u64,
    /// Actors of subscriptions that live.
    pub subscriptions: u64,
    /// Restarts of actors since the process began.
    pub restarts: u64,
    /// What stands before its actors: events, outcomes, messages.
    pub waiting: u64,
    /// Its resident memory; none where the system does not say.
    pub resident_bytes: Option<u64>,
}

/// A process, as the store knows it. Times are by the store's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNode {
    /// What it told last.
    pub report: NodeReport,
    /// How long ago it began.
    pub age: Duration,
    /// How long ago it told.
    pub unseen: Duration,
    /// It should have told since, or another process has taken its place.
    pub is_lost: bool,
}

/// The lease on a part of the deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which part: 0 is all of them.
    pub partition: u32,
    /// Who had it last; nobody where it was given back.
    pub owner: Option<String>,
    /// Rises when it changes hands.
    pub epoch: i64,
    /// How long it lasts unless it is renewed, zero once it has ended; none where it does not end
    /// by itself.
    pub left: Option<Duration>,
}

impl Lease {
    /// Whether that process has it now.
    pub fn is_held_by(&self, name: &str) -> bool {
        self.owner.as_deref() == Some(name) && self.left.is_none_or(|left| !left.is_zero())
    }
}

/// All processes that the store knows of, and who of them delivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// In the order in which they began.
    pub nodes: Vec<KnownNode>,
    /// Who owns the deliveries.
    pub leases: Vec<Lease>,
}

impl Registry {
    /// What one of them does.
    pub fn state(&self, node: &KnownNode) -> NodeState {
        let holds = |lease: &Lease| lease.is_held_by(&node.report.name);
        if node.is_lost {
            NodeState::Lost
        } else if self.leases.iter().any(holds) {
            NodeState::Delivering
        } else if node.report.role == "ingest" {
            NodeState::Ingest
        } else {
            NodeState::Standby
        }
    }
}

/// What a process does at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It owns deliveries.
    Delivering,
    /// It takes them over where nobody has them.
    Standby,
    /// It accepts events and never delivers.
    Ingest,
    /// Nobody has heard of it for too long.
    Lost,
}

impl NodeState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Delivering, Self::Standby, Self::Ingest, Self::Lost];

    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivering => "delivering",
            Self::Standby => "standby",
            Self::Ingest => "ingest",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, role: &str, is_lost: bool) -> KnownNode {
        KnownNode {
            report: NodeReport {
                name: name.into(),
                host: None,
                version: "1".into(),
                role: role.into(),
                profile: "distributed".into(),
                figures: NodeFigures::default(),
                unwell: Vec::new(),
            },
            age: Duration::ZERO,
            unseen: Duration::ZERO,
            is_lost,
        }
    }

    fn states(owner: Option<&str>, left: Option<Duration>) -> [NodeState; 4] {
        let registry = Registry {
            nodes: vec![
                node("a", "all", false),
                node("b", "deliver", false),
                node("c", "ingest", false),
                node("d", "all", true),
            ],
            leases: vec![Lease {
                partition: 0,
                owner: owner.map(str::to_owned),
                epoch: 1,
                left,
            }],
        };
        let states: Vec<_> = registry
            .nodes
            .iter()
            .map(|one| registry.state(one))
            .collect();
        states.try_into().unwrap()
    }

    #[test]
    fn whoever_has_a_lease_that_lasts_delivers() {
        use NodeState::{Delivering, Ingest, Lost, Standby};
        let second = Some(Duration::from_secs(1));
        assert_eq!(
            states(Some("a"), second),
            [Delivering, Standby, Ingest, Lost]
        );
        assert_eq!(states(Some("b"), None), [Standby, Delivering, Ingest, Lost]);
        let ended = Some(Duration::ZERO);
        assert_eq!(states(Some("a"), ended), [Standby, Standby, Ingest, Lost]);
        assert_eq!(states(None, None), [Standby, Standby, Ingest, Lost]);
        // Whoever is lost is nothing else, even while its lease lasts.
        assert_eq!(states(Some("d"), second), [Standby, Standby, Ingest, Lost]);
    }
}
