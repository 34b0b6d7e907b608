use ottla_types::{LeaderEpoch, Offset, Timestamp};
use thiserror::Error;

use crate::batch::RecordBatchView;
use crate::builder::{BatchBuilder, BatchOptions, BuildError, RecordToWrite};
use crate::compression::{CompressionLevel, Compressor, Decompressor};
use crate::invalid::InvalidBatch;
use crate::records::RecordsError;

/// How a batch is to be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildOptions {
    /// The codec of the new batch.
    pub compression: CompressionLevel,
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The epoch of the leader that appends it.
    pub partition_leader_epoch: LeaderEpoch,
    /// Set on a topic with `LogAppendTime`.
    pub log_append_time: Option<Timestamp>,
}

/// Why a batch can't be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RebuildError {
    /// The old batch can't be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The new batch can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl RebuildError {
    /// Kafka's error code to answer a producer with, and its name.
    pub fn error(&self) -> (i16, &'static str) {
        match self {
            Self::Records(error) => InvalidBatch::from(*error).error(),
            Self::Build(BuildError::InvalidTimestamp(_)) => (32, "INVALID_TIMESTAMP"),
            Self::Build(BuildError::TooLarge) => (10, "MESSAGE_TOO_LARGE"),
            Self::Build(_) => (87, "INVALID_RECORD"),
        }
    }
}

/// Writes a batch anew with another codec, its records at consecutive offsets from the given one. Producer, sequence
/// and the transactional flag stay; the caller measures the size of the result again.
///
/// # Errors
/// The batch can't be read within the decompressor's limit, or the new one can't be built.
pub fn rebuild(
    batch: RecordBatchView<'_>,
    options: &RebuildOptions,
    decompressor: &mut Decompressor,
    compressor: &mut Compressor,
) -> Result<Vec<u8>, RebuildError> {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: options.compression,
        base_offset: options.base_offset,
        partition_leader_epoch: options.partition_leader_epoch,
        log_append_time: options.log_append_time,
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        is_transactional: batch.is_transactional(),
        is_control: batch.is_control(),
        delete_horizon: None,
    });
    let mut headers = Vec::new();
    for record in batch.records(decompressor)? {
        let record = record?;
        headers.clear();
        headers.extend(record.headers.iter().map(|header| (header.key, header.value)));
        builder.append(&RecordToWrite {
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: &headers,
        })?;
    }
    Ok(builder.build_vec(compressor)?)
}
