//! Opening a log: after a clean stop by looking at names, after any other by reading what may not be durable.

use crate::batch::{BatchFault, BatchHeader, HEADER_LENGTH};
use crate::config::LogConfig;
use crate::context::DirectoryContext;
use crate::epochs::LeaderEpochs;
use crate::error::{Damage, OpenError};
use crate::format::{parse_epoch_checkpoint, parse_partition_metadata, parse_producer_snapshot};
use crate::log::{Log, OffsetMetadata, View, Writer};
use crate::names::{
    CLEANED_FILE_SUFFIX, DELETED_FILE_SUFFIX, FileKind, LEADER_EPOCH_FILE, PARTITION_METADATA_FILE, SWAP_FILE_SUFFIX,
};
use crate::producers::{AppendOrigin, Prepared, ProducerStates};
use crate::scan::{Fault, HeaderWalk, Located};
use crate::segment::{LogPath, MemoryIndex, Segment};
use crate::small_file::{read_file, remove_file_if_exists};
use ottla_env::{DiskResult, EntryKind, File};
use ottla_types::{Offset, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

/// The most that a small file of a partition may have; larger ones are not what they should be.
const SMALL_FILE_MAX: u64 = 64 << 20;
/// What is read at once when batches are checked.
const SCAN_CHUNK: usize = 1 << 20;

/// What the directory's checkpoints say of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadFrom {
    /// Whether the last stop was clean.
    pub(crate) clean: bool,
    pub(crate) recovery_point: Offset,
    pub(crate) log_start_offset: Offset,
    pub(crate) high_watermark: Offset,
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

/// The files of a partition directory, by kind.
#[derive(Default)]
struct Listing {
    logs: BTreeSet<Offset>,
    indexes: BTreeSet<(Offset, FileKind)>,
    snapshots: BTreeSet<Offset>,
}

/// One log while it is being opened.
struct Loader<'a> {
    context: &'a Arc<DirectoryContext>,
    path: Arc<LogPath>,
    config: &'a LogConfig,
    from: LoadFrom,
    epochs: LeaderEpochs,
    epochs_changed: bool,
}

