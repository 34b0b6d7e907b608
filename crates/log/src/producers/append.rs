use super::verification::Verification;
use super::{AppendOrigin, BatchMetadata, ProducerState, ProducerStates, TransactionCheck};
use crate::batch::BatchHeader;
use crate::marker::ControlBatch;
use ottla_records::EndTransactionMarker;
use ottla_types::{Offset, ProducerEpoch, ProducerId, Sequence};
use smallvec::SmallVec;

/// Why an append of an idempotent or transactional producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A newer instance of the producer has appended (INVALID_PRODUCER_EPOCH).
    #[error("epoch {epoch} of producer {producer_id} is older than its last one, {last}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The epoch of the batch.
        epoch: ProducerEpoch,
        /// The last epoch seen.
        last: ProducerEpoch,
    },
    /// The sequence does not follow on the last one (OUT_OF_ORDER_SEQUENCE_NUMBER).
    #[error("sequence {sequence} of producer {producer_id} does not follow on {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The first sequence of the batch.
        sequence: Sequence,
        /// The last sequence appended; -1 when none is known in this epoch.
        last: Sequence,
    },
    /// The batch does not fit the state of the producer's transaction (INVALID_TXN_STATE).
    #[error("the batch does not belong to an open transaction of producer {0}, or such a transaction is in its way")]
    InvalidTransactionState(ProducerId),
    /// A newer transaction coordinator has written a marker (TRANSACTION_COORDINATOR_FENCED).
    #[error("coordinator epoch {epoch} for producer {producer_id} is older than the last one, {last}")]
    CoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// The coordinator's epoch in the marker.
        epoch: i32,
        /// The last epoch seen.
        last: i32,
    },
    /// A control batch of a producer holds no transaction marker (INVALID_RECORD).
    #[error("a control batch of producer {0} is not a transaction marker")]
    InvalidMarker(ProducerId),
}

/// The version of the transaction protocol (KIP-890) that a marker was written under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionVersion {
    /// Versions 0 and 1: a marker carries the producer's epoch.
    Classic,
    /// Version 2: a marker carries the next epoch.
    EpochBump,
}

/// A transaction that ends with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTransaction {
    /// Whose it was.
    pub producer_id: ProducerId,
    /// The offset of its first record.
    pub first_offset: Offset,
    /// The offset of its marker.
    pub last_offset: Offset,
    /// Whether it was aborted.
    pub aborted: bool,
}

/// What an append will change, once its bytes are written.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    updates: SmallVec<[Update; 1]>,
    completed: SmallVec<[CompletedTransaction; 1]>,
}

#[derive(Clone, Debug)]
struct Update {
    producer_id: ProducerId,
    /// As it was before the append.
    current: ProducerState,
    /// What the append brings.
    updated: ProducerState,
    started: Option<Offset>,
    /// The question to the coordinator that the append follows from.
    verification: Option<Verification>,
    /// The epoch of the last transactional batch, and whether it is a marker.
    transactional: Option<(ProducerEpoch, bool)>,
}

impl Prepared {
    /// The transactions that end, in order.
    pub fn completed(&self) -> &[CompletedTransaction] {
        &self.completed
    }
}

impl ProducerStates {
    /// Checks one batch with its offsets assigned, and adds what it changes to `prepared`. `batch` are its whole bytes.
    pub fn prepare(
        &self,
        prepared: &mut Prepared,
        header: &BatchHeader,
        batch: &[u8],
        origin: AppendOrigin,
    ) -> Result<(), ProducerError> {
        let producer_id = header.producer_id;
        if !producer_id.is_some() {
            return Ok(());
        }
        self.check_transaction(header, origin)?;
        let known = prepared.updates.iter().position(|update| update.producer_id == producer_id);
        let index = known.unwrap_or_else(|| {
            let current = self.get(producer_id).cloned().unwrap_or_else(ProducerState::empty);
            let updated = current.without_batches();
            let verification = self.verifications.get(producer_id);
            prepared.updates.push(Update {
                producer_id,
                current,
                updated,
                started: None,
                verification,
                transactional: None,
            });
            prepared.updates.len() - 1
        });
        let Some(update) = prepared.updates.get_mut(index) else { return Ok(()) };
        if header.is_transactional() {
            update.transactional = Some((header.producer_epoch, header.is_control()));
        }
        if !header.is_control() {
            return update.append_data(header, origin);
        }
        match ControlBatch::parse(batch) {
            Some(ControlBatch::Empty) => {}
            Some(ControlBatch::Marker(marker)) => {
                prepared.completed.extend(update.append_marker(header, marker, origin)?)
            }
            None => return Err(ProducerError::InvalidMarker(producer_id)),
        }
        Ok(())
    }

