//! Appends of many partitions that share syncs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, batch, create, offsets, partition, topic_id};
use ottla_env::{Disk, DiskError, DiskOperation, DiskResult, EntryKind, File, FileSystem, OpenMode};
use ottla_env_os::OsDisk;
use ottla_env_sim::{CrashMode, Fault, FaultKind};
use ottla_log::{DirectoriesOptions, Log, LogConfig, LogDirectories};
use ottla_types::{Offset, TopicPartition};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn durable() -> LogConfig {
    LogConfig { segment_bytes: 500, index_interval_bytes: 100, flush_messages: 1, ..LogConfig::default() }
}

/// Turns group commit on. The number says how often the syncer was woken.
fn share(directories: &LogDirectories) -> Arc<AtomicUsize> {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = wakes.clone();
    directories.share_syncs(Arc::new(move || _ = counted.fetch_add(1, Ordering::Relaxed)));
    wakes
}

#[test]
fn an_append_may_be_acknowledged_after_the_round_that_covers_it_and_not_before() {
    for world in World::both() {
        let directories = world.load(&durable());
        let wakes = share(&directories);
        let log = create(&directories, &durable());
        append(&log, batch(2)).unwrap();
        append(&log, batch(2)).unwrap();
        assert_eq!((log.acknowledgeable_offset(), log.recovery_point()), (Offset(0), Offset(0)));
        assert_eq!(wakes.load(Ordering::Relaxed), 1, "the syncer is woken by the first that waits");
        let synced = directories.sync_waiting();
        assert_eq!(synced.len(), 1);
        assert_eq!((log.acknowledgeable_offset(), log.recovery_point()), (Offset(4), Offset(4)));
        assert!(directories.sync_waiting().is_empty());
        append(&log, batch(2)).unwrap();
        assert_eq!((log.acknowledgeable_offset(), log.log_end_offset()), (Offset(4), Offset(6)));
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn what_may_be_acknowledged_survives_a_crash_across_rolls() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    for round in 0..30 {
        let directories = world.load(&durable());
        share(&directories);
        let log = create(&directories, &durable());
        for number in 0..round % 7 {
            append(&log, batch(1 + number % 3)).unwrap();
        }
        directories.sync_waiting();
        // What comes after the round may go.
        let acknowledgeable = log.acknowledgeable_offset();
        append(&log, batch(1)).unwrap();
        drop((log, directories));
        memory.crash(if round % 2 == 0 { CrashMode::LoseAll } else { CrashMode::Some { seed: round as u64 } });
        let directories = world.load(&durable());
        let log = create(&directories, &durable());
        assert!(log.damage().is_none());
        assert!(log.log_end_offset() >= acknowledgeable, "{} < {acknowledgeable}", log.log_end_offset());
        assert_eq!(offsets(&log, 0).len() as i64, log.log_end_offset().0);
    }
}

#[test]
fn flush_messages_lets_fewer_records_be_without_a_sync() {
    let world = World::simulated();
    let config = LogConfig { flush_messages: 5, ..durable() };
    let directories = world.load(&config);
    let wakes = share(&directories);
    let log = create(&directories, &config);
    append(&log, batch(4)).unwrap();
    assert_eq!((log.acknowledgeable_offset(), wakes.load(Ordering::Relaxed)), (Offset(4), 0));
    append(&log, batch(2)).unwrap();
    assert_eq!((log.acknowledgeable_offset(), wakes.load(Ordering::Relaxed)), (Offset(4), 1));
    directories.sync_waiting();
    append(&log, batch(1)).unwrap();
    assert_eq!(log.acknowledgeable_offset(), Offset(7));
}

#[test]
fn a_changed_configuration_lets_go_what_waits_or_asks_for_a_sync() {
    let world = World::simulated();
    let directories = world.load(&durable());
    let wakes = share(&directories);
    let log = create(&directories, &durable());
    append(&log, batch(2)).unwrap();
    log.set_config(LogConfig { flush_messages: i64::MAX, ..durable() });
    assert_eq!(log.acknowledgeable_offset(), Offset(2));
    directories.sync_waiting();
    append(&log, batch(2)).unwrap();
    log.set_config(durable());
    // What was acknowledged stays so; what comes next waits.
    assert_eq!((log.acknowledgeable_offset(), wakes.load(Ordering::Relaxed)), (Offset(4), 1));
    append(&log, batch(2)).unwrap();
    assert_eq!(log.acknowledgeable_offset(), Offset(4));
}

#[test]
fn what_a_crash_has_left_without_a_sync_gets_one_before_it_counts() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = world.load(&durable());
    share(&directories);
    let log = create(&directories, &durable());
    append(&log, batch(2)).unwrap();
    directories.sync_waiting();
    directories.checkpoint();
    append(&log, batch(2)).unwrap();
    drop((log, directories));
    memory.crash(CrashMode::KeepAll);
    let directories = world.load(&durable());
    let log = directories.get(&partition()).unwrap();
    assert_eq!((log.log_end_offset(), log.acknowledgeable_offset()), (Offset(4), Offset(2)));
    let wakes = share(&directories);
    assert_eq!(wakes.load(Ordering::Relaxed), 1);
    directories.sync_waiting();
    assert_eq!(log.acknowledgeable_offset(), Offset(4));
}

