//! Hosts the transaction coordinator on the partitions of `__transaction_state` that this broker leads.

mod coordinator_requests;
mod marker_queues;
mod marker_requests;
mod markers;
mod verification;

pub(crate) use markers::{MarkerOrder, MarkerResults, write_markers};
pub(crate) use verification::{Confirmation, Refused, TransactionPart, confirm, needs_confirmation};

use crate::broker::Broker;
use crate::codecs::Codecs;
use crate::coordinator_loads::CoordinatorLoads;
use crate::groups::PartitionLog;
use crate::internal_topics::TRANSACTION_STATE;
use crate::metadata_view::MetadataView;
use crate::partition::Partition;
use marker_queues::MarkerQueues;
use ottla_config::NodeConfig;
use ottla_coordinator::{
    Now, RecordsSettings, Runtime, ShardSettings, TransactionMachine, TransactionOutbox, TransactionWork,
};
use ottla_env::{Clock, Monotonic};
use ottla_protocol::ErrorCode;
use ottla_records::{Compression, CompressionLevel};
use ottla_transactions::{
    EndTransaction, InitProducerId, Markers, MarkersWritten, Request, Response, TransactionSettings, TransactionVersion,
};
use ottla_types::{PartitionIndex, ProducerId, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How many steps of one partition may wait for the high watermark.
const PARKED_MAX: usize = 100_000;
/// The most that one batch of the transaction log may decompress to.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// The transaction coordinators of this broker.
pub(crate) struct TransactionService {
    runtime: Runtime<TransactionMachine>,
    outbox: Arc<TransactionOutbox>,
    marker_queues: MarkerQueues,
    metadata: Arc<MetadataView>,
    clock: Arc<dyn Clock>,
    codecs: Arc<Codecs>,
    settings: Mutex<TransactionSettings>,
    loads: Arc<CoordinatorLoads>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// Takes a coordinator's answer, on whichever thread has it.
pub(crate) type ReplyTo = Box<dyn FnOnce(Response) + Send>;

impl TransactionService {
    pub(crate) fn new(
        config: &NodeConfig,
        metadata: Arc<MetadataView>,
        clock: Arc<dyn Clock>,
        codecs: Arc<Codecs>,
        loads: Arc<CoordinatorLoads>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let alarm = wake.clone();
        let runtime = Runtime::new(shard_settings(config), Box::new(move || alarm()));
        let (outbox, marker_queues) = (Arc::default(), MarkerQueues::default());
        let settings = Mutex::new(transaction_settings(config));
        Self { runtime, outbox, marker_queues, metadata, clock, codecs, settings, loads, wake }
    }

    /// The partition that coordinates a transactional id; `None` while there is no `__transaction_state`.
    pub(crate) fn partition_for(&self, transactional_id: &str) -> Option<PartitionIndex> {
        let image = self.metadata.image();
        let topic = image.topics.topic_by_name(TRANSACTION_STATE)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        Some(PartitionIndex::new(ottla_transactions::partition_for(transactional_id, count)))
    }

    /// Takes over the finalized level of `transaction.version`.
    pub(crate) fn set_version(&self, level: i16) {
        let version = TransactionVersion::from_level(level);
        let settings = {
            let mut settings = self.settings.lock();
            if settings.version == version {
                return;
            }
            settings.version = version;
            *settings
        };
        for (_, shard) in self.runtime.shards() {
            shard.with_machine(|machine| machine.coordinator.set_settings(settings));
        }
    }

    /// Takes a partition over. An empty one serves at once; another one waits for the thread that reads logs, and until then its
    /// producers are told to ask again.
    pub(crate) fn load(&self, partition: &Arc<Partition>) {
        let log = Arc::new(PartitionLog::new(partition.clone(), self.clock.clone(), self.codecs.clone()));
        let machine = TransactionMachine::new(*self.settings.lock(), self.outbox.clone());
        let shard = self.runtime.open(partition.index, machine, log);
        self.loads.load("transactions", partition, shard, self.clock.clone(), self.wake.clone());
    }

    /// Gives a partition up.
    pub(crate) fn unload(&self, partition: PartitionIndex) {
        self.runtime.unload(partition);
    }

    /// Gives all partitions up.
    pub(crate) fn unload_all(&self) {
        self.runtime.unload_all();
    }

    /// Gives a request to the coordinator of a transactional id, and does what it leads to.
    pub(crate) fn submit(&self, broker: &Arc<Broker>, transactional_id: &str, request: Request, reply_to: ReplyTo) {
        match self.partition_for(transactional_id) {
            Some(partition) => {
                self.submit_to(broker, partition, request, reply_to);
                self.work(broker);
            }
            None => reply_to(ottla_transactions::refuse(&request, ErrorCode::NotCoordinator)),
        }
    }

    /// Gives a request to every partition that this broker coordinates. Each of them calls its `reply_to` once.
    pub(crate) fn submit_to_all(&self, request: &Request, reply_to: impl Fn(usize) -> ReplyTo) {
        for (index, (_, shard)) in self.runtime.shards().into_iter().enumerate() {
            shard.submit(self.now(), request.clone(), reply_to(index));
        }
    }

    /// How many partitions this broker coordinates.
    pub(crate) fn shards(&self) -> usize {
        self.runtime.shards().len()
    }

    /// The transactional ids of all partitions by the names of their states, counted.
    pub(crate) fn census(&self) -> BTreeMap<&'static str, usize> {
        let mut census = BTreeMap::new();
        for (_, shard) in self.runtime.shards() {
            for (state, count) in shard.with_machine(|machine| machine.coordinator.census()).unwrap_or_default() {
                *census.entry(state).or_default() += count;
            }
        }
        census
    }

    /// The high watermark of a partition of transactions has moved by itself.
    pub(crate) fn on_high_watermark(&self, broker: &Arc<Broker>, partition: PartitionIndex) {
        self.runtime.on_high_watermark(self.now(), partition);
        self.work(broker);
    }

    /// Lets everything happen whose time has come, and says when to come again.
    pub(crate) fn tick(&self, broker: &Arc<Broker>) -> Option<Monotonic> {
        let next = self.runtime.tick(self.now());
        self.work(broker);
        next
    }

    /// Gives a request to a partition. One that needs a producer id is given again with one.
    fn submit_to(&self, broker: &Arc<Broker>, partition: PartitionIndex, request: Request, reply_to: ReplyTo) {
        if !may_need_producer_id(&request) {
            return self.runtime.submit(self.now(), partition, request, reply_to);
        }
        let (again, answering) = (request.clone(), broker.clone());
        let reply_to = Box::new(move |response| match response {
            Response::NeedsProducerId => {
                let giving = answering.clone();
                answering.producer_ids.next(&answering.controller, move |given| match given {
                    Ok(producer_id) => {
                        let service = &giving.transactions;
                        let request = with_producer_id(again, producer_id);
                        service.runtime.submit(service.now(), partition, request, reply_to);
                        service.work(&giving);
                    }
                    Err(code) => reply_to(ottla_transactions::refuse(&again, code)),
                });
            }
            response => reply_to(response),
        });
        self.runtime.submit(self.now(), partition, request, reply_to);
    }

    /// Does what the coordinators have left to do. Each piece ends in a request to its coordinator, which may leave more.
    fn work(&self, broker: &Arc<Broker>) {
        while let Some(work) = self.outbox.pop() {
            match work {
                TransactionWork::Markers(markers) => self.write_markers(broker, markers),
                TransactionWork::TimedOut(timed_out) => {
                    let Some(partition) = self.partition_for(&timed_out.transactional_id) else { continue };
                    // Its producer will be told that its epoch is old, and nothing of why.
                    tracing::info!(transactional_id = &*timed_out.transactional_id, producer_id = %timed_out.producer_id,
                        "a transaction has lasted longer than its producer allows: it is aborted");
                    let request = Request::AbortTimedOut {
                        transactional_id: timed_out.transactional_id,
                        producer_id: timed_out.producer_id,
                        spare_producer_id: None,
                    };
                    self.submit_to(broker, partition, request, Box::new(|_| ()));
                }
            }
        }
    }

    fn write_markers(&self, broker: &Arc<Broker>, markers: Markers) {
        let Some(coordinator) = self.partition_for(&markers.transactional_id) else { return };
        let Ok(partition) = broker.partition(TRANSACTION_STATE, coordinator) else { return };
        let order = MarkerOrder {
            producer_id: markers.producer_id,
            producer_epoch: markers.producer_epoch,
            commit: markers.commit,
            coordinator_epoch: partition.leadership().leader_epoch.value(),
            version: markers.version,
        };
        let answering = broker.clone();
        let then = Box::new(move |results: MarkerResults| {
            let written = results.into_iter().filter(|(partition, code)| is_marked(partition, *code));
            let written = MarkersWritten {
                written: written.map(|(partition, _)| partition).collect(),
                transactional_id: markers.transactional_id,
                producer_id: markers.producer_id,
                producer_epoch: markers.producer_epoch,
            };
            let service = &answering.transactions;
            service.runtime.submit(service.now(), coordinator, Request::MarkersWritten(written), Box::new(|_| ()));
            service.work(&answering);
        });
        marker_requests::write_everywhere(broker, order, markers.partitions, then);
    }

    fn now(&self) -> Now {
        Now::of(&*self.clock)
    }
}

/// Whether nothing is left to do for the marker of a partition.
fn is_marked(partition: &TopicPartition, code: ErrorCode) -> bool {
    match code {
        ErrorCode::None | ErrorCode::UnsupportedForMessageFormat => true,
        ErrorCode::InvalidProducerEpoch => {
            tracing::warn!(%partition, "a partition knows a later epoch of the producer: it has no such transaction");
            true
        }
        _ => false,
    }
}

fn may_need_producer_id(request: &Request) -> bool {
    matches!(request, Request::InitProducerId(_) | Request::EndTransaction(_) | Request::AbortTimedOut { .. })
}

fn with_producer_id(request: Request, producer_id: ProducerId) -> Request {
    let spare_producer_id = Some(producer_id);
    match request {
        Request::InitProducerId(init) => Request::InitProducerId(InitProducerId { spare_producer_id, ..init }),
        Request::EndTransaction(end) => Request::EndTransaction(EndTransaction { spare_producer_id, ..end }),
        Request::AbortTimedOut { transactional_id, producer_id, .. } => {
            Request::AbortTimedOut { transactional_id, producer_id, spare_producer_id }
        }
        other => other,
    }
}

fn shard_settings(config: &NodeConfig) -> ShardSettings {
    let load_bytes = config.transactions.transaction_state_log_load_buffer_size;
    // Kafka waits for the request timeout that the client gave; all that is written here is small.
    let timeout_ms = u64::try_from(config.offsets.offsets_commit_timeout_ms).unwrap_or(0);
    ShardSettings {
        records: RecordsSettings {
            compression: CompressionLevel::default_of(Compression::None),
            load_bytes: usize::try_from(load_bytes).unwrap_or(0),
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        },
        commit_timeout: Duration::from_millis(timeout_ms),
        parked_max: PARKED_MAX,
    }
}

fn transaction_settings(config: &NodeConfig) -> TransactionSettings {
    let transactions = &config.transactions;
    TransactionSettings {
        timeout_ms_max: transactions.transaction_max_timeout_ms,
        expiration_ms: i64::from(transactions.transactional_id_expiration_ms),
        timeouts_check_interval_ms: i64::from(transactions.transaction_abort_timed_out_transaction_cleanup_interval_ms),
        expiration_check_interval_ms: i64::from(
            transactions.transaction_remove_expired_transaction_cleanup_interval_ms,
        ),
        two_phase_commit_enable: transactions.transaction_two_phase_commit_enable,
        ..TransactionSettings::default()
    }
}