/// The segments of an opened log, and where they end.
struct Opened {
    segments: Vec<Arc<Segment>>,
    end: OffsetMetadata,
    damage: Option<Damage>,
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
        let rebuild_epochs = epochs.is_none();
        let mut loader = Loader {
            context,
            path: LogPath::new(path),
            config: &config,
            from,
            epochs: epochs.unwrap_or_default(),
            epochs_changed: false,
        };
        let listing = loader.list()?;
        let mut snapshots = listing.snapshots.clone();
        let opened = loader.open_segments(listing)?;
        if rebuild_epochs {
            loader.rebuild_epochs(&opened)?;
        }
        loader.finish_epochs(&opened)?;
        let Loader { path, epochs, .. } = loader;
        let first = opened.segments.first().map_or(Offset::ZERO, |segment| segment.base_offset);
        let log_start_offset = from.log_start_offset.max(first);
        let end = opened.end;
        let high_watermark = from.high_watermark.clamp(log_start_offset, end.offset.max(log_start_offset));
        let view = View {
            segments: opened.segments.into(),
            log_start_offset,
            end,
            high_watermark,
            high_watermark_position: None,
            first_unstable: None,
        };
        snapshots.retain(|offset| *offset <= end.offset);
        let writer = Writer {
            producers: ProducerStates::new(end.offset),
            snapshots: BTreeSet::new(),
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
            view: RwLock::new(view.clone()),
            epochs: RwLock::new(epochs),
            recovery_point: AtomicI64::new(from.recovery_point.min(end.offset).0),
            writer: Mutex::new(writer),
            flushing: Mutex::new(()),
            entries_dirty: AtomicBool::new(true),
            last_flush: AtomicU64::new(context.environment.clock.monotonic().0),
            durable_log_start: AtomicI64::new(from.log_start_offset.0),
            damage: opened.damage,
        };
        let producers = log.load_producers(&view, &mut snapshots, end.offset)?;
        log.view.write().first_unstable = producers.first_unstable_offset();
        let mut writer = log.writer.lock();
        writer.producers = producers;
        writer.snapshots = snapshots;
        drop(writer);
        Ok(log)
    }

    /// The producers' state at an offset: from the newest snapshot that is not beyond it, and the batches after that.
    /// Snapshots that can't be read are removed.
    pub(crate) fn load_producers(
        &self,
        view: &View,
        snapshots: &mut BTreeSet<Offset>,
        end: Offset,
    ) -> DiskResult<ProducerStates> {
        let (now, expiration) = (self.context.environment.clock.wall(), self.config().producer_id_expiration_ms);
        let mut states = ProducerStates::new(view.log_start_offset);
        while let Some(offset) = snapshots.range(..=end).next_back().copied() {
            let path = self.path.file(FileKind::ProducerSnapshot, offset);
            let contents = read_file(self.disk(), &path, SMALL_FILE_MAX);
            match contents.map(|contents| contents.map(|contents| parse_producer_snapshot(&contents))) {
                Ok(Some(Ok(entries))) => {
                    states = ProducerStates::from_snapshot(&entries, offset, now, expiration);
                    break;
                }
                Ok(Some(Err(error))) => {
                    tracing::warn!(path = %path.display(), %error, "leaving out a producer snapshot")
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "leaving out a producer snapshot"),
            }
            remove_file_if_exists(self.disk(), &path)?;
            snapshots.remove(&offset);
        }
        self.replay_producers(view, &mut states, end)?;
        states.on_replicated(view.high_watermark);
        Ok(states)
    }

    fn replay_producers(&self, view: &View, states: &mut ProducerStates, end: Offset) -> DiskResult<()> {
        let mut next = states.end_offset();
        let first = view.floor(next).unwrap_or(0);
        for segment in view.segments.get(first..).unwrap_or_default() {
            if next >= end {
                break;
            }
            let size = self.size_in(view, segment)?;
            let file = self.context.files.get(segment)?;
            let start = segment.position_before(self.disk(), next)?;
            let mut walk = HeaderWalk::new(&*file, start, size);
            while let Some(Ok(located)) = walk.next()? {
                if located.header.base_offset >= end {
                    break;
                }
                if located.header.base_offset >= next {
                    replay_batch(states, &*file, &located)?;
                    next = located.header.last_offset().next();
                }
            }
        }
        states.set_end_offset(end);
        Ok(())
    }
}

/// Lets the producers' state take in a batch that is in the log.
fn replay_batch(states: &mut ProducerStates, file: &dyn File, located: &Located) -> DiskResult<()> {
    let header = &located.header;
    let mut bytes = Vec::new();
    // Only markers are looked into; they are short, so that a longer one is none.
    if header.is_control() && header.length <= SCAN_CHUNK as u32 {
        bytes.resize(header.length as usize, 0);
        let read = file.read_at(&mut bytes, located.position)?;
        bytes.truncate(read);
    }
    let mut prepared = Prepared::default();
    match states.prepare(&mut prepared, header, &bytes, AppendOrigin::Replication) {
        Ok(()) => drop(states.commit(prepared, header.last_offset().next())),
        Err(error) => tracing::warn!(offset = %header.base_offset, %error, "a batch does not fit its producer's state"),
    }
    Ok(())
}

