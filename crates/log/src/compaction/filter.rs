//! Which records of a batch stay: a decision on data.

use super::offset_map::{KeyHash, OffsetMap};
use super::transactions::CleanedTransactions;
use super::{CompactionError, Tools};
use ottla_records::{
    BatchBuilder, BatchOptions, CompressionLevel, LegacyMessageView, Record, RecordBatchView, RecordToWrite, Records,
    TimestampType,
};
use ottla_types::{Offset, ProducerEpoch, ProducerId, Timestamp};
use std::collections::BTreeMap;

/// The last that a producer has written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastRecord {
    /// The last offset of its last batch of records; `None` when only a marker is known.
    pub(crate) offset: Option<Offset>,
    /// The same of its last batch in the part that is compacted, where that one is not committed: it may be cut off yet, and this
    /// is all then that tells how far the producer is.
    pub(crate) committed: Option<Offset>,
    pub(crate) epoch: ProducerEpoch,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It stays as it is.
    Whole,
    /// This stands in its place.
    Rewritten(Vec<u8>),
    /// It goes.
    Nothing,
}

/// The rules, with all that they look at.
pub(crate) struct Filter<'a> {
    pub(crate) map: &'a OffsetMap,
    pub(crate) transactions: &'a mut CleanedTransactions,
    pub(crate) last_records: &'a BTreeMap<ProducerId, LastRecord>,
    pub(crate) high_watermark: Offset,
    pub(crate) now: Timestamp,
    pub(crate) delete_retention_ms: i64,
}

impl Filter<'_> {
    /// What becomes of a batch of format 2. A batch keeps its first and last offset, whatever of it stays.
    pub(crate) fn keep(&mut self, batch: RecordBatchView<'_>, tools: &mut Tools) -> Result<Kept, CompactionError> {
        let may_go = self.transactions.may_go(batch, &mut tools.decompressor)?;
        let horizon = batch.delete_horizon();
        // A marker waits, as a tombstone does, until readers who began before had the time to see it.
        let goes = may_go && (!batch.is_control() || horizon.is_some_and(|horizon| horizon <= self.now));
        let stays_empty = self.is_last_of_its_producer(batch) || batch.next_offset() == self.high_watermark;
        if goes {
            return if stays_empty { empty(batch) } else { Ok(Kept::Nothing) };
        }
        let Tools { decompressor, compressor, survey, .. } = tools;
        let records = batch.records(decompressor)?;
        self.look_at(batch, records.clone(), survey)?;
        if survey.kept == 0 {
            return if stays_empty { empty(batch) } else { Ok(Kept::Nothing) };
        }
        let begins_to_wait = horizon.is_none() && (survey.tombstones || may_go);
        if survey.kept == survey.stays.len() && !begins_to_wait {
            return Ok(Kept::Whole);
        }
        let horizon = if begins_to_wait { Some(self.now.plus_milliseconds(self.delete_retention_ms)) } else { horizon };
        let mut builder = BatchBuilder::new(BatchOptions { delete_horizon: horizon, ..options_of(batch)? });
        write(records, &survey.stays, &mut builder)?;
        builder.extend_to(batch.last_offset());
        Ok(Kept::Rewritten(builder.build_vec(compressor)?))
    }

    /// What becomes of a message of format 0 or 1: a batch of format 2 with what stays of it (KIP-724). Its tombstones wait
    /// anew, for it has no horizon.
    pub(crate) fn upgrade(&self, message: LegacyMessageView<'_>, tools: &mut Tools) -> Result<Kept, CompactionError> {
        let horizon = self.now.plus_milliseconds(self.delete_retention_ms);
        let stays = |record: &Record<'_>| self.is_last_of_its_key(record);
        let batch = message.upgrade(horizon, &mut tools.decompressor, &mut tools.compressor, stays);
        Ok(batch?.map_or(Kept::Nothing, Kept::Rewritten))
    }

    fn is_last_of_its_producer(&self, batch: RecordBatchView<'_>) -> bool {
        let last = batch.is_idempotent().then(|| self.last_records.get(&batch.producer_id())).flatten();
        last.is_some_and(|last| match last.offset {
            Some(offset) => batch.last_offset() == offset || Some(batch.last_offset()) == last.committed,
            None => batch.is_control() && batch.producer_epoch() == last.epoch,
        })
    }

    /// Looks which records of a batch stay.
    fn look_at(
        &self,
        batch: RecordBatchView<'_>,
        records: Records<'_>,
        survey: &mut Survey,
    ) -> Result<(), CompactionError> {
        survey.clear();
        let all_stay = batch.is_control();
        let is_over = batch.delete_horizon().is_some_and(|horizon| self.now >= horizon);
        for record in records {
            let record = record?;
            let is_new = all_stay || record.offset > self.map.latest();
            // A record without a key can't be replaced, and has no place in a compacted log.
            let candidate = record.key.filter(|_| !is_new && (record.value.is_some() || !is_over));
            if let Some(key) = candidate {
                survey.hashes.push(self.map.hash(key));
                survey.asked.push((survey.stays.len(), record.offset, record.value.is_none()));
            }
            survey.note(is_new, record.value.is_none());
        }
        self.map.get_all(&survey.hashes, &mut survey.found);
        for ((number, offset, is_tombstone), last) in survey.asked.iter().zip(&survey.found) {
            if last.is_none_or(|last| *offset >= last) {
                survey.kept += 1;
                survey.tombstones |= is_tombstone;
                if let Some(stays) = survey.stays.get_mut(*number) {
                    *stays = true;
                }
            }
        }
        Ok(())
    }

    fn is_last_of_its_key(&self, record: &Record<'_>) -> bool {
        if record.offset > self.map.latest() {
            return true;
        }
        // A record without a key can't be replaced, and has no place in a compacted log.
        let Some(key) = record.key else { return false };
        self.map.get(self.map.hash(key)).is_none_or(|last| record.offset >= last)
    }
}

