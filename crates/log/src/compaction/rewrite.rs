//! Reading the dirty part, and writing what stays of a group of segments into one new segment.

use super::filter::{Filter, Kept};
use super::offset_map::OffsetMap;
use super::swap::Cleaned;
use super::transactions::CleanedTransactions;
use super::{CompactionError, REST, Tools};
use crate::batch::BatchHeader;
use crate::batch_reader::BatchReader;
use crate::config::LogConfig;
use crate::error::ReadError;
use crate::format::AbortedTransaction;
use crate::log::{Log, View};
use crate::segment::{MemoryIndex, Segment};
use ottla_env::File;
use ottla_records::AnyBatch;
use ottla_types::Offset;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is written at once.
const CHUNK: usize = 1 << 20;

impl Log {
    /// Notes the last record of each key in the dirty part, as far as there is room. Returns where the part that was looked
    /// at ends.
    pub(super) fn map_offsets(
        &self,
        from: Offset,
        to: Offset,
        map: &mut OffsetMap,
        tools: &mut Tools,
    ) -> Result<Offset, CompactionError> {
        let view = self.view();
        let mut transactions = CleanedTransactions::new(self.aborted_in(&view, to)?);
        map.set_latest(Offset(from.0 - 1));
        let first = view.floor(from).unwrap_or(0);
        let segments = view.segments.get(first..).unwrap_or_default();
        for (index, segment) in segments.iter().enumerate() {
            if segment.base_offset >= to || !self.map_segment(segment, from..to, map, &mut transactions, tools)? {
                break;
            }
            // Offsets may be missing up to the next segment. They are looked at too: else there would be the same to do again.
            let end = segments.get(index + 1).map_or(to, |next| next.base_offset.min(to));
            map.set_latest(map.latest().max(Offset(end.0 - 1)));
        }
        Ok(map.latest().next())
    }

    /// `false` when the map is full, or the end of the dirty part is reached.
    fn map_segment(
        &self,
        segment: &Arc<Segment>,
        dirty: Range<Offset>,
        map: &mut OffsetMap,
        transactions: &mut CleanedTransactions,
        tools: &mut Tools,
    ) -> Result<bool, CompactionError> {
        let file = self.context.files.get(segment).map_err(CompactionError::Read)?;
        let size = segment.size(self.disk()).map_err(CompactionError::Read)?;
        let mut reader = BatchReader::new(&*file, size);
        let mut position = 0;
        while let Some((header, bytes)) = self.next_batch(&mut reader, segment, position)? {
            position += u64::from(header.length);
            self.rest(tools, u64::from(header.length));
            if header.base_offset >= dirty.end {
                map.set_latest(map.latest().max(Offset(dirty.end.0 - 1)));
                return Ok(false);
            }
            let batch = view_of(segment, position, bytes)?;
            let has_keys = match batch {
                // Aborted ones don't count.
                AnyBatch::Batch(batch) => !transactions.may_go(batch, &mut tools.decompressor)? && !batch.is_control(),
                AnyBatch::Legacy(_) => true,
            };
            if has_keys && header.last_offset() >= dirty.start {
                tools.keys.clear();
                for record in batch.records(&mut tools.decompressor)? {
                    let record = record?;
                    if let Some(key) = record.key.filter(|_| record.offset >= dirty.start) {
                        tools.keys.push((map.hash(key), record.offset));
                    }
                }
                if !map.put_all(&tools.keys) {
                    return Ok(false);
                }
            }
            map.set_latest(map.latest().max(header.last_offset()));
        }
        Ok(true)
    }

    /// Rests as the pace demands it.
    fn rest(&self, tools: &mut Tools, bytes: u64) {
        let mut left = tools.pace.spend(bytes, self.context.environment.clock.monotonic());
        while !left.is_zero() && !self.context.stops_compaction.load(Ordering::Acquire) {
            let slice = left.min(REST);
            std::thread::sleep(slice);
            left -= slice;
        }
    }

