//! Appending: one lock, one write.

use crate::batch::{BatchHeader, patch};
use crate::config::LogConfig;
use crate::error::{AppendError, StorageError};
use crate::format::AbortedTransaction;
use crate::log::{Log, OffsetMetadata, View, Writer};
use crate::producers::{AppendOrigin, BatchMetadata, Prepared, ProducerError};
use crate::roll::Incoming;
use crate::segment::Segment;
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an append has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// The offset of the first record; of a duplicate, the one it got the first time.
    pub first_offset: Offset,
    /// The offset of the last record.
    pub last_offset: Offset,
    /// The greatest timestamp of the records.
    pub max_timestamp: Timestamp,
    /// The time of the append, when the topic's timestamps are that; else -1. Of a duplicate: its timestamp.
    pub log_append_time: Timestamp,
    /// The log start offset.
    pub log_start_offset: Offset,
    /// The bytes that were written; 0 for a duplicate.
    pub bytes: usize,
    /// Whether the records were there already, so that nothing was written.
    pub duplicate: bool,
}

impl AppendInfo {
    /// Both appends as one.
    fn followed_by(self, next: &Self) -> Self {
        Self {
            first_offset: self.first_offset,
            max_timestamp: self.max_timestamp.max(next.max_timestamp),
            bytes: self.bytes + next.bytes,
            ..*next
        }
    }
}

/// The headers of the batches of one append, which is usually one batch.
type Headers = SmallVec<[BatchHeader; 1]>;

/// What the headers say together.
struct Summary {
    incoming: Incoming,
    first_offset: Offset,
}

impl Log {
    /// Appends batches as the partition's leader. Offsets and `leader_epoch` are written into `batches` where they lie.
    ///
    /// **Who checks what.** The caller has checked checksums, records and timestamps (`ottla_records::validate`); here are
    /// checked the frame of each batch, its size, the producer's epoch and sequences, and that the log can be written.
    /// With `AppendOrigin::RaftLeader` the batches bear their offsets and epoch already.
    ///
    /// When this returns, readers up to the log's end see the records. They are not durable yet, see `flush`; they may be
    /// acknowledged when `acknowledgeable_offset` is beyond them, which is at once unless `flush.messages` demands a sync.
    pub fn append_as_leader(
        &self,
        batches: &mut [u8],
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
    ) -> Result<AppendInfo, AppendError> {
        let config = self.config();
        let mut headers = walk(batches)?;
        check_rules(&headers, leader_epoch, origin, &config)?;
        let mut writer = self.writer.lock();
        if origin != AppendOrigin::RaftLeader {
            assign_offsets(batches, &mut headers, self.log_end_offset(), leader_epoch);
        }
        self.append(&mut writer, batches, &headers, origin, &config)
    }

    /// Appends batches that the partition's leader has given, with its offsets and epochs. Checksums are checked here.
    ///
    /// Gaps between offsets are kept: the leader's compaction may have left them. What the leader has is taken whatever the
    /// segment size is: it may have been lowered since, and a fetch may bring more than fits into one segment.
    ///
    /// # Errors
    /// Nothing was appended. When only a part could be, that is told, and the next append meets the error anew.
    pub fn append_as_follower(&self, batches: &[u8]) -> Result<AppendInfo, AppendError> {
        let config = self.config();
        let headers = walk(batches)?;
        let mut position = 0;
        for header in &headers {
            let batch = batches.get(position..).unwrap_or_default();
            header.verify(batch).map_err(|fault| AppendError::Corrupt { position, fault })?;
            position += header.length as usize;
        }
        let mut writer = self.writer.lock();
        let mut appended: Option<AppendInfo> = None;
        let (mut rest, mut left) = (batches, headers.as_slice());
        while !left.is_empty() {
            let (count, bytes) = fitting(left, config.segment_bytes);
            let piece = rest.get(..bytes).unwrap_or(rest);
            let headers = left.get(..count).unwrap_or(left);
            match (self.append(&mut writer, piece, headers, AppendOrigin::Replication, &config), appended) {
                (Ok(more), before) => appended = Some(before.map_or(more, |before| before.followed_by(&more))),
                (Err(_), Some(before)) => return Ok(before),
                (Err(error), None) => return Err(error),
            }
            rest = rest.get(bytes..).unwrap_or_default();
            left = left.get(count..).unwrap_or_default();
        }
        appended.ok_or(AppendError::InvalidRecord("there are no records"))
    }

