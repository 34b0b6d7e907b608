//! A node from its start to its stop.

use crate::broker::Broker;
use crate::broker_watch::{BrokerWatch, WatchOptions};
use crate::codecs::Codecs;
use crate::controller_channel::{ControllerChannel, accepted};
use crate::coordinator_loads::CoordinatorLoads;
use crate::directory_assignments::{self, DirectoryAssignments};
use crate::fetch::{FetchEnvironment, Fetches};
use crate::groups::GroupService;
use crate::internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::isolation::Isolation;
use crate::lifecycle::{Lifecycle, LifecycleError, LifecycleOptions};
use crate::loggers::Loggers;
use crate::metadata_view::MetadataView;
use crate::metrics::{self, RequestMetrics};
use crate::partition::{PartitionRegistry, log_config};
use crate::peers::{Lane, PeerNetwork, Peers, silence};
use crate::producer_ids::ProducerIds;
use crate::publisher::{Publisher, node_config, topic_config};
use crate::quorum::{Mailbox, MetadataQuorum, QuorumError, QuorumOptions, QuorumReading, QuorumStart, holds_metadata};
use crate::replica_moves;
use crate::replication::{
    Replication, ReplicationContext, ReplicationOptions, ReplicationSettings, Throttles, fetchers_per_leader,
};
use crate::service::{BrokerService, ListenerKind};
use crate::telemetry::Telemetry;
use crate::timers::Timers;
use crate::transactions::TransactionService;
use core::time::Duration;
use ottla_config::{Endpoint, NodeConfig, RACK_AWARE_SELECTOR};
use ottla_env::{Clock, Disk, DiskError, Monotonic, Random};
use ottla_log::{
    CleanupPolicy, CompactionSettings, DirectoriesOptions, Environment, LogConfig, LogDirectories, LogDirectory,
    OpenError,
};
use ottla_metadata::{MetadataImage, MetadataVersionExt as _};
use ottla_metrics::Exposition;
use ottla_net::{Destination, Service};
use ottla_records::DECOMPRESSED_BATCH_BYTES_MAX;
use ottla_replication::ReplicaSelector;
use ottla_types::{TopicPartition, Uuid};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// How often a stopping broker asks whether it may go. Alone it may after the second time: the first hands over.
const LEAVE_HEARTBEATS_MAX: usize = 3;

/// What a node is made of.
pub struct NodeOptions {
    /// The configuration.
    pub config: NodeConfig,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The source of ids and secrets.
    pub random: Arc<dyn Random>,
    /// Called when `Node::tick` should be called earlier than it said. It must only signal.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Called when there is something for `Node::sync` to do. It must only signal.
    pub wake_syncer: Arc<dyn Fn() + Send + Sync>,
    /// Called when there is something for `Node::load_coordinators` to do. It must only signal.
    pub wake_loader: Arc<dyn Fn() + Send + Sync>,
    /// What clients are told: the advertised listeners with the ports that were really bound.
    pub endpoints: Vec<Endpoint>,
    /// The loggers of the process.
    pub loggers: Arc<dyn Loggers>,
    /// How many segment files may be open at a time.
    pub segment_files_max: usize,
    /// How other nodes are asked.
    pub peers: Arc<dyn PeerNetwork>,
}

/// Why a node can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The log directories can't be used.
    #[error(transparent)]
    Directories(#[from] OpenError),
    /// The directory that should have the cluster's metadata has none, but another one has.
    #[error(
        "{} holds no metadata of the cluster, but {} does: name that in metadata.log.dir, or first in log.dirs",
        expected.display(),
        found.display()
    )]
    MetadataElsewhere {
        /// Where the configuration says that it is.
        expected: PathBuf,
        /// Where it is.
        found: PathBuf,
    },
    /// The metadata quorum can't start.
    #[error("the cluster's metadata can't be loaded: {0}")]
    Quorum(String),
    /// The broker can't take its place.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
}

impl From<DiskError> for StartError {
    fn from(error: DiskError) -> Self {
        Self::Directories(error.into())
    }
}

impl From<QuorumError> for StartError {
    fn from(error: QuorumError) -> Self {
        Self::Quorum(error.to_string())
    }
}

