//! A snapshot that Apache Kafka 4.4.0 has written: read, rebuilt, written again.
//!
//! `golden/kafka.checkpoint` is of a node alone after it had created, changed and deleted topics, configurations of every
//! kind, quotas and credentials, and had moved its voters into the log.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ottla_metadata::{MetadataImage, VersionedRecord};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_records::Batches;
use std::collections::BTreeMap;

fn records(bytes: &[u8]) -> Vec<VersionedRecord> {
    let mut records = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        if batch.is_control() {
            continue;
        }
        for record in batch.uncompressed_records().unwrap().unwrap() {
            let record = record.unwrap();
            let (record, version) = MetadataRecord::decode_frame(record.value.unwrap()).unwrap();
            records.push(VersionedRecord { record, version });
        }
    }
    records
}

fn image(records: &[VersionedRecord]) -> MetadataImage {
    let mut image = MetadataImage::new();
    for record in records {
        image.replay(&record.record).unwrap();
    }
    image
}

/// Records by their frames: Kafka writes those of one kind in the order of its hash tables.
fn frames(records: &[VersionedRecord]) -> BTreeMap<Vec<u8>, usize> {
    let mut frames = BTreeMap::new();
    for record in records {
        *frames.entry(record.record.encode_frame(record.version).unwrap().to_vec()).or_insert(0) += 1;
    }
    frames
}

fn sort_features(records: &mut [VersionedRecord]) {
    for record in records {
        match &mut record.record {
            MetadataRecord::RegisterBroker(record) => record.features.sort_by(|a, b| a.name.cmp(&b.name)),
            MetadataRecord::RegisterController(record) => record.features.sort_by(|a, b| a.name.cmp(&b.name)),
            _ => {}
        }
    }
}

#[test]
fn the_image_of_a_snapshot_of_kafka_is_written_as_the_same_records() {
    let mut kafka = records(include_bytes!("golden/kafka.checkpoint"));
    let written = image(&kafka).to_records();
    sort_features(&mut kafka);
    assert_eq!(frames(&written), frames(&kafka));
    let kinds = |records: &[VersionedRecord]| {
        let mut kinds: Vec<i16> = records.iter().map(|record| record.record.type_code()).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&written), kinds(&kafka));
}
