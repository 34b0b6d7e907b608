use crate::model_log::{ModelLog, Record};
use std::collections::BTreeMap;

/// What went wrong.
pub(crate) type Violation = String;

/// What nobody in the cluster can see: all that was ever appended, committed and acknowledged.
#[derive(Default)]
pub(crate) struct Oracle {
    /// The committed records, as the first leader committed them.
    pub(crate) committed: Vec<Record>,
    /// Acknowledged values by offset.
    pub(crate) acknowledged: BTreeMap<usize, u64>,
    /// How many there were.
    pub(crate) acknowledgements: u64,
    /// What the leader of an epoch appended at an offset.
    appended: BTreeMap<(i32, usize), Record>,
    /// The leader of each epoch.
    leaders: BTreeMap<i32, (i32, u64)>,
    /// Whether a crash or an election that goes beyond what is promised has made loss legal.
    pub(crate) is_loss_legal: bool,
}

impl Oracle {
    /// **one-leader-an-epoch**
    pub(crate) fn leads(&mut self, broker: i32, life: u64, epoch: i32) -> Result<(), Violation> {
        match self.leaders.insert(epoch, (broker, life)) {
            Some(known) if known != (broker, life) => {
                Err(format!("one-leader-an-epoch: {known:?} and {broker} in life {life} lead in epoch {epoch}"))
            }
            _ => Ok(()),
        }
    }

    /// **log-matching**, for what a leader appends.
    pub(crate) fn appended(&mut self, epoch: i32, offset: usize, record: Record) -> Result<(), Violation> {
        match self.appended.insert((epoch, offset), record) {
            Some(known) if known != record => {
                Err(format!("log-matching: {offset} of epoch {epoch} was appended twice"))
            }
            _ => Ok(()),
        }
    }

    /// **log-matching**, for what a follower appends: the hash covers all that comes before.
    pub(crate) fn copied(&self, broker: i32, offset: usize, record: Record) -> Result<(), Violation> {
        if self.appended.get(&(record.epoch, offset)) == Some(&record) {
            return Ok(());
        }
        Err(format!("log-matching: {broker} has at {offset} a record of epoch {} that follows on others", record.epoch))
    }

    /// **high-watermark-justified** and **no-zombie-commit**: what anybody takes for committed is what was committed first.
    pub(crate) fn commits(&mut self, broker: i32, log: &ModelLog, is_leader: bool) -> Result<(), Violation> {
        let high_watermark = log.high_watermark;
        if high_watermark > log.end() {
            return Err(format!("high-watermark-justified: {broker} has {high_watermark} beyond {}", log.end()));
        }
        if high_watermark > self.committed.len() {
            if !is_leader {
                return self.legal(format!("high-watermark-justified: {broker} has {high_watermark}, no leader had"));
            }
            let known = self.committed.len();
            if !self.agrees(log, known) {
                self.legal(format!("no-zombie-commit: {broker} commits {high_watermark} on other records"))?;
                self.committed.clear();
            }
            let from = self.committed.len();
            self.committed.extend_from_slice(&log.records[from..high_watermark]);
        } else if !self.agrees(log, high_watermark) {
            return self.legal(format!("log-matching: {broker} takes others than the committed records for committed"));
        }
        Ok(())
    }

    /// Whether a log has the first so many committed records, as far as it does not begin later. What it may have before its
    /// start nobody can compare any more, and nobody is given.
    pub(crate) fn agrees(&self, log: &ModelLog, count: usize) -> bool {
        count <= log.start || log.records.get(count - 1) == self.committed.get(count - 1)
    }

    /// **no-acked-loss** begins here.
    pub(crate) fn acknowledges(&mut self, broker: i32, from: usize, values: &[u64]) -> Result<(), Violation> {
        for (offset, value) in (from..).zip(values) {
            match self.committed.get(offset) {
                None => self.legal(format!("no-acked-loss: {broker} acknowledges {offset}, which is not committed"))?,
                Some(record) if record.value != *value => {
                    self.legal(format!(
                        "no-zombie-commit: {broker} acknowledges {offset}, where another is committed"
                    ))?;
                }
                Some(_) => {}
            }
            self.acknowledged.insert(offset, *value);
            self.acknowledgements += 1;
        }
        Ok(())
    }

    fn legal(&self, violation: Violation) -> Result<(), Violation> {
        if self.is_loss_legal { Ok(()) } else { Err(violation) }
    }
}