/// When there is nothing to wait for, this long.
const IDLE: Duration = Duration::from_secs(3600);

/// How often it is looked whether compaction has been switched on.
const COMPACTION_LOOKS: Duration = Duration::from_secs(15);

/// A running node: broker, controller or both. It serves by the services it hands out, works in `tick`, and owns no thread.
pub struct Node {
    broker: Arc<Broker>,
    lifecycle: Lifecycle,
    publisher: Arc<Publisher>,
    assignments: Arc<DirectoryAssignments>,
    move_pace: Mutex<replica_moves::Pace>,
    timers: Arc<Timers>,
    watch: Arc<BrokerWatch>,
    isolation: Isolation,
    loads: Arc<CoordinatorLoads>,
}

impl Node {
    /// Starts a node: its directories are locked and read, its metadata is replayed, its partitions are open and the
    /// broker is registered and unfenced when this returns.
    ///
    /// # Errors
    /// Directories or metadata can't be used, or the controller refuses the broker. Nothing of the node goes on then.
    pub fn start(options: NodeOptions) -> Result<Self, StartError> {
        let static_config = Arc::new(options.config);
        let environment = Environment { disk: options.disk, clock: options.clock, random: options.random };
        refuse_metadata_elsewhere(&*environment.disk, &static_config)?;
        let logs = Arc::new(open_directories(environment.clone(), &static_config, options.segment_files_max)?);
        let peers = Peers::new(options.peers, &static_config.node_id.to_string());
        let mailbox = Arc::new(Mailbox::new(options.wake.clone()));
        let start = load_quorum(&static_config, &logs, &environment, peers.clone(), mailbox)?;
        load_logs(&logs, &static_config, &start.newest_image()?);
        let parts = Parts::new(&static_config, &environment, &options.wake, options.wake_loader);
        let replication = replication(&static_config, &environment, &parts, peers.clone(), options.wake.clone());
        let incarnation_id = environment.random.uuid();
        let publisher = Arc::new(publisher(&static_config, &logs, &parts, replication.clone(), incarnation_id));
        let quorum = join_quorum(start, &publisher)?;
        replication.set_controller(ControllerChannel::new(&quorum, peers.clone(), &static_config));
        logs.share_syncs(options.wake_syncer);
        let cluster_id = cluster_id(&logs);
        let broker = Arc::new(Broker {
            node_id: static_config.node_id,
            cluster_id: cluster_id.clone(),
            static_config: static_config.clone(),
            config: parts.config,
            clock: environment.clock.clone(),
            logs: logs.clone(),
            metadata: parts.metadata,
            partitions: parts.partitions,
            codecs: parts.codecs,
            timers: parts.timers.clone(),
            fetches: parts.fetches,
            groups: parts.groups,
            transactions: parts.transactions,
            telemetry: parts.telemetry,
            loggers: options.loggers,
            requests: Arc::new(RequestMetrics::new(environment.clock.clone())),
            controller: ControllerChannel::new(&quorum, peers.clone(), &static_config),
            peers,
            quorum,
            producer_ids: ProducerIds::new(static_config.node_id),
            replication,
        });
        tell_coordinators(&broker);
        let (watch, isolation) = (broker_watch(&broker, options.wake.clone()), isolation(&broker));
        let lifecycle = Lifecycle::new(LifecycleOptions {
            config: static_config,
            cluster_id,
            incarnation_id,
            endpoints: options.endpoints,
            logs,
            metadata: broker.metadata.clone(),
            channel: broker.controller.clone(),
            clock: environment.clock.clone(),
            wake: options.wake,
        });
        let node = Self {
            broker,
            lifecycle,
            publisher,
            timers: parts.timers,
            assignments: parts.assignments,
            move_pace: Mutex::default(),
            watch,
            isolation,
            loads: parts.loads,
        };
        node.appear(environment.clock.monotonic())?;
        Ok(node)
    }

    /// Asks the cluster for the first time to be taken in. Alone it has got all its answers then.
    fn appear(&self, now: Monotonic) -> Result<(), StartError> {
        self.live(now);
        if self.broker.quorum.is_only_voter() && !self.is_running() {
            return Err(self.lifecycle.failure().unwrap_or(LifecycleError::Fenced).into());
        }
        Ok(())
    }

