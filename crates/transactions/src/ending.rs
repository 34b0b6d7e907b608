//! EndTxn, and the ends that nobody asks for: fencing and timeouts.

use crate::adding::check_producer;
use crate::initializing::Refusal;
use crate::{
    Completion, Effects, EndTransaction, Initialized, Response, TimedOut, TimerKey, Transaction,
    TransactionCoordinator, TransactionState,
};
use ottla_protocol::ErrorCode;
use ottla_types::{ProducerId, Timestamp};
use std::sync::Arc;

/// What the end of a transaction comes to.
enum End {
    /// It has been carried out already: the answer once more.
    Repeated,
    /// This is to be written.
    Prepared(Transaction),
}

impl TransactionCoordinator {
    pub(crate) fn end_transaction(
        &mut self,
        now: Timestamp,
        request: &EndTransaction,
        effects: &mut Effects,
    ) -> Response {
        match self.try_end(now, request, effects) {
            Ok(initialized) => Response::EndTransaction(Ok(initialized)),
            Err(Refusal::Error(code)) => Response::EndTransaction(Err(code)),
            Err(Refusal::NeedsProducerId) => Response::NeedsProducerId,
        }
    }

    fn try_end(
        &mut self,
        now: Timestamp,
        request: &EndTransaction,
        effects: &mut Effects,
    ) -> Result<Initialized, Refusal> {
        let known = self.known(&request.transactional_id)?;
        let end = if request.client_version.bumps_epoch() {
            end_v2(known, now, request)?
        } else {
            end_v1(known, now, request)?
        };
        match end {
            End::Repeated => Ok((known.producer_id, known.producer_epoch)),
            End::Prepared(prepared) => {
                // What the producer goes on with is what the markers will make of it.
                let completed = prepared.completed(now);
                self.prepare(&request.transactional_id, prepared, effects);
                Ok((completed.producer_id, completed.producer_epoch))
            }
        }
    }

    /// Aborts the open transaction of a producer that is replaced or too slow. Its epoch is bumped, so that it finds
    /// out.
    pub(crate) fn fence(
        &mut self,
        now: Timestamp,
        transactional_id: &Arc<str>,
        spare_producer_id: Option<ProducerId>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(known) = self.transactions.get(transactional_id) else { return Ok(()) };
        let prepared = if self.settings.version.bumps_epoch() {
            let next_producer_id = producer_id_after(known, spare_producer_id)?;
            known.prepared_with_bump(now, TransactionState::PrepareAbort, next_producer_id)
        } else {
            let mut fenced = known.clone();
            fenced.producer_epoch = known.bumped_epoch();
            fenced.last_producer_epoch = ottla_types::ProducerEpoch::NONE;
            fenced.prepared(now, TransactionState::PrepareAbort)
        };
        self.prepare(transactional_id, prepared, effects);
        Ok(())
    }

    fn prepare(&self, transactional_id: &Arc<str>, prepared: Transaction, effects: &mut Effects) {
        effects.completion = Some(Completion::Prepared {
            transactional_id: transactional_id.clone(),
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
        });
        effects.records.push(self.record(transactional_id, Some(prepared)));
    }

    /// Finds the transactions that last longer than their producer allows. The clocks of the brokers decide.
    pub(crate) fn find_timed_out(&self, now: Timestamp, effects: &mut Effects) {
        effects.set_timer(TimerKey::Timeouts, self.settings.timeouts_check_interval_ms);
        let is_timed_out = |transaction: &Transaction| {
            let deadline = transaction.start_timestamp.plus_milliseconds(i64::from(transaction.timeout_ms));
            transaction.state == TransactionState::Ongoing && !transaction.is_two_phase_commit() && deadline < now
        };
        let timed_out = self.transactions.iter().filter(|(_, transaction)| is_timed_out(transaction));
        effects.timed_out.extend(timed_out.map(|(transactional_id, transaction)| TimedOut {
            transactional_id: transactional_id.clone(),
            producer_id: transaction.producer_id,
        }));
    }

    pub(crate) fn abort_timed_out(
        &mut self,
        now: Timestamp,
        transactional_id: &Arc<str>,
        producer_id: ProducerId,
        spare_producer_id: Option<ProducerId>,
        effects: &mut Effects,
    ) -> Response {
        let is_open = self.transactions.get(transactional_id).is_some_and(|transaction| {
            transaction.producer_id == producer_id && transaction.state == TransactionState::Ongoing
        });
        match if is_open { self.fence(now, transactional_id, spare_producer_id, effects) } else { Ok(()) } {
            Err(Refusal::NeedsProducerId) => Response::NeedsProducerId,
            Ok(()) | Err(Refusal::Error(_)) => Response::Done,
        }
    }
}

/// The producer id that follows when the epochs of this one are used up; else none.
fn producer_id_after(known: &Transaction, spare_producer_id: Option<ProducerId>) -> Result<ProducerId, Refusal> {
    if known.is_epoch_exhausted() { spare_producer_id.ok_or(Refusal::NeedsProducerId) } else { Ok(ProducerId::NONE) }
}

fn prepared_state(commit: bool) -> TransactionState {
    if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort }
}

/// By the rules of version 0 and 1 the producer keeps its epoch: the same end asked for again is known by the state.
fn end_v1(known: &Transaction, now: Timestamp, request: &EndTransaction) -> Result<End, Refusal> {
    check_producer(known, request.producer_id, request.producer_epoch)?;
    match known.state {
        TransactionState::Ongoing => Ok(End::Prepared(known.prepared(now, prepared_state(request.commit)))),
        state if state.is_prepared() => Err(ErrorCode::ConcurrentTransactions.into()),
        TransactionState::CompleteCommit if request.commit => Ok(End::Repeated),
        TransactionState::CompleteAbort if !request.commit => Ok(End::Repeated),
        _ => Err(ErrorCode::InvalidTxnState.into()),
    }
}

/// By the rules of version 2 (KIP-890) each end bumps the epoch: the same end asked for again has the epoch before, and
/// the current epoch means the next transaction. One without any partition can be aborted, not committed.
fn end_v2(known: &Transaction, now: Timestamp, request: &EndTransaction) -> Result<End, Refusal> {
    // First of all, since the producer may have got a new id with the end that is being carried out.
    if known.state.is_prepared() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let epoch = request.producer_epoch.value();
    let has_overflowed =
        known.previous_producer_id == request.producer_id && epoch == i16::MAX - 1 && known.producer_epoch.value() == 0;
    let has_bumped = i32::from(known.producer_epoch.value()) == i32::from(epoch) + 1;
    let is_complete = matches!(known.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort);
    let is_repeated = has_overflowed || has_bumped;
    if known.producer_id != request.producer_id && !has_overflowed {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if known.producer_epoch != request.producer_epoch && !(is_complete && is_repeated) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    let commit = request.commit;
    match known.state {
        TransactionState::Ongoing => {}
        TransactionState::CompleteCommit if is_repeated && commit => return Ok(End::Repeated),
        TransactionState::CompleteAbort if is_repeated && !commit => return Ok(End::Repeated),
        TransactionState::CompleteCommit if is_repeated => return Err(ErrorCode::InvalidTxnState.into()),
        _ if commit => return Err(ErrorCode::InvalidTxnState.into()),
        _ => {}
    }
    let next_producer_id = producer_id_after(known, request.spare_producer_id)?;
    Ok(End::Prepared(known.prepared_with_bump(now, prepared_state(commit), next_producer_id)))
}