    /// A transactional batch is taken only when the transaction is open here or its coordinator has confirmed it
    /// (KIP-890): otherwise a late batch could open a transaction that nobody will ever end.
    fn check_transaction(&self, header: &BatchHeader, origin: AppendOrigin) -> Result<(), ProducerError> {
        let verified = match origin {
            AppendOrigin::Client { transaction } => match transaction {
                TransactionCheck::Unverified => false,
                TransactionCheck::Verified(guard) => self.verifications.is_current(header.producer_id, guard),
                TransactionCheck::NotRequired => true,
            },
            // Markers, and what a coordinator on this broker writes in a transaction, which it has had confirmed.
            AppendOrigin::Coordinator { .. } => true,
            AppendOrigin::RaftLeader | AppendOrigin::Replication => return Ok(()),
        };
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        if !header.is_transactional() || self.has_ongoing_transaction(producer_id, epoch) {
            return Ok(());
        }
        match self.get(producer_id) {
            Some(state) if epoch < state.epoch => {
                Err(ProducerError::InvalidProducerEpoch { producer_id, epoch, last: state.epoch })
            }
            _ if verified => Ok(()),
            _ => Err(ProducerError::InvalidTransactionState(producer_id)),
        }
    }

    /// Takes over what was prepared, after the bytes are written up to `end_offset`. Gives each transaction that was
    /// aborted, with the last stable offset after it, for the transaction index.
    pub fn commit(&mut self, prepared: Prepared, end_offset: Offset) -> SmallVec<[(CompletedTransaction, Offset); 1]> {
        for update in prepared.updates {
            if let Some(first_offset) = update.started {
                self.ongoing.insert(first_offset, update.producer_id);
            }
            if let Some((epoch, is_marker)) = update.transactional {
                self.verifications.end(update.producer_id, epoch, is_marker);
            }
            self.producers.entry(update.producer_id).or_insert_with(ProducerState::empty).merge(update.updated);
        }
        let mut aborted = SmallVec::new();
        for (index, completed) in prepared.completed.iter().enumerate() {
            if completed.aborted {
                // A follower takes many batches at once: another transaction that was open at this marker may have ended before
                // the last of them, so that it is not open now. It may even have begun after the first.
                let ends_later = prepared.completed.iter().skip(index + 1).map(|later| later.first_offset).min();
                let stable = self.last_stable_offset(completed);
                aborted.push((*completed, ends_later.map_or(stable, |first| stable.min(first))));
            }
            self.ongoing.remove(&completed.first_offset);
            self.unreplicated.insert(completed.first_offset, completed.last_offset);
        }
        self.end_offset = end_offset;
        aborted
    }
}

