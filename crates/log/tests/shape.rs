//! Truncation, retention, deletion, look-up by time: what changes the shape of a log.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use core::time::Duration;
use fixture::{START, World, append, batch, batch_with, create, offsets, partition, stop, topic_id};
use ottla_env_sim::CrashMode;
use ottla_log::{LogConfig, PartitionError, ReadBound, ReadError, ReadRequest};
use ottla_records::{BatchOptions, Compression, CompressionLevel, Decompressor};
use ottla_types::{LeaderEpoch, Offset, Timestamp, TopicId};

fn small() -> LogConfig {
    LogConfig { segment_bytes: 500, index_interval_bytes: 100, file_delete_delay_ms: 1000, ..LogConfig::default() }
}

#[test]
fn a_truncated_log_ends_at_the_offset_and_goes_on_there() {
    for world in World::both() {
        // Every offset on the simulated disk; the real one syncs, so that a few must do.
        let step = if world.memory.is_some() { 1 } else { 13 };
        for cut in (0..=60).step_by(step) {
            let directories = world.load(&small());
            let log = create(&directories, &small());
            for _ in 0..30 {
                append(&log, batch(2)).unwrap();
            }
            log.set_high_watermark(Offset(60));
            log.truncate_to(Offset(cut)).unwrap();
            assert_eq!(log.log_end_offset(), Offset(cut));
            assert_eq!(log.high_watermark(), Offset(cut));
            // A batch that is cut in its middle goes as a whole.
            let kept = (0..cut / 2 * 2).collect::<Vec<_>>();
            assert_eq!(offsets(&log, 0), kept);
            append(&log, batch(2)).unwrap();
            let expected: Vec<i64> = kept.iter().copied().chain([cut, cut + 1]).collect();
            assert_eq!(offsets(&log, 0), expected);
            stop(directories);
            let directories = world.load(&small());
            let log = directories.get(&partition()).unwrap();
            assert_eq!(offsets(&log, 0), expected);
            directories.delete(&partition()).unwrap();
            stop(directories);
        }
    }
}

#[test]
fn a_log_that_is_emptied_begins_at_the_offset_it_is_told() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        for _ in 0..30 {
            append(&log, batch(2)).unwrap();
        }
        log.truncate_fully_and_start_at(Offset(1000)).unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(1000), Offset(1000)));
        assert_eq!(append(&log, batch(2)).unwrap().first_offset, Offset(1000));
        stop(directories);
        let log = world.load(&small()).get(&partition()).unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(1000), Offset(1002)));
    }
}

#[test]
fn deleted_records_can_not_be_read_and_stay_away_after_a_stop() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        for _ in 0..30 {
            append(&log, batch(2)).unwrap();
        }
        let too_far = log.advance_log_start_offset(Offset(33));
        assert!(matches!(too_far, Err(ReadError::OffsetOutOfRange { .. })));
        log.set_high_watermark(Offset(60));
        assert_eq!(log.advance_log_start_offset(Offset(33)).unwrap(), Offset(33));
        assert_eq!(log.advance_log_start_offset(Offset(3)).unwrap(), Offset(33));
        let request = ReadRequest { offset: Offset(32), max_bytes: 100, min_one_batch: true, bound: ReadBound::LogEnd };
        assert_eq!(log.read(request).unwrap_err().code(), 1);
        assert_eq!(offsets(&log, 33), (33..60).collect::<Vec<_>>());
        let before = log.segment_base_offsets().len();
        directories.apply_retention_now();
        let removed = before - log.segment_base_offsets().len();
        assert_eq!(log.segment_base_offsets().len(), before - removed);
        assert!(removed > 0 && log.segment_base_offsets()[0] <= Offset(33));
        stop(directories);
        let log = world.load(&small()).get(&partition()).unwrap();
        assert_eq!(log.log_start_offset(), Offset(33));
        assert_eq!(offsets(&log, 33), (33..60).collect::<Vec<_>>());
    }
}

