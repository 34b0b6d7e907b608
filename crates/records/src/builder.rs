use bytes::Bytes;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use thiserror::Error;

use crate::batch::TimestampType;
use crate::compression::{CompressError, Compression, CompressionLevel, Compressor};
use crate::control::EndTransactionMarker;
use crate::layout::{self, BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES, put_field};
use crate::varint::{put_varint, put_varlong, varint_size, varlong_size};

/// The most bytes that a record adds beside key, value and headers: length, attributes, timestamp, offset, two lengths.
const RECORD_OVERHEAD_MAX: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;

/// Everything about a batch but its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// The codec and its level.
    pub compression: CompressionLevel,
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The epoch of the leader that appends the batch; clients leave [`LeaderEpoch::NONE`].
    pub partition_leader_epoch: LeaderEpoch,
    /// With `Some`, the batch has the type `LogAppendTime` and this as max timestamp.
    pub log_append_time: Option<Timestamp>,
    /// The producer's id.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of the first record.
    pub base_sequence: Sequence,
    /// Whether the batch belongs to a transaction.
    pub is_transactional: bool,
    /// Whether the records are control records.
    pub is_control: bool,
    /// The time from which the cleaner may delete tombstones; becomes the base timestamp (KIP-534).
    pub delete_horizon: Option<Timestamp>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            compression: CompressionLevel::default_of(Compression::None),
            base_offset: Offset::ZERO,
            partition_leader_epoch: LeaderEpoch::NONE,
            log_append_time: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            is_transactional: false,
            is_control: false,
            delete_horizon: None,
        }
    }
}

/// A record that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordToWrite<'a> {
    /// When it was made; [`Timestamp::NONE`] when that is unknown.
    pub timestamp: Timestamp,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Keys and values of the headers.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Why a batch can't be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A length does not fit the format: a field, a record or the batch is larger than an i32 counts.
    #[error("the batch would be larger than 2 GiB")]
    TooLarge,
    /// The offsets of one batch must lie within the greatest i32 of its base, and grow.
    #[error("offset {offset} can't be in a batch with base offset {base_offset} after {records} records")]
    InvalidOffset {
        /// The offset of the refused record.
        offset: Offset,
        /// The base offset of the batch.
        base_offset: Offset,
        /// How many records the batch holds already.
        records: i32,
    },
    /// A timestamp below 0 that isn't -1.
    #[error("{0} is not a timestamp")]
    InvalidTimestamp(Timestamp),
    /// A batch without records has no place in a log.
    #[error("the batch has no records")]
    Empty,
    /// A transaction is of a producer with an epoch.
    #[error("a transaction of producer {0} can't be without an epoch")]
    NoProducerEpoch(ProducerId),
    /// The codec failed.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

/// Builds one batch of format 2, with the exact bytes that Kafka's own builder gives when uncompressed.
///
/// Grows with the records appended; the caller bounds it by [`Self::estimated_size`].
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    records: Vec<u8>,
    count: i32,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    last_offset: Offset,
}

impl BatchBuilder {
    /// A batch without records yet.
    pub fn new(options: BatchOptions) -> Self {
        Self::with_buffer(options, Vec::new())
    }

    /// As [`Self::new`], with a buffer that is used again; what it holds is thrown away.
    pub fn with_buffer(options: BatchOptions, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(BATCH_HEADER_BYTES, 0);
        Self {
            options,
            records: buffer,
            count: 0,
            base_timestamp: options.delete_horizon,
            max_timestamp: Timestamp::NONE,
            last_offset: Offset(options.base_offset.value().saturating_sub(1)),
        }
    }

    /// The marker that ends a transaction, as a whole batch.
    ///
    /// # Errors
    /// As [`Self::append`], and when the producer has no epoch.
    pub fn end_transaction(
        options: BatchOptions,
        timestamp: Timestamp,
        marker: EndTransactionMarker,
    ) -> Result<Bytes, BuildError> {
        if options.producer_epoch == ProducerEpoch::NONE {
            return Err(BuildError::NoProducerEpoch(options.producer_id));
        }
        let mut builder = Self::new(BatchOptions {
            compression: CompressionLevel::default_of(Compression::None),
            is_transactional: true,
            is_control: true,
            base_sequence: EndTransactionMarker::BASE_SEQUENCE,
            ..options
        });
        let (key, value) = (marker.key(), marker.value());
        builder.append(&RecordToWrite { timestamp, key: Some(&key), value: Some(&value), headers: &[] })?;
        builder.build(&mut Compressor::new())
    }

    /// Appends a record at the next offset.
    ///
    /// # Errors
    /// See [`BuildError`]; the builder is then as it was before.
    pub fn append(&mut self, record: &RecordToWrite<'_>) -> Result<(), BuildError> {
        self.append_with_offset(self.last_offset.next(), record)
    }

