use crate::{TransactionState, TransactionVersion};
use ottla_types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use std::collections::BTreeSet;

/// From this epoch on a producer id is used up: the greatest epoch is kept back to fence the last producer with.
const EXHAUSTED_EPOCH: i16 = i16::MAX - 1;

/// All that is known of one transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The producer id in use.
    pub producer_id: ProducerId,
    /// The producer id before the last change of anything: a producer that asks again after its id was replaced is
    /// known by it.
    pub previous_producer_id: ProducerId,
    /// The producer id that takes over when the transaction has ended, because the epochs of this one are used up.
    pub next_producer_id: ProducerId,
    /// The epoch in use. `-1` is that of an id that was made but not handed out yet.
    pub producer_epoch: ProducerEpoch,
    /// The epoch before it, if the same producer has both (KIP-360). Not in the log: after a load it is not known.
    pub last_producer_epoch: ProducerEpoch,
    /// How long a transaction may last. The greatest number means for ever (KIP-939).
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TransactionState,
    /// The partitions of the open or ending transaction.
    pub partitions: BTreeSet<TopicPartition>,
    /// When the transaction, or the last one, began.
    pub start_timestamp: Timestamp,
    /// When anything was last changed.
    pub last_update_timestamp: Timestamp,
    /// The version of transactions that the client last used.
    pub client_version: TransactionVersion,
}

impl Transaction {
    /// A transactional id that nobody has used before, with a producer id whose first epoch is still to come.
    pub(crate) fn new(producer_id: ProducerId, timeout_ms: i32, now: Timestamp) -> Self {
        Self {
            producer_id,
            previous_producer_id: ProducerId::NONE,
            next_producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            last_producer_epoch: ProducerEpoch::NONE,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            start_timestamp: Timestamp::NONE,
            last_update_timestamp: now,
            client_version: TransactionVersion::V0,
        }
    }

    /// Whether there is no epoch left to hand out for the producer id.
    pub fn is_epoch_exhausted(&self) -> bool {
        is_exhausted(self.producer_epoch)
    }

    /// Whether its end is decided from outside, so that no timeout counts (KIP-939).
    pub fn is_two_phase_commit(&self) -> bool {
        self.timeout_ms == i32::MAX
    }

    /// The same in another state.
    fn moved_to(&self, state: TransactionState) -> Self {
        Self { previous_producer_id: self.producer_id, state, ..self.clone() }
    }

    /// A producer has been initialized with this epoch and that last one.
    pub(crate) fn initialized(
        &self,
        now: Timestamp,
        timeout_ms: i32,
        epoch: ProducerEpoch,
        last_epoch: ProducerEpoch,
    ) -> Self {
        Self {
            producer_epoch: epoch,
            last_producer_epoch: last_epoch,
            timeout_ms,
            partitions: BTreeSet::new(),
            start_timestamp: Timestamp::NONE,
            last_update_timestamp: now,
            ..self.moved_to(TransactionState::Empty)
        }
    }

    /// A producer has been initialized with a new producer id.
    pub(crate) fn rotated(
        &self,
        now: Timestamp,
        timeout_ms: i32,
        producer_id: ProducerId,
        last_epoch: ProducerEpoch,
    ) -> Self {
        Self { producer_id, ..self.initialized(now, timeout_ms, ProducerEpoch(0), last_epoch) }
    }

    /// Partitions have been added.
    pub(crate) fn with_partitions(
        &self,
        now: Timestamp,
        added: &BTreeSet<TopicPartition>,
        client_version: TransactionVersion,
    ) -> Self {
        let mut next = self.moved_to(TransactionState::Ongoing);
        next.partitions.extend(added.iter().cloned());
        if self.state.is_idle() {
            next.start_timestamp = now;
        }
        next.last_update_timestamp = now;
        next.client_version = client_version;
        next
    }

    /// The end has been decided by the rules of version 0 or 1: the epoch stays.
    pub(crate) fn prepared(&self, now: Timestamp, state: TransactionState) -> Self {
        Self {
            last_update_timestamp: now,
            next_producer_id: ProducerId::NONE,
            client_version: TransactionVersion::V0,
            ..self.moved_to(state)
        }
    }

    /// The end has been decided by the rules of version 2: the epoch grows, and if it was the last one another producer
    /// id is to follow. The greatest epoch stays, as there is no greater one.
    pub(crate) fn prepared_with_bump(
        &self,
        now: Timestamp,
        state: TransactionState,
        next_producer_id: ProducerId,
    ) -> Self {
        Self {
            producer_epoch: self.bumped_epoch(),
            last_producer_epoch: self.producer_epoch,
            next_producer_id,
            last_update_timestamp: now,
            // One that is aborted without ever having had a partition begins when it ends.
            start_timestamp: if self.state.is_idle() { now } else { self.start_timestamp },
            client_version: TransactionVersion::V2,
            ..self.moved_to(state)
        }
    }

    /// All markers of the ending transaction are written.
    pub(crate) fn completed(&self, now: Timestamp) -> Self {
        let state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        };
        let mut next = self.moved_to(state);
        if self.client_version.bumps_epoch() && self.next_producer_id.is_some() {
            next.producer_id = self.next_producer_id;
            next.producer_epoch = ProducerEpoch(0);
        }
        next.next_producer_id = ProducerId::NONE;
        next.partitions = BTreeSet::new();
        next.last_update_timestamp = now;
        next
    }

    /// The next epoch; the greatest one has none.
    pub(crate) fn bumped_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(self.producer_epoch.value().saturating_add(1))
    }
}

/// Whether no epoch after this one can be handed out.
pub(crate) fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.value() >= EXHAUSTED_EPOCH
}
