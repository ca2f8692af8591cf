//! In which order a subscription gets its deliveries.
//!
//! Deliveries that have to go one after the other stand in a *line*: all of a subscription, or
//! those of one ordering key. A line's order is the database's sequence, drawn at insert. The
//! first of a line is its *head*; nothing behind it is sent before it is final. What stands in
//! no line goes free.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::Timestamp;
use super::delivery::Settlement;

/// What goes one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// Nothing.
    #[default]
    None,
    /// Deliveries of events with the same ordering key.
    Key,
    /// All deliveries.
    All,
}

/// What becomes of a line whose head has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderingFailure {
    /// It waits for an operator.
    #[default]
    Block,
    /// It goes on with the next.
    Skip,
}

/// A subscription's rule of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderingRule {
    /// What goes one after the other.
    pub ordering: Ordering,
    /// What becomes of a line whose head has failed.
    pub failure: OrderingFailure,
    /// When this rule was made: its name, by which nothing is ever ordered.
    pub since: Timestamp,
}

/// The name of a line within its subscription. An empty one means: in no line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(Arc<str>);

/// The one line of a subscription that has all in order.
const ALL: &str = "*";
/// In front of an ordering key, so that none of them can mean anything else.
const KEYED: char = '=';

impl Ordering {
    /// Every one, for exhaustive tests and parsers.
    pub const ALL: [Self; 3] = [Self::None, Self::Key, Self::All];

    /// The word used in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Key => "key",
            Self::All => "all",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Where a delivery stands whose event has that ordering key; `None` where there is no order.
    pub fn line(self, key: Option<&str>) -> Option<Line> {
        match self {
            Self::None => None,
            Self::All => Some(Line(ALL.into())),
            Self::Key => {
                Some(key.map_or_else(Line::free, |key| Line(format!("{KEYED}{key}").into())))
            }
        }
    }
}

impl OrderingFailure {
    /// Every one, for exhaustive tests and parsers.
    pub const ALL: [Self; 2] = [Self::Block, Self::Skip];

    /// The word used in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Skip => "skip",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl OrderingRule {
    /// The name of the rule in force; none where there is no order.
    pub fn name(&self) -> Option<Timestamp> {
        (self.ordering != Ordering::None).then_some(self.since)
    }

    /// This rule with what is given changed at `now`. Another rule has another name, also where
    /// the clock stands still: what one rule blocked is no matter of the next.
    pub fn changed(
        self,
        ordering: Option<Ordering>,
        failure: Option<OrderingFailure>,
        now: Timestamp,
    ) -> Self {
        let mut next = Self {
            ordering: ordering.unwrap_or(self.ordering),
            failure: failure.unwrap_or(self.failure),
            ..self
        };
        if next != self {
            let later = Timestamp::from_micros(self.since.as_micros() + 1);
            next.since = now.max(later);
        }
        next
    }

    /// The name of this rule, where a delivery of a line that came to this blocks its line.
    pub fn blocks(&self, settlement: Settlement) -> Option<Timestamp> {
        let failed = matches!(settlement, Settlement::Failed | Settlement::Expired);
        (failed && self.failure == OrderingFailure::Block)
            .then(|| self.name())
            .flatten()
    }
}

impl Line {
    /// No line.
    pub fn free() -> Self {
        Self("".into())
    }

    /// A stored name.
    pub fn from_stored(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ordering key of all in it; none where all of a subscription stand in it.
    pub fn key(&self) -> Option<&str> {
        self.0.strip_prefix(KEYED)
    }
}

impl Borrow<str> for Line {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_mistaken_for_another_line() {
        let line = |key| Ordering::Key.line(key).unwrap();
        let mut names: Vec<Line> = ["", "*", "=", "a", "=a"].map(|key| line(Some(key))).into();
        names.push(line(None));
        names.push(Ordering::All.line(Some("a")).unwrap());
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(line(Some("=a")).key(), Some("=a"));
        assert_eq!(Ordering::All.line(None).unwrap().key(), None);
        assert_eq!(Ordering::None.line(Some("a")), None);
        assert!(line(Some("")) > Line::free());
    }

    #[test]
    fn another_rule_has_another_name() {
        let now = Timestamp::from_micros(7);
        let first = OrderingRule::default().changed(Some(Ordering::Key), None, now);
        assert_eq!(first.name(), Some(now));
        assert_eq!(first.changed(Some(Ordering::Key), None, now), first);
        let second = first.changed(None, Some(OrderingFailure::Skip), now);
        assert!(second.name() > first.name());
        assert_eq!(second.changed(Some(Ordering::None), None, now).name(), None);
    }

    #[test]
    fn only_what_failed_for_good_blocks() {
        let now = Timestamp::from_micros(7);
        let block = OrderingRule::default().changed(Some(Ordering::All), None, now);
        let skip = block.changed(None, Some(OrderingFailure::Skip), now);
        for (settlement, blocks) in [
            (Settlement::Delivered, false),
            (Settlement::RetryAt(now), false),
            (Settlement::Failed, true),
            (Settlement::Expired, true),
        ] {
            assert_eq!(block.blocks(settlement), blocks.then_some(now));
            assert_eq!(skip.blocks(settlement), None);
            assert_eq!(OrderingRule::default().blocks(settlement), None);
        }
    }
}
