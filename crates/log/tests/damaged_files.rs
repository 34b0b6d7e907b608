//! Files of a partition with anything in them after a crash: a log that opens is the same at the next start.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, batch, offsets, partition};
use ottla_env::OpenMode;
use ottla_env_sim::CrashMode;
use ottla_log::LogConfig;
use ottla_types::Offset;

fn write(world: &World, name: &str, contents: &[u8]) {
    let folder = world.path.join("topic-0");
    let _ = world.disk.create_directory(&folder);
    let file = world.disk.open(&folder.join(name), OpenMode::CreateTruncate).unwrap();
    file.write_at(contents, 0).unwrap();
}

/// A batch at an offset.
fn at(offset: i64, count: i32) -> Vec<u8> {
    let mut batch = batch(count);
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batch
}

#[test]
fn a_segment_whose_first_batch_is_cut_off_takes_the_next_records() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    write(&world, "00000000000000000000.log", &[at(0, 2), at(2, 3)].concat());
    let mut torn = at(5, 2);
    torn[16] = 0;
    write(&world, "00000000000000000005.log", &torn);
    let config = LogConfig { segment_bytes: 4_096, index_interval_bytes: 100, ..LogConfig::default() };
    let directories = world.load(&config);
    let log = directories.get(&partition()).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(5)));
    append(&log, batch(1)).unwrap();
    assert_eq!(offsets(&log, 0), [0, 1, 2, 3, 4, 5]);
    drop((log, directories));
    memory.crash(CrashMode::KeepAll);
    let directories = world.load(&config);
    let log = directories.get(&partition()).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(6)));
    assert_eq!(offsets(&log, 0), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_swap_file_whose_offsets_go_back_replaces_nothing_because_of_them() {
    let world = World::simulated();
    write(&world, "00000000000000000000.log", &[at(0, 2), at(2, 3)].concat());
    // It was to be that of offset 5.
    write(&world, "00000000000000000005.log.swap", &at(1, 2));
    let directories = world.open();
    assert!(directories.load(&|_| LogConfig::default()).is_empty());
    let log = directories.get(&partition()).unwrap();
    assert_eq!(offsets(&log, 0), [0, 1, 2, 3, 4]);
    append(&log, batch(1)).unwrap();
    assert_eq!(offsets(&log, 0), [0, 1, 2, 3, 4, 5]);
}
