use crate::error::{ConfigErrors, Notice};
use crate::key::Scope;
use crate::keys;
use crate::layers::ConfigLayers;
use crate::listener::{HostPort, address};
use crate::properties::Properties;
use crate::settings::{Reader, settings};
use crate::topic::{self, TopicConfig};
use ottla_types::NodeId;
use std::collections::BTreeMap;

mod beyond;
mod cluster;
mod founder;
mod listeners;
mod notices;
mod quorum;

pub use cluster::{BrokerLifecycleConfig, ControllerConfig, PeerConfig, RaftConfig, ReplicationConfig};
pub use founder::Founder;
pub use listeners::ListenerConfig;
pub use quorum::{QuorumConfig, Roles};

settings! {
    /// Connections and the requests on them.
    SocketConfig {
        socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes",
        socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes",
        socket_request_max_bytes: i32 = "socket.request.max.bytes",
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size",
        connections_max_idle_ms: i64 = "connections.max.idle.ms",
        max_connections: i32 = "max.connections",
        max_connections_per_ip: i32 = "max.connections.per.ip",
        ottla_connections_max_bytes: i64 = "ottla.connections.max.bytes",
        num_network_threads: i32 = "num.network.threads",
        queued_max_request_bytes: i64 = "queued.max.request.bytes",
        max_request_partition_size_limit: i32 = "max.request.partition.size.limit",
    }
}

settings! {
    /// Fetches.
    FetchConfig {
        fetch_max_bytes: i32 = "fetch.max.bytes",
        max_incremental_fetch_session_cache_slots: i32 = "max.incremental.fetch.session.cache.slots",
        ottla_fetch_session_partitions_max: i32 = "ottla.fetch.session.partitions.max",
        replica_selector_class: String = "replica.selector.class",
    }
}

/// The `replica.selector.class` that sends consumers to a replica in their rack (KIP-392).
pub const RACK_AWARE_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
/// The `replica.selector.class` that does what none does: consumers read from leaders.
pub const LEADER_SELECTOR: &str = "org.apache.kafka.common.replica.LeaderSelector";

settings! {
    /// Over which time the rates of replication throttles are counted.
    ReplicationQuotaConfig {
        replication_quota_window_num: i32 = "replication.quota.window.num",
        replication_quota_window_size_seconds: i32 = "replication.quota.window.size.seconds",
    }
}

/// How many bytes per second may be replicated for throttled replicas; no file sets it, and `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationThrottles {
    /// `leader.replication.throttled.rate`: what this broker gives as leader.
    pub leader: Option<u64>,
    /// `follower.replication.throttled.rate`: what it fetches as follower.
    pub follower: Option<u64>,
}

impl ReplicationThrottles {
    fn of(layers: &ConfigLayers) -> Self {
        Self {
            leader: dynamic_rate(layers, "leader.replication.throttled.rate"),
            follower: dynamic_rate(layers, "follower.replication.throttled.rate"),
        }
    }
}

settings! {
    /// How topics come into being and go.
    TopicCreationConfig {
        auto_create_topics_enable: bool = "auto.create.topics.enable",
        num_partitions: i32 = "num.partitions",
        default_replication_factor: i32 = "default.replication.factor",
        delete_topic_enable: bool = "delete.topic.enable",
        ottla_partitions_max: i32 = "ottla.partitions.max",
    }
}

settings! {
    /// The broker's work on its logs; what a topic can change is in [`TopicConfig`].
    LogConfig {
        log_cleaner_enable: bool = "log.cleaner.enable",
        log_cleaner_threads: i32 = "log.cleaner.threads",
        log_cleaner_backoff_ms: i64 = "log.cleaner.backoff.ms",
        log_cleaner_dedupe_buffer_size: i64 = "log.cleaner.dedupe.buffer.size",
        log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second",
        log_cleaner_io_buffer_load_factor: f64 = "log.cleaner.io.buffer.load.factor",
        log_initial_task_delay_ms: i64 = "log.initial.task.delay.ms",
        log_retention_check_interval_ms: i64 = "log.retention.check.interval.ms",
        log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms",
        log_flush_offset_checkpoint_interval_ms: i32 = "log.flush.offset.checkpoint.interval.ms",
        num_recovery_threads_per_data_dir: i32 = "num.recovery.threads.per.data.dir",
        replica_high_watermark_checkpoint_interval_ms: i64 = "replica.high.watermark.checkpoint.interval.ms",
    }
}

