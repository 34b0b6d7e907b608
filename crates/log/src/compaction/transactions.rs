use crate::format::AbortedTransaction;
use ottla_records::{ControlRecord, Decompressor, EndTransactionMarker, RecordBatchView, RecordsError};
use ottla_types::{Offset, ProducerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which records belong to transactions that were aborted, and which markers have outlived the records that they end. To
/// be told of every batch in the order of the log.
pub(crate) struct CleanedTransactions {
    /// By their first offsets.
    aborted: VecDeque<AbortedTransaction>,
    ongoing_aborted: BTreeMap<ProducerId, Aborted>,
    ongoing_committed: BTreeSet<ProducerId>,
    /// What the transaction index of the segment that is written has to have.
    index: Vec<AbortedTransaction>,
}

struct Aborted {
    transaction: AbortedTransaction,
    /// Whether records of it are still there.
    has_records: bool,
}

impl CleanedTransactions {
    pub(crate) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self {
            aborted: aborted.into(),
            ongoing_aborted: BTreeMap::new(),
            ongoing_committed: BTreeSet::new(),
            index: Vec::new(),
        }
    }

    /// Takes a batch in, and says whether its records may go: those of aborted transactions, and markers of transactions
    /// without records.
    pub(crate) fn may_go(
        &mut self,
        batch: RecordBatchView<'_>,
        decompressor: &mut Decompressor,
    ) -> Result<bool, RecordsError> {
        self.begin_up_to(batch.last_offset());
        if batch.is_control() {
            return self.marker(batch, decompressor);
        }
        if !batch.is_transactional() {
            return Ok(false);
        }
        let producer = batch.producer_id();
        match self.ongoing_aborted.get_mut(&producer) {
            Some(aborted) => {
                aborted.has_records = true;
                Ok(true)
            }
            None => {
                self.ongoing_committed.insert(producer);
                Ok(false)
            }
        }
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(transaction) = self.aborted.pop_front_if(|next| next.first_offset <= offset) {
            let aborted = Aborted { transaction, has_records: false };
            self.ongoing_aborted.entry(transaction.producer_id).or_insert(aborted);
        }
    }

    fn marker(&mut self, batch: RecordBatchView<'_>, decompressor: &mut Decompressor) -> Result<bool, RecordsError> {
        let producer = batch.producer_id();
        // One that was emptied before is of no use to anyone but its producer.
        let Some(record) = batch.records(decompressor)?.next() else { return Ok(true) };
        let marker = ControlRecord::parse(&record?).ok().and_then(|control| control.end_transaction().ok().flatten());
        Ok(match marker {
            Some(EndTransactionMarker { is_commit: true, .. }) => !self.ongoing_committed.remove(&producer),
            Some(EndTransactionMarker { is_commit: false, .. }) => match self.ongoing_aborted.remove(&producer) {
                Some(aborted) if aborted.has_records => {
                    self.index.push(aborted.transaction);
                    false
                }
                _ => true,
            },
            None => false,
        })
    }

    /// The entries for the transaction index of the segment that was written.
    pub(crate) fn take_index(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.index)
    }
}
