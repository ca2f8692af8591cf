//! The last facts, numbered, for all streams of a node.
//!
//! A stream is a place in the ring and nothing else: whoever reads too slowly finds its place
//! overwritten. So no stream costs memory of its own, and none is ever waited for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::fact::Fact;
use super::veil::Veil;

/// A fact with its place, written once for all who are shown it.
#[derive(Debug)]
pub struct Numbered {
    /// Its place.
    pub number: u64,
    /// What happened. Its data is only in the frame.
    pub fact: Fact,
    /// As it goes over the wire.
    pub frame: Bytes,
}

/// What there is to be read from a place on.
#[derive(Debug)]
pub enum Read {
    /// These, the oldest first.
    Facts(Vec<Arc<Numbered>>),
    /// The place is overwritten: so many facts are gone.
    Behind(u64),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Ring {
    /// Distinguishes this ring from every other, of this node and of others.
    epoch: u64,
    veil: Veil,
    next: u64,
    facts: VecDeque<Arc<Numbered>>,
    kept: usize,
}

impl Ring {
    /// Keeps so many facts. The first has the number 1.
    pub fn new(epoch: u64, veil: Veil, kept: usize) -> Self {
        Self {
            epoch,
            veil,
            next: 1,
            facts: VecDeque::new(),
            kept: kept.max(1),
        }
    }

    /// Which ring this is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What covers its numbers.
    pub fn veil(&self) -> Veil {
        self.veil
    }

    /// The number that the next fact gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Adds a fact, and lets go of the oldest where there are too many.
    pub fn push(&mut self, fact: Fact) {
        let number = self.next;
        self.next += 1;
        if self.facts.len() == self.kept {
            self.facts.pop_front();
        }
        let frame = frame(
            &id(self.epoch, self.veil, number),
            fact.kind.as_str(),
            fact.data.get(),
        );
        self.facts.push_back(Arc::new(Numbered {
            number,
            fact: Fact {
                data: Box::default(),
                ..fact
            },
            frame,
        }));
    }

    /// Up to `most` facts from that number on.
    pub fn read(&self, from: u64, most: usize) -> Read {
        let oldest = self.oldest();
        if from < oldest {
            return Read::Behind(oldest - from);
        }
        let passed = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let facts = self.facts.iter().skip(passed).take(most);
        Read::Facts(facts.cloned().collect())
    }

    /// Where to go on after the fact of that id; nothing where what came behind it is not all
    /// here, or where it is no id of this ring.
    pub fn after(&self, last: &str) -> Option<u64> {
        let (_, number) = last.split_once('-')?;
        let shown = u64::from_str_radix(number, 16).ok()?;
        let is_ours = last == format!("{:016x}-{shown:016x}", self.epoch);
        let next = self.veil.under(shown).checked_add(1)?;
        (is_ours && (self.oldest()..=self.next).contains(&next)).then_some(next)
    }

    fn oldest(&self) -> u64 {
        self.next - self.facts.len() as u64
    }
}

/// The id of a fact.
pub fn id(epoch: u64, veil: Veil, number: u64) -> String {
    format!("{epoch:016x}-{:016x}", veil.over(number))
}

/// One event as the protocol has it. `data` has one line.
pub fn frame(id: &str, name: &str, data: &str) -> Bytes {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::stream::kind::Kind;

    proptest! {
        #[test]
        fn nothing_is_missing_behind_an_id_and_reading_one_never_panics(
            kept in 1_usize..9, facts in 0_u64..20, last in 0_u64..25, text in any::<String>(),
        ) {
            let ring = ring(kept, facts);
            let known = (facts.saturating_sub(kept as u64)..=facts).contains(&last);
            let next = ring.after(&id(7, VEIL, last));
            prop_assert_eq!(next, known.then_some(last + 1));
            if let Some(next) = next {
                let all: Vec<u64> = (next..=facts).collect();
                prop_assert_eq!(numbers(ring.read(next, 99)), all);
            }
            let _ = (ring.after(&text), ring.after(&format!("{:016x}-{text}", 7)));
        }
    }

    const VEIL: Veil = Veil::new([5; 16]);

    fn ring(kept: usize, facts: u64) -> Ring {
        let mut ring = Ring::new(7, VEIL, kept);
        for number in 1..=facts {
            ring.push(Fact::of_stream(Kind::Reset, &json!({"n": number})));
        }
        ring
    }

    fn numbers(read: Read) -> Vec<u64> {
        match read {
            Read::Facts(facts) => facts.iter().map(|fact| fact.number).collect(),
            Read::Behind(count) => panic!("{count} are gone"),
        }
    }

    #[test]
    fn facts_are_read_in_order_from_any_place_that_is_left() {
        let ring = ring(3, 5);
        assert_eq!(numbers(ring.read(3, 9)), [3, 4, 5]);
        assert_eq!(numbers(ring.read(4, 1)), [4]);
        assert_eq!(numbers(ring.read(6, 9)), [0; 0]);
        assert!(matches!(ring.read(1, 9), Read::Behind(2)));
        let Read::Facts(facts) = ring.read(5, 1) else {
            panic!("it is there");
        };
        let expected = format!(
            "id: 0000000000000007-{:016x}\nevent: reset\ndata: {{\"n\":5}}\n\n",
            VEIL.over(5)
        );
        assert_eq!(facts[0].frame, expected);
    }

    #[test]
    fn one_goes_on_after_a_fact_only_where_nothing_is_missing() {
        let ring = ring(3, 5);
        for (last, next) in [
            (5, Some(6)),
            (4, Some(5)),
            (2, Some(3)),
            (1, None),
            (6, None),
        ] {
            assert_eq!(ring.after(&id(7, VEIL, last)), next, "{last}");
        }
        let empty = Ring::new(7, VEIL, 3);
        assert_eq!(
            empty.after(&id(7, VEIL, 0)),
            Some(1),
            "nothing has happened since"
        );
        for other in [
            &id(8, VEIL, 5),
            &id(7, Veil::new([6; 16]), 5),
            &id(7, VEIL, u64::MAX),
            "",
            "5",
            "7-5",
            "0000000000000007-",
            "0000000000000007-5",
            "0000000000000007-0000000000000005",
            "0000000000000007--1",
            &id(7, VEIL, 5).replacen('0', "+", 1),
            &id(7, VEIL, 5)
                .to_uppercase()
                .replace("0000000000000007", "7"),
        ] {
            assert_eq!(ring.after(other), None, "{other:?}");
        }
    }
}
