//! Disks that fail, fill up, or rot.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{START, World, append, batch, batch_with, create, offsets, partition, stop};
use ottla_env::DiskOperation;
use ottla_env_sim::{CrashMode, Fault, FaultKind};
use ottla_log::{
    AppendError, DirectoriesOptions, LogConfig, LogDirectories, OpenError, ReadBound, ReadError, ReadRequest,
    StorageError,
};
use ottla_records::BatchOptions;
use ottla_types::{NodeId, Offset};

fn small() -> LogConfig {
    LogConfig { segment_bytes: 500, index_interval_bytes: 100, ..LogConfig::default() }
}

fn fault(operation: DiskOperation, after: u64, kind: FaultKind) -> Fault {
    Fault { operation, after, times: 1, kind }
}

#[test]
fn a_full_disk_refuses_an_append_and_takes_the_next_when_there_is_space_again() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    append(&log, batch(2)).unwrap();
    for room in 0..200 {
        memory.set_capacity(memory.used() + room);
        let before = offsets(&log, 0);
        match append(&log, batch(2)) {
            Ok(_) => assert_eq!(offsets(&log, 0).len(), before.len() + 2),
            Err(error) => {
                assert!(matches!(error, AppendError::Storage(StorageError::DiskFull(_))), "{error}");
                assert_eq!(error.code(), 56);
                assert_eq!(offsets(&log, 0), before);
            }
        }
        memory.set_capacity(u64::MAX);
        append(&log, batch(2)).unwrap();
    }
    let expected = offsets(&log, 0);
    let end = log.log_end_offset();
    assert!(!directories.directories()[0].is_offline());
    drop((log, directories));
    memory.crash(CrashMode::KeepAll);
    let log = world.load(&small()).get(&partition()).unwrap();
    assert_eq!((log.log_end_offset(), offsets(&log, 0)), (end, expected));
}

#[test]
fn retention_makes_room_on_a_full_disk_though_it_can_note_nothing_there() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let config = LogConfig { retention_bytes: 2_000, ..small() };
    let directories = world.load(&small());
    let log = create(&directories, &small());
    while log.log_end_offset() < Offset(200) {
        append(&log, batch(2)).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    memory.set_capacity(memory.used());
    assert!(append(&log, batch(2)).is_err());
    log.set_config(config.clone());
    directories.apply_retention_now();
    world.clock.advance(core::time::Duration::from_millis(1));
    directories.tick(world.now());
    assert!(!directories.directories()[0].is_offline());
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(start > Offset(100), "{start}");
    append(&log, batch(2)).unwrap();
    drop((log, directories));
    memory.crash(CrashMode::KeepAll);
    let log = world.load(&config).get(&partition()).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end.plus(2)));
    assert!(log.damage().is_none());
}

#[test]
fn nothing_is_acknowledged_after_a_failed_write() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    append(&log, batch(2)).unwrap();
    memory.inject(fault(DiskOperation::Write, 0, FaultKind::Error));
    let error = append(&log, batch(2)).unwrap_err();
    assert!(matches!(error, AppendError::Storage(StorageError::Disk(_))), "{error}");
    assert!(directories.directories()[0].is_offline());
    for _ in 0..3 {
        let error = append(&log, batch(2)).unwrap_err();
        assert!(matches!(error, AppendError::Storage(StorageError::Offline(_))), "{error}");
        assert_eq!(error.code(), 56);
    }
    assert!(log.flush().is_err());
    // What was there before can still be read.
    assert_eq!(offsets(&log, 0), [0, 1]);
    // A clean stop is not claimed.
    stop(directories);
    drop(log);
    let directories = world.open();
    assert!(!directories.directories()[0].was_clean());
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync_although_a_second_one_would_succeed() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    append(&log, batch(2)).unwrap();
    memory.inject(fault(DiskOperation::Sync, 0, FaultKind::Error));
    assert!(log.flush().is_err());
    assert_eq!(log.recovery_point(), Offset(0));
    assert!(log.flush().is_err());
    assert!(append(&log, batch(2)).is_err());
    assert_eq!(log.recovery_point(), Offset(0));
}

