//! Idempotency keys: the same key with the same content is the same event; the same key with
//! other content is a conflict of the request that came later.

use std::collections::HashMap;
use std::sync::Arc;

use super::id::EventId;

/// A sender's key. Tenants do not share keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName {
    /// Whose event it is.
    pub tenant: Option<Arc<str>>,
    /// The key itself.
    pub key: Arc<str>,
}

/// SHA-256 of the item as sent.
pub type ContentHash = [u8; 32];

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The key.
    pub name: KeyName,
    /// The first event that carried it.
    pub event_id: EventId,
    /// What that event's content was.
    pub content: ContentHash,
}

/// One item of a unit that is to be accepted as a whole.
#[derive(Clone, Debug)]
pub struct Item {
    /// The event it would become.
    pub event_id: EventId,
    /// Its key, where it has one.
    pub key: Option<(KeyName, ContentHash)>,
}

/// What became of an item of an accepted unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemFate {
    /// It is stored as an event.
    New,
    /// It is the event that stands here already.
    Duplicate(EventId),
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitFate {
    /// All of it is accepted.
    Accepted(Vec<ItemFate>),
    /// Nothing of it is: these items (from 0) carry a key that stands for other content.
    Conflict(Vec<usize>),
}

/// Settles the keys of a group, unit by unit, first come first served. `known` are the keys
/// that the store has; keys of units accepted on the way count for those behind them, keys of
/// refused units do not.
pub fn settle_keys(units: &[Vec<Item>], known: Vec<KnownKey>) -> Vec<UnitFate> {
    let mut taken: HashMap<KeyName, (EventId, ContentHash)> = known
        .into_iter()
        .map(|known| (known.name, (known.event_id, known.content)))
        .collect();
    units
        .iter()
        .map(|unit| settle_unit(unit, &mut taken))
        .collect()
}

fn settle_unit(unit: &[Item], taken: &mut HashMap<KeyName, (EventId, ContentHash)>) -> UnitFate {
    let mut own: HashMap<&KeyName, (EventId, ContentHash)> = HashMap::new();
    let mut fates = Vec::with_capacity(unit.len());
    let mut conflicts = Vec::new();
    for (index, item) in unit.iter().enumerate() {
        let Some((name, content)) = &item.key else {
            fates.push(ItemFate::New);
            continue;
        };
        match taken.get(name).or_else(|| own.get(name)) {
            // A group that is run again after a commit of unknown fate finds its own keys.
            Some((first, _)) if *first == item.event_id => fates.push(ItemFate::New),
            Some((first, same)) if same == content => fates.push(ItemFate::Duplicate(*first)),
            Some(_) => conflicts.push(index),
            None => {
                own.insert(name, (item.event_id, *content));
                fates.push(ItemFate::New);
            }
        }
    }
    if !conflicts.is_empty() {
        return UnitFate::Conflict(conflicts);
    }
    taken.extend(own.into_iter().map(|(name, first)| (name.clone(), first)));
    UnitFate::Accepted(fates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> EventId {
        EventId(uuid::Uuid::from_u128(number))
    }

    fn name(key: &str) -> KeyName {
        KeyName {
            tenant: None,
            key: key.into(),
        }
    }

    fn item(number: u128, key: Option<(&str, u8)>) -> Item {
        Item {
            event_id: id(number),
            key: key.map(|(key, content)| (name(key), [content; 32])),
        }
    }

    #[test]
    fn first_come_first_served_and_a_conflict_hurts_only_its_own_unit() {
        let units = [
            vec![item(1, Some(("a", 1)))],
            vec![item(2, Some(("a", 1))), item(3, None)],
            vec![item(4, Some(("b", 1))), item(5, Some(("a", 2)))],
            vec![item(6, Some(("b", 9)))],
            vec![item(7, Some(("known", 7)))],
            vec![item(8, Some(("known", 8)))],
        ];
        let known = vec![KnownKey {
            name: name("known"),
            event_id: id(99),
            content: [7; 32],
        }];
        let fates = settle_keys(&units, known);
        use ItemFate::{Duplicate, New};
        assert_eq!(
            fates,
            [
                UnitFate::Accepted(vec![New]),
                UnitFate::Accepted(vec![Duplicate(id(1)), New]),
                UnitFate::Conflict(vec![1]),
                // "b" of the refused unit before it does not count.
                UnitFate::Accepted(vec![New]),
                UnitFate::Accepted(vec![Duplicate(id(99))]),
                UnitFate::Conflict(vec![0]),
            ]
        );
    }

    #[test]
    fn within_a_batch_the_second_equal_item_is_a_duplicate() {
        let unit = vec![item(1, Some(("a", 1))), item(2, Some(("a", 1)))];
        let fates = settle_keys(&[unit], Vec::new());
        let expected = vec![ItemFate::New, ItemFate::Duplicate(id(1))];
        assert_eq!(fates, [UnitFate::Accepted(expected)]);
        let unit = vec![item(1, Some(("a", 1))), item(2, Some(("a", 2)))];
        assert_eq!(
            settle_keys(&[unit], Vec::new()),
            [UnitFate::Conflict(vec![1])]
        );
    }

    #[test]
    fn tenants_do_not_share_keys() {
        let mut other = item(2, Some(("a", 2)));
        if let Some((name, _)) = &mut other.key {
            name.tenant = Some("t".into());
        }
        let fates = settle_keys(&[vec![item(1, Some(("a", 1)))], vec![other]], Vec::new());
        assert!(
            fates
                .iter()
                .all(|fate| matches!(fate, UnitFate::Accepted(_)))
        );
    }

    #[test]
    fn a_group_run_again_finds_its_own_keys_and_stays_new() {
        let known = vec![KnownKey {
            name: name("a"),
            event_id: id(1),
            content: [1; 32],
        }];
        let fates = settle_keys(&[vec![item(1, Some(("a", 1)))]], known);
        assert_eq!(fates, [UnitFate::Accepted(vec![ItemFate::New])]);
    }
}
