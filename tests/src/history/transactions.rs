use super::records::WriterId;
use super::scan::{Marker, Scan, Value};
use super::violation::{Kind, Violations};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

/// What a client knows of the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server acknowledged the commit.
    Committed,
    /// It acknowledged an abort, or no commit was ever asked for.
    Aborted,
    /// A commit was asked for and not answered.
    Unknown,
}

#[derive(Clone, Debug)]
struct Transaction {
    writer: WriterId,
    numbers: Range<u32>,
    ended: Ended,
}

/// All transactions, and what readers of committed records were given.
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    all: Vec<Transaction>,
    visible: HashSet<Value>,
    /// How the markers of the logs end the transaction of each record.
    marked: HashMap<Value, Marker>,
}

impl Transactions {
    /// A transaction of the records with these numbers. Returns what to end it by.
    pub fn begin(&mut self, writer: WriterId, numbers: Range<u32>) -> usize {
        self.all.push(Transaction { writer, numbers, ended: Ended::Aborted });
        self.all.len() - 1
    }

    /// What is known of its end. `Unknown` is to be noted before the commit is asked for.
    pub fn end(&mut self, transaction: usize, ended: Ended) {
        self.all[transaction].ended = ended;
    }

    /// How many there are whose commit, and whose abort, was acknowledged or is certain.
    pub fn count(&self) -> (usize, usize) {
        let count = |ended| self.all.iter().filter(|transaction| transaction.ended == ended).count();
        (count(Ended::Committed), count(Ended::Aborted))
    }

    /// A reader of committed records was given this.
    pub fn read_committed(&mut self, value: Value) {
        self.visible.insert(value);
    }

    /// Takes in what the markers of a log say. Nobody has a transaction open any more.
    pub fn check_scan(&mut self, scan: &Scan, found: &mut Violations) {
        let mut open: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for batch in &scan.batches {
            if let Some(marker) = batch.marker {
                let ended = open.remove(&batch.producer_id).unwrap_or_default();
                self.marked.extend(ended.into_iter().map(|value| (value, marker)));
            } else if batch.is_transactional {
                let values = batch.records.iter().filter_map(|record| record.value);
                open.entry(batch.producer_id).or_default().extend(values);
            }
        }
        for (producer, values) in open {
            let what = format!("{}: {} records of producer {producer} have no marker", scan.log, values.len());
            found.add(Kind::HangingTransaction, what);
        }
    }

    /// Everything was scanned, and read by a reader of committed records: all of a committed transaction is visible,
    /// nothing of an aborted one, and all or nothing of one whose end is not known; and readers and markers agree.
    pub fn check(&self, found: &mut Violations) {
        for transaction in &self.all {
            let values = transaction.numbers.clone().map(|number| Value { writer: transaction.writer, number });
            let values: Vec<Value> = values.collect();
            let visible = values.iter().filter(|value| self.visible.contains(value)).count();
            let what = || format!("{transaction:?}: {visible} of {} records are visible", values.len());
            if 0 < visible && visible < values.len() && transaction.ended != Ended::Aborted {
                found.add(Kind::HalfATransaction, what());
            } else if transaction.ended == Ended::Committed && visible < values.len()
                || transaction.ended == Ended::Aborted && visible > 0
            {
                found.add(Kind::WrongIsolation, what());
            }
        }
        for (value, marker) in &self.marked {
            if self.visible.contains(value) != (*marker == Marker::Commit) {
                found.add(Kind::WrongIsolation, format!("{value} has the marker {marker:?} and is shown otherwise"));
            }
        }
    }
}

/// What was made of each input: two postings that cancel each other out, in one transaction with the input's offset.
#[derive(Debug, Default)]
pub struct Postings {
    amounts: BTreeMap<u32, Vec<i64>>,
}

impl Postings {
    /// A committed posting for an input.
    pub fn add(&mut self, input: u32, amount: i64) {
        self.amounts.entry(input).or_default().push(amount);
    }

