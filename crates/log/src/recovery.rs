//! Opening a log: after a clean stop by looking at names, after any other by reading what may not be durable.

use crate::batch::{BatchFault, BatchHeader};
use crate::batch_reader::BatchReader;
use crate::config::LogConfig;
use crate::context::DirectoryContext;
use crate::epochs::LeaderEpochs;
use crate::error::{Damage, OpenError};
use crate::format::{AbortedTransaction, parse_epoch_checkpoint, parse_partition_metadata};
use crate::listing::Listing;
use crate::log::{Log, OffsetMetadata, View, Writer};
use crate::names::{FileKind, LEADER_EPOCH_FILE, PARTITION_METADATA_FILE};
use crate::producer_recovery::{ProducerSource, control_batch, replay_batch};
use crate::producers::ProducerStates;
use crate::scan::{Fault, HeaderWalk};
use crate::segment::{LogPath, MemoryIndex, Segment};
use crate::small_file::{read_file, remove_file_if_exists};
use ottla_env::{DiskResult, File};
use ottla_types::{Offset, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

/// The most that a small file of a partition may have; larger ones are not what they should be.
const SMALL_FILE_MAX: u64 = 64 << 20;

/// What the directory's checkpoints say of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadFrom {
    /// Whether the last stop was clean.
    pub(crate) clean: bool,
    pub(crate) recovery_point: Offset,
    pub(crate) log_start_offset: Offset,
    pub(crate) high_watermark: Offset,
    /// Below it compaction has been.
    pub(crate) cleaned: Offset,
}

/// Builds the index of a segment from the headers of its batches. Checksums are not checked.
pub(crate) fn index_segment(
    base_offset: Offset,
    file: &dyn File,
    size: u64,
    config: &LogConfig,
) -> DiskResult<MemoryIndex> {
    let mut index = MemoryIndex::default();
    let mut walk = HeaderWalk::new(file, 0, size);
    while let Some(Ok(located)) = walk.next()? {
        index.add(base_offset, &located.header, located.position, config);
    }
    Ok(index)
}

/// One log while it is being opened.
struct Loader<'a> {
    context: &'a Arc<DirectoryContext>,
    path: Arc<LogPath>,
    config: &'a LogConfig,
    from: LoadFrom,
    epochs: LeaderEpochs,
    /// As the file has them; `None` when it can't be read.
    epochs_of_file: Option<LeaderEpochs>,
    snapshots: BTreeSet<Offset>,
}

/// The segments of an opened log, and where they end.
struct Opened {
    segments: Vec<Arc<Segment>>,
    end: OffsetMetadata,
    damage: Option<Damage>,
    producers: ProducerStates,
}

impl Log {
    /// Opens the log in a directory, or begins a new one there. The directory exists.
    pub(crate) fn open(
        context: &Arc<DirectoryContext>,
        path: PathBuf,
        partition: TopicPartition,
        config: LogConfig,
        from: LoadFrom,
    ) -> Result<Self, OpenError> {
        let topic_id = read_topic_id(context, &path)?;
        let epochs = read_epochs(context, &path)?;
        let mut loader = Loader {
            context,
            path: LogPath::new(path),
            config: &config,
            from,
            epochs: epochs.clone().unwrap_or_default(),
            epochs_of_file: epochs,
            snapshots: BTreeSet::new(),
        };
        let listing = Listing::read(context, &loader.path)?;
        loader.snapshots = listing.snapshots.clone();
        let mut opened = loader.open_segments(listing)?;
        if loader.epochs_of_file.is_none() {
            loader.rebuild_epochs(&opened)?;
        }
        loader.complete_epochs(&opened)?;
        let epochs_dirty = loader.finish_epochs(&opened)?;
        loader.remove_stray_snapshots(&opened)?;
        if let Some(damage) = &opened.damage {
            // The other replicas may have what is lost here; nobody but a person can tell what to do where there are none.
            tracing::error!(%partition, %damage, "the log can be read up to there, and nothing is written to it");
        }
        let Loader { path, epochs, snapshots, .. } = loader;
        let end = opened.end;
        let view = first_view(&mut opened, &from);
        let writer = Writer {
            producers: opened.producers,
            snapshots,
            last_append: context.environment.clock.wall(),
            closed: false,
        };
        let log = Self {
            partition,
            context: context.clone(),
            path,
            topic_id: RwLock::new(topic_id),
            topic_id_dirty: AtomicBool::new(false),
            config: RwLock::new(Arc::new(config)),
            view: RwLock::new(view),
            epochs: RwLock::new(epochs),
            epochs_dirty: AtomicBool::new(epochs_dirty),
            recovery_point: AtomicI64::new(from.recovery_point.min(end.offset).0),
            writer: Mutex::new(writer),
            truncations: AtomicU64::new(0),
            flushing: Mutex::new(()),
            entries_dirty: AtomicBool::new(true),
            appended_bytes: AtomicU64::new(0),
            synced_bytes: AtomicU64::new(0),
            seen_end: AtomicI64::new(-1),
            last_flush: AtomicU64::new(context.environment.clock.monotonic().0),
            durable_log_start: AtomicI64::new(from.log_start_offset.0),
            damage: opened.damage,
            has_left: AtomicBool::new(false),
        };
        log.settle();
        Ok(log)
    }
}

