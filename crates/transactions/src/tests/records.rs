use super::world::{ID, World, set};
use crate::record::{Decoded, RecordError, decode, encode};
use crate::{TransactionSettings, TransactionState, TransactionVersion};

#[test]
fn a_value_of_version_0_has_no_tagged_fields() {
    let settings = TransactionSettings { version: TransactionVersion::V0, ..Default::default() };
    let mut world = World::with(settings);
    world.init().unwrap();
    let value = world.log[0].1.clone().unwrap();
    assert_eq!(value[..2], [0, 0]);
    let Decoded::Record(record) = decode(Some(&world.log[0].0), Some(&value)).unwrap() else { panic!() };
    assert_eq!(record.value_version, 0);
    assert_eq!(record.value.unwrap().previous_producer_id.value(), -1);
}

#[test]
fn the_bytes_are_those_that_kafka_writes() {
    let mut world = World::new();
    world.now_ms = 0x0102;
    let only = world.init().unwrap();
    world.add(only, &[("t", 1)]);
    assert_eq!(world.log[0].0[..], [0, 0, 0, 2, b'i', b'd']);
    let empty = [
        &[0, 1][..],                          // version
        &[0, 0, 0, 0, 0, 0, 3, 232],          // producer id
        &[0, 0],                              // epoch
        &[0, 0, 0xea, 0x60],                  // timeout
        &[0],                                 // Empty
        &[0],                                 // no partitions: null
        &[0, 0, 0, 0, 0, 0, 1, 2],            // last update
        &[255; 8],                            // start
        &[1, 0, 8, 0, 0, 0, 0, 0, 0, 3, 232], // one tag: the producer id before
    ]
    .concat();
    assert_eq!(world.log[0].1.as_deref().unwrap(), empty);
}

#[test]
fn what_is_cut_or_unknown_is_refused_and_never_taken_for_something_else() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("t", 1)]);
    let (key, value) = world.log[1].clone();
    let value = value.unwrap();
    for length in 0..value.len() {
        assert!(decode(Some(&key), Some(&value[..length])).is_err(), "{length}");
    }
    for length in 0..key.len() {
        assert!(decode(Some(&key[..length]), Some(&value)).is_err(), "{length}");
    }
    assert!(matches!(decode(None, None), Err(RecordError::NoKey)));
    assert_eq!(decode(Some(&[0, 7]), None).unwrap(), Decoded::UnknownType(7));
    let mut later = value.to_vec();
    later[1] = 2;
    assert!(matches!(decode(Some(&key), Some(&later)), Err(RecordError::UnknownValueVersion(2))));
    let mut strange = value.to_vec();
    strange[16] = 9;
    assert!(matches!(decode(Some(&key), Some(&strange)), Err(RecordError::UnknownState(9))));
}

#[test]
fn a_tombstone_removes_the_id() {
    let mut world = World::new();
    world.init().unwrap();
    let tombstone = world.machine.record(&ID.into(), None);
    let (key, value) = encode(&tombstone).unwrap();
    assert_eq!(value, None);
    let Decoded::Record(record) = decode(Some(&key), None).unwrap() else { panic!() };
    world.machine.replay(record);
    assert!(world.machine.transaction(ID).is_none());
}

#[test]
fn every_state_survives_its_record() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("t", 1), ("u", 2)]);
    for id in 0..8 {
        let state = TransactionState::from_id(id).unwrap();
        assert_eq!(TransactionState::from_name(state.name()), Some(state));
        let mut transaction = world.transaction().clone();
        transaction.state = state;
        if state == TransactionState::Empty {
            transaction.partitions = set(&[]);
        }
        let record = world.machine.record(&ID.into(), Some(transaction));
        let (key, value) = encode(&record).unwrap();
        let decoded = decode(Some(&key), value.as_deref()).unwrap();
        assert_eq!(decoded, Decoded::Record(super::world::as_written(record)));
    }
    assert_eq!(TransactionState::from_id(8), None);
}
