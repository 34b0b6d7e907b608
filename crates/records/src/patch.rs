//! Changing the header of a batch where it lies.
//!
//! Base offset and leader epoch lie before the bytes that the checksum covers, so setting them costs nothing; a change
//! of the timestamps makes the checksum due again.

use ottla_types::{LeaderEpoch, Offset, Timestamp};

use crate::batch::{RecordBatchView, TimestampType};
use crate::batches::BatchErrorKind;
use crate::layout::{self, put_field};

/// Gives the batch at the start of `batch` its place in the log. The checksum stays valid.
///
/// # Errors
/// There is no whole batch of format 2 at the start of the bytes; they are unchanged then.
pub fn assign_offsets(
    batch: &mut [u8],
    base_offset: Offset,
    partition_leader_epoch: LeaderEpoch,
) -> Result<(), BatchErrorKind> {
    RecordBatchView::parse(batch)?;
    put_field(batch, layout::BASE_OFFSET, base_offset.value().to_be_bytes());
    put_field(batch, layout::PARTITION_LEADER_EPOCH, partition_leader_epoch.value().to_be_bytes());
    Ok(())
}

/// Makes the batch one of the type `LogAppendTime` and computes its checksum again.
///
/// # Errors
/// There is no whole batch of format 2 at the start of the bytes; they are unchanged then.
pub fn set_log_append_time(batch: &mut [u8], now: Timestamp) -> Result<(), BatchErrorKind> {
    set_timestamps(batch, TimestampType::LogAppendTime, now)
}

/// Sets the timestamp type and the max timestamp. When both are right already, nothing is computed; else the checksum
/// is computed again over the whole batch.
///
/// # Errors
/// There is no whole batch of format 2 at the start of the bytes; they are unchanged then.
pub fn set_timestamps(
    batch: &mut [u8],
    timestamp_type: TimestampType,
    max_timestamp: Timestamp,
) -> Result<(), BatchErrorKind> {
    let view = RecordBatchView::parse(batch)?;
    if view.timestamp_type() == timestamp_type && view.max_timestamp() == max_timestamp {
        return Ok(());
    }
    let (size, attributes) = (view.size(), view.attributes());
    // Bits that have no meaning are cleared on this way, as Kafka does.
    let kept = attributes & layout::KNOWN_ATTRIBUTES & !layout::TIMESTAMP_TYPE;
    let attributes = match timestamp_type {
        TimestampType::CreateTime => kept,
        TimestampType::LogAppendTime => kept | layout::TIMESTAMP_TYPE,
    };
    put_field(batch, layout::ATTRIBUTES, attributes.to_be_bytes());
    put_field(batch, layout::MAX_TIMESTAMP, max_timestamp.value().to_be_bytes());
    let checksum = crc_fast::crc32_iscsi(batch.get(layout::ATTRIBUTES..size).unwrap_or_default());
    put_field(batch, layout::CHECKSUM, checksum.to_be_bytes());
    Ok(())
}
