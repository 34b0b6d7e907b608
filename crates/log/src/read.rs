//! Reading: a snapshot of the view, a look-up, a range of a file.

use crate::error::{Damage, ReadError, StorageError};
use crate::format::OffsetIndex;
use crate::log::{Log, LogOffsets, OffsetMetadata, View};
use crate::names::FileKind;
use crate::scan::{Fault, Located};
use crate::segment::Segment;
use crate::small_file::read_file;
use ottla_env::{DiskResult, File};
use ottla_types::Offset;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// Bytes of a file. The file is held open, also when it is removed meanwhile.
#[derive(Clone)]
pub struct FileRange {
    /// The file.
    pub file: Arc<dyn File>,
    /// The first byte.
    pub position: u64,
    /// How many bytes.
    pub length: usize,
}

impl FileRange {
    /// Reads the bytes. They are all there: a range lies within what was written before it was given out.
    pub fn read(&self) -> DiskResult<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        let read = self.file.read_at(&mut bytes, self.position)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl fmt::Debug for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}..+{}]", self.file.path().display(), self.position, self.length)
    }
}

/// A batch, with the segment and the open file that it is in.
type Found<'a> = (&'a Arc<Segment>, Arc<dyn File>, Located);

/// Up to where a reader may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBound {
    /// The end of the log: followers.
    LogEnd,
    /// The high watermark: consumers.
    HighWatermark,
    /// The last stable offset: consumers of committed records.
    LastStable,
}

impl ReadBound {
    /// The offset that it stands for.
    pub fn offset(self, offsets: &LogOffsets) -> Offset {
        match self {
            Self::LogEnd => offsets.log_end,
            Self::HighWatermark => offsets.high_watermark,
            Self::LastStable => offsets.last_stable,
        }
    }
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// The first offset wanted. The first batch may begin before it.
    pub offset: Offset,
    /// How many bytes at most.
    pub max_bytes: usize,
    /// Whether the first batch is given whole when it is larger than `max_bytes`.
    pub min_one_batch: bool,
    /// Up to where.
    pub bound: ReadBound,
}

/// What was found: ranges of files with whole batches, except that the last may be cut where `max_bytes` ends.
#[derive(Clone, Debug)]
pub struct ReadSlice {
    /// The place of the first batch, or, when nothing was found, of the offset that was asked for.
    pub start: OffsetMetadata,
    /// The bytes, in order. Empty when there is nothing to read yet.
    pub ranges: SmallVec<[FileRange; 1]>,
    /// Whether the first batch is larger than `max_bytes` and was therefore cut.
    pub first_batch_incomplete: bool,
    /// The bounds of the log at that moment.
    pub offsets: LogOffsets,
}

impl ReadSlice {
    /// The bytes in all ranges.
    pub fn length(&self) -> usize {
        self.ranges.iter().map(|range| range.length).sum()
    }
}

impl Log {
    /// Finds the bytes that answer a read. No record is looked at, and no append is waited for. As in Kafka a directory that can't
    /// be read goes offline: followers and coordinators would wait for this leader, and another one may have what they need.
    pub fn read(&self, request: ReadRequest) -> Result<ReadSlice, ReadError> {
        self.find_bytes(request).map_err(|error| match error {
            ReadError::Storage(StorageError::Disk(error)) => ReadError::Storage(self.failed(error)),
            other => other,
        })
    }

    fn find_bytes(&self, request: ReadRequest) -> Result<ReadSlice, ReadError> {
        let view = self.view();
        let offsets = LogOffsets {
            log_start: view.log_start_offset,
            high_watermark: view.high_watermark,
            last_stable: view.last_stable_offset(),
            log_end: view.end.offset,
        };
        if request.offset < offsets.log_start || request.offset > offsets.log_end {
            return Err(ReadError::OffsetOutOfRange {
                requested: request.offset,
                log_start: offsets.log_start,
                log_end: offsets.log_end,
            });
        }
        let nothing = |start| ReadSlice { start, ranges: SmallVec::new(), first_batch_incomplete: false, offsets };
        let upper = self.upper_bound(&view, request.bound)?;
        if request.offset >= upper.offset {
            let start = if request.offset == upper.offset { upper } else { self.locate(&view, request.offset)? };
            return Ok(nothing(start));
        }
        let Some((segment, file, first)) = self.find(&view, request.offset)? else { return Ok(nothing(view.end)) };
        let start = OffsetMetadata {
            offset: first.header.base_offset,
            segment_base_offset: segment.base_offset,
            position: first.position,
        };
        let end = self.readable_end(&view, segment, &upper)?;
        let batch = first.header.length as usize;
        let wanted = if request.min_one_batch { request.max_bytes.max(batch) } else { request.max_bytes };
        let available = usize::try_from(end.saturating_sub(first.position)).unwrap_or(usize::MAX);
        let length = wanted.min(available);
        let mut slice = nothing(start);
        slice.first_batch_incomplete = wanted < batch;
        if length > 0 {
            slice.ranges.push(FileRange { file, position: first.position, length });
        }
        Ok(slice)
    }