    /// Each of the `inputs` was posted exactly once, nothing else was, and all amounts together are nothing.
    pub fn check(&self, inputs: &HashSet<u32>, found: &mut Violations) {
        let sum: i64 = self.amounts.values().flatten().sum();
        if sum != 0 {
            found.add(Kind::WrongSum, format!("all postings are {sum} together"));
        }
        for (input, amounts) in &self.amounts {
            if !inputs.contains(input) {
                found.add(Kind::WrongSum, format!("input {input}, which is not there, was posted as {amounts:?}"));
            } else if amounts.len() != 2 || amounts.iter().sum::<i64>() != 0 {
                found.add(Kind::WrongSum, format!("input {input} was posted as {amounts:?}"));
            }
        }
        for input in inputs.iter().filter(|input| !self.amounts.contains_key(input)) {
            found.add(Kind::WrongSum, format!("input {input} was passed over"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::Batch;
    use super::super::scan::examples::{batch, scan, value};
    use super::*;

    /// One transaction with the records 0 and 1.
    fn checked(ended: Ended, visible: &[u32]) -> Vec<Kind> {
        let (mut transactions, mut found) = (Transactions::default(), Violations::default());
        let transaction = transactions.begin(0, 0..2);
        transactions.end(transaction, ended);
        visible.iter().for_each(|number| transactions.read_committed(value(0, *number)));
        transactions.check(&mut found);
        found.kinds()
    }

    #[test]
    fn all_or_nothing_is_believed_as_it_was_answered() {
        assert_eq!(checked(Ended::Committed, &[0, 1]), []);
        assert_eq!(checked(Ended::Aborted, &[]), []);
        assert_eq!(checked(Ended::Unknown, &[0, 1]), []);
        assert_eq!(checked(Ended::Unknown, &[]), []);
    }

    #[test]
    fn an_aborted_record_that_was_seen_is_found() {
        assert_eq!(checked(Ended::Aborted, &[1]), [Kind::WrongIsolation]);
        assert_eq!(checked(Ended::Aborted, &[0, 1]), [Kind::WrongIsolation]);
    }

    #[test]
    fn half_a_transaction_is_found() {
        assert_eq!(checked(Ended::Committed, &[0]), [Kind::HalfATransaction]);
        assert_eq!(checked(Ended::Unknown, &[1]), [Kind::HalfATransaction]);
    }

    #[test]
    fn a_committed_transaction_that_is_not_shown_is_found() {
        assert_eq!(checked(Ended::Committed, &[]), [Kind::WrongIsolation]);
    }

    fn transactional(offset: i64, number: u32) -> Batch {
        Batch { producer_id: 4, is_transactional: true, ..batch(offset, number) }
    }

    fn marker(offset: i64, marker: Marker) -> Batch {
        Batch { marker: Some(marker), records: Vec::new(), ..transactional(offset, 0) }
    }

    #[test]
    fn a_reader_that_does_not_follow_the_markers_is_found() {
        for (end, shown, wrong) in [
            (Marker::Commit, true, false),
            (Marker::Commit, false, true),
            (Marker::Abort, false, false),
            (Marker::Abort, true, true),
        ] {
            let (mut transactions, mut found) = (Transactions::default(), Violations::default());
            transactions.check_scan(&scan(vec![transactional(0, 0), marker(1, end)]), &mut found);
            if shown {
                transactions.read_committed(value(0, 0));
            }
            transactions.check(&mut found);
            assert_eq!(found.kinds().contains(&Kind::WrongIsolation), wrong, "{end:?} {shown}");
        }
    }

    #[test]
    fn a_transaction_without_a_marker_is_found() {
        let (mut transactions, mut found) = (Transactions::default(), Violations::default());
        let batches = vec![transactional(0, 0), marker(1, Marker::Commit), transactional(2, 1)];
        transactions.check_scan(&scan(batches), &mut found);
        assert_eq!(found.kinds(), [Kind::HangingTransaction]);
    }

    fn posted(postings: &[(u32, i64)]) -> bool {
        let (mut all, mut found) = (Postings::default(), Violations::default());
        postings.iter().for_each(|(input, amount)| all.add(*input, *amount));
        all.check(&HashSet::from([1, 2]), &mut found);
        found.is_empty()
    }

    #[test]
    fn money_that_is_lost_doubled_or_made_is_found() {
        assert!(posted(&[(1, 5), (1, -5), (2, 3), (2, -3)]));
        assert!(!posted(&[(1, 5), (1, -5)]), "passed over");
        assert!(!posted(&[(1, 5), (1, -5), (2, 3), (2, -3), (1, 5), (1, -5)]), "twice");
        assert!(!posted(&[(1, 5), (1, -5), (2, 3)]), "one leg");
        assert!(!posted(&[(1, 5), (1, -5), (2, 3), (2, -3), (3, 1), (3, -1)]), "from nowhere");
    }
}
