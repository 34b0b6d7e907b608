use super::scan::{Scan, Stored, Value};
use super::violation::{Kind, Violations};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is known of a log of which only the last record of a key must stay.
#[derive(Clone, Debug, Default)]
pub struct Compacted {
    /// Key and value at each offset that was acknowledged or read; without a value it is a tombstone.
    known: BTreeMap<i64, (u32, Option<Value>)>,
    /// The last of these of each key.
    last: HashMap<u32, (i64, Option<Value>)>,
    /// What the look before found, below which offset.
    before: Option<(i64, BTreeSet<i64>)>,
}

impl Compacted {
    /// A record of this key is at this offset: acknowledged, or read.
    pub fn note(&mut self, offset: i64, key: u32, value: Option<Value>, found: &mut Violations) {
        let (other_key, other) = *self.known.entry(offset).or_insert((key, value));
        if (other_key, other) != (key, value) {
            let what = format!("key {other_key} {other:?} at offset {offset}, then key {key} {value:?}");
            found.add(Kind::OffsetWithTwoValues, what);
        }
        let last = self.last.entry(key).or_insert((offset, value));
        if last.0 < offset {
            *last = (offset, value);
        }
    }

    /// Every key has its last value, no older one, and nothing that was gone is there again.
    pub fn check(&mut self, scan: &Scan, found: &mut Violations) {
        let mut offsets = BTreeSet::new();
        let mut last: HashMap<u32, Stored> = HashMap::new();
        for record in scan.records() {
            let Some(key) = record.key else { continue };
            if offsets.last().is_some_and(|before| *before >= record.offset) {
                found.add(Kind::RecordsOutOfOrder, format!("{}: offset {} again", scan.log, record.offset));
            }
            offsets.insert(record.offset);
            last.insert(key, *record);
        }
        self.check_last(scan, &last, found);
        if let Some((end, before)) = &self.before {
            for offset in offsets.range(..end).filter(|offset| !before.contains(offset)) {
                found.add(Kind::OldValueBack, format!("{}: offset {offset} was gone and is back", scan.log));
            }
        }
        for record in scan.records().filter(|record| record.key.is_some()) {
            self.note(record.offset, record.key.unwrap_or_default(), record.value, found);
        }
        self.before = Some((scan.end, offsets));
    }

    fn check_last(&self, scan: &Scan, last: &HashMap<u32, Stored>, found: &mut Violations) {
        for (key, (offset, value)) in &self.last {
            let now = last.get(key);
            if now.is_some_and(|now| now.offset >= *offset) || (now.is_none() && value.is_none()) {
                continue;
            }
            let kind = if value.is_none() { Kind::OldValueBack } else { Kind::LastValueLost };
            found.add(kind, format!("{}: key {key} had {value:?} at offset {offset}, there is {now:?}", scan.log));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::Batch;
    use super::super::scan::examples::{batch, scan, value};
    use super::*;

    fn keyed(offset: i64, key: u32, number: Option<u32>) -> Batch {
        let mut batch = batch(offset, 0);
        batch.records[0].key = Some(key);
        batch.records[0].value = number.map(|number| value(0, number));
        batch
    }

    /// Key 1 has the values 0 and 2 at these offsets, key 2 has 1 and then a tombstone at 3.
    fn checked(looks: &[&[Batch]]) -> Vec<Kind> {
        let (mut compacted, mut found) = (Compacted::default(), Violations::default());
        for (offset, key, number) in [(0, 1, Some(0)), (1, 2, Some(1)), (2, 1, Some(2)), (3, 2, None)] {
            compacted.note(offset, key, number.map(|number| value(0, number)), &mut found);
        }
        looks.iter().for_each(|batches| compacted.check(&scan(batches.to_vec()), &mut found));
        found.kinds()
    }

    fn last() -> Batch {
        keyed(2, 1, Some(2))
    }

    #[test]
    fn the_last_values_are_enough_and_a_tombstone_may_go() {
        let all = [keyed(0, 1, Some(0)), keyed(1, 2, Some(1)), last(), keyed(3, 2, None)];
        assert_eq!(checked(&[&all, &[last(), keyed(3, 2, None)], &[last()]]), []);
    }

    #[test]
    fn a_last_value_that_is_lost_is_found() {
        assert_eq!(checked(&[&[keyed(3, 2, None)]]), [Kind::LastValueLost]);
        assert_eq!(checked(&[&[keyed(0, 1, Some(0)), keyed(3, 2, None)]]), [Kind::LastValueLost]);
    }

    #[test]
    fn an_older_value_that_is_the_last_again_is_found() {
        assert_eq!(checked(&[&[keyed(1, 2, Some(1)), last()]]), [Kind::OldValueBack]);
    }

    #[test]
    fn a_record_that_was_gone_and_is_back_is_found() {
        assert_eq!(checked(&[&[last()], &[keyed(0, 1, Some(0)), last()]]), [Kind::OldValueBack]);
    }

    #[test]
    fn an_offset_that_has_another_value_is_found() {
        assert_eq!(checked(&[&[keyed(2, 1, Some(5))]]), [Kind::OffsetWithTwoValues]);
    }

    #[test]
    fn what_was_read_must_stay_too() {
        let later = keyed(4, 1, Some(6));
        assert_eq!(checked(&[&[last(), later], &[last()]]), [Kind::LastValueLost]);
    }
}
