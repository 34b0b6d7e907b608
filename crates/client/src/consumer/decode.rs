use crate::admin::Isolation;
use crate::error::{ClientError, Result};
use crate::record::{ConsumerRecord, Header, TimestampKind};
use bytes::{Bytes, BytesMut};
use ottla_records::{
    AnyBatch, BATCH_HEADER_BYTES, BatchErrorKind, Compression, ControlRecord, ControlRecordType, Decompressor, Record,
    RecordBatchView, TimestampType,
};
use ottla_types::ProducerId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A transaction that was aborted: its producer, and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AbortedTransaction {
    pub(super) producer_id: ProducerId,
    pub(super) first_offset: i64,
}

/// What decoding depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecodeRules {
    pub(super) isolation: Isolation,
    pub(super) checks_checksums: bool,
}

/// The batches that one fetch brought of one partition, decoded one at a time as they are asked for.
#[derive(Debug)]
pub(super) struct FetchedBatches {
    topic: Arc<str>,
    partition: i32,
    bytes: Bytes,
    /// Where the next batch starts.
    position: usize,
    /// Records before this offset were not asked for: a batch is fetched whole even from its middle.
    next_offset: i64,
    /// Sorted by first offset.
    aborted: VecDeque<AbortedTransaction>,
    aborted_producers: BTreeSet<ProducerId>,
}

impl FetchedBatches {
    pub(super) fn new(
        topic: Arc<str>,
        partition: i32,
        bytes: Bytes,
        offset: i64,
        mut aborted: Vec<AbortedTransaction>,
    ) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        let aborted = aborted.into();
        Self { topic, partition, bytes, position: 0, next_offset: offset, aborted, aborted_producers: BTreeSet::new() }
    }

    /// The offset behind the last whole batch: where the next fetch goes on.
    pub(super) fn end_offset(&self) -> i64 {
        let mut position = self.position;
        let mut end = self.next_offset;
        while let Ok(batch) = AnyBatch::parse(self.bytes.get(position..).unwrap_or_default()) {
            end = batch.last_offset().next().value().max(end);
            position += batch.size();
        }
        end
    }

    /// The offset behind what was decoded so far, records that are not shown included.
    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Decodes the next batch that has records to show; `false` when there is none left.
    pub(super) fn decode_next(
        &mut self,
        rules: DecodeRules,
        decompressor: &mut Decompressor,
        records: &mut VecDeque<ConsumerRecord>,
    ) -> Result<bool> {
        let before = records.len();
        while records.len() == before {
            let rest = self.bytes.slice(self.position.min(self.bytes.len())..);
            if rest.is_empty() {
                return Ok(false);
            }
            let batch = match AnyBatch::parse(&rest) {
                Ok(batch) => batch,
                // The limit of the fetch cut the last batch off; the next fetch brings it whole.
                Err(BatchErrorKind::Partial { .. }) if self.position > 0 => return Ok(false),
                Err(error) => return Err(self.corrupt(error)),
            };
            if rules.checks_checksums && !batch.is_checksum_valid() {
                return Err(self.corrupt("the checksum is wrong"));
            }
            self.decode(batch, &rest, rules, decompressor, records)?;
            self.position += batch.size();
            self.next_offset = self.next_offset.max(batch.last_offset().next().value());
        }
        Ok(true)
    }

    fn corrupt(&self, reason: impl ToString) -> ClientError {
        let (topic, partition, offset) = (self.topic.to_string(), self.partition, self.next_offset);
        ClientError::CorruptRecords { topic, partition, offset, reason: reason.to_string() }
    }

    fn decode(
        &mut self,
        batch: AnyBatch<'_>,
        bytes: &Bytes,
        rules: DecodeRules,
        decompressor: &mut Decompressor,
        records: &mut VecDeque<ConsumerRecord>,
    ) -> Result<()> {
        let AnyBatch::Batch(view) = batch else { return self.decode_legacy(batch, decompressor, records) };
        if rules.isolation == Isolation::ReadCommitted && self.is_aborted(view, decompressor)? {
            return Ok(());
        }
        if view.is_control() {
            return Ok(());
        }
        let epoch = view.partition_leader_epoch().value();
        let kind = match view.timestamp_type() {
            TimestampType::CreateTime => TimestampKind::CreateTime,
            TimestampType::LogAppendTime => TimestampKind::LogAppendTime,
        };
        let whole = bytes.slice(..view.size());
        let owned = uncompressed(view, whole, decompressor).map_err(|reason| self.corrupt(reason))?;
        let view = RecordBatchView::parse(&owned).map_err(|error| self.corrupt(error))?;
        let Some(decoded) = view.uncompressed_records() else { return Err(self.corrupt("it is still compressed")) };
        for record in decoded.map_err(|error| self.corrupt(error))? {
            let record = record.map_err(|error| self.corrupt(error))?;
            if record.offset.value() >= self.next_offset {
                let slice = |part: &[u8]| owned.slice_ref(part);
                records.push_back(self.shown(&record, (epoch >= 0).then_some(epoch), kind, slice));
            }
        }
        Ok(())
    }

    /// Formats 0 and 1, which a log of an old cluster may still hold.
    fn decode_legacy(
        &self,
        batch: AnyBatch<'_>,
        decompressor: &mut Decompressor,
        records: &mut VecDeque<ConsumerRecord>,
    ) -> Result<()> {
        let kind = match (batch.magic(), batch.timestamp_type()) {
            (0, _) => TimestampKind::None,
            (_, TimestampType::CreateTime) => TimestampKind::CreateTime,
            (_, TimestampType::LogAppendTime) => TimestampKind::LogAppendTime,
        };
        for record in batch.records(decompressor).map_err(|error| self.corrupt(error))? {
            let record = record.map_err(|error| self.corrupt(error))?;
            if record.offset.value() >= self.next_offset {
                records.push_back(self.shown(&record, None, kind, Bytes::copy_from_slice));
            }
        }
        Ok(())
    }

    fn shown(
        &self,
        record: &Record<'_>,
        leader_epoch: Option<i32>,
        timestamp_kind: TimestampKind,
        slice: impl Fn(&[u8]) -> Bytes,
    ) -> ConsumerRecord {
        let headers = record
            .headers
            .iter()
            .map(|header| Header { key: header.key_text().into_owned(), value: header.value.map(&slice) });
        ConsumerRecord {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: record.offset.value(),
            leader_epoch,
            timestamp: record.timestamp.value(),
            timestamp_kind,
            key: record.key.map(&slice),
            value: record.value.map(&slice),
            headers: headers.collect(),
        }
    }

    /// Whether the batch is of a transaction that was aborted, or its marker.
    fn is_aborted(&mut self, view: RecordBatchView<'_>, decompressor: &mut Decompressor) -> Result<bool> {
        while let Some(next) = self.aborted.front().copied() {
            if next.first_offset > view.last_offset().value() {
                break;
            }
            self.aborted.pop_front();
            self.aborted_producers.insert(next.producer_id);
        }
        if view.is_control() {
            let mut controls = view.records(decompressor).map_err(|error| self.corrupt(error))?;
            let first = controls.next().and_then(Result::ok).and_then(|record| ControlRecord::parse(&record).ok());
            if first.is_some_and(|control| control.kind == ControlRecordType::Abort) {
                self.aborted_producers.remove(&view.producer_id());
            }
            return Ok(true);
        }
        Ok(view.is_transactional() && self.aborted_producers.contains(&view.producer_id()))
    }
}