    /// Appends a record at a given offset, which must be greater than the last one: compaction leaves gaps.
    ///
    /// # Errors
    /// See [`BuildError`]; the builder is then as it was before.
    pub fn append_with_offset(&mut self, offset: Offset, record: &RecordToWrite<'_>) -> Result<(), BuildError> {
        let invalid_offset =
            BuildError::InvalidOffset { offset, base_offset: self.options.base_offset, records: self.count };
        if offset <= self.last_offset {
            return Err(invalid_offset);
        }
        let offset_delta = i32::try_from(offset.since(self.options.base_offset)).map_err(|_| invalid_offset)?;
        if record.timestamp < Timestamp::NONE {
            return Err(BuildError::InvalidTimestamp(record.timestamp));
        }
        let base_timestamp = self.base_timestamp.unwrap_or(record.timestamp);
        let timestamp_delta = record.timestamp.value().wrapping_sub(base_timestamp.value());
        let body = body_size(offset_delta, timestamp_delta, record).ok_or(BuildError::TooLarge)?;
        let count = self.count.checked_add(1).ok_or(BuildError::TooLarge)?;
        if self.records.len().saturating_add(body as usize) > i32::MAX as usize - LENGTH_PREFIX_BYTES {
            return Err(BuildError::TooLarge);
        }
        write_record(&mut self.records, body, offset_delta, timestamp_delta, record);
        self.base_timestamp = Some(base_timestamp);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.last_offset = offset;
        self.count = count;
        Ok(())
    }

    /// How many records were appended.
    pub const fn count(&self) -> i32 {
        self.count
    }

    /// Whether no record was appended.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of the batch so far when it is not compressed, in bytes with the header.
    pub fn uncompressed_size(&self) -> usize {
        self.records.len()
    }

    /// At most how large the uncompressed batch gets with one more record.
    pub fn estimated_size(&self, record: &RecordToWrite<'_>) -> usize {
        let headers: usize = record
            .headers
            .iter()
            .map(|(key, value)| 10 + key.len() + value.map_or(0, <[u8]>::len))
            .fold(0, usize::saturating_add);
        self.records
            .len()
            .saturating_add(RECORD_OVERHEAD_MAX)
            .saturating_add(headers)
            .saturating_add(record.key.map_or(0, <[u8]>::len))
            .saturating_add(record.value.map_or(0, <[u8]>::len))
    }

    /// The greatest timestamp of the records so far.
    pub const fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// Lets the batch reach to an offset beyond its last record: a compacted batch keeps the last offset that it had.
    /// An offset before the last record changes nothing.
    pub fn extend_to(&mut self, last_offset: Offset) {
        self.last_offset = self.last_offset.max(last_offset);
    }

    /// A batch whose records compaction has removed, and which stays for the sake of its producer's sequence numbers or of
    /// the end of the log.
    ///
    /// # Errors
    /// `last_offset` does not lie within the greatest i32 of the base offset.
    pub fn without_records(
        options: BatchOptions,
        last_offset: Offset,
        max_timestamp: Timestamp,
    ) -> Result<Vec<u8>, BuildError> {
        let base_offset = options.base_offset;
        let invalid = BuildError::InvalidOffset { offset: last_offset, base_offset, records: 0 };
        let distance = last_offset.since(base_offset);
        if !(0..=i64::from(i32::MAX)).contains(&distance) {
            return Err(invalid);
        }
        let compression = CompressionLevel::default_of(Compression::None);
        let log_append_time = options.log_append_time.map(|_| max_timestamp);
        let options = BatchOptions { compression, delete_horizon: None, log_append_time, ..options };
        let mut builder = Self::new(options);
        builder.last_offset = last_offset;
        builder.max_timestamp = max_timestamp;
        let mut batch = core::mem::take(&mut builder.records);
        builder.write_header(&mut batch)?;
        Ok(batch)
    }

