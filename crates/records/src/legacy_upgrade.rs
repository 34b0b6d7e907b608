//! A message of format 0 or 1 as a batch of format 2, which compaction makes of it (KIP-724).

use ottla_types::Timestamp;

use crate::batch::TimestampType;
use crate::builder::{BatchBuilder, BatchOptions, RecordToWrite};
use crate::compression::{CompressionLevel, Compressor, Decompressor};
use crate::legacy::LegacyMessageView;
use crate::rebuild::RebuildError;
use crate::record::Record;

impl LegacyMessageView<'_> {
    /// A batch of the records that `stays` names, at their offsets and in the same codec; `None` when none does. If there is
    /// a tombstone among them, the batch has this delete horizon. `stays` is asked twice for each record.
    ///
    /// # Errors
    /// The records can't be read within the decompressor's limit, or have no place in one batch.
    pub fn upgrade(
        self,
        horizon_of_tombstones: Timestamp,
        decompressor: &mut Decompressor,
        compressor: &mut Compressor,
        mut stays: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Option<Vec<u8>>, RebuildError> {
        let (mut first, mut tombstones) = (None, false);
        for record in self.records(decompressor)? {
            let record = record?;
            if stays(&record) {
                first = first.or(Some(record.offset));
                tombstones |= record.value.is_none();
            }
        }
        let Some(base_offset) = first else { return Ok(None) };
        let is_append_time = self.timestamp_type() == TimestampType::LogAppendTime;
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: CompressionLevel::default_of(self.compression().map_err(crate::RecordsError::from)?),
            base_offset,
            log_append_time: is_append_time.then(|| self.timestamp()),
            delete_horizon: tombstones.then_some(horizon_of_tombstones),
            ..BatchOptions::default()
        });
        for record in self.records(decompressor)? {
            let record = record?;
            if stays(&record) {
                let written =
                    RecordToWrite { timestamp: record.timestamp, key: record.key, value: record.value, headers: &[] };
                builder.append_with_offset(record.offset, &written)?;
            }
        }
        Ok(Some(builder.build_vec(compressor)?))
    }
}