settings! {
    /// The metadata log.
    MetadataLogConfig {
        metadata_log_segment_bytes: i32 = "metadata.log.segment.bytes",
        metadata_log_segment_ms: i64 = "metadata.log.segment.ms",
        metadata_max_retention_bytes: i64 = "metadata.max.retention.bytes",
        metadata_max_retention_ms: i64 = "metadata.max.retention.ms",
        metadata_log_max_record_bytes_between_snapshots: i64 = "metadata.log.max.record.bytes.between.snapshots",
        metadata_log_max_snapshot_interval_ms: i64 = "metadata.log.max.snapshot.interval.ms",
    }
}

settings! {
    /// Classic groups.
    GroupConfig {
        group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms",
        group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms",
        group_initial_rebalance_delay_ms: i32 = "group.initial.rebalance.delay.ms",
        group_max_size: i32 = "group.max.size",
        group_consumer_session_timeout_ms: i32 = "group.consumer.session.timeout.ms",
        group_consumer_min_session_timeout_ms: i32 = "group.consumer.min.session.timeout.ms",
        group_consumer_max_session_timeout_ms: i32 = "group.consumer.max.session.timeout.ms",
        group_consumer_heartbeat_interval_ms: i32 = "group.consumer.heartbeat.interval.ms",
        group_consumer_min_heartbeat_interval_ms: i32 = "group.consumer.min.heartbeat.interval.ms",
        group_consumer_max_heartbeat_interval_ms: i32 = "group.consumer.max.heartbeat.interval.ms",
        group_consumer_assignment_interval_ms: i32 = "group.consumer.assignment.interval.ms",
        group_consumer_min_assignment_interval_ms: i32 = "group.consumer.min.assignment.interval.ms",
        group_consumer_max_assignment_interval_ms: i32 = "group.consumer.max.assignment.interval.ms",
        group_consumer_max_size: i32 = "group.consumer.max.size",
        group_consumer_migration_policy: String = "group.consumer.migration.policy",
        group_coordinator_rebalance_protocols: Vec<String> = "group.coordinator.rebalance.protocols",
        ottla_group_members_max_bytes: i64 = "ottla.group.members.max.bytes",
        group_consumer_assignors: Vec<String> = "group.consumer.assignors",
    }
}

settings! {
    /// Committed offsets and the topic that holds them with the groups.
    OffsetsConfig {
        offset_metadata_max_bytes: i32 = "offset.metadata.max.bytes",
        offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions",
        offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor",
        offsets_topic_segment_bytes: i32 = "offsets.topic.segment.bytes",
        offsets_topic_compression_codec: i32 = "offsets.topic.compression.codec",
        offsets_retention_minutes: i32 = "offsets.retention.minutes",
        offsets_retention_check_interval_ms: i64 = "offsets.retention.check.interval.ms",
        offsets_commit_timeout_ms: i32 = "offsets.commit.timeout.ms",
        offsets_load_buffer_size: i32 = "offsets.load.buffer.size",
    }
}

settings! {
    /// Transactions and the topic that holds them.
    TransactionConfig {
        transaction_max_timeout_ms: i32 = "transaction.max.timeout.ms",
        transactional_id_expiration_ms: i32 = "transactional.id.expiration.ms",
        transaction_abort_timed_out_transaction_cleanup_interval_ms: i32 =
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        transaction_remove_expired_transaction_cleanup_interval_ms: i32 =
            "transaction.remove.expired.transaction.cleanup.interval.ms",
        transaction_partition_verification_enable: bool = "transaction.partition.verification.enable",
        transaction_two_phase_commit_enable: bool = "transaction.two.phase.commit.enable",
        transaction_state_log_num_partitions: i32 = "transaction.state.log.num.partitions",
        transaction_state_log_replication_factor: i16 = "transaction.state.log.replication.factor",
        transaction_state_log_min_isr: i32 = "transaction.state.log.min.isr",
        transaction_state_log_segment_bytes: i32 = "transaction.state.log.segment.bytes",
        transaction_state_log_load_buffer_size: i32 = "transaction.state.log.load.buffer.size",
    }
}