impl Loader<'_> {
    /// Lists the files, finishes or undoes what an interrupted compaction has left, and removes what waits for removal.
    fn list(&self) -> DiskResult<Listing> {
        let directory = self.path.get();
        let disk = self.context.disk();
        let mut listing = Listing::default();
        let mut swaps = Vec::new();
        let mut cleaned_min = None;
        for (name, kind) in disk.list(&directory)? {
            let Some((offset, file, suffix)) = FileKind::parse_name(&name) else { continue };
            if kind != EntryKind::File {
                tracing::warn!(path = %directory.join(&name).display(), "leaving alone what is not a file");
                continue;
            }
            match suffix {
                DELETED_FILE_SUFFIX => remove_file_if_exists(disk, &directory.join(name))?,
                CLEANED_FILE_SUFFIX => {
                    cleaned_min = Some(cleaned_min.map_or(offset, |least: Offset| least.min(offset)));
                    remove_file_if_exists(disk, &directory.join(name))?;
                }
                SWAP_FILE_SUFFIX => swaps.push((offset, file, name)),
                _ => listing.add(offset, file),
            }
        }
        self.finish_swaps(&mut listing, swaps, cleaned_min)?;
        self.remove_orphans(&mut listing)?;
        Ok(listing)
    }

    /// A `.swap` file is whole: it was written and synced before it got that name. What it replaces goes, then it takes its
    /// place. When `.cleaned` files are there too, those of greater offsets are of an operation that was not finished.
    fn finish_swaps(
        &self,
        listing: &mut Listing,
        swaps: Vec<(Offset, FileKind, String)>,
        cleaned_min: Option<Offset>,
    ) -> DiskResult<()> {
        let (disk, directory) = (self.context.disk(), self.path.get());
        let (kept, dropped): (Vec<_>, Vec<_>) =
            swaps.into_iter().partition(|(offset, ..)| cleaned_min.is_none_or(|least| *offset < least));
        for (_, _, name) in dropped {
            remove_file_if_exists(disk, &directory.join(name))?;
        }
        for (offset, kind, name) in &kept {
            if *kind != FileKind::Log {
                continue;
            }
            let file = disk.open(&directory.join(name), ottla_env::OpenMode::Read)?;
            let mut end = *offset;
            let mut walk = HeaderWalk::new(&*file, 0, file.length()?);
            while let Some(Ok(located)) = walk.next()? {
                end = located.header.last_offset().next();
            }
            for replaced in listing.logs.range(*offset..end).copied().collect::<Vec<_>>() {
                listing.logs.remove(&replaced);
                remove_file_if_exists(disk, &self.path.file(FileKind::Log, replaced))?;
            }
        }
        for (offset, kind, name) in kept {
            disk.rename(&directory.join(name), &self.path.file(kind, offset))?;
            listing.add(offset, kind);
        }
        Ok(())
    }

    /// Index files without their segment are of no use.
    fn remove_orphans(&self, listing: &mut Listing) -> DiskResult<()> {
        let orphans: Vec<_> =
            listing.indexes.iter().filter(|(offset, _)| !listing.logs.contains(offset)).copied().collect();
        for (offset, kind) in orphans {
            remove_file_if_exists(self.context.disk(), &self.path.file(kind, offset))?;
            listing.indexes.remove(&(offset, kind));
        }
        Ok(())
    }

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
            self.epochs_changed = true;
            opened.segments.clear();
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
        Ok(Opened { segments: vec![segment], end, damage: None })
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
    fn open_clean(&self, segments: Vec<Arc<Segment>>) -> DiskResult<Opened> {
        let mut opened = Opened { end: start_of(Offset::ZERO), segments, damage: None };
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
        let mut opened = Opened { end: start_of(Offset::ZERO), segments, damage: None };
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
            let scan = self.scan_segment(&segment, &*file)?;
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
    fn follows(&self, opened: &Opened, segment: &Segment) -> bool {
        let gap = segment.base_offset.since(opened.end.offset);
        let out_of_range = segment.base_offset.since(opened.end.segment_base_offset) > i64::from(i32::MAX);
        gap == 0 || gap > 0 && (self.config.cleanup_policy.compact || out_of_range)
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
    fn scan_segment(&mut self, segment: &Segment, file: &dyn File) -> DiskResult<Scan> {
        let size = segment.size(self.context.disk())?;
        let base_offset = segment.base_offset;
        let mut scan = Scan { index: MemoryIndex::default(), end: start_of(base_offset), fault: None };
        let mut reader = BatchReader::new(file, size);
        loop {
            let position = scan.end.position;
            let checked = match reader.next(position)? {
                None => return Ok(scan),
                Some(Ok((header, batch))) => check_batch(&header, batch, base_offset, scan.end.offset).map(|()| header),
                Some(Err(fault)) => Err(fault),
            };
            match checked {
                Ok(header) => {
                    scan.index.add(base_offset, &header, position, self.config);
                    if self.epochs.latest().is_none_or(|latest| header.leader_epoch > latest.epoch)
                        && header.leader_epoch.0 >= 0
                    {
                        self.epochs.assign(header.leader_epoch, header.base_offset);
                        self.epochs_changed = true;
                    }
                    scan.end.offset = header.last_offset().next();
                    scan.end.position = position + u64::from(header.length);
                }
                Err(fault) => {
                    scan.fault = Some(Fault { position, fault });
                    return Ok(scan);
                }
            }
        }
    }

    /// The epochs from the headers of all batches, when their file can't be read.
    fn rebuild_epochs(&mut self, opened: &Opened) -> DiskResult<()> {
        self.epochs = LeaderEpochs::default();
        self.epochs_changed = true;
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

    fn finish_epochs(&mut self, opened: &Opened) -> DiskResult<()> {
        // Of a damaged log all epochs stay: what lies behind the damage may yet be saved.
        if opened.damage.is_none() {
            self.epochs_changed |= self.epochs.truncate_from_end(opened.end.offset);
        }
        self.epochs_changed |= self.epochs.truncate_from_start(self.from.log_start_offset);
        if self.epochs_changed {
            let contents = crate::format::format_epoch_checkpoint(self.epochs.entries());
            let path = self.path.get().join(LEADER_EPOCH_FILE);
            crate::small_file::replace_file(self.context.disk(), &path, contents.as_bytes())?;
        }
        Ok(())
    }
}

impl Listing {
    fn add(&mut self, offset: Offset, kind: FileKind) {
        match kind {
            FileKind::Log => drop(self.logs.insert(offset)),
            FileKind::ProducerSnapshot => drop(self.snapshots.insert(offset)),
            kind => drop(self.indexes.insert((offset, kind))),
        }
    }
}

/// What a scan of a segment has found.
struct Scan {
    index: MemoryIndex,
    end: OffsetMetadata,
    fault: Option<Fault>,
}

fn start_of(base_offset: Offset) -> OffsetMetadata {
    OffsetMetadata { offset: base_offset, segment_base_offset: base_offset, position: 0 }
}

fn check_batch(header: &BatchHeader, batch: &[u8], base_offset: Offset, next: Offset) -> Result<(), BatchFault> {
    let last = header.last_offset();
    let in_range = last.since(base_offset) <= i64::from(i32::MAX);
    if header.last_offset_delta < 0 || header.base_offset < next || !in_range {
        return Err(BatchFault::Offsets);
    }
    header.verify(batch)
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

/// Reads whole batches one after the other through a buffer that is used again.
struct BatchReader<'a> {
    file: &'a dyn File,
    size: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins, and how many bytes of it are read.
    start: u64,
    filled: usize,
}

type FoundBatch<'b> = Result<(BatchHeader, &'b [u8]), BatchFault>;

impl<'a> BatchReader<'a> {
    fn new(file: &'a dyn File, size: u64) -> Self {
        let chunk = usize::try_from(size).unwrap_or(SCAN_CHUNK).min(SCAN_CHUNK);
        Self { file, size, buffer: vec![0; chunk], start: 0, filled: 0 }
    }

    /// The batch at a position, `None` at the end of the file.
    fn next(&mut self, position: u64) -> DiskResult<Option<FoundBatch<'_>>> {
        let left = self.size.saturating_sub(position);
        if left == 0 {
            return Ok(None);
        }
        let head = usize::try_from(left).unwrap_or(usize::MAX).min(HEADER_LENGTH);
        self.fill(position, head)?;
        let header = match BatchHeader::parse(self.bytes(position, head)) {
            Ok(header) if u64::from(header.length) <= left => header,
            Ok(_) => return Ok(Some(Err(BatchFault::Truncated))),
            Err(fault) => return Ok(Some(Err(fault))),
        };
        // The length lies within the file, so that the buffer grows no larger than that.
        self.fill(position, header.length as usize)?;
        Ok(Some(Ok((header, self.bytes(position, header.length as usize)))))
    }

    fn fill(&mut self, position: u64, length: usize) -> DiskResult<()> {
        let has = position >= self.start && position + length as u64 <= self.start + self.filled as u64;
        if has {
            return Ok(());
        }
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let wanted = usize::try_from(self.size - position).unwrap_or(usize::MAX).min(self.buffer.len());
        self.filled = self.file.read_at(&mut self.buffer[..wanted], position)?;
        self.start = position;
        Ok(())
    }

    fn bytes(&self, position: u64, length: usize) -> &[u8] {
        let start = (position - self.start) as usize;
        self.buffer.get(start..(start + length).min(self.filled)).unwrap_or_default()
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
