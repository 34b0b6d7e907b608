//! A machine from its log.

use crate::{CodecError, Machine, MachineLog, Now, RecordCodec, RecordsSettings};
use ottla_protocol::ErrorCode;
use ottla_records::{AnyBatch, AnyBatches, BatchErrorKind, ControlRecord, Decompressor, Record, RecordsError};
use ottla_types::{Offset, ProducerId};

/// What a load has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LoadSummary {
    /// Records, markers included.
    pub records: u64,
    /// Bytes of batches.
    pub bytes: u64,
    /// Records of kinds that are not known, passed over.
    pub unknown: u64,
}

/// Why a machine can't be loaded from its log.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log can't be read, or is not led here any more.
    #[error("the log can't be read: {}", .0.name())]
    Log(ErrorCode),
    /// The log gives bytes that are not a batch.
    #[error("there is no batch at offset {offset}: {kind}")]
    Batch {
        /// Where.
        offset: Offset,
        /// What is wrong.
        kind: BatchErrorKind,
    },
    /// A batch's checksum is wrong.
    #[error("the checksum of the batch that ends at offset {0} is wrong")]
    Checksum(Offset),
    /// The records of a batch can't be read.
    #[error("the batch that ends at offset {offset} can't be read: {source}")]
    Records {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: RecordsError,
    },
    /// A record can't be understood.
    #[error("the record at offset {offset} can't be understood: {source}")]
    Record {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: CodecError,
    },
    /// The shard was closed meanwhile.
    #[error("the shard was closed while it was loading")]
    Closed,
}

/// Replays the whole log into the machine. `go_on` is asked between reads.
pub(crate) fn load<M: Machine>(
    machine: &mut M,
    log: &dyn MachineLog,
    settings: &RecordsSettings,
    now: Now,
    go_on: impl Fn() -> bool,
) -> Result<LoadSummary, LoadError> {
    let mut loader = Loader {
        machine,
        now,
        decompressor: Decompressor::new(settings.decompressed_bytes_max),
        next: log.start_offset(),
        summary: LoadSummary::default(),
    };
    let mut bytes = Vec::new();
    while loader.next < log.end_offset().map_err(LoadError::Log)? {
        if !go_on() {
            return Err(LoadError::Closed);
        }
        log.read(loader.next, settings.load_bytes, &mut bytes).map_err(LoadError::Log)?;
        if bytes.is_empty() {
            break;
        }
        loader.replay_batches(&bytes)?;
    }
    Ok(loader.summary)
}

struct Loader<'a, M> {
    machine: &'a mut M,
    now: Now,
    decompressor: Decompressor,
    next: Offset,
    summary: LoadSummary,
}

impl<M: Machine> Loader<'_, M> {
    fn replay_batches(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        for batch in AnyBatches::new(bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                // The read ended inside of a batch; the next one begins with it.
                Err(error) if error.is_partial() && error.position > 0 => return Ok(()),
                Err(error) => return Err(LoadError::Batch { offset: self.next, kind: error.kind }),
            };
            if !batch.is_checksum_valid() {
                return Err(LoadError::Checksum(batch.last_offset()));
            }
            self.summary.bytes += batch.size() as u64;
            self.replay_batch(batch)?;
            self.next = batch.last_offset().next();
        }
        Ok(())
    }

    fn replay_batch(&mut self, batch: AnyBatch<'_>) -> Result<(), LoadError> {
        let (is_control, producer_id) = match batch {
            AnyBatch::Batch(view) => (view.is_control(), view.producer_id()),
            AnyBatch::Legacy(_) => (false, ProducerId::NONE),
        };
        let producer_id = Some(producer_id).filter(|producer_id| producer_id.is_some());
        let records_error = |source| LoadError::Records { offset: batch.last_offset(), source };
        for record in batch.records(&mut self.decompressor).map_err(records_error)? {
            let record = record.map_err(records_error)?;
            self.summary.records += 1;
            if is_control {
                replay_control(self.machine, producer_id, &record)?;
            } else {
                let decoded = <M::Codec as RecordCodec>::decode(record.key, record.value)
                    .map_err(|source| LoadError::Record { offset: record.offset, source })?;
                match decoded {
                    Some(decoded) => self.machine.replay(self.now.wall, record.offset, producer_id, decoded),
                    None => self.summary.unknown += 1,
                }
            }
        }
        Ok(())
    }
}

/// Ends a transaction; control records of other kinds say nothing to a machine.
fn replay_control<M: Machine>(
    machine: &mut M,
    producer_id: Option<ProducerId>,
    record: &Record<'_>,
) -> Result<(), LoadError> {
    let end = ControlRecord::parse(record)
        .and_then(|control| control.end_transaction())
        .map_err(|source| LoadError::Record { offset: record.offset, source: CodecError::new(source) })?;
    if let (Some(end), Some(producer_id)) = (end, producer_id) {
        machine.replay_transaction_end(producer_id, end.is_commit);
    }
    Ok(())
}
