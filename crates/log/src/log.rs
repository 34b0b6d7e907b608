//! The log of one partition.

use crate::config::LogConfig;
use crate::context::DirectoryContext;
use crate::epochs::LeaderEpochs;
use crate::error::{Damage, StorageError};
use crate::producers::{ProducerError, ProducerStates, VerificationGuard, VerificationRequest};
use crate::segment::{LogPath, Segment};
use ottla_env::{Disk, DiskError};
use ottla_types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// An offset with the place where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetMetadata {
    /// The offset.
    pub offset: Offset,
    /// The base offset of the segment that it is in.
    pub segment_base_offset: Offset,
    /// The position in that segment's file at which the batch with this offset begins.
    pub position: u64,
}

impl OffsetMetadata {
    /// The bytes from `earlier` to here, when both are in the same segment.
    pub fn bytes_since(&self, earlier: &Self) -> Option<u64> {
        let same = self.segment_base_offset == earlier.segment_base_offset;
        same.then(|| self.position.saturating_sub(earlier.position))
    }
}

/// What readers see of a log at one moment. Small, so that taking a copy costs no more than counting one reference.
#[derive(Clone)]
pub(crate) struct View {
    /// Ascending by base offset; never empty; the last is the active one.
    pub(crate) segments: Arc<[Arc<Segment>]>,
    pub(crate) log_start_offset: Offset,
    pub(crate) end: OffsetMetadata,
    pub(crate) high_watermark: Offset,
    /// See [`Log::acknowledgeable_offset`].
    pub(crate) acknowledgeable: Offset,
    /// Where the high watermark is, once someone has looked it up.
    pub(crate) high_watermark_position: Option<OffsetMetadata>,
    /// The first offset that readers of committed records may not pass.
    pub(crate) first_unstable: Option<Offset>,
}

impl View {
    pub(crate) fn active(&self) -> Option<&Arc<Segment>> {
        self.segments.last()
    }

    /// The number of the segment that holds an offset: the last whose base offset is not beyond it.
    pub(crate) fn floor(&self, offset: Offset) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base_offset <= offset).checked_sub(1)
    }

    pub(crate) fn last_stable_offset(&self) -> Offset {
        self.first_unstable.map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }
}

/// What only who changes the log may touch.
pub(crate) struct Writer {
    pub(crate) producers: ProducerStates,
    /// The offsets of the producer snapshots on the disk.
    pub(crate) snapshots: BTreeSet<Offset>,
    /// The wall clock at the last append: stands in for timestamps where records have none.
    pub(crate) last_append: Timestamp,
    pub(crate) closed: bool,
}

/// The log of one partition: segments of batches in offset order, in Kafka's files.
///
/// **Who waits for whom.** Changes (appends, truncation, retention, closing) serialise on an inner lock. Readers take a
/// copy of a published view and never wait for a change: bytes are written first, then the view that covers them is
/// published, so that whatever a view covers is there.
///
/// **Durability.** An append is not durable when it returns: as in Kafka, durability comes from replication, or from `flush`.
/// After `flush` has returned, everything appended before it survives a crash. With `flush.messages` an append may be
/// acknowledged once `acknowledgeable_offset` has passed it.
///
/// **Failure.** A full disk refuses the change and leaves the log as it was. After any other failed write or sync the
/// whole directory is offline: every call that would promise something fails from then on.
pub struct Log {
    pub(crate) partition: TopicPartition,
    pub(crate) context: Arc<DirectoryContext>,
    pub(crate) path: Arc<LogPath>,
    pub(crate) topic_id: RwLock<Option<TopicId>>,
    /// Whether the topic id is still to be written.
    pub(crate) topic_id_dirty: AtomicBool,
    pub(crate) config: RwLock<Arc<LogConfig>>,
    pub(crate) view: RwLock<View>,
    pub(crate) epochs: RwLock<LeaderEpochs>,
    /// Whether `leader-epoch-checkpoint` is behind.
    pub(crate) epochs_dirty: AtomicBool,
    pub(crate) recovery_point: AtomicI64,
    pub(crate) writer: Mutex<Writer>,
    /// How often the log was truncated: a sync that began before does not count after.
    pub(crate) truncations: AtomicU64,
    /// Held while the recovery point moves, so that a flush and a truncation can't cross, and while the log leaves its place.
    /// Taken after `writer` by who takes both.
    pub(crate) flushing: Mutex<()>,
    /// Whether files were made since the directory was last synced.
    pub(crate) entries_dirty: AtomicBool,
    /// Bytes appended since the log was opened, and how many of them a sync has covered.
    pub(crate) appended_bytes: AtomicU64,
    pub(crate) synced_bytes: AtomicU64,
    /// The log end offset when it was last looked at whether the log rests.
    pub(crate) seen_end: AtomicI64,
    /// The monotonic time of the last flush.
    pub(crate) last_flush: AtomicU64,
    /// The log start offset that the directory's checkpoint has, durably. Segments go only when they are before it.
    pub(crate) durable_log_start: AtomicI64,
    pub(crate) damage: Option<Damage>,
    /// Whether its directory was given another name, from just before that on: what is not found there is no failure.
    pub(crate) has_left: AtomicBool,
}

