//! Idempotent producers, through appends, stops and crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, create, idempotent, offsets, partition, stop};
use ottla_env_sim::CrashMode;
use ottla_log::{AppendError, LogConfig, ProducerError};
use ottla_types::Offset;

#[test]
fn a_repeated_batch_is_acknowledged_with_its_first_offsets_and_not_written_again() {
    for world in World::both() {
        let directories = world.load(&LogConfig::default());
        let log = create(&directories, &LogConfig::default());
        for number in 0..7 {
            append(&log, idempotent(1, 0, number * 3, 3)).unwrap();
        }
        let again = append(&log, idempotent(1, 0, 9, 3)).unwrap();
        assert!(again.duplicate);
        assert_eq!((again.first_offset, again.last_offset, again.bytes), (Offset(9), Offset(11), 0));
        assert_eq!(log.log_end_offset(), Offset(21));
        // Older than the last five: it can't be told from a gap.
        let error = append(&log, idempotent(1, 0, 3, 3)).unwrap_err();
        assert!(matches!(error, AppendError::Producer(ProducerError::OutOfOrderSequence { .. })), "{error}");
        assert_eq!(error.code(), 45);
        assert_eq!(offsets(&log, 0).len(), 21);
    }
}

#[test]
fn a_producer_is_known_after_a_clean_stop() {
    for world in World::both() {
        let directories = world.load(&LogConfig::default());
        let log = create(&directories, &LogConfig::default());
        append(&log, idempotent(1, 0, 0, 3)).unwrap();
        append(&log, idempotent(1, 0, 3, 3)).unwrap();
        stop(directories);
        let directories = world.load(&LogConfig::default());
        let log = directories.get(&partition()).unwrap();
        assert!(append(&log, idempotent(1, 0, 3, 3)).unwrap().duplicate);
        assert!(append(&log, idempotent(1, 0, 9, 3)).is_err());
        assert_eq!(append(&log, idempotent(1, 0, 6, 3)).unwrap().first_offset, Offset(6));
    }
}

#[test]
fn a_producer_is_known_after_a_crash_from_the_batches_in_the_log() {
    let config = LogConfig { segment_bytes: 400, ..LogConfig::default() };
    let world = World::simulated();
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for number in 0..20 {
        append(&log, idempotent(1, 0, number, 1)).unwrap();
    }
    drop((log, directories));
    world.memory.as_ref().unwrap().crash(CrashMode::KeepAll);
    let directories = world.load(&config);
    let log = directories.get(&partition()).unwrap();
    assert_eq!(log.log_end_offset(), Offset(20));
    let again = append(&log, idempotent(1, 0, 19, 1)).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.first_offset, Offset(19));
    assert!(!append(&log, idempotent(1, 0, 20, 1)).unwrap().duplicate);
}

#[test]
fn a_producer_is_forgotten_with_the_records_that_truncation_removes() {
    for world in World::both() {
        let config = LogConfig { segment_bytes: 400, ..LogConfig::default() };
        let directories = world.load(&config);
        let log = create(&directories, &config);
        for number in 0..20 {
            append(&log, idempotent(1, 0, number, 1)).unwrap();
        }
        log.truncate_to(Offset(10)).unwrap();
        assert!(append(&log, idempotent(1, 0, 9, 1)).unwrap().duplicate);
        assert!(append(&log, idempotent(1, 0, 15, 1)).is_err());
        assert_eq!(append(&log, idempotent(1, 0, 10, 1)).unwrap().first_offset, Offset(10));
    }
}

/// Each of the last five batches of a producer, one record each, is known with its offset; the one before them is not, and what
/// follows is taken.
fn assert_knows_five(log: &ottla_log::Log, next: i32) {
    for sequence in next - 5..next {
        let again = append(log, idempotent(1, 0, sequence, 1)).unwrap_or_else(|error| panic!("{sequence}: {error}"));
        assert!(again.duplicate, "{sequence}");
        assert_eq!(again.first_offset, Offset(sequence.into()));
    }
    assert!(append(log, idempotent(1, 0, next - 6, 1)).is_err());
    assert!(append(log, idempotent(1, 0, next + 1, 1)).is_err());
    assert_eq!(log.log_end_offset(), Offset(next.into()));
    assert!(!append(log, idempotent(1, 0, next, 1)).unwrap().duplicate);
}

#[test]
fn all_batches_that_a_client_may_have_under_way_are_known_after_a_clean_stop() {
    for world in World::both() {
        for config in [LogConfig::default(), LogConfig { segment_bytes: 200, ..LogConfig::default() }] {
            let directories = world.load(&config);
            let log = create(&directories, &config);
            let end = i32::try_from(log.log_end_offset().value()).unwrap();
            for sequence in end..end + 12 {
                append(&log, idempotent(1, 0, sequence, 1)).unwrap();
            }
            stop(directories);
            let directories = world.load(&config);
            let log = directories.get(&partition()).unwrap();
            assert_knows_five(&log, end + 12);
            stop(directories);
        }
    }
}

#[test]
fn all_batches_that_a_client_may_have_under_way_are_known_after_a_crash_and_after_a_truncation() {
    // A segment has two or three batches, and its producer snapshot the last one before it.
    let config = LogConfig { segment_bytes: 200, ..LogConfig::default() };
    let world = World::simulated();
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for sequence in 0..20 {
        append(&log, idempotent(1, 0, sequence, 1)).unwrap();
    }
    log.flush().unwrap();
    drop((log, directories));
    world.memory.as_ref().unwrap().crash(CrashMode::KeepAll);
    let directories = world.load(&config);
    let log = directories.get(&partition()).unwrap();
    assert_knows_five(&log, 20);
    log.truncate_to(Offset(14)).unwrap();
    assert_knows_five(&log, 14);
}

#[test]
fn batches_of_another_epoch_and_of_others_are_not_taken_for_those_of_a_producer() {
    let config = LogConfig::default();
    let world = World::simulated();
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for sequence in 0..3 {
        append(&log, idempotent(1, 0, sequence, 1)).unwrap();
        append(&log, idempotent(2, 0, sequence, 1)).unwrap();
    }
    for sequence in 0..2 {
        append(&log, idempotent(1, 1, sequence, 1)).unwrap();
    }
    stop(directories);
    let directories = world.load(&config);
    let log = directories.get(&partition()).unwrap();
    assert_eq!(append(&log, idempotent(1, 1, 0, 1)).unwrap().first_offset, Offset(6));
    assert_eq!(append(&log, idempotent(2, 0, 0, 1)).unwrap().first_offset, Offset(1));
    // It was the first epoch's third.
    let error = append(&log, idempotent(1, 1, 3, 1)).unwrap_err();
    assert!(matches!(error, AppendError::Producer(ProducerError::OutOfOrderSequence { .. })), "{error}");
}