/// The batch itself, or one like it that is not compressed: keys and values can then be slices of it.
fn uncompressed(view: RecordBatchView<'_>, whole: Bytes, decompressor: &mut Decompressor) -> Result<Bytes, String> {
    /// Where the header has its length, and its attributes, whose last three bits name the codec.
    const LENGTH: std::ops::Range<usize> = 8..12;
    const ATTRIBUTES_LOW: usize = 22;
    const CODEC: u8 = 7;
    let codec = view.compression().map_err(|error| error.to_string())?;
    if codec == Compression::None {
        return Ok(whole);
    }
    let body = decompressor.decompress(codec, view.body()).map_err(|error| error.to_string())?;
    let mut bytes = BytesMut::with_capacity(BATCH_HEADER_BYTES + body.len());
    bytes.extend_from_slice(whole.get(..BATCH_HEADER_BYTES).unwrap_or_default());
    bytes.extend_from_slice(body);
    let length = i32::try_from(bytes.len() - LENGTH.end).map_err(|_| "it is larger than 2 GiB".to_owned())?;
    if let Some(field) = bytes.get_mut(LENGTH) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    if let Some(low) = bytes.get_mut(ATTRIBUTES_LOW) {
        *low &= !CODEC;
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{
        BatchBuilder, BatchOptions, CompressionLevel, Compressor, EndTransactionMarker, RecordToWrite,
    };
    use ottla_types::{Offset, ProducerEpoch, Sequence, Timestamp};

    fn options(base_offset: i64, compression: Compression) -> BatchOptions {
        let compression = CompressionLevel::default_of(compression);
        BatchOptions { base_offset: Offset(base_offset), compression, ..Default::default() }
    }

    fn batch(options: BatchOptions, values: &[&str]) -> Bytes {
        let mut builder = BatchBuilder::new(options);
        for value in values {
            let headers: [(&[u8], Option<&[u8]>); 1] = [(b"h", Some(b"x"))];
            let value = Some(value.as_bytes());
            let record = RecordToWrite { timestamp: Timestamp(7), key: None, value, headers: &headers };
            builder.append(&record).unwrap();
        }
        builder.build(&mut Compressor::new()).unwrap()
    }

    fn decoded(
        bytes: Bytes,
        offset: i64,
        aborted: Vec<AbortedTransaction>,
        isolation: Isolation,
    ) -> Result<Vec<String>> {
        let mut fetched = FetchedBatches::new("t".into(), 0, bytes, offset, aborted);
        let mut decompressor = Decompressor::new(1 << 20);
        let mut records = VecDeque::new();
        let rules = DecodeRules { isolation, checks_checksums: true };
        while fetched.decode_next(rules, &mut decompressor, &mut records)? {}
        let shown = |record: ConsumerRecord| {
            format!("{}:{}", record.offset, String::from_utf8_lossy(record.value.as_deref().unwrap_or(b"null")))
        };
        Ok(records.into_iter().map(shown).collect())
    }

    #[test]
    fn every_codec_is_read_and_records_before_the_offset_are_left_out() {
        for codec in Compression::ALL {
            let bytes = [batch(options(0, codec), &["a", "b", "c"]), batch(options(3, codec), &["d"])].concat();
            let read = decoded(bytes.into(), 1, Vec::new(), Isolation::ReadUncommitted).unwrap();
            assert_eq!(read, ["1:b", "2:c", "3:d"], "{codec}");
        }
    }

    #[test]
    fn a_batch_cut_off_by_the_fetchs_limit_is_left_for_the_next() {
        let first = batch(options(0, Compression::None), &["a"]);
        let bytes = [&first[..], &batch(options(1, Compression::None), &["b"])[..20]].concat();
        let fetched = FetchedBatches::new("t".into(), 0, bytes.clone().into(), 0, Vec::new());
        assert_eq!(fetched.end_offset(), 1);
        assert_eq!(decoded(bytes.into(), 0, Vec::new(), Isolation::ReadUncommitted).unwrap(), ["0:a"]);
    }

    #[test]
    fn a_wrong_checksum_is_an_error_that_names_the_place() {
        let mut bytes = batch(options(5, Compression::None), &["a"]).to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let error = decoded(bytes.into(), 5, Vec::new(), Isolation::ReadUncommitted).unwrap_err();
        assert_eq!(error.to_string(), "records of t-0 at offset 5 can't be read: the checksum is wrong");
    }

    #[test]
    fn a_bomb_does_not_pass_the_limit() {
        let large = "x".repeat(2 << 20);
        let bytes = batch(options(0, Compression::Zstd), &[&large]);
        assert!(decoded(bytes, 0, Vec::new(), Isolation::ReadUncommitted).is_err());
    }

    #[test]
    fn records_of_aborted_transactions_are_shown_only_to_those_who_ask_for_all() {
        let of = |producer: i64, offset: i64| BatchOptions {
            producer_id: ProducerId(producer),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(0),
            is_transactional: true,
            ..options(offset, Compression::None)
        };
        let marker = |options: BatchOptions, is_commit: bool| {
            let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
            BatchBuilder::end_transaction(options, Timestamp(7), marker).unwrap()
        };
        let bytes: Bytes = [
            batch(of(1, 0), &["aborted"]),
            batch(of(2, 1), &["committed"]),
            marker(of(1, 2), false),
            marker(of(2, 3), true),
            batch(of(1, 4), &["later"]),
            marker(of(1, 5), true),
        ]
        .concat()
        .into();
        let aborted = vec![AbortedTransaction { producer_id: ProducerId(1), first_offset: 0 }];
        let committed = decoded(bytes.clone(), 0, aborted, Isolation::ReadCommitted).unwrap();
        assert_eq!(committed, ["1:committed", "4:later"]);
        let all = decoded(bytes, 0, Vec::new(), Isolation::ReadUncommitted).unwrap();
        assert_eq!(all, ["0:aborted", "1:committed", "4:later"]);
    }
}
