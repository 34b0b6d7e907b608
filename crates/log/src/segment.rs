//! One segment of a log: a file of batches and the indexes that find offsets and timestamps in it.

use crate::batch::BatchHeader;
use crate::config::LogConfig;
use crate::format::{OffsetIndex, TimeIndex, TimestampOffset};
use crate::names::{DELETED_FILE_SUFFIX, FileKind};
use crate::scan::{Fault, HeaderWalk, Located};
use crate::small_file::read_file;
use ottla_env::{Disk, DiskResult, File, OpenMode};
use ottla_types::{Offset, Timestamp};
use parking_lot::RwLock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where a log's files are. The directory is renamed when the log is deleted or moved; all segments follow.
pub(crate) struct LogPath(RwLock<PathBuf>);

impl LogPath {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self(RwLock::new(path)))
    }

    pub(crate) fn get(&self) -> PathBuf {
        self.0.read().clone()
    }

    pub(crate) fn set(&self, path: PathBuf) {
        *self.0.write() = path;
    }

    pub(crate) fn file(&self, kind: FileKind, offset: Offset) -> PathBuf {
        self.0.read().join(kind.file_name(offset))
    }
}

/// The size of a sealed segment before anyone has asked for it.
const SIZE_UNKNOWN: u64 = u64::MAX;

/// One segment. Readers use it without any lock that an append holds while it writes: the size grows after the bytes are
/// written, and the in-memory index is locked only for the moment of adding an entry.
pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    path: Arc<LogPath>,
    /// Set when the file has got the suffix of a file that waits for its removal.
    deleted: AtomicBool,
    file: RwLock<Option<Arc<dyn File>>>,
    used: AtomicBool,
    size: AtomicU64,
    /// Whether there may be a transaction index: without looking at the disk for the many segments that have none.
    may_have_aborted: AtomicBool,
    was_searched: AtomicBool,
    index: RwLock<SegmentIndex>,
    /// When the segment was made or opened: stands in for timestamps where records have none.
    pub(crate) created: Timestamp,
    pub(crate) roll_jitter_ms: i64,
}

/// The indexes: in memory for the segment that is being written, else in their files.
enum SegmentIndex {
    Memory(Box<MemoryIndex>),
    Files {
        largest: Option<Option<TimestampOffset>>,
        /// A copy of the offset index, while the segment is being read.
        offsets: Option<Box<OffsetIndex>>,
    },
}

/// The indexes of the segment that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryIndex {
    pub(crate) offsets: OffsetIndex,
    pub(crate) times: TimeIndex,
    /// The greatest timestamp so far, and the last offset of its batch.
    pub(crate) largest: Option<TimestampOffset>,
    /// The greatest timestamp of the first batch: rolling by time counts from there.
    pub(crate) first_timestamp: Option<Timestamp>,
    bytes_since_entry: u64,
}

