use crate::{ControlRecord, KraftVersion, OffsetAndEpoch, SnapshotId, VoterSet};
use ottla_types::{LeaderEpoch, Offset};
use std::collections::BTreeMap;
use thiserror::Error;

/// What the quorum must know of a batch of records.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchSummary {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// The leader epoch in which it was written.
    pub epoch: LeaderEpoch,
    /// Its control records with their offsets; empty for a batch of data.
    pub control: Vec<(Offset, ControlRecord)>,
}

/// A batch that can't follow on the end of a log.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BadBatch {
    /// It leaves a gap, or overlaps.
    #[error("a batch from offset {base} to {last} does not follow on the log's end {end}")]
    Offset {
        /// Its first offset.
        base: Offset,
        /// Its last offset.
        last: Offset,
        /// The end of the log.
        end: Offset,
    },
    /// Its epoch is older than that of the batch before, or newer than the leader's.
    #[error("a batch of epoch {epoch} can't follow one of epoch {before} while epoch {current} is led")]
    Epoch {
        /// Its epoch.
        epoch: LeaderEpoch,
        /// The epoch of the log's last batch.
        before: LeaderEpoch,
        /// The newest epoch.
        current: LeaderEpoch,
    },
    /// It changes more than one voter, so that two majorities could decide.
    #[error("the voters at offset {0} have no majority in common with those before")]
    Voters(Offset),
}

/// How a follower's log fits the leader's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// It is a prefix.
    Prefix,
    /// It has other records; at most this much can be common.
    Diverging(OffsetAndEpoch),
    /// What it needs next is no longer in the log, but in this snapshot.
    Snapshot(SnapshotId),
}

/// What a replica knows of its own log without reading it: where it starts and ends, which epoch begins where, how much is
/// durable, the snapshots, and the voters with the offsets at which they were stated.
///
/// Invariants: epochs and their first offsets ascend; `durable` is never beyond `end`; voters and versions are those of
/// the newest snapshot and of every control record behind it, so that a truncation brings back what was before.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LogState {
    start: OffsetAndEpoch,
    epochs: Vec<(LeaderEpoch, Offset)>,
    end: Offset,
    durable: Offset,
    /// The sizes in bytes of the snapshots that are there.
    snapshots: BTreeMap<SnapshotId, u64>,
    voters: Vec<(Offset, VoterSet)>,
    versions: Vec<(Offset, KraftVersion)>,
}

impl LogState {
    /// A log that starts with a snapshot of so many bytes and has nothing behind it yet.
    pub fn from_snapshot(id: SnapshotId, size: u64, version: KraftVersion, voters: Option<VoterSet>) -> Self {
        let last = Offset(id.0.offset.0.saturating_sub(1));
        Self {
            start: id.0,
            epochs: Vec::new(),
            end: id.0.offset,
            durable: id.0.offset,
            snapshots: BTreeMap::from([(id, size)]),
            voters: voters.into_iter().map(|voters| (last, voters)).collect(),
            versions: vec![(last, version)],
        }
    }

    /// Takes note of an older snapshot, or of one further on, that is also there.
    pub fn note_snapshot(&mut self, id: SnapshotId, size: u64) {
        self.snapshots.insert(id, size);
    }

    /// Takes note of a durable batch that was found behind the snapshot when the node started.
    ///
    /// # Errors
    /// When the batch does not follow on what was noted before.
    pub fn note_durable(&mut self, batch: &BatchSummary) -> Result<(), BadBatch> {
        // The snapshot may end within a batch.
        let first = batch.base_offset <= self.end && self.epochs.is_empty() && batch.last_offset >= self.end;
        let batch = BatchSummary { base_offset: if first { self.end } else { batch.base_offset }, ..batch.clone() };
        self.append(&batch, LeaderEpoch(i32::MAX))?;
        self.durable = self.end;
        Ok(())
    }

