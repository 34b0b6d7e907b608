use super::batch::{BatchProducer, OpenBatch, Order, Sealed, SealedBatch, record_bytes};
use super::delivery::{BatchOutcome, Delivery};
use super::settings::ProducerSettings;
use super::transaction::{Identity, Transaction};
use crate::error::{ClientError, Result};
use crate::record::ProducerRecord;
use ottla_records::{CompressionLevel, Compressor};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, TopicPartition};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// The records that wait to be sent, by partition. Pure: time is passed in, nothing is sent here.
///
/// Invariants, for each partition:
/// - the order of `send` is the order of the batches: those to be sent again stand before those not sent yet;
/// - while a batch waits to be sent again, nothing newer is sent, and it is sent only when nothing is in flight: so a
///   retry never overtakes nor is overtaken;
/// - the sequences of one epoch follow each other without a gap (KIP-98); a gap, left by a batch that was given up, is
///   closed by a new epoch that starts at sequence 0 (KIP-360), which in transactions only the coordinator gives.
pub(super) struct Accumulator {
    queues: BTreeMap<TopicPartition, PartitionQueue>,
    /// The fates that are still open, by batch, for `flush`.
    incomplete: BTreeMap<u64, Arc<BatchOutcome>>,
    next_id: u64,
    /// How many `flush` calls wait: while any does, batches are sent without lingering.
    pub(super) flushes: usize,
    pub(super) is_closed: bool,
    /// Of a producer with a `transactional.id`.
    pub(super) transaction: Option<Transaction>,
    batch_bytes: usize,
    linger: Duration,
    delivery_timeout: Duration,
    /// The producer moves a partition to a new epoch by itself.
    is_idempotent: bool,
    compression: CompressionLevel,
}

#[derive(Default)]
struct PartitionQueue {
    /// To be sent again, in order.
    retries: VecDeque<SealedBatch>,
    /// Not sent yet, in order; only the last takes records.
    waiting: VecDeque<OpenBatch>,
    in_flight: BTreeSet<Order>,
    producer: Option<(ProducerId, ProducerEpoch)>,
    next_sequence: Sequence,
    /// A batch was given up: the next one starts a new epoch.
    needs_new_epoch: bool,
    retry_at: Option<Instant>,
}

/// Whether a partition has something to send.
enum Readiness {
    Now,
    At(Instant),
    Not,
}

impl PartitionQueue {
    fn readiness(&self, now: Instant, linger: Duration, force: bool) -> Readiness {
        if !self.retries.is_empty() || self.needs_new_epoch {
            if !self.in_flight.is_empty() {
                return Readiness::Not;
            }
            if let Some(at) = self.retry_at.filter(|at| *at > now) {
                return Readiness::At(at);
            }
            if !self.retries.is_empty() {
                return Readiness::Now;
            }
        }
        let Some(first) = self.waiting.front() else { return Readiness::Not };
        let due = first.created + linger;
        if first.is_full || force || due <= now { Readiness::Now } else { Readiness::At(due) }
    }

    /// Sends under this identity from now on. The sequences of another identity start anew.
    fn adopt(&mut self, identity: Identity) {
        let producer = Some((identity.id, identity.epoch));
        if self.producer != producer {
            self.producer = producer;
            self.next_sequence = Sequence(0);
        }
    }

    /// Moves the partition to a new epoch: what waits to be sent again gets new sequences. `false`: there is no greater
    /// epoch, a new producer id is needed.
    fn start_epoch(&mut self, id: ProducerId, compression: CompressionLevel) -> bool {
        let epoch = match self.producer {
            Some((known, epoch)) if known == id => match epoch.value().checked_add(1) {
                Some(next) => ProducerEpoch(next),
                None => return false,
            },
            _ => ProducerEpoch(0),
        };
        self.producer = Some((id, epoch));
        self.next_sequence = Sequence(0);
        for batch in &mut self.retries {
            let producer = BatchProducer { id, epoch, base_sequence: self.next_sequence };
            self.next_sequence = self.next_sequence.plus(batch.count);
            batch.set_producer(producer, compression);
        }
        self.needs_new_epoch = false;
        true
    }
}

/// What `next_batch` found.
pub(super) enum NextBatch {
    Batch(SealedBatch),
    Nothing,
    /// The producer's epochs are used up.
    NeedsProducerId,
}

impl Accumulator {
    pub(super) fn new(settings: &ProducerSettings, compression: CompressionLevel) -> Self {
        Self {
            queues: BTreeMap::new(),
            incomplete: BTreeMap::new(),
            next_id: 0,
            flushes: 0,
            is_closed: false,
            transaction: settings.transactional_id.as_ref().map(|_| Transaction::new()),
            batch_bytes: settings.batch_bytes,
            linger: settings.linger,
            delivery_timeout: settings.delivery_timeout,
            is_idempotent: settings.idempotence && settings.transactional_id.is_none(),
            compression,
        }
    }