impl Update {
    fn append_data(&mut self, header: &BatchHeader, origin: AppendOrigin) -> Result<(), ProducerError> {
        self.check_epoch(header.producer_epoch, TransactionVersion::Classic, origin)?;
        if matches!(origin, AppendOrigin::Client { .. }) {
            self.check_sequence(header.producer_epoch, header.base_sequence)?;
        }
        self.updated.add_batch(header.producer_epoch, BatchMetadata::of(header));
        match self.updated.transaction_first_offset {
            Some(_) if !header.is_transactional() => Err(ProducerError::InvalidTransactionState(self.producer_id)),
            None if header.is_transactional() => {
                self.updated.transaction_first_offset = Some(header.base_offset);
                self.started = Some(header.base_offset);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn append_marker(
        &mut self,
        header: &BatchHeader,
        marker: EndTransactionMarker,
        origin: AppendOrigin,
    ) -> Result<Option<CompletedTransaction>, ProducerError> {
        let version = match origin {
            AppendOrigin::Coordinator { transaction_version } => transaction_version,
            _ => TransactionVersion::Classic,
        };
        self.check_epoch(header.producer_epoch, version, origin)?;
        let last = self.updated.coordinator_epoch;
        if last > marker.coordinator_epoch && origin != AppendOrigin::Replication {
            let (producer_id, epoch) = (self.producer_id, marker.coordinator_epoch);
            return Err(ProducerError::CoordinatorFenced { producer_id, epoch, last });
        }
        // A marker without any record of its transaction moves nothing: it is not worth an entry in the index.
        let completed = self.updated.transaction_first_offset.take().map(|first_offset| CompletedTransaction {
            producer_id: self.producer_id,
            first_offset,
            last_offset: header.base_offset,
            aborted: !marker.is_commit,
        });
        // A transaction that begins and ends within one append is not left open.
        if completed.is_some_and(|completed| self.started == Some(completed.first_offset)) {
            self.started = None;
        }
        self.updated.set_epoch(header.producer_epoch);
        self.updated.coordinator_epoch = marker.coordinator_epoch;
        self.updated.last_timestamp = header.max_timestamp;
        Ok(completed)
    }

    fn check_epoch(
        &self,
        epoch: ProducerEpoch,
        version: TransactionVersion,
        origin: AppendOrigin,
    ) -> Result<(), ProducerError> {
        let last = self.updated.epoch;
        let stale = match version {
            TransactionVersion::Classic => epoch < last,
            // The marker of version 2 bumps the epoch. One of the same epoch is a repetition, harmless when the
            // transaction has already ended; and an epoch that is used up can't be bumped.
            TransactionVersion::EpochBump => {
                let repeated = self.updated.transaction_first_offset.is_none() || epoch.0 == i16::MAX;
                epoch < last || epoch == last && !repeated
            }
        };
        // What a leader has taken its followers take too.
        if stale && origin != AppendOrigin::Replication {
            return Err(ProducerError::InvalidProducerEpoch { producer_id: self.producer_id, epoch, last });
        }
        Ok(())
    }

    fn check_sequence(&self, epoch: ProducerEpoch, sequence: Sequence) -> Result<(), ProducerError> {
        let out_of_order = |last| ProducerError::OutOfOrderSequence { producer_id: self.producer_id, sequence, last };
        if let Some(verification) = &self.verification {
            // A batch may not overtake one that waits for the coordinator. And of a client of version 2, whose epoch begins
            // with each transaction, the first batch that is seen must be the first one.
            let is_new = verification.version == TransactionVersion::EpochBump && !self.current.has_batches();
            if is_new && sequence != Sequence(0) || sequence > verification.lowest_sequence {
                return Err(out_of_order(Sequence::NONE));
            }
        }
        if epoch != self.updated.epoch {
            let known = self.updated.epoch != ProducerEpoch::NONE;
            return if known && sequence != Sequence(0) { Err(out_of_order(Sequence::NONE)) } else { Ok(()) };
        }
        let last = if self.updated.has_batches() {
            self.updated.last_sequence()
        } else if epoch == self.current.epoch {
            self.current.last_sequence()
        } else {
            Sequence::NONE
        };
        // Of a producer that is not known, because its records are gone, any sequence is taken.
        let unknown = self.current.epoch == ProducerEpoch::NONE;
        let follows = last.0.checked_add(1).unwrap_or(0) == sequence.0;
        if unknown || follows { Ok(()) } else { Err(out_of_order(last)) }
    }
}
