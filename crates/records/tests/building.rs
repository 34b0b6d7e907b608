//! What a builder refuses, and what patching leaves alone.

#![allow(clippy::unwrap_used)]

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

fn record(timestamp: i64) -> RecordToWrite<'static> {
    RecordToWrite { timestamp: Timestamp(timestamp), key: None, value: Some(b"value"), headers: &[] }
}

fn builder(base_offset: i64) -> BatchBuilder {
    BatchBuilder::new(BatchOptions { base_offset: Offset(base_offset), ..BatchOptions::default() })
}

#[test]
fn a_batch_without_records_is_not_built() {
    assert_eq!(builder(0).build(&mut Compressor::new()), Err(BuildError::Empty));
}

#[test]
fn offsets_must_grow_and_lie_within_an_i32_of_the_base() {
    let mut builder = builder(10);
    for (offset, is_allowed) in
        [(9, false), (10, true), (10, false), (12, true), (11, false), (i64::from(i32::MAX) + 11, false)]
    {
        let result = builder.append_with_offset(Offset(offset), &record(0));
        assert_eq!(result.is_ok(), is_allowed, "{offset}: {result:?}");
    }
    builder.append_with_offset(Offset(i64::from(i32::MAX) + 10), &record(0)).unwrap();
    let bytes = builder.build(&mut Compressor::new()).unwrap();
    let batch = RecordBatchView::parse(&bytes).unwrap();
    assert_eq!((batch.count(), batch.last_offset_delta()), (3, i32::MAX));
}

#[test]
fn a_refused_record_leaves_the_builder_as_it_was() {
    let mut first = builder(0);
    let mut second = builder(0);
    first.append(&record(5)).unwrap();
    second.append(&record(5)).unwrap();
    assert_eq!(second.append(&record(-2)), Err(BuildError::InvalidTimestamp(Timestamp(-2))));
    assert!(second.append_with_offset(Offset(0), &record(1)).is_err());
    let mut compressor = Compressor::new();
    assert_eq!(first.build(&mut compressor), second.build(&mut compressor));
}

#[test]
fn a_buffer_used_again_gives_the_same_batch() {
    let mut fresh = builder(0);
    fresh.append(&record(5)).unwrap();
    let expected = fresh.build_vec(&mut Compressor::new()).unwrap();
    let mut reused = BatchBuilder::with_buffer(BatchOptions::default(), vec![0xee; 5000]);
    reused.append(&record(5)).unwrap();
    assert_eq!(reused.build_vec(&mut Compressor::new()).unwrap(), expected);
}

#[test]
fn a_producer_set_late_is_in_the_header() {
    let mut builder = builder(0);
    builder.append(&record(5)).unwrap();
    builder.set_producer(ProducerId(7), ProducerEpoch(2), Sequence(i32::MAX));
    let bytes = builder.build(&mut Compressor::new()).unwrap();
    let batch = RecordBatchView::parse(&bytes).unwrap();
    assert!(batch.is_idempotent() && batch.is_checksum_valid());
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (ProducerId(7), ProducerEpoch(2)));
    assert_eq!((batch.base_sequence(), batch.last_sequence()), (Sequence(i32::MAX), Sequence(i32::MAX)));
}

#[test]
fn assigning_offsets_keeps_the_checksum_and_every_record() {
    let mut builder = builder(0);
    for timestamp in 0..10 {
        builder.append(&record(timestamp)).unwrap();
    }
    let mut bytes = builder.build_vec(&mut Compressor::new()).unwrap();
    let before = bytes.clone();
    assign_offsets(&mut bytes, Offset(1 << 40), LeaderEpoch(9)).unwrap();
    assert_eq!(bytes[8..12], before[8..12]);
    assert_eq!(bytes[16..], before[16..]);
    let batch = RecordBatchView::parse(&bytes).unwrap();
    assert!(batch.is_checksum_valid());
    let offsets: Vec<_> =
        batch.uncompressed_records().unwrap().unwrap().map(|record| record.unwrap().offset.value()).collect();
    assert_eq!(offsets, (1 << 40..(1 << 40) + 10).collect::<Vec<_>>());
}

#[test]
fn the_append_time_becomes_that_of_every_record() {
    let mut builder = builder(0);
    builder.append(&record(1)).unwrap();
    builder.append(&record(2)).unwrap();
    let mut bytes = builder.build_vec(&mut Compressor::new()).unwrap();
    set_log_append_time(&mut bytes, Timestamp(77)).unwrap();
    let batch = RecordBatchView::parse(&bytes).unwrap();
    assert!(batch.is_checksum_valid());
    assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
    for record in batch.uncompressed_records().unwrap().unwrap() {
        assert_eq!(record.unwrap().timestamp, Timestamp(77));
    }
}

#[test]
fn bytes_that_are_no_batch_are_not_patched() {
    let mut bytes = vec![0xee; 40];
    let before = bytes.clone();
    assert!(assign_offsets(&mut bytes, Offset(1), LeaderEpoch(1)).is_err());
    assert!(set_log_append_time(&mut bytes, Timestamp(1)).is_err());
    assert_eq!(bytes, before);
}

#[test]
fn control_records_that_are_cut_off_are_told() {
    let read = |key: Option<&[u8]>, value: Option<&[u8]>| {
        let mut builder = BatchBuilder::new(BatchOptions { is_control: true, ..BatchOptions::default() });
        builder.append(&RecordToWrite { timestamp: Timestamp(0), key, value, headers: &[] }).unwrap();
        let bytes = builder.build(&mut Compressor::new()).unwrap();
        let batch = RecordBatchView::parse(&bytes).unwrap();
        let record = batch.uncompressed_records().unwrap().unwrap().next().unwrap().unwrap();
        ControlRecord::parse(&record).and_then(|control| control.end_transaction())
    };
    let commit = ControlRecordType::Commit.key();
    assert!(read(None, None).is_err());
    assert!(read(Some(&commit[..3]), None).is_err());
    assert!(read(Some(&[0x80, 0, 0, 1]), None).is_err());
    assert!(read(Some(&commit), Some(&[0, 0, 0, 0, 0])).is_err());
    let marker = EndTransactionMarker { is_commit: true, coordinator_epoch: 5 };
    assert_eq!(read(Some(&commit), Some(&marker.value())), Ok(Some(marker)));
    // A later version of the key may be longer.
    assert_eq!(read(Some(&[0, 9, 0, 1, 7, 7]), Some(&marker.value())), Ok(Some(marker)));
    assert_eq!(read(Some(&[0, 0, 0, 99]), None), Ok(None));
}
