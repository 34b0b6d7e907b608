//! Brings the partitions of this broker in line with each newly published metadata image.

use crate::directory_assignments::DirectoryAssignments;
use crate::fetch::Fetches;
use crate::groups::GroupService;
use crate::internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::metadata_view::MetadataView;
use crate::partition::{Leadership, Partition, PartitionRegistry, TopicRules, log_config};
use crate::replication::{Replication, fetchers_per_leader, partition_state};
use crate::telemetry::Telemetry;
use crate::transactions::TransactionService;
use ottla_config::{NodeConfig, TopicConfig};
use ottla_groups::DeletedTopic;
use ottla_log::{Log, LogConfig, LogDirectories, PartitionError};
use ottla_metadata::{
    ConfigResource, ConfigResourceType, Feature, LocalReplica, LocalReplicas, MetadataDelta, MetadataImage,
    directory_id,
};
use ottla_types::{BrokerId, DirectoryId, PartitionIndex, TopicId, TopicPartition, Uuid};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The topic of the metadata log, which is no partition of the cluster.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Applies metadata to this broker. Called for one change after the other, in the order of the metadata log.
pub(crate) struct Publisher {
    pub(crate) broker_id: BrokerId,
    /// The configuration of the file, to which dynamic ones are added anew at each change.
    pub(crate) static_config: Arc<NodeConfig>,
    pub(crate) config: Arc<RwLock<Arc<NodeConfig>>>,
    pub(crate) logs: Arc<LogDirectories>,
    pub(crate) assignments: Arc<DirectoryAssignments>,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) partitions: Arc<PartitionRegistry>,
    pub(crate) fetches: Arc<Fetches>,
    pub(crate) groups: Arc<GroupService>,
    pub(crate) transactions: Arc<TransactionService>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) replication: Arc<Replication>,
    /// Of this start of the broker.
    pub(crate) incarnation_id: Uuid,
    /// Whether replicas are what the metadata says: from the registration of this incarnation on.
    pub(crate) is_serving: AtomicBool,
    /// Whether a full disk, or a want of descriptors, has kept a partition from being opened.
    pub(crate) lacks_room: AtomicBool,
}

impl Publisher {
    /// Partitions that come are opened before the image names them, and those that go are closed after it has forgotten
    /// them: whoever finds a partition in an image finds it served.
    pub(crate) fn publish(&self, delta: &MetadataDelta) {
        let image = delta.after();
        self.transactions.set_version(image.features.level(Feature::TransactionVersion));
        let node_changed = self.apply_node_config(delta);
        let begins = self.begins_to_serve(image);
        let local = self.replicas_to_apply(delta, begins);
        let mut rules = RulesCache::default();
        for replica in local.leaders.iter().chain(&local.followers) {
            self.apply_replica(image, replica, &mut rules);
        }
        self.apply_brokers(delta);
        self.apply_topic_configs(delta, node_changed);
        if delta.configs.iter().any(|resource| resource.kind == ConfigResourceType::ClientMetrics) {
            self.telemetry.set_subscriptions(&image.configs);
        }
        self.metadata.publish(image.clone());
        if local.leaders.iter().any(|replica| replica.is_new_leader_epoch && replica.state.replicas.len() > 1) {
            self.fetches.leads_more();
        }
        for (topic, partition) in &local.removed {
            self.remove(topic.id, &topic.name, *partition);
        }
        if begins {
            self.set_strays_aside();
        }
        let deleted: Vec<DeletedTopic> = delta
            .deleted_topics
            .values()
            .map(|topic| DeletedTopic { name: topic.name.to_string(), id: topic.id })
            .collect();
        if !deleted.is_empty() {
            self.groups.topics_deleted(&deleted);
        }
    }

    /// Whether a full disk, or a want of descriptors, has kept a partition from being opened.
    pub(crate) fn lacks_room(&self) -> bool {
        self.lacks_room.load(Ordering::Acquire)
    }

    /// Opens the partitions that could not be opened, when there is room by now. Like [`Self::publish`] it
    /// is called for the newest image, and by one at a time.
    pub(crate) fn open_missing(&self, image: &MetadataImage) {
        self.lacks_room.store(false, Ordering::Release);
        let local = MetadataDelta::between(MetadataImage::new(), image.clone()).local_replicas(self.broker_id);
        let mut rules = RulesCache::default();
        let is_missing = |replica: &&LocalReplica| {
            let topic = self.partitions.topic_by_id(replica.topic.id);
            topic.and_then(|topic| topic.partition(replica.partition)).is_none()
        };
        for replica in local.leaders.iter().chain(&local.followers).filter(is_missing) {
            self.apply_replica(image, replica, &mut rules);
        }
    }