#[test]
fn a_failed_round_acknowledges_nothing_ever_after() {
    let world = World::simulated();
    let memory = world.memory.clone().unwrap();
    let directories = world.load(&durable());
    share(&directories);
    let logs: Vec<Arc<Log>> = (0..3).map(|number| other(&directories, number)).collect();
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    memory.inject(Fault { operation: DiskOperation::Sync, after: 0, times: 1, kind: FaultKind::Error });
    assert_eq!(directories.sync_waiting().len(), 3, "whoever waits must be told");
    for log in &logs {
        assert!(log.is_offline());
        assert!(append(log, batch(1)).is_err());
        assert_eq!((log.acknowledgeable_offset(), log.recovery_point()), (Offset(0), Offset(0)));
    }
    assert!(directories.sync_waiting().is_empty());
}

#[test]
fn a_truncation_makes_a_sync_that_began_before_it_void() {
    let world = World::simulated();
    let directories = world.load(&durable());
    share(&directories);
    let log = create(&directories, &durable());
    append(&log, batch(4)).unwrap();
    directories.sync_waiting();
    log.truncate_to(Offset(0)).unwrap();
    assert_eq!((log.acknowledgeable_offset(), log.recovery_point()), (Offset(0), Offset(0)));
    append(&log, batch(4)).unwrap();
    assert_eq!(log.acknowledgeable_offset(), Offset(0));
    directories.sync_waiting();
    assert_eq!(log.acknowledgeable_offset(), Offset(4));
}

fn other(directories: &LogDirectories, number: i32) -> Arc<Log> {
    let name = TopicPartition::new("topic", number);
    directories.get_or_create(&name, Some(topic_id()), durable(), None).unwrap()
}

/// The disk of this machine, with a file system whose syncs are counted and can fail.
#[derive(Clone, Default)]
struct Watched {
    syncs: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    /// Whether there is no room for another file of epochs.
    is_full: Arc<AtomicBool>,
    /// What is done while it syncs next.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

struct WatchedFileSystem {
    watched: Watched,
    inner: Option<Box<dyn FileSystem>>,
}

impl FileSystem for WatchedFileSystem {
    fn sync(&self) -> DiskResult<()> {
        if self.watched.fails.load(Ordering::Relaxed) {
            let error = std::io::Error::other("a page could not be written");
            return Err(DiskError::new(DiskOperation::Sync, Path::new("/"), error));
        }
        if let Some(meanwhile) = self.watched.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        self.watched.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.as_ref().map_or(Ok(()), |inner| inner.sync())
    }
}

impl Disk for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn File>> {
        if self.is_full.load(Ordering::Relaxed) && path.ends_with("leader-epoch-checkpoint.tmp") {
            return Err(DiskError::new(mode.operation(), path, std::io::ErrorKind::StorageFull.into()));
        }
        OsDisk.open(path, mode)
    }
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        OsDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        OsDisk.remove_file(path)
    }
    fn remove_directory(&self, path: &Path) -> DiskResult<()> {
        OsDisk.remove_directory(path)
    }
    fn create_directory(&self, path: &Path) -> DiskResult<()> {
        OsDisk.create_directory(path)
    }
    fn list(&self, path: &Path) -> DiskResult<Vec<(String, EntryKind)>> {
        OsDisk.list(path)
    }
    fn exists(&self, path: &Path) -> DiskResult<bool> {
        OsDisk.exists(path)
    }
    fn sync_directory(&self, path: &Path) -> DiskResult<()> {
        OsDisk.sync_directory(path)
    }
    fn file_system(&self, path: &Path) -> DiskResult<Option<Box<dyn FileSystem>>> {
        let inner = OsDisk.file_system(path)?;
        Ok(Some(Box::new(WatchedFileSystem { watched: self.clone(), inner })))
    }
    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn Send + Sync>>> {
        OsDisk.lock(path)
    }
    fn space(&self, path: &Path) -> DiskResult<(u64, u64)> {
        OsDisk.space(path)
    }
}