    /// Takes note of a batch that is about to be appended while `current` is the newest epoch.
    pub(crate) fn append(&mut self, batch: &BatchSummary, current: LeaderEpoch) -> Result<(), BadBatch> {
        let (base, last) = (batch.base_offset, batch.last_offset);
        if base != self.end || last < base || last.0 == i64::MAX {
            return Err(BadBatch::Offset { base, last, end: self.end });
        }
        let before = self.end().epoch;
        if batch.epoch < before || batch.epoch > current {
            return Err(BadBatch::Epoch { epoch: batch.epoch, before, current });
        }
        self.check_voters(batch)?;
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < batch.epoch) {
            self.epochs.push((batch.epoch, base));
        }
        for (offset, record) in &batch.control {
            match record {
                ControlRecord::Voters(record) => self.voters.push((*offset, VoterSet::from_record(record))),
                ControlRecord::KraftVersion(record) => {
                    // A level of a later release is no reason to go back to an earlier rule.
                    let version = KraftVersion::from_level(record.kraft_version).unwrap_or(KraftVersion::Dynamic);
                    self.versions.push((*offset, version));
                }
                _ => {}
            }
        }
        self.end = last.next();
        Ok(())
    }

    /// The sets of the log follow one from the other. What was configured or formatted stands on each node for itself, and
    /// nobody has seen to it that it is the same everywhere.
    fn check_voters(&self, batch: &BatchSummary) -> Result<(), BadBatch> {
        let mut known = self.voters.last().filter(|(offset, _)| *offset >= Offset(0)).map(|(_, set)| set.clone());
        for (offset, record) in &batch.control {
            if let ControlRecord::Voters(record) = record {
                let next = VoterSet::from_record(record);
                if known.as_ref().is_some_and(|known| !known.overlaps(&next)) {
                    return Err(BadBatch::Voters(*offset));
                }
                known = Some(next);
            }
        }
        Ok(())
    }

    /// The end of the log with the epoch of its last record.
    pub fn end(&self) -> OffsetAndEpoch {
        OffsetAndEpoch { offset: self.end, epoch: self.epochs.last().map_or(self.start.epoch, |(epoch, _)| *epoch) }
    }

    /// The end of what a crash can't take away.
    pub fn durable_end(&self) -> OffsetAndEpoch {
        OffsetAndEpoch { offset: self.durable, epoch: self.epoch_before(self.durable) }
    }

    /// The offset of the first record that is there, with the epoch of the one before.
    pub fn start(&self) -> OffsetAndEpoch {
        self.start
    }

    /// The newest snapshot.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.last_key_value().map(|(id, _)| *id)
    }

    /// The size in bytes of a snapshot that is there.
    pub(crate) fn snapshot_size(&self, id: SnapshotId) -> Option<u64> {
        self.snapshots.get(&id).copied()
    }

    /// The newest voters of the log and where they stand; -1 for those that formatting left behind.
    pub fn voters_entry(&self) -> Option<(Offset, &VoterSet)> {
        self.voters.last().map(|(offset, voters)| (*offset, voters))
    }

    /// The newest level of `kraft.version`.
    pub fn version(&self) -> KraftVersion {
        self.versions.last().map_or(KraftVersion::Static, |(_, version)| *version)
    }

    /// The voters as a snapshot that ends at `end` must state them.
    pub fn voters_below(&self, end: Offset) -> Option<&VoterSet> {
        self.voters.iter().rev().find(|(offset, _)| *offset < end).map(|(_, voters)| voters)
    }

    /// The level of `kraft.version` as a snapshot that ends at `end` must state it.
    pub fn version_below(&self, end: Offset) -> KraftVersion {
        let found = self.versions.iter().rev().find(|(offset, _)| *offset < end);
        found.map_or(KraftVersion::Static, |(_, version)| *version)
    }

    /// The epoch of the record before an offset.
    fn epoch_before(&self, offset: Offset) -> LeaderEpoch {
        let found = self.epochs.iter().rev().find(|(_, first)| *first < offset);
        found.map_or(self.start.epoch, |(epoch, _)| *epoch)
    }

    /// The newest epoch that is not beyond `epoch`, and where it ends.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch {
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let offset = self.epochs.get(after).map_or(self.end, |(_, first)| *first);
        let known = after.checked_sub(1).and_then(|i| self.epochs.get(i));
        OffsetAndEpoch { offset, epoch: known.map_or(self.start.epoch.min(epoch), |(epoch, _)| *epoch) }
    }

    /// How a log that ends at `offset` with a record of `epoch` fits this one.
    pub(crate) fn fit(&self, offset: Offset, epoch: LeaderEpoch) -> Fit {
        let latest = self.latest_snapshot().filter(|id| *id != SnapshotId::BOOTSTRAP);
        if let Some(latest) = latest {
            let is_gone = offset < self.start.offset
                || (offset == self.start.offset && epoch != self.start.epoch)
                || epoch < self.start.epoch;
            // For a replica with nothing at all, the snapshot is the shorter way, though the log may reach back further.
            if is_gone || offset == Offset(0) {
                return Fit::Snapshot(latest);
            }
        }
        if offset == Offset(0) {
            return Fit::Prefix;
        }
        let end = self.end_of_epoch(epoch);
        if end.epoch != epoch || end.offset < offset { Fit::Diverging(end) } else { Fit::Prefix }
    }

    /// Where this log must be cut, given how much the leader says can be common. If this log has the leader's epoch, the
    /// shorter of both ends; if not, none of the epochs after it, and what comes before is compared next time.
    pub(crate) fn truncation(&self, common: OffsetAndEpoch) -> Offset {
        if common.epoch == LeaderEpoch(0) {
            return common.offset.min(self.end);
        }
        let local = self.end_of_epoch(common.epoch);
        if local.epoch == common.epoch { local.offset.min(common.offset) } else { local.offset }
    }

    /// Forgets everything from `end` on.
    pub(crate) fn truncate(&mut self, end: Offset) {
        self.end = self.end.min(end);
        self.durable = self.durable.min(end);
        self.epochs.retain(|(_, first)| *first < end);
        self.voters.retain(|(offset, _)| *offset < end);
        self.versions.retain(|(offset, _)| *offset < end);
    }

    /// Takes note of what was made durable. Returns whether that is news.
    pub(crate) fn flushed(&mut self, end: Offset) -> bool {
        let end = end.min(self.end);
        let moved = end > self.durable;
        self.durable = self.durable.max(end);
        moved
    }

    /// A snapshot took the place of the whole log. Older snapshots are of no use any more.
    pub(crate) fn install(&mut self, id: SnapshotId, size: u64, version: KraftVersion, voters: Option<VoterSet>) {
        *self = Self::from_snapshot(id, size, version, voters);
    }

    /// A snapshot was made of the image at its offset: what the voters were before is in it.
    pub(crate) fn snapshot_created(&mut self, id: SnapshotId, size: u64) {
        self.snapshots.insert(id, size);
        keep_from(&mut self.voters, id.0.offset);
        keep_from(&mut self.versions, id.0.offset);
    }

    /// Everything before this snapshot was deleted.
    pub(crate) fn prefix_deleted(&mut self, id: SnapshotId) {
        if id.0.offset <= self.start.offset || id.0.offset > self.end {
            return;
        }
        self.start = id.0;
        self.snapshots.retain(|snapshot, _| *snapshot >= id);
        let first = self.epochs.partition_point(|(_, first)| *first <= id.0.offset);
        self.epochs.drain(..first.saturating_sub(1));
        if let Some((_, offset)) = self.epochs.first_mut() {
            *offset = (*offset).max(id.0.offset);
        }
    }
}