    /// Whether the cluster has taken this node in: clients are sent to the broker, or the controller is registered where there is no
    /// broker. Alone it is so from the start; among others it comes about in `tick`.
    pub fn is_running(&self) -> bool {
        self.lifecycle.is_running()
    }

    /// Why it is not, if anything is known: what the controller answered last, or that there is none.
    pub fn waits_for(&self) -> Option<LifecycleError> {
        self.lifecycle.failure()
    }

    /// The requests of listeners for clients and brokers.
    pub fn broker_service(&self) -> Arc<dyn Service> {
        Arc::new(BrokerService::new(self.broker.clone(), ListenerKind::Broker))
    }

    /// The requests of listeners for controllers.
    pub fn controller_service(&self) -> Arc<dyn Service> {
        Arc::new(BrokerService::new(self.broker.clone(), ListenerKind::Controller))
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.broker.cluster_id
    }

    /// Where the metadata quorum stands, seen from here.
    pub fn quorum(&self) -> QuorumReading {
        self.broker.quorum.reading()
    }

    /// How many partitions are open.
    pub fn partitions(&self) -> usize {
        self.broker.partitions.all().len()
    }

    /// Does what is due by time, and says when to come again. May write and sync the metadata log; only one thread calls it,
    /// and none that serves clients.
    pub fn tick(&self) -> Monotonic {
        let now = self.broker.clock.monotonic();
        let mut next = self.live(now).unwrap_or(now + IDLE);
        if let Some(deadline) = self.broker.replication.tick(now) {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.broker.quorum.tick(now) {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.timers.run_due(now) {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.broker.groups.tick() {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.broker.transactions.tick(&self.broker) {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.watch.tick(&self.broker.quorum) {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.isolation.look(&self.broker.quorum) {
            next = next.min(deadline);
        }
        self.tell_assignments();
        next
    }

    /// A connection to another node has ended. It is only noted, and looked at in `tick`.
    pub fn connection_ended(&self, address: &Destination) {
        self.watch.connection_ended(address);
    }

    /// Compacts the logs that need it, one after the other, and says when to come again. Takes as long as it takes, until
    /// [`Self::stop_compaction`]; as many threads may call it as `log.cleaner.threads` says, and none that does anything else.
    pub fn compact(&self) -> Monotonic {
        let config = self.broker.config();
        let threads = usize::try_from(config.log.log_cleaner_threads).unwrap_or(0);
        let now = || self.broker.clock.monotonic();
        if !config.log.log_cleaner_enable || threads == 0 {
            return now() + COMPACTION_LOOKS;
        }
        let bytes = usize::try_from(config.log.log_cleaner_dedupe_buffer_size).unwrap_or(0);
        let settings = CompactionSettings {
            dedupe_bytes: bytes / threads,
            load_factor: config.log.log_cleaner_io_buffer_load_factor,
            bytes_per_second: config.log.log_cleaner_io_max_bytes_per_second / threads as f64,
            decompressed_bytes_max: DECOMPRESSED_BATCH_BYTES_MAX,
        };
        while let Some(done) = self.broker.logs.compact_next(&settings, self.broker.clock.wall()) {
            tracing::info!(partition = %done.partition, end = %done.end_offset, before = done.bytes_before,
                after = done.bytes_after, "compacted");
        }
        now() + Duration::from_millis(u64::try_from(config.log.log_cleaner_backoff_ms).unwrap_or(0))
    }

    /// Has compaction end at the next batch, for good.
    pub fn stop_compaction(&self) {
        self.broker.logs.stop_compaction();
    }

    /// Looks after the logs: flushes, checkpoints, retention, removal of what was deleted, replicas on their way between
    /// directories. Says when to come again. Writes and
    /// syncs files, so it may take a while; only one thread calls it, and none that serves clients or calls `tick`.
    pub fn keep_logs(&self) -> Monotonic {
        let now = self.broker.clock.monotonic();
        let next = self.broker.logs.tick(now);
        if self.publisher.lacks_room() {
            self.broker.quorum.look_at_published(|image| self.publisher.open_missing(image));
        }
        let mut pace = self.move_pace.lock();
        replica_moves::advance(&self.broker, &self.assignments, &mut pace, now).map_or(next, |again| next.min(again))
    }

    /// Tells the controller where replicas lie that it does not know of.
    fn tell_assignments(&self) {
        if !self.lifecycle.metadata_version().has_directory_assignment() {
            return;
        }
        let assigned = self.assignments.take();
        if assigned.is_empty() {
            return;
        }
        let epoch = self.lifecycle.epoch();
        let request = directory_assignments::request(self.broker.node_id, epoch, &assigned);
        let assignments = self.assignments.clone();
        self.broker.controller.ask(Lane::Controller, request, move |answer| {
            let refusal = match answer {
                Ok(response) => accepted(response.error_code).err().map(|code| code.name().to_owned()),
                Err(failure) => Some(failure.to_string()),
            };
            if let Some(refusal) = refusal {
                tracing::warn!(refusal, "the controller was not told where replicas lie");
                assignments.put_back(assigned);
            }
        });
    }

    /// Why the node can't go on: the metadata log or its directory has failed, or all directories have, so that nothing can be
    /// acknowledged any more; or what it needs of the controller has not come in time. `None` while it can.
    pub fn failure(&self) -> Option<String> {
        let logs = &self.broker.logs;
        let metadata = Path::new(&self.broker.static_config.metadata_log_dir);
        if let Some(error) = logs.directory_at(metadata).and_then(LogDirectory::failure) {
            let path = metadata.display();
            return Some(format!("the log directory {path} is offline, and with it the cluster's metadata: {error}"));
        }
        if let Some(error) = self.broker.quorum.failure() {
            return Some(format!("the metadata log has failed: {error}"));
        }
        if let Some(given_up) = self.lifecycle.given_up() {
            let last = self.lifecycle.failure().map_or_else(String::new, |failure| format!(" ({failure})"));
            return Some(format!("{given_up}{last}"));
        }
        let failures = logs.directories().iter().map(LogDirectory::failure).collect::<Option<Vec<_>>>()?;
        Some(format!("all log directories are offline: {}", failures.join("; ")))
    }

    /// What keeps the node from doing all that it should, a sentence each; none while all is well.
    pub fn problems(&self) -> Vec<String> {
        let problem = |directory: &LogDirectory| {
            let failure = directory.failure()?;
            Some(format!("the log directory {} is offline: {failure}", directory.path().display()))
        };
        let logs = &self.broker.logs;
        let unusable = |(path, error): &(PathBuf, OpenError)| {
            format!("the log directory {} is offline since the start: {error}", path.display())
        };
        logs.directories().iter().filter_map(problem).chain(logs.failed().iter().map(unusable)).collect()
    }

    /// Shows what the node counts and is at the moment.
    pub fn show_metrics(&self, exposition: &mut Exposition) {
        metrics::show(&self.broker, exposition);
    }

    /// One round of group commit: makes durable what `flush.messages` has wait for it, and acknowledges it. Takes as long as
    /// the disk does; only one thread calls it, and none that serves clients.
    pub fn sync(&self) {
        let synced = self.broker.logs.sync_waiting();
        let mut failed = false;
        for log in &synced {
            failed |= log.is_offline();
            let name = log.topic_partition();
            let Some(partition) = self.broker.partitions.partition(&name.topic, name.partition) else { continue };
            partition.synced();
            self.broker.replication.log_synced(&partition);
            match &*name.topic {
                CONSUMER_OFFSETS => self.broker.groups.on_high_watermark(name.partition),
                TRANSACTION_STATE => self.broker.transactions.on_high_watermark(&self.broker, name.partition),
                _ => {}
            }
        }
        if failed {
            self.directories_failed();
        }
    }

    /// Reads the logs of coordinators that have been taken over; until then those refuse whoever asks them. Takes as long as
    /// it takes, or until [`Self::release_waiting`]; only one thread calls it, and none that does anything else.
    pub fn load_coordinators(&self) {
        self.loads.run();
    }

    /// Tells whoever waits for a partition whose directory is offline: what it waits for won't come. The controller is told by
    /// the thread that ticks.
    fn directories_failed(&self) {
        self.lifecycle.wake();
        for partition in self.broker.partitions.all().iter().filter(|partition| partition.log.is_offline()) {
            partition.waiters.partition_changed();
        }
    }

    /// Answers whoever waits, with what there is: the node is about to stop, and connections are to be closed soon.
    pub fn release_waiting(&self) {
        self.broker.fetches.complete_all();
        self.broker.groups.unload_all();
        self.broker.transactions.unload_all();
    }

    /// Registers, reports, or leaves: what is due.
    fn live(&self, now: Monotonic) -> Option<Monotonic> {
        let next = self.lifecycle.advance(now);
        self.broker.producer_ids.set_broker_epoch(self.lifecycle.epoch());
        self.broker.replication.set_broker_epoch(self.lifecycle.epoch());
        next
    }

    /// Stops in good order: leaves the cluster, closes coordinators and logs, so that the next start need not scan them.
    /// Connections must be closed already. Whatever fails is said in the log; the next start recovers from it.
    pub fn shutdown(self) {
        self.leave();
        self.release_waiting();
        self.broker.quorum.resign();
        self.broker.logs.close(self.lifecycle.epoch());
    }

    /// Asks to hand over what this broker leads, and to go: the next start need not wait for the session. Alone it may go at
    /// once; among others the controller lets it go when others lead, which comes about in `tick`.
    pub fn begin_leaving(&self) {
        for _ in 0..LEAVE_HEARTBEATS_MAX {
            self.lifecycle.begin_leaving();
            self.lifecycle.advance(self.broker.clock.monotonic());
        }
    }

    /// Whether the controller has let this broker go.
    pub fn has_left(&self) -> bool {
        self.lifecycle.has_left()
    }

    fn leave(&self) {
        self.begin_leaving();
        if !self.has_left() {
            let reason = self.lifecycle.failure().map(|failure| failure.to_string()).unwrap_or_default();
            tracing::warn!(reason, "the controller has not let this broker go");
        }
    }
}

/// The parts that metadata is published to.
struct Parts {
    config: Arc<RwLock<Arc<NodeConfig>>>,
    metadata: Arc<MetadataView>,
    partitions: Arc<PartitionRegistry>,
    codecs: Arc<Codecs>,
    timers: Arc<Timers>,
    fetches: Arc<Fetches>,
    groups: Arc<GroupService>,
    transactions: Arc<TransactionService>,
    telemetry: Arc<Telemetry>,
    assignments: Arc<DirectoryAssignments>,
    loads: Arc<CoordinatorLoads>,
}

impl Parts {
    fn new(
        config: &Arc<NodeConfig>,
        environment: &Environment,
        wake: &Arc<dyn Fn() + Send + Sync>,
        wake_loader: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let Environment { clock, random, .. } = environment;
        let metadata = Arc::new(MetadataView::default());
        let partitions = Arc::new(PartitionRegistry::default());
        let codecs = Arc::new(Codecs::default());
        let alarm = wake.clone();
        let timers = Arc::new(Timers::new(Box::new(move || alarm())));
        let slots = config.fetch.max_incremental_fetch_session_cache_slots;
        let session_partitions = config.fetch.ottla_fetch_session_partitions_max;
        let fetches = Arc::new(Fetches::new(FetchEnvironment {
            partitions: partitions.clone(),
            metadata: metadata.clone(),
            timers: timers.clone(),
            clock: clock.clone(),
            random: random.clone(),
            selector: replica_selector(config),
            session_slots_max: usize::try_from(slots).unwrap_or(0),
            session_partitions_max: usize::try_from(session_partitions).unwrap_or(0),
        }));
        let shared = Arc::new(RwLock::new(config.clone()));
        let loads = Arc::new(CoordinatorLoads::new(wake_loader));
        let groups = Arc::new(GroupService::new(
            shared.clone(),
            metadata.clone(),
            clock.clone(),
            random.clone(),
            codecs.clone(),
            loads.clone(),
            wake.clone(),
        ));
        let transactions = Arc::new(TransactionService::new(
            config,
            metadata.clone(),
            clock.clone(),
            codecs.clone(),
            loads.clone(),
            wake.clone(),
        ));
        let telemetry = Arc::new(Telemetry::new(&config.metrics, clock.clone(), random.clone()));
        let assignments = Arc::new(DirectoryAssignments::new(wake.clone()));
        let config = shared;
        Self {
            config,
            metadata,
            partitions,
            codecs,
            timers,
            fetches,
            groups,
            transactions,
            telemetry,
            assignments,
            loads,
        }
    }
}

fn open_directories(
    environment: Environment,
    config: &NodeConfig,
    open_files_max: usize,
) -> Result<LogDirectories, OpenError> {
    let paths: Vec<PathBuf> = config.log_dirs.iter().map(PathBuf::from).collect();
    let log = &config.log;
    let milliseconds = |value: i64| Duration::from_millis(u64::try_from(value).unwrap_or(0));
    let options = DirectoriesOptions {
        cluster_id: None,
        node_id: Some(config.node_id),
        metadata_directory: Some(PathBuf::from(&config.metadata_log_dir)),
        open_files_max,
        recovery_threads: usize::try_from(log.num_recovery_threads_per_data_dir).unwrap_or(1),
        retention_check_interval: milliseconds(log.log_retention_check_interval_ms),
        initial_task_delay: milliseconds(log.log_initial_task_delay_ms),
        checkpoint_interval: milliseconds(i64::from(log.log_flush_offset_checkpoint_interval_ms)),
        high_watermark_checkpoint_interval: milliseconds(log.replica_high_watermark_checkpoint_interval_ms),
        producer_expiration_check_interval: milliseconds(i64::from(
            config.producer_ids.producer_id_expiration_check_interval_ms,
        )),
    };
    LogDirectories::open(environment, &paths, options)
}

/// Opens the logs under the configurations of their topics: what a crash may have left of a log hangs on whether it is
/// compacted.
fn load_logs(logs: &LogDirectories, config: &NodeConfig, image: &MetadataImage) {
    let dynamic = node_config(config, image);
    let config = dynamic.as_ref().unwrap_or(config);
    let of_topic = |partition: &TopicPartition| log_config(config, &topic_config(config, image, &partition.topic));
    for (partition, error) in logs.load(&of_topic) {
        tracing::error!(%partition, %error, "a partition can't be opened");
    }
    // What a crash has left of records that count only when they are durable is made so before anybody looks for them.
    for log in logs.logs().iter().filter(|log| log.acknowledgeable_offset() < log.log_end_offset()) {
        if let Err(error) = log.flush() {
            tracing::error!(partition = %log.topic_partition(), %error, "what was left by a crash can't be synced");
        }
    }
}

fn cluster_id(logs: &LogDirectories) -> String {
    logs.directories().first().map(|directory| directory.properties().cluster_id.clone()).unwrap_or_default()
}

fn broker_watch(broker: &Broker, wake: Arc<dyn Fn() + Send + Sync>) -> Arc<BrokerWatch> {
    BrokerWatch::new(WatchOptions {
        node_id: broker.node_id,
        listener: broker.static_config.listeners.inter_broker_listener_name.clone(),
        peers: broker.peers.clone(),
        metadata: broker.metadata.clone(),
        clock: broker.clock.clone(),
        pulse: silence(&broker.static_config).map(|silence| silence.pulse),
        wake,
    })
}

fn isolation(broker: &Broker) -> Isolation {
    Isolation {
        node_id: broker.node_id,
        listener: broker.static_config.listeners.inter_broker_listener_name.clone(),
        peers: broker.peers.clone(),
        metadata: broker.metadata.clone(),
        partitions: broker.partitions.clone(),
        context: broker.replication.context().clone(),
        ask_again: Mutex::default(),
    }
}

/// Takes part in the quorum, with what is committed published.
fn join_quorum(start: QuorumStart, publisher: &Arc<Publisher>) -> Result<Arc<MetadataQuorum>, StartError> {
    let publishing = publisher.clone();
    Ok(Arc::new(start.run(Box::new(move |delta| publishing.publish(delta)))?))
}

/// Coordinators wait for high watermarks of their partitions, which followers move.
fn tell_coordinators(broker: &Arc<Broker>) {
    let told = Arc::downgrade(broker);
    broker.replication.context().tell(Box::new(move |topic, partition| {
        let Some(broker) = told.upgrade() else { return };
        match topic {
            CONSUMER_OFFSETS => broker.groups.on_high_watermark(partition),
            TRANSACTION_STATE => broker.transactions.on_high_watermark(&broker, partition),
            _ => {}
        }
    }));
}

fn replication(
    config: &NodeConfig,
    environment: &Environment,
    parts: &Parts,
    peers: Peers,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> Arc<Replication> {
    let settings = ReplicationSettings::new(&config.replication);
    let (clock, throttles) = (environment.clock.clone(), Throttles::new(config));
    let context = ReplicationContext::new(config.node_id, settings.lag_max, clock, wake, throttles);
    Replication::new(ReplicationOptions {
        node_id: config.node_id,
        listener: config.listeners.inter_broker_listener_name.clone(),
        settings,
        fetchers_per_leader: fetchers_per_leader(&config.replication),
        context: Arc::new(context),
        partitions: parts.partitions.clone(),
        metadata: parts.metadata.clone(),
        peers,
    })
}

/// Which replicas consumers are sent to.
fn replica_selector(config: &NodeConfig) -> ReplicaSelector {
    match config.fetch.replica_selector_class == RACK_AWARE_SELECTOR {
        true => ReplicaSelector::RackAware,
        false => ReplicaSelector::Leader,
    }
}

fn publisher(
    config: &Arc<NodeConfig>,
    logs: &Arc<LogDirectories>,
    parts: &Parts,
    replication: Arc<Replication>,
    incarnation_id: Uuid,
) -> Publisher {
    Publisher {
        broker_id: config.node_id,
        static_config: config.clone(),
        config: parts.config.clone(),
        logs: logs.clone(),
        assignments: parts.assignments.clone(),
        metadata: parts.metadata.clone(),
        partitions: parts.partitions.clone(),
        fetches: parts.fetches.clone(),
        groups: parts.groups.clone(),
        transactions: parts.transactions.clone(),
        telemetry: parts.telemetry.clone(),
        replication,
        incarnation_id,
        is_serving: AtomicBool::new(false),
        lacks_room: AtomicBool::new(false),
    }
}

/// Where the configuration says that the metadata is there is none, but in another directory there is. Looked for before anything
/// is changed.
fn refuse_metadata_elsewhere(disk: &dyn Disk, config: &NodeConfig) -> Result<(), StartError> {
    let expected = Path::new(&config.metadata_log_dir);
    if holds_metadata(disk, expected)? {
        return Ok(());
    }
    for path in config.log_dirs.iter().map(Path::new) {
        if holds_metadata(disk, path)? {
            return Err(StartError::MetadataElsewhere { expected: expected.to_owned(), found: path.to_owned() });
        }
    }
    Ok(())
}

fn load_quorum(
    config: &Arc<NodeConfig>,
    logs: &Arc<LogDirectories>,
    environment: &Environment,
    peers: Peers,
    mailbox: Arc<Mailbox>,
) -> Result<QuorumStart, StartError> {
    let metadata_path = Path::new(&config.metadata_log_dir);
    // A broker without a controller is formatted without metadata: it gets all of it from the controllers.
    if config.process_roles.controller && !holds_metadata(&*environment.disk, metadata_path)? {
        return Err(QuorumError::NoSnapshot(metadata_path.to_owned()).into());
    }
    let log = logs.open_metadata_log(Some(metadata_path), metadata_log_config(config))?;
    let directory = logs.directory_at(metadata_path);
    Ok(QuorumStart::load(QuorumOptions {
        config: config.clone(),
        cluster_id: cluster_id(logs),
        directory_id: directory.map(|directory| directory.id()).unwrap_or_default(),
        disk: environment.disk.clone(),
        clock: environment.clock.clone(),
        random: environment.random.clone(),
        log,
        peers,
        mailbox,
    })?)
}

/// The metadata log is cut by snapshots, never by retention.
fn metadata_log_config(config: &NodeConfig) -> LogConfig {
    LogConfig {
        segment_bytes: u32::try_from(config.metadata_log.metadata_log_segment_bytes).unwrap_or(u32::MAX),
        segment_ms: config.metadata_log.metadata_log_segment_ms,
        retention_bytes: -1,
        retention_ms: -1,
        cleanup_policy: CleanupPolicy { delete: true, compact: false },
        max_message_bytes: u32::MAX >> 1,
        ..LogConfig::default()
    }
}
