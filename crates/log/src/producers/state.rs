use crate::batch::BatchHeader;
use crate::format::ProducerSnapshotEntry;
use ottla_types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use smallvec::SmallVec;

/// How many batches of a producer are remembered. A client has at most five requests in flight, so that what it repeats
/// is one of the last five.
const BATCHES_KEPT: usize = 5;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMetadata {
    /// The sequence of its last record.
    pub last_sequence: Sequence,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// The last offset less the first.
    pub offset_delta: i32,
    /// Its greatest timestamp.
    pub timestamp: Timestamp,
}

impl BatchMetadata {
    /// What is remembered of a batch.
    pub(crate) fn of(header: &BatchHeader) -> Self {
        Self {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    /// The sequence of its first record.
    pub fn first_sequence(&self) -> Sequence {
        self.last_sequence.plus(self.offset_delta.saturating_neg())
    }

    /// The offset of its first record.
    pub fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }
}

/// What a partition knows of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// The epoch; smaller ones are fenced.
    pub epoch: ProducerEpoch,
    /// The epoch of the coordinator that wrote the last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// The greatest timestamp of the last append.
    pub last_timestamp: Timestamp,
    /// Where the open transaction begins.
    pub transaction_first_offset: Option<Offset>,
    /// The last batches of this epoch, the oldest first; at most five.
    batches: SmallVec<[BatchMetadata; 1]>,
}

impl ProducerState {
    pub(super) fn empty() -> Self {
        Self {
            epoch: ProducerEpoch::NONE,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            transaction_first_offset: None,
            batches: SmallVec::new(),
        }
    }

    pub(super) fn without_batches(&self) -> Self {
        Self { batches: SmallVec::new(), ..*self }
    }

    pub(super) fn from_snapshot(entry: &ProducerSnapshotEntry) -> Self {
        let mut batches = SmallVec::new();
        if entry.last_offset.0 >= 0 {
            batches.push(BatchMetadata {
                last_sequence: entry.last_sequence,
                last_offset: entry.last_offset,
                offset_delta: entry.offset_delta,
                timestamp: entry.timestamp,
            });
        }
        Self {
            epoch: entry.epoch,
            coordinator_epoch: entry.coordinator_epoch,
            last_timestamp: entry.timestamp,
            transaction_first_offset: Some(entry.transaction_first_offset).filter(|offset| offset.0 >= 0),
            batches,
        }
    }

    pub(super) fn to_snapshot(&self, producer_id: ProducerId) -> ProducerSnapshotEntry {
        let last = self.batches.last();
        ProducerSnapshotEntry {
            producer_id,
            epoch: self.epoch,
            last_sequence: last.map_or(Sequence::NONE, |batch| batch.last_sequence),
            last_offset: last.map_or(Offset(-1), |batch| batch.last_offset),
            offset_delta: last.map_or(0, |batch| batch.offset_delta),
            timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            transaction_first_offset: self.transaction_first_offset.unwrap_or(Offset(-1)),
        }
    }

    /// The last batch of this epoch.
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches.last()
    }

    /// The sequence of the last record of this epoch; -1 when none is known.
    pub fn last_sequence(&self) -> Sequence {
        self.batches.last().map_or(Sequence::NONE, |batch| batch.last_sequence)
    }

    pub(super) fn has_batches(&self) -> bool {
        !self.batches.is_empty()
    }

    pub(super) fn find_duplicate(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        self.batches.iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last).copied()
    }

    /// Whether a batch of this epoch comes before all that are remembered.
    pub(super) fn is_before(&self, epoch: ProducerEpoch, batch: &BatchMetadata) -> bool {
        epoch == self.epoch && self.batches.first().is_some_and(|first| batch.last_offset < first.first_offset())
    }

    /// Takes in batches from before those that are remembered, ascending: the last of them.
    pub(super) fn recall(&mut self, mut earlier: Vec<BatchMetadata>) {
        let room = BATCHES_KEPT.saturating_sub(self.batches.len());
        earlier.drain(..earlier.len().saturating_sub(room));
        self.batches.insert_many(0, earlier);
    }

    pub(super) fn is_expired(&self, now: Timestamp, expiration_ms: i64) -> bool {
        self.transaction_first_offset.is_none() && now.0.saturating_sub(self.last_timestamp.0) >= expiration_ms
    }

    /// Moves to an epoch; the batches of another epoch are forgotten.
    pub(super) fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    pub(super) fn add_batch(&mut self, epoch: ProducerEpoch, batch: BatchMetadata) {
        self.set_epoch(epoch);
        if self.batches.len() == BATCHES_KEPT {
            self.batches.remove(0);
        }
        self.batches.push(batch);
        self.last_timestamp = batch.timestamp;
    }

    /// Takes over what an append has brought: its batches come after those that are remembered.
    pub(super) fn merge(&mut self, update: Self) {
        self.set_epoch(update.epoch);
        for batch in update.batches {
            self.add_batch(update.epoch, batch);
        }
        self.coordinator_epoch = update.coordinator_epoch;
        self.transaction_first_offset = update.transaction_first_offset;
        self.last_timestamp = update.last_timestamp;
    }
}
