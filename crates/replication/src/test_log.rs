//! A log for tests: its bounds and its leader epochs, with the rules of a real one.

use crate::log_view::{EpochEnd, LogView};
use ottla_types::{LeaderEpoch, Offset};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestLog {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) high_watermark: i64,
    /// Epochs and where they begin.
    pub(crate) epochs: Vec<(i32, i64)>,
}

impl TestLog {
    pub(crate) fn new(epochs: &[(i32, i64)], end: i64) -> Self {
        Self { start: 0, end, high_watermark: 0, epochs: epochs.to_vec() }
    }

    pub(crate) fn append(&mut self, epoch: i32, records: i64) {
        if self.epochs.last().is_none_or(|last| last.0 != epoch) {
            self.epochs.push((epoch, self.end));
        }
        self.end += records;
    }

    pub(crate) fn truncate(&mut self, to: i64) {
        self.end = self.end.min(to);
        self.high_watermark = self.high_watermark.min(self.end);
        self.epochs.retain(|(_, start)| *start < self.end);
    }
}

impl LogView for TestLog {
    fn log_start(&self) -> Offset {
        Offset(self.start)
    }

    fn log_end(&self) -> Offset {
        Offset(self.end)
    }

    fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark)
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.last().map(|(epoch, _)| LeaderEpoch(*epoch))
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        if self.latest_epoch() == Some(epoch) {
            return Some(EpochEnd { epoch, end_offset: Offset(self.end) });
        }
        let after = self.epochs.iter().position(|(known, _)| *known > epoch.0)?;
        let found = after.checked_sub(1).map_or(epoch, |index| LeaderEpoch(self.epochs[index].0));
        Some(EpochEnd { epoch: found, end_offset: Offset(self.epochs[after].1) })
    }
}
