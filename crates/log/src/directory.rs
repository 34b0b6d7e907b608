//! One log directory: its identity, its lock, its checkpoints, the logs in it.

use crate::checkpoint::{OffsetCheckpoint, Offsets};
use crate::config::LogConfig;
use crate::context::{DirectoryContext, Environment, RemovalKind};
use crate::error::{OpenError, PartitionError, StorageError};
use crate::file_cache::FileCache;
use crate::format::{MetaProperties, format_clean_shutdown, parse_clean_shutdown};
use crate::index_cache::IndexCache;
use crate::log::Log;
use crate::names::{
    CLEAN_SHUTDOWN_FILE, DirectoryState, LOCK_FILE, META_PROPERTIES_FILE, delete_directory_name,
    parse_partition_directory, stray_directory_name,
};
use crate::recovery::LoadFrom;
use crate::small_file::{read_file, remove_file_if_exists, replace_file};
use ottla_env::{DiskResult, EntryKind, Monotonic};
use ottla_types::{BrokerEpoch, DirectoryId, Offset, Timestamp, TopicPartition};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SMALL_FILE_MAX: u64 = 1 << 20;

/// A log directory that this process holds the lock of.
pub struct LogDirectory {
    pub(crate) context: Arc<DirectoryContext>,
    id: DirectoryId,
    properties: MetaProperties,
    /// Whether the last stop was clean.
    was_clean: bool,
    clean_epoch: Option<BrokerEpoch>,
    pub(crate) logs: RwLock<BTreeMap<TopicPartition, Arc<Log>>>,
    _lock: Box<dyn Send + Sync>,
}