    fn append(
        &self,
        writer: &mut Writer,
        batches: &[u8],
        headers: &[BatchHeader],
        origin: AppendOrigin,
        config: &LogConfig,
    ) -> Result<AppendInfo, AppendError> {
        self.check_writable(writer)?;
        let view = self.view();
        let summary = summarise(headers, view.end.offset)?;
        if origin != AppendOrigin::Replication && batches.len() > config.segment_bytes as usize {
            return Err(AppendError::RecordBatchTooLarge { size: batches.len(), max: config.segment_bytes });
        }
        let (prepared, duplicate) = self.prepare(writer, &view, batches, headers, origin)?;
        if let Some(duplicate) = duplicate {
            return Ok(duplicate_info(&duplicate, &view));
        }
        self.write_topic_id()?;
        let view = self.maybe_roll(writer, view, &summary.incoming, summary.first_offset, config)?;
        self.note_epochs(headers);
        let segment = view.active().ok_or_else(|| StorageError::Closed(self.partition.clone()))?;
        let aborts = prepared.completed().iter().filter(|completed| completed.aborted).count();
        segment.reserve_aborted(self.disk(), aborts).map_err(|error| self.failed(error))?;
        self.write(segment, &view, batches)?;
        self.publish(writer, segment, headers, prepared, config)?;
        let appended = AppendInfo {
            first_offset: summary.first_offset,
            last_offset: summary.incoming.last_offset,
            max_timestamp: summary.incoming.max_timestamp,
            log_append_time: log_append_time(headers),
            log_start_offset: view.log_start_offset,
            bytes: batches.len(),
            duplicate: false,
        };
        if config.flush_messages != i64::MAX && self.acknowledgeable_offset() < self.log_end_offset() {
            match self.context.shares_syncs() {
                true => self.context.queue_sync(&self.partition),
                false => _ = self.flush_locked(writer)?,
            }
        }
        Ok(appended)
    }

    /// Asks the producers' state, and once more when it did not know all that the log does.
    fn prepare(
        &self,
        writer: &mut Writer,
        view: &View,
        batches: &[u8],
        headers: &[BatchHeader],
        origin: AppendOrigin,
    ) -> Result<(Prepared, Option<BatchMetadata>), AppendError> {
        match prepare(writer, batches, headers, origin) {
            Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))
                if self.recall_batches(writer, view)? =>
            {
                prepare(writer, batches, headers, origin)
            }
            prepared => prepared,
        }
    }

    /// Writes the bytes at the end of the active segment, in one write. What a full disk has let through of it is undone.
    fn write(&self, segment: &Arc<Segment>, view: &View, batches: &[u8]) -> Result<(), StorageError> {
        let position = view.end.position;
        let file = self.context.files.get(segment).map_err(|error| self.failed(error))?;
        let Err(error) = file.write_at(batches, position) else { return Ok(()) };
        if !error.is_disk_full() {
            return Err(self.failed(error));
        }
        if let Err(undo) = file.set_length(position) {
            self.context.take_offline(&undo);
            return Err(StorageError::Disk(undo));
        }
        Err(StorageError::DiskFull(error))
    }

    /// Takes note of written batches: indexes, producers, then the view that lets readers see them.
    fn publish(
        &self,
        writer: &mut Writer,
        segment: &Segment,
        headers: &[BatchHeader],
        prepared: Prepared,
        config: &LogConfig,
    ) -> Result<(), StorageError> {
        let mut position = self.view.read().end.position;
        segment.with_memory_index(|index| {
            for header in headers {
                index.add(segment.base_offset, header, position, config);
                position += u64::from(header.length);
            }
        });
        segment.set_size(position);
        let appended: u64 = headers.iter().map(|header| u64::from(header.length)).sum();
        self.appended_bytes.fetch_add(appended, Ordering::Relaxed);
        let end_offset = headers.last().map_or(Offset::ZERO, |header| header.last_offset().next());
        let aborted = writer.producers.commit(prepared, end_offset);
        let aborted: Vec<AbortedTransaction> = aborted.iter().map(AbortedTransaction::of).collect();
        writer.last_append = self.context.environment.clock.wall();
        // The transaction index is written before readers can see the marker: whoever reads past it must find the entry.
        let indexed = segment.append_aborted(self.disk(), &aborted);
        let mut view = self.view.write();
        view.end = OffsetMetadata { offset: end_offset, segment_base_offset: segment.base_offset, position };
        view.first_unstable = writer.producers.first_unstable_offset();
        view.settle(self.recovery_point(), config.flush_messages);
        drop(view);
        indexed.map_err(|error| {
            // The log has the marker and the index does not. Recovery puts that right; until then nobody may rely on it.
            self.context.take_offline(&error);
            StorageError::Disk(error)
        })
    }
}

