//! Order by key: what is promised and checked is that the first successful receipts of a key
//! never go back. After a crash a stretch may be repeated, in order.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ledger::{Acknowledged, Receipt};

/// Where first successful receipts went back, in words.
pub fn went_back(
    acknowledged: &HashMap<String, Acknowledged>,
    receipts: &[Receipt],
) -> Vec<String> {
    let mut furthest: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for receipt in receipts.iter().filter(|one| one.answer.is_success()) {
        // What was sent and not acknowledged has no place: it may be stored later than it was
        // sent.
        let Some(event) = acknowledged.get(&receipt.event) else {
            continue;
        };
        if !seen.insert(&receipt.event) {
            continue;
        }
        let key = event.ordering_key.as_str();
        match furthest.insert(key, event.place) {
            Some(before) if before > event.place => found.push(format!(
                "key {key}: event {} came behind event {before}",
                event.place
            )),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::receiver::Answer;

    fn run(receipts: &[(&str, bool)]) -> Vec<String> {
        let event = |name: &str| {
            let (key, place) = name.split_at(1);
            let acknowledged = Acknowledged {
                event_type: "chaos.a",
                ordering_key: key.to_owned(),
                place: place.parse().unwrap(),
                sent_at: Instant::now(),
            };
            (name.to_owned(), acknowledged)
        };
        let acknowledged = ["a0", "a1", "a2", "b0", "b1"].map(event).into();
        let receipts: Vec<Receipt> = receipts
            .iter()
            .map(|(event, success)| Receipt {
                event: (*event).to_owned(),
                answer: match success {
                    true => Answer::Ok(Duration::ZERO),
                    false => Answer::Broken,
                },
            })
            .collect();
        went_back(&acknowledged, &receipts)
    }

    #[test]
    fn keys_flow_beside_each_other_and_stretches_may_repeat() {
        let fine = ["b0", "a0", "a1", "a0", "a1", "unknown", "b1", "a2"].map(|one| (one, true));
        assert_eq!(run(&fine), Vec::<String>::new());
        assert_eq!(
            run(&[("a1", false), ("a0", true), ("a1", true)]),
            Vec::<String>::new(),
            "only successes count"
        );
    }

    #[test]
    fn going_back_is_found() {
        assert_eq!(run(&[("a0", true), ("a2", true), ("a1", true)]).len(), 1);
        assert_eq!(run(&[("b1", true), ("a0", true), ("b0", true)]).len(), 1);
    }
}
