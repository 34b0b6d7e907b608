use crate::dice::Dice;
use ottla_replication::{EpochEnd, LogView};
use ottla_types::{LeaderEpoch, Offset};

/// A record: who appended it in which epoch, and a hash of everything up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: i32,
    pub(crate) value: u64,
    pub(crate) hash: u64,
}

impl Record {
    pub(crate) fn after(previous: Option<&Self>, epoch: i32, value: u64) -> Self {
        let mut hash = previous.map_or(0xcbf2_9ce4_8422_2325, |record| record.hash);
        for part in [u64::from(epoch.unsigned_abs()), value] {
            hash = (hash ^ part).wrapping_mul(0x100_0000_01b3).rotate_left(17);
        }
        Self { epoch, value, hash }
    }
}

/// A log of records with leader epochs, of which a part is durable. Offsets begin at 0; what is before `start` is kept for
/// the checks, but nobody is given it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelLog {
    pub(crate) records: Vec<Record>,
    pub(crate) start: usize,
    pub(crate) high_watermark: usize,
    /// What is before is on the disk.
    pub(crate) synced: usize,
    /// Checkpoints of high watermark and start.
    pub(crate) durable_high_watermark: usize,
    pub(crate) durable_start: usize,
    /// Epochs and where they begin; the last may have no records, and is in memory only then.
    epochs: Vec<(i32, usize)>,
}

impl ModelLog {
    pub(crate) fn end(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn last(&self) -> Option<&Record> {
        self.records.last()
    }

    pub(crate) fn note_epoch(&mut self, epoch: i32) {
        if self.epochs.last().is_none_or(|last| last.0 < epoch) {
            let end = self.end();
            self.epochs.retain(|(_, start)| *start < end);
            self.epochs.push((epoch, end));
        }
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.note_epoch(record.epoch);
        self.records.push(record);
    }

    pub(crate) fn sync(&mut self) {
        self.synced = self.end();
    }

    pub(crate) fn checkpoint(&mut self) {
        self.durable_high_watermark = self.high_watermark;
        self.durable_start = self.start;
    }

    /// Cuts; what was durable beyond is so no more.
    pub(crate) fn truncate(&mut self, to: usize, keeps_empty_epochs: bool) {
        self.records.truncate(to);
        self.settle(keeps_empty_epochs);
    }

    /// Keeps nothing; goes on at `start`, of whose predecessors the new leader knows.
    pub(crate) fn restart_at(&mut self, before: &[Record]) {
        self.records = before.to_vec();
        self.epochs.clear();
        let end = self.end();
        (self.start, self.high_watermark, self.synced) = (end, end, end);
        self.checkpoint();
    }

    fn settle(&mut self, keeps_empty_epochs: bool) {
        let end = self.end();
        self.synced = self.synced.min(end);
        self.high_watermark = self.high_watermark.min(end);
        self.durable_high_watermark = self.durable_high_watermark.min(end);
        self.start = self.start.min(end);
        self.durable_start = self.durable_start.min(end);
        self.epochs.retain(|(_, start)| *start < end || (keeps_empty_epochs && *start == end));
    }

    /// The process ends at once. With the power go unsynced records, but the kernel may have written some.
    pub(crate) fn crash(&mut self, loses_power: bool, dice: &mut Dice) {
        if loses_power {
            let unsynced = (self.end() - self.synced) as u64;
            let written = usize::try_from(dice.below(unsynced + 1)).unwrap();
            self.records.truncate(self.synced + written);
        }
        self.high_watermark = self.durable_high_watermark;
        self.start = self.durable_start;
        self.settle(false);
        self.synced = self.end();
        self.high_watermark = self.high_watermark.max(self.start);
    }
}

impl LogView for ModelLog {
    fn log_start(&self) -> Offset {
        offset(self.start)
    }

    fn log_end(&self) -> Offset {
        offset(self.end())
    }

    fn high_watermark(&self) -> Offset {
        offset(self.high_watermark)
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.last().map(|(epoch, _)| LeaderEpoch(*epoch))
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        if self.latest_epoch() == Some(epoch) {
            return Some(EpochEnd { epoch, end_offset: self.log_end() });
        }
        let after = self.epochs.iter().position(|(known, _)| *known > epoch.0)?;
        let found = after.checked_sub(1).map_or(epoch, |index| LeaderEpoch(self.epochs[index].0));
        Some(EpochEnd { epoch: found, end_offset: offset(self.epochs[after].1) })
    }
}

pub(crate) fn offset(index: usize) -> Offset {
    Offset(i64::try_from(index).unwrap())
}

pub(crate) fn index(offset: Offset) -> usize {
    usize::try_from(offset.0).unwrap()
}
