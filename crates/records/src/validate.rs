use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::batch::{RecordBatchView, TimestampType};
use crate::batches::{BatchErrorKind, Batches};
use crate::compression::{Compression, Decompressor};
use crate::invalid::{InvalidBatch, InvalidBatchKind, RecordError, RecordErrorKind};
use crate::patch::{assign_offsets, set_timestamps};
use crate::record::Record;
use crate::varint::varint_size;

/// How many wrong records are named one by one in an answer; the batch is refused as a whole anyway.
const RECORD_ERRORS_MAX: usize = 1000;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: nothing is believed.
    Client,
    /// A coordinator on this broker: may write control records.
    Coordinator,
    /// The leader of the metadata quorum: has set the leader epoch itself.
    RaftLeader,
}

/// How deep a batch is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationDepth {
    /// Header and checksum. For batches that this process built itself.
    Header,
    /// Every record too, decompressed if need be, as Kafka does on every append of a client.
    Records,
}

/// What a batch is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidationOptions {
    /// Who appends.
    pub origin: AppendOrigin,
    /// How deep to look.
    pub depth: ValidationDepth,
    /// `max.message.bytes`: the largest batch, as it came. Not asked of anybody but clients.
    pub batch_bytes_max: usize,
    /// `max.decompressed.message.bytes`: the largest record of a compressed batch, without its length prefix.
    pub record_bytes_max: usize,
    /// Whether the topic is compacted, so that every record needs a key.
    pub is_compacted: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// The time of the append.
    pub now: Timestamp,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_milliseconds_max: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_milliseconds_max: i64,
    /// The codec that the topic wants; `None` is `compression.type=producer`.
    pub target_compression: Option<Compression>,
    /// The epoch of the leader that appends.
    pub leader_epoch: LeaderEpoch,
}

/// What has to be done with a valid batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendAction {
    /// [`ValidatedBatch::patch`] it and append the bytes.
    InPlace,
    /// [`rebuild`](crate::rebuild()) it: the topic wants another codec.
    Rebuild,
}

/// A batch that may be appended, and what the append needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatedBatch {
    /// The size in bytes; what follows in the input is the cut-off start of another batch and is dropped.
    pub size: usize,
    /// What has to be done.
    pub action: AppendAction,
    /// How many records there are.
    pub count: i32,
    /// How far the last offset lies from the base offset.
    pub last_offset_delta: i32,
    /// The codec it came with.
    pub compression: Compression,
    /// The timestamp type that the stored batch gets.
    pub timestamp_type: TimestampType,
    /// The max timestamp that the stored batch gets.
    pub max_timestamp: Timestamp,
    /// The producer's id.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of the first record.
    pub base_sequence: Sequence,
    /// The sequence of the last record.
    pub last_sequence: Sequence,
    /// Whether it belongs to a transaction.
    pub is_transactional: bool,
    /// Whether it is a control batch.
    pub is_control: bool,
}

impl ValidatedBatch {
    /// Gives the batch its offsets, leader epoch and timestamps where it lies. The checksum is computed again only when
    /// the timestamps in the header change.
    ///
    /// # Errors
    /// `batch` does not start with the batch that was validated.
    pub fn patch(
        &self,
        batch: &mut [u8],
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> Result<(), BatchErrorKind> {
        assign_offsets(batch, base_offset, leader_epoch)?;
        set_timestamps(batch, self.timestamp_type, self.max_timestamp)
    }
}

/// Checks the bytes that somebody wants the leader to append: exactly one batch of format 2.
///
/// The rules and the order in which they are asked are Kafka's, with these differences, each of them stricter where
/// Kafka would store what its own consumers can't read: a batch that can't be decompressed or that names an unknown
/// codec gets an error code of its own instead of `UNKNOWN_SERVER_ERROR`; a client's delete horizon is refused, as are
/// producer fields that no producer has; a record whose length contradicts its fields is refused in compressed batches
/// too; records without consecutive offsets are refused, where Kafka stores uncompressed ones and fails on others.
///
/// # Errors
/// Why the batch is refused, with the error code to answer.
pub fn validate_for_append(
    bytes: &[u8],
    options: &ValidationOptions,
    decompressor: &mut Decompressor,
) -> Result<ValidatedBatch, InvalidBatch> {
    let batch = single_batch(bytes)?;
    let compression = check_envelope(batch, options)?;
    check_header(batch, options)?;
    let is_other_codec = options.target_compression.is_some_and(|target| target != compression);
    // A control batch is never compressed, whatever the topic wants.
    let keeps_codec = !is_other_codec || (compression == Compression::None && batch.is_control());
    let found_timestamp = match options.depth {
        ValidationDepth::Header => batch.max_timestamp(),
        ValidationDepth::Records => check_records(batch, options, keeps_codec, decompressor)?,
    };
    let max_timestamp = match options.timestamp_type {
        TimestampType::CreateTime => found_timestamp,
        TimestampType::LogAppendTime => options.now,
    };
    Ok(ValidatedBatch {
        size: batch.size(),
        action: if keeps_codec { AppendAction::InPlace } else { AppendAction::Rebuild },
        count: batch.count(),
        last_offset_delta: batch.last_offset_delta(),
        compression,
        timestamp_type: options.timestamp_type,
        max_timestamp,
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        last_sequence: batch.last_sequence(),
        is_transactional: batch.is_transactional(),
        is_control: batch.is_control(),
    })
}

/// Takes the one batch out of the bytes. A cut-off batch at the end is dropped without a word, as Kafka does.
fn single_batch(bytes: &[u8]) -> Result<RecordBatchView<'_>, InvalidBatch> {
    let mut batches = Batches::new(bytes);
    let batch = match batches.next() {
        Some(Ok(batch)) => batch,
        Some(Err(error)) if !error.is_partial() => return Err(InvalidBatchKind::Batch(error).into()),
        Some(Err(_)) | None => return Err(InvalidBatchKind::NoBatch.into()),
    };
    match batches.next() {
        None => Ok(batch),
        Some(Err(error)) if error.is_partial() => Ok(batch),
        Some(Err(error)) if !matches!(error.kind, BatchErrorKind::OlderFormat { .. }) => {
            Err(InvalidBatchKind::Batch(error).into())
        }
        Some(_) => Err(InvalidBatchKind::SeveralBatches.into()),
    }
}

