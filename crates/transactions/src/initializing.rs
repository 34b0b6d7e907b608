//! InitProducerId: an id and an epoch that nobody else has, and the end of whoever had the transactional id before.

use crate::transaction::is_exhausted;
use crate::{Effects, InitProducerId, Initialized, Response, Transaction, TransactionCoordinator};
use ottla_protocol::ErrorCode;
use ottla_types::{ProducerEpoch, ProducerId, Timestamp};

/// What a producer becomes, or why not.
type Step = Result<Transaction, Refusal>;

/// Why a step can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client is told.
    Error(ErrorCode),
    /// A producer id is needed first.
    NeedsProducerId,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Error(code)
    }
}

impl TransactionCoordinator {
    pub(crate) fn init_producer_id(
        &mut self,
        now: Timestamp,
        request: &InitProducerId,
        effects: &mut Effects,
    ) -> Response {
        match self.try_init(now, request, effects) {
            Ok(initialized) => Response::InitProducerId(Ok(initialized)),
            Err(Refusal::Error(code)) => Response::InitProducerId(Err(code)),
            Err(Refusal::NeedsProducerId) => Response::NeedsProducerId,
        }
    }

    fn try_init(
        &mut self,
        now: Timestamp,
        request: &InitProducerId,
        effects: &mut Effects,
    ) -> Result<Initialized, Refusal> {
        self.check_init(request)?;
        let timeout_ms = if request.enable_two_phase_commit { i32::MAX } else { request.timeout_ms };
        let known = self.transactions.get(&request.transactional_id);
        let next = match known {
            None => {
                let producer_id = request.spare_producer_id.ok_or(Refusal::NeedsProducerId)?;
                let new = Transaction::new(producer_id, timeout_ms, now);
                new.initialized(now, timeout_ms, ProducerEpoch(0), ProducerEpoch::NONE)
            }
            // What is open belongs to a producer that is fenced now. The epoch that fences it is not handed out: the
            // new producer asks again and gets the next one.
            Some(known) if known.state == crate::TransactionState::Ongoing => {
                if !is_valid_producer(known, request.expected) {
                    return Err(ErrorCode::ProducerFenced.into());
                }
                self.fence(now, &request.transactional_id, request.spare_producer_id, effects)?;
                return Err(ErrorCode::ConcurrentTransactions.into());
            }
            Some(known) => next_producer(known, now, timeout_ms, request)?,
        };
        let initialized = (next.producer_id, next.producer_epoch);
        effects.records.push(self.record(&request.transactional_id, Some(next)));
        Ok(initialized)
    }

    fn check_init(&self, request: &InitProducerId) -> Result<(), ErrorCode> {
        let is_timeout_valid = request.timeout_ms > 0 && request.timeout_ms <= self.settings.timeout_ms_max;
        if request.transactional_id.is_empty() {
            Err(ErrorCode::InvalidRequest)
        } else if request.enable_two_phase_commit && !self.settings.two_phase_commit_enable {
            Err(ErrorCode::TransactionalIdAuthorizationFailed)
        } else if request.keep_prepared {
            Err(ErrorCode::UnsupportedVersion)
        } else if !request.enable_two_phase_commit && !is_timeout_valid {
            Err(ErrorCode::InvalidTransactionTimeout)
        } else {
            Ok(())
        }
    }
}

/// The next producer of a transactional id without an open transaction.
fn next_producer(known: &Transaction, now: Timestamp, timeout_ms: i32, request: &InitProducerId) -> Step {
    if known.state.is_prepared() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    if !is_valid_producer(known, request.expected) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    let expected_epoch = request.expected.map(|(_, epoch)| epoch);
    if known.is_epoch_exhausted() {
        // Kafka runs into an exception of its own when the expected epoch is another one.
        if expected_epoch.is_some_and(|expected| expected != known.producer_epoch) {
            return Err(ErrorCode::UnknownServerError.into());
        }
        let producer_id = request.spare_producer_id.ok_or(Refusal::NeedsProducerId)?;
        let last = if expected_epoch.is_some() { known.producer_epoch } else { ProducerEpoch::NONE };
        return Ok(known.rotated(now, timeout_ms, producer_id, last));
    }
    let (epoch, last) = match expected_epoch {
        None => (known.bumped_epoch(), ProducerEpoch::NONE),
        Some(expected) if expected == known.producer_epoch => (known.bumped_epoch(), known.producer_epoch),
        // A retry: the answer to the first one was lost. Had another producer come since, there would be no last epoch.
        Some(expected) if expected == known.last_producer_epoch => (known.producer_epoch, known.last_producer_epoch),
        Some(_) => return Err(ErrorCode::ProducerFenced.into()),
    };
    Ok(known.initialized(now, timeout_ms, epoch, last))
}

/// Whether a producer that goes on after an error (KIP-360) may be the one that has the transactional id: it has its
/// producer id, or had the last epoch of the one before, and has not heard of the new one.
fn is_valid_producer(known: &Transaction, expected: Option<(ProducerId, ProducerEpoch)>) -> bool {
    let Some((producer_id, epoch)) = expected else { return true };
    producer_id == known.producer_id || producer_id == known.previous_producer_id && is_exhausted(epoch)
}
