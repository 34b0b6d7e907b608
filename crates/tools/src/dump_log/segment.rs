use super::Failure;
use ottla_records::{AnyBatch, BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The bytes that must be there for a batch to be looked at: up to the number of its format.
const HEADER_TO_MAGIC: i64 = 17;
/// The least size that a message of the oldest format has behind offset and size.
const SIZE_MIN: i32 = 14;
const MAGIC: usize = 16;
const LAST_OFFSET_DELTA: usize = 23;
/// The largest batch that is read: as much as Kafka's tool, with the memory that its script gives it, can't read either.
const BATCH_BYTES_MAX: i64 = 256 << 20;

/// A log file, read batch by batch where it lies.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    file: File,
    length: i64,
}

/// Where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) position: i64,
    /// In bytes, with the whole header.
    pub(crate) size: i64,
    base_offset: i64,
    /// The number of the format; newer ones than there are count as the newest.
    pub(crate) magic: i8,
}

impl Segment {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::of(path, error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Failure::of(path, "not a file"));
        }
        // Positions in a segment have 32 bits.
        let length = i32::try_from(metadata.len())
            .map_err(|_| Failure::of(path, format!("{} bytes are more than a segment may have", metadata.len())))?;
        Ok(Self { path: path.to_owned(), file, length: length.into() })
    }

    /// In bytes.
    pub(crate) fn length(&self) -> i64 {
        self.length
    }

    /// The batch at `position`; `None` when no whole batch is there before `end`.
    pub(crate) fn batch_at(&self, position: i64, end: i64) -> Result<Option<BatchPlace>, Failure> {
        let end = end.min(self.length);
        if position >= end - HEADER_TO_MAGIC {
            return Ok(None);
        }
        let header: [u8; HEADER_TO_MAGIC as usize] = self.read(position)?;
        let (offset, rest) = header.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let size = i32::from_be_bytes(rest.first_chunk().copied().unwrap_or_default());
        if size < SIZE_MIN {
            let what =
                format!("the batch at byte {position} has the size {size}, less than the {SIZE_MIN} of the smallest");
            return Err(Failure::of(&self.path, what));
        }
        let size = i64::from(size) + LENGTH_PREFIX_BYTES as i64;
        if position > end - size {
            return Ok(None);
        }
        let magic = i8::from_be_bytes([header[MAGIC]]);
        Ok(Some(BatchPlace { position, size, base_offset: i64::from_be_bytes(*offset), magic }))
    }

    /// The offset of a batch's last record, from its header alone.
    pub(crate) fn last_offset(&self, place: &BatchPlace) -> Result<i64, Failure> {
        if place.magic < 2 {
            return Ok(place.base_offset);
        }
        let header: [u8; BATCH_HEADER_BYTES] = self.read(place.position)?;
        let delta = header.get(LAST_OFFSET_DELTA..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        Ok(place.base_offset.wrapping_add(i32::from_be_bytes(delta).into()))
    }

    /// Reads a batch into `buffer` and gives a view of it.
    pub(crate) fn batch<'a>(&self, place: &BatchPlace, buffer: &'a mut Vec<u8>) -> Result<AnyBatch<'a>, Failure> {
        let failed = |what: String| Failure::of(&self.path, format!("the batch at byte {}: {what}", place.position));
        if place.size > BATCH_BYTES_MAX {
            return Err(failed(format!("{} bytes are more than the {BATCH_BYTES_MAX} that are read", place.size)));
        }
        // The whole of it is in the file, so that the file bounds what is reserved.
        buffer.clear();
        buffer.resize(usize::try_from(place.size).unwrap_or(0), 0);
        self.read_into(place.position, buffer)?;
        // The checksum does not cover the number of the format. A number that no release has is shown like the newest.
        if place.magic > 2
            && let Some(magic) = buffer.get_mut(MAGIC)
        {
            *magic = 2;
        }
        AnyBatch::parse(buffer).map_err(|error| failed(error.to_string()))
    }

    fn read<const N: usize>(&self, position: i64) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        self.read_into(position, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, position: i64, bytes: &mut [u8]) -> Result<(), Failure> {
        let position = u64::try_from(position).map_err(|_| Failure::of(&self.path, "a position is negative"))?;
        self.file.read_exact_at(bytes, position).map_err(|error| Failure::of(&self.path, error))
    }
}