/// Reads the headers of concatenated batches, which must fill the buffer.
fn walk(batches: &[u8]) -> Result<Headers, AppendError> {
    let mut headers = Headers::new();
    let mut position = 0;
    while position < batches.len() {
        let rest = batches.get(position..).unwrap_or_default();
        let corrupt = |fault| AppendError::Corrupt { position, fault };
        let header = BatchHeader::parse(rest).map_err(corrupt)?;
        if header.length as usize > rest.len() {
            return Err(corrupt(crate::batch::BatchFault::Truncated));
        }
        if header.last_offset_delta < 0 {
            return Err(corrupt(crate::batch::BatchFault::Offsets));
        }
        position += header.length as usize;
        headers.push(header);
    }
    if headers.is_empty() { Err(AppendError::InvalidRecord("there are no records")) } else { Ok(headers) }
}

/// How many batches fit into a segment together, one at least, and how many bytes they have.
fn fitting(headers: &[BatchHeader], segment_bytes: u32) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for header in headers {
        let with_it = bytes + header.length as usize;
        if count > 0 && with_it > segment_bytes as usize {
            break;
        }
        (count, bytes) = (count + 1, with_it);
    }
    (count, bytes)
}

fn check_rules(
    headers: &[BatchHeader],
    leader_epoch: LeaderEpoch,
    origin: AppendOrigin,
    config: &LogConfig,
) -> Result<(), AppendError> {
    for header in headers {
        if header.magic < 2 {
            return Err(AppendError::InvalidRecord("a batch is of an older format, which is read but not written"));
        }
        match origin {
            AppendOrigin::RaftLeader if header.leader_epoch != leader_epoch => {
                return Err(AppendError::InvalidRecord(
                    "a batch of the metadata log bears another epoch than its leader's",
                ));
            }
            AppendOrigin::Client { .. } if header.base_offset != Offset::ZERO => {
                return Err(AppendError::InvalidRecord("the base offset of a batch from a client must be 0"));
            }
            _ => {}
        }
        if header.length > config.max_message_bytes {
            let (size, max) = (header.length as usize, config.max_message_bytes);
            return Err(AppendError::RecordTooLarge { size, max });
        }
    }
    Ok(())
}

fn assign_offsets(batches: &mut [u8], headers: &mut [BatchHeader], first: Offset, leader_epoch: LeaderEpoch) {
    let mut next = first;
    let mut position = 0;
    for header in headers {
        header.base_offset = next;
        header.leader_epoch = leader_epoch;
        if let Some(batch) = batches.get_mut(position..) {
            patch(batch, next, leader_epoch);
        }
        next = header.last_offset().next();
        position += header.length as usize;
    }
}

fn summarise(headers: &[BatchHeader], end: Offset) -> Result<Summary, AppendError> {
    let mut size = 0;
    let mut max_timestamp = Timestamp::NONE;
    let mut next = None;
    for header in headers {
        if next.is_some_and(|next| header.base_offset < next) {
            return Err(AppendError::OffsetsOutOfOrder);
        }
        next = Some(header.last_offset().next());
        size += u64::from(header.length);
        max_timestamp = max_timestamp.max(header.max_timestamp);
    }
    let first = headers.first().map_or(Offset::ZERO, |header| header.base_offset);
    let last = headers.last().map_or(Offset::ZERO, BatchHeader::last_offset);
    if first < end {
        return Err(AppendError::UnexpectedOffset { first, last, end });
    }
    Ok(Summary { incoming: Incoming { size, max_timestamp, last_offset: last }, first_offset: first })
}

fn prepare(
    writer: &Writer,
    batches: &[u8],
    headers: &[BatchHeader],
    origin: AppendOrigin,
) -> Result<(Prepared, Option<BatchMetadata>), AppendError> {
    let mut prepared = Prepared::default();
    let mut position = 0;
    for header in headers {
        if matches!(origin, AppendOrigin::Client { .. })
            && let Some(duplicate) = writer.producers.find_duplicate(header)
        {
            return Ok((prepared, Some(duplicate)));
        }
        let batch = batches.get(position..position + header.length as usize).unwrap_or_default();
        writer.producers.prepare(&mut prepared, header, batch, origin)?;
        position += header.length as usize;
    }
    Ok((prepared, None))
}

fn duplicate_info(duplicate: &BatchMetadata, view: &View) -> AppendInfo {
    AppendInfo {
        first_offset: duplicate.first_offset(),
        last_offset: duplicate.last_offset,
        max_timestamp: duplicate.timestamp,
        log_append_time: duplicate.timestamp,
        log_start_offset: view.log_start_offset,
        bytes: 0,
        duplicate: true,
    }
}

fn log_append_time(headers: &[BatchHeader]) -> Timestamp {
    let stamped = headers.iter().find(|header| header.is_log_append_time());
    stamped.map_or(Timestamp::NONE, |header| header.max_timestamp)
}
