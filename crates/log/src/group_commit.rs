//! Group commit: the waiting appends of many partitions share syncs.

use crate::context::DirectoryContext;
use crate::directory::LogDirectory;
use crate::epoch_file::EpochsBeside;
use crate::error::StorageError;
use crate::log::{Log, View};
use ottla_env::FileSystem;
use ottla_types::{Offset, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// From so many logs on one sync of the file system is cheaper than one sync of each file. Measured with appends of 1 KiB on
/// ext4 over NVMe: a sync of the file system takes as long as those of three to four files.
pub(crate) const TOGETHER_MIN: usize = 4;

/// How many bytes of a directory may be in the page cache only, before the logs with the most of them are synced: what must be
/// checked after a crash, in about a second from a disk of today and in a tenth of that from memory.
const UNSYNCED_BYTES_MAX: u64 = 1 << 30;

/// How far a log was written before a sync, into which segment, and how often it had been truncated then.
struct Mark {
    end: Offset,
    active: Offset,
    bytes: u64,
    truncations: u64,
}

impl DirectoryContext {
    /// Whether appends wait for a shared sync instead of syncing themselves.
    pub(crate) fn shares_syncs(&self) -> bool {
        self.wake_syncer.get().is_some()
    }

    /// Enters a log among those that the next round makes durable.
    pub(crate) fn queue_sync(&self, partition: &TopicPartition) {
        // Entered, then woken: the syncer that is woken finds it.
        let is_first = {
            let mut unsynced = self.unsynced.lock();
            let is_first = unsynced.is_empty();
            unsynced.insert(partition.clone());
            is_first
        };
        if is_first && let Some(wake) = self.wake_syncer.get() {
            wake();
        }
    }
}

impl View {
    /// Notes that everything before `durable` is durable, or that more has been appended: all may be acknowledged while
    /// fewer than `flush_messages` records are not durable, else only what is. Never goes back.
    pub(crate) fn settle(&mut self, durable: Offset, flush_messages: i64) {
        let is_within = flush_messages == i64::MAX || self.end.offset.since(durable) < flush_messages;
        let settled = if is_within { self.end.offset } else { durable.min(self.end.offset) };
        self.acknowledgeable = self.acknowledgeable.max(settled);
    }
}

impl Log {
    /// Records before this offset may be acknowledged, and be seen by consumers when all in-sync replicas have them: a sync
    /// has covered them, or `flush.messages` lets them be without. The end of the log, unless syncs are under way.
    pub fn acknowledgeable_offset(&self) -> Offset {
        self.view.read().acknowledgeable
    }

    /// Whether the directory is offline, so that nothing waits for a sync any more: it won't come.
    pub fn is_offline(&self) -> bool {
        self.context.is_offline()
    }

    /// Notes what is durable now.
    pub(crate) fn settle(&self) {
        let limit = self.config().flush_messages;
        let mut view = self.view.write();
        view.settle(self.recovery_point(), limit);
    }

    /// Asks for a sync when more records are not durable than `flush.messages` lets be.
    pub(crate) fn queue_sync_if_needed(&self) {
        if self.context.shares_syncs() && self.acknowledgeable_offset() < self.log_end_offset() {
            self.context.queue_sync(&self.partition);
        }
    }

    fn sync_mark(&self) -> Mark {
        // In this order: a truncation in between makes the mark void.
        let truncations = self.truncations.load(Ordering::Acquire);
        self.entries_dirty.store(false, Ordering::Release);
        let bytes = self.appended_bytes.load(Ordering::Relaxed);
        let end = self.log_end_offset_metadata();
        Mark { end: end.offset, active: end.segment_base_offset, bytes, truncations }
    }

    fn synced_to(&self, mark: &Mark, has_epochs: bool) -> Result<(), StorageError> {
        let _one_at_a_time = self.flushing.lock();
        if self.truncations.load(Ordering::Acquire) != mark.truncations {
            return Ok(());
        }
        self.last_flush.store(self.context.environment.clock.monotonic().0, Ordering::Release);
        self.synced_bytes.fetch_max(mark.bytes, Ordering::Relaxed);
        self.synced(has_epochs, mark.end, mark.active)
    }
}

impl LogDirectory {
    /// Makes all logs durable that wait for it. Gives them, whether it succeeded or not: what may be acknowledged, and
    /// whether the directory is offline, they say themselves.
    pub(crate) fn sync_waiting(&self) -> Vec<Arc<Log>> {
        let waiting = std::mem::take(&mut *self.context.unsynced.lock());
        if waiting.is_empty() {
            return Vec::new();
        }
        let waiting: Vec<Arc<Log>> = {
            let logs = self.logs.read();
            waiting.iter().filter_map(|partition| logs.get(partition).cloned()).collect()
        };
        let synced = match self.context.check() {
            Ok(()) => self.sync_together(&waiting),
            offline => offline,
        };
        if let Err(error) = synced {
            // Whatever kept the sync from being done, the waiting appends have no other: they must not wait for ever.
            if let StorageError::Disk(error) | StorageError::DiskFull(error) = &error {
                self.context.take_offline(error);
            }
            tracing::error!(directory = %self.path().display(), %error, logs = waiting.len(),
                "what waits for a sync can't be acknowledged");
        }
        waiting
    }

    /// Moves the recovery points of logs forward that would make a recovery long: those with the most bytes that no sync has
    /// covered, when all together have too many. Says whether any was moved.
    pub(crate) fn bound_unsynced(&self) -> bool {
        let mut unsynced: Vec<(u64, Arc<Log>)> =
            self.logs().into_iter().map(|log| (log.unsynced_bytes(), log)).filter(|(bytes, _)| *bytes > 0).collect();
        let mut total: u64 = unsynced.iter().map(|(bytes, _)| bytes).sum();
        if total <= UNSYNCED_BYTES_MAX {
            return false;
        }
        unsynced.sort_by_key(|(bytes, _)| *bytes);
        while let Some((bytes, log)) = unsynced.pop().filter(|_| total > UNSYNCED_BYTES_MAX / 2) {
            if let Err(error) = log.flush() {
                tracing::warn!(partition = %log.partition, %error, "can't flush");
                return true;
            }
            total -= bytes;
        }
        true
    }

    /// Moves the recovery points of logs forward that have got nothing new since the last time. Their bytes are mostly on the
    /// disk already, since the system does not let them wait so long.
    pub(crate) fn sync_resting(&self) {
        let resting: Vec<Arc<Log>> = self.logs().into_iter().filter(|log| log.rests_unsynced()).collect();
        if let Err(error) = self.sync_together(&resting) {
            tracing::warn!(directory = %self.path().display(), %error, "can't flush what rests");
        }
    }

    /// Brings the files of leader epochs up to date, with one sync for many. Their names are left to the caller's sync. Gives
    /// those for which the disk had no room.
    fn write_epochs(
        &self,
        logs: &[Arc<Log>],
        file_system: &dyn FileSystem,
    ) -> Result<BTreeSet<TopicPartition>, StorageError> {
        let (mut beside, mut lacking) = (Vec::new(), BTreeSet::new());
        // In the order of partitions, as whoever else waits for several logs.
        let ordered: BTreeMap<&TopicPartition, &Arc<Log>> = logs.iter().map(|log| (&log.partition, log)).collect();
        for (partition, log) in ordered {
            match log.write_epochs_beside() {
                Err(StorageError::DiskFull(error)) => {
                    tracing::warn!(%partition, %error, "no room for the leader epochs");
                    lacking.insert(partition.clone());
                }
                written => beside.extend(written?),
            }
        }
        if beside.len() < TOGETHER_MIN {
            beside.iter().try_for_each(EpochsBeside::sync)?;
        } else {
            file_system.sync().map_err(|error| self.context.failed(error))?;
        }
        beside.into_iter().try_for_each(EpochsBeside::rename)?;
        Ok(lacking)
    }

    fn sync_together(&self, logs: &[Arc<Log>]) -> Result<(), StorageError> {
        match &self.context.file_system {
            Some(file_system) if logs.len() >= TOGETHER_MIN => {
                let marks: Vec<Mark> = logs.iter().map(|log| log.sync_mark()).collect();
                let lacking = self.write_epochs(logs, &**file_system)?;
                file_system.sync().map_err(|error| self.context.failed(error))?;
                let mut synced = logs.iter().zip(&marks);
                synced.try_for_each(|(log, mark)| log.synced_to(mark, !lacking.contains(&log.partition)))
            }
            _ => logs.iter().try_for_each(|log| match log.flush() {
                // One that was deleted meanwhile keeps nobody else waiting.
                Err(StorageError::Closed(_)) => Ok(()),
                flushed => flushed.map(drop),
            }),
        }
    }
}
