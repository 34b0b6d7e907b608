//! **Atomic visibility**, **isolation**, **one outcome**, **no hanging transaction**.

use super::Held;
use super::replicas::{Contents, Written};
use crate::history::{History, Outcome, Transaction, Value};
use crate::readers::Reader;
use crate::routes::Place;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(history: &History, held: &[Held], logs: &BTreeMap<Place, Contents>, reader: &Reader) {
    let mut committed: BTreeSet<Value> = BTreeSet::new();
    // How each epoch of a producer has ended, in whatever partition.
    let mut outcomes: BTreeMap<(i64, i16), bool> = BTreeMap::new();
    for held in held.iter().filter(|held| held.name.starts_with("t-")) {
        let mut open: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for batch in &logs[&held.place] {
            let producer = batch.producer.0;
            let Some(commits) = batch.marker else {
                assert!(batch.is_transactional, "{batch:?} is no part of a transaction");
                open.entry(producer).or_default().extend(batch.values.iter().map(|(_, value)| *value));
                continue;
            };
            let known = *outcomes.entry(batch.producer).or_insert(commits);
            assert_eq!(known, commits, "one outcome: {:?} has ended both ways", batch.producer);
            let values = open.remove(&producer).unwrap_or_default();
            if commits {
                committed.extend(values);
            }
        }
        assert!(open.is_empty(), "no hanging transaction: {open:?} in {}-{}", held.name, held.place.1);
        let end = logs[&held.place].last().map_or(0, |batch| batch.next);
        assert_eq!(reader.position(&held.place), end, "a reader stopped before the end of {:?}", held.place);
    }
    for (index, transaction) in history.transactions.iter().enumerate() {
        let visible = transaction.acknowledged.intersection(&committed).count();
        let all = transaction.acknowledged.len();
        let is_right = match transaction.outcome {
            Outcome::Committed => visible == all,
            Outcome::Aborted => visible == 0,
            Outcome::Unknown => visible == 0 || visible == all,
        };
        assert!(
            is_right,
            "atomic visibility: {visible} of {all} records of transaction {index}, {transaction:?}; {}",
            logs_of(transaction, logs)
        );
    }
    let is_transactional = |value: &&Value| history.sent[*value].transaction.is_some();
    let seen: BTreeSet<Value> = history.read_committed.iter().filter(is_transactional).copied().collect();
    let aborted: Vec<_> = seen.difference(&committed).map(|value| (value, history.sent[value])).collect();
    assert!(aborted.is_empty(), "isolation: seen and not committed: {aborted:?}");
    let missed: Vec<_> = committed.difference(&seen).map(|value| (value, history.sent[value])).collect();
    assert!(missed.is_empty(), "atomic visibility: committed and not seen: {missed:?}");
}

/// What the partitions of a transaction hold of its producer.
fn logs_of(transaction: &Transaction, logs: &BTreeMap<Place, Contents>) -> String {
    let of_value = |(place, value): &(Place, Value)| {
        let log = logs.get(place)?;
        let has = |batch: &&Written| batch.values.iter().any(|(_, known)| known == value);
        let producer = log.iter().find(has)?.producer.0;
        let own: Vec<_> = log.iter().filter(|batch| batch.producer.0 == producer).collect();
        Some(format!("{place:?}: {own:#?}"))
    };
    transaction.values.iter().filter_map(of_value).collect::<Vec<_>>().join("; ")
}
