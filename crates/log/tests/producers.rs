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