settings! {
    /// What partitions remember about producers.
    ProducerIdConfig {
        producer_id_expiration_ms: i32 = "producer.id.expiration.ms",
        producer_id_expiration_check_interval_ms: i32 = "producer.id.expiration.check.interval.ms",
    }
}

settings! {
    /// What clients tell of themselves.
    TelemetryConfig {
        telemetry_max_bytes: i32 = "telemetry.max.bytes",
    }
}

settings! {
    /// Metrics: where they are served, and how many.
    MetricsConfig {
        ottla_metrics_topics_max: i32 = "ottla.metrics.topics.max",
        ottla_metrics_partitions_max: i32 = "ottla.metrics.partitions.max",
        ottla_metrics_client_telemetry_enable: bool = "ottla.metrics.client.telemetry.enable",
        ottla_metrics_client_instances_max: i32 = "ottla.metrics.client.instances.max",
        ottla_metrics_client_series_max: i32 = "ottla.metrics.client.series.max",
    }
}

/// Everything a node needs to know about itself, typed and checked as a whole. Fields bear the names of their keys.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    /// The node's id.
    pub node_id: NodeId,
    /// Broker, controller or both.
    pub process_roles: Roles,
    /// The rack of a broker.
    pub broker_rack: Option<String>,
    /// Where the node listens and what it advertises.
    pub listeners: ListenerConfig,
    /// The voters of the metadata quorum.
    pub quorum: QuorumConfig,
    /// The directories of partitions as they were given: not made absolute, at least one, no two alike.
    pub log_dirs: Vec<String>,
    /// The directory of the metadata log.
    pub metadata_log_dir: String,
    /// Who decides what clients may do: `authorizer.class.name`, empty for nobody.
    pub authorizer_class_name: String,
    /// Whether parts of logs lie in another storage: `remote.log.storage.system.enable`.
    pub remote_log_storage_system_enable: bool,
    /// Connections and requests.
    pub sockets: SocketConfig,
    /// Addresses with a limit of their own instead of `max.connections.per.ip`.
    pub max_connections_per_ip_overrides: BTreeMap<String, i32>,
    /// Fetches.
    pub fetch: FetchConfig,
    /// Creation and deletion of topics.
    pub topics: TopicCreationConfig,
    /// Work on logs.
    pub log: LogConfig,
    /// The metadata log.
    pub metadata_log: MetadataLogConfig,
    /// The replica of the metadata log among others.
    pub raft: RaftConfig,
    /// What the active controller does by itself.
    pub controller: ControllerConfig,
    /// Registration.
    pub lifecycle: BrokerLifecycleConfig,
    /// Partitions on several brokers.
    pub replication: ReplicationConfig,
    /// Requests to other nodes.
    pub peers: PeerConfig,
    /// Classic groups.
    pub groups: GroupConfig,
    /// Committed offsets.
    pub offsets: OffsetsConfig,
    /// Transactions.
    pub transactions: TransactionConfig,
    /// Producer ids.
    pub producer_ids: ProducerIdConfig,
    /// Telemetry of clients.
    pub telemetry: TelemetryConfig,
    /// Metrics of the node.
    pub metrics: MetricsConfig,
    /// Where metrics are served, if anywhere.
    pub metrics_listener: Option<HostPort>,
    /// How many bytes per second a move between log directories may copy:
    /// `replica.alter.log.dirs.io.max.bytes.per.second`, which no file sets.
    pub alter_log_dirs_bytes_per_second: u64,
    /// Over which time the rates of replication throttles are counted.
    pub replication_quotas: ReplicationQuotaConfig,
    /// The rates of replication throttles.
    pub replication_throttles: ReplicationThrottles,
    /// What topics get that say nothing themselves.
    pub topic_defaults: TopicConfig,
    /// The texts that all this was read from, for `DescribeConfigs` and for dynamic changes.
    pub layers: ConfigLayers,
}