#[test]
fn old_segments_go_by_time_and_their_files_after_the_delay() {
    for world in World::both() {
        let config = LogConfig { retention_ms: 1000, ..small() };
        let directories = world.load(&config);
        let log = create(&directories, &config);
        for _ in 0..30 {
            append(&log, batch(2)).unwrap();
        }
        log.set_high_watermark(Offset(60));
        assert_eq!(log.apply_retention(START.plus_milliseconds(1001)).unwrap(), 0);
        let segments = log.segment_base_offsets().len();
        world.clock.set_wall(START.plus_milliseconds(1002));
        directories.apply_retention_now();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(60), Offset(60)));
        let names = |suffix: &str| {
            let all = world.disk.list(&log.path()).unwrap();
            all.iter().filter(|(name, _)| name.ends_with(suffix)).count()
        };
        assert_eq!(names(".log.deleted"), segments);
        directories.tick(world.now());
        assert_eq!(names(".log.deleted"), segments);
        world.clock.advance(Duration::from_secs(1));
        directories.tick(world.now());
        assert_eq!((names(".deleted"), names(".log")), (0, 1));
        assert_eq!(append(&log, batch(1)).unwrap().first_offset, Offset(60));
    }
}

#[test]
fn what_a_reader_holds_can_be_read_after_retention_has_removed_it() {
    for world in World::both() {
        let config = LogConfig { retention_ms: 0, file_delete_delay_ms: 0, ..small() };
        let directories = world.load(&config);
        let log = create(&directories, &config);
        append(&log, batch(2)).unwrap();
        let request = ReadRequest { offset: Offset(0), max_bytes: 1000, min_one_batch: true, bound: ReadBound::LogEnd };
        let held = log.read(request).unwrap();
        let before = held.ranges[0].read().unwrap();
        log.set_high_watermark(Offset(2));
        world.clock.set_wall(START.plus_milliseconds(1_000_000));
        directories.apply_retention_now();
        directories.tick(world.now());
        assert_eq!(held.ranges[0].read().unwrap(), before);
        assert_eq!(log.read(request).unwrap_err().code(), 1);
    }
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_after_the_delay() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        append(&log, batch(2)).unwrap();
        assert!(directories.delete(&partition()).unwrap());
        assert!(!directories.delete(&partition()).unwrap());
        assert!(directories.get(&partition()).is_none());
        assert_eq!(append(&log, batch(1)).unwrap_err().code(), 56);
        // The same name can be used at once.
        let other = TopicId::from_u128(0xabcd_0000_0000_4000_8000_0000_0000_0001);
        let new = directories.get_or_create(&partition(), Some(other), small(), None).unwrap();
        assert_eq!(append(&new, batch(1)).unwrap().first_offset, Offset(0));
        world.clock.advance(Duration::from_secs(2));
        directories.tick(world.now());
        let names: Vec<String> = world.disk.list(&world.path).unwrap().into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name.ends_with("-delete")), "{names:?}");
    }
}

#[test]
fn a_directory_that_waits_for_its_removal_is_removed_after_a_crash() {
    let world = World::simulated();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    append(&log, batch(2)).unwrap();
    directories.delete(&partition()).unwrap();
    drop((log, directories));
    world.memory.as_ref().unwrap().crash(CrashMode::LoseAll);
    let directories = world.load(&small());
    assert!(directories.logs().is_empty());
    directories.tick(world.now());
    let names = world.disk.list(&world.path).unwrap();
    assert!(!names.iter().any(|(name, _)| name.starts_with("topic-0")), "{names:?}");
}

#[test]
fn the_log_of_a_topic_with_another_id_is_not_taken_for_it() {
    let world = World::simulated();
    let directories = world.load(&small());
    append(&create(&directories, &small()), batch(1)).unwrap();
    stop(directories);
    let directories = world.load(&small());
    let other = TopicId::from_u128(99);
    let refused = directories.get_or_create(&partition(), Some(other), small(), None);
    assert!(matches!(refused, Err(PartitionError::InconsistentTopicId { found, expected, .. })
            if found == topic_id() && expected == other));
}