/// Nothing was changed by an open that failed, but the partition has no log now, and nobody would be told.
#[test]
fn a_new_log_that_can_not_be_opened_takes_the_directory_offline_unless_it_lacks_room() {
    for (kind, is_offline) in [(FaultKind::Error, true), (FaultKind::Full, false)] {
        let world = World::simulated();
        let memory = world.memory.clone().unwrap();
        let directories = world.load(&small());
        memory.inject(fault(DiskOperation::List, 0, kind));
        let error = directories.get_or_create(&partition(), None, small(), None).err().unwrap();
        assert_eq!(directories.directories()[0].is_offline(), is_offline, "{error}");
        let error = directories.get_or_create(&partition(), None, small(), None).err();
        assert_eq!(error.is_some(), is_offline, "{error:?}");
    }
}

#[test]
fn a_sync_that_fails_for_want_of_space_is_a_failed_sync() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    append(&log, batch(2)).unwrap();
    memory.inject(fault(DiskOperation::Sync, 0, FaultKind::Full));
    assert!(log.flush().is_err());
    assert!(directories.directories()[0].is_offline());
}

#[test]
fn flush_messages_makes_records_durable_before_they_are_acknowledged() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let config = LogConfig { flush_messages: 1, ..small() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for number in 0..20 {
        append(&log, batch(2)).unwrap();
        assert_eq!(log.recovery_point(), Offset(number * 2 + 2));
    }
    drop((log, directories));
    memory.crash(CrashMode::LoseAll);
    let log = world.load(&config).get(&partition()).unwrap();
    assert_eq!(offsets(&log, 0), (0..40).collect::<Vec<_>>());
}

