//! Compaction: of all records with one key only the last stays (`cleanup.policy=compact`).
//!
//! `docs/internals/compaction.md` has the order of writes and why it is safe. What is decided is in `plan`, `filter` and
//! `transactions`, which know data only; `rewrite` and `swap` touch files.

mod filter;
mod offset_map;
mod plan;
mod rewrite;
mod swap;
mod transactions;

use crate::directories::LogDirectories;
use crate::directory::LogDirectory;
use crate::error::StorageError;
use crate::log::Log;
use crate::scan::HeaderWalk;
use crate::segment::Segment;
use core::time::Duration;
use filter::{Filter, LastRecord};
use offset_map::{KeyHash, OffsetMap};
use ottla_env::{DiskError, DiskResult, Monotonic};
use ottla_records::{BuildError, Compressor, Decompressor, RebuildError, RecordsError};
use ottla_types::{Offset, ProducerId, Timestamp, TopicPartition};
use plan::{Candidate, DirtyPart};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use transactions::CleanedTransactions;

/// How long compaction rests at a time, so that it can be stopped.
const REST: Duration = Duration::from_millis(50);
/// No run is slowed down beyond that.
const RUN_MAX: Duration = Duration::from_secs(24 * 3600);

/// What compaction may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionSettings {
    /// `log.cleaner.dedupe.buffer.size` of one thread: bytes for the keys of one run.
    pub dedupe_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full that may get.
    pub load_factor: f64,
    /// The most that one batch may decompress to.
    pub decompressed_bytes_max: usize,
    /// One thread's part of `log.cleaner.io.max.bytes.per.second`: what it may read and write in a second.
    pub bytes_per_second: f64,
}

/// What one run has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The partition.
    pub partition: TopicPartition,
    /// Below this offset everything is compacted.
    pub end_offset: Offset,
    /// Bytes of the segments before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

/// Why a log is not compacted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactionError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The files could not be read.
    #[error(transparent)]
    Read(DiskError),
    /// Bytes that are no batch, or a batch whose records can't be read.
    #[error("in the segment {segment} at byte {position}: {reason}")]
    Unreadable { segment: Offset, position: u64, reason: String },
    /// As in Kafka such a log is left alone: it would be tried for ever.
    #[error("the keys of the batch at {0} have no room in log.cleaner.dedupe.buffer.size")]
    NoRoom(Offset),
    /// A batch can't be written anew.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The log was truncated, deleted or closed meanwhile, or the node stops: what was prepared is thrown away.
    #[error("the log has changed meanwhile")]
    Overtaken,
}

impl From<RebuildError> for CompactionError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Records(error) => error.into(),
            RebuildError::Build(error) => error.into(),
        }
    }
}

impl From<RecordsError> for CompactionError {
    fn from(error: RecordsError) -> Self {
        Self::Unreadable { segment: Offset::ZERO, position: 0, reason: error.to_string() }
    }
}

impl LogDirectories {
    /// Compacts the log that needs it most. `None` when none does. Appends and reads go on meanwhile; they wait only for the
    /// moment in which the files change places. To be called by threads that may take their time, one log at a time each.
    ///
    /// A log that can't be compacted is reported, left alone from then on, and does not keep others from it.
    pub fn compact_next(&self, settings: &CompactionSettings, now: Timestamp) -> Option<Compacted> {
        let mut candidates: Vec<(&LogDirectory, Arc<Log>, Candidate)> = Vec::new();
        for directory in self.directories().iter().filter(|directory| !directory.is_offline()) {
            for log in directory.logs() {
                if let Some(candidate) = directory.candidate(&log, now) {
                    candidates.push((directory, log, candidate));
                }
            }
        }
        candidates.sort_by(|a, b| b.2.urgency().total_cmp(&a.2.urgency()));
        candidates
            .into_iter()
            .find_map(|(directory, log, candidate)| directory.compact(&log, &candidate, settings, now))
    }
}

impl LogDirectories {
    /// Has compaction end at the next batch, and begin no more.
    pub fn stop_compaction(&self) {
        for directory in self.directories() {
            directory.context.stops_compaction.store(true, Ordering::Release);
        }
    }
}

