//! The producers of a partition: who may append what next, and which transactions are open.
//!
//! Pure state. An append is first *prepared* against it, which decides and changes nothing; after the bytes are written
//! the prepared change is *committed*. The same two steps rebuild the state from a log.

mod append;
mod state;
mod verification;

pub use append::{CompletedTransaction, Prepared, ProducerError, TransactionVersion};
pub use state::{BatchMetadata, ProducerState};
pub use verification::{TransactionCheck, VerificationGuard, VerificationRequest};

use verification::Verifications;

use crate::batch::BatchHeader;
use crate::format::ProducerSnapshotEntry;
use ottla_types::{Offset, ProducerEpoch, ProducerId, Timestamp};
use std::collections::BTreeMap;

/// Where records come from; it decides how much of them is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client: sequences and epochs are checked.
    Client {
        /// Whether a batch may be the first of its transaction here.
        transaction: TransactionCheck,
    },
    /// A coordinator in this node: epochs are checked; its batches have no sequences.
    Coordinator {
        /// The transaction version of the markers it writes.
        transaction_version: TransactionVersion,
    },
    /// The leader of the metadata quorum: offsets and epochs are given.
    RaftLeader,
    /// The partition's leader on another node, which has checked everything.
    Replication,
}

/// All producers of a partition.
#[derive(Clone, Debug, Default)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, ProducerState>,
    /// Open transactions by their first offset.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose markers are not yet below the high watermark: first offset to marker offset.
    unreplicated: BTreeMap<Offset, Offset>,
    /// Producers whose coordinator is being asked about a transaction.
    verifications: Verifications,
    /// The offset after the last record that this state knows of.
    end_offset: Offset,
    /// Of what lies before this offset only the last batch of each producer is known: it is from a snapshot, which holds no more.
    lacks_before: Option<Offset>,
}

impl ProducerStates {
    /// No producer, knowing the log up to `end_offset`.
    pub fn new(end_offset: Offset) -> Self {
        Self { end_offset, ..Self::default() }
    }

    /// The state that a snapshot holds. Producers that have been silent for too long, and have no open transaction, are
    /// left out, as they would have been removed meanwhile.
    pub fn from_snapshot(
        entries: &[ProducerSnapshotEntry],
        end_offset: Offset,
        now: Timestamp,
        expiration_ms: i64,
    ) -> Self {
        let mut states = Self::new(end_offset);
        for entry in entries {
            let state = ProducerState::from_snapshot(entry);
            if state.is_expired(now, expiration_ms) {
                continue;
            }
            if let Some(first_offset) = state.transaction_first_offset {
                states.ongoing.insert(first_offset, entry.producer_id);
            }
            states.producers.insert(entry.producer_id, state);
        }
        states.lacks_before = Some(end_offset).filter(|_| !states.producers.is_empty());
        states
    }

    /// Before which offset batches may lie that are among the last five of their producers and not known here.
    pub fn lacks_before(&self) -> Option<Offset> {
        self.lacks_before
    }

    /// Takes in the batches that a snapshot did not hold, ascending. There are no others of the last five then.
    pub(crate) fn recall(&mut self, batches: impl IntoIterator<Item = (ProducerId, ProducerEpoch, BatchMetadata)>) {
        let mut earlier: BTreeMap<ProducerId, Vec<BatchMetadata>> = BTreeMap::new();
        for (producer_id, epoch, batch) in batches {
            if self.get(producer_id).is_some_and(|state| state.is_before(epoch, &batch)) {
                earlier.entry(producer_id).or_default().push(batch);
            }
        }
        for (producer_id, batches) in earlier {
            if let Some(state) = self.producers.get_mut(&producer_id) {
                state.recall(batches);
            }
        }
        self.lacks_before = None;
    }

    /// The entries of a snapshot of this state.
    pub fn snapshot(&self) -> impl ExactSizeIterator<Item = ProducerSnapshotEntry> {
        self.producers.iter().map(|(id, state)| state.to_snapshot(*id))
    }

    /// The offset after the last record that this state knows of: the name of the snapshot that would be taken.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Notes that the log goes on to `offset`, without producers.
    pub fn set_end_offset(&mut self, offset: Offset) {
        self.end_offset = offset;
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// What is known of a producer.
    pub fn get(&self, id: ProducerId) -> Option<&ProducerState> {
        self.producers.get(&id)
    }

    /// All producers, for listing them.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerState)> {
        self.producers.iter().map(|(id, state)| (*id, state))
    }

    /// Whether the producer, in this epoch, has an open transaction here.
    pub fn has_ongoing_transaction(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.get(id).is_some_and(|state| state.epoch == epoch && state.transaction_first_offset.is_some())
    }

    /// Notes that the producer's coordinator will be asked whether this partition is part of its transaction. The guard goes
    /// with the append; a marker that comes between the two makes it void. `None` when the transaction is open here, so that
    /// nobody need be asked.
    ///
    /// # Errors
    /// A later epoch of the producer is known here.
    pub fn begin_verification(
        &mut self,
        request: &VerificationRequest,
    ) -> Result<Option<VerificationGuard>, ProducerError> {
        let VerificationRequest { producer_id, epoch, .. } = *request;
        match self.get(producer_id) {
            Some(state) if state.epoch > epoch => {
                Err(ProducerError::InvalidProducerEpoch { producer_id, epoch, last: state.epoch })
            }
            _ if self.has_ongoing_transaction(producer_id, epoch) => Ok(None),
            _ => Ok(Some(self.verifications.begin(request))),
        }
    }

    /// The earlier append that a batch repeats: one of the last five of its producer, with the same epoch and sequences.
    pub fn find_duplicate(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        self.get(header.producer_id)?.find_duplicate(header)
    }

    /// The first offset that a reader of committed records may not pass: of the first transaction that is open, or whose
    /// marker is not yet below the high watermark.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let ongoing = self.ongoing.first_key_value().map(|(offset, _)| *offset);
        let unreplicated = self.unreplicated.first_key_value().map(|(offset, _)| *offset);
        ongoing.into_iter().chain(unreplicated).min()
    }

    /// The last stable offset as it is when this transaction has ended, as far as other open transactions tell.
    pub fn last_stable_offset(&self, completed: &CompletedTransaction) -> Offset {
        let (next, end) = (self.ongoing.iter(), completed.last_offset.next());
        let next = next.filter(|(_, producer)| **producer != completed.producer_id).map(|(offset, _)| *offset).next();
        next.map_or(end, |offset| offset.min(end))
    }

    /// The high watermark, or the start of the log, has reached `offset`.
    pub fn on_replicated(&mut self, offset: Offset) {
        self.unreplicated.retain(|_, marker| *marker >= offset);
    }

    /// Removes the producers that have been silent for too long. Says how many.
    pub fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, state| !state.is_expired(now, expiration_ms));
        self.verifications.remove_expired(now, expiration_ms);
        before - self.producers.len()
    }
}

#[cfg(test)]
mod tests;
