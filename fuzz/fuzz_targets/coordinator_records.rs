//! A log of a group coordinator, a transaction coordinator or the quorum's control records, a record after the other; the first
//! byte chooses which. What is read is written and read back the same, and any order of records can be replayed.

#![no_main]

use ottla_groups::{GroupCoordinator, GroupSettings};
use ottla_raft::ControlRecord;
use ottla_transactions::{TransactionCoordinator, TransactionSettings};
use ottla_types::{Offset, ProducerId, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A record's bytes; what it is written by, if by a transaction.
struct Stored<'a> {
    producer_id: Option<ProducerId>,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, mut rest)) = bytes.split_first() else { return };
    let mut groups = GroupCoordinator::new(GroupSettings::default());
    let mut transactions = TransactionCoordinator::new(TransactionSettings::default());
    let mut offset = Offset(0);
    while let Some(record) = next(&mut rest) {
        match choice % 3 {
            0 => group(&mut groups, offset, &record),
            1 => transaction(&mut transactions, &record),
            _ => control(&record),
        }
        offset = offset.next();
    }
    drop(groups.on_loaded(NOW));
    drop(transactions.on_loaded(NOW));
});

/// A byte of choices, the length of the key, that of the value in two bytes, key, value; what is missing is shorter.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Stored<'a>> {
    let (&[choices, key_length, high, low], after) = rest.split_first_chunk::<4>()?;
    let (key, after) = after.split_at(usize::from(key_length).min(after.len()));
    let (value, after) = after.split_at(usize::from(u16::from_be_bytes([high, low])).min(after.len()));
    *rest = after;
    let producer_id = (choices & 2 != 0).then_some(ProducerId(i64::from(choices >> 2)));
    Some(Stored { producer_id, key, value: (choices & 1 == 0).then_some(value) })
}

fn group(groups: &mut GroupCoordinator, offset: Offset, stored: &Stored<'_>) {
    use ottla_groups::record::{Decoded, decode, encode};
    // A marker ends what the producer has written.
    if let (Some(producer_id), [0, committed]) = (stored.producer_id, stored.key) {
        return groups.replay_transaction_end(producer_id, *committed != 0);
    }
    let Ok(Decoded::Record(record)) = decode(Some(stored.key), stored.value) else { return };
    if let Ok((key, value)) = encode(&record) {
        let Ok(Decoded::Record(again)) = decode(Some(&key), value.as_deref()) else { panic!("not read back") };
        assert_eq!(encode(&again).unwrap(), (key, value), "what was written reads back differently");
    }
    groups.replay(NOW, offset, stored.producer_id, record);
}

fn transaction(transactions: &mut TransactionCoordinator, stored: &Stored<'_>) {
    use ottla_transactions::record::{Decoded, decode, encode};
    let Ok(Decoded::Record(record)) = decode(Some(stored.key), stored.value) else { return };
    if let Ok((key, value)) = encode(&record) {
        let Ok(Decoded::Record(again)) = decode(Some(&key), value.as_deref()) else { panic!("not read back") };
        assert_eq!(encode(&again).unwrap(), (key, value), "what was written reads back differently");
    }
    transactions.replay(record);
}

fn control(stored: &Stored<'_>) {
    let Ok(Some(record)) = ControlRecord::decode(stored.key, stored.value.unwrap_or_default()) else { return };
    if let Ok(value) = record.value() {
        let again = ControlRecord::decode(stored.key, &value).unwrap().unwrap();
        assert_eq!(again.value().unwrap(), value, "what was written reads back differently");
    }
}
