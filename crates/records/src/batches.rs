use core::iter::FusedIterator;

use thiserror::Error;

use crate::batch::RecordBatchView;

/// Batches of format 2 that lie one after the other, as in a segment, a Fetch answer or a Produce.
///
/// Walks headers only: neither checksums nor records are looked at. Stops after the first error; one that
/// [is partial](BatchError::is_partial) says that the bytes end inside of a batch, which is usual at the end of a Fetch
/// answer and of a segment that was cut off by a crash.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    has_failed: bool,
}

/// What is wrong with the bytes of a batch, and where they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("batch at byte {position}: {kind}")]
pub struct BatchError {
    /// Where the batch starts, in bytes from the start of the walk.
    pub position: usize,
    /// What is wrong.
    pub kind: BatchErrorKind,
}

/// What is wrong with the bytes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BatchErrorKind {
    /// The bytes end before the batch does.
    #[error("the bytes end before the {needed} bytes that are needed")]
    Partial {
        /// How many bytes from the batch's start are needed to go on: the whole batch, or what holds its length.
        needed: usize,
    },
    /// The length field is less than any format allows.
    #[error("the length {length} is less than the smallest batch")]
    InvalidLength {
        /// The value of the field.
        length: i32,
    },
    /// The batch is shorter than a header of format 2.
    #[error("{length} bytes are less than a header")]
    TooShort {
        /// The size of the batch in bytes.
        length: usize,
    },
    /// A message of format 0 or 1: readable, but not as a batch of format 2.
    #[error("it has the older format {magic}")]
    OlderFormat {
        /// The format's number.
        magic: i8,
    },
    /// A format that does not exist.
    #[error("it has the unknown format {magic}")]
    UnknownFormat {
        /// The format's number.
        magic: i8,
    },
}

impl BatchError {
    /// Whether the bytes merely end too early.
    pub const fn is_partial(&self) -> bool {
        matches!(self.kind, BatchErrorKind::Partial { .. })
    }
}

impl<'a> Batches<'a> {
    /// Walks over the batches in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, has_failed: false }
    }

    /// Where the next batch starts, thus how many bytes the whole batches before it take.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<RecordBatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.position..)?;
        if rest.is_empty() || self.has_failed {
            return None;
        }
        match RecordBatchView::parse(rest) {
            Ok(batch) => {
                self.position += batch.size();
                Some(Ok(batch))
            }
            Err(kind) => {
                self.has_failed = true;
                Some(Err(BatchError { position: self.position, kind }))
            }
        }
    }
}

impl FusedIterator for Batches<'_> {}