/// What Kafka's log asks before the validator: place, size, checksum, codec.
fn check_envelope(batch: RecordBatchView<'_>, options: &ValidationOptions) -> Result<Compression, InvalidBatchKind> {
    match options.origin {
        AppendOrigin::RaftLeader if batch.partition_leader_epoch() != options.leader_epoch => {
            return Err(InvalidBatchKind::OtherLeaderEpoch {
                found: batch.partition_leader_epoch(),
                expected: options.leader_epoch,
            });
        }
        AppendOrigin::Client if batch.base_offset() != Offset::ZERO => {
            return Err(InvalidBatchKind::BaseOffset(batch.base_offset()));
        }
        AppendOrigin::Client if batch.size() > options.batch_bytes_max => {
            return Err(InvalidBatchKind::TooLarge { bytes: batch.size(), allowed: options.batch_bytes_max });
        }
        _ => {}
    }
    let computed = batch.computed_checksum();
    if batch.checksum() != computed {
        return Err(InvalidBatchKind::Checksum { stored: batch.checksum(), computed });
    }
    Ok(batch.compression()?)
}

fn check_header(batch: RecordBatchView<'_>, options: &ValidationOptions) -> Result<(), InvalidBatchKind> {
    let (count, last_offset_delta) = (batch.count(), batch.last_offset_delta());
    if last_offset_delta < 0 {
        return Err(InvalidBatchKind::OffsetRange { last_offset_delta });
    }
    if count <= 0 {
        return Err(InvalidBatchKind::Count(count));
    }
    if i64::from(last_offset_delta) + 1 != i64::from(count) {
        return Err(InvalidBatchKind::CountAndOffsets { count, last_offset_delta });
    }
    if options.origin == AppendOrigin::Client { check_header_of_client(batch) } else { Ok(()) }
}

fn check_header_of_client(batch: RecordBatchView<'_>) -> Result<(), InvalidBatchKind> {
    if batch.is_control() {
        return Err(InvalidBatchKind::ControlByClient);
    }
    let producer_id = batch.producer_id();
    if batch.is_idempotent() && batch.base_sequence().value() < 0 {
        return Err(InvalidBatchKind::Sequence { sequence: batch.base_sequence(), producer_id });
    }
    if producer_id < ProducerId::NONE {
        return Err(InvalidBatchKind::ProducerId(producer_id));
    }
    if batch.is_idempotent() && batch.producer_epoch().value() < 0 {
        return Err(InvalidBatchKind::ProducerEpoch { epoch: batch.producer_epoch(), producer_id });
    }
    if batch.is_transactional() && !batch.is_idempotent() {
        return Err(InvalidBatchKind::TransactionalWithoutProducer);
    }
    if batch.has_delete_horizon() {
        return Err(InvalidBatchKind::DeleteHorizonByClient);
    }
    Ok(())
}