    /// The log of a partition. One that lies there under another topic id is what a crash has left of a deleted topic of the same
    /// name: it is put aside.
    fn log(
        &self,
        name: &TopicPartition,
        id: TopicId,
        config: &LogConfig,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<Log>, PartitionError> {
        let opened = self.logs.get_or_create(name, Some(id), config.clone(), directory);
        let Err(PartitionError::InconsistentTopicId { found, .. }) = opened else { return opened };
        tracing::warn!(partition = %name, %found, "the log of a deleted topic is put aside");
        self.logs.set_stray(name)?;
        self.logs.get_or_create(name, Some(id), config.clone(), directory)
    }

    /// Whether this image is the first with this incarnation of the broker.
    fn begins_to_serve(&self, image: &MetadataImage) -> bool {
        let broker = image.cluster.broker(self.broker_id);
        let is_registered = broker.is_some_and(|broker| broker.incarnation_id == self.incarnation_id);
        is_registered && !self.is_serving.swap(true, Ordering::AcqRel)
    }

    /// The replicas of which there is news. What the metadata said before this incarnation was registered is history: it may say
    /// that this broker leads, with a log that has lost records since, or that it has no replica which it was given back later.
    /// With the registration, all that is said at that time counts.
    fn replicas_to_apply(&self, delta: &MetadataDelta, begins: bool) -> LocalReplicas {
        if begins {
            let all = MetadataDelta::between(MetadataImage::new(), delta.after().clone());
            return all.local_replicas(self.broker_id);
        }
        let counts = self.is_serving.load(Ordering::Acquire);
        if counts { delta.local_replicas(self.broker_id) } else { LocalReplicas::default() }
    }

    /// Logs that the cluster knows nothing of are put aside, so that they are neither served nor lost.
    fn set_strays_aside(&self) {
        for log in self.logs.logs() {
            let name = log.topic_partition();
            let known = self.partitions.partition(&name.topic, name.partition);
            if known.is_some_and(|known| Arc::ptr_eq(&known.log, &log)) || &*name.topic == CLUSTER_METADATA {
                continue;
            }
            tracing::warn!(partition = %name, "the cluster knows nothing of this partition; it is put aside");
            if let Err(error) = self.logs.set_stray(name) {
                tracing::error!(partition = %name, %error, "a stray partition can't be put aside");
            }
        }
    }

    /// News of brokers concern those who lead partitions of which they hold replicas: who is fenced leaves the in-sync ones.
    fn apply_brokers(&self, delta: &MetadataDelta) {
        if delta.brokers.is_empty() {
            return;
        }
        let image = delta.after();
        for partition in self.partitions.all().iter().filter(|partition| partition.is_led_among_others()) {
            let topic = image.topics.topic(partition.topic_id);
            let Some(state) = topic.and_then(|topic| topic.partitions.get(&partition.index)) else { continue };
            if state.replicas.iter().any(|replica| delta.brokers.contains(replica)) {
                let leadership = Leadership::new(self.broker_id, state);
                let change = partition.apply(&partition_state(image, state), leadership);
                self.replication.follow(partition, change);
            }
        }
    }

    /// Puts the dynamic configurations of the cluster and of this broker over the file's.
    fn apply_node_config(&self, delta: &MetadataDelta) -> bool {
        let mine = [ConfigResource::broker_default(), ConfigResource::broker(self.broker_id)];
        if !mine.iter().any(|resource| delta.configs.contains(resource)) {
            return false;
        }
        match node_config(&self.static_config, delta.after()) {
            Some(config) => {
                self.replication.set_fetchers_per_leader(fetchers_per_leader(&config.replication));
                self.replication.context().throttles().set_rates(&config);
                *self.config.write() = Arc::new(config);
                true
            }
            None => false,
        }
    }

    fn apply_replica(&self, image: &MetadataImage, replica: &LocalReplica, rules: &mut RulesCache) {
        let leadership = Leadership::new(self.broker_id, &replica.state);
        let known = self.partitions.topic_by_id(replica.topic.id).and_then(|topic| topic.partition(replica.partition));
        let Some(partition) = known.or_else(|| self.open(image, replica, rules)) else { return };
        let change = partition.apply(&partition_state(image, &replica.state), leadership);
        self.replication.follow(&partition, change);
        match &*replica.topic.name {
            CONSUMER_OFFSETS => self.apply_group_partition(&partition, replica.is_new_leader_epoch),
            TRANSACTION_STATE => self.apply_transaction_partition(&partition, replica.is_new_leader_epoch),
            _ => {}
        }
    }

    fn open(&self, image: &MetadataImage, replica: &LocalReplica, rules: &mut RulesCache) -> Option<Arc<Partition>> {
        let topic = replica.topic.name.clone();
        let node = self.config.read().clone();
        let rules = rules.of(&node, image, &topic);
        let name = TopicPartition::new(topic.clone(), replica.partition);
        let directory = (!directory_id::is_reserved(replica.directory)).then_some(replica.directory);
        let config = log_config(&node, &rules.config);
        let log = match self.log(&name, replica.topic.id, &config, directory) {
            Ok(log) => log,
            Err(error) => {
                tracing::error!(partition = %name, %error, "a partition can't be opened");
                if matches!(&error, PartitionError::Storage(error) if error.is_passing()) {
                    self.lacks_room.store(true, Ordering::Release);
                }
                return None;
            }
        };
        log.set_config(config);
        let lies_in = self.logs.directory_of(&name).map(|directory| directory.id());
        if let Some(lies_in) = lies_in.filter(|lies_in| *lies_in != replica.directory) {
            self.assignments.note(replica.topic.id, replica.partition, lies_in);
        }
        let metrics = self.partitions.metrics_for(replica.topic.id);
        let context = self.replication.context().clone();
        let partition = Partition::new(topic, replica.topic.id, replica.partition, log, rules, metrics, context);
        let partition = Arc::new(partition);
        self.partitions.insert(partition.clone());
        Some(partition)
    }

    /// A partition of groups is read by whoever comes to lead it, and given up by whoever leads it no more.
    fn apply_group_partition(&self, partition: &Arc<Partition>, is_new_leader_epoch: bool) {
        if !partition.leadership().is_leader {
            self.groups.unload(partition.index);
        } else if is_new_leader_epoch {
            self.groups.load(partition);
        }
    }

    /// The same for a partition of transactions.
    fn apply_transaction_partition(&self, partition: &Arc<Partition>, is_new_leader_epoch: bool) {
        if !partition.leadership().is_leader {
            self.transactions.unload(partition.index);
        } else if is_new_leader_epoch {
            self.transactions.load(partition);
        }
    }

    fn apply_topic_configs(&self, delta: &MetadataDelta, node_changed: bool) {
        let image = delta.after();
        let node = self.config.read().clone();
        let changed: Vec<Arc<Partition>> = if node_changed {
            self.partitions.all()
        } else {
            let topics = delta.configs.iter().filter(|resource| resource.kind == ConfigResourceType::Topic);
            topics.filter_map(|topic| self.partitions.topic(&topic.name)).flat_map(|topic| topic.partitions()).collect()
        };
        let mut rules = RulesCache::default();
        for partition in changed {
            let rules = rules.of(&node, image, &partition.topic);
            partition.log.set_config(log_config(&node, &rules.config));
            partition.set_rules(rules);
            // What waited for a sync may not have to any more.
            partition.synced();
            self.replication.log_synced(&partition);
        }
    }

    fn remove(&self, id: TopicId, topic: &Arc<str>, index: PartitionIndex) {
        let Some(partition) = self.partitions.remove(id, index) else { return };
        self.replication.forget(&partition);
        match &**topic {
            CONSUMER_OFFSETS => self.groups.unload(index),
            TRANSACTION_STATE => self.transactions.unload(index),
            _ => {}
        }
        let name = TopicPartition::new(topic.clone(), index);
        if let Err(error) = self.logs.delete(&name) {
            tracing::error!(partition = %name, %error, "a deleted partition's files can't be removed");
        }
        partition.set_gone();
    }
}

/// The rules of each topic, made once for all its partitions.
#[derive(Default)]
struct RulesCache(BTreeMap<Arc<str>, Arc<TopicRules>>);

impl RulesCache {
    fn of(&mut self, node: &NodeConfig, image: &MetadataImage, topic: &Arc<str>) -> Arc<TopicRules> {
        let make = || Arc::new(TopicRules::new(topic_config(node, image, topic)));
        self.0.entry(topic.clone()).or_insert_with(make).clone()
    }
}

/// The node's configuration under the dynamic ones of the cluster and of this broker; `None` when they can't be used.
pub(crate) fn node_config(config: &NodeConfig, image: &MetadataImage) -> Option<NodeConfig> {
    let mine = [ConfigResource::broker_default(), ConfigResource::broker(config.node_id)];
    let [cluster, broker] = mine.map(|resource| overrides(image, &resource));
    match config.with_dynamic(&cluster, &broker) {
        Ok(config) => Some(config),
        Err(error) => {
            tracing::warn!(%error, "the dynamic configuration can't be used; the previous one stays");
            None
        }
    }
}

/// The configuration that counts for a topic. The controller lets no other than usable values in; one that another
/// release has let in counts as unset.
pub(crate) fn topic_config(node: &NodeConfig, image: &MetadataImage, topic: &str) -> TopicConfig {
    let overrides = overrides(image, &ConfigResource::topic(topic));
    TopicConfig::resolve(&node.topic_defaults, &overrides).unwrap_or_else(|error| {
        tracing::warn!(topic, %error, "a topic's configuration can't be used; the defaults count");
        node.topic_defaults.clone()
    })
}

fn overrides(image: &MetadataImage, resource: &ConfigResource) -> BTreeMap<String, String> {
    image.configs.get(resource).map(|values| (**values).clone()).unwrap_or_default()
}
