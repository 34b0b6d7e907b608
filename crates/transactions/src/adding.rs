//! Partitions become part of a transaction, and brokers ask whether they are.

use crate::{AddPartitions, Added, Effects, Transaction, TransactionCoordinator, Verified, VerifyPartitions};
use ottla_protocol::ErrorCode;
use ottla_types::{ProducerEpoch, ProducerId, Timestamp};

impl TransactionCoordinator {
    pub(crate) fn add_partitions(&mut self, now: Timestamp, request: &AddPartitions, effects: &mut Effects) -> Added {
        let known = match self.known(&request.transactional_id) {
            Ok(known) => known,
            Err(code) => return code,
        };
        // First of all, since the producer may have got a new id with the end that is being carried out.
        if known.state.is_prepared() {
            return ErrorCode::ConcurrentTransactions;
        }
        if let Err(code) = check_producer(known, request.producer_id, request.producer_epoch) {
            return code;
        }
        let is_ongoing = !known.state.is_idle();
        if is_ongoing && request.partitions.is_subset(&known.partitions) {
            return ErrorCode::None;
        }
        let next = known.with_partitions(now, &request.partitions, request.client_version);
        effects.records.push(self.record(&request.transactional_id, Some(next)));
        ErrorCode::None
    }

    pub(crate) fn verify_partitions(&self, request: VerifyPartitions) -> Result<Verified, ErrorCode> {
        let known = self.known(&request.transactional_id)?;
        check_producer(known, request.producer_id, request.producer_epoch)?;
        if known.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let verified = request.partitions.into_iter().map(|partition| {
            let is_part = known.partitions.contains(&partition);
            (partition, if is_part { ErrorCode::None } else { ErrorCode::TransactionAbortable })
        });
        Ok(verified.collect())
    }

    /// What is known of the transactional id in a request.
    pub(crate) fn known(&self, transactional_id: &str) -> Result<&Transaction, ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.transactions.get(transactional_id).ok_or(ErrorCode::InvalidProducerIdMapping)
    }
}

/// Refuses who is not the producer.
pub(crate) fn check_producer(
    known: &Transaction,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
) -> Result<(), ErrorCode> {
    if known.producer_id != producer_id {
        Err(ErrorCode::InvalidProducerIdMapping)
    } else if known.producer_epoch != producer_epoch {
        Err(ErrorCode::ProducerFenced)
    } else {
        Ok(())
    }
}