/// Looks at every record and gives the greatest timestamp.
fn check_records(
    batch: RecordBatchView<'_>,
    options: &ValidationOptions,
    keeps_codec: bool,
    decompressor: &mut Decompressor,
) -> Result<Timestamp, InvalidBatch> {
    let mut max_timestamp = Timestamp::NONE;
    let mut misplaced = None;
    let mut errors: Vec<RecordError> = Vec::new();
    let mut expected = batch.base_offset();
    let record_bytes_max = record_bytes_max(batch, options);
    for (index, record) in (0i32..).zip(batch.records(decompressor)?) {
        // A broken record makes the whole batch unreadable, which tells more than the wrong records before it.
        let record = record?;
        if record.size > record_bytes_max {
            let allowed = options.record_bytes_max;
            return Err(InvalidBatchKind::RecordTooLarge { index, bytes: record.size, allowed }.into());
        }
        if let Some(kind) = check_record(batch, &record, options)
            && errors.len() < RECORD_ERRORS_MAX
        {
            errors.push(RecordError { index, kind });
        }
        max_timestamp = max_timestamp.max(record.timestamp);
        if record.offset != expected && misplaced.is_none() {
            misplaced = Some(index);
        }
        expected = expected.next();
    }
    if !errors.is_empty() {
        return Err(InvalidBatch { kind: InvalidBatchKind::Records, records: errors });
    }
    match misplaced {
        // A batch that is written anew gets consecutive offsets on the way.
        Some(index) if keeps_codec => Err(InvalidBatchKind::OffsetsNotConsecutive { index }.into()),
        _ => Ok(max_timestamp),
    }
}

/// The largest record with its length prefix. Kafka asks this of compressed batches only: uncompressed records are bounded
/// by the batch.
fn record_bytes_max(batch: RecordBatchView<'_>, options: &ValidationOptions) -> usize {
    if batch.compression() == Ok(Compression::None) {
        return usize::MAX;
    }
    let prefix = varint_size(i32::try_from(options.record_bytes_max).unwrap_or(i32::MAX));
    options.record_bytes_max.saturating_add(prefix)
}

#[inline]
fn check_record(
    batch: RecordBatchView<'_>,
    record: &Record<'_>,
    options: &ValidationOptions,
) -> Option<RecordErrorKind> {
    if options.is_compacted && record.key.is_none() {
        return Some(RecordErrorKind::MissingKey);
    }
    if options.timestamp_type == TimestampType::CreateTime && record.timestamp != Timestamp::NONE {
        // Java subtracts with wrap-around; the same extreme numbers must be refused here.
        let age = options.now.value().wrapping_sub(record.timestamp.value());
        if age > options.timestamp_before_milliseconds_max
            || age.wrapping_neg() > options.timestamp_after_milliseconds_max
        {
            return Some(RecordErrorKind::TimestampOutOfRange {
                timestamp: record.timestamp,
                earliest: Timestamp(options.now.value().wrapping_sub(options.timestamp_before_milliseconds_max)),
                latest: Timestamp(options.now.value().wrapping_add(options.timestamp_after_milliseconds_max)),
            });
        }
    } else if batch.timestamp_type() == TimestampType::LogAppendTime {
        return Some(RecordErrorKind::AppendTimeByProducer);
    }
    None
}

/// What a follower learns of batches that its leader sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicatedBatches {
    /// How many bytes the whole valid batches take; what follows is not to be appended.
    pub bytes: usize,
    /// How many batches there are.
    pub batches: usize,
    /// The base offset of the first batch.
    pub first_offset: Offset,
    /// The last offset of the last batch.
    pub last_offset: Offset,
    /// The leader epoch of the last batch.
    pub last_leader_epoch: LeaderEpoch,
    /// The greatest max timestamp.
    pub max_timestamp: Timestamp,
}

/// Checks batches that the leader of `leader_epoch` sent to its follower: headers, checksums and growing offsets. A
/// cut-off batch at the end, and everything from a batch of a later epoch on, is left out. `None`: nothing to append.
///
/// # Errors
/// A batch is malformed or its offsets don't grow: nothing of the whole may be appended.
pub fn validate_replicated(bytes: &[u8], leader_epoch: LeaderEpoch) -> Result<Option<ReplicatedBatches>, InvalidBatch> {
    let mut summary: Option<ReplicatedBatches> = None;
    for batch in Batches::new(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if error.is_partial() => break,
            Err(error) => return Err(InvalidBatchKind::Batch(error).into()),
        };
        if batch.partition_leader_epoch() > leader_epoch {
            break;
        }
        let computed = batch.computed_checksum();
        if batch.checksum() != computed {
            return Err(InvalidBatchKind::Checksum { stored: batch.checksum(), computed }.into());
        }
        let is_ordered =
            batch.last_offset_delta() >= 0 && summary.is_none_or(|before| before.last_offset < batch.base_offset());
        if !is_ordered {
            return Err(InvalidBatchKind::OffsetsOutOfOrder.into());
        }
        let before = summary.unwrap_or(ReplicatedBatches {
            bytes: 0,
            batches: 0,
            first_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            last_leader_epoch: batch.partition_leader_epoch(),
            max_timestamp: Timestamp::NONE,
        });
        summary = Some(ReplicatedBatches {
            bytes: before.bytes.saturating_add(batch.size()),
            batches: before.batches.saturating_add(1),
            first_offset: before.first_offset,
            last_offset: batch.last_offset(),
            last_leader_epoch: batch.partition_leader_epoch(),
            max_timestamp: before.max_timestamp.max(batch.max_timestamp()),
        });
    }
    Ok(summary)
}
