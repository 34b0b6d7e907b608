//! The markers of ending transactions: one in each partition, then the transaction is complete.

use crate::{
    Completion, Effects, Initialized, Markers, MarkersWritten, TimerKey, TransactionCoordinator, TransactionState,
};
use ottla_types::{Timestamp, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The markers of one transaction that are still to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    producer: Initialized,
    missing: BTreeSet<TopicPartition>,
}

impl TransactionCoordinator {
    /// The decided end of a transaction is committed: its markers may be written. With a producer only if the end is
    /// still that producer's.
    pub(crate) fn begin_markers(
        &mut self,
        now: Timestamp,
        transactional_id: &Arc<str>,
        producer: Option<Initialized>,
        effects: &mut Effects,
    ) {
        let Some(transaction) = self.transactions.get(transactional_id) else { return };
        let current = (transaction.producer_id, transaction.producer_epoch);
        if !transaction.state.is_prepared() || producer.is_some_and(|producer| producer != current) {
            return;
        }
        let sending = Sending { producer: current, missing: transaction.partitions.clone() };
        self.sending.insert(transactional_id.clone(), sending);
        self.go_on(now, transactional_id, effects);
    }

    /// After a load: the markers of all transactions whose end was decided are written, once more if need be.
    pub(crate) fn resume(&mut self, now: Timestamp, effects: &mut Effects) {
        let prepared = self.transactions.iter().filter(|(_, transaction)| transaction.state.is_prepared());
        let prepared: Vec<Arc<str>> = prepared.map(|(transactional_id, _)| transactional_id.clone()).collect();
        for transactional_id in prepared {
            // Each is its own step, so that a record of one is not mixed up with the markers of another.
            let nothing_missing =
                self.transactions.get(&transactional_id).is_some_and(|transaction| transaction.partitions.is_empty());
            if nothing_missing {
                effects.set_timer(TimerKey::Retry { transactional_id }, 0);
            } else {
                self.begin_markers(now, &transactional_id, None, effects);
            }
        }
    }

    pub(crate) fn markers_written(&mut self, now: Timestamp, written: &MarkersWritten, effects: &mut Effects) {
        let Some(sending) = self.sending.get_mut(&written.transactional_id) else { return };
        if sending.producer != (written.producer_id, written.producer_epoch) {
            return;
        }
        sending.missing.retain(|partition| !written.written.contains(partition));
        if sending.missing.is_empty() {
            self.go_on(now, &written.transactional_id, effects);
        } else {
            let key = TimerKey::Retry { transactional_id: written.transactional_id.clone() };
            effects.set_timer(key, self.settings.retry_backoff_ms);
        }
    }

    /// Something on the way to the end has failed, or has taken too long.
    pub(crate) fn retry(&mut self, now: Timestamp, transactional_id: &Arc<str>, effects: &mut Effects) {
        let Some(transaction) = self.transactions.get(transactional_id) else { return };
        if !transaction.state.is_prepared() {
            return;
        }
        if self.sending.contains_key(transactional_id) {
            return self.go_on(now, transactional_id, effects);
        }
        // Nobody has said that the decision is committed. The same record once more says it, when it is.
        effects.completion = Some(Completion::Prepared {
            transactional_id: transactional_id.clone(),
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
        });
        effects.records.push(self.record(transactional_id, Some(transaction.clone())));
    }

    /// Writes the markers that are missing, or completes the transaction.
    fn go_on(&mut self, now: Timestamp, transactional_id: &Arc<str>, effects: &mut Effects) {
        let (Some(transaction), Some(sending)) =
            (self.transactions.get(transactional_id), self.sending.get(transactional_id))
        else {
            return;
        };
        if sending.missing.is_empty() {
            effects.completion = Some(Completion::Completed { transactional_id: transactional_id.clone() });
            effects.records.push(self.record(transactional_id, Some(transaction.completed(now))));
            return;
        }
        effects.markers.push(Markers {
            transactional_id: transactional_id.clone(),
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
            commit: transaction.state == TransactionState::PrepareCommit,
            version: transaction.client_version,
            partitions: sending.missing.clone(),
        });
    }
}