impl LogDirectory {
    /// What there is to do in a log, if it is enough.
    fn candidate(&self, log: &Log, now: Timestamp) -> Option<Candidate> {
        let is_stopping = self.context.stops_compaction.load(Ordering::Acquire);
        if is_stopping || !log.config().cleanup_policy.compact || log.damage().is_some() {
            return None;
        }
        let state = self.context.compaction.lock();
        if state.busy.contains(log.topic_partition()) || state.broken.contains(log.topic_partition()) {
            return None;
        }
        drop(state);
        let checkpoint = self.context.cleaned.get(log.topic_partition());
        match log.dirty_part(checkpoint, now) {
            Ok(part) => part.candidate(&log.config(), now),
            Err(error) => {
                tracing::warn!(partition = %log.topic_partition(), %error, "can't see what is to be compacted");
                None
            }
        }
    }

    fn compact(
        &self,
        log: &Log,
        candidate: &Candidate,
        settings: &CompactionSettings,
        now: Timestamp,
    ) -> Option<Compacted> {
        let partition = log.topic_partition();
        if !self.context.compaction.lock().busy.insert(partition.clone()) {
            return None;
        }
        let result = log.compact(candidate, settings, now).and_then(|compacted| {
            log.while_here(|| self.note_cleaned(partition, compacted.end_offset))?;
            Ok(compacted)
        });
        let mut state = self.context.compaction.lock();
        state.busy.remove(partition);
        match result {
            Ok(compacted) => Some(compacted),
            Err(CompactionError::Overtaken) => None,
            Err(_) if log.has_left() => None,
            Err(error) => {
                tracing::error!(%partition, %error, "the log can't be compacted, and is left alone until a restart");
                state.broken.insert(partition.clone());
                None
            }
        }
    }

    /// Writes `cleaner-offset-checkpoint`, without the logs that are gone.
    fn note_cleaned(&self, partition: &TopicPartition, end_offset: Offset) -> Result<(), CompactionError> {
        let alive = self.logs();
        let written = self.context.cleaned.write(self.context.disk(), |written| {
            let mut offsets = written.clone();
            offsets.retain(|partition, _| alive.iter().any(|log| log.topic_partition() == partition));
            offsets.insert(partition.clone(), end_offset);
            offsets
        });
        written.map_err(|error| self.context.failed(error).into())
    }
}

impl Log {
    /// The part of the log that compaction has not looked at.
    fn dirty_part(&self, checkpoint: Offset, now: Timestamp) -> Result<DirtyPart, CompactionError> {
        let view = self.view();
        let mut segments = Vec::with_capacity(view.segments.len());
        for segment in view.segments.iter() {
            let size = self.size_in(&view, segment).map_err(CompactionError::Read)?;
            let largest = self.largest_timestamp(segment).map_err(CompactionError::Read)?;
            let timestamp = largest.map_or(segment.created, |largest| largest.timestamp);
            segments.push(plan::SegmentFacts { base_offset: segment.base_offset, size, largest_timestamp: timestamp });
        }
        let stable = view.last_stable_offset();
        Ok(DirtyPart::new(segments, checkpoint, view.log_start_offset, stable, &self.config(), now))
    }

    fn compact(
        &self,
        candidate: &Candidate,
        settings: &CompactionSettings,
        now: Timestamp,
    ) -> Result<Compacted, CompactionError> {
        // What is rewritten below must be durable where it is: a crash must not find the new files and not the old end. And
        // the next start must know it, since it would take a gap behind the recovery point for the loss of a segment's end.
        let durable = self.flush_sealed()?;
        self.while_here(|| {
            let kept = self.context.recovery_points.raise(self.disk(), self.topic_partition(), durable);
            kept.map_err(|error| CompactionError::from(self.failed(error)))
        })?;
        let mut tools = Tools {
            decompressor: Decompressor::new(settings.decompressed_bytes_max),
            compressor: Compressor::new(),
            pace: Pace {
                bytes_per_second: settings.bytes_per_second,
                began: self.context.environment.clock.monotonic(),
                bytes: 0,
            },
            keys: Vec::new(),
            survey: filter::Survey::default(),
        };
        let random = &self.context.environment.random;
        let keys = [random.next_u64(), random.next_u64()];
        let mut map = OffsetMap::new(settings.dedupe_bytes, settings.load_factor, keys);
        let end_offset = self.map_offsets(candidate.dirty_from, candidate.dirty_to, &mut map, &mut tools)?;
        let mut compacted =
            Compacted { partition: self.topic_partition().clone(), end_offset, bytes_before: 0, bytes_after: 0 };
        if end_offset <= candidate.dirty_from {
            return Err(CompactionError::NoRoom(candidate.dirty_from));
        }
        let view = self.view();
        let config = self.config();
        let mut transactions = CleanedTransactions::new(self.aborted_in(&view, end_offset)?);
        let segments = plan::segments_below(&view.segments, end_offset);
        let last_records = self.last_records(segments, view.high_watermark).map_err(CompactionError::Read)?;
        let sizes = segments.iter().map(|segment| segment.size(self.disk())).collect::<Result<Vec<_>, _>>();
        for group in plan::group(segments, &sizes.map_err(CompactionError::Read)?, end_offset, &config) {
            let mut filter = Filter {
                map: &map,
                transactions: &mut transactions,
                last_records: &last_records,
                high_watermark: view.high_watermark,
                now,
                delete_retention_ms: config.delete_retention_ms,
            };
            let (before, after) = self.rewrite(group, &mut filter, &mut tools, &config)?;
            compacted.bytes_before += before;
            compacted.bytes_after += after;
        }
        Ok(compacted)
    }