    /// Sets what a producer learns only when the batch is sent.
    pub fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) {
        self.options.producer_id = id;
        self.options.producer_epoch = epoch;
        self.options.base_sequence = base_sequence;
    }

    /// The finished batch.
    ///
    /// # Errors
    /// The batch is empty, too large, or the codec failed.
    pub fn build(self, compressor: &mut Compressor) -> Result<Bytes, BuildError> {
        self.build_vec(compressor).map(Bytes::from)
    }

    /// As [`Self::build`], as a buffer that can be patched and used again.
    ///
    /// # Errors
    /// The batch is empty, too large, or the codec failed.
    pub fn build_vec(mut self, compressor: &mut Compressor) -> Result<Vec<u8>, BuildError> {
        if self.count == 0 {
            return Err(BuildError::Empty);
        }
        let mut batch = match self.options.compression.compression() {
            Compression::None => core::mem::take(&mut self.records),
            _ => {
                let body = self.records.get(BATCH_HEADER_BYTES..).unwrap_or_default();
                let mut batch = Vec::with_capacity(BATCH_HEADER_BYTES + body.len() / 2 + 64);
                batch.resize(BATCH_HEADER_BYTES, 0);
                compressor.compress(self.options.compression, body, &mut batch)?;
                batch
            }
        };
        self.write_header(&mut batch)?;
        Ok(batch)
    }

    fn write_header(&self, batch: &mut [u8]) -> Result<(), BuildError> {
        let length =
            i32::try_from(batch.len().saturating_sub(LENGTH_PREFIX_BYTES)).map_err(|_| BuildError::TooLarge)?;
        let options = &self.options;
        let last_offset_delta = self.last_offset.since(options.base_offset) as i32;
        let max_timestamp = options.log_append_time.unwrap_or(self.max_timestamp);
        let base_timestamp = self.base_timestamp.unwrap_or(Timestamp::NONE);
        put_field(batch, layout::BASE_OFFSET, options.base_offset.value().to_be_bytes());
        put_field(batch, layout::LENGTH, length.to_be_bytes());
        put_field(batch, layout::PARTITION_LEADER_EPOCH, options.partition_leader_epoch.value().to_be_bytes());
        put_field(batch, layout::MAGIC, [2]);
        put_field(batch, layout::ATTRIBUTES, attributes_of(options).to_be_bytes());
        put_field(batch, layout::LAST_OFFSET_DELTA, last_offset_delta.to_be_bytes());
        put_field(batch, layout::BASE_TIMESTAMP, base_timestamp.value().to_be_bytes());
        put_field(batch, layout::MAX_TIMESTAMP, max_timestamp.value().to_be_bytes());
        put_field(batch, layout::PRODUCER_ID, options.producer_id.value().to_be_bytes());
        put_field(batch, layout::PRODUCER_EPOCH, options.producer_epoch.value().to_be_bytes());
        put_field(batch, layout::BASE_SEQUENCE, options.base_sequence.value().to_be_bytes());
        put_field(batch, layout::RECORD_COUNT, self.count.to_be_bytes());
        let checksum = crc_fast::crc32_iscsi(batch.get(layout::ATTRIBUTES..).unwrap_or_default());
        put_field(batch, layout::CHECKSUM, checksum.to_be_bytes());
        Ok(())
    }
}

fn attributes_of(options: &BatchOptions) -> i16 {
    let flag = |is_set: bool, flag: i16| if is_set { flag } else { 0 };
    i16::from(options.compression.compression().id())
        | flag(options.log_append_time.is_some(), layout::TIMESTAMP_TYPE)
        | flag(options.is_transactional, layout::TRANSACTIONAL)
        | flag(options.is_control, layout::CONTROL)
        | flag(options.delete_horizon.is_some(), layout::DELETE_HORIZON)
}

/// The size of a record without its length prefix; `None` when a part does not fit the format.
fn body_size(offset_delta: i32, timestamp_delta: i64, record: &RecordToWrite<'_>) -> Option<i32> {
    let mut size = 1 + varlong_size(timestamp_delta) + varint_size(offset_delta);
    size = size.checked_add(nullable_size(record.key)?)?.checked_add(nullable_size(record.value)?)?;
    size = size.checked_add(varint_size(i32::try_from(record.headers.len()).ok()?))?;
    for (key, value) in record.headers {
        size = size.checked_add(nullable_size(Some(key))?)?.checked_add(nullable_size(*value)?)?;
    }
    i32::try_from(size).ok()
}

fn nullable_size(bytes: Option<&[u8]>) -> Option<usize> {
    match bytes {
        None => Some(1),
        Some(bytes) => varint_size(i32::try_from(bytes.len()).ok()?).checked_add(bytes.len()),
    }
}

fn write_record(out: &mut Vec<u8>, body: i32, offset_delta: i32, timestamp_delta: i64, record: &RecordToWrite<'_>) {
    out.reserve(5 + body as usize);
    put_varint(out, body);
    out.push(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_nullable(out, record.key);
    put_nullable(out, record.value);
    put_varint(out, record.headers.len() as i32);
    for (key, value) in record.headers {
        put_nullable(out, Some(key));
        put_nullable(out, *value);
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

/// The type of the timestamps that a batch with these options has.
impl BatchOptions {
    /// `LogAppendTime` when an append time is set.
    pub const fn timestamp_type(&self) -> TimestampType {
        match self.log_append_time {
            Some(_) => TimestampType::LogAppendTime,
            None => TimestampType::CreateTime,
        }
    }
}
