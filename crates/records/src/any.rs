use core::iter::FusedIterator;

use ottla_types::{LeaderEpoch, Offset, Timestamp};

use crate::batch::{RecordBatchView, TimestampType};
use crate::batches::{BatchError, BatchErrorKind};
use crate::compression::{Compression, Decompressor, UnknownCompression};
use crate::legacy::{LegacyMessageView, LegacyRecords};
use crate::record::Record;
use crate::records::{Records, RecordsError};

/// A batch of format 2 or a message of an older format: what a log of any age consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyBatch<'a> {
    /// Format 2.
    Batch(RecordBatchView<'a>),
    /// Format 0 or 1.
    Legacy(LegacyMessageView<'a>),
}

impl<'a> AnyBatch<'a> {
    /// The batch or message at the start of `bytes`; more may follow it.
    ///
    /// # Errors
    /// As [`RecordBatchView::parse`] and [`LegacyMessageView::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchErrorKind> {
        match RecordBatchView::parse(bytes) {
            Ok(batch) => Ok(Self::Batch(batch)),
            Err(BatchErrorKind::OlderFormat { .. }) => LegacyMessageView::parse(bytes).map(Self::Legacy),
            Err(error) => Err(error),
        }
    }

    /// The whole batch or message.
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Batch(batch) => batch.bytes(),
            Self::Legacy(message) => message.bytes(),
        }
    }

    /// The size in bytes.
    pub const fn size(self) -> usize {
        self.bytes().len()
    }

    /// The format's number.
    pub fn magic(self) -> i8 {
        match self {
            Self::Batch(batch) => batch.magic(),
            Self::Legacy(message) => message.magic(),
        }
    }

    /// The offset of the last record.
    pub fn last_offset(self) -> Offset {
        match self {
            Self::Batch(batch) => batch.last_offset(),
            Self::Legacy(message) => message.offset(),
        }
    }

    /// The greatest timestamp.
    pub fn max_timestamp(self) -> Timestamp {
        match self {
            Self::Batch(batch) => batch.max_timestamp(),
            Self::Legacy(message) => message.timestamp(),
        }
    }

    /// What the timestamps tell.
    pub fn timestamp_type(self) -> TimestampType {
        match self {
            Self::Batch(batch) => batch.timestamp_type(),
            Self::Legacy(message) => message.timestamp_type(),
        }
    }

    /// The codec.
    ///
    /// # Errors
    /// The attributes name a codec that does not exist.
    pub fn compression(self) -> Result<Compression, UnknownCompression> {
        match self {
            Self::Batch(batch) => batch.compression(),
            Self::Legacy(message) => message.compression(),
        }
    }

    /// The leader epoch; the older formats have none.
    pub fn partition_leader_epoch(self) -> LeaderEpoch {
        match self {
            Self::Batch(batch) => batch.partition_leader_epoch(),
            Self::Legacy(_) => LeaderEpoch::NONE,
        }
    }

    /// Whether the checksum is right.
    pub fn is_checksum_valid(self) -> bool {
        match self {
            Self::Batch(batch) => batch.is_checksum_valid(),
            Self::Legacy(message) => message.is_checksum_valid(),
        }
    }

    /// The records.
    ///
    /// # Errors
    /// As [`RecordBatchView::records`] and [`LegacyMessageView::records`].
    pub fn records<'x>(self, decompressor: &'x mut Decompressor) -> Result<AnyRecords<'x>, RecordsError>
    where
        'a: 'x,
    {
        match self {
            Self::Batch(batch) => batch.records(decompressor).map(AnyRecords::Batch),
            Self::Legacy(message) => message.records(decompressor).map(AnyRecords::Legacy),
        }
    }
}

/// The records of a batch of any format.
#[derive(Clone, Debug)]
pub enum AnyRecords<'a> {
    /// Of a batch of format 2.
    Batch(Records<'a>),
    /// Of a message of format 0 or 1.
    Legacy(LegacyRecords<'a>),
}

impl<'a> Iterator for AnyRecords<'a> {
    type Item = Result<Record<'a>, RecordsError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Batch(records) => records.next(),
            Self::Legacy(records) => records.next(),
        }
    }
}

impl FusedIterator for AnyRecords<'_> {}

/// Walks over batches of any format, as [`Batches`](crate::Batches) does over those of format 2.
#[derive(Clone, Debug)]
pub struct AnyBatches<'a> {
    bytes: &'a [u8],
    position: usize,
    has_failed: bool,
}

impl<'a> AnyBatches<'a> {
    /// Walks over the batches in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, has_failed: false }
    }

    /// Where the next batch starts.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for AnyBatches<'a> {
    type Item = Result<AnyBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.position..)?;
        if rest.is_empty() || self.has_failed {
            return None;
        }
        match AnyBatch::parse(rest) {
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

impl FusedIterator for AnyBatches<'_> {}
