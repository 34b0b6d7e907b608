//! Many partitions, and what of them must be read at a start.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, batch, create, offsets, partition, stop, topic_id};
use ottla_env_sim::CrashMode;
use ottla_log::{DirectoriesOptions, LogConfig, LogDirectories};
use ottla_types::{Offset, TopicPartition};
use std::time::Duration;

const PARTITIONS: i32 = 10_000;
const OPEN_FILES_MAX: usize = 200;

fn open(world: &World) -> LogDirectories {
    let options = DirectoriesOptions { open_files_max: OPEN_FILES_MAX, ..DirectoriesOptions::default() };
    let directories = LogDirectories::open(world.environment(), std::slice::from_ref(&world.path), options).unwrap();
    assert!(directories.load(&|_| LogConfig::default()).is_empty());
    directories
}

#[test]
fn ten_thousand_clean_partitions_are_opened_with_a_bounded_number_of_descriptors() {
    let world = World::quick();
    let directories = open(&world);
    let name = |number| TopicPartition::new("topic", number);
    for number in 0..PARTITIONS {
        let log = directories.get_or_create(&name(number), Some(topic_id()), LogConfig::default(), None).unwrap();
        if number % 100 == 0 {
            append(&log, batch(3)).unwrap();
        }
    }
    assert!(directories.open_files() <= OPEN_FILES_MAX);
    stop(directories);
    let directories = open(&world);
    assert!(directories.directories()[0].was_clean());
    assert_eq!(directories.logs().len() as i32, PARTITIONS);
    assert!(directories.open_files() <= OPEN_FILES_MAX);
    for number in (0..PARTITIONS).step_by(100) {
        let log = directories.get(&name(number)).unwrap();
        assert_eq!(offsets(&log, 0), [0, 1, 2]);
        append(&log, batch(1)).unwrap();
        assert_eq!(log.log_end_offset(), Offset(4));
    }
    assert!(directories.open_files() <= OPEN_FILES_MAX);
}

#[test]
fn the_recovery_point_follows_a_log_that_rests() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = open(&world);
    let log = create(&directories, &LogConfig::default());
    append(&log, batch(3)).unwrap();
    let minute = Duration::from_secs(60);
    world.clock.advance(minute);
    directories.tick(world.now());
    assert_eq!(log.recovery_point(), Offset(0), "it may be busy");
    world.clock.advance(minute);
    directories.tick(world.now());
    assert_eq!(log.recovery_point(), Offset(3));
    drop((log, directories));
    // The point is on the disk: what it covers has survived, and a loss of it would be reported.
    memory.crash(CrashMode::LoseAll);
    let log = open(&world).get(&partition()).unwrap();
    assert_eq!((log.recovery_point(), offsets(&log, 0)), (Offset(3), vec![0, 1, 2]));
}