/// The directory of this world behind a watch, with so many logs.
fn watched(world: &World, count: i32) -> (Watched, LogDirectories, Vec<Arc<Log>>) {
    let watched = Watched::default();
    let environment = ottla_log::Environment { disk: Arc::new(watched.clone()), ..world.environment() };
    let paths = std::slice::from_ref(&world.path);
    let directories = LogDirectories::open(environment, paths, DirectoriesOptions::default()).unwrap();
    directories.load(&|_| durable());
    share(&directories);
    let logs = (0..count).map(|number| other(&directories, number)).collect();
    (watched, directories, logs)
}

/// The file of its epochs is between its two names then, and would be looked for where it is no more.
#[test]
fn a_log_that_is_to_leave_while_many_become_durable_waits_for_its_file_of_epochs() {
    let world = World::real();
    let (watched, directories, logs) = watched(&world, 8);
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    let directories = Arc::new(directories);
    let (leaving, (left, has_left)) = (directories.clone(), std::sync::mpsc::channel());
    let (gone, is_gone) = std::sync::mpsc::channel();
    *watched.meanwhile.lock().unwrap() = Some(Box::new(move || {
        std::thread::spawn(move || left.send(leaving.delete(&TopicPartition::new("topic", 3)).is_ok()));
        // Time enough for it, if nothing keeps it.
        let left = has_left.recv_timeout(Duration::from_millis(100));
        gone.send((left, has_left)).unwrap();
    }));
    assert_eq!(directories.sync_waiting().len(), 8);
    let (left, has_left) = is_gone.recv().unwrap();
    assert_eq!(left, Err(RecvTimeoutError::Timeout));
    assert!(has_left.recv().unwrap());
    assert!(logs.iter().all(|log| !log.is_offline()));
    let others = logs.iter().filter(|log| log.topic_partition().partition.0 != 3);
    assert!(others.into_iter().all(|log| log.acknowledgeable_offset() == Offset(2)));
}

#[test]
fn many_logs_become_durable_where_there_is_no_room_for_their_epochs() {
    let world = World::real();
    let (watched, directories, logs) = watched(&world, 8);
    watched.is_full.store(true, Ordering::Relaxed);
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    directories.sync_waiting();
    assert!(logs.iter().all(|log| log.acknowledgeable_offset() == Offset(2) && log.recovery_point() == Offset(0)));
    watched.is_full.store(false, Ordering::Relaxed);
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    directories.sync_waiting();
    assert!(logs.iter().all(|log| log.acknowledgeable_offset() == Offset(4) && log.recovery_point() == Offset(4)));
}

#[test]
fn many_logs_become_durable_by_by_one_sync_and_none_when_it_fails() {
    let world = World::real();
    let (watched, directories, logs) = watched(&world, 40);
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    assert_eq!(directories.sync_waiting().len(), 40);
    // The contents of the files that say where an epoch begins, before their names; then all the rest.
    assert_eq!(watched.syncs.swap(0, Ordering::Relaxed), 2);
    assert!(logs.iter().all(|log| log.acknowledgeable_offset() == Offset(2) && log.recovery_point() == Offset(2)));
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    assert_eq!(directories.sync_waiting().len(), 40);
    assert_eq!(watched.syncs.load(Ordering::Relaxed), 1);
    watched.fails.store(true, Ordering::Relaxed);
    for log in &logs {
        append(log, batch(2)).unwrap();
    }
    directories.sync_waiting();
    assert!(logs.iter().all(|log| log.is_offline() && log.acknowledgeable_offset() == Offset(4)));
    watched.fails.store(false, Ordering::Relaxed);
    directories.sync_waiting();
    assert!(logs.iter().all(|log| log.acknowledgeable_offset() == Offset(4)));
}