impl Log {
    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The directory with the log's files.
    pub fn path(&self) -> PathBuf {
        self.path.get()
    }

    /// The log directory that it lies in.
    pub fn directory_path(&self) -> PathBuf {
        self.context.path.clone()
    }

    /// The topic's id, as `partition.metadata` says. `None` for the metadata log and for logs of old releases.
    pub fn topic_id(&self) -> Option<TopicId> {
        *self.topic_id.read()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.read().clone()
    }

    /// Changes the configuration. What is appended, rolled or removed from now on obeys it.
    pub fn set_config(&self, config: LogConfig) {
        let was = std::mem::replace(&mut *self.config.write(), Arc::new(config)).flush_messages;
        if was != self.config().flush_messages {
            self.settle();
            self.queue_sync_if_needed();
        }
    }

    /// The first offset that clients may read.
    pub fn log_start_offset(&self) -> Offset {
        self.view.read().log_start_offset
    }

    /// The offset that the next record will get.
    pub fn log_end_offset(&self) -> Offset {
        self.view.read().end.offset
    }

    /// The end of the log and its place.
    pub fn log_end_offset_metadata(&self) -> OffsetMetadata {
        self.view.read().end
    }

    /// The offset up to which consumers may read.
    pub fn high_watermark(&self) -> Offset {
        self.view.read().high_watermark
    }

    /// The offset up to which readers of committed records may read.
    pub fn last_stable_offset(&self) -> Offset {
        self.view.read().last_stable_offset()
    }

