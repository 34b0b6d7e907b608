//! The control records of a snapshot that Apache Kafka 4.4.0 has written, with its voters in the log.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ottla_raft::{ControlRecord, KraftVersion, VoterSet};
use ottla_records::Batches;
use ottla_types::Timestamp;

const SNAPSHOT: &[u8] = include_bytes!("../../metadata/tests/golden/kafka.checkpoint");

/// Keys and values of all control records.
fn control_records() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut records = Vec::new();
    for batch in Batches::new(SNAPSHOT) {
        let batch = batch.unwrap();
        if batch.is_control() {
            for record in batch.uncompressed_records().unwrap().unwrap() {
                let record = record.unwrap();
                records.push((record.key.unwrap().to_vec(), record.value.unwrap().to_vec()));
            }
        }
    }
    records
}

#[test]
fn control_records_of_kafka_are_read_and_written_as_the_same_bytes() {
    let mut types = Vec::new();
    for (key, value) in control_records() {
        let record = ControlRecord::decode(&key, &value).unwrap().unwrap();
        assert_eq!(record.key().as_slice(), key);
        assert_eq!(record.value().unwrap(), value);
        types.push(record.type_code());
    }
    assert_eq!(types, [3, 5, 6, 4]);
}

#[test]
fn the_start_of_a_snapshot_is_written_as_kafka_writes_it() {
    let records = control_records();
    let (mut timestamp, mut voters) = (Timestamp::NONE, VoterSet::default());
    for (key, value) in &records {
        match ControlRecord::decode(key, value).unwrap().unwrap() {
            ControlRecord::SnapshotHeader(header) => timestamp = Timestamp(header.last_contained_log_timestamp),
            ControlRecord::Voters(record) => voters = VoterSet::from_record(&record),
            _ => {}
        }
    }
    let start = ControlRecord::snapshot_start(timestamp, KraftVersion::Dynamic, &voters);
    let written: Vec<_> =
        start.iter().map(|record| (record.key().to_vec(), record.value().unwrap().to_vec())).collect();
    assert_eq!(written, records[..3]);
}