/// What readers see of a log that was just opened.
fn first_view(opened: &mut Opened, from: &LoadFrom) -> View {
    let first = opened.segments.first().map_or(Offset::ZERO, |segment| segment.base_offset);
    let log_start_offset = from.log_start_offset.max(first);
    let end = opened.end;
    let high_watermark = from.high_watermark.clamp(log_start_offset, end.offset.max(log_start_offset));
    opened.producers.on_replicated(high_watermark);
    View {
        segments: std::mem::take(&mut opened.segments).into(),
        log_start_offset,
        end,
        high_watermark,
        acknowledgeable: log_start_offset.min(end.offset),
        high_watermark_position: None,
        first_unstable: opened.producers.first_unstable_offset(),
    }
}

impl Loader<'_> {
    fn segment(&self, base_offset: Offset) -> Arc<Segment> {
        let now = self.context.environment.clock.wall();
        let jitter = crate::change::jitter(&*self.context.environment.random, self.config);
        Segment::existing(base_offset, self.path.clone(), now, jitter)
    }

    fn open_segments(&mut self, listing: Listing) -> Result<Opened, OpenError> {
        let segments: Vec<_> = listing.logs.iter().map(|offset| self.segment(*offset)).collect();
        let segments = self.drop_before_start(segments)?;
        let mut opened = if self.from.clean {
            self.rebuild_missing_indexes(&segments, &listing)?;
            self.open_clean(segments)?
        } else {
            let first = segments.partition_point(|segment| segment.base_offset <= self.from.recovery_point);
            let (durable, _) = segments.split_at(first.saturating_sub(1));
            self.rebuild_missing_indexes(durable, &listing)?;
            self.recover(segments)?
        };
        let start = self.from.log_start_offset;
        if !opened.segments.is_empty() && opened.end.offset < start && opened.damage.is_none() {
            tracing::warn!(directory = %self.path.get().display(), end = %opened.end.offset, %start,
                "the log ends before its start offset: beginning anew there");
            for segment in &opened.segments {
                segment.mark_deleted(self.context.disk())?;
            }
            self.epochs = LeaderEpochs::default();
            opened.segments.clear();
            for snapshot in std::mem::take(&mut self.snapshots) {
                remove_file_if_exists(self.context.disk(), &self.path.file(FileKind::ProducerSnapshot, snapshot))?;
            }
        }
        if opened.segments.is_empty() {
            opened = self.begin(start)?;
        }
        Ok(opened)
    }

    /// Removes segments that lie wholly before the start of the log. Which of their files are still there is a matter of
    /// chance when the machine died while they were being removed.
    fn drop_before_start(&self, mut segments: Vec<Arc<Segment>>) -> DiskResult<Vec<Arc<Segment>>> {
        let start = self.from.log_start_offset;
        let before = segments.partition_point(|segment| segment.base_offset <= start).saturating_sub(1);
        for segment in segments.drain(..before) {
            segment.mark_deleted(self.context.disk())?;
        }
        Ok(segments)
    }

    /// The first segment of a log without any.
    fn begin(&self, offset: Offset) -> DiskResult<Opened> {
        let (now, disk) = (self.context.environment.clock.wall(), self.context.disk());
        let jitter = crate::change::jitter(&*self.context.environment.random, self.config);
        let (segment, file) = Segment::create(disk, offset, self.path.clone(), now, jitter)?;
        self.context.files.insert(&segment, file)?;
        let end = OffsetMetadata { offset, segment_base_offset: offset, position: 0 };
        Ok(Opened { segments: vec![segment], end, damage: None, producers: ProducerStates::new(offset) })
    }

    fn rebuild_missing_indexes(&self, segments: &[Arc<Segment>], listing: &Listing) -> DiskResult<()> {
        for segment in segments {
            let has = |kind| listing.indexes.contains(&(segment.base_offset, kind));
            if has(FileKind::OffsetIndex) && has(FileKind::TimeIndex) {
                continue;
            }
            tracing::info!(path = %segment.path_of(FileKind::Log).display(), "building the indexes of a segment anew");
            let file = self.context.files.get(segment)?;
            let size = segment.size(self.context.disk())?;
            segment.set_memory_index(index_segment(segment.base_offset, &*file, size, self.config)?);
            segment.write_indexes(self.context.disk())?;
            segment.release_memory_index();
        }
        Ok(())
    }

    /// After a clean stop only the end of the last segment is looked at, to know where the log ends.
    fn open_clean(&mut self, segments: Vec<Arc<Segment>>) -> DiskResult<Opened> {
        let mut opened = self.find_end(segments)?;
        let source = ProducerSource {
            context: self.context,
            path: &self.path,
            segments: &opened.segments,
            log_start_offset: self.start_of_log(&opened.segments),
            expiration_ms: self.config.producer_id_expiration_ms,
        };
        opened.producers = source.load(&mut self.snapshots, opened.end.offset)?;
        Ok(opened)
    }

    /// The first offset that the log has.
    fn start_of_log(&self, segments: &[Arc<Segment>]) -> Offset {
        segments.first().map_or(self.from.log_start_offset, |first| first.base_offset.max(self.from.log_start_offset))
    }

    fn find_end(&self, segments: Vec<Arc<Segment>>) -> DiskResult<Opened> {
        let producers = ProducerStates::default();
        let mut opened = Opened { end: start_of(Offset::ZERO), segments, damage: None, producers };
        let Some(last) = opened.segments.last() else { return Ok(opened) };
        let base_offset = last.base_offset;
        opened.end = start_of(base_offset);
        let size = last.size(self.context.disk())?;
        if size == 0 {
            return Ok(opened);
        }
        let file = self.context.files.get(last)?;
        let start = self.last_indexed(last, &*file, size)?;
        let found = walk_to_end(&*file, base_offset, start.unwrap_or(0), size)?;
        if start.is_none() {
            last.set_memory_index(index_segment(base_offset, &*file, size, self.config)?);
        }
        let (end, fault) = found;
        opened.damage = fault.map(|fault| crate::read::damage(last, fault, end.offset));
        opened.end = end;
        Ok(opened)
    }

    /// Where the last batch lies that the index names; 0 when it names none. `None` when there is no such batch there, so
    /// that the index is wrong.
    fn last_indexed(&self, segment: &Segment, file: &dyn File, size: u64) -> DiskResult<Option<u64>> {
        let Some((offset, position)) = segment.last_index_entry(self.context.disk())? else { return Ok(Some(0)) };
        let named = segment.base_offset.plus(i64::from(offset));
        let found = HeaderWalk::new(file, u64::from(position), size).next()?;
        let is_right = matches!(found, Some(Ok(located)) if located.header.last_offset() == named);
        Ok(is_right.then_some(u64::from(position)))
    }

    /// After an unclean stop: every batch from the segment of the recovery point on is checked, and what follows the first
    /// that is not whole is cut off. Unless it was durable: then something has destroyed it, nothing is cut, and the log can
    /// be read up to there and not be written.
    fn recover(&mut self, segments: Vec<Arc<Segment>>) -> Result<Opened, OpenError> {
        let recovery_point = self.from.recovery_point;
        let first = segments.partition_point(|segment| segment.base_offset <= recovery_point).saturating_sub(1);
        let base_offset = segments.get(first).map_or(self.from.log_start_offset, |segment| segment.base_offset);
        let source = ProducerSource {
            context: self.context,
            path: &self.path,
            segments: &segments,
            log_start_offset: self.start_of_log(&segments),
            expiration_ms: self.config.producer_id_expiration_ms,
        };
        let producers = source.load(&mut self.snapshots, base_offset)?;
        let mut opened = Opened { end: start_of(Offset::ZERO), segments, damage: None, producers };
        let mut number = first;
        while let Some(segment) = opened.segments.get(number).cloned() {
            let is_last = number + 1 == opened.segments.len();
            if number > first && !self.follows(&opened, &segment) {
                // An empty one is left over from a roll that did not come about.
                if segment.size(self.context.disk())? == 0 {
                    segment.mark_deleted(self.context.disk())?;
                    opened.segments.remove(number);
                    continue;
                }
                tracing::warn!(path = %segment.path_of(FileKind::Log).display(), end = %opened.end.offset,
                    "the segment does not follow on the one before, which was not written whole");
                self.drop_from(&mut opened, number)?;
                break;
            }
            let file = self.context.files.get(&segment)?;
            let scan = self.scan_segment(&segment, &*file, &mut opened.producers)?;
            segment.write_aborted(self.context.disk(), &scan.aborted)?;
            opened.end = scan.end;
            if let Some(fault) = scan.fault {
                if scan.end.offset < recovery_point {
                    opened.damage = Some(crate::read::damage(&segment, fault, scan.end.offset));
                    opened.segments.truncate(number + 1);
                    break;
                }
                tracing::warn!(path = %segment.path_of(FileKind::Log).display(), position = fault.position,
                    reason = %fault.fault, "cutting off what was not written whole");
                file.set_length(scan.end.position)?;
                // Synced now: else what is cut off could come back behind what is appended next.
                file.sync()?;
                segment.set_size(scan.end.position);
                segment.set_memory_index(scan.index);
                self.drop_from(&mut opened, number + 1)?;
                break;
            }
            segment.set_memory_index(scan.index);
            if !is_last {
                segment.write_indexes(self.context.disk())?;
                segment.release_memory_index();
            }
            number += 1;
        }
        Ok(opened)
    }

    /// Whether a segment begins where the one before ends. A roll leaves no gap, so that a gap says that the end of the
    /// segment before was lost. Two kinds of gap are right: that which compaction leaves, and that of offsets too far from
    /// the base offset before.
    ///
    /// Compaction makes the recovery point pass a gap before it makes one, so that its gaps are not met here. Those of an
    /// Apache Kafka are: there the configuration and the cleaner's checkpoint tell. The configuration alone would not do,
    /// since it may have changed after the gap was made.
    fn follows(&self, opened: &Opened, segment: &Segment) -> bool {
        let gap = segment.base_offset.since(opened.end.offset);
        let out_of_range = segment.base_offset.since(opened.end.segment_base_offset) > i64::from(i32::MAX);
        let is_cleaned = self.config.cleanup_policy.compact || segment.base_offset <= self.from.cleaned;
        gap == 0 || gap > 0 && (is_cleaned || out_of_range)
    }

    fn drop_from(&self, opened: &mut Opened, number: usize) -> DiskResult<()> {
        for segment in opened.segments.split_off(number).iter().rev() {
            segment.mark_deleted(self.context.disk())?;
        }
        let previous = opened.segments.last();
        if let Some(last) = previous
            && !last.is_in_memory()
        {
            let size = last.size(self.context.disk())?;
            if let Some(index) = last.read_indexes(self.context.disk(), size)? {
                last.set_memory_index(index);
            }
        }
        Ok(())
    }

    /// Checks the batches of one segment and builds its index; notes leader epochs that the file of epochs lacks.
    fn scan_segment(&mut self, segment: &Segment, file: &dyn File, producers: &mut ProducerStates) -> DiskResult<Scan> {
        let size = segment.size(self.context.disk())?;
        let base_offset = segment.base_offset;
        let end = start_of(base_offset);
        let mut scan = Scan { index: MemoryIndex::default(), end, fault: None, aborted: Vec::new() };
        self.walk_durable(&mut scan, file, size, producers)?;
        let mut reader = BatchReader::new(file, size);
        loop {
            let position = scan.end.position;
            let checked = match reader.next(position)? {
                None => return Ok(scan),
                Some(Ok((header, batch))) => check_batch(&header, batch, base_offset, scan.end.offset).map(|()| {
                    scan.aborted.extend(replay_batch(producers, &header, batch));
                    header
                }),
                Some(Err(fault)) => Err(fault),
            };
            match checked {
                Ok(header) => self.take_in(&mut scan, &header, producers),
                Err(fault) => {
                    scan.fault = Some(Fault { position, fault });
                    return Ok(scan);
                }
            }
        }
    }

    /// Takes in the batches below the recovery point by their headers: they were durable, so that a crash can't have torn
    /// them. What is wrong with one is found when it is read whole, which is left to the scan that goes on from there.
    fn walk_durable(
        &mut self,
        scan: &mut Scan,
        file: &dyn File,
        size: u64,
        producers: &mut ProducerStates,
    ) -> DiskResult<()> {
        let base_offset = scan.end.segment_base_offset;
        let mut walk = HeaderWalk::new(file, 0, size);
        while let Some(Ok(located)) = walk.next()? {
            let header = &located.header;
            let is_durable = header.last_offset() < self.from.recovery_point;
            if !is_durable || check_offsets(header, base_offset, scan.end.offset).is_err() {
                return Ok(());
            }
            let batch = control_batch(file, &located)?;
            scan.aborted.extend(replay_batch(producers, header, &batch));
            self.take_in(scan, header, producers);
        }
        Ok(())
    }

    /// Notes a good batch at the end of what was scanned so far.
    fn take_in(&mut self, scan: &mut Scan, header: &BatchHeader, producers: &mut ProducerStates) {
        scan.index.add(scan.end.segment_base_offset, header, scan.end.position, self.config);
        self.epochs.observe(header.leader_epoch, header.base_offset);
        scan.end.offset = header.last_offset().next();
        scan.end.position += u64::from(header.length);
        producers.set_end_offset(scan.end.offset);
    }

    /// Snapshots are kept for the beginnings of segments, and the newest one if it is of the last segment: that of a clean
    /// stop. Others are of stops long past, or of what is no longer there.
    fn remove_stray_snapshots(&mut self, opened: &Opened) -> DiskResult<()> {
        let newest = self.snapshots.range(..=opened.end.offset).next_back().copied();
        let is_kept = |offset: &Offset| {
            let begins = opened.segments.binary_search_by_key(offset, |segment| segment.base_offset).is_ok();
            *offset <= opened.end.offset && (begins || Some(*offset) == newest)
        };
        let (kept, stray): (BTreeSet<_>, BTreeSet<_>) = self.snapshots.iter().copied().partition(is_kept);
        for offset in stray {
            remove_file_if_exists(self.context.disk(), &self.path.file(FileKind::ProducerSnapshot, offset))?;
        }
        self.snapshots = kept;
        Ok(())
    }

    /// The epochs from the headers of all batches, when their file can't be read.
    fn rebuild_epochs(&mut self, opened: &Opened) -> DiskResult<()> {
        self.epochs = LeaderEpochs::default();
        for segment in &opened.segments {
            let file = self.context.files.get(segment)?;
            let mut walk = HeaderWalk::new(&*file, 0, segment.size(self.context.disk())?);
            while let Some(Ok(located)) = walk.next()? {
                if located.header.leader_epoch.0 >= 0 {
                    self.epochs.assign(located.header.leader_epoch, located.header.base_offset);
                }
            }
        }
        Ok(())
    }

    /// The epochs of the records before the first known one. There are such after a crash between the writing of the epochs
    /// and that of the log's start, which had both been moved.
    fn complete_epochs(&mut self, opened: &Opened) -> DiskResult<()> {
        let first = self.epochs.earliest().map_or(opened.end.offset, |first| first.start_offset);
        let base = opened.segments.first().map_or(first, |segment| segment.base_offset);
        let start = self.from.log_start_offset.max(base);
        let mut earlier = LeaderEpochs::default();
        for segment in opened.segments.iter().take_while(|segment| segment.base_offset < first) {
            if start >= first {
                break;
            }
            let size = segment.size(self.context.disk())?;
            let file = self.context.files.get(segment)?;
            let mut walk = HeaderWalk::new(&*file, 0, size);
            while let Some(Ok(located)) = walk.next()? {
                let header = located.header;
                if header.base_offset >= first {
                    break;
                }
                if header.last_offset() >= start {
                    earlier.assign(header.leader_epoch, header.base_offset.max(start));
                }
            }
        }
        if earlier.latest().is_some() {
            self.epochs.prepend(earlier);
        }
        Ok(())
    }

    /// Cuts the epochs to what the log has. Says whether their file is to be written with the next sync, which will do where it
    /// only lacks what the log has beyond its recovery point or has what lies before the log's start: the next opening would
    /// find the same again. Else it is written now.
    fn finish_epochs(&mut self, opened: &Opened) -> DiskResult<bool> {
        // Of a damaged log all epochs stay: what lies behind the damage may yet be saved.
        if opened.damage.is_some() {
            self.epochs = self.epochs_of_file.clone().unwrap_or_else(|| self.epochs.clone());
        } else {
            self.epochs.truncate_from_end(opened.end.offset);
        }
        let start = self.from.log_start_offset;
        self.epochs.truncate_from_start(start);
        let Some(file) = &self.epochs_of_file else { return self.write_epochs().map(|()| false) };
        let mut kept = file.clone();
        kept.truncate_from_start(start);
        if !self.epochs.continues(&kept) {
            self.write_epochs()?;
            return Ok(false);
        }
        Ok(self.epochs != *file)
    }

    fn write_epochs(&self) -> DiskResult<()> {
        let contents = crate::format::format_epoch_checkpoint(self.epochs.entries());
        let path = self.path.get().join(LEADER_EPOCH_FILE);
        crate::small_file::replace_file(self.context.disk(), &path, contents.as_bytes())
    }
}