impl NodeConfig {
    /// Reads a node's configuration, and what an operator should know about it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn from_properties(properties: Properties) -> Result<(Self, Vec<Notice>), ConfigErrors> {
        let notices = notices::of(&properties);
        Self::from_layers(ConfigLayers::from_file(properties)).map(|config| (config, notices))
    }

    /// This configuration under the dynamic configurations of the cluster: `cluster` for all brokers, `broker` for this
    /// one. Start again from the same node for each change: layers do not add up.
    ///
    /// # Errors
    /// What is wrong with the whole. The configuration in use stays as it is then.
    pub fn with_dynamic(
        &self,
        cluster: &BTreeMap<String, String>,
        broker: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigErrors> {
        Self::from_layers(self.layers.with_dynamic(cluster, broker))
    }

    fn from_layers(layers: ConfigLayers) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(Scope::Broker, &layers);
        check_all(&mut reader);
        let identity = quorum::read(&mut reader);
        let listeners = listeners::read(&mut reader, &identity);
        let log_dirs = log_dirs(&mut reader);
        let metadata_log_dir: Option<String> = reader.get("metadata.log.dir", None);
        let config = Self {
            node_id: identity.node_id,
            process_roles: identity.roles,
            broker_rack: reader.get("broker.rack", None),
            listeners,
            quorum: identity.quorum,
            metadata_log_dir: metadata_log_dir.or_else(|| log_dirs.first().cloned()).unwrap_or_default(),
            log_dirs,
            authorizer_class_name: reader.get("authorizer.class.name", None),
            remote_log_storage_system_enable: reader.get("remote.log.storage.system.enable", None),
            sockets: SocketConfig::read(&mut reader, None),
            max_connections_per_ip_overrides: connection_overrides(&mut reader),
            fetch: FetchConfig::read(&mut reader, None),
            topics: TopicCreationConfig::read(&mut reader, None),
            log: LogConfig::read(&mut reader, None),
            metadata_log: MetadataLogConfig::read(&mut reader, None),
            raft: RaftConfig::read(&mut reader, None),
            controller: ControllerConfig::read(&mut reader, None),
            lifecycle: BrokerLifecycleConfig::read(&mut reader, None),
            replication: ReplicationConfig::read(&mut reader, None),
            peers: PeerConfig::read(&mut reader, None),
            groups: GroupConfig::read(&mut reader, None),
            offsets: OffsetsConfig::read(&mut reader, None),
            transactions: TransactionConfig::read(&mut reader, None),
            producer_ids: ProducerIdConfig::read(&mut reader, None),
            telemetry: TelemetryConfig::read(&mut reader, None),
            metrics: MetricsConfig::read(&mut reader, None),
            metrics_listener: metrics_listener(&mut reader),
            alter_log_dirs_bytes_per_second: alter_log_dirs_rate(&layers),
            replication_quotas: ReplicationQuotaConfig::read(&mut reader, None),
            replication_throttles: ReplicationThrottles::of(&layers),
            topic_defaults: topic::topic_defaults(&mut reader),
            layers: layers.clone(),
        };
        config.check_together(&mut reader);
        let mut errors = std::mem::take(&mut reader.errors);
        // Several readers may have stumbled over the same value.
        let mut seen = Vec::new();
        errors.retain(|error| {
            let new = !seen.contains(error);
            seen.push(error.clone());
            new
        });
        errors.sort_by(|left, right| left.place().cmp(&right.place()));
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    /// Rules between values that no single key can check.
    fn check_together(&self, reader: &mut Reader<'_>) {
        let sockets = &self.sockets;
        let budget = sockets.queued_max_request_bytes;
        if budget > 0 && budget < i64::from(sockets.socket_request_max_bytes) {
            reader.conflict(
                "queued.max.request.bytes",
                "queued.max.request.bytes must be at least socket.request.max.bytes, or -1",
            );
        }
        if sockets.max_connections_per_ip == 0 && self.max_connections_per_ip_overrides.is_empty() {
            reader.conflict(
                "max.connections.per.ip",
                "max.connections.per.ip can be 0 only with max.connections.per.ip.overrides",
            );
        }
        if !(0..=4).contains(&self.offsets.offsets_topic_compression_codec) {
            reader.conflict("offsets.topic.compression.codec", "offsets.topic.compression.codec must be 0 to 4");
        }
        let defaults = &self.topic_defaults;
        if defaults.retention_ms == 0 {
            reader.conflict("log.retention.ms", "log.retention.ms must be -1 (forever) or at least 1");
        }
        if defaults.segment_ms < 1 {
            reader.conflict("log.roll.ms", "log.roll.ms must be at least 1");
        }
        if defaults.segment_jitter_ms < 0 {
            reader.conflict("log.roll.jitter.ms", "log.roll.jitter.ms must not be negative");
        }
        let replication = &self.replication;
        let wait_ms = replication.replica_fetch_wait_max_ms;
        // A follower would take a leader that waits for records for dead, or be taken for one that lags.
        if wait_ms > replication.replica_socket_timeout_ms || i64::from(wait_ms) > replication.replica_lag_time_max_ms {
            reader.conflict(
                "replica.fetch.wait.max.ms",
                "replica.fetch.wait.max.ms must not be greater than replica.socket.timeout.ms and replica.lag.time.max.ms",
            );
        }
        check_without_effect(reader);
    }
}

