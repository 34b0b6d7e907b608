//! Metadata records into batches, and back.

use super::QuorumError;
use super::appended::Appended;
use ottla_metadata::VersionedRecord;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_raft::{BatchSummary, ControlRecord};
use ottla_records::{BatchBuilder, BatchOptions, Batches, Compressor, Decompressor, RecordToWrite};
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use std::path::Path;

/// The most that one metadata batch may decompress to.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A batch of metadata records.
pub(super) fn data_batch(
    records: &[VersionedRecord],
    base_offset: Offset,
    epoch: LeaderEpoch,
    timestamp: Timestamp,
) -> Result<Vec<u8>, QuorumError> {
    let mut builder = BatchBuilder::new(options(base_offset, epoch, false));
    for record in records {
        let value = record.record.encode_frame(record.version)?;
        builder.append(&RecordToWrite { timestamp, key: None, value: Some(&value), headers: &[] })?;
    }
    Ok(builder.build_vec(&mut Compressor::new())?)
}

/// A batch of the quorum's own records.
pub(super) fn control_batch(
    records: &[ControlRecord],
    base_offset: Offset,
    epoch: LeaderEpoch,
    timestamp: Timestamp,
) -> Result<Vec<u8>, QuorumError> {
    let mut builder = BatchBuilder::new(options(base_offset, epoch, true));
    for record in records {
        let (key, value) = (record.key(), record.value()?);
        builder.append(&RecordToWrite { timestamp, key: Some(&key), value: Some(&value), headers: &[] })?;
    }
    Ok(builder.build_vec(&mut Compressor::new())?)
}

fn options(base_offset: Offset, partition_leader_epoch: LeaderEpoch, is_control: bool) -> BatchOptions {
    BatchOptions { base_offset, partition_leader_epoch, is_control, ..Default::default() }
}

/// One batch that was read.
pub(super) struct ReadBatch {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) epoch: LeaderEpoch,
    pub(super) timestamp: Timestamp,
    pub(super) bytes: u64,
    pub(super) records: Vec<VersionedRecord>,
    pub(super) control: Vec<(Offset, ControlRecord)>,
}

impl ReadBatch {
    /// What the quorum must know of it, and the batch on its way to being committed.
    pub(super) fn into_parts(self) -> (BatchSummary, Appended) {
        let Self { base_offset, last_offset, epoch, timestamp, bytes, records, control } = self;
        let records = records.into_iter().map(|record| record.record).collect();
        let appended = Appended { base_offset, last_offset, epoch, timestamp, records, bytes, decided_here: false };
        (BatchSummary { base_offset, last_offset, epoch, control }, appended)
    }
}

/// Reads concatenated batches one by one. `path` is for messages.
pub(super) fn read_batches(
    bytes: &[u8],
    path: &Path,
    mut each: impl FnMut(ReadBatch) -> Result<(), QuorumError>,
) -> Result<(), QuorumError> {
    let mut decompressor = Decompressor::new(DECOMPRESSED_BYTES_MAX);
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| QuorumError::Batch { path: path.to_owned(), error })?;
        let mut read = ReadBatch {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            epoch: batch.partition_leader_epoch(),
            timestamp: batch.max_timestamp(),
            bytes: batch.size() as u64,
            records: Vec::new(),
            control: Vec::new(),
        };
        let malformed = |error| QuorumError::Records { path: path.to_owned(), error };
        for (i, record) in batch.records(&mut decompressor).map_err(malformed)?.enumerate() {
            let record = record.map_err(malformed)?;
            let value = record.value.unwrap_or_default();
            if batch.is_control() {
                let offset = batch.base_offset().plus(i as i64);
                let control = ControlRecord::decode(record.key.unwrap_or_default(), value)?;
                read.control.extend(control.map(|control| (offset, control)));
            } else {
                let (record, version) = MetadataRecord::decode_frame(value)?;
                read.records.push(VersionedRecord::new(record, version));
            }
        }
        each(read)?;
    }
    Ok(())
}
