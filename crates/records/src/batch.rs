use core::fmt;

use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::batches::BatchErrorKind;
use crate::compression::{Compression, Decompressor, UnknownCompression};
use crate::layout::{self, BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES, field};
use crate::records::{Records, RecordsError};

/// What the timestamps of a batch tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// When the producer made the record.
    #[default]
    CreateTime,
    /// When the leader appended it; every record of the batch has the batch's max timestamp.
    LogAppendTime,
}

impl TimestampType {
    /// The name as in `message.timestamp.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateTime => "CreateTime",
            Self::LogAppendTime => "LogAppendTime",
        }
    }
}

/// One batch of format 2 where it lies.
///
/// Invariant: the bytes hold a whole header and exactly as many bytes as its length field says. Nothing else is
/// believed: the checksum may be wrong, and the records may be broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordBatchView<'a> {
    bytes: &'a [u8],
}

impl<'a> RecordBatchView<'a> {
    /// The batch at the start of `bytes`; more may follow it.
    ///
    /// # Errors
    /// The bytes end before the batch does, or don't start with a batch of format 2.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchErrorKind> {
        let whole = whole_batch(bytes)?;
        match magic(whole) {
            2 => {}
            0 | 1 => return Err(BatchErrorKind::OlderFormat { magic: magic(whole) }),
            other => return Err(BatchErrorKind::UnknownFormat { magic: other }),
        }
        if whole.len() < BATCH_HEADER_BYTES {
            return Err(BatchErrorKind::TooShort { length: whole.len() });
        }
        Ok(Self { bytes: whole })
    }

    /// The whole batch.
    #[inline]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The size of the whole batch in bytes, header included.
    #[inline]
    pub const fn size(self) -> usize {
        self.bytes.len()
    }

    /// What follows the header: the records, compressed or not.
    #[inline]
    pub fn body(self) -> &'a [u8] {
        self.bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default()
    }

    /// The offset of the first record, or of what was the first one before compaction.
    #[inline]
    pub fn base_offset(self) -> Offset {
        Offset(i64::from_be_bytes(field(self.bytes, layout::BASE_OFFSET)))
    }

    /// The offset of the last record, or of what was the last one before compaction.
    #[inline]
    pub fn last_offset(self) -> Offset {
        self.base_offset().plus(i64::from(self.last_offset_delta()))
    }

    /// The offset that follows this batch.
    #[inline]
    pub fn next_offset(self) -> Offset {
        self.last_offset().next()
    }

    /// How far the last offset lies from the base offset.
    #[inline]
    pub fn last_offset_delta(self) -> i32 {
        i32::from_be_bytes(field(self.bytes, layout::LAST_OFFSET_DELTA))
    }

    /// The epoch of the leader that appended the batch. The checksum does not cover it.
    #[inline]
    pub fn partition_leader_epoch(self) -> LeaderEpoch {
        LeaderEpoch(i32::from_be_bytes(field(self.bytes, layout::PARTITION_LEADER_EPOCH)))
    }

    /// The format's number: always 2.
    #[inline]
    pub fn magic(self) -> i8 {
        magic(self.bytes)
    }

    /// The stored CRC-32C.
    #[inline]
    pub fn checksum(self) -> u32 {
        u32::from_be_bytes(field(self.bytes, layout::CHECKSUM))
    }

    /// The CRC-32C of the bytes as they are: everything from the attributes on.
    #[inline]
    pub fn computed_checksum(self) -> u32 {
        crc_fast::crc32_iscsi(self.bytes.get(layout::ATTRIBUTES..).unwrap_or_default())
    }

    /// Whether the stored checksum is right.
    #[inline]
    pub fn is_checksum_valid(self) -> bool {
        self.checksum() == self.computed_checksum()
    }

    /// The bare attribute bits.
    #[inline]
    pub fn attributes(self) -> i16 {
        i16::from_be_bytes(field(self.bytes, layout::ATTRIBUTES))
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// The attributes name a codec that does not exist.
    #[inline]
    pub fn compression(self) -> Result<Compression, UnknownCompression> {
        Compression::from_id((self.attributes() & layout::COMPRESSION_MASK) as u8)
    }

    /// What the timestamps tell.
    #[inline]
    pub fn timestamp_type(self) -> TimestampType {
        if self.has(layout::TIMESTAMP_TYPE) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// Whether the batch belongs to a transaction.
    #[inline]
    pub fn is_transactional(self) -> bool {
        self.has(layout::TRANSACTIONAL)
    }

    /// Whether the batch holds control records, which no application sees.
    #[inline]
    pub fn is_control(self) -> bool {
        self.has(layout::CONTROL)
    }

    /// Whether the base timestamp is the time from which tombstones may be deleted (KIP-534).
    #[inline]
    pub fn has_delete_horizon(self) -> bool {
        self.has(layout::DELETE_HORIZON)
    }

    /// The time from which the cleaner may delete the tombstones and markers of this batch, once it was set.
    #[inline]
    pub fn delete_horizon(self) -> Option<Timestamp> {
        self.has_delete_horizon().then(|| self.base_timestamp())
    }

    /// What the records' timestamp deltas count from.
    #[inline]
    pub fn base_timestamp(self) -> Timestamp {
        Timestamp(i64::from_be_bytes(field(self.bytes, layout::BASE_TIMESTAMP)))
    }

    /// The greatest timestamp of the records, or the append time.
    #[inline]
    pub fn max_timestamp(self) -> Timestamp {
        Timestamp(i64::from_be_bytes(field(self.bytes, layout::MAX_TIMESTAMP)))
    }

    /// The producer's id, [`ProducerId::NONE`] for a producer without idempotence.
    #[inline]
    pub fn producer_id(self) -> ProducerId {
        ProducerId(i64::from_be_bytes(field(self.bytes, layout::PRODUCER_ID)))
    }

    /// Whether a producer id is set: the batch is deduplicated.
    #[inline]
    pub fn is_idempotent(self) -> bool {
        self.producer_id().is_some()
    }

    /// The producer's epoch.
    #[inline]
    pub fn producer_epoch(self) -> ProducerEpoch {
        ProducerEpoch(i16::from_be_bytes(field(self.bytes, layout::PRODUCER_EPOCH)))
    }

    /// The sequence of the first record.
    #[inline]
    pub fn base_sequence(self) -> Sequence {
        Sequence(i32::from_be_bytes(field(self.bytes, layout::BASE_SEQUENCE)))
    }

    /// The sequence of the last record; [`Sequence::NONE`] when there is none.
    #[inline]
    pub fn last_sequence(self) -> Sequence {
        let base = self.base_sequence();
        if base == Sequence::NONE { Sequence::NONE } else { base.plus(self.last_offset_delta()) }
    }

    /// How many records the header says there are; compaction makes it less than the offsets say.
    #[inline]
    pub fn count(self) -> i32 {
        i32::from_be_bytes(field(self.bytes, layout::RECORD_COUNT))
    }

    /// The records. Those of a compressed batch are decompressed at once into the decompressor's buffer.
    ///
    /// # Errors
    /// The codec is unknown, the compressed bytes are malformed or too large, or the record count is negative. What is
    /// wrong in the records themselves is told by the iterator.
    pub fn records<'x>(self, decompressor: &'x mut Decompressor) -> Result<Records<'x>, RecordsError>
    where
        'a: 'x,
    {
        let count = self.count();
        if count == 0 {
            return Ok(Records::empty(self));
        }
        let body = match self.compression()? {
            Compression::None => self.body(),
            codec => decompressor.decompress(codec, self.body())?,
        };
        Records::new(self, body)
    }

    /// The records of an uncompressed batch; `None` when it is compressed.
    ///
    /// # Errors
    /// As [`Self::records`].
    pub fn uncompressed_records(self) -> Option<Result<Records<'a>, RecordsError>> {
        match self.compression() {
            Ok(Compression::None) if self.count() == 0 => Some(Ok(Records::empty(self))),
            Ok(Compression::None) => Some(Records::new(self, self.body())),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    #[inline]
    fn has(self, flag: i16) -> bool {
        self.attributes() & flag != 0
    }
}

/// The format number of the batch or message at the start of `bytes`.
#[inline]
pub(crate) fn magic(bytes: &[u8]) -> i8 {
    i8::from_be_bytes(field(bytes, layout::MAGIC))
}

/// Cuts the first batch or message of any format out of `bytes` by its length field.
pub(crate) fn whole_batch(bytes: &[u8]) -> Result<&[u8], BatchErrorKind> {
    if bytes.len() < LENGTH_PREFIX_BYTES {
        return Err(BatchErrorKind::Partial { needed: LENGTH_PREFIX_BYTES });
    }
    let length = i32::from_be_bytes(field(bytes, layout::LENGTH));
    if length < layout::LENGTH_MIN {
        return Err(BatchErrorKind::InvalidLength { length });
    }
    // A format that does not exist is told even when the rest of the batch is missing.
    if bytes.len() > layout::MAGIC && !(0..=2).contains(&magic(bytes)) {
        return Err(BatchErrorKind::UnknownFormat { magic: magic(bytes) });
    }
    let needed = LENGTH_PREFIX_BYTES.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    bytes.get(..needed).ok_or(BatchErrorKind::Partial { needed })
}

impl fmt::Debug for RecordBatchView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatchView")
            .field("base_offset", &self.base_offset())
            .field("last_offset_delta", &self.last_offset_delta())
            .field("count", &self.count())
            .field("size", &self.size())
            .field("attributes", &self.attributes())
            .field("partition_leader_epoch", &self.partition_leader_epoch())
            .field("base_timestamp", &self.base_timestamp())
            .field("max_timestamp", &self.max_timestamp())
            .field("producer_id", &self.producer_id())
            .field("producer_epoch", &self.producer_epoch())
            .field("base_sequence", &self.base_sequence())
            .finish_non_exhaustive()
    }
}
