//! Changes of the log's shape: rolling, flushing, truncating, removing what is old, closing.

use crate::config::LogConfig;
use crate::context::RemovalKind;
use crate::epochs::LeaderEpochs;
use crate::error::{ReadError, StorageError};
use crate::format::{TimestampOffset, format_producer_snapshot};
use crate::log::{Log, OffsetMetadata, View, Writer};
use crate::names::{DELETED_FILE_SUFFIX, FileKind};
use crate::producer_recovery::ProducerSource;
use crate::recovery::index_segment;
use crate::retention::{Expired, LogFacts, SegmentFacts, expired};
use crate::roll::{ActiveSegment, Incoming, roll_reason};
use crate::segment::{MemoryIndex, Segment, relative};
use crate::small_file::remove_file_if_exists;
use ottla_env::{DiskResult, OpenMode};
use ottla_types::{Offset, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Log {
    /// Rolls the active segment when what comes does not go into it any more. The view that results is returned.
    pub(crate) fn maybe_roll(
        &self,
        writer: &mut Writer,
        view: View,
        incoming: &Incoming,
        first_offset: Offset,
        config: &LogConfig,
    ) -> Result<View, StorageError> {
        let Some(active) = view.active() else { return Err(StorageError::Closed(self.partition.clone())) };
        self.load_active_index(&view).map_err(|error| self.failed(error))?;
        let (first_timestamp, index_full) =
            active.memory_index(|index| (index.first_timestamp, index.is_full(config))).unwrap_or((None, false));
        let facts = ActiveSegment {
            base_offset: active.base_offset,
            size: view.end.position,
            first_timestamp,
            created: active.created,
            jitter_ms: active.roll_jitter_ms,
            index_full,
        };
        // Only the rule for records without timestamps asks for the time.
        let now = self.context.environment.clock.wall();
        let end = view.end.offset;
        match roll_reason(&facts, incoming, now, config) {
            None => Ok(view),
            // The new segment begins where the old one ends, also when a follower's records begin later: so a gap between
            // segments tells, after a crash, that something is missing.
            Some(_) if incoming.last_offset.since(end) <= i64::from(i32::MAX) => {
                self.roll_to(writer, &view, end, config)
            }
            Some(_) => self.roll_to(writer, &view, first_offset.max(end), config),
        }
    }

    /// Begins a new segment at the end of the log, whatever the old one's size. An empty one stays.
    pub fn roll(&self) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let view = self.view();
        self.load_active_index(&view).map_err(|error| self.failed(error))?;
        self.roll_to(&mut writer, &view, view.end.offset, &self.config()).map(drop)
    }

    /// **Order of writes:** the old segment's indexes, the producer snapshot, the new segment's file. They are synced by the
    /// flush that moves the recovery point over the old segment's end; after a crash before that the old segment is scanned
    /// again and its indexes are built anew. Only when the point is there already they are synced here.
    fn roll_to(
        &self,
        writer: &mut Writer,
        view: &View,
        base_offset: Offset,
        config: &LogConfig,
    ) -> Result<View, StorageError> {
        let Some(old) = view.active() else { return Err(StorageError::Closed(self.partition.clone())) };
        if old.base_offset >= base_offset {
            return Ok(view.clone());
        }
        let segment = self.make_segment(writer, old, base_offset, config).map_err(|error| self.failed(error))?;
        let mut segments: Vec<Arc<Segment>> = view.segments.to_vec();
        segments.push(segment);
        let mut current = self.view.write();
        current.segments = segments.into();
        current.end = OffsetMetadata { offset: view.end.offset, segment_base_offset: base_offset, position: 0 };
        let rolled = current.clone();
        drop(current);
        old.release_memory_index();
        // Everything was durable already, so that no flush would look at the old segment again.
        if self.recovery_point() >= base_offset {
            self.sync_sealed(&rolled, old.base_offset).map_err(|error| self.failed(error))?;
        }
        self.context.to_flush.lock().insert(self.partition.clone());
        Ok(rolled)
    }

    fn make_segment(
        &self,
        writer: &mut Writer,
        old: &Segment,
        base_offset: Offset,
        config: &LogConfig,
    ) -> DiskResult<Arc<Segment>> {
        old.write_indexes(self.disk())?;
        writer.producers.set_end_offset(base_offset);
        self.take_snapshot(writer)?;
        // The names of earlier segments are durable before there is a later one: else a crash could leave the later one alone.
        self.sync_entries()?;
        let clock = &self.context.environment.clock;
        let jitter = random_jitter(self, config);
        self.entries_dirty.store(true, Ordering::Release);
        let made = Segment::create(self.disk(), base_offset, self.path.clone(), clock.wall(), jitter).and_then(
            |(segment, file)| {
                if config.preallocate {
                    file.reserve(u64::from(config.segment_bytes))?;
                }
                self.context.files.insert(&segment, file)?;
                Ok(segment)
            },
        );
        if made.is_err() {
            // An empty file at this offset would hide what the old segment goes on to take there.
            remove_file_if_exists(self.disk(), &self.path.file(FileKind::Log, base_offset))?;
        }
        made
    }

    /// Writes the producers' state as a snapshot of the log up to the state's end, if the log has grown since the last.
    pub(crate) fn take_snapshot(&self, writer: &mut Writer) -> DiskResult<()> {
        let offset = writer.producers.end_offset();
        if writer.snapshots.last().is_some_and(|last| *last >= offset) || offset == Offset::ZERO {
            return Ok(());
        }
        let contents = format_producer_snapshot(writer.producers.snapshot());
        let path = self.path.file(FileKind::ProducerSnapshot, offset);
        self.disk().open(&path, OpenMode::CreateTruncate)?.write_at(&contents, 0)?;
        writer.snapshots.insert(offset);
        self.entries_dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes everything appended so far durable. Appends go on meanwhile. When this returns, all that was appended before
    /// the call survives a crash, and the recovery point is there, unless the disk had no room for a new leader epoch.
    pub fn flush(&self) -> Result<Offset, StorageError> {
        self.context.check()?;
        let _one_at_a_time = self.flushing.lock();
        // Counted before the view is taken: what comes between counts as not covered.
        let bytes = self.appended_bytes.load(Ordering::Relaxed);
        let flushed = self.flush_view(&self.view())?;
        self.synced_bytes.fetch_max(bytes, Ordering::Relaxed);
        Ok(flushed)
    }

    pub(crate) fn flush_locked(&self, _writer: &mut Writer) -> Result<Offset, StorageError> {
        let _one_at_a_time = self.flushing.lock();
        self.flush_view(&self.view())
    }

    /// Makes sealed segments durable, so that recovery need not look at them. The active one is left alone.
    pub fn flush_sealed(&self) -> Result<Offset, StorageError> {
        self.context.check()?;
        let _one_at_a_time = self.flushing.lock();
        let mut view = self.view();
        if let Some(active) = view.active() {
            let offset = active.base_offset;
            view.end = OffsetMetadata { offset, segment_base_offset: offset, position: 0 };
        }
        self.flush_view(&view)
    }

    fn flush_view(&self, view: &View) -> Result<Offset, StorageError> {
        let from = self.recovery_point();
        if view.end.offset > from {
            let active = view.active().map_or(Offset::ZERO, |active| active.base_offset);
            let has_epochs = self.write_dirty_epochs_if_room().map_err(|error| self.failed(error))?;
            self.sync_from(view, from).map_err(|error| self.failed(error))?;
            self.synced(has_epochs, view.end.offset, active)?;
        }
        let clock = &self.context.environment.clock;
        self.last_flush.store(clock.monotonic().0, Ordering::Release);
        Ok(self.recovery_point())
    }

    /// Everything before `end` has been synced. Without its epochs in their file it may be acknowledged, but opening the log must
    /// look at it. The caller holds `flushing`.
    pub(crate) fn synced(&self, has_epochs: bool, end: Offset, active: Offset) -> Result<(), StorageError> {
        if has_epochs {
            return self.advance_recovery_point(end, active).map_err(|error| self.failed(error));
        }
        let limit = self.config().flush_messages;
        self.view.write().settle(end, limit);
        Ok(())
    }

    /// **Order:** contents first, then the entries of the directory, then the entry of the directory itself. Only after all
    /// of it may the recovery point move. The leader epochs are written before it.
    pub(crate) fn sync_from(&self, view: &View, from: Offset) -> DiskResult<()> {
        let first = view.floor(from).unwrap_or(0);
        for (number, segment) in view.segments.iter().enumerate().skip(first) {
            if segment.base_offset >= view.end.offset {
                break;
            }
            let file = self.context.files.get(segment)?;
            segment.sync(self.disk(), &*file)?;
            // The snapshot that belongs to the end of this segment.
            if let Some(next) = view.segments.get(number + 1) {
                self.sync_snapshot(next.base_offset)?;
            }
        }
        self.sync_entries()
    }

    /// Moves the recovery point to where a sync has covered the log, unless it is there already. `active` is the segment that
    /// was written when the sync began. The caller holds `flushing`, so that no truncation comes between.
    ///
    /// When a roll has come between, the indexes of the old segment may have been written after the sync: they are made
    /// durable before the point may pass them.
    fn advance_recovery_point(&self, end: Offset, active: Offset) -> DiskResult<()> {
        let rolled = {
            let mut view = self.view.write();
            let now = view.active().map_or(active, |active| active.base_offset);
            if now == active || end < now {
                self.store_recovery_point(&mut view, end);
                return Ok(());
            }
            view.clone()
        };
        self.sync_sealed(&rolled, active)?;
        self.store_recovery_point(&mut self.view.write(), end);
        Ok(())
    }

    fn store_recovery_point(&self, view: &mut View, end: Offset) {
        self.recovery_point.fetch_max(end.0, Ordering::AcqRel);
        view.settle(self.recovery_point(), self.config().flush_messages);
    }

    /// Makes the indexes and snapshots of the sealed segments from `first` on durable; their batches are already.
    fn sync_sealed(&self, view: &View, first: Offset) -> DiskResult<()> {
        let from = view.segments.partition_point(|segment| segment.base_offset < first);
        for pair in view.segments.get(from..).unwrap_or_default().windows(2) {
            if let [sealed, next] = pair {
                sealed.sync_indexes(self.disk())?;
                self.sync_snapshot(next.base_offset)?;
            }
        }
        self.sync_entries()
    }

    /// Makes the names of the log's files durable, and that of its directory.
    fn sync_entries(&self) -> DiskResult<()> {
        if self.entries_dirty.swap(false, Ordering::AcqRel) {
            let path = self.path.get();
            self.context.sync_directory(&path)?;
            self.context.sync_directory(path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    pub(crate) fn sync_snapshot(&self, offset: Offset) -> DiskResult<()> {
        match self.disk().open(&self.path.file(FileKind::ProducerSnapshot, offset), OpenMode::ReadWrite) {
            Ok(file) => file.sync(),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Has the active segment's index in memory, from its files or, when they can't be right, from its batches.
    pub(crate) fn load_active_index(&self, view: &View) -> DiskResult<()> {
        let Some(active) = view.active() else { return Ok(()) };
        if active.is_in_memory() {
            return Ok(());
        }
        let size = view.end.position;
        let file = self.context.files.get(active)?;
        let index = match active.read_indexes(self.disk(), size)? {
            Some(mut index) => {
                let first = crate::scan::HeaderWalk::new(&*file, 0, size).next()?;
                index.first_timestamp = first.and_then(Result::ok).map(|first| first.header.max_timestamp);
                index
            }
            None => index_segment(active.base_offset, &*file, size, &self.config())?,
        };
        active.set_memory_index(index);
        Ok(())
    }

    /// Cuts the log so that it ends with `offset`. What a batch holds beyond it goes with the whole batch, as in Kafka. Epochs
    /// that begin at the end go also when the log ends there already: a leadership that was lost before its first record has
    /// left one, and it would contradict the next leader for ever (KAFKA-10706).
    ///
    /// **Order of writes:** the recovery point is lowered on the disk first, so that what is appended later at the same
    /// offsets can't pass for durable; then whole segments go, the last first; then the file of the rest is cut and synced.
    /// After a crash at any point the log is a beginning of what it was, and no shorter than asked for.
    pub fn truncate_to(&self, offset: Offset) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let view = self.view();
        if offset >= view.end.offset {
            self.change_epochs(|epochs| epochs.truncate_from_end(view.end.offset));
            return Ok(());
        }
        if view.segments.first().is_some_and(|first| first.base_offset > offset) {
            drop(writer);
            return self.truncate_fully_and_start_at(offset);
        }
        let _one_at_a_time = self.flushing.lock();
        self.truncate_locked(&mut writer, &view, offset).map_err(|error| self.failed(error))
    }

    fn truncate_locked(&self, writer: &mut Writer, view: &View, offset: Offset) -> DiskResult<()> {
        self.lower_checkpoints(offset)?;
        let number = view.floor(offset).unwrap_or(0);
        let (kept, gone) = view.segments.split_at(number + 1);
        let Some(active) = kept.last() else { return Ok(()) };
        let size = self.size_in(view, active)?;
        let file = self.context.files.get(active)?;
        let cut = match active.find(self.disk(), &*file, offset, size)? {
            Some(Ok(located)) => located.position,
            Some(Err(fault)) => fault.position,
            None => size,
        };
        let end = OffsetMetadata { offset, segment_base_offset: active.base_offset, position: cut };
        // Readers see the shorter log before anything of it goes.
        {
            let mut current = self.view.write();
            current.segments = kept.into();
            current.end = end;
            current.log_start_offset = current.log_start_offset.min(offset);
            current.high_watermark = current.high_watermark.min(offset);
            current.acknowledgeable = current.acknowledgeable.min(offset);
            current.high_watermark_position = None;
        }
        for segment in gone.iter().rev() {
            self.remove_last_segment(writer, segment)?;
        }
        let mut index = self.index_for_truncation(active, &*file, cut, offset)?;
        index.first_timestamp = if cut == 0 { None } else { index.first_timestamp };
        file.set_length(cut)?;
        file.sync()?;
        active.set_size(cut);
        active.set_memory_index(index);
        active.truncate_aborted(self.disk(), offset)?;
        self.forget_from(writer, offset)
    }

    /// Forgets epochs and producers from an offset on.
    fn forget_from(&self, writer: &mut Writer, offset: Offset) -> DiskResult<()> {
        self.change_epochs(|epochs| epochs.truncate_from_end(offset));
        let beyond = writer.snapshots.split_off(&offset.next());
        for snapshot in beyond {
            remove_file_if_exists(self.disk(), &self.path.file(FileKind::ProducerSnapshot, snapshot))?;
        }
        let view = self.view();
        let source = ProducerSource {
            context: &self.context,
            path: &self.path,
            segments: &view.segments,
            log_start_offset: view.log_start_offset,
            expiration_ms: self.config().producer_id_expiration_ms,
        };
        writer.producers = source.load(&mut writer.snapshots, offset)?;
        writer.producers.on_replicated(view.high_watermark);
        self.view.write().first_unstable = writer.producers.first_unstable_offset();
        Ok(())
    }

    fn index_for_truncation(
        &self,
        segment: &Segment,
        file: &dyn ottla_env::File,
        cut: u64,
        offset: Offset,
    ) -> DiskResult<MemoryIndex> {
        let known = match segment.memory_index(Clone::clone) {
            Some(index) => Some(index),
            None => segment.read_indexes(self.disk(), u64::from(u32::MAX))?,
        };
        let config = self.config();
        let Some(mut index) = known else { return index_segment(segment.base_offset, file, cut, &config) };
        index.offsets.truncate(relative(segment.base_offset, offset));
        index.offsets.truncate_position(u32::try_from(cut).unwrap_or(u32::MAX));
        index.times.truncate(relative(segment.base_offset, offset));
        // The greatest timestamp may have gone; between the last entry and the end there may be a greater one.
        index.refresh_largest(segment.base_offset, file, cut)?;
        Ok(index)
    }

    fn lower_checkpoints(&self, offset: Offset) -> DiskResult<()> {
        self.truncations.fetch_add(1, Ordering::AcqRel);
        // Before the files: a checkpoint that is written right after them must not collect the old ones.
        self.durable_log_start.fetch_min(offset.0, Ordering::AcqRel);
        self.recovery_point.fetch_min(offset.0, Ordering::AcqRel);
        self.context.lower(&self.partition, offset)
    }

    /// Empties the log and lets it go on at `offset`: for a follower whose leader no longer has what it would need.
    pub fn truncate_fully_and_start_at(&self, offset: Offset) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let _one_at_a_time = self.flushing.lock();
        self.restart_at(&mut writer, offset).map_err(|error| self.failed(error))
    }

    fn restart_at(&self, writer: &mut Writer, offset: Offset) -> DiskResult<()> {
        let view = self.view();
        self.lower_checkpoints(offset.min(view.log_start_offset))?;
        let config = self.config();
        for segment in view.segments.iter().rev() {
            self.remove_last_segment(writer, segment)?;
        }
        let clock = &self.context.environment.clock;
        let jitter = random_jitter(self, &config);
        let (segment, file) = Segment::create(self.disk(), offset, self.path.clone(), clock.wall(), jitter)?;
        self.context.files.insert(&segment, file)?;
        let end = OffsetMetadata { offset, segment_base_offset: offset, position: 0 };
        *self.view.write() = View {
            segments: Arc::new([segment]),
            log_start_offset: offset,
            end,
            high_watermark: offset,
            acknowledgeable: offset,
            high_watermark_position: Some(end),
            first_unstable: None,
        };
        for snapshot in std::mem::take(&mut writer.snapshots) {
            remove_file_if_exists(self.disk(), &self.path.file(FileKind::ProducerSnapshot, snapshot))?;
        }
        writer.producers = crate::producers::ProducerStates::new(offset);
        self.replace_epochs(LeaderEpochs::default())?;
        self.context.sync_directory(&self.path.get())?;
        self.recovery_point.store(offset.0, Ordering::Release);
        Ok(())
    }

    /// Lets the log begin later (DeleteRecords, or what a leader says). What is before can't be read from now on; whole
    /// segments of it go with the next retention. The new start survives a crash once the directory's checkpoint of it is
    /// written ([`LogDirectories::keep_log_starts`](crate::LogDirectories::keep_log_starts)).
    pub fn advance_log_start_offset(&self, offset: Offset) -> Result<Offset, ReadError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let view = self.view.read();
        if offset > view.high_watermark {
            let (log_start, log_end) = (view.log_start_offset, view.end.offset);
            return Err(ReadError::OffsetOutOfRange { requested: offset, log_start, log_end });
        }
        drop(view);
        self.move_start(&mut writer, offset)?;
        Ok(self.log_start_offset())
    }

    /// Lets the log begin after the segments that the configuration no longer wants. Says how many those are.
    ///
    /// Their files go with `remove_old_segments`, once the new start is in the directory's checkpoint.
    pub fn apply_retention(&self, now: Timestamp) -> Result<usize, StorageError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let config = self.config();
        let mut view = self.view();
        let facts = self.segment_facts(&writer, &view).map_err(|error| self.failed(error))?;
        let log = LogFacts {
            log_start_offset: view.log_start_offset,
            log_end_offset: view.end.offset,
            high_watermark: view.high_watermark,
        };
        let Some(Expired { segments, reason }) = expired(&facts, &log, now, &config) else { return Ok(0) };
        if segments == view.segments.len() {
            self.load_active_index(&view).map_err(|error| self.failed(error))?;
            view = self.roll_to(&mut writer, &view, view.end.offset, &config)?;
        }
        let Some(first) = view.segments.get(segments) else { return Ok(0) };
        if first.base_offset > view.log_start_offset {
            tracing::info!(partition = %self.partition, segments, ?reason, "old segments are to be removed");
        }
        self.move_start(&mut writer, first.base_offset)?;
        Ok(segments)
    }

    fn move_start(&self, writer: &mut Writer, offset: Offset) -> Result<(), StorageError> {
        let mut view = self.view.write();
        if offset <= view.log_start_offset {
            return Ok(());
        }
        view.log_start_offset = offset;
        view.high_watermark = view.high_watermark.max(offset);
        writer.producers.on_replicated(offset);
        view.first_unstable = writer.producers.first_unstable_offset().map(|first| first.max(offset));
        drop(view);
        self.change_epochs(|epochs| epochs.truncate_from_start(offset));
        Ok(())
    }

    /// As `remove_old_segments`, where the new start can't be made durable since the disk is full. One segment goes after the
    /// other, each durably before the next, so that no crash leaves a gap; and at once, since room is needed.
    pub(crate) fn remove_old_segments_singly(&self) -> Result<usize, StorageError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let mut removed = 0;
        loop {
            let view = self.view();
            if view.floor(view.log_start_offset).unwrap_or(0) == 0 {
                return Ok(removed);
            }
            self.remove_oldest(&mut writer, &view, 1, 0).map_err(|error| self.failed(error))?;
            removed += 1;
        }
    }

    /// Removes the segments that lie wholly before the start of the log. Says how many.
    ///
    /// **Order:** the new start is durable first (only what the checkpoint has counts here); then the segments go, the
    /// oldest first; then that is made durable, so that the checkpoint may forget the start again. Whatever names a crash in
    /// between leaves, those before the start are not part of the log.
    pub fn remove_old_segments(&self) -> Result<usize, StorageError> {
        let mut writer = self.writer.lock();
        self.check_writable(&writer)?;
        let view = self.view();
        let start = view.log_start_offset.min(Offset(self.durable_log_start.load(Ordering::Acquire)));
        let count = view.floor(start).unwrap_or(0);
        if count > 0 {
            let delay = self.config().file_delete_delay_ms;
            self.remove_oldest(&mut writer, &view, count, delay).map_err(|error| self.failed(error))?;
        }
        Ok(count)
    }

    pub(crate) fn largest_timestamp(&self, segment: &Arc<Segment>) -> DiskResult<Option<TimestampOffset>> {
        segment.largest_timestamp(self.disk(), || self.context.files.get(segment))
    }

    fn segment_facts(&self, writer: &Writer, view: &View) -> DiskResult<Vec<SegmentFacts>> {
        let facts = |segment: &Arc<Segment>| {
            let largest = self.largest_timestamp(segment)?.map(|largest| largest.timestamp);
            Ok(SegmentFacts {
                base_offset: segment.base_offset,
                size: self.size_in(view, segment)?,
                // The time of a file is no witness: it changes with copies. The log knows when it was opened or written.
                largest_timestamp: largest.unwrap_or(segment.created.max(writer.last_append)),
            })
        };
        view.segments.iter().map(facts).collect()
    }

    fn remove_oldest(&self, writer: &mut Writer, view: &View, count: usize, delay_ms: u64) -> DiskResult<()> {
        let (gone, kept) = view.segments.split_at(count);
        self.view.write().segments = kept.into();
        for segment in gone {
            self.remove_segment(writer, segment, delay_ms)?;
        }
        self.context.sync_directory(&self.path.get())
    }

    /// Removes the last segment, durably before the one before it may go: so no crash leaves a gap.
    fn remove_last_segment(&self, writer: &mut Writer, segment: &Segment) -> DiskResult<()> {
        self.remove_segment(writer, segment, self.config().file_delete_delay_ms)?;
        self.context.sync_directory(&self.path.get())
    }

    /// Renames a segment's files so that they are out of the way, and has them removed after so long.
    fn remove_segment(&self, writer: &mut Writer, segment: &Segment, delay: u64) -> DiskResult<()> {
        for path in segment.mark_deleted(self.disk())? {
            self.context.remove_later(path, RemovalKind::File, delay);
        }
        if writer.snapshots.remove(&segment.base_offset) {
            let path = self.path.file(FileKind::ProducerSnapshot, segment.base_offset);
            let mut renamed = path.clone().into_os_string();
            renamed.push(DELETED_FILE_SUFFIX);
            let renamed = PathBuf::from(renamed);
            match self.disk().rename(&path, &renamed) {
                Ok(()) => self.context.remove_later(renamed, RemovalKind::File, delay),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets producers that have been silent for longer than `producer.id.expiration.ms`. Says how many.
    pub fn remove_expired_producers(&self, now: Timestamp) -> usize {
        let expiration = self.config().producer_id_expiration_ms;
        let mut writer = self.writer.lock();
        if writer.producers.is_empty() { 0 } else { writer.producers.remove_expired(now, expiration) }
    }

    /// About how many bytes no sync has covered yet.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        let appended = self.appended_bytes.load(Ordering::Relaxed);
        if self.log_end_offset() <= self.recovery_point() {
            return 0;
        }
        appended.saturating_sub(self.synced_bytes.load(Ordering::Relaxed))
    }

    /// Whether nothing was appended since the last time this was asked, while there is something that no sync has covered.
    pub(crate) fn rests_unsynced(&self) -> bool {
        let end = self.log_end_offset();
        self.seen_end.swap(end.0, Ordering::Relaxed) == end.0 && self.recovery_point() < end
    }

    /// Whether records have waited longer than `flush.ms` to be made durable.
    pub(crate) fn flush_is_due(&self) -> bool {
        let config = self.config();
        if config.flush_ms == i64::MAX || self.log_end_offset() <= self.recovery_point() {
            return false;
        }
        let now = self.context.environment.clock.monotonic();
        let last = ottla_env::Monotonic(self.last_flush.load(Ordering::Acquire));
        now.since(last).as_millis() >= config.flush_ms.max(0) as u128
    }
}

/// A random part of `segment.jitter.ms`.
pub(crate) fn random_jitter(log: &Log, config: &LogConfig) -> i64 {
    jitter(&*log.context.environment.random, config)
}

pub(crate) fn jitter(random: &dyn ottla_env::Random, config: &LogConfig) -> i64 {
    let bound = config.segment_jitter_ms.min(config.segment_ms);
    if bound <= 0 { 0 } else { (random.next_u64() % bound as u64) as i64 }
}