    fn next_batch<'b>(
        &self,
        reader: &'b mut BatchReader<'_>,
        segment: &Segment,
        position: u64,
    ) -> Result<Option<(BatchHeader, &'b [u8])>, CompactionError> {
        if self.context.stops_compaction.load(Ordering::Acquire) {
            return Err(CompactionError::Overtaken);
        }
        let unreadable =
            |reason: String| CompactionError::Unreadable { segment: segment.base_offset, position, reason };
        match reader.next(position).map_err(CompactionError::Read)? {
            None => Ok(None),
            Some(Err(fault)) => Err(unreadable(fault.to_string())),
            Some(Ok((header, bytes))) => {
                // A rotten batch must not be taken for the last word on its keys.
                header.verify(bytes).map_err(|fault| unreadable(fault.to_string()))?;
                Ok(Some((header, bytes)))
            }
        }
    }

    /// The transactions below an offset that were aborted.
    pub(super) fn aborted_in(&self, view: &View, end: Offset) -> Result<Vec<AbortedTransaction>, CompactionError> {
        self.aborted_transactions(view.log_start_offset, end).map_err(|error| match error {
            ReadError::Storage(error) => error.into(),
            ReadError::OffsetOutOfRange { .. } => CompactionError::Overtaken,
        })
    }

    /// Writes what stays of a group of segments into one new segment and puts that in their place. Returns the bytes before
    /// and after.
    pub(super) fn rewrite(
        &self,
        group: &[Arc<Segment>],
        filter: &mut Filter<'_>,
        tools: &mut Tools,
        config: &LogConfig,
    ) -> Result<(u64, u64), CompactionError> {
        let truncations = self.truncations.load(Ordering::Acquire);
        let Some(first) = group.first() else { return Ok((0, 0)) };
        let file = Cleaned::create(self, first.base_offset)?;
        let mut output = Output { file: &*file, written: 0, buffer: Vec::new(), index: MemoryIndex::default() };
        let mut before = 0;
        for segment in group {
            let input = self.context.files.get(segment).map_err(CompactionError::Read)?;
            let size = segment.size(self.disk()).map_err(CompactionError::Read)?;
            before += size;
            let mut reader = BatchReader::new(&*input, size);
            let mut position = 0;
            while let Some((header, bytes)) = self.next_batch(&mut reader, segment, position)? {
                position += u64::from(header.length);
                // What stays is written as well.
                self.rest(tools, 2 * u64::from(header.length));
                let kept = match view_of(segment, position, bytes)? {
                    AnyBatch::Batch(batch) => filter.keep(batch, tools)?,
                    AnyBatch::Legacy(message) => filter.upgrade(message, tools)?,
                };
                match kept {
                    Kept::Whole => output.push(self, first.base_offset, bytes, config)?,
                    Kept::Rewritten(bytes) => output.push(self, first.base_offset, &bytes, config)?,
                    Kept::Nothing => {}
                }
            }
        }
        output.flush(self)?;
        let Output { written, index, .. } = output;
        let cleaned =
            Cleaned { base_offset: first.base_offset, size: written, index, aborted: filter.transactions.take_index() };
        cleaned.finish(self, &*file)?;
        self.swap(group, cleaned, truncations)?;
        Ok((before, written))
    }
}

fn view_of<'b>(segment: &Segment, end: u64, bytes: &'b [u8]) -> Result<AnyBatch<'b>, CompactionError> {
    AnyBatch::parse(bytes).map_err(|error| CompactionError::Unreadable {
        segment: segment.base_offset,
        position: end - bytes.len() as u64,
        reason: format!("{error:?}"),
    })
}

/// The new segment as it grows.
struct Output<'a> {
    file: &'a dyn File,
    written: u64,
    buffer: Vec<u8>,
    index: MemoryIndex,
}

impl Output<'_> {
    fn push(&mut self, log: &Log, base: Offset, bytes: &[u8], config: &LogConfig) -> Result<(), CompactionError> {
        let position = self.written + self.buffer.len() as u64;
        let header = BatchHeader::parse(bytes).map_err(|fault| CompactionError::Unreadable {
            segment: base,
            position,
            reason: fault.to_string(),
        })?;
        self.index.add(base, &header, position, config);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK { self.flush(log) } else { Ok(()) }
    }

    fn flush(&mut self, log: &Log) -> Result<(), CompactionError> {
        self.file.write_at(&self.buffer, self.written).map_err(|error| log.failed(error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
