//! The time between the question to a transaction's coordinator and the first batch of the transaction (KIP-890).

use super::TransactionVersion;
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::collections::BTreeMap;

/// Stands for one question to a coordinator. The answer is good for an append only while nothing transactional of the
/// producer has been appended since: else an answer that comes late could open a transaction after its own abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// Whether a client's batch may be the first of its transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionCheck {
    /// Nobody has said so.
    Unverified,
    /// The coordinator has.
    Verified(VerificationGuard),
    /// Nobody need say so: `transaction.partition.verification.enable` is off.
    NotRequired,
}

/// A question to a coordinator.
#[derive(Clone, Copy, Debug)]
pub struct VerificationRequest {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The first sequence of the batch that is to be appended.
    pub sequence: Sequence,
    /// The version of transactions that the client speaks.
    pub version: TransactionVersion,
    /// The time: a producer that never comes back is forgotten some day.
    pub now: Timestamp,
}

/// What is known of a producer whose coordinator is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verification {
    guard: VerificationGuard,
    epoch: ProducerEpoch,
    /// The lowest first sequence that was to be appended in this epoch: no later batch may overtake it.
    pub(super) lowest_sequence: Sequence,
    pub(super) version: TransactionVersion,
    since: Timestamp,
}

/// Bounded by the producers: one that is forgotten is forgotten here too.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifications {
    of: BTreeMap<ProducerId, Verification>,
    next_guard: u64,
}

impl Verifications {
    pub(super) fn begin(&mut self, request: &VerificationRequest) -> VerificationGuard {
        let VerificationRequest { producer_id, epoch, sequence, version, now } = *request;
        let next_guard = &mut self.next_guard;
        let verification = self.of.entry(producer_id).or_insert_with(|| {
            *next_guard += 1;
            let guard = VerificationGuard(*next_guard);
            Verification { guard, epoch, lowest_sequence: sequence, version, since: now }
        });
        if epoch > verification.epoch || epoch == verification.epoch && sequence < verification.lowest_sequence {
            verification.epoch = epoch;
            verification.lowest_sequence = sequence;
        }
        verification.version = version;
        verification.guard
    }

    pub(super) fn get(&self, producer_id: ProducerId) -> Option<Verification> {
        self.of.get(&producer_id).copied()
    }

    pub(super) fn is_current(&self, producer_id: ProducerId, guard: VerificationGuard) -> bool {
        self.of.get(&producer_id).is_some_and(|verification| verification.guard == guard)
    }

    /// A transactional batch has been appended: from now on the open transaction, or its end, says what may come. A marker
    /// of version 2 bears the epoch of the next transaction, whose question may be under way already.
    pub(super) fn end(&mut self, producer_id: ProducerId, epoch: ProducerEpoch, is_marker: bool) {
        let is_of_next = self.of.get(&producer_id).is_some_and(|verification| {
            verification.version == TransactionVersion::EpochBump && is_marker && verification.epoch == epoch
        });
        if !is_of_next {
            self.of.remove(&producer_id);
        }
    }

    pub(super) fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) {
        self.of.retain(|_, verification| now.0.saturating_sub(verification.since.0) < expiration_ms);
    }
}