/// What was found of the records of a batch.
#[derive(Default)]
pub(crate) struct Survey {
    kept: usize,
    /// Whether there is a tombstone among those that are kept.
    tombstones: bool,
    /// Of each record whether it stays.
    stays: Vec<bool>,
    /// Those of which the map decides: number, offset, whether it is a tombstone; and the hashes of their keys.
    asked: Vec<(usize, Offset, bool)>,
    hashes: Vec<KeyHash>,
    found: Vec<Option<Offset>>,
}

impl Survey {
    fn clear(&mut self) {
        (self.kept, self.tombstones) = (0, false);
        self.stays.clear();
        self.asked.clear();
        self.hashes.clear();
    }

    fn note(&mut self, stays: bool, is_tombstone: bool) {
        self.stays.push(stays);
        self.kept += usize::from(stays);
        self.tombstones |= stays && is_tombstone;
    }
}

/// Writes those records that stay.
fn write(records: Records<'_>, stays: &[bool], builder: &mut BatchBuilder) -> Result<(), CompactionError> {
    let mut headers = Vec::new();
    for (record, stays) in records.zip(stays) {
        let record = record?;
        if *stays {
            headers.clear();
            headers.extend(record.headers.iter().map(|header| (header.key, header.value)));
            let (timestamp, key, value) = (record.timestamp, record.key, record.value);
            builder.append_with_offset(record.offset, &RecordToWrite { timestamp, key, value, headers: &headers })?;
        }
    }
    Ok(())
}

fn empty(batch: RecordBatchView<'_>) -> Result<Kept, CompactionError> {
    let bytes = BatchBuilder::without_records(options_of(batch)?, batch.last_offset(), batch.max_timestamp())?;
    Ok(Kept::Rewritten(bytes))
}

/// What a batch is, but for its records.
fn options_of(batch: RecordBatchView<'_>) -> Result<BatchOptions, CompactionError> {
    let unknown = |error: ottla_records::UnknownCompression| CompactionError::Unreadable {
        segment: Offset::ZERO,
        position: 0,
        reason: error.to_string(),
    };
    let is_append_time = batch.timestamp_type() == TimestampType::LogAppendTime;
    Ok(BatchOptions {
        compression: CompressionLevel::default_of(batch.compression().map_err(unknown)?),
        base_offset: batch.base_offset(),
        partition_leader_epoch: batch.partition_leader_epoch(),
        log_append_time: is_append_time.then(|| batch.max_timestamp()),
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        is_transactional: batch.is_transactional(),
        is_control: batch.is_control(),
        delete_horizon: batch.delete_horizon(),
    })
}
