//! Transactions in one partition: the last stable offset and the index of what was aborted.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{START, World, batch_with, create, partition, stop};
use ottla_env_sim::CrashMode;
use ottla_log::{AppendOrigin, Log, LogConfig, ReadBound, ReadRequest, TransactionCheck, TransactionVersion};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, EndTransactionMarker, RecordToWrite};
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

fn config() -> LogConfig {
    LogConfig { segment_bytes: 600, index_interval_bytes: 100, ..LogConfig::default() }
}

fn append(log: &Log, producer: i64, sequence: i32) {
    let options = BatchOptions {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(sequence),
        is_transactional: true,
        ..BatchOptions::default()
    };
    let mut bytes = batch_with(2, b"value", START, options);
    let origin = AppendOrigin::Client { transaction: TransactionCheck::NotRequired };
    log.append_as_leader(&mut bytes, LeaderEpoch(0), origin).unwrap();
}

fn end(log: &Log, producer: i64, is_commit: bool) {
    let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
    let (key, value) = (marker.key(), marker.value());
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        is_transactional: true,
        is_control: true,
        ..BatchOptions::default()
    });
    builder.append(&RecordToWrite { timestamp: START, key: Some(&key), value: Some(&value), headers: &[] }).unwrap();
    let mut bytes = builder.build_vec(&mut Compressor::default()).unwrap();
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
    log.append_as_leader(&mut bytes, LeaderEpoch(0), origin).unwrap();
}

/// Ten rounds of two transactions that overlap: the first is committed, the second aborted.
fn fill(log: &Log) {
    for round in 0..10 {
        append(log, 1, round * 2);
        append(log, 2, round * 2);
        end(log, 1, true);
        end(log, 2, false);
    }
}

fn aborted(log: &Log, start: i64, end: i64) -> Vec<(i64, i64, i64)> {
    let found = log.aborted_transactions(Offset(start), Offset(end)).unwrap();
    found.iter().map(|entry| (entry.producer_id.0, entry.first_offset.0, entry.last_offset.0)).collect()
}

fn expected(rounds: core::ops::Range<i64>) -> Vec<(i64, i64, i64)> {
    rounds.map(|round| (2, round * 6 + 2, round * 6 + 5)).collect()
}

#[test]
fn readers_of_committed_records_stop_before_an_open_transaction_and_learn_what_was_aborted() {
    for world in World::both() {
        let directories = world.load(&config());
        let log = create(&directories, &config());
        fill(&log);
        append(&log, 1, 20);
        append(&log, 2, 20);
        log.set_high_watermark(log.log_end_offset());
        assert_eq!((log.last_stable_offset(), log.high_watermark()), (Offset(60), Offset(64)));
        let read = |bound| {
            let request = ReadRequest { offset: Offset(60), max_bytes: 1000, min_one_batch: true, bound };
            log.read(request).unwrap().length()
        };
        assert_eq!(read(ReadBound::LastStable), 0);
        assert!(read(ReadBound::HighWatermark) > 0);
        assert_eq!(aborted(&log, 0, 60), expected(0..10));
        assert_eq!(aborted(&log, 12, 18), expected(2..3));
        assert_eq!(aborted(&log, 11, 13), expected(1..2));
        end(&log, 1, true);
        log.set_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), Offset(62));
        end(&log, 2, true);
        log.set_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), log.log_end_offset());
    }
}

#[test]
fn the_index_of_aborted_transactions_is_there_after_a_clean_stop() {
    for world in World::both() {
        let directories = world.load(&config());
        let log = create(&directories, &config());
        fill(&log);
        append(&log, 1, 20);
        drop(log);
        stop(directories);
        let log = world.load(&config()).get(&partition()).unwrap();
        assert_eq!(aborted(&log, 0, 60), expected(0..10));
        log.set_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), Offset(60));
        end(&log, 1, true);
    }
}

#[test]
fn the_index_of_aborted_transactions_is_built_anew_after_a_crash() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    fill(&log);
    append(&log, 1, 20);
    log.flush().unwrap();
    drop((log, directories));
    world.memory.as_ref().unwrap().crash(CrashMode::LoseAll);
    let log = world.load(&config()).get(&partition()).unwrap();
    assert_eq!(aborted(&log, 0, 60), expected(0..10));
    log.set_high_watermark(log.log_end_offset());
    assert_eq!(log.last_stable_offset(), Offset(60));
}

#[test]
fn truncation_takes_back_the_end_of_a_transaction() {
    for world in World::both() {
        let directories = world.load(&config());
        let log = create(&directories, &config());
        fill(&log);
        // Before the markers of the last round.
        log.truncate_to(Offset(58)).unwrap();
        log.set_high_watermark(Offset(58));
        assert_eq!(aborted(&log, 0, 60), expected(0..9));
        assert_eq!(log.last_stable_offset(), Offset(54));
        end(&log, 2, false);
        assert_eq!(aborted(&log, 0, 60), [expected(0..9), vec![(2, 56, 58)]].concat());
    }
}
