//! What the logs of one log directory share: the disk, the clock, the open files, and whether the directory is sound.

use crate::error::StorageError;
use crate::file_cache::FileCache;
use crate::format::format_offset_checkpoint;
use crate::names::RECOVERY_POINT_FILE;
use crate::small_file::replace_file;
use ottla_env::{Clock, Disk, DiskError, DiskOperation, DiskResult, Monotonic, Random};
use ottla_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Shared by all logs of a directory.
pub(crate) struct DirectoryContext {
    pub(crate) environment: Environment,
    pub(crate) path: PathBuf,
    pub(crate) files: Arc<FileCache>,
    offline: AtomicBool,
    /// The recovery points as last written. A log that is truncated must lower its own on the disk first, and for that the
    /// whole file is written.
    recovery_points: Mutex<BTreeMap<TopicPartition, Offset>>,
    pub(crate) removals: Mutex<VecDeque<DelayedRemoval>>,
    /// Logs with sealed segments that are not flushed yet.
    pub(crate) to_flush: Mutex<BTreeSet<TopicPartition>>,
}

impl DirectoryContext {
    pub(crate) fn new(
        environment: Environment,
        path: PathBuf,
        files: Arc<FileCache>,
        recovery_points: BTreeMap<TopicPartition, Offset>,
    ) -> Self {
        Self {
            environment,
            path,
            files,
            offline: AtomicBool::new(false),
            recovery_points: Mutex::new(recovery_points),
            removals: Mutex::new(VecDeque::new()),
            to_flush: Mutex::new(BTreeSet::new()),
        }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.environment.disk
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Acquire)
    }

    /// Refuses when an earlier write or sync in the directory has failed.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_offline() { Err(StorageError::Offline(self.path.clone())) } else { Ok(()) }
    }

    /// Judges a failed operation. A full disk leaves the directory in use; any other failed change takes it offline, since
    /// what is on the disk is unknown from then on. A failed read leaves it in use.
    pub(crate) fn failed(&self, error: DiskError) -> StorageError {
        let changes = !matches!(error.operation, DiskOperation::Open | DiskOperation::Read | DiskOperation::List);
        // After a failed sync nothing is known, also when the reason was a full disk.
        if error.is_disk_full() && error.operation != DiskOperation::Sync {
            return StorageError::DiskFull(error);
        }
        if changes {
            self.take_offline(&error);
        }
        StorageError::Disk(error)
    }

    /// Nothing in this directory is acknowledged any more until a restart.
    pub(crate) fn take_offline(&self, error: &DiskError) {
        if !self.offline.swap(true, Ordering::AcqRel) {
            tracing::error!(directory = %self.path.display(), %error, "the log directory goes offline");
        }
    }

    /// Removes a file or directory after a while, so that readers who hold it can finish.
    pub(crate) fn remove_later(&self, path: PathBuf, kind: RemovalKind, delay_ms: u64) {
        let due = self.environment.clock.monotonic() + std::time::Duration::from_millis(delay_ms);
        self.removals.lock().push_back(DelayedRemoval { due, path, kind });
    }

    /// Writes the recovery points of these logs, and forgets all others. Called with what is true now; nothing is written
    /// when nothing has changed.
    pub(crate) fn checkpoint_recovery_points(&self, points: BTreeMap<TopicPartition, Offset>) -> DiskResult<()> {
        let mut written = self.recovery_points.lock();
        if *written != points {
            self.write_recovery_points(&points)?;
            *written = points;
        }
        Ok(())
    }

    /// Lowers the recovery point of one log on the disk, before that log is truncated: otherwise what is appended later at
    /// the same offsets would pass for durable after a crash.
    pub(crate) fn lower_recovery_point(&self, partition: &TopicPartition, offset: Offset) -> DiskResult<()> {
        let mut written = self.recovery_points.lock();
        if let Some(point) = written.get_mut(partition)
            && *point > offset
        {
            *point = offset;
            self.write_recovery_points(&written)?;
        }
        Ok(())
    }

    fn write_recovery_points(&self, points: &BTreeMap<TopicPartition, Offset>) -> DiskResult<()> {
        let contents = format_offset_checkpoint(points);
        replace_file(self.disk(), &self.path.join(RECOVERY_POINT_FILE), contents.as_bytes())
    }

    pub(crate) fn sync_directory(&self, path: &Path) -> DiskResult<()> {
        self.disk().sync_directory(path)
    }
}