/// What a scan of a segment has found.
struct Scan {
    index: MemoryIndex,
    end: OffsetMetadata,
    fault: Option<Fault>,
    aborted: Vec<AbortedTransaction>,
}

fn start_of(base_offset: Offset) -> OffsetMetadata {
    OffsetMetadata { offset: base_offset, segment_base_offset: base_offset, position: 0 }
}

fn check_batch(header: &BatchHeader, batch: &[u8], base_offset: Offset, next: Offset) -> Result<(), BatchFault> {
    check_offsets(header, base_offset, next)?;
    header.verify(batch)
}

/// Whether a batch may be the next in a segment.
pub(crate) fn check_offsets(header: &BatchHeader, base_offset: Offset, next: Offset) -> Result<(), BatchFault> {
    let last = header.last_offset();
    let in_range = last.since(base_offset) <= i64::from(i32::MAX);
    if header.last_offset_delta < 0 || header.base_offset < next || !in_range {
        return Err(BatchFault::Offsets);
    }
    Ok(())
}

/// Walks headers to the end of a segment: where the log ends, and what is wrong there if anything is.
fn walk_to_end(
    file: &dyn File,
    base_offset: Offset,
    start: u64,
    size: u64,
) -> DiskResult<(OffsetMetadata, Option<Fault>)> {
    let mut end = start_of(base_offset);
    end.position = start;
    let mut walk = HeaderWalk::new(file, start, size);
    loop {
        match walk.next()? {
            None => return Ok((end, None)),
            Some(Ok(located)) if located.header.base_offset >= base_offset => {
                end.offset = located.header.last_offset().next();
                end.position = located.end();
            }
            Some(Ok(located)) => {
                return Ok((end, Some(Fault { position: located.position, fault: BatchFault::Offsets })));
            }
            Some(Err(fault)) => return Ok((end, Some(fault))),
        }
    }
}

fn read_topic_id(
    context: &DirectoryContext,
    path: &std::path::Path,
) -> Result<Option<ottla_types::TopicId>, OpenError> {
    let path = path.join(PARTITION_METADATA_FILE);
    match read_file(context.disk(), &path, SMALL_FILE_MAX)? {
        None => Ok(None),
        Some(contents) => match parse_partition_metadata(&contents) {
            Ok(id) => Ok(Some(id)),
            Err(error) => Err(OpenError::Format { path, error }),
        },
    }
}

/// The epochs of the log. `None` when the file can't be read, so that they must be built from the batches.
fn read_epochs(context: &DirectoryContext, path: &std::path::Path) -> DiskResult<Option<LeaderEpochs>> {
    let path = path.join(LEADER_EPOCH_FILE);
    let Some(contents) = read_file(context.disk(), &path, SMALL_FILE_MAX)? else {
        return Ok(Some(LeaderEpochs::default()));
    };
    match parse_epoch_checkpoint(&contents) {
        Ok(entries) => Ok(Some(LeaderEpochs::new(entries))),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "building the leader epochs anew");
            Ok(None)
        }
    }
}