    /// The place of an offset: of the batch that holds it, or the end of the log.
    pub fn offset_metadata(&self, offset: Offset) -> Result<OffsetMetadata, ReadError> {
        self.locate(&self.view(), offset)
    }

    pub(crate) fn locate(&self, view: &View, offset: Offset) -> Result<OffsetMetadata, ReadError> {
        if offset >= view.end.offset {
            return Ok(view.end);
        }
        let found = self.find(view, offset)?;
        Ok(found.map_or(view.end, |(segment, _, located)| OffsetMetadata {
            offset,
            segment_base_offset: segment.base_offset,
            position: located.position,
        }))
    }

    /// The batch that holds an offset, or the first after it, which may be in a later segment.
    pub(crate) fn find<'a>(&self, view: &'a View, offset: Offset) -> Result<Option<Found<'a>>, ReadError> {
        let first = view.floor(offset).unwrap_or(0);
        for segment in view.segments.get(first..).unwrap_or_default() {
            let size = self.size_in(view, segment)?;
            if size == 0 {
                continue;
            }
            let file = self.context.files.get(segment)?;
            if segment.wants_index() {
                self.cache_index(segment, size)?;
            }
            match segment.find(self.disk(), &*file, offset, size)? {
                None => {}
                Some(Ok(located)) => return Ok(Some((segment, file, located))),
                Some(Err(fault)) => return Err(damage(segment, fault, offset).into()),
            }
        }
        Ok(None)
    }

    /// Takes the index of a sealed segment into memory: whoever reads on there will ask for many positions.
    fn cache_index(&self, segment: &Arc<Segment>, size: u64) -> DiskResult<()> {
        let path = segment.path_of(FileKind::OffsetIndex);
        let cache = &self.context.indexes;
        let Ok(length) = self.disk().length(&path) else { return Ok(()) };
        if !cache.accepts(length) {
            return Ok(());
        }
        let contents = read_file(self.disk(), &path, length)?.unwrap_or_default();
        if let Ok(index) = OffsetIndex::parse(&contents, size) {
            cache.insert(segment, index);
        }
        Ok(())
    }

    /// The size of a segment as the view has it: of the active one only what the view covers.
    pub(crate) fn size_in(&self, view: &View, segment: &Segment) -> DiskResult<u64> {
        if segment.base_offset == view.end.segment_base_offset {
            Ok(view.end.position)
        } else {
            segment.size(self.disk())
        }
    }

    fn upper_bound(&self, view: &View, bound: ReadBound) -> Result<OffsetMetadata, ReadError> {
        let offset = match bound {
            ReadBound::LogEnd => return Ok(view.end),
            ReadBound::HighWatermark => view.high_watermark,
            ReadBound::LastStable => view.last_stable_offset(),
        };
        if offset == view.end.offset {
            return Ok(view.end);
        }
        if let Some(known) = view.high_watermark_position
            && known.offset == offset
        {
            return Ok(known);
        }
        let located = self.locate(view, offset)?;
        // The next reader need not look it up again.
        let mut current = self.view.write();
        if current.high_watermark == offset {
            current.high_watermark_position = Some(located);
        }
        Ok(located)
    }

    /// Up to where a segment may be read when `upper` is the bound.
    fn readable_end(&self, view: &View, segment: &Segment, upper: &OffsetMetadata) -> Result<u64, ReadError> {
        if segment.base_offset == upper.segment_base_offset {
            Ok(upper.position)
        } else if segment.base_offset < upper.segment_base_offset {
            Ok(self.size_in(view, segment)?)
        } else {
            Ok(0)
        }
    }
}

pub(crate) fn damage(segment: &Segment, fault: Fault, offset: Offset) -> Damage {
    Damage { path: segment.path_of(FileKind::Log), position: fault.position, offset, fault: fault.fault }
}