#[test]
fn an_offset_is_found_by_the_time_of_its_record() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        let mut decompressor = Decompressor::new(1 << 20);
        for codec in [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
            for _ in 0..5 {
                let first = START.plus_milliseconds(log.log_end_offset().0 * 10);
                let options =
                    BatchOptions { compression: CompressionLevel::default_of(codec), ..BatchOptions::default() };
                append(&log, batch_with(5, b"value", first, options)).unwrap();
            }
        }
        let mut ask = |time: i64| {
            let found = log.offset_for_timestamp(START.plus_milliseconds(time), &mut decompressor).unwrap();
            found.map(|found| (found.offset.0, found.timestamp.0 - START.0))
        };
        assert_eq!(ask(-5), Some((0, 0)));
        assert_eq!(ask(3), Some((3, 3)));
        assert_eq!(ask(5), Some((5, 50)));
        assert_eq!(ask(52), Some((7, 52)));
        assert_eq!(ask(1204), Some((124, 1204)));
        assert_eq!(ask(1205), None);
        let largest = log.offset_of_max_timestamp(&mut decompressor).unwrap().unwrap();
        assert_eq!((largest.offset, largest.leader_epoch), (Offset(124), LeaderEpoch(0)));
        stop(directories);
        let log = world.load(&small()).get(&partition()).unwrap();
        let found = log.offset_for_timestamp(START.plus_milliseconds(52), &mut decompressor).unwrap();
        assert_eq!(found.map(|found| found.offset), Some(Offset(7)));
        let largest = log.offset_of_max_timestamp(&mut decompressor).unwrap().unwrap();
        assert_eq!(largest.offset, Offset(124));
    }
}

#[test]
fn a_segment_is_rolled_when_its_first_record_is_too_old() {
    let world = World::simulated();
    let config = LogConfig { segment_ms: 100, ..LogConfig::default() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    let at = |time: i64| batch_with(1, b"v", Timestamp(START.0 + time), BatchOptions::default());
    for time in [0, 100, 101, 150, 202] {
        append(&log, at(time)).unwrap();
    }
    assert_eq!(log.segment_base_offsets(), [Offset(0), Offset(2), Offset(4)]);
}

#[test]
fn a_follower_takes_at_once_more_than_fits_into_a_segment() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        let given = |offset, value: &[u8]| {
            let options = BatchOptions {
                base_offset: Offset(offset),
                partition_leader_epoch: LeaderEpoch(1),
                ..BatchOptions::default()
            };
            batch_with(1, value, START, options)
        };
        let mut batches: Vec<Vec<u8>> = (0..20).map(|offset| given(offset, b"value")).collect();
        // The leader's segments were larger when it took this one.
        batches.push(given(20, &[7; 800]));
        batches.push(given(21, b"value"));
        let appended = log.append_as_follower(&batches.concat()).unwrap();
        assert_eq!((appended.first_offset, appended.last_offset), (Offset(0), Offset(21)));
        assert_eq!(appended.bytes, batches.concat().len());
        assert_eq!(offsets(&log, 0), (0..22).collect::<Vec<i64>>());
        assert!(log.segment_base_offsets().len() > 4, "{:?}", log.segment_base_offsets());
        stop(directories);
        let log = world.load(&small()).get(&partition()).unwrap();
        assert_eq!(offsets(&log, 0), (0..22).collect::<Vec<i64>>());
    }
}

#[test]
fn a_follower_keeps_the_offsets_and_epochs_of_its_leader() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        let given = |offset, epoch| {
            let options = BatchOptions {
                base_offset: Offset(offset),
                partition_leader_epoch: LeaderEpoch(epoch),
                ..BatchOptions::default()
            };
            batch_with(2, b"value", START, options)
        };
        log.append_as_follower(&[given(0, 3), given(2, 3)].concat()).unwrap();
        // A gap that compaction has left, and a new leader.
        log.append_as_follower(&given(10, 5)).unwrap();
        assert_eq!(offsets(&log, 0), [0, 1, 2, 3, 10, 11]);
        assert_eq!(offsets(&log, 5), [10, 11]);
        assert_eq!(log.end_offset_for_epoch(LeaderEpoch(3)), Some((LeaderEpoch(3), Offset(10))));
        assert_eq!(log.end_offset_for_epoch(LeaderEpoch(5)), Some((LeaderEpoch(5), Offset(12))));
        assert!(log.append_as_follower(&given(11, 5)).is_err());
        let mut flipped = given(12, 5);
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(log.append_as_follower(&flipped).unwrap_err().code(), 2);
        assert_eq!(log.log_end_offset(), Offset(12));
        stop(directories);
        let log = world.load(&small()).get(&partition()).unwrap();
        assert_eq!(log.latest_epoch(), Some(LeaderEpoch(5)));
    }
}

