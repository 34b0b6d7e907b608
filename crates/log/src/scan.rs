//! Walking the batches of a segment file.

use crate::batch::{BatchFault, BatchHeader, HEADER_LENGTH};
use ottla_env::{DiskResult, File};

/// What is read first: with batches of the usual size the first or the second header is the one that is looked for, and then
/// every byte more is read in vain.
const SMALL_WINDOW: usize = 256;
/// What is read at once after that: the distance of index entries, so that one read usually finds a small batch.
const WINDOW: usize = 4096;
/// What is read at once by a walk that goes on over small batches.
const LARGE_WINDOW: usize = 64 << 10;
/// So many batches met in one window make the next one large.
const MANY: usize = 4;

/// A batch found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl Located {
    pub(crate) fn end(&self) -> u64 {
        self.position + u64::from(self.header.length)
    }
}

/// Walks the headers of a file from one position to another. Records are not read. Ends at the first thing that is not a
/// whole batch, and then says what is wrong there.
pub(crate) struct HeaderWalk<'a> {
    file: &'a dyn File,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// The part of the file that the buffer holds.
    buffered: core::ops::Range<u64>,
    met_in_window: usize,
}

/// Where a walk stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) position: u64,
    pub(crate) fault: BatchFault,
}

impl<'a> HeaderWalk<'a> {
    pub(crate) fn new(file: &'a dyn File, position: u64, end: u64) -> Self {
        Self { file, position, end, buffer: Vec::new(), buffered: 0..0, met_in_window: 0 }
    }

    /// The next batch. `None` at the end.
    pub(crate) fn next(&mut self) -> DiskResult<Option<Result<Located, Fault>>> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let found = BatchHeader::parse(self.window()?);
        let fault = |fault| Some(Err(Fault { position, fault }));
        Ok(match found {
            Ok(header) if position + u64::from(header.length) > self.end => fault(BatchFault::Truncated),
            Ok(header) => {
                self.position += u64::from(header.length);
                Some(Ok(Located { position, header }))
            }
            Err(reason) => fault(reason),
        })
    }

    /// The bytes at the position: as many as a header has, when the file has them.
    fn window(&mut self) -> DiskResult<&[u8]> {
        let wanted = self.position..self.end.min(self.position + HEADER_LENGTH as u64);
        if wanted.start < self.buffered.start || wanted.end > self.buffered.end {
            let window = match self.met_in_window {
                0 | 1 if self.buffer.len() <= SMALL_WINDOW => SMALL_WINDOW,
                met if met >= MANY => LARGE_WINDOW,
                _ => WINDOW,
            };
            let length = usize::try_from(self.end - self.position).unwrap_or(usize::MAX).min(window);
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            let read = self.file.read_at(&mut self.buffer[..length], self.position)?;
            self.buffered = self.position..self.position + read as u64;
            self.met_in_window = 0;
        }
        self.met_in_window += 1;
        let start = (self.position - self.buffered.start) as usize;
        let end = (self.buffered.end - self.buffered.start) as usize;
        Ok(self.buffer.get(start..end).unwrap_or_default())
    }
}
