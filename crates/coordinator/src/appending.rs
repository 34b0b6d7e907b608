//! Records into batches, batches into the log.

use crate::{Batching, EncodedRecord, MachineLog, RecordCodec};
use ottla_protocol::ErrorCode;
use ottla_records::{BatchBuilder, BatchOptions, BuildError, CompressionLevel, Compressor, RecordToWrite};
use ottla_types::{Offset, ProducerEpoch, ProducerId, Timestamp};

/// How a machine's batches are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsSettings {
    /// The codec of its batches.
    pub compression: CompressionLevel,
    /// How much is read at once while loading, in bytes.
    pub load_bytes: usize,
    /// The most bytes that one batch of the log may decompress to.
    pub decompressed_bytes_max: usize,
}

/// Where the first record of a written batch lies, and how many there are.
pub(crate) struct Written {
    pub(crate) first: Offset,
    pub(crate) records: usize,
}

/// Writes one step's records after another.
pub(crate) struct Writer {
    compression: CompressionLevel,
    compressor: Compressor,
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(compression: CompressionLevel) -> Self {
        Self { compression, compressor: Compressor::new(), buffer: Vec::new() }
    }

    /// Appends the records, in one batch or (if that is allowed) as many as it takes. Says which of them were written:
    /// all, or those before the one that failed, with its error.
    pub(crate) fn write<C: RecordCodec>(
        &mut self,
        log: &dyn MachineLog,
        now: Timestamp,
        records: &[C::Record],
        batching: Batching,
        producer: Option<(ProducerId, ProducerEpoch)>,
    ) -> (Vec<Written>, Option<ErrorCode>) {
        if let Some((producer_id, ProducerEpoch::NONE)) = producer {
            return (Vec::new(), Some(build_error(BuildError::NoProducerEpoch(producer_id))));
        }
        let mut written = Vec::new();
        let bytes_max = log.batch_bytes_max();
        let mut builder = self.builder::<C>(producer);
        let mut records = records.iter();
        let mut pending: Option<EncodedRecord> = None;
        loop {
            let encoded =
                match pending.take().map_or_else(|| records.next().map(C::encode), |encoded| Some(Ok(encoded))) {
                    Some(Ok(encoded)) => encoded,
                    Some(Err(error)) => {
                        tracing::error!(%error, "a record can't be encoded");
                        return (written, Some(ErrorCode::UnknownServerError));
                    }
                    None => break,
                };
            let record = RecordToWrite {
                timestamp: now,
                key: encoded.key.as_deref(),
                value: encoded.value.as_deref(),
                headers: &[],
            };
            let is_full = !builder.is_empty() && builder.estimated_size(&record) > bytes_max;
            if is_full && batching == Batching::Splittable {
                match self.append(log, builder) {
                    Ok(batch) => written.push(batch),
                    Err(error) => return (written, Some(error)),
                }
                builder = self.builder::<C>(producer);
                pending = Some(encoded);
                continue;
            }
            if let Err(error) = builder.append(&record) {
                return (written, Some(build_error(error)));
            }
        }
        match self.append(log, builder) {
            Ok(batch) => {
                written.push(batch);
                (written, None)
            }
            Err(error) => (written, Some(error)),
        }
    }

    fn builder<C: RecordCodec>(&mut self, producer: Option<(ProducerId, ProducerEpoch)>) -> BatchBuilder {
        let base_sequence = C::BASE_SEQUENCE;
        let mut options = BatchOptions { compression: self.compression, base_sequence, ..BatchOptions::default() };
        if let Some((producer_id, producer_epoch)) = producer {
            options.producer_id = producer_id;
            options.producer_epoch = producer_epoch;
            options.is_transactional = true;
        }
        BatchBuilder::with_buffer(options, std::mem::take(&mut self.buffer))
    }

    fn append(&mut self, log: &dyn MachineLog, builder: BatchBuilder) -> Result<Written, ErrorCode> {
        let records = usize::try_from(builder.count()).unwrap_or(0);
        let mut batch = builder.build_vec(&mut self.compressor).map_err(build_error)?;
        if batch.len() > log.batch_bytes_max() {
            return Err(ErrorCode::MessageTooLarge);
        }
        let result = log.append(&mut batch);
        self.buffer = batch;
        let last = result?;
        let first = Offset(last.value().saturating_sub(i64::try_from(records).unwrap_or(i64::MAX)).saturating_add(1));
        Ok(Written { first, records })
    }
}

fn build_error(error: BuildError) -> ErrorCode {
    match error {
        BuildError::TooLarge => ErrorCode::MessageTooLarge,
        other => {
            tracing::error!(error = %other, "a batch can't be built");
            ErrorCode::UnknownServerError
        }
    }
}
