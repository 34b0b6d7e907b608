use crate::replay::Change;
use crate::{ConfigResource, MetadataImage, Partition, Provenance, QuotaEntity, ReplayError, Topic};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_types::{BrokerId, DirectoryId, NodeId, PartitionIndex, TopicId, TopicIdPartition, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The way from one image to a later one: both images, and the keys of everything that differs.
///
/// A node applies metadata as events: it takes the keys, looks each up in [`Self::before`] and [`Self::after`] and does
/// what the difference asks for. A key may be listed although a later record undid its change.
#[derive(Clone, Debug)]
pub struct MetadataDelta {
    before: MetadataImage,
    after: MetadataImage,
    records: usize,
    /// Whether feature levels changed.
    pub features: bool,
    /// Brokers registered, changed or unregistered.
    pub brokers: BTreeSet<BrokerId>,
    /// Controllers registered or unregistered.
    pub controllers: BTreeSet<NodeId>,
    /// Topics that are new.
    pub created_topics: BTreeSet<TopicId>,
    /// Topics that are gone, as they were.
    pub deleted_topics: BTreeMap<TopicId, Arc<Topic>>,
    /// Partitions new or changed; not those of deleted topics.
    pub partitions: BTreeSet<TopicIdPartition>,
    /// Resources whose configuration changed.
    pub configs: BTreeSet<ConfigResource>,
    /// Entities whose quotas changed.
    pub quotas: BTreeSet<QuotaEntity>,
    /// Whether producer ids were handed out.
    pub producer_ids: bool,
    /// Access control entries added or removed.
    pub acls: BTreeSet<Uuid>,
    /// Credentials set or removed, by mechanism and user.
    pub scram: BTreeSet<(i8, String)>,
    /// Delegation tokens set or removed.
    pub tokens: BTreeSet<String>,
}

/// A replica on one broker that a delta touched.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalReplica {
    /// Its topic.
    pub topic: Arc<Topic>,
    /// Its number.
    pub partition: PartitionIndex,
    /// Its state after the delta.
    pub state: Arc<Partition>,
    /// Whether the leader epoch is another one than before, so that leadership starts anew.
    pub is_new_leader_epoch: bool,
    /// Where the replica is to lie.
    pub directory: DirectoryId,
}

/// What a delta asks of one broker's replicas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalReplicas {
    /// Partitions that the broker leads.
    pub leaders: Vec<LocalReplica>,
    /// Partitions that it follows (also those without a leader).
    pub followers: Vec<LocalReplica>,
    /// Partitions that it must no longer hold: topic and number; the topic is gone or the replica was moved away.
    pub removed: Vec<(Arc<Topic>, PartitionIndex)>,
}

impl MetadataDelta {
    /// A delta that starts at `before` and has no change yet.
    pub fn new(before: MetadataImage) -> Self {
        let after = before.clone();
        Self {
            before,
            after,
            records: 0,
            features: false,
            brokers: BTreeSet::new(),
            controllers: BTreeSet::new(),
            created_topics: BTreeSet::new(),
            deleted_topics: BTreeMap::new(),
            partitions: BTreeSet::new(),
            configs: BTreeSet::new(),
            quotas: BTreeSet::new(),
            producer_ids: false,
            acls: BTreeSet::new(),
            scram: BTreeSet::new(),
            tokens: BTreeSet::new(),
        }
    }

    /// The image that the delta starts from.
    pub fn before(&self) -> &MetadataImage {
        &self.before
    }

    /// The image with all replayed records.
    pub fn after(&self) -> &MetadataImage {
        &self.after
    }

    /// How many records were replayed.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Applies one record.
    ///
    /// # Errors
    /// When the record contradicts the image; the delta is then as it was before the record.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        let change = self.after.replay_record(record)?;
        self.records += 1;
        self.note(change);
        Ok(())
    }

    /// Says how far into the log the delta reaches.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.after.provenance = provenance;
    }

    pub(crate) fn set_after(&mut self, after: MetadataImage) {
        self.after = after;
    }

    pub(crate) fn note(&mut self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Features => self.features = true,
            Change::Broker(id) => {
                self.brokers.insert(id);
            }
            Change::Controller(id) => {
                self.controllers.insert(id);
            }
            Change::TopicCreated(id) => {
                self.created_topics.insert(id);
            }
            Change::TopicDeleted(topic) => self.note_deleted(&topic),
            Change::Partitions(partitions) => self.partitions.extend(partitions),
            Change::Config(resource) => {
                self.configs.insert(resource);
            }
            Change::Quota(entity) => {
                self.quotas.insert(entity);
            }
            Change::ProducerIds => self.producer_ids = true,
            Change::Acl(id) => {
                self.acls.insert(id);
            }
            Change::Scram(key) => {
                self.scram.insert(key);
            }
            Change::Token(id) => {
                self.tokens.insert(id);
            }
        }
    }

    fn note_deleted(&mut self, topic: &Arc<Topic>) {
        self.created_topics.remove(&topic.id);
        self.partitions.retain(|partition| partition.topic_id != topic.id);
        // What came and went within this delta leaves no trace; of the rest, keep what readers of `before` know.
        if let Some(known) = self.before.topics.topic(topic.id) {
            self.deleted_topics.insert(topic.id, known.clone());
            self.configs.insert(ConfigResource::topic(topic.name.clone()));
        }
    }

    /// What the delta asks of the replicas of `broker`.
    pub fn local_replicas(&self, broker: BrokerId) -> LocalReplicas {
        let mut local = LocalReplicas::default();
        for topic in self.deleted_topics.values() {
            let held = topic.partitions.iter().filter(|(_, state)| state.replicas.contains(&broker));
            local.removed.extend(held.map(|(index, _)| (topic.clone(), *index)));
        }
        for key in &self.partitions {
            let Some(topic) = self.after.topics.topic(key.topic_id) else { continue };
            let Some(state) = topic.partitions.get(&key.partition) else { continue };
            let before = self.before.topics.partition(key.topic_id, key.partition);
            let Some(directory) = state.directory(broker) else {
                if before.is_some_and(|before| before.replicas.contains(&broker)) {
                    local.removed.push((topic.clone(), key.partition));
                }
                continue;
            };
            if before.is_some_and(|before| before.partition_epoch == state.partition_epoch) {
                continue;
            }
            let replica = LocalReplica {
                topic: topic.clone(),
                partition: key.partition,
                state: state.clone(),
                is_new_leader_epoch: before.is_none_or(|before| before.leader_epoch != state.leader_epoch),
                directory,
            };
            let list = if state.leader == broker { &mut local.leaders } else { &mut local.followers };
            list.push(replica);
        }
        local
    }
}
