//! What one process of an installation does.

/// Which part of the work a process does. The parts meet in the database; the feed tells the
/// one that delivers what the others accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Accepts events, and delivers where no other process does.
    #[default]
    All,
    /// Accepts events and never delivers.
    Ingest,
    /// Delivers, or stands by to, and accepts no events.
    Deliver,
}

impl Role {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::All, Self::Ingest, Self::Deliver];

    /// The word used in settings, flags and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ingest => "ingest",
            Self::Deliver => "deliver",
        }
    }

    /// The role of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether events are accepted.
    pub fn accepts(self) -> bool {
        self != Self::Deliver
    }

    /// Whether the deliveries may be owned.
    pub fn delivers(self) -> bool {
        self != Self::Ingest
    }
}