/// Drops all entries but the last one before `end` and those after.
fn keep_from<T>(entries: &mut Vec<(Offset, T)>, end: Offset) {
    let before = entries.partition_point(|(offset, _)| *offset < end);
    entries.drain(..before.saturating_sub(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReplicaKey, Voter};
    use ottla_types::NodeId;

    fn end(offset: i64, epoch: i32) -> OffsetAndEpoch {
        OffsetAndEpoch { offset: Offset(offset), epoch: LeaderEpoch(epoch) }
    }

    fn batch(base: i64, last: i64, epoch: i32) -> BatchSummary {
        let epoch = LeaderEpoch(epoch);
        BatchSummary { base_offset: Offset(base), last_offset: Offset(last), epoch, control: Vec::new() }
    }

    fn log(batches: &[(i64, i64, i32)]) -> LogState {
        let mut log = LogState::default();
        for (base, last, epoch) in batches {
            log.note_durable(&batch(*base, *last, *epoch)).unwrap();
        }
        log
    }

    #[test]
    fn a_log_with_other_epochs_diverges_where_the_common_one_ends() {
        let leader = log(&[(0, 9, 1), (10, 14, 3), (15, 19, 5)]);
        assert_eq!(leader.fit(Offset(20), LeaderEpoch(5)), Fit::Prefix);
        assert_eq!(leader.fit(Offset(12), LeaderEpoch(3)), Fit::Prefix);
        assert_eq!(leader.fit(Offset(16), LeaderEpoch(3)), Fit::Diverging(end(15, 3)));
        assert_eq!(leader.fit(Offset(12), LeaderEpoch(2)), Fit::Diverging(end(10, 1)));
        assert_eq!(leader.fit(Offset(25), LeaderEpoch(4)), Fit::Diverging(end(15, 3)));
        assert_eq!(leader.fit(Offset(21), LeaderEpoch(5)), Fit::Diverging(end(20, 5)));
        assert_eq!(leader.fit(Offset(0), LeaderEpoch(0)), Fit::Prefix);
    }

    #[test]
    fn a_diverging_log_is_cut_to_what_can_be_common() {
        let follower = log(&[(0, 9, 1), (10, 19, 2), (20, 25, 4)]);
        assert_eq!(follower.truncation(end(15, 3)), Offset(20));
        assert_eq!(follower.truncation(end(12, 2)), Offset(12));
        assert_eq!(follower.truncation(end(30, 2)), Offset(20));
        assert_eq!(follower.truncation(end(0, 0)), Offset(0));
    }

    #[test]
    fn what_lies_before_the_log_start_is_fetched_as_a_snapshot() {
        let id = SnapshotId(end(10, 2));
        let mut leader = LogState::from_snapshot(id, 99, KraftVersion::Static, None);
        leader.append(&batch(10, 14, 3), LeaderEpoch(3)).unwrap();
        assert_eq!(leader.fit(Offset(9), LeaderEpoch(2)), Fit::Snapshot(id));
        assert_eq!(leader.fit(Offset(10), LeaderEpoch(1)), Fit::Snapshot(id));
        assert_eq!(leader.fit(Offset(12), LeaderEpoch(1)), Fit::Snapshot(id));
        assert_eq!(leader.fit(Offset(0), LeaderEpoch(0)), Fit::Snapshot(id));
        assert_eq!(leader.fit(Offset(10), LeaderEpoch(2)), Fit::Prefix);
        assert_eq!(leader.fit(Offset(13), LeaderEpoch(2)), Fit::Diverging(end(10, 2)));
        assert_eq!((leader.end(), leader.durable_end()), (end(15, 3), end(10, 2)));
    }

    #[test]
    fn a_batch_that_leaves_a_gap_or_goes_back_in_epochs_is_refused() {
        let mut follower = log(&[(0, 9, 2)]);
        for bad in [batch(11, 12, 2), batch(9, 12, 2), batch(10, 9, 2), batch(10, 12, 1), batch(10, 12, 4)] {
            assert!(follower.append(&bad, LeaderEpoch(3)).is_err(), "{bad:?}");
        }
        assert_eq!(follower.append(&batch(10, 12, 3), LeaderEpoch(3)), Ok(()));
    }

    fn voters_at(offset: i64, ids: &[i32]) -> (Offset, ControlRecord) {
        let voter = |id: &i32| Voter::new(ReplicaKey { id: NodeId(*id), directory: None }, Vec::new());
        (Offset(offset), ControlRecord::Voters(VoterSet::new(ids.iter().map(voter)).to_record()))
    }

    fn ids(log: &LogState) -> Vec<i32> {
        log.voters_entry().map(|(_, set)| set.ids().map(|id| id.0).collect()).unwrap_or_default()
    }

    #[test]
    fn a_truncation_brings_back_the_voters_that_were_before() {
        let mut log = log(&[]);
        log.append(&BatchSummary { control: vec![voters_at(0, &[1, 2])], ..batch(0, 0, 1) }, LeaderEpoch(1)).unwrap();
        log.append(&BatchSummary { control: vec![voters_at(1, &[1, 2, 3])], ..batch(1, 1, 1) }, LeaderEpoch(1))
            .unwrap();
        assert_eq!(ids(&log), [1, 2, 3]);
        let jump = BatchSummary { control: vec![voters_at(2, &[4, 5, 6])], ..batch(2, 2, 1) };
        assert_eq!(log.append(&jump, LeaderEpoch(1)), Err(BadBatch::Voters(Offset(2))));
        assert_eq!(log.voters_below(Offset(1)).map(VoterSet::len), Some(2));
        log.truncate(Offset(1));
        assert_eq!(ids(&log), [1, 2]);
        log.truncate(Offset(0));
        assert_eq!(log.voters_entry(), None);
    }

    #[test]
    fn deleting_a_prefix_keeps_the_epoch_at_the_new_start() {
        let mut log = log(&[(0, 9, 1), (10, 19, 2), (20, 25, 4)]);
        let id = SnapshotId(end(15, 2));
        log.snapshot_created(id, 5);
        log.prefix_deleted(id);
        assert_eq!(log.start(), end(15, 2));
        assert_eq!(log.fit(Offset(16), LeaderEpoch(2)), Fit::Prefix);
        assert_eq!(log.fit(Offset(22), LeaderEpoch(3)), Fit::Diverging(end(20, 2)));
        assert_eq!(log.fit(Offset(14), LeaderEpoch(2)), Fit::Snapshot(id));
    }
}