/// Rules between keys that Ottla does not obey yet, so that a file that it takes is one that Kafka takes.
fn check_without_effect(reader: &mut Reader<'_>) {
    let delay_ms: i32 = reader.get("connection.failed.authentication.delay.ms", None);
    let idle_ms: i64 = reader.get("connections.max.idle.ms", None);
    if idle_ms >= 0 && i64::from(delay_ms) >= idle_ms {
        reader.conflict(
            "connection.failed.authentication.delay.ms",
            "connection.failed.authentication.delay.ms must be less than connections.max.idle.ms",
        );
    }
    let dedupe_bytes: i64 = reader.get("log.cleaner.dedupe.buffer.size", None);
    let threads: i32 = reader.get("log.cleaner.threads", None);
    if dedupe_bytes / i64::from(threads.max(1)) <= 1024 * 1024 {
        reader.conflict(
            "log.cleaner.dedupe.buffer.size",
            "log.cleaner.dedupe.buffer.size must be more than 1 MiB for each of log.cleaner.threads",
        );
    }
}

/// Checks every known key that is set, also those that Ottla does not obey yet: a slip must not wait for the version that
/// does.
fn check_all(reader: &mut Reader<'_>) {
    for key in keys::broker().chain(keys::OWN) {
        reader.value(key);
    }
}

fn alter_log_dirs_rate(layers: &ConfigLayers) -> u64 {
    dynamic_rate(layers, "replica.alter.log.dirs.io.max.bytes.per.second").unwrap_or(i64::MAX as u64)
}

fn dynamic_rate(layers: &ConfigLayers, key: &str) -> Option<u64> {
    layers.dynamic(key).and_then(|rate| rate.trim().parse().ok())
}

fn log_dirs(reader: &mut Reader<'_>) -> Vec<String> {
    let dirs: Option<Vec<String>> = reader.get("log.dirs", None);
    dirs.unwrap_or_else(|| reader.get("log.dir", None))
}

fn metrics_listener(reader: &mut Reader<'_>) -> Option<HostPort> {
    const KEY: &str = "ottla.metrics.listener";
    let text: String = reader.get::<Option<String>>(KEY, None)?;
    match address(&text) {
        Ok(address) => Some(address),
        Err(error) => {
            reader.conflict(KEY, format!("{KEY}: {text}: {}", error.reason("host:port")));
            None
        }
    }
}

fn connection_overrides(reader: &mut Reader<'_>) -> BTreeMap<String, i32> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text: String = reader.get(KEY, None);
    let mut overrides = BTreeMap::new();
    for entry in crate::value::list(&text) {
        match entry.rsplit_once(':').map(|(host, count)| (host.trim(), count.trim().parse::<i32>())) {
            Some((host, Ok(count))) if !host.is_empty() && count >= 0 => {
                overrides.insert(host.to_owned(), count);
            }
            _ => reader.conflict(KEY, format!("{KEY}: {entry} is not of the form address:count")),
        }
    }
    overrides
}

#[cfg(test)]
mod tests;
