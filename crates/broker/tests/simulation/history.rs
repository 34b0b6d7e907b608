//! What clients have sent, and what they were told. The checks stand on it; the nodes can't see it.

use super::routes::Place;
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// A record is known by a number of its own, which is its value.
pub(crate) type Value = u64;

/// How a transaction has ended, as far as its producer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was not asked to commit, and never will be.
    Aborted,
    Committed,
    /// It was asked to commit, and no answer said that it has. A transaction under way is so too.
    Unknown,
}

/// A transaction of a client.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// The number of its producer.
    pub(crate) producer: i32,
    pub(crate) outcome: Outcome,
    /// All that was sent in it.
    pub(crate) values: Vec<(Place, Value)>,
    /// Those that were acknowledged.
    pub(crate) acknowledged: BTreeSet<Value>,
    /// The group and the offset that it commits, if it was acknowledged that it would.
    pub(crate) offset: Option<(Place, i64)>,
}

/// What was sent of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) place: Place,
    pub(crate) transaction: Option<usize>,
    /// Who sent it, and as which in this partition: a producer's order.
    pub(crate) order: (i32, u64),
}

#[derive(Default)]
pub(crate) struct History {
    next: Value,
    pub(crate) sent: BTreeMap<Value, Sent>,
    /// What an offset is, for ever, by the first who told.
    pub(crate) named: BTreeMap<(Place, i64), Value>,
    /// The offsets of records that were acknowledged.
    pub(crate) acknowledged: BTreeMap<Value, i64>,
    /// What consumers of committed transactions have seen.
    pub(crate) read_committed: BTreeSet<Value>,
    pub(crate) transactions: Vec<Transaction>,
    /// Topics that somebody has asked to be deleted.
    pub(crate) doomed: BTreeSet<TopicId>,
    /// How many of everything, to see that enough has happened.
    pub(crate) counts: BTreeMap<&'static str, usize>,
}

impl History {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A record is about to be sent.
    pub(crate) fn send(&mut self, place: Place, transaction: Option<usize>, order: (i32, u64)) -> Value {
        self.next += 1;
        self.sent.insert(self.next, Sent { place, transaction, order });
        if let Some(transaction) = transaction {
            self.transactions[transaction].values.push((place, self.next));
        }
        self.next
    }

    /// **Offset agreement.** An offset names one record for ever, whoever tells it.
    pub(crate) fn name(&mut self, place: Place, offset: i64, value: Value, by: &str) {
        let sent = self.sent.get(&value).unwrap_or_else(|| panic!("phantom: {by} tells of {value}, which nobody sent"));
        assert_eq!(sent.place, place, "cross-talk: {by} tells of {value} in another partition");
        let known = *self.named.entry((place, offset)).or_insert(value);
        assert_eq!(known, value, "offset agreement: {by} tells of {value} at {offset} of {place:?}, where {known} is");
    }

    pub(crate) fn acknowledge(&mut self, place: Place, offset: i64, value: Value) {
        self.name(place, offset, value, "an acknowledgement");
        let known = *self.acknowledged.entry(value).or_insert(offset);
        assert_eq!(known, offset, "ack truth: {value} of {place:?} was acknowledged at two offsets");
        if let Some(transaction) = self.sent[&value].transaction {
            self.transactions[transaction].acknowledged.insert(value);
        }
        self.count("acknowledged");
    }

    pub(crate) fn begin_transaction(&mut self, producer: i32) -> usize {
        let (values, acknowledged) = (Vec::new(), BTreeSet::new());
        let outcome = Outcome::Aborted;
        self.transactions.push(Transaction { producer, outcome, values, acknowledged, offset: None });
        self.transactions.len() - 1
    }

    /// The transactions of one producer, in their order.
    pub(crate) fn transactions_of(&self, producer: i32) -> Vec<&Transaction> {
        self.transactions.iter().filter(|transaction| transaction.producer == producer).collect()
    }

    pub(crate) fn is_doomed(&self, topic: TopicId) -> bool {
        self.doomed.contains(&topic)
    }
}
