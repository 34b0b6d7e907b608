//! **No acknowledged loss**, **no duplicates**, **producer order**, **no phantoms**: what is in the logs at the end is what was
//! sent, and all that was acknowledged.

use super::Held;
use super::replicas::Contents;
use crate::history::{History, Value};
use crate::routes::Place;
use crate::scene::KEYS;
use std::collections::BTreeMap;

pub(crate) fn check(history: &History, held: &[Held], logs: &BTreeMap<Place, Contents>) {
    for held in held.iter().filter(|held| held.name.starts_with("r-") || held.name.starts_with("t-")) {
        let log = &logs[&held.place];
        let mut offsets: BTreeMap<Value, i64> = BTreeMap::new();
        let mut orders: BTreeMap<i32, u64> = BTreeMap::new();
        for (offset, value) in log.iter().flat_map(|batch| &batch.values) {
            let sent = history.sent.get(value).unwrap_or_else(|| panic!("phantom: {value} in {}", held.name));
            assert_eq!(sent.place, held.place, "cross-talk: {value} in {}", held.name);
            let earlier = offsets.insert(*value, *offset);
            assert_eq!(earlier, None, "no duplicates: {value} of {} at {offset}", held.name);
            let (producer, order) = sent.order;
            let before = orders.insert(producer, order);
            assert!(before < Some(order), "producer order: {order} after {before:?} in {}", held.name);
            let named = history.named.get(&(held.place, *offset)).unwrap_or(value);
            assert_eq!(named, value, "offset agreement: {} at {offset}", held.name);
        }
        check_acknowledged(history, held, log, &offsets);
    }
}

fn check_acknowledged(history: &History, held: &Held, log: &Contents, offsets: &BTreeMap<Value, i64>) {
    let start = log.first().map_or(i64::MAX, |batch| batch.base);
    let is_here = |value: &Value| history.sent[value].place == held.place;
    let mut last_of_keys: BTreeMap<u64, i64> = BTreeMap::new();
    for (value, offset) in history.acknowledged.iter().filter(|(value, _)| is_here(value)) {
        let last = last_of_keys.entry(value % KEYS).or_insert(*offset);
        *last = (*offset).max(*last);
        let is_removed = held.name.contains("short") && *offset < start || held.name.contains("compact");
        if !is_removed {
            let found = offsets.get(value);
            assert_eq!(found, Some(offset), "no acknowledged loss: {value} of {}-{}", held.name, held.place.1);
        }
    }
    if held.name.contains("compact") {
        for (key, last) in last_of_keys {
            let found = offsets.iter().any(|(value, offset)| value % KEYS == key && offset >= &last);
            assert!(found, "compaction: the last record of key {key}, at {last}, is gone");
        }
    }
}
