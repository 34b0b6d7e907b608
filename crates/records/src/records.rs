use core::iter::FusedIterator;

use ottla_types::Offset;
use thiserror::Error;

use crate::batch::{RecordBatchView, TimestampType};
use crate::compression::{DecompressError, UnknownCompression};
use crate::record::{Record, RecordBase, read_record};
use crate::varint::Cursor;

/// The records of one batch in order.
///
/// Gives exactly as many records as the header says, or an error and then nothing more. Bytes left over after the last
/// record are an error too, in place of that record.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    cursor: Cursor<'a>,
    base: RecordBase,
    index: i32,
    count: i32,
}

/// Why the records of a batch can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordsError {
    /// The codec in the batch's attributes does not exist.
    #[error(transparent)]
    UnknownCompression(#[from] UnknownCompression),
    /// The compressed bytes can't be decompressed, or not within the limit.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The header says that there are fewer than no records.
    #[error("the record count {0} is negative")]
    NegativeCount(i32),
    /// A record is malformed.
    #[error("record {index} is malformed: {reason}")]
    Malformed {
        /// The record's place in the batch, from 0.
        index: i32,
        /// What is wrong.
        reason: &'static str,
    },
    /// The batch ends before the records that its header counts.
    #[error("the batch ends before record {index} of {count}")]
    Missing {
        /// The record's place in the batch, from 0.
        index: i32,
        /// How many records the header counts.
        count: i32,
    },
    /// Bytes are left over after the last record.
    #[error("{bytes} bytes are left over after the last record")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// The wrapper of a compressed set of formats 0 and 1 is wrong.
    #[error("the compressed message set is malformed: {reason}")]
    MalformedSet {
        /// What is wrong.
        reason: &'static str,
    },
}

impl<'a> Records<'a> {
    pub(crate) fn new(batch: RecordBatchView<'_>, body: &'a [u8]) -> Result<Self, RecordsError> {
        let count = batch.count();
        if count < 0 {
            return Err(RecordsError::NegativeCount(count));
        }
        Ok(Self { cursor: Cursor::new(body), base: base_of(batch), index: 0, count })
    }

    pub(crate) fn empty(batch: RecordBatchView<'_>) -> Self {
        Self { cursor: Cursor::new(&[]), base: base_of(batch), index: 0, count: 0 }
    }

    /// The base offset of the batch.
    pub fn base_offset(&self) -> Offset {
        self.base.offset
    }
}

fn base_of(batch: RecordBatchView<'_>) -> RecordBase {
    RecordBase {
        offset: batch.base_offset(),
        timestamp: batch.base_timestamp(),
        sequence: batch.base_sequence(),
        log_append_time: (batch.timestamp_type() == TimestampType::LogAppendTime).then(|| batch.max_timestamp()),
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordsError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let index = self.index;
        let result = if self.cursor.remaining() == 0 {
            Err(RecordsError::Missing { index, count: self.count })
        } else {
            read_record(&mut self.cursor, &self.base).map_err(|reason| RecordsError::Malformed { index, reason })
        };
        self.index += 1;
        let result = match result {
            Ok(_) if self.index == self.count && self.cursor.remaining() > 0 => {
                Err(RecordsError::LeftOver { bytes: self.cursor.remaining() })
            }
            other => other,
        };
        if result.is_err() {
            self.index = self.count;
        }
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count is the batch's word, not a fact, so it must not size anybody's allocation.
        (0, usize::try_from(self.count - self.index).ok())
    }
}

impl FusedIterator for Records<'_> {}