impl MemoryIndex {
    /// Takes in a batch that begins at `position`. Appending and recovering both come here, so that an index is the same
    /// whether it was built while writing or from the file.
    pub(crate) fn add(&mut self, base_offset: Offset, header: &BatchHeader, position: u64, config: &LogConfig) {
        let last_offset = header.last_offset();
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if self.largest.is_none_or(|largest| header.max_timestamp > largest.timestamp) && header.max_timestamp.0 >= 0 {
            self.largest = Some(TimestampOffset { timestamp: header.max_timestamp, offset: last_offset });
        }
        if self.bytes_since_entry > u64::from(config.index_interval_bytes) {
            // Both numbers fit: a segment is rolled before its offsets or its size leave the range.
            self.offsets.append(relative(base_offset, last_offset), position as u32);
            self.add_largest(base_offset);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += u64::from(header.length);
    }

    /// Adds the greatest timestamp so far to the time index: at each entry of the offset index, and when the segment is
    /// sealed, so that the last entry is then the greatest of all.
    pub(crate) fn add_largest(&mut self, base_offset: Offset) {
        if let Some(largest) = self.largest {
            self.times.maybe_append(largest.timestamp, relative(base_offset, largest.offset));
        }
    }

    /// Finds the greatest timestamp again after entries were dropped: that of the last entry, or a greater one after it.
    pub(crate) fn refresh_largest(&mut self, base_offset: Offset, file: &dyn File, end: u64) -> DiskResult<()> {
        self.largest = self
            .times
            .last()
            .map(|(timestamp, offset)| TimestampOffset { timestamp, offset: base_offset.plus(i64::from(offset)) });
        let from = self.times.last().map_or(0, |(_, offset)| self.offsets.position_before(offset));
        let mut walk = HeaderWalk::new(file, u64::from(from), end);
        while let Some(Ok(located)) = walk.next()? {
            let (timestamp, offset) = (located.header.max_timestamp, located.header.last_offset());
            if timestamp.0 >= 0 && self.largest.is_none_or(|largest| timestamp > largest.timestamp) {
                self.largest = Some(TimestampOffset { timestamp, offset });
            }
        }
        Ok(())
    }

    /// Whether another entry might not fit into the files.
    pub(crate) fn is_full(&self, config: &LogConfig) -> bool {
        let bytes = config.segment_index_bytes as usize;
        self.offsets.len() >= bytes / OffsetIndex::ENTRY_LENGTH
            || self.times.len() >= (bytes / TimeIndex::ENTRY_LENGTH).saturating_sub(1)
    }
}

/// An offset as an index holds it. Offsets outside of the range become the nearest that it can hold.
pub(crate) fn relative(base_offset: Offset, offset: Offset) -> u32 {
    offset.since(base_offset).clamp(0, i64::from(i32::MAX)) as u32
}

impl Segment {
    /// A segment whose file exists.
    pub(crate) fn existing(
        base_offset: Offset,
        path: Arc<LogPath>,
        created: Timestamp,
        roll_jitter_ms: i64,
    ) -> Arc<Self> {
        Arc::new(Self {
            base_offset,
            path,
            deleted: AtomicBool::new(false),
            file: RwLock::new(None),
            used: AtomicBool::new(false),
            size: AtomicU64::new(SIZE_UNKNOWN),
            may_have_aborted: AtomicBool::new(true),
            was_searched: AtomicBool::new(false),
            index: RwLock::new(SegmentIndex::Files { largest: None, offsets: None }),
            created,
            roll_jitter_ms,
        })
    }

    /// Makes the file of a new, empty segment. A file left over from an earlier attempt is emptied.
    pub(crate) fn create(
        disk: &dyn Disk,
        base_offset: Offset,
        path: Arc<LogPath>,
        created: Timestamp,
        roll_jitter_ms: i64,
    ) -> DiskResult<(Arc<Self>, Arc<dyn File>)> {
        let segment = Self::existing(base_offset, path, created, roll_jitter_ms);
        let file = segment.open(disk, OpenMode::CreateTruncate)?;
        segment.set_size(0);
        segment.set_has_aborted(false);
        segment.set_memory_index(MemoryIndex::default());
        Ok((segment, file))
    }

    /// Where a file of this segment is now.
    pub(crate) fn path_of(&self, kind: FileKind) -> PathBuf {
        let mut path = self.path.file(kind, self.base_offset).into_os_string();
        if self.deleted.load(Ordering::Acquire) {
            path.push(DELETED_FILE_SUFFIX);
        }
        PathBuf::from(path)
    }

    pub(crate) fn open(&self, disk: &dyn Disk, mode: OpenMode) -> DiskResult<Arc<dyn File>> {
        match disk.open(&self.path_of(FileKind::Log), mode) {
            // Renamed between asking for the path and opening it.
            Err(error) if error.is_not_found() => disk.open(&self.path_of(FileKind::Log), mode),
            other => other,
        }
    }

    pub(crate) fn open_file(&self) -> Option<Arc<dyn File>> {
        let file = self.file.read().clone();
        if file.is_some() && !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        file
    }