#[test]
fn flush_ms_makes_records_durable_after_that_time() {
    let world = World::simulated();
    let config = LogConfig { flush_ms: 2000, ..small() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    append(&log, batch(2)).unwrap();
    world.clock.advance(core::time::Duration::from_millis(1500));
    directories.tick(world.now());
    assert_eq!(log.recovery_point(), Offset(0));
    world.clock.advance(core::time::Duration::from_millis(1500));
    directories.tick(world.now());
    assert_eq!(log.recovery_point(), Offset(2));
}

#[test]
fn a_torn_tail_is_cut_at_any_byte() {
    let world = World::real();
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    append(&log, batch(2)).unwrap();
    let whole = append(&log, batch(2)).unwrap().bytes as u64;
    let path = log.path().join("00000000000000000000.log");
    drop((log, directories));
    let contents = std::fs::read(&path).unwrap();
    for cut in 0..whole {
        std::fs::write(&path, &contents[..contents.len() - cut as usize]).unwrap();
        let directories = world.load(&LogConfig::default());
        let log = directories.get(&partition()).unwrap();
        let expected = if cut == 0 { vec![0, 1, 2, 3] } else { vec![0, 1] };
        assert_eq!(offsets(&log, 0), expected, "cut {cut}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), if cut == 0 { 2 * whole } else { whole });
        assert!(log.damage().is_none());
        assert_eq!(append(&log, batch(1)).unwrap().first_offset, Offset(expected.len() as i64));
    }
}

#[test]
fn every_flipped_bit_of_the_tail_is_found_after_an_unclean_stop() {
    let world = World::real();
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    append(&log, batch(2)).unwrap();
    let length = append(&log, batch(2)).unwrap().bytes;
    let path = log.path().join("00000000000000000000.log");
    drop((log, directories));
    let contents = std::fs::read(&path).unwrap();
    // The leader epoch is not covered by the checksum, as in Kafka; nor is a base offset that is merely greater.
    let covered = (8..12).chain(16..length);
    for byte in covered {
        let mut damaged = contents.clone();
        damaged[length + byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &damaged).unwrap();
        let directories = world.load(&LogConfig::default());
        assert_eq!(offsets(&directories.get(&partition()).unwrap(), 0), [0, 1], "byte {byte}");
    }
}

#[test]
fn damage_below_the_durable_mark_is_reported_and_never_cut() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let config = LogConfig { segment_bytes: 2000, ..small() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for _ in 0..10 {
        append(&log, batch(2)).unwrap();
    }
    log.flush().unwrap();
    directories.checkpoint();
    let path = log.path().join("00000000000000000000.log");
    let length = log.size().unwrap();
    drop((log, directories));
    memory.crash(CrashMode::LoseAll);
    // In the header: the magic byte.
    memory.corrupt(&path, length / 10 * 4 + 16, &[0xff]);

    let directories = world.load(&config);
    let log = directories.get(&partition()).unwrap();
    let damage = log.damage().expect("the damage is found");
    assert_eq!((&damage.path, damage.position, damage.offset), (&path, length / 10 * 4, Offset(8)));
    assert_eq!(offsets(&log, 0), (0..8).collect::<Vec<_>>());
    let error = append(&log, batch(1)).unwrap_err();
    assert!(matches!(error, AppendError::Storage(StorageError::Damaged(_))), "{error}");
    assert!(log.truncate_to(Offset(1)).is_err());
    let request = ReadRequest { offset: Offset(9), max_bytes: 100, min_one_batch: true, bound: ReadBound::LogEnd };
    assert!(matches!(log.read(request), Err(ReadError::OffsetOutOfRange { .. })));
    assert_eq!(world.disk.length(&path).unwrap(), length);
    stop(directories);
    assert_eq!(world.disk.length(&path).unwrap(), length);
}

#[test]
fn damage_of_records_below_the_durable_mark_cuts_nothing_and_is_left_to_the_readers_checksum() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let config = LogConfig { segment_bytes: 2000, ..small() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for _ in 0..10 {
        append(&log, batch(2)).unwrap();
    }
    log.flush().unwrap();
    directories.checkpoint();
    append(&log, batch(2)).unwrap();
    append(&log, batch(2)).unwrap();
    let path = log.path().join("00000000000000000000.log");
    let length = log.size().unwrap();
    drop((log, directories));
    memory.crash(CrashMode::KeepAll);
    memory.corrupt(&path, length / 12 * 4 + 70, &[0xff; 3]);
    memory.corrupt(&path, length / 12 * 11 + 70, &[0xff; 3]);

    // The same damage in what was not durable yet may be a torn write: that batch is cut off, and nothing else.
    let log = world.load(&config).get(&partition()).unwrap();
    assert!(log.damage().is_none());
    assert_eq!((log.log_end_offset(), log.size().unwrap()), (Offset(22), length / 12 * 11));
    append(&log, batch(2)).unwrap();
}

#[test]
fn damage_in_the_middle_of_a_clean_log_is_reported_to_who_reads_it() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let config = LogConfig::default();
    let directories = world.load(&config);
    let log = create(&directories, &config);
    for _ in 0..10 {
        append(&log, batch(2)).unwrap();
    }
    let path = log.path().join("00000000000000000000.log");
    let length = log.size().unwrap();
    memory.corrupt(&path, length / 10 * 4 + 8, &[0xff; 9]);
    let read = |offset| {
        log.read(ReadRequest { offset: Offset(offset), max_bytes: 10, min_one_batch: true, bound: ReadBound::LogEnd })
    };
    assert!(read(7).is_ok());
    let Err(ReadError::Storage(StorageError::Damaged(damage))) = read(8) else { panic!("no damage") };
    assert_eq!((damage.path, damage.position), (path, length / 10 * 4));
}

#[test]
fn derived_files_that_are_missing_or_damaged_are_built_anew() {
    let world = World::real();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    for _ in 0..40 {
        append(&log, batch(2)).unwrap();
    }
    let directory = log.path();
    drop(log);
    stop(directories);
    let names: Vec<String> = world.disk.list(&directory).unwrap().into_iter().map(|(name, _)| name).collect();
    let derived = names.iter().filter(|name| !name.ends_with(".log") && *name != "partition.metadata");
    for name in derived {
        let path = directory.join(name);
        let contents = std::fs::read(&path).unwrap();
        for damage in ["missing", "empty", "cut", "noise"] {
            match damage {
                "missing" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, b"").unwrap(),
                "cut" => std::fs::write(&path, &contents[..contents.len() / 2]).unwrap(),
                _ => std::fs::write(&path, vec![0x5a; contents.len()]).unwrap(),
            }
            let directories = world.load(&small());
            let log = directories.get(&partition()).unwrap();
            assert_eq!(log.log_end_offset(), Offset(80), "{name} {damage}");
            for from in [0, 1, 17, 40, 79] {
                assert_eq!(offsets(&log, from), (from..80).collect::<Vec<_>>(), "{name} {damage}");
            }
            drop(log);
            stop(directories);
            if !path.exists() || std::fs::read(&path).unwrap() != contents {
                std::fs::write(&path, &contents).unwrap();
            }
        }
    }
}