#[test]
fn a_read_ends_at_its_bound_and_gives_the_first_batch_whole() {
    for world in World::both() {
        let directories = world.load(&LogConfig::default());
        let log = create(&directories, &LogConfig::default());
        let length = append(&log, batch(2)).unwrap().bytes;
        append(&log, batch(2)).unwrap();
        append(&log, batch(2)).unwrap();
        let read = |offset, max_bytes, min_one_batch, bound| {
            let request = ReadRequest { offset: Offset(offset), max_bytes, min_one_batch, bound };
            log.read(request).unwrap()
        };
        assert_eq!(read(0, 1, true, ReadBound::LogEnd).length(), length);
        assert_eq!(read(0, 1, false, ReadBound::LogEnd).length(), 1);
        assert!(read(0, 1, false, ReadBound::LogEnd).first_batch_incomplete);
        assert_eq!(read(0, length + 5, true, ReadBound::LogEnd).length(), length + 5);
        assert_eq!(read(0, 1 << 20, true, ReadBound::LogEnd).length(), 3 * length);
        assert_eq!(read(0, 1 << 20, true, ReadBound::HighWatermark).length(), 0);
        log.set_high_watermark(Offset(4));
        assert_eq!(read(0, 1 << 20, true, ReadBound::HighWatermark).length(), 2 * length);
        assert_eq!(read(3, 1 << 20, true, ReadBound::LastStable).length(), length);
        assert_eq!(read(5, 1 << 20, true, ReadBound::HighWatermark).length(), 0);
        assert_eq!(read(6, 1 << 20, true, ReadBound::LogEnd).length(), 0);
    }
}

#[test]
fn an_epoch_without_records_is_known_until_the_next_start() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        log.begin_leader_epoch(LeaderEpoch(3));
        assert_eq!(log.end_offset_for_epoch(LeaderEpoch(3)), Some((LeaderEpoch(3), Offset(0))));
        log.begin_leader_epoch(LeaderEpoch(2));
        assert_eq!(log.latest_epoch(), Some(LeaderEpoch(3)));
        stop(directories);
        let directories = world.load(&small());
        let log = directories.get(&partition()).unwrap();
        assert_eq!(log.latest_epoch(), None);
        stop(directories);
    }
}

#[test]
fn a_truncation_at_the_end_drops_an_epoch_without_records() {
    for world in World::both() {
        let directories = world.load(&small());
        let log = create(&directories, &small());
        append(&log, batch(2)).unwrap();
        let first = log.latest_epoch().unwrap();
        log.begin_leader_epoch(LeaderEpoch(first.0 + 5));
        for end in [2, 7] {
            log.truncate_to(Offset(end)).unwrap();
            assert_eq!((log.latest_epoch(), log.log_end_offset()), (Some(first), Offset(2)));
        }
        assert_eq!(offsets(&log, 0), [0, 1]);
        stop(directories);
    }
}

#[test]
fn a_topic_that_is_made_again_has_nothing_of_the_one_before_after_a_crash() {
    let world = World::simulated();
    let directories = world.load(&small());
    let log = create(&directories, &small());
    for _ in 0..20 {
        append(&log, batch(2)).unwrap();
    }
    log.set_high_watermark(Offset(40));
    log.advance_log_start_offset(Offset(30)).unwrap();
    directories.keep_log_starts().unwrap();
    assert!(directories.delete(&partition()).unwrap());
    let log = create(&directories, &small());
    append(&log, batch(2)).unwrap();
    drop(log);
    drop(directories);
    world.memory.as_ref().unwrap().crash(CrashMode::KeepAll);
    let directories = world.load(&small());
    let log = directories.get(&partition()).unwrap();
    assert_eq!((log.log_start_offset(), offsets(&log, 0)), (Offset(0), vec![0, 1]));
}