    /// Each producer's last batch, which stays, if need be without records, so that its sequence goes on.
    fn last_records(
        &self,
        segments: &[Arc<Segment>],
        high_watermark: Offset,
    ) -> DiskResult<BTreeMap<ProducerId, LastRecord>> {
        let mut last_records: BTreeMap<ProducerId, LastRecord> = self.with_producers(|producers| {
            let last = |entry: crate::format::ProducerSnapshotEntry| LastRecord {
                offset: (entry.last_offset.0 >= 0).then_some(entry.last_offset),
                committed: None,
                epoch: entry.epoch,
            };
            producers.snapshot().map(|entry| (entry.producer_id, last(entry))).collect()
        });
        let is_committed = |last: &LastRecord| last.offset.is_none_or(|offset| offset < high_watermark);
        if !last_records.values().all(is_committed) {
            self.note_committed(segments, high_watermark, &mut last_records)?;
        }
        Ok(last_records)
    }

    /// Notes the last batch in these segments of each producer whose very last one is not committed. Rarely needed.
    fn note_committed(
        &self,
        segments: &[Arc<Segment>],
        high_watermark: Offset,
        last_records: &mut BTreeMap<ProducerId, LastRecord>,
    ) -> DiskResult<()> {
        for segment in segments {
            let size = segment.size(self.disk())?;
            let file = self.context.files.get(segment)?;
            let mut walk = HeaderWalk::new(&*file, 0, size);
            while let Some(Ok(located)) = walk.next()? {
                let header = &located.header;
                let counts = !header.is_control() && header.last_offset() < high_watermark;
                let last = last_records.get_mut(&header.producer_id).filter(|_| counts);
                if let Some(last) = last.filter(|last| last.offset.is_some_and(|offset| offset >= high_watermark)) {
                    last.committed = Some(header.last_offset());
                }
            }
        }
        Ok(())
    }
}

/// What is used again from batch to batch.
struct Tools {
    decompressor: Decompressor,
    compressor: Compressor,
    pace: Pace,
    /// The keys of a batch that are to be noted.
    keys: Vec<(KeyHash, Offset)>,
    survey: filter::Survey,
}

/// How fast a run may be, and how much it has read and written.
struct Pace {
    bytes_per_second: f64,
    began: Monotonic,
    bytes: u64,
}

impl Pace {
    /// Counts bytes. How long to rest until they are allowed.
    fn spend(&mut self, bytes: u64, now: Monotonic) -> Duration {
        self.bytes = self.bytes.saturating_add(bytes);
        // An unlimited pace gives a time of nearly nothing.
        let due = self.bytes as f64 / self.bytes_per_second.max(1.0);
        let taken = now.since(self.began);
        Duration::try_from_secs_f64(due).unwrap_or(RUN_MAX).min(RUN_MAX).saturating_sub(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_rests_as_long_as_its_bytes_take_at_the_allowed_pace() {
        let (began, second) = (Monotonic::default(), Duration::from_secs(1));
        let mut pace = Pace { bytes_per_second: 1_000.0, began, bytes: 0 };
        assert_eq!(pace.spend(500, began), second / 2);
        assert_eq!(pace.spend(1_500, began + second), second);
        assert_eq!(pace.spend(0, began + second * 3), Duration::ZERO);
        let mut unlimited = Pace { bytes_per_second: f64::MAX, began, bytes: 0 };
        assert_eq!(unlimited.spend(u64::MAX, began), Duration::ZERO);
        let mut none = Pace { bytes_per_second: 0.0, began, bytes: 0 };
        assert_eq!(none.spend(u64::MAX, began), RUN_MAX);
    }
}