    /// Takes a record in. Also answers whether the sender has to be told: a batch was begun or filled.
    pub(super) fn append(
        &mut self,
        partition: &TopicPartition,
        record: &ProducerRecord,
        timestamp: i64,
        permit: OwnedSemaphorePermit,
        now: Instant,
    ) -> Result<(Delivery, bool)> {
        if self.is_closed {
            return Err(ClientError::Closed);
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.use_partition(partition)?;
        }
        let is_transactional = self.transaction.is_some();
        let queue = match self.queues.get_mut(partition) {
            Some(queue) => queue,
            None => self.queues.entry(partition.clone()).or_default(),
        };
        let bytes = record_bytes(record);
        let mut tell = false;
        if let Some(last) = queue.waiting.back_mut()
            && last.builder.uncompressed_size() + bytes > self.batch_bytes
        {
            tell |= !last.is_full;
            last.is_full = true;
        }
        if queue.waiting.back().is_none_or(|batch| batch.is_full) {
            let batch = OpenBatch::new(self.next_id, self.compression, is_transactional, permit, now);
            self.incomplete.insert(self.next_id, batch.outcome.clone());
            self.next_id += 1;
            queue.waiting.push_back(batch);
            tell = true;
        } else if let Some(batch) = queue.waiting.back_mut() {
            batch.add_memory(permit);
        }
        let Some(batch) = queue.waiting.back_mut() else { return Err(ClientError::Closed) };
        let index = batch.append(record, timestamp)?;
        if batch.builder.uncompressed_size() >= self.batch_bytes {
            batch.is_full = true;
            tell = true;
        }
        let delivery = Delivery {
            outcome: batch.outcome.clone(),
            slot: None,
            topic: partition.topic.clone(),
            partition: partition.partition.value(),
            index,
            timestamp,
        };
        Ok((delivery, tell))
    }

    /// The partitions that have something to send now, and when the next will have.
    pub(super) fn ready(&self, now: Instant) -> (Vec<TopicPartition>, Option<Instant>) {
        let force = self.flushes > 0 || self.is_closed;
        let mut ready = Vec::new();
        let mut next: Option<Instant> = None;
        for (partition, queue) in &self.queues {
            // The coordinator has to know of the partition first; its answer wakes the sender.
            if self.transaction.as_ref().is_some_and(|transaction| !transaction.may_send(partition)) {
                continue;
            }
            match queue.readiness(now, self.linger, force) {
                Readiness::Now => ready.push(partition.clone()),
                Readiness::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Readiness::Not => {}
            }
        }
        (ready, next)
    }

    /// Takes the partition's next batch to send it, under the producer's id where it is idempotent.
    pub(super) fn next_batch(
        &mut self,
        partition: &TopicPartition,
        id: Option<ProducerId>,
        compressor: &mut Compressor,
    ) -> NextBatch {
        let compression = self.compression;
        let Some(queue) = self.queues.get_mut(partition) else { return NextBatch::Nothing };
        if let Some(transaction) = &self.transaction {
            let Some(identity) = transaction.identity() else { return NextBatch::Nothing };
            queue.adopt(identity);
        } else if let Some(id) = id {
            let is_new = queue.producer.is_none_or(|(known, _)| known != id) && queue.in_flight.is_empty();
            if (queue.needs_new_epoch || is_new) && !queue.start_epoch(id, compression) {
                return NextBatch::NeedsProducerId;
            }
        }
        queue.retry_at = None;
        let mut batch = match queue.retries.pop_front() {
            Some(batch) => batch,
            None => {
                let Some(open) = queue.waiting.pop_front() else { return NextBatch::Nothing };
                let base_sequence = queue.next_sequence;
                let producer = queue.producer.map(|(id, epoch)| BatchProducer { id, epoch, base_sequence });
                match open.seal(producer, compressor) {
                    Sealed::Ready(batch) => {
                        queue.next_sequence = base_sequence.plus(batch.count);
                        batch
                    }
                    Sealed::Unwritable(batch) => {
                        self.incomplete.remove(&batch.order.0);
                        batch.decide(Err(ClientError::State("the records can't be compressed")));
                        return NextBatch::Nothing;
                    }
                }
            }
        };
        batch.tries += 1;
        queue.in_flight.insert(batch.order);
        NextBatch::Batch(batch)
    }

    /// Notes that a batch is not in flight any more. Answers whether an older one of its partition is still undecided.
    pub(super) fn landed(&mut self, partition: &TopicPartition, order: Order) -> bool {
        let Some(queue) = self.queues.get_mut(partition) else { return false };
        queue.in_flight.remove(&order);
        let older_in_flight = queue.in_flight.first().is_some_and(|first| *first < order);
        older_in_flight || queue.retries.front().is_some_and(|first| first.order < order)
    }