/// Makes a directory one of this node: `meta.properties` is written, durably. An existing one is replaced.
pub fn format_directory(environment: &Environment, path: &Path, properties: &MetaProperties) -> DiskResult<()> {
    environment.disk.create_directory(path)?;
    replace_file(&*environment.disk, &path.join(META_PROPERTIES_FILE), properties.format().as_bytes())?;
    environment.disk.sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Reads the identity of a directory. `None` when it is not formatted.
pub fn read_meta_properties(environment: &Environment, path: &Path) -> Result<Option<MetaProperties>, OpenError> {
    let path = path.join(META_PROPERTIES_FILE);
    let Some(contents) = read_file(&*environment.disk, &path, SMALL_FILE_MAX)? else { return Ok(None) };
    MetaProperties::parse(&contents).map(Some).map_err(|error| OpenError::Format { path, error })
}

/// The names of the partitions whose directories lie in a log directory, also of one that is not in use.
pub fn partition_directories(environment: &Environment, path: &Path) -> DiskResult<Vec<TopicPartition>> {
    let entries = environment.disk.list(path)?;
    let current = |(name, kind): &(String, EntryKind)| match parse_partition_directory(name) {
        Some((partition, DirectoryState::Current)) if *kind == EntryKind::Directory => Some(partition),
        _ => None,
    };
    Ok(entries.iter().filter_map(current).collect())
}

impl LogDirectory {
    /// Takes the lock of a directory and reads what it says of itself. Nothing in it is changed yet but for an id that it lacks.
    pub(crate) fn open(
        environment: &Environment,
        path: &Path,
        files: Arc<FileCache>,
        indexes: Arc<IndexCache>,
    ) -> Result<Self, OpenError> {
        let disk = &*environment.disk;
        let Some(mut properties) = read_meta_properties(environment, path)? else {
            return Err(OpenError::NotFormatted(path.to_owned()));
        };
        let lock = disk.lock(&path.join(LOCK_FILE))?.ok_or_else(|| OpenError::Locked(path.to_owned()))?;
        let id = match properties.directory_id {
            Some(id) => id,
            // Formatted by a release before directories had ids: it gets one now, as it would from Apache Kafka.
            None => {
                let id = environment.random.uuid();
                properties.directory_id = Some(id);
                replace_file(disk, &path.join(META_PROPERTIES_FILE), properties.format().as_bytes())?;
                id
            }
        };
        let clean_path = path.join(CLEAN_SHUTDOWN_FILE);
        let clean = read_file(disk, &clean_path, SMALL_FILE_MAX)?;
        let context = DirectoryContext::open(environment, path, files, indexes)?;
        Ok(Self {
            context: Arc::new(context),
            id,
            properties,
            was_clean: clean.is_some(),
            clean_epoch: clean.as_deref().and_then(parse_clean_shutdown),
            logs: RwLock::new(BTreeMap::new()),
            _lock: lock,
        })
    }

    /// Takes the directory into use: the mark of a clean stop is removed, durably, before anything else is changed. Whatever
    /// happens from now on, the next start must know that this one happened.
    pub(crate) fn begin(&self) -> DiskResult<()> {
        if self.was_clean {
            let disk = self.context.disk();
            remove_file_if_exists(disk, &self.path().join(CLEAN_SHUTDOWN_FILE))?;
            disk.sync_directory(self.path())?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.context.path
    }

    /// Its id.
    pub fn id(&self) -> DirectoryId {
        self.id
    }

    /// Its identity file.
    pub fn properties(&self) -> &MetaProperties {
        &self.properties
    }

    /// Whether a write or sync in it has failed since it was opened.
    pub fn is_offline(&self) -> bool {
        self.context.is_offline()
    }

    /// What took it offline; `None` while it is in use.
    pub fn failure(&self) -> Option<&str> {
        self.context.failure()
    }

    /// Whether the stop before this start was clean.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// The broker epoch at that clean stop, for the registration with the controller (KIP-966).
    pub fn clean_shutdown_epoch(&self) -> Option<BrokerEpoch> {
        self.clean_epoch
    }

    /// The logs in it.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.logs.read().values().cloned().collect()
    }

    /// The partition directories in it that are to be loaded. Those that wait for their removal are removed soon; what is
    /// not of Kafka is left alone.
    pub(crate) fn partition_directories(&self) -> DiskResult<Vec<(TopicPartition, PathBuf)>> {
        let mut found = Vec::new();
        for (name, kind) in self.context.disk().list(self.path())? {
            if kind != EntryKind::Directory {
                continue;
            }
            let path = self.path().join(&name);
            match parse_partition_directory(&name) {
                Some((partition, DirectoryState::Current)) => found.push((partition, path)),
                Some((_, DirectoryState::Delete)) => self.context.remove_later(path, RemovalKind::Directory, 0),
                // A replica on its way from another directory begins anew there; what is stray is for a person to look at.
                Some((_, DirectoryState::Future)) => self.context.remove_later(path, RemovalKind::Directory, 0),
                Some((_, DirectoryState::Stray)) => tracing::warn!(path = %path.display(), "leaving a stray log alone"),
                None => {}
            }
        }
        Ok(found)
    }

    /// Opens the log of a partition whose directory exists.
    pub(crate) fn open_log(
        &self,
        partition: TopicPartition,
        path: PathBuf,
        config: LogConfig,
    ) -> Result<Arc<Log>, OpenError> {
        let from = LoadFrom {
            clean: self.was_clean,
            recovery_point: self.context.recovery_points.get(&partition),
            log_start_offset: self.context.log_starts.get(&partition),
            high_watermark: self.context.high_watermarks.get(&partition),
            cleaned: self.context.cleaned.get(&partition),
        };
        let log =
            Arc::new(Log::open(&self.context, path, partition.clone(), config, from).map_err(|error| match error {
                // As in Kafka: else nobody would serve the partition, and nobody would be told.
                OpenError::Disk(error) => OpenError::Disk(self.context.judged(error)),
                other => other,
            })?);
        self.logs.write().insert(partition, log.clone());
        Ok(log)
    }

    /// Makes the directory of a partition and begins its log.
    pub(crate) fn create_log(&self, partition: TopicPartition, config: LogConfig) -> Result<Arc<Log>, PartitionError> {
        self.context.check()?;
        self.forget_namesake(&partition)?;
        let path = self.path().join(partition.to_string());
        let made = self.context.disk().create_directory(&path);
        made.map_err(|error| self.context.failed(error))?;
        let zero = Offset::ZERO;
        let from =
            LoadFrom { clean: true, recovery_point: zero, log_start_offset: zero, high_watermark: zero, cleaned: zero };
        let log = match Log::open(&self.context, path, partition.clone(), config, from) {
            Ok(log) => Arc::new(log),
            Err(OpenError::Disk(error)) => return Err(self.context.failed(error).into()),
            Err(error) => {
                tracing::error!(%partition, %error, "a new log can't be opened");
                return Err(PartitionError::Exists(partition));
            }
        };
        self.logs.write().insert(partition, log.clone());
        Ok(log)
    }

    /// Has the checkpoints say nothing of a log of this name that is gone. After a crash what they say would be taken for the new
    /// one's: records that are not durable for durable, and all of them for removed where the old one began later.
    fn forget_namesake(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        let context = &self.context;
        let checkpoints = [&context.recovery_points, &context.log_starts, &context.high_watermarks, &context.cleaned];
        if !checkpoints.into_iter().any(|checkpoint| checkpoint.knows(partition)) {
            return Ok(());
        }
        // With it go all others that are gone, since many may come back together.
        self.checkpoint()?;
        self.checkpoint_high_watermarks()?;
        let alive: BTreeSet<TopicPartition> = self.logs.read().keys().cloned().collect();
        self.write(&context.cleaned, |written| {
            let is_alive = |(partition, _): &(&TopicPartition, &Offset)| alive.contains(*partition);
            written.iter().filter(is_alive).map(|(partition, offset)| (partition.clone(), *offset)).collect()
        })
    }

    /// Takes a partition out of use: its directory is renamed so that it is not loaded again, and removed later.
    pub(crate) fn delete_log(&self, partition: &TopicPartition) -> Result<bool, StorageError> {
        let Some(log) = self.logs.write().remove(partition) else { return Ok(false) };
        let unique = self.context.environment.random.uuid();
        let path = self.move_away(&log, &delete_directory_name(partition, unique))?;
        self.context.remove_later(path, RemovalKind::Directory, log.config().file_delete_delay_ms);
        Ok(true)
    }

    /// Puts aside a log that the cluster knows nothing of. It is not removed: a person decides.
    pub(crate) fn set_stray(&self, partition: &TopicPartition) -> Result<bool, StorageError> {
        let Some(log) = self.logs.write().remove(partition) else { return Ok(false) };
        let unique = self.context.environment.random.uuid();
        self.move_away(&log, &stray_directory_name(partition, unique))?;
        Ok(true)
    }

    pub(crate) fn move_away(&self, log: &Log, name: &str) -> Result<PathBuf, StorageError> {
        self.context.check()?;
        log.writer.lock().closed = true;
        let _nobody_syncs = log.flushing.lock();
        if log.has_left.swap(true, Ordering::AcqRel) {
            return Err(StorageError::Closed(log.partition.clone()));
        }
        let (from, to) = (log.path(), self.path().join(name));
        let renamed = self.context.disk().rename(&from, &to).and_then(|()| self.context.sync_directory(self.path()));
        renamed.map_err(|error| self.context.failed(error))?;
        log.path.set(to.clone());
        Ok(to)
    }

    /// Renames the directory of a log that is not open into one that waits for its removal.
    pub(crate) fn retire(&self, partition: &TopicPartition, path: &Path) {
        let unique = self.context.environment.random.uuid();
        let to = self.path().join(delete_directory_name(partition, unique));
        let disk = self.context.disk();
        match disk.rename(path, &to).and_then(|()| self.context.sync_directory(self.path())) {
            Ok(()) => self.context.remove_later(to, RemovalKind::Directory, 0),
            Err(error) => drop(self.context.failed(error)),
        }
    }

    /// Writes recovery points and log start offsets.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        self.context.check()?;
        self.write(&self.context.recovery_points, |_| {
            self.logs().iter().map(|log| (log.partition.clone(), log.recovery_point())).collect()
        })?;
        self.checkpoint_log_starts()
    }

    /// Writes log start offsets.
    pub(crate) fn checkpoint_log_starts(&self) -> Result<(), StorageError> {
        self.context.check()?;
        let logs = self.logs();
        let mut starts = Offsets::new();
        self.write(&self.context.log_starts, |_| {
            // As in Kafka, only logs that begin later than their first segment have an entry.
            let begun_later = logs.iter().filter_map(|log| {
                let view = log.view.read();
                let first = view.segments.first().map_or(Offset::ZERO, |segment| segment.base_offset);
                (view.log_start_offset > first).then(|| (log.partition.clone(), view.log_start_offset))
            });
            starts = begun_later.collect();
            starts.clone()
        })?;
        for log in logs {
            if let Some(start) = starts.get(&log.partition) {
                log.durable_log_start.fetch_max(start.0, Ordering::AcqRel);
            }
        }
        Ok(())
    }

    /// Removes old segments: first all logs say where they begin from now on, then that is made durable in one file, then
    /// the segments before go.
    pub(crate) fn apply_retention(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut moved = false;
        for log in self.logs() {
            match skip_unusable(&log, log.apply_retention(now)) {
                Ok(segments) => moved |= segments > 0,
                // Others may give the room that this one lacks.
                Err(StorageError::DiskFull(error)) => tracing::warn!(partition = %log.partition, %error, "can't roll"),
                Err(error) => return Err(error),
            }
        }
        if !moved {
            return Ok(());
        }
        let is_full = match self.checkpoint() {
            Err(StorageError::DiskFull(_)) => true,
            written => {
                written?;
                false
            }
        };
        for log in self.logs() {
            let removed = if is_full { log.remove_old_segments_singly() } else { log.remove_old_segments() };
            skip_unusable(&log, removed)?;
        }
        Ok(())
    }

    /// Writes high watermarks.
    pub(crate) fn checkpoint_high_watermarks(&self) -> Result<(), StorageError> {
        self.context.check()?;
        self.write(&self.context.high_watermarks, |_| {
            self.logs().iter().map(|log| (log.partition.clone(), log.high_watermark())).collect()
        })
    }

    fn write(
        &self,
        checkpoint: &OffsetCheckpoint,
        collect: impl FnOnce(&Offsets) -> Offsets,
    ) -> Result<(), StorageError> {
        checkpoint.write(self.context.disk(), collect).map_err(|error| self.context.failed(error))
    }

    /// Removes the files and directories whose time has come. What fails is tried again at the next start. Gives the time
    /// of the next.
    pub(crate) fn remove_due(&self, now: Monotonic) -> Option<Monotonic> {
        let mut due = Vec::new();
        let mut next = None;
        self.context.removals.lock().retain(|removal| {
            if removal.due <= now {
                due.push((removal.path.clone(), removal.kind));
                return false;
            }
            next = Some(next.map_or(removal.due, |next: Monotonic| next.min(removal.due)));
            true
        });
        for (path, kind) in due {
            let removed = match kind {
                RemovalKind::File => remove_file_if_exists(self.context.disk(), &path),
                RemovalKind::Directory => self.context.disk().remove_directory(&path),
            };
            if let Err(error) = removed {
                tracing::warn!(%error, "can't remove what is no longer used");
            }
        }
        next
    }

    /// Flushes logs that have sealed segments, or whose records have waited for `flush.ms`.
    pub(crate) fn flush_due(&self) {
        let sealed = std::mem::take(&mut *self.context.to_flush.lock());
        for partition in sealed {
            let log = self.logs.read().get(&partition).cloned();
            if let Some(Err(error)) = log.map(|log| log.flush_sealed()) {
                tracing::warn!(%partition, %error, "can't flush a sealed segment");
            }
        }
        for log in self.logs() {
            if log.flush_is_due()
                && let Err(error) = log.flush()
            {
                tracing::warn!(partition = %log.partition, %error, "can't flush");
            }
        }
    }

    /// Closes all logs, writes all checkpoints, and last of all the mark of a clean stop: when it is there everything else
    /// is.
    pub(crate) fn close(&self, epoch: BrokerEpoch) -> Result<(), StorageError> {
        self.context.check()?;
        self.close_logs()?;
        self.checkpoint()?;
        self.checkpoint_high_watermarks()?;
        let contents = format_clean_shutdown(epoch);
        replace_file(self.context.disk(), &self.path().join(CLEAN_SHUTDOWN_FILE), contents.as_bytes())
            .map_err(|error| self.context.failed(error))
    }
}

/// A log that is closed or damaged is no reason not to go on with the others; one that fails otherwise is, if the whole
/// directory is lost.
fn skip_unusable(log: &Log, result: Result<usize, StorageError>) -> Result<usize, StorageError> {
    match result {
        Err(error @ StorageError::Offline(_)) => Err(error),
        Err(StorageError::Closed(_) | StorageError::Damaged(_)) => Ok(0),
        Err(error) => {
            tracing::warn!(partition = %log.partition, %error, "can't remove old segments");
            Ok(0)
        }
        Ok(count) => Ok(count),
    }
}
