//! `leader-epoch-checkpoint` is right below the recovery point, and the batches say the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod fixture;

use fixture::{CLIENT, World, append, batch, create, stop};
use ottla_env::{Disk, OpenMode};
use ottla_env_sim::CrashMode;
use ottla_log::{Log, LogConfig, LogDirectories};
use ottla_types::{LeaderEpoch, Offset};
use std::sync::Arc;

fn in_epoch(log: &Log, epoch: i32) {
    log.append_as_leader(&mut batch(1), LeaderEpoch(epoch), CLIENT).unwrap();
}

/// Epochs with their first offsets.
fn known(log: &Log) -> Vec<(i32, i64)> {
    log.leader_epochs().entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
}

fn contents(disk: &dyn Disk, log: &Log) -> Option<String> {
    let path = log.path().join("leader-epoch-checkpoint");
    if !disk.exists(&path).unwrap() {
        return None;
    }
    let file = disk.open(&path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    let read = file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(read, bytes.len());
    Some(String::from_utf8(bytes).unwrap())
}

fn restart(world: &World, directories: LogDirectories, mode: CrashMode) -> (LogDirectories, Arc<Log>) {
    drop(directories);
    world.memory.as_ref().unwrap().crash(mode);
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    (directories, log)
}

#[test]
fn an_epoch_gets_into_the_file_with_the_sync_of_its_records() {
    for world in World::both() {
        let directories = world.load(&LogConfig::default());
        let log = create(&directories, &LogConfig::default());
        append(&log, batch(2)).unwrap();
        assert_eq!(contents(&*world.disk, &log), None, "nothing was synced");
        log.flush().unwrap();
        assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n1\n0 0\n");
        log.begin_leader_epoch(LeaderEpoch(5));
        in_epoch(&log, 5);
        assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n1\n0 0\n");
        log.flush().unwrap();
        assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n2\n0 0\n5 2\n");
        in_epoch(&log, 8);
        stop(directories);
        assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n3\n0 0\n5 2\n8 3\n", "a stop writes it too");
    }
}

#[test]
fn a_new_epoch_waits_for_no_disk() {
    let world = World::simulated();
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    append(&log, batch(1)).unwrap();
    log.flush().unwrap();
    let memory = world.memory.as_ref().unwrap();
    let operations_of = |epoch| {
        let before = memory.operations();
        in_epoch(&log, epoch);
        memory.operations() - before
    };
    let known = operations_of(0);
    assert_eq!([operations_of(3), operations_of(4)], [known, known]);
}

#[test]
fn epochs_that_no_sync_has_covered_are_read_from_the_batches() {
    let world = World::simulated();
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    in_epoch(&log, 0);
    log.flush().unwrap();
    in_epoch(&log, 3);
    in_epoch(&log, 3);
    in_epoch(&log, 7);
    drop(log);
    let (directories, log) = restart(&world, directories, CrashMode::KeepAll);
    assert_eq!(known(&log), [(0, 0), (3, 1), (7, 3)]);
    assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n1\n0 0\n", "the next start would find the same again");
    log.flush().unwrap();
    assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n3\n0 0\n3 1\n7 3\n");
    drop(log);
    let (_directories, log) = restart(&world, directories, CrashMode::LoseAll);
    assert_eq!(known(&log), [(0, 0), (3, 1), (7, 3)]);
}

#[test]
fn the_epoch_of_records_that_a_crash_has_taken_does_not_cover_those_that_come_instead() {
    let world = World::simulated();
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    (0..4).for_each(|_| in_epoch(&log, 0));
    log.flush().unwrap();
    // A leader of epoch 3 writes here, and its records are replaced by those of a leader that never saw them.
    in_epoch(&log, 3);
    log.flush().unwrap();
    assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n2\n0 0\n3 4\n");
    log.truncate_to(Offset(2)).unwrap();
    for base in 2..6_i64 {
        let mut bytes = batch(1);
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes[12..16].copy_from_slice(&0_i32.to_be_bytes());
        log.append_as_follower(&bytes).unwrap();
    }
    assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n2\n0 0\n3 4\n", "the file is behind");
    drop(log);
    let (_directories, log) = restart(&world, directories, CrashMode::KeepAll);
    assert_eq!(log.log_end_offset(), Offset(6));
    assert_eq!(known(&log), [(0, 0)]);
}

#[test]
fn a_start_that_moves_cuts_the_epochs_before_it_without_waiting_for_a_disk() {
    let world = World::simulated();
    let directories = world.load(&LogConfig::default());
    let log = create(&directories, &LogConfig::default());
    in_epoch(&log, 0);
    in_epoch(&log, 2);
    in_epoch(&log, 4);
    log.flush().unwrap();
    log.set_high_watermark(Offset(3));
    log.advance_log_start_offset(Offset(2)).unwrap();
    assert_eq!(known(&log), [(4, 2)]);
    directories.keep_log_starts().unwrap();
    drop(log);
    let (_directories, log) = restart(&world, directories, CrashMode::LoseAll);
    assert_eq!(known(&log), [(4, 2)]);
}

/// What is acknowledged upon a sync needs no room then; only a start has more to read.
#[test]
fn a_disk_without_room_for_an_epoch_makes_its_records_durable_all_the_same() {
    let config = LogConfig { flush_messages: 1, ..LogConfig::default() };
    let world = World::simulated();
    let memory = world.memory.as_ref().unwrap();
    let directories = world.load(&config);
    directories.share_syncs(Arc::new(|| ()));
    let log = create(&directories, &config);
    in_epoch(&log, 3);
    memory.set_capacity(memory.used());
    directories.sync_waiting();
    assert!(!log.is_offline());
    assert_eq!((log.acknowledgeable_offset(), log.recovery_point()), (Offset(1), Offset(0)));
    assert_eq!(contents(&*world.disk, &log), None);
    memory.set_capacity(u64::MAX);
    in_epoch(&log, 3);
    directories.sync_waiting();
    assert_eq!((log.acknowledgeable_offset(), log.recovery_point()), (Offset(2), Offset(2)));
    assert_eq!(contents(&*world.disk, &log).unwrap(), "0\n1\n3 0\n");
}
