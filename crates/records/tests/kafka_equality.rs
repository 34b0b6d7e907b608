//! Batches held against Apache Kafka's own code, both ways.

#![allow(clippy::unwrap_used)]

mod support;

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};
use support::Numbers;
use support::case::{Case, describe};
use support::oracle::{Oracle, hex};

const BATCHES: usize = 1500;
const LEGACY_SETS: usize = 400;

/// What follows the first batch's header fields: the records, which don't depend on how well a codec compresses.
fn records_of(description: &str) -> &str {
    description.split_once(';').unwrap().1
}

#[test]
fn batches_are_equal_and_each_side_reads_the_others() {
    let mut oracle = Oracle::start();
    let mut numbers = Numbers(1);
    let mut equal_bytes = 0;
    for index in 0..BATCHES {
        let case = Case::random(&mut numbers, 2);
        let ours = case.build();
        let theirs = oracle.ask_bytes(&case.question());
        if case.compression == Compression::None {
            assert_eq!(hex(&ours), hex(&theirs), "case {index}: {case:?}");
            equal_bytes += 1;
        }
        let ours_read_there = oracle.ask(&format!("read {}", hex(&ours))).unwrap();
        let theirs_read_there = oracle.ask(&format!("read {}", hex(&theirs))).unwrap();
        assert_eq!(describe(&ours), ours_read_there, "case {index}: {case:?}");
        assert_eq!(describe(&theirs), theirs_read_there, "case {index}: {case:?}");
        assert_eq!(records_of(&ours_read_there), records_of(&theirs_read_there), "case {index}: {case:?}");
    }
    println!("batches of format 2: {BATCHES} pairs read both ways, {equal_bytes} of them equal in every byte");
}

#[test]
fn sets_of_the_older_formats_are_read_alike() {
    let mut oracle = Oracle::start();
    let mut numbers = Numbers(2);
    for index in 0..LEGACY_SETS {
        let case = Case::random(&mut numbers, (index % 2) as i8);
        let theirs = oracle.ask_bytes(&case.question());
        let read_there = oracle.ask(&format!("read {}", hex(&theirs))).unwrap();
        assert_eq!(describe(&theirs), read_there, "case {index}: {case:?}");
    }
    println!("message sets of formats 0 and 1: {LEGACY_SETS} pairs read alike");
}

#[test]
fn compaction_makes_the_same_batches_of_sets_of_the_older_formats() {
    let mut oracle = Oracle::start();
    let mut numbers = Numbers(3);
    let (now, retention) = (1_700_000_000_000, 86_400_000);
    let mut batches = 0;
    for index in 0..LEGACY_SETS {
        let case = Case::random(&mut numbers, (index % 2) as i8);
        let set = oracle.ask_bytes(&case.question());
        let keeps_all = numbers.one_in(8);
        let kept: Vec<i64> =
            case.records.iter().map(|record| record.offset).filter(|_| keeps_all || numbers.one_in(2)).collect();
        // An offset that no record has, so that the list is never empty.
        let offsets: Vec<String> = kept.iter().chain([&-5]).map(i64::to_string).collect();
        let theirs = oracle.ask_bytes(&format!("retain {now} {retention} {} {}", offsets.join(","), hex(&set)));
        let mut ours = Vec::new();
        for batch in AnyBatches::new(&set) {
            let AnyBatch::Legacy(message) = batch.unwrap() else { panic!("of another format") };
            let mut decompressor = Decompressor::new(1 << 24);
            let horizon = Timestamp(now + retention);
            let stays = |record: &Record<'_>| kept.contains(&record.offset.value());
            let batch = message.upgrade(horizon, &mut decompressor, &mut Compressor::new(), stays).unwrap();
            batches += usize::from(batch.is_some());
            ours.extend(batch.unwrap_or_default());
        }
        if case.compression == Compression::None {
            assert_eq!(hex(&ours), hex(&theirs), "case {index}: {case:?}");
        }
        let ours_read_there = oracle.ask(&format!("read {}", hex(&ours))).unwrap();
        assert_eq!(essence(&ours_read_there), essence(&describe(&theirs)), "case {index}: {case:?}");
    }
    println!("message sets of formats 0 and 1: {LEGACY_SETS} made into {batches} batches alike");
    assert!(batches > 200);
}

/// A description without what depends on how well a codec compresses.
fn essence(description: &str) -> String {
    let words = description.split(' ').filter(|word| !word.starts_with("size=") && !word.starts_with("crc="));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn control_batches_are_equal() {
    let mut oracle = Oracle::start();
    let mut pairs = 0;
    for (is_commit, kind) in [(true, "COMMIT"), (false, "ABORT")] {
        for (offset, epoch, producer_epoch, coordinator_epoch) in [(0, 0, 0, 0), (1 << 40, 7, i16::MAX, i32::MAX)] {
            let theirs = oracle.ask_bytes(&format!(
                "marker {kind} {offset} 1700000000000 {epoch} 99 {producer_epoch} {coordinator_epoch}"
            ));
            let ours = BatchBuilder::end_transaction(
                BatchOptions {
                    base_offset: Offset(offset),
                    partition_leader_epoch: LeaderEpoch(epoch),
                    producer_id: ProducerId(99),
                    producer_epoch: ProducerEpoch(producer_epoch),
                    ..BatchOptions::default()
                },
                Timestamp(1_700_000_000_000),
                EndTransactionMarker { is_commit, coordinator_epoch },
            )
            .unwrap();
            assert_eq!(hex(&ours), hex(&theirs));
            let batch = RecordBatchView::parse(&theirs).unwrap();
            let record = batch.uncompressed_records().unwrap().unwrap().next().unwrap().unwrap();
            let marker = ControlRecord::parse(&record).unwrap().end_transaction().unwrap().unwrap();
            assert_eq!(marker, EndTransactionMarker { is_commit, coordinator_epoch });
            pairs += 1;
        }
    }
    for (kind, name) in [
        (ControlRecordType::LeaderChange, "LEADER_CHANGE"),
        (ControlRecordType::SnapshotHeader, "SNAPSHOT_HEADER"),
        (ControlRecordType::SnapshotFooter, "SNAPSHOT_FOOTER"),
        (ControlRecordType::KRaftVersion, "KRAFT_VERSION"),
        (ControlRecordType::KRaftVoters, "KRAFT_VOTERS"),
    ] {
        let theirs = oracle.ask_bytes(&format!("control {name} 12 1700000000000 4"));
        let batch = RecordBatchView::parse(&theirs).unwrap();
        let record = batch.uncompressed_records().unwrap().unwrap().next().unwrap().unwrap();
        let control = ControlRecord::parse(&record).unwrap();
        assert_eq!(control.kind, kind);
        assert!(batch.is_control() && control.end_transaction().unwrap().is_none());
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset: Offset(12),
            partition_leader_epoch: LeaderEpoch(4),
            is_control: true,
            ..BatchOptions::default()
        });
        builder
            .append(&RecordToWrite {
                timestamp: Timestamp(1_700_000_000_000),
                key: Some(&kind.key()),
                value: Some(control.value),
                headers: &[],
            })
            .unwrap();
        assert_eq!(hex(&builder.build(&mut Compressor::new()).unwrap()), hex(&theirs));
        pairs += 1;
    }
    println!("control batches: {pairs} pairs equal in every byte");
}
