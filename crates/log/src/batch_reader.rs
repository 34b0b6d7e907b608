//! Reading whole batches of a segment one after the other, to check them.

use crate::batch::{BatchFault, BatchHeader, HEADER_LENGTH};
use ottla_env::{DiskResult, File};

/// What is read at once.
const CHUNK: usize = 1 << 20;

/// Reads whole batches one after the other through a buffer that is used again.
pub(crate) struct BatchReader<'a> {
    file: &'a dyn File,
    size: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins, and how many bytes of it are read.
    start: u64,
    filled: usize,
}

pub(crate) type FoundBatch<'b> = Result<(BatchHeader, &'b [u8]), BatchFault>;

impl<'a> BatchReader<'a> {
    pub(crate) fn new(file: &'a dyn File, size: u64) -> Self {
        let chunk = usize::try_from(size).unwrap_or(CHUNK).min(CHUNK);
        Self { file, size, buffer: vec![0; chunk], start: 0, filled: 0 }
    }

    /// The batch at a position, `None` at the end of the file.
    pub(crate) fn next(&mut self, position: u64) -> DiskResult<Option<FoundBatch<'_>>> {
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