#[test]
fn a_directory_is_used_by_one_process_only() {
    for world in World::both() {
        let first = world.open();
        let options = DirectoriesOptions::default();
        let second = LogDirectories::open(world.environment(), std::slice::from_ref(&world.path), options);
        assert!(matches!(second.err(), Some(OpenError::Locked(_))));
        drop(first);
        world.open();
    }
}

#[test]
fn a_directory_of_another_node_or_cluster_is_refused() {
    let world = World::simulated();
    let open = |options| LogDirectories::open(world.environment(), std::slice::from_ref(&world.path), options).err();
    let other = DirectoriesOptions { node_id: Some(NodeId(2)), ..DirectoriesOptions::default() };
    assert!(matches!(open(other), Some(OpenError::WrongNode { .. })));
    let other = DirectoriesOptions { cluster_id: Some("other".to_owned()), ..DirectoriesOptions::default() };
    assert!(matches!(open(other), Some(OpenError::WrongCluster { .. })));
    let paths = [std::path::PathBuf::from("/empty")];
    let nowhere = LogDirectories::open(world.environment(), &paths, DirectoriesOptions::default());
    assert!(matches!(nowhere.err(), Some(OpenError::NotFormatted(_))));
}

#[test]
fn no_more_files_are_open_than_the_limit_and_all_can_be_read() {
    let world = World::real();
    let options = DirectoriesOptions { open_files_max: 8, ..DirectoriesOptions::default() };
    let directories = LogDirectories::open(world.environment(), std::slice::from_ref(&world.path), options).unwrap();
    let logs: Vec<_> = (0..30)
        .map(|number| {
            let partition = ottla_types::TopicPartition::new("many", number);
            directories.get_or_create(&partition, None, small(), None).unwrap()
        })
        .collect();
    for round in 0..20 {
        for log in &logs {
            append(log, batch(2)).unwrap();
        }
        assert!(directories.open_files() <= 8, "round {round}: {}", directories.open_files());
    }
    for log in &logs {
        assert_eq!(offsets(log, 0), (0..40).collect::<Vec<_>>());
    }
    assert!(directories.open_files() <= 8);
}

#[test]
fn readers_see_whole_batches_while_records_are_appended_rolled_and_removed() {
    let world = World::real();
    let config = LogConfig { segment_bytes: 20_000, retention_bytes: 100_000, file_delete_delay_ms: 0, ..small() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    append(&log, batch(1)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut offset = Offset(0);
                while !done.load(std::sync::atomic::Ordering::Acquire) {
                    let bound = ReadBound::HighWatermark;
                    let request = ReadRequest { offset, max_bytes: 10_000, min_one_batch: true, bound };
                    match log.read(request) {
                        Ok(slice) => {
                            for range in &slice.ranges {
                                let bytes = range.read().unwrap();
                                assert_eq!(bytes.len(), range.length);
                                for found in ottla_records::Batches::new(&bytes) {
                                    let Ok(found) = found else { break };
                                    assert!(found.is_checksum_valid());
                                    assert!(found.base_offset() <= offset && found.last_offset() >= offset);
                                    offset = found.next_offset();
                                }
                            }
                        }
                        Err(ReadError::OffsetOutOfRange { log_start, .. }) => offset = log_start,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        for round in 0..3000 {
            let value = vec![b'x'; round % 400];
            append(&log, batch_with(3, &value, START, BatchOptions::default())).unwrap();
            log.set_high_watermark(log.log_end_offset());
            if round % 100 == 0 {
                directories.apply_retention_now();
                directories.tick(world.now());
            }
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
    assert!(log.log_start_offset() > Offset(0));
}
