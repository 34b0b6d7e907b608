//! Logs are deleted, put aside and moved while everything that may touch their files is at work on threads of its own:
//! none of it finds a file missing that it then takes for a failure of the disk, which would put the directory offline.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{CLIENT, START, World, properties, topic_id};
use ottla_log::format::MetaProperties;
use ottla_log::{
    CleanupPolicy, CompactionSettings, DirectoriesOptions, Log, LogConfig, LogDirectories, format_directory,
};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{DirectoryId, LeaderEpoch, TopicPartition};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How many logs leave, each while it is written.
const LOGS: i32 = 150;

/// How long a log is written before it leaves, so that each kind of work has a turn at it.
const LIFE: Duration = Duration::from_millis(3);

/// How long each kind of work rests, so that the others have the processors too.
const REST: Duration = Duration::from_micros(100);

const COMPACTION: CompactionSettings = CompactionSettings {
    dedupe_bytes: 1 << 20,
    load_factor: 0.9,
    decompressed_bytes_max: 1 << 20,
    bytes_per_second: f64::MAX,
};

/// Appends wait for shared syncs; segments are small, so that there is always something to roll, remove and compact.
fn config(number: i32) -> LogConfig {
    let is_compacted = number % 2 == 0;
    LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 100,
        flush_messages: 1,
        file_delete_delay_ms: 0,
        cleanup_policy: CleanupPolicy { delete: !is_compacted, compact: is_compacted },
        min_cleanable_dirty_ratio: 0.0,
        retention_bytes: if is_compacted { -1 } else { 2_000 },
        ..LogConfig::default()
    }
}

fn directories(world: &World) -> LogDirectories {
    let other = world.path.with_extension("other");
    let id = DirectoryId::from_u128(0x2234_5678_9abc_4def_8123_4567_89ab_cdef);
    format_directory(&world.environment(), &other, &MetaProperties { directory_id: Some(id), ..properties() }).unwrap();
    let options = DirectoriesOptions {
        retention_check_interval: Duration::ZERO,
        initial_task_delay: Duration::ZERO,
        checkpoint_interval: Duration::ZERO,
        ..DirectoriesOptions::default()
    };
    let directories = LogDirectories::open(world.environment(), &[world.path.clone(), other], options).unwrap();
    assert!(directories.load(&|_| config(0)).is_empty());
    directories
}

fn batch(key: u8) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = RecordToWrite { timestamp: START, key: Some(&[key]), value: Some(&[7; 50]), headers: &[] };
    builder.append(&record).unwrap();
    builder.build_vec(&mut Compressor::default()).unwrap()
}

/// Writes until the log is left, in a new epoch again and again.
fn write(log: &Log) -> u32 {
    for count in 0.. {
        if log.append_as_leader(&mut batch(count as u8 % 20), LeaderEpoch(count as i32 / 4), CLIENT).is_err() {
            return count;
        }
        log.set_high_watermark(log.log_end_offset());
    }
    0
}

/// Takes the log from its place in one of the three ways.
fn leave(directories: &LogDirectories, partition: &TopicPartition, paths: &[PathBuf; 2]) {
    match partition.partition.0 % 3 {
        0 => assert!(directories.delete(partition).unwrap()),
        1 => assert!(directories.set_stray(partition).unwrap()),
        _ => {
            let from = directories.get(partition).unwrap().directory_path();
            let to = paths.iter().find(|path| **path != from).unwrap();
            directories.begin_move(partition, to).unwrap();
            directories.copy_moves(u64::MAX);
            directories.finish_move(partition).unwrap().unwrap();
            assert!(directories.delete(partition).unwrap());
        }
    }
}

/// Ends the work on the other threads, also when a check has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn assert_online(directories: &LogDirectories) {
    for directory in directories.directories() {
        assert_eq!(directory.failure(), None, "{}", directory.path().display());
    }
}

#[test]
fn a_log_that_leaves_while_all_work_on_it_puts_no_directory_offline() {
    let world = World::quick();
    let directories = &directories(&world);
    directories.share_syncs(Arc::new(|| {}));
    let paths = [world.path.clone(), world.path.with_extension("other")];
    let is_over = &AtomicBool::new(false);
    let again = |work: &(dyn Fn() + Sync)| {
        while !is_over.load(Ordering::Acquire) {
            work();
            thread::sleep(REST);
        }
    };
    thread::scope(|scope| {
        scope.spawn(move || again(&|| drop(directories.sync_waiting())));
        scope.spawn(move || again(&|| drop(directories.compact_next(&COMPACTION, START))));
        let (world, ticking) = (&world, directories);
        scope.spawn(move || {
            again(&|| {
                world.clock.advance(Duration::from_secs(60));
                ticking.tick(world.now());
            });
        });
        scope.spawn(move || again(&|| directories.logs().iter().for_each(|log| _ = log.flush())));
        scope.spawn(move || again(&|| drop(directories.copy_moves(1_000))));
        let over = Over(is_over);
        let mut written = 0;
        for number in 0..LOGS {
            let partition = TopicPartition::new("left", number);
            let log = directories.get_or_create(&partition, Some(topic_id()), config(number), None).unwrap();
            let writer = thread::spawn(move || write(&log));
            thread::sleep(LIFE);
            leave(directories, &partition, &paths);
            written += writer.join().unwrap();
            if directories.directories().iter().any(|directory| directory.is_offline()) {
                break;
            }
        }
        drop(over);
        assert_online(directories);
        assert!(written > 10 * LOGS as u32, "only {written} records were written");
    });
}