    /// Keeps an opened file. When another thread was faster, that one's is kept and returned.
    pub(crate) fn keep_open(&self, file: Arc<dyn File>) -> (Arc<dyn File>, bool) {
        let mut kept = self.file.write();
        match &*kept {
            Some(file) => (file.clone(), false),
            None => {
                *kept = Some(file.clone());
                (file, true)
            }
        }
    }

    pub(crate) fn close_file(&self) {
        *self.file.write() = None;
    }

    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The bytes of the file that hold batches. What an append has written after a reader took its snapshot of the log may
    /// be counted or not.
    pub(crate) fn size(&self, disk: &dyn Disk) -> DiskResult<u64> {
        match self.size.load(Ordering::Acquire) {
            SIZE_UNKNOWN => {
                let length = disk.length(&self.path_of(FileKind::Log))?;
                // Only a sealed segment's size can be unknown, and it no longer changes.
                self.size.store(length, Ordering::Release);
                Ok(length)
            }
            size => Ok(size),
        }
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    pub(crate) fn may_have_aborted(&self) -> bool {
        self.may_have_aborted.load(Ordering::Acquire)
    }

    pub(crate) fn set_has_aborted(&self, has: bool) {
        self.may_have_aborted.store(has, Ordering::Release);
    }

    pub(crate) fn set_memory_index(&self, index: MemoryIndex) {
        *self.index.write() = SegmentIndex::Memory(Box::new(index));
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(*self.index.read(), SegmentIndex::Memory(_))
    }

    /// Whether the index should now be taken into memory: at the second look-up in its file.
    pub(crate) fn wants_index(&self) -> bool {
        let in_file = matches!(*self.index.read(), SegmentIndex::Files { offsets: None, .. });
        in_file && self.was_searched.swap(true, Ordering::Relaxed)
    }

    /// Keeps a copy of the index file's contents. Says whether it was taken.
    pub(crate) fn keep_index(&self, index: OffsetIndex) -> bool {
        match &mut *self.index.write() {
            SegmentIndex::Files { offsets: slot @ None, .. } => {
                *slot = Some(Box::new(index));
                true
            }
            _ => false,
        }
    }

    pub(crate) fn drop_index(&self) {
        if let SegmentIndex::Files { offsets, .. } = &mut *self.index.write() {
            *offsets = None;
        }
        self.was_searched.store(false, Ordering::Relaxed);
    }

    /// Changes the index in memory, if that is where it is.
    pub(crate) fn with_memory_index<T>(&self, change: impl FnOnce(&mut MemoryIndex) -> T) -> Option<T> {
        match &mut *self.index.write() {
            SegmentIndex::Memory(index) => Some(change(index)),
            SegmentIndex::Files { .. } => None,
        }
    }

    /// Looks at the index in memory, if that is where it is.
    pub(crate) fn memory_index<T>(&self, look: impl FnOnce(&MemoryIndex) -> T) -> Option<T> {
        match &*self.index.read() {
            SegmentIndex::Memory(index) => Some(look(index)),
            SegmentIndex::Files { .. } => None,
        }
    }

    /// The indexes are in their files from now on.
    pub(crate) fn release_memory_index(&self) {
        let mut index = self.index.write();
        if let SegmentIndex::Memory(memory) = &*index {
            *index = SegmentIndex::Files { largest: Some(memory.largest), offsets: None };
        }
    }

    /// Writes the index files. Not durable before they are synced.
    pub(crate) fn write_indexes(&self, disk: &dyn Disk) -> DiskResult<()> {
        let base_offset = self.base_offset;
        let contents = self.with_memory_index(|index| {
            index.add_largest(base_offset);
            (index.offsets.to_bytes(), index.times.to_bytes())
        });
        let Some((offsets, times)) = contents else { return Ok(()) };
        for (kind, bytes) in [(FileKind::OffsetIndex, offsets), (FileKind::TimeIndex, times)] {
            disk.open(&self.path_of(kind), OpenMode::CreateTruncate)?.write_at(&bytes, 0)?;
        }
        Ok(())
    }

    /// Makes batches and indexes durable. While the indexes are in memory, their files are nothing that anyone relies on.
    pub(crate) fn sync(&self, disk: &dyn Disk, file: &dyn File) -> DiskResult<()> {
        file.sync()?;
        if self.is_in_memory() && !self.may_have_aborted() {
            return Ok(());
        }
        self.sync_indexes(disk)
    }

    /// Makes the index files durable, those that are there.
    pub(crate) fn sync_indexes(&self, disk: &dyn Disk) -> DiskResult<()> {
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex] {
            match disk.open(&self.path_of(kind), OpenMode::ReadWrite) {
                Ok(index) => index.sync()?,
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The indexes as their files hold them. `None` when they are missing or can't be right.
    pub(crate) fn read_indexes(&self, disk: &dyn Disk, size: u64) -> DiskResult<Option<MemoryIndex>> {
        // No index that Kafka writes is larger than the greatest `segment.index.bytes`.
        const LENGTH_MAX: u64 = i32::MAX as u64;
        let Some(offsets) = read_file(disk, &self.path_of(FileKind::OffsetIndex), LENGTH_MAX)? else { return Ok(None) };
        let Some(times) = read_file(disk, &self.path_of(FileKind::TimeIndex), LENGTH_MAX)? else { return Ok(None) };
        let (Ok(offsets), Ok(times)) = (OffsetIndex::parse(&offsets, size), TimeIndex::parse(&times)) else {
            return Ok(None);
        };
        let largest = times
            .last()
            .map(|(timestamp, offset)| TimestampOffset { timestamp, offset: self.base_offset.plus(i64::from(offset)) });
        Ok(Some(MemoryIndex { offsets, times, largest, ..MemoryIndex::default() }))
    }

    /// A position from which a walk meets every batch that holds `offset` or a later one.
    pub(crate) fn position_before(&self, disk: &dyn Disk, offset: Offset) -> DiskResult<u64> {
        let wanted = relative(self.base_offset, offset);
        match &*self.index.read() {
            SegmentIndex::Memory(index) => return Ok(u64::from(index.offsets.position_before(wanted))),
            SegmentIndex::Files { offsets: Some(offsets), .. } => {
                return Ok(u64::from(offsets.position_before(wanted)));
            }
            SegmentIndex::Files { offsets: None, .. } => {}
        }
        let path = self.path_of(FileKind::OffsetIndex);
        let found = search_file(disk, &path, OffsetIndex::parse_entry, |entry| entry.0 <= wanted)?;
        Ok(found.map_or(0, |(_, position)| u64::from(position)))
    }

    /// The batch that holds `offset`, or the first after it. `None` when the segment ends before.
    pub(crate) fn find(
        &self,
        disk: &dyn Disk,
        file: &dyn File,
        offset: Offset,
        size: u64,
    ) -> DiskResult<Option<Result<Located, Fault>>> {
        let start = self.position_before(disk, offset)?;
        if start > 0 {
            let mut walk = HeaderWalk::new(file, start, size);
            // An entry leads to a batch that ends with an offset not beyond the one that was looked up. One that leads
            // elsewhere is wrong, not the log: then the walk begins at the beginning.
            if let Some(Ok(first)) = walk.next()?
                && first.header.last_offset() <= offset
            {
                return if first.header.last_offset() == offset { Ok(Some(Ok(first))) } else { walk_to(walk, offset) };
            }
        }
        walk_to(HeaderWalk::new(file, 0, size), offset)
    }

    /// The last entry of the index file: relative offset and position.
    pub(crate) fn last_index_entry(&self, disk: &dyn Disk) -> DiskResult<Option<(u32, u32)>> {
        search_file(disk, &self.path_of(FileKind::OffsetIndex), OffsetIndex::parse_entry, |_| true)
    }

    /// The greatest timestamp in the segment and where it is. `None` when no record has one.
    pub(crate) fn largest_timestamp(
        &self,
        disk: &dyn Disk,
        open: impl FnOnce() -> DiskResult<Arc<dyn File>>,
    ) -> DiskResult<Option<TimestampOffset>> {
        match &*self.index.read() {
            SegmentIndex::Memory(index) => return Ok(index.largest),
            SegmentIndex::Files { largest: Some(largest), .. } => return Ok(*largest),
            SegmentIndex::Files { largest: None, .. } => {}
        }
        let largest = self.read_largest_timestamp(disk, &*open()?)?;
        if let SegmentIndex::Files { largest: slot, .. } = &mut *self.index.write() {
            *slot = Some(largest);
        }
        Ok(largest)
    }

    /// The last entry of the time index, if the batch that it names is as it says. Else the batches are asked: a wrong
    /// timestamp here would let a segment be removed too early, or never.
    fn read_largest_timestamp(&self, disk: &dyn Disk, file: &dyn File) -> DiskResult<Option<TimestampOffset>> {
        let size = self.size(disk)?;
        let path = self.path_of(FileKind::TimeIndex);
        if let Some((timestamp, offset)) = search_file(disk, &path, TimeIndex::parse_entry, |_| true)? {
            let (timestamp, offset) = (Timestamp(timestamp), self.base_offset.plus(i64::from(offset)));
            if let Some(Ok(found)) = self.find(disk, file, offset, size)?
                && found.header.max_timestamp == timestamp
                && found.header.last_offset() == offset
            {
                return Ok(Some(TimestampOffset { timestamp, offset }));
            }
        }
        let mut index = MemoryIndex::default();
        index.refresh_largest(self.base_offset, file, size)?;
        Ok(index.largest)
    }

    /// A position from which a walk meets every batch that has a record at or after `timestamp`.
    pub(crate) fn position_before_timestamp(&self, disk: &dyn Disk, timestamp: Timestamp) -> DiskResult<u64> {
        let found = match self.memory_index(|index| index.times.offset_before(timestamp)) {
            Some(found) => found,
            None => {
                let path = self.path_of(FileKind::TimeIndex);
                search_file(disk, &path, TimeIndex::parse_entry, |entry| entry.0 <= timestamp.0)?
                    .map(|(_, offset)| offset)
            }
        };
        match found {
            None => Ok(0),
            Some(offset) => self.position_before(disk, self.base_offset.plus(i64::from(offset))),
        }
    }

    /// Gives the files the suffix of files that wait for their removal, and returns their new names.
    pub(crate) fn mark_deleted(&self, disk: &dyn Disk) -> DiskResult<Vec<PathBuf>> {
        let kinds = [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];
        let from: Vec<PathBuf> = kinds.iter().map(|kind| self.path_of(*kind)).collect();
        let mut renamed = Vec::with_capacity(from.len());
        for path in from {
            let mut to = path.clone().into_os_string();
            to.push(DELETED_FILE_SUFFIX);
            let to = PathBuf::from(to);
            match disk.rename(&path, &to) {
                Ok(()) => renamed.push(to),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        self.deleted.store(true, Ordering::Release);
        Ok(renamed)
    }
}

/// Walks on to the batch that holds an offset, or the first after it.
fn walk_to(mut walk: HeaderWalk<'_>, offset: Offset) -> DiskResult<Option<Result<Located, Fault>>> {
    loop {
        match walk.next()? {
            Some(Ok(located)) if located.header.last_offset() < offset => {}
            found => return Ok(found),
        }
    }
}

/// Searches an index file for its last entry that fulfils a condition which holds for a beginning of the file and not for
/// the rest. A file that is missing has no entries: the walk then begins at the beginning of the segment.
fn search_file<const N: usize, T>(
    disk: &dyn Disk,
    path: &Path,
    parse: impl Fn([u8; N]) -> T,
    condition: impl Fn(&T) -> bool,
) -> DiskResult<Option<T>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let (mut low, mut high) = (0, file.length()? / N as u64);
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut bytes = [0; N];
        if file.read_at(&mut bytes, middle * N as u64)? < N {
            return Ok(found);
        }
        // An entry of zeros is space that Apache Kafka took in advance and did not use: it lies behind all entries.
        let entry = parse(bytes);
        if bytes != [0; N] && condition(&entry) {
            found = Some(entry);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(found)
}
