use super::wire::{Wire, error};
use crate::history::{Batch, LogName, Lookup, Marker, Marks, Scan, Stored, Value};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{FetchRequest, ListOffsetsRequest};
use ottla_records::{Batches, ControlRecord, ControlRecordType, Decompressor, RecordBatchView};
use std::io;

const FETCH: i16 = 16;
const LIST_OFFSETS: i16 = 8;
const FETCH_BYTES_MAX: i32 = 4 << 20;
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
const GREATEST: i64 = -3;

/// Readers of committed records only, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(super) enum Isolation {
    /// All.
    Uncommitted = 0,
    /// What is behind no open transaction.
    Committed = 1,
}

/// Reads logs by single requests.
#[derive(Debug)]
pub struct LogReader {
    wire: Wire,
    decompressor: Decompressor,
}

impl LogReader {
    /// Of the server at `host:port`, which need not be there yet.
    pub fn new(address: &str) -> Self {
        Self { wire: Wire::new(address), decompressor: Decompressor::new(DECOMPRESSED_BYTES_MAX) }
    }

    /// What ListOffsets says.
    ///
    /// # Errors
    /// Nobody answers, or an error comes.
    fn offset(&mut self, log: &LogName, isolation: Isolation, time: i64) -> io::Result<(i64, i64)> {
        let partition = ListOffsetsPartition { partition_index: log.partition, timestamp: time, ..Default::default() };
        let topic = ListOffsetsTopic { name: log.topic.to_string(), partitions: vec![partition], ..Default::default() };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: isolation as i8,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.wire.ask(LIST_OFFSETS, &request)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| io::Error::other("no partition in the answer"))?;
        checked(log, partition.error_code)?;
        Ok((partition.offset, partition.timestamp))
    }

    /// A log's beginning and ends, asked for in the order in which they may only grow.
    ///
    /// # Errors
    /// Nobody answers, or an error comes.
    pub fn marks(&mut self, log: &LogName) -> io::Result<Marks> {
        let (start, _) = self.offset(log, Isolation::Uncommitted, EARLIEST)?;
        let (last_stable, _) = self.offset(log, Isolation::Committed, LATEST)?;
        let (high_watermark, _) = self.offset(log, Isolation::Uncommitted, LATEST)?;
        Ok(Marks { start, last_stable, high_watermark })
    }

    /// Look-ups of these times, of the greatest and of the ends.
    ///
    /// # Errors
    /// Nobody answers, or an error comes.
    pub fn lookups(&mut self, log: &LogName, times: &[i64]) -> io::Result<Vec<Lookup>> {
        let isolation = Isolation::Uncommitted;
        let record = |(offset, time)| (offset >= 0).then_some((offset, time));
        let mut lookups = vec![
            Lookup::Earliest(self.offset(log, isolation, EARLIEST)?.0),
            Lookup::Latest(self.offset(log, isolation, LATEST)?.0),
            Lookup::Greatest { found: record(self.offset(log, isolation, GREATEST)?) },
        ];
        for asked in times {
            lookups.push(Lookup::Time { asked: *asked, found: record(self.offset(log, isolation, *asked)?) });
        }
        Ok(lookups)
    }

    /// Batches from `from` on, as many as come with one answer; the first may begin before it.
    ///
    /// # Errors
    /// Nobody answers, an error comes, or the batches can't be read.
    pub fn fetch(&mut self, log: &LogName, from: i64) -> io::Result<Vec<Batch>> {
        let partition = FetchPartition {
            partition: log.partition,
            fetch_offset: from,
            partition_max_bytes: FETCH_BYTES_MAX,
            ..Default::default()
        };
        let topic = FetchTopic { topic_id: log.id, partitions: vec![partition], ..Default::default() };
        let request = FetchRequest {
            max_bytes: FETCH_BYTES_MAX,
            isolation_level: Isolation::Uncommitted as i8,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.wire.ask(FETCH, &request)?;
        checked(log, answer.error_code)?;
        let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| io::Error::other("no partition in the answer"))?;
        checked(log, partition.error_code)?;
        let bytes = partition.records.as_bytes().map(|bytes| &bytes[..]).unwrap_or_default();
        let mut batches = Vec::new();
        for batch in Batches::new(bytes) {
            match batch {
                Ok(batch) => batches.push(self.read(batch)?),
                // An answer may end within a batch.
                Err(error) if error.is_partial() && !batches.is_empty() => break,
                Err(error) => return Err(nonsense(format!("{log}: {error:?}"))),
            }
        }
        Ok(batches)
    }

    fn read(&mut self, batch: RecordBatchView<'_>) -> io::Result<Batch> {
        if !batch.is_checksum_valid() {
            return Err(nonsense(format!("the batch at {} has a wrong checksum", batch.base_offset())));
        }
        let mut read = Batch {
            base: batch.base_offset().value(),
            next: batch.next_offset().value(),
            bytes: batch.size() as u64,
            producer_id: batch.producer_id().value(),
            is_transactional: batch.is_transactional(),
            marker: None,
            records: Vec::new(),
        };
        for record in batch.records(&mut self.decompressor).map_err(|error| nonsense(error.to_string()))? {
            let record = record.map_err(|error| nonsense(error.to_string()))?;
            if batch.is_control() {
                let control = ControlRecord::parse(&record).map_err(io::Error::other)?;
                let is_commit = control.kind == ControlRecordType::Commit;
                read.marker = Some(if is_commit { Marker::Commit } else { Marker::Abort });
                continue;
            }
            let (value, amount) = match record.value {
                None => (None, 0),
                Some(text) => Value::parse(text)
                    .map(|(value, amount)| (Some(value), amount))
                    .ok_or_else(|| nonsense(format!("offset {} holds what no load wrote", record.offset)))?,
            };
            let key = record.key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.parse().ok());
            let (offset, timestamp) = (record.offset.value(), record.timestamp.value());
            read.records.push(Stored { offset, timestamp, key, value, amount });
        }
        Ok(read)
    }

    /// Everything from the log's start to its high watermark.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub fn scan(&mut self, log: &LogName) -> io::Result<Scan> {
        let marks = self.marks(log)?;
        let (start, end) = (marks.start, marks.high_watermark);
        let mut batches: Vec<Batch> = Vec::new();
        let mut next = start;
        while next < end {
            let more = self.fetch(log, next)?;
            // A compacted log may hold nothing up to its end.
            let Some(last) = more.last() else { break };
            next = last.next;
            batches.extend(more);
        }
        batches.retain(|batch| batch.base < end);
        Ok(Scan { log: log.clone(), start, end, batches })
    }
}

fn checked(log: &LogName, code: i16) -> io::Result<()> {
    match error(code) {
        ErrorCode::None => Ok(()),
        other => Err(io::Error::other(format!("{log}: {other:?}"))),
    }
}

/// Bytes that no server should have given out.
fn nonsense(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
