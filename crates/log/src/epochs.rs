//! The leader epochs of a log and where each begins.

use crate::format::EpochEntry;
use ottla_types::{LeaderEpoch, Offset};

/// Leader epochs with their start offsets, both rising. Pure; who changes it writes `leader-epoch-checkpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochs {
    /// The entries of a checkpoint file, which `parse_epoch_checkpoint` has found in order.
    pub fn new(entries: Vec<EpochEntry>) -> Self {
        Self { entries }
    }

    /// All entries, the oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The epoch that is being written.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The oldest epoch that still has records.
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// Whether an append at `start_offset` in `epoch` would change anything.
    pub fn must_assign(&self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        epoch.0 >= 0 && self.latest().is_none_or(|last| last.epoch != epoch || start_offset < last.start_offset)
    }

    /// Notes that the records from `start_offset` on are of `epoch`. Entries that contradict it go: they are of a leader
    /// whose records were never written or have been truncated.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if !self.must_assign(epoch, start_offset) {
            return;
        }
        while self.latest().is_some_and(|last| last.epoch >= epoch || last.start_offset >= start_offset) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
    }

    /// Notes that a batch at `offset` is of `epoch`, which outweighs what is known: what contradicts it is of records that a
    /// crash has taken. What agrees with it stays, also an epoch's start before its first batch, since compaction may have
    /// removed the batches in between.
    pub fn observe(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if epoch.0 < 0 || self.epoch_for(offset) == Some(epoch) {
            return;
        }
        self.entries.retain(|entry| entry.start_offset < offset && entry.epoch <= epoch);
        if self.latest().is_none_or(|last| last.epoch != epoch) {
            self.entries.push(EpochEntry { epoch, start_offset: offset });
        }
    }

    /// Whether these are the epochs of `earlier` and more after them.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.entries.starts_with(&earlier.entries)
    }

    /// Puts what comes before the first known epoch in front: the epochs of records that are there again after a crash, since
    /// the start of the log had not yet been moved beyond them on the disk.
    pub fn prepend(&mut self, earlier: Self) {
        if let (Some(last), Some(first)) = (earlier.latest(), self.entries.first())
            && last.epoch == first.epoch
        {
            self.entries.remove(0);
        }
        self.entries.splice(0..0, earlier.entries);
    }

    /// Drops the epochs that begin at or beyond the end of the log. Says whether there were any.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < end_offset);
        self.entries.len() != before
    }

    /// Drops the epochs that end before the start of the log; the one that goes on there then begins there. Says whether
    /// anything changed.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let passed = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(current) = passed.checked_sub(1) else { return false };
        if passed == 1 && self.entries.first().is_some_and(|entry| entry.start_offset == start_offset) {
            return false;
        }
        self.entries.drain(..current);
        if let Some(first) = self.entries.first_mut() {
            first.start_offset = start_offset;
        }
        true
    }

    /// The epoch and end offset that answer "where does `epoch` end here?" (KIP-101, KIP-279): the greatest epoch not
    /// above the asked one, and the start of the epoch after it. `None` when nothing is known of it.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> Option<(LeaderEpoch, Offset)> {
        if epoch == LeaderEpoch::NONE {
            return None;
        }
        // The latest epoch is still being written, so that it ends where the log does.
        if self.latest().is_some_and(|last| last.epoch == epoch) {
            return Some((epoch, log_end_offset));
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(higher)?.start_offset;
        // An epoch older than all that are known: its records are gone, and the log begins with a later one.
        let found = higher.checked_sub(1).and_then(|index| self.entries.get(index)).map_or(epoch, |entry| entry.epoch);
        Some((found, end))
    }

    /// The epoch in which the record at `offset` was appended.
    pub fn epoch_for(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).and_then(|index| self.entries.get(index)).map(|entry| entry.epoch)
    }

    /// The greatest epoch below `epoch`.
    pub fn previous(&self, epoch: LeaderEpoch) -> Option<EpochEntry> {
        let index = self.entries.partition_point(|entry| entry.epoch < epoch);
        index.checked_sub(1).and_then(|index| self.entries.get(index)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let entry =
            |(epoch, offset): &(i32, i64)| EpochEntry { epoch: LeaderEpoch(*epoch), start_offset: Offset(*offset) };
        LeaderEpochs::new(entries.iter().map(entry).collect())
    }

    #[test]
    fn an_epoch_is_noted_once_with_its_first_offset() {
        let mut cache = LeaderEpochs::default();
        cache.assign(LeaderEpoch(0), Offset(0));
        cache.assign(LeaderEpoch(0), Offset(10));
        cache.assign(LeaderEpoch(2), Offset(20));
        assert_eq!(cache, epochs(&[(0, 0), (2, 20)]));
    }

    #[test]
    fn an_epoch_that_contradicts_later_ones_removes_them() {
        let mut cache = epochs(&[(0, 0), (2, 20), (3, 30)]);
        cache.assign(LeaderEpoch(4), Offset(20));
        assert_eq!(cache, epochs(&[(0, 0), (4, 20)]));
    }

    fn observed(known: &[(i32, i64)], batches: &[(i32, i64)]) -> LeaderEpochs {
        let mut cache = epochs(known);
        batches.iter().for_each(|(epoch, offset)| cache.observe(LeaderEpoch(*epoch), Offset(*offset)));
        cache
    }

    #[test]
    fn batches_that_agree_change_nothing() {
        let known = [(0, 0), (3, 100)];
        assert_eq!(observed(&known, &[(0, 0), (0, 90), (3, 120)]), epochs(&known));
        assert_eq!(observed(&known, &[(-1, 0)]), epochs(&known), "an old format has no epochs");
    }

    #[test]
    fn batches_of_epochs_that_are_not_known_add_them() {
        assert_eq!(observed(&[(0, 0)], &[(0, 40), (2, 50), (2, 60), (4, 100)]), epochs(&[(0, 0), (2, 50), (4, 100)]));
        assert_eq!(observed(&[], &[(1, 7)]), epochs(&[(1, 7)]));
    }

    #[test]
    fn batches_outweigh_epochs_whose_records_a_crash_has_taken() {
        // The records of epoch 3 are gone; those of epoch 0 went on.
        assert_eq!(observed(&[(0, 0), (3, 100)], &[(0, 80), (0, 100), (4, 110)]), epochs(&[(0, 0), (4, 110)]));
        assert_eq!(observed(&[(0, 0), (3, 100)], &[(0, 95), (0, 105)]), epochs(&[(0, 0)]));
        assert_eq!(observed(&[(0, 0), (2, 50), (4, 100)], &[(3, 50), (4, 100)]), epochs(&[(0, 0), (3, 50), (4, 100)]));
    }

    #[test]
    fn epochs_continue_those_that_they_begin_with() {
        let known = epochs(&[(0, 0), (3, 100)]);
        assert!(known.continues(&known));
        assert!(known.continues(&epochs(&[(0, 0)])));
        assert!(known.continues(&epochs(&[])));
        assert!(!epochs(&[(0, 0)]).continues(&known));
        assert!(!epochs(&[(0, 0), (4, 100)]).continues(&known));
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next() {
        let cache = epochs(&[(1, 10), (3, 30), (5, 50)]);
        let ask = |epoch| cache.end_offset_for(LeaderEpoch(epoch), Offset(99)).map(|(epoch, end)| (epoch.0, end.0));
        assert_eq!(ask(-1), None);
        assert_eq!(ask(0), Some((0, 10)));
        assert_eq!(ask(1), Some((1, 30)));
        assert_eq!(ask(2), Some((1, 30)));
        assert_eq!(ask(4), Some((3, 50)));
        assert_eq!(ask(5), Some((5, 99)));
        assert_eq!(ask(6), None);
    }

    #[test]
    fn truncation_keeps_the_epoch_of_the_first_and_the_last_record() {
        let mut cache = epochs(&[(1, 10), (3, 30), (5, 50)]);
        assert!(cache.truncate_from_end(Offset(50)));
        assert_eq!(cache, epochs(&[(1, 10), (3, 30)]));
        assert!(cache.truncate_from_start(Offset(20)));
        assert_eq!(cache, epochs(&[(1, 20), (3, 30)]));
        assert!(cache.truncate_from_start(Offset(30)));
        assert_eq!(cache, epochs(&[(3, 30)]));
        assert!(!cache.truncate_from_start(Offset(30)));
        assert!(!cache.truncate_from_start(Offset(5)));
    }

    #[test]
    fn the_epoch_of_an_offset_is_that_of_its_leader() {
        let cache = epochs(&[(1, 10), (3, 30)]);
        let ask = |offset| cache.epoch_for(Offset(offset)).map(|epoch| epoch.0);
        assert_eq!([9, 10, 29, 30, 1000].map(ask), [None, Some(1), Some(1), Some(3), Some(3)]);
    }
}
