//! What the logs of one log directory share: the disk, the clock, the open files, and whether the directory is sound.

use crate::checkpoint::OffsetCheckpoint;
use crate::error::StorageError;
use crate::file_cache::FileCache;
use crate::index_cache::IndexCache;
use crate::names::{CLEANER_OFFSET_FILE, HIGH_WATERMARK_FILE, LOG_START_OFFSET_FILE, RECOVERY_POINT_FILE};
use ottla_env::{Clock, Disk, DiskError, DiskOperation, DiskResult, FileSystem, Monotonic, Random};
use ottla_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// The world as a log sees it.
#[derive(Clone)]
pub struct Environment {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// For jitter and unique names.
    pub random: Arc<dyn Random>,
}

/// Something to be removed from the disk at a later time.
#[derive(Debug)]
pub(crate) struct DelayedRemoval {
    pub(crate) due: Monotonic,
    pub(crate) path: PathBuf,
    pub(crate) kind: RemovalKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalKind {
    File,
    Directory,
}

/// What compaction is doing in a directory.
#[derive(Debug, Default)]
pub(crate) struct CompactionState {
    /// Logs that are being compacted.
    pub(crate) busy: BTreeSet<TopicPartition>,
    /// Logs that could not be compacted, and are left alone until a restart.
    pub(crate) broken: BTreeSet<TopicPartition>,
}

/// Shared by all logs of a directory.
pub(crate) struct DirectoryContext {
    pub(crate) environment: Environment,
    pub(crate) path: PathBuf,
    pub(crate) files: Arc<FileCache>,
    pub(crate) indexes: Arc<IndexCache>,
    /// What took it offline.
    failure: OnceLock<String>,
    pub(crate) recovery_points: OffsetCheckpoint,
    pub(crate) log_starts: OffsetCheckpoint,
    pub(crate) high_watermarks: OffsetCheckpoint,
    /// Up to where each log is compacted.
    pub(crate) cleaned: OffsetCheckpoint,
    pub(crate) compaction: Mutex<CompactionState>,
    /// Compaction is to end.
    pub(crate) stops_compaction: AtomicBool,
    pub(crate) removals: Mutex<VecDeque<DelayedRemoval>>,
    /// For making many logs durable at once, where the system can.
    pub(crate) file_system: Option<Box<dyn FileSystem>>,
    /// Logs with appends that wait for a sync.
    pub(crate) unsynced: Mutex<BTreeSet<TopicPartition>>,
    /// Wakes whoever makes them durable, once somebody does.
    pub(crate) wake_syncer: OnceLock<Arc<dyn Fn() + Send + Sync>>,
    /// Logs with sealed segments that are not flushed yet.
    pub(crate) to_flush: Mutex<BTreeSet<TopicPartition>>,
}

impl DirectoryContext {
    /// Reads the checkpoints of a directory.
    pub(crate) fn open(
        environment: &Environment,
        path: &Path,
        files: Arc<FileCache>,
        indexes: Arc<IndexCache>,
    ) -> DiskResult<Self> {
        let disk = &*environment.disk;
        Ok(Self {
            environment: environment.clone(),
            path: path.to_owned(),
            files,
            indexes,
            failure: OnceLock::new(),
            recovery_points: OffsetCheckpoint::open(disk, path, RECOVERY_POINT_FILE)?,
            log_starts: OffsetCheckpoint::open(disk, path, LOG_START_OFFSET_FILE)?,
            high_watermarks: OffsetCheckpoint::open(disk, path, HIGH_WATERMARK_FILE)?,
            cleaned: OffsetCheckpoint::open(disk, path, CLEANER_OFFSET_FILE)?,
            compaction: Mutex::default(),
            stops_compaction: AtomicBool::new(false),
            removals: Mutex::new(VecDeque::new()),
            file_system: disk.file_system(path)?,
            unsynced: Mutex::new(BTreeSet::new()),
            wake_syncer: OnceLock::new(),
            to_flush: Mutex::new(BTreeSet::new()),
        })
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.environment.disk
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.failure.get().is_some()
    }

    /// What took it offline; `None` while it is in use.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Refuses when an earlier write or sync in the directory has failed.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_offline() { Err(StorageError::Offline(self.path.clone())) } else { Ok(()) }
    }

    /// Judges a change that failed. A full disk leaves the directory in use, and so does a want of descriptors; any other failure
    /// takes it offline. After a failed write or sync nothing is known of what is on the disk. A failed read in the middle of a
    /// change leaves a partition that does not go on, of which nobody would be told: as in Kafka it counts as much.
    pub(crate) fn failed(&self, error: DiskError) -> StorageError {
        let error = self.judged(error);
        if lacks_room(&error) { StorageError::DiskFull(error) } else { StorageError::Disk(error) }
    }

    /// The same for who has another name for the error.
    pub(crate) fn judged(&self, error: DiskError) -> DiskError {
        if !lacks_room(&error) && !error.is_too_many_files() {
            self.take_offline(&error);
        }
        error
    }

    /// Nothing in this directory is acknowledged any more until a restart.
    pub(crate) fn take_offline(&self, error: &DiskError) {
        if self.failure.set(error.to_string()).is_ok() {
            tracing::error!(directory = %self.path.display(), %error, "the log directory goes offline");
        }
    }

    /// Removes a file or directory after a while, so that readers who hold it can finish.
    pub(crate) fn remove_later(&self, path: PathBuf, kind: RemovalKind, delay_ms: u64) {
        let due = self.environment.clock.monotonic() + std::time::Duration::from_millis(delay_ms);
        self.removals.lock().push_back(DelayedRemoval { due, path, kind });
    }

    /// Lowers what the checkpoints say of a log, before it is truncated: otherwise what is appended later at the same offsets
    /// would pass for durable after a crash, or for removed.
    pub(crate) fn lower(&self, partition: &TopicPartition, offset: Offset) -> DiskResult<()> {
        self.recovery_points.lower(self.disk(), partition, offset)?;
        self.log_starts.lower(self.disk(), partition, offset)
    }

    pub(crate) fn sync_directory(&self, path: &Path) -> DiskResult<()> {
        self.disk().sync_directory(path)
    }
}

/// After a failed sync nothing is known, also when the reason was a full disk.
fn lacks_room(error: &DiskError) -> bool {
    error.is_disk_full() && error.operation != DiskOperation::Sync
}
