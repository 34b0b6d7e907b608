//! Logs that go into another log directory.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, batch, create, offsets, partition, properties, stop};
use ottla_env::DiskOperation;
use ottla_env_sim::{CrashMode, Fault, FaultKind};
use ottla_log::format::MetaProperties;
use ottla_log::{Copied, DirectoriesOptions, Log, LogConfig, LogDirectories, PartitionError, format_directory};
use ottla_types::{DirectoryId, Offset, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OTHER: &str = "/other";

fn small() -> LogConfig {
    LogConfig { segment_bytes: 500, index_interval_bytes: 100, ..LogConfig::default() }
}

fn open(world: &World) -> LogDirectories {
    let paths = [world.path.clone(), PathBuf::from(OTHER)];
    let directories = LogDirectories::open(world.environment(), &paths, DirectoriesOptions::default()).unwrap();
    let failures = directories.load(&|_| small());
    assert!(failures.is_empty(), "{failures:?}");
    directories
}

/// A log in the first of two directories.
fn world() -> (World, LogDirectories, Arc<Log>) {
    let world = World::simulated();
    let id = DirectoryId::from_u128(0x2234_5678_9abc_4def_8123_4567_89ab_cdef);
    let other = MetaProperties { directory_id: Some(id), ..properties() };
    format_directory(&world.environment(), Path::new(OTHER), &other).unwrap();
    let directories = open(&world);
    let first = directories.directories()[0].id();
    let log = directories.get_or_create(&partition(), Some(fixture::topic_id()), small(), Some(first)).unwrap();
    (world, directories, log)
}

fn fill(log: &Log, count: i32) {
    (0..count).for_each(|_| _ = append(log, batch(2)).unwrap());
}

#[test]
fn a_moved_log_has_all_its_records_and_goes_on_in_the_other_directory() {
    let (world, directories, log) = world();
    fill(&log, 20);
    log.set_high_watermark(Offset(40));
    log.advance_log_start_offset(Offset(7)).unwrap();
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    assert_eq!(directories.moves().len(), 1);
    assert_eq!(directories.copy_moves(u64::MAX).ready, [partition()]);
    // What comes between the copy and the end goes along.
    fill(&log, 3);
    let (moved, directory) = directories.finish_move(&partition()).unwrap().unwrap();
    assert_eq!(directory, directories.directories()[1].id());
    assert_eq!((moved.directory_path(), moved.topic_id()), (PathBuf::from(OTHER), log.topic_id()));
    assert_eq!((moved.log_start_offset(), moved.log_end_offset()), (Offset(7), Offset(46)));
    assert_eq!(offsets(&moved, 7), offsets(&log, 7));
    assert_eq!(offsets(&moved, 7).last(), Some(&45));
    assert!(append(&log, batch(1)).is_err(), "nothing goes into the old place any more");
    append(&moved, batch(1)).unwrap();
    assert!(Arc::ptr_eq(&directories.get(&partition()).unwrap(), &moved));
    assert!(directories.moves().is_empty());
    stop(directories);
    let directories = open(&world);
    let log = directories.get(&partition()).unwrap();
    assert_eq!((log.directory_path(), log.log_end_offset()), (PathBuf::from(OTHER), Offset(47)));
    assert_eq!(log.log_start_offset(), Offset(7));
}

#[test]
fn a_log_of_a_directory_that_is_gone_for_ever_comes_into_another_but_not_while_one_is_offline() {
    let (world, directories, log) = world();
    let gone = Some(DirectoryId::from_u128(0xdead));
    let name = |index| TopicPartition::new("t", index);
    let made = directories.get_or_create(&name(1), None, small(), gone).unwrap();
    assert_eq!(made.directory_path(), PathBuf::from(OTHER), "it has fewer logs");
    // The one that is offline may be the one that is meant.
    let memory = world.memory.clone().unwrap();
    memory.inject(Fault { operation: DiskOperation::Write, after: 0, times: 1, kind: FaultKind::Error });
    append(&log, batch(1)).unwrap_err();
    let refused = directories.get_or_create(&name(2), None, small(), gone);
    assert!(matches!(refused, Err(PartitionError::NoDirectory)));
    assert!(directories.get_or_create(&name(3), None, small(), None).is_ok());
}

#[test]
fn a_round_copies_no_more_than_it_may() {
    let (_world, directories, log) = world();
    log.set_config(LogConfig { segment_bytes: 1 << 20, ..small() });
    let large = fixture::batch_with(1, &vec![7; 300_000], fixture::START, ottla_records::BatchOptions::default());
    (0..10).for_each(|_| _ = append(&log, large.clone()).unwrap());
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    assert_eq!(directories.copy_moves(0), Copied::default());
    let first = directories.copy_moves(1_000_000);
    assert_eq!((first.bytes, first.ready), (1_000_000, Vec::new()));
    // What is left now is little, and counts with what is copied.
    let second = directories.copy_moves(1_500_000);
    assert_eq!((second.bytes, second.ready), (log.size().unwrap() - 1_000_000, vec![partition()]));
    let (moved, _) = directories.finish_move(&partition()).unwrap().unwrap();
    assert_eq!(offsets(&moved, 0).len(), 10);
}

#[test]
fn a_moved_log_survives_a_crash_without_a_clean_stop() {
    let (world, directories, log) = world();
    fill(&log, 20);
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    directories.copy_moves(u64::MAX);
    directories.finish_move(&partition()).unwrap().unwrap();
    drop((log, directories));
    world.memory.clone().unwrap().crash(CrashMode::LoseAll);
    let log = open(&world).get(&partition()).unwrap();
    assert_eq!((log.directory_path(), offsets(&log, 0).len()), (PathBuf::from(OTHER), 40));
}

#[test]
fn a_crash_before_the_end_leaves_the_log_where_it_was() {
    let (world, directories, log) = world();
    fill(&log, 20);
    log.flush().unwrap();
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    directories.copy_moves(u64::MAX);
    drop((log, directories));
    world.memory.clone().unwrap().crash(CrashMode::KeepAll);
    let directories = open(&world);
    let log = directories.get(&partition()).unwrap();
    assert_eq!((log.directory_path(), offsets(&log, 0).len()), (world.path.clone(), 40));
    directories.tick(world.now());
    let left = world.disk.list(Path::new(OTHER)).unwrap();
    assert!(left.iter().all(|(name, _)| !name.ends_with("-future")), "{left:?}");
}

#[test]
fn whenever_the_machine_dies_while_a_log_moves_all_its_records_are_in_one_place() {
    for seed in 0.. {
        let point = seed / 3;
        let mode = [CrashMode::LoseAll, CrashMode::KeepAll, CrashMode::Some { seed }][(seed % 3) as usize];
        let (world, directories, log) = world();
        fill(&log, 20);
        log.flush().unwrap();
        let memory = world.memory.clone().unwrap();
        memory.die_at(memory.operations() + point);
        let mut durable = 40;
        if directories.begin_move(&partition(), Path::new(OTHER)).is_ok() {
            directories.copy_moves(u64::MAX);
            if let Ok(Some((moved, _))) = directories.finish_move(&partition()) {
                // Whoever is told that the log has moved goes on there.
                if append(&moved, batch(1)).is_ok() && moved.flush().is_ok() {
                    durable = 41;
                }
            }
        }
        let lived = !memory.is_dead();
        drop((log, directories));
        memory.crash(mode);
        let directories = open(&world);
        let log = directories.get(&partition()).unwrap();
        let found = offsets(&log, 0).len();
        assert!(found >= durable, "{point} {mode:?}: {found} of {durable} in {}", log.directory_path().display());
        // What is left of the other copy goes, and the log can be used and opened again.
        append(&log, batch(1)).unwrap();
        drop(log);
        stop(directories);
        let directories = open(&world);
        assert_eq!(offsets(&directories.get(&partition()).unwrap(), 0).len(), found + 1, "{point} {mode:?}");
        if lived {
            assert!(point > 30, "a move has {point} operations only");
            return;
        }
    }
}

#[test]
fn segments_that_go_or_shrink_meanwhile_are_not_in_the_copy() {
    let (_world, directories, log) = world();
    fill(&log, 20);
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    directories.copy_moves(u64::MAX);
    log.truncate_to(Offset(11)).unwrap();
    fill(&log, 2);
    let expected = offsets(&log, 0);
    directories.finish_move(&partition()).unwrap().unwrap();
    let moved = directories.get(&partition()).unwrap();
    assert_eq!(moved.log_end_offset(), log.log_end_offset());
    assert_eq!(offsets(&moved, 0), expected);
}

#[test]
fn what_was_truncated_and_written_anew_is_copied_anew() {
    let (_world, directories, log) = world();
    (0..3).for_each(|_| _ = append(&log, batch(2)).unwrap());
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    directories.copy_moves(u64::MAX);
    // As long as before, and other records.
    log.truncate_to(Offset(2)).unwrap();
    let other = fixture::batch_with(2, b"other", fixture::START, ottla_records::BatchOptions::default());
    (0..2).for_each(|_| _ = append(&log, other.clone()).unwrap());
    let expected = read_all(&log);
    directories.finish_move(&partition()).unwrap().unwrap();
    let moved = directories.get(&partition()).unwrap();
    assert_eq!(read_all(&moved), expected);
}

/// The bytes of all batches.
fn read_all(log: &Log) -> Vec<u8> {
    let bound = ottla_log::ReadBound::LogEnd;
    let request = ottla_log::ReadRequest { offset: Offset(0), max_bytes: 1 << 20, min_one_batch: true, bound };
    log.read(request).unwrap().ranges.iter().flat_map(|range| range.read().unwrap()).collect()
}

#[test]
fn a_disk_that_fails_under_the_copy_costs_the_log_nothing() {
    for operation in [DiskOperation::Write, DiskOperation::Sync, DiskOperation::Rename] {
        let (world, directories, log) = world();
        fill(&log, 20);
        log.flush().unwrap();
        directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
        let memory = world.memory.clone().unwrap();
        if operation == DiskOperation::Write {
            memory.inject(Fault { operation, after: 0, times: 1, kind: FaultKind::Error });
            assert!(directories.copy_moves(u64::MAX).ready.is_empty());
            assert!(directories.finish_move(&partition()).unwrap().is_none());
        } else {
            directories.copy_moves(u64::MAX);
            memory.inject(Fault { operation, after: 0, times: 1, kind: FaultKind::Error });
            assert!(directories.finish_move(&partition()).is_err());
        }
        assert!(directories.directories()[1].is_offline(), "{operation:?}");
        assert!(!directories.directories()[0].is_offline(), "{operation:?}");
        append(&log, batch(1)).unwrap();
        assert_eq!(offsets(&log, 0).len(), 41);
    }
}

#[test]
fn a_move_to_where_the_log_is_ends_one_that_is_under_way() {
    let (world, directories, log) = world();
    fill(&log, 2);
    directories.begin_move(&partition(), &world.path).unwrap();
    assert!(directories.moves().is_empty());
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    directories.begin_move(&partition(), Path::new(OTHER)).unwrap();
    assert_eq!(directories.moves().len(), 1);
    directories.begin_move(&partition(), &world.path).unwrap();
    assert!(directories.moves().is_empty());
    let nowhere = directories.begin_move(&partition(), Path::new("/nowhere"));
    assert!(matches!(nowhere, Err(PartitionError::NoDirectory)));
    let missing = directories.begin_move(&ottla_types::TopicPartition::new("none", 0), Path::new(OTHER));
    assert!(matches!(missing, Err(PartitionError::NotHere(_))));
    drop(create(&directories, &small()));
}