    /// Puts a batch back to be sent again, not before `at`.
    pub(super) fn put_back(&mut self, partition: &TopicPartition, batch: SealedBatch, at: Instant) {
        let queue = self.queues.entry(partition.clone()).or_default();
        let place = queue.retries.partition_point(|other| other.order < batch.order);
        queue.retries.insert(place, batch);
        queue.retry_at = Some(queue.retry_at.map_or(at, |known| known.max(at)));
    }

    /// The partition's next batch starts a new epoch.
    pub(super) fn need_new_epoch(&mut self, partition: &TopicPartition) {
        if self.is_idempotent {
            self.queues.entry(partition.clone()).or_default().needs_new_epoch = true;
        }
    }

    /// Decides the fate of a batch that landed.
    pub(super) fn finish(&mut self, batch: SealedBatch, result: Result<super::delivery::BatchAck>) {
        let (id, outcome) = (batch.order.0, batch.outcome.clone());
        batch.decide(result);
        if outcome.is_decided() {
            self.incomplete.remove(&id);
        }
    }

    /// Gives up what waits for longer than the delivery timeout. Answers when to look again.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut expired = Vec::new();
        for queue in self.queues.values_mut() {
            while queue.retries.front().is_some_and(|batch| batch.created + self.delivery_timeout <= now) {
                // It may have been appended: a gap or a repetition, either way a new epoch is needed.
                queue.needs_new_epoch |= self.is_idempotent;
                expired.extend(queue.retries.pop_front().map(Expired::Sealed));
            }
            while queue.waiting.front().is_some_and(|batch| batch.created + self.delivery_timeout <= now) {
                expired.extend(queue.waiting.pop_front().map(Expired::Open));
            }
            let oldest = queue.retries.front().map(|batch| batch.created);
            let oldest = oldest.or_else(|| queue.waiting.front().map(|batch| batch.created));
            if let Some(at) = oldest.map(|created| created + self.delivery_timeout) {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        let what = "the delivery of a batch".to_owned();
        let error = ClientError::Timeout { what, after: self.delivery_timeout };
        if !expired.is_empty() {
            self.batch_failed(&error);
        }
        for batch in expired {
            match batch {
                Expired::Sealed(batch) => self.finish(batch, Err(error.clone())),
                Expired::Open(batch) => {
                    self.incomplete.remove(&batch.id);
                    batch.fail(error.clone());
                }
            }
        }
        next
    }

    /// A batch is given up: that fails its transaction, and what is not on its way of it is given up too.
    pub(super) fn batch_failed(&mut self, error: &ClientError) {
        if let Some(transaction) = &mut self.transaction {
            transaction.batch_failed(error.clone());
            self.give_up_waiting();
        }
    }

    /// Gives up what waits of a transaction that won't be committed.
    pub(super) fn give_up_waiting(&mut self) {
        let Some(transaction) = &mut self.transaction else { return };
        if self.queues.values().any(|queue| !queue.retries.is_empty()) {
            transaction.leaves_traces();
        }
        let error = transaction.error().unwrap_or(ClientError::TransactionAborted);
        self.fail_all(&error);
    }

    /// Whether a batch that landed may be sent again.
    pub(super) fn may_retry(&self) -> bool {
        self.transaction.as_ref().is_none_or(Transaction::is_live)
    }

    /// Gives up everything that waits.
    pub(super) fn fail_all(&mut self, error: &ClientError) {
        for queue in self.queues.values_mut() {
            for batch in queue.retries.drain(..) {
                self.incomplete.remove(&batch.order.0);
                batch.decide(Err(error.clone()));
            }
            for batch in queue.waiting.drain(..) {
                self.incomplete.remove(&batch.id);
                batch.fail(error.clone());
            }
        }
    }

    /// The codec and its level.
    pub(super) fn compression(&self) -> CompressionLevel {
        self.compression
    }

    /// The fates that are open at the moment.
    pub(super) fn open_fates(&self) -> Vec<Arc<BatchOutcome>> {
        self.incomplete.values().cloned().collect()
    }

    /// Whether nothing waits and nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.incomplete.is_empty()
    }

    /// The topics that have records waiting.
    pub(super) fn topics(&self) -> BTreeSet<String> {
        let waiting = self.queues.iter().filter(|(_, queue)| !queue.retries.is_empty() || !queue.waiting.is_empty());
        waiting.map(|(partition, _)| partition.topic.to_string()).collect()
    }
}

enum Expired {
    Sealed(SealedBatch),
    Open(OpenBatch),
}