    /// Everything before this offset is durable.
    pub fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Acquire))
    }

    /// Log start, high watermark, last stable and log end offset, all of one moment.
    pub fn offsets(&self) -> LogOffsets {
        let view = self.view.read();
        LogOffsets {
            log_start: view.log_start_offset,
            high_watermark: view.high_watermark,
            last_stable: view.last_stable_offset(),
            log_end: view.end.offset,
        }
    }

    /// The base offsets of the segments, the oldest first.
    pub fn segment_base_offsets(&self) -> Vec<Offset> {
        self.view().segments.iter().map(|segment| segment.base_offset).collect()
    }

    /// The bytes of all segments, indexes not counted.
    pub fn size(&self) -> Result<u64, StorageError> {
        let view = self.view();
        let mut total = 0;
        for segment in view.segments.iter() {
            total += segment.size(self.disk())?;
        }
        Ok(total)
    }

    /// What is damaged, when recovery has found such a place.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Moves the high watermark. It stays between the start and the end of the log; the result is where it is then.
    /// The caller decides whether it may go back (a new follower's) or not.
    pub fn set_high_watermark(&self, offset: Offset) -> Offset {
        // Transactions whose markers it passes become stable; the writer's lock is taken only when there are any.
        if self.view.read().first_unstable.is_some() {
            let mut writer = self.writer.lock();
            let moved = self.move_high_watermark(offset);
            writer.producers.on_replicated(moved);
            self.view.write().first_unstable = writer.producers.first_unstable_offset();
            return moved;
        }
        self.move_high_watermark(offset)
    }

    fn move_high_watermark(&self, offset: Offset) -> Offset {
        let mut view = self.view.write();
        let moved = offset.clamp(view.log_start_offset, view.end.offset.max(view.log_start_offset));
        if moved != view.high_watermark {
            view.high_watermark = moved;
            view.high_watermark_position = (moved == view.end.offset).then_some(view.end);
        }
        moved
    }

    /// Notes that this replica leads in `epoch` from the end of the log on, so that questions about the epoch have an answer
    /// before its first record. Nothing is written: the file gets the epoch with the first records, and a start forgets
    /// an epoch without records, as Kafka's does. An older epoch than the latest is ignored.
    pub fn begin_leader_epoch(&self, epoch: LeaderEpoch) {
        let _writer = self.writer.lock();
        let mut epochs = self.epochs.write();
        if self.damage.is_none() && epochs.latest().is_none_or(|latest| latest.epoch < epoch) {
            epochs.assign(epoch, self.view.read().end.offset);
            self.epochs_dirty.store(true, Ordering::Release);
        }
    }

    /// The latest epoch that is known: that of the last append, or of a leadership that has begun.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.read().latest().map(|entry| entry.epoch)
    }

    /// A copy of all leader epochs.
    pub fn leader_epochs(&self) -> LeaderEpochs {
        self.epochs.read().clone()
    }

    /// Where an epoch ends here: the greatest epoch not above it and that one's end offset. `None` when nothing is known.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let end = self.log_end_offset();
        self.epochs.read().end_offset_for(epoch, end)
    }

    /// The epoch in which the record at an offset was appended.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.read().epoch_for(offset)
    }

    /// Looks at the producers of the partition, for DescribeProducers and the like. Appends wait meanwhile.
    pub fn with_producers<T>(&self, look: impl FnOnce(&ProducerStates) -> T) -> T {
        look(&self.writer.lock().producers)
    }

    /// Notes that the coordinator of a producer's transaction will be asked about this partition, see
    /// [`ProducerStates::begin_verification`].
    ///
    /// # Errors
    /// A later epoch of the producer is known here.
    pub fn begin_verification(
        &self,
        request: &VerificationRequest,
    ) -> Result<Option<VerificationGuard>, ProducerError> {
        self.writer.lock().producers.begin_verification(request)
    }

    pub(crate) fn view(&self) -> View {
        self.view.read().clone()
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.context.disk()
    }

    /// Judges a failed operation on the log's files. A log that was deleted, put aside or moved meanwhile has none where they
    /// were looked for.
    pub(crate) fn failed(&self, error: DiskError) -> StorageError {
        if error.is_not_found() && self.has_left() {
            return StorageError::Closed(self.partition.clone());
        }
        self.context.failed(error)
    }

    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Does something to what the log directory knows of the partition by its name. A log that has left may have a successor
    /// of that name, and must not: it is refused, and does not leave meanwhile.
    pub(crate) fn while_here<R, E: From<StorageError>>(&self, act: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let _stays = self.flushing.lock();
        if self.has_left() { Err(StorageError::Closed(self.partition.clone()).into()) } else { act() }
    }

    /// Judges the failure of something that others have done in the log's directory as if it were the log's own: a write or
    /// sync that failed takes the directory offline, a full disk does not.
    pub fn judge(&self, error: DiskError) -> StorageError {
        self.failed(error)
    }

    /// Refuses changes to a log that is closed, damaged or offline.
    pub(crate) fn check_writable(&self, writer: &Writer) -> Result<(), StorageError> {
        self.context.check()?;
        if let Some(damage) = &self.damage {
            return Err(damage.clone().into());
        }
        if writer.closed { Err(StorageError::Closed(self.partition.clone())) } else { Ok(()) }
    }
}

/// The four offsets that bound a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// The first offset that clients may read.
    pub log_start: Offset,
    /// The offset up to which consumers may read.
    pub high_watermark: Offset,
    /// The offset up to which readers of committed records may read.
    pub last_stable: Offset,
    /// The offset that the next record will get.
    pub log_end: Offset,
}
