//! What each record of the metadata log does to an image.

use crate::{
    BrokerRegistration, ConfigResource, ConfigResourceType, ControllerRegistration, Endpoint, Feature,
    LeaderRecoveryState, MetadataImage, Partition, QuotaEntity, ReplayError, Topic, VersionRange, directory_id,
};
use ottla_protocol::metadata_records::{
    BrokerRegistrationChangeRecord, ClearElrRecord, ClientQuotaRecord, ConfigRecord, FeatureLevelRecord,
    MetadataRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, MetadataVersion, NodeId, PartitionIndex, ProducerId, TopicId, TopicIdPartition,
    Uuid,
};
use std::sync::Arc;

/// What one record touched.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Change {
    Nothing,
    Features,
    Broker(BrokerId),
    Controller(NodeId),
    TopicCreated(TopicId),
    TopicDeleted(Arc<Topic>),
    Partitions(Vec<TopicIdPartition>),
    Config(ConfigResource),
    Quota(QuotaEntity),
    ProducerIds,
    Acl(Uuid),
    Scram((i8, String)),
    Token(String),
}

/// The leader field of a PartitionChangeRecord that leaves the leader as it is.
const NO_LEADER_CHANGE: i32 = -2;

impl MetadataImage {
    /// Applies one record. The markers of metadata transactions do nothing here: [`crate::MetadataLoader`] obeys them.
    ///
    /// # Errors
    /// When the record contradicts the image; the image is then as it was before the record.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        self.replay_record(record).map(drop)
    }

    pub(crate) fn replay_record(&mut self, record: &MetadataRecord) -> Result<Change, ReplayError> {
        use MetadataRecord as R;
        match record {
            R::FeatureLevel(record) => self.replay_feature_level(record),
            R::RegisterBroker(record) => Ok(self.replay_register_broker(record)),
            R::UnregisterBroker(record) => self.replay_unregister_broker(record),
            R::BrokerRegistrationChange(record) => self.replay_registration_change(record),
            R::FenceBroker(record) => self.set_fenced(record.id, record.epoch, true),
            R::UnfenceBroker(record) => self.set_fenced(record.id, record.epoch, false),
            R::RegisterController(record) => Ok(self.replay_register_controller(record)),
            R::UnregisterController(record) => self.replay_unregister_controller(NodeId(record.controller_id)),
            R::Topic(record) => self.replay_topic(record),
            R::RemoveTopic(record) => self.replay_remove_topic(record),
            R::Partition(record) => self.replay_partition(record),
            R::PartitionChange(record) => self.replay_partition_change(record),
            R::ClearElr(record) => self.replay_clear_elr(record),
            R::Config(record) => self.replay_config(record),
            R::ProducerIds(record) => self.replay_producer_ids(record),
            R::ClientQuota(record) => Ok(self.replay_quota(record)),
            R::AccessControlEntry(record) => {
                self.acls.entries.insert(record.id, Arc::new(record.clone()));
                Ok(Change::Acl(record.id))
            }
            R::RemoveAccessControlEntry(record) => {
                self.acls.entries.remove(&record.id);
                Ok(Change::Acl(record.id))
            }
            R::UserScramCredential(record) => {
                let key = (record.mechanism, record.name.clone());
                self.scram.credentials.insert(key.clone(), Arc::new(record.clone()));
                Ok(Change::Scram(key))
            }
            R::RemoveUserScramCredential(record) => {
                let key = (record.mechanism, record.name.clone());
                self.scram.credentials.remove(&key);
                Ok(Change::Scram(key))
            }
            R::DelegationToken(record) => {
                self.tokens.tokens.insert(record.token_id.clone(), Arc::new(record.clone()));
                Ok(Change::Token(record.token_id.clone()))
            }
            R::RemoveDelegationToken(record) => {
                self.tokens.tokens.remove(&record.token_id);
                Ok(Change::Token(record.token_id.clone()))
            }
            R::NoOp(_)
            | R::ZkMigrationState(_)
            | R::BeginTransaction(_)
            | R::EndTransaction(_)
            | R::AbortTransaction(_) => Ok(Change::Nothing),
        }
    }

    fn replay_feature_level(&mut self, record: &FeatureLevelRecord) -> Result<Change, ReplayError> {
        let level = record.feature_level;
        let Some(feature) = Feature::from_name(&record.name) else {
            if level == 0 {
                // Whatever it is, it is off.
                return Ok(Change::Nothing);
            }
            return Err(ReplayError::UnknownFeature { feature: record.name.clone(), level });
        };
        let range = feature.supported();
        if !range.contains(level) {
            let (min, max) = (range.min, range.max);
            return Err(ReplayError::FeatureLevel { feature: record.name.clone(), level, min, max });
        }
        match feature {
            Feature::MetadataVersion => self.features.metadata_version = Some(MetadataVersion(level)),
            // The quorum keeps this one in control records.
            Feature::KraftVersion => return Ok(Change::Nothing),
            _ if level == 0 => {
                Arc::make_mut(&mut self.features.levels).remove(&record.name);
            }
            _ => {
                Arc::make_mut(&mut self.features.levels).insert(record.name.clone(), level);
            }
        }
        Ok(Change::Features)
    }

    fn replay_register_broker(&mut self, record: &RegisterBrokerRecord) -> Change {
        let id = NodeId(record.broker_id);
        let registration = BrokerRegistration {
            id,
            epoch: BrokerEpoch(record.broker_epoch),
            incarnation_id: record.incarnation_id,
            endpoints: record
                .end_points
                .iter()
                .map(|e| Endpoint {
                    name: e.name.clone(),
                    host: e.host.clone(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|f| (f.name.clone(), VersionRange { min: f.min_supported_version, max: f.max_supported_version }))
                .collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
        };
        Arc::make_mut(&mut self.cluster.brokers).insert(id, Arc::new(registration));
        Change::Broker(id)
    }

    fn replay_unregister_broker(&mut self, record: &UnregisterBrokerRecord) -> Result<Change, ReplayError> {
        let id = NodeId(record.broker_id);
        self.registration(id, BrokerEpoch(record.broker_epoch))?;
        Arc::make_mut(&mut self.cluster.brokers).remove(&id);
        Ok(Change::Broker(id))
    }

    fn replay_registration_change(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<Change, ReplayError> {
        let id = NodeId(record.broker_id);
        let field_error = |field, value| ReplayError::Field { record: "BrokerRegistrationChangeRecord", field, value };
        let mut registration = self.registration(id, BrokerEpoch(record.broker_epoch))?.clone();
        match record.fenced {
            -1 => registration.fenced = false,
            0 => {}
            1 => registration.fenced = true,
            other => return Err(field_error("fenced", other.into())),
        }
        match record.in_controlled_shutdown {
            0 => {}
            1 => registration.in_controlled_shutdown = true,
            other => return Err(field_error("inControlledShutdown", other.into())),
        }
        // A broker can't go on without any directory, so an empty list means no change.
        if !record.log_dirs.is_empty() {
            registration.log_dirs.clone_from(&record.log_dirs);
        }
        if record.cordoned_log_dirs.is_some() {
            registration.cordoned_log_dirs.clone_from(&record.cordoned_log_dirs);
        }
        Arc::make_mut(&mut self.cluster.brokers).insert(id, Arc::new(registration));
        Ok(Change::Broker(id))
    }

    fn set_fenced(&mut self, id: i32, epoch: i64, fenced: bool) -> Result<Change, ReplayError> {
        let id = NodeId(id);
        let registration = BrokerRegistration { fenced, ..self.registration(id, BrokerEpoch(epoch))?.clone() };
        Arc::make_mut(&mut self.cluster.brokers).insert(id, Arc::new(registration));
        Ok(Change::Broker(id))
    }

    fn registration(&self, broker: BrokerId, found: BrokerEpoch) -> Result<&BrokerRegistration, ReplayError> {
        let registration = self.cluster.broker(broker).ok_or(ReplayError::UnknownBroker(broker))?;
        if registration.epoch != found {
            return Err(ReplayError::BrokerEpoch { broker, registered: registration.epoch, found });
        }
        Ok(registration)
    }

    fn replay_register_controller(&mut self, record: &RegisterControllerRecord) -> Change {
        let id = NodeId(record.controller_id);
        let registration = ControllerRegistration {
            id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: record
                .end_points
                .iter()
                .map(|e| Endpoint {
                    name: e.name.clone(),
                    host: e.host.clone(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|f| (f.name.clone(), VersionRange { min: f.min_supported_version, max: f.max_supported_version }))
                .collect(),
        };
        Arc::make_mut(&mut self.cluster.controllers).insert(id, Arc::new(registration));
        Change::Controller(id)
    }

    fn replay_unregister_controller(&mut self, id: NodeId) -> Result<Change, ReplayError> {
        if !self.cluster.controllers.contains_key(&id) {
            return Err(ReplayError::UnknownController(id));
        }
        Arc::make_mut(&mut self.cluster.controllers).remove(&id);
        Ok(Change::Controller(id))
    }

    fn replay_topic(&mut self, record: &TopicRecord) -> Result<Change, ReplayError> {
        let id = record.topic_id;
        if self.topics.topic_id(&record.name).is_some() || self.topics.topic(id).is_some() {
            return Err(ReplayError::DuplicateTopic { name: record.name.clone(), id });
        }
        let name: Arc<str> = record.name.as_str().into();
        self.topics.ids_by_name.insert(name.clone(), id);
        self.topics.by_id.insert(id, Arc::new(Topic { name, id, partitions: Default::default() }));
        Ok(Change::TopicCreated(id))
    }

    fn replay_remove_topic(&mut self, record: &RemoveTopicRecord) -> Result<Change, ReplayError> {
        let id = record.topic_id;
        let topic = self.topics.by_id.remove(&id).ok_or(ReplayError::UnknownTopic(id))?;
        self.topics.ids_by_name.remove(&*topic.name);
        self.configs.resources.remove(&ConfigResource::topic(topic.name.clone()));
        Ok(Change::TopicDeleted(topic))
    }

    fn replay_partition(&mut self, record: &PartitionRecord) -> Result<Change, ReplayError> {
        let topic_id = record.topic_id;
        let index = PartitionIndex(record.partition_id);
        let directories = directories_or_migrating(&record.directories, record.replicas.len(), "PartitionRecord")?;
        let partition = Partition {
            replicas: nodes(&record.replicas),
            directories,
            in_sync_replicas: nodes(&record.isr),
            removing_replicas: nodes(&record.removing_replicas),
            adding_replicas: nodes(&record.adding_replicas),
            eligible_leader_replicas: nodes(record.eligible_leader_replicas.as_deref().unwrap_or_default()),
            last_known_eligible_leader_replicas: nodes(record.last_known_elr.as_deref().unwrap_or_default()),
            leader: NodeId(record.leader),
            leader_recovery_state: recovery_state(record.leader_recovery_state, "PartitionRecord")?,
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: record.partition_epoch,
        };
        self.set_partition(topic_id, index, partition)?;
        Ok(Change::Partitions(vec![TopicIdPartition { topic_id, partition: index }]))
    }

    fn replay_partition_change(&mut self, record: &PartitionChangeRecord) -> Result<Change, ReplayError> {
        let topic_id = record.topic_id;
        let index = PartitionIndex(record.partition_id);
        let topic = self.topics.topic(topic_id).ok_or(ReplayError::UnknownTopic(topic_id))?;
        let partition =
            topic.partitions.get(&index).ok_or(ReplayError::UnknownPartition { topic: topic_id, partition: index })?;
        let partition = merge_partition_change(partition, record)?;
        self.set_partition(topic_id, index, partition)?;
        Ok(Change::Partitions(vec![TopicIdPartition { topic_id, partition: index }]))
    }

    /// Puts a partition into its topic: in place, unless another image shares the topic.
    fn set_partition(&mut self, id: TopicId, index: PartitionIndex, partition: Partition) -> Result<(), ReplayError> {
        let topic = self.topics.by_id.get_mut(&id).ok_or(ReplayError::UnknownTopic(id))?;
        Arc::make_mut(topic).partitions.insert(index, Arc::new(partition));
        Ok(())
    }

    fn replay_clear_elr(&mut self, record: &ClearElrRecord) -> Result<Change, ReplayError> {
        let topics: Vec<Arc<Topic>> = if record.topic_name.is_empty() {
            self.topics.iter().cloned().collect()
        } else {
            let unknown = || ReplayError::UnknownTopicName(record.topic_name.clone());
            vec![self.topics.topic_by_name(&record.topic_name).ok_or_else(unknown)?.clone()]
        };
        let mut changed = Vec::new();
        for topic in topics {
            let with_elr: Vec<PartitionIndex> = topic
                .partitions
                .iter()
                .filter(|(_, p)| {
                    !p.eligible_leader_replicas.is_empty() || !p.last_known_eligible_leader_replicas.is_empty()
                })
                .map(|(index, _)| *index)
                .collect();
            for partition in with_elr {
                let Some(old) = topic.partitions.get(&partition) else { continue };
                let new = Partition {
                    eligible_leader_replicas: Vec::new(),
                    last_known_eligible_leader_replicas: Vec::new(),
                    partition_epoch: old.partition_epoch.saturating_add(1),
                    ..Partition::clone(old)
                };
                self.set_partition(topic.id, partition, new)?;
                changed.push(TopicIdPartition { topic_id: topic.id, partition });
            }
        }
        Ok(Change::Partitions(changed))
    }

    fn replay_config(&mut self, record: &ConfigRecord) -> Result<Change, ReplayError> {
        let kind = ConfigResourceType::from_code(record.resource_type).ok_or(ReplayError::Field {
            record: "ConfigRecord",
            field: "resourceType",
            value: record.resource_type.into(),
        })?;
        let resource = ConfigResource::new(kind, record.resource_name.as_str());
        self.configs.set(&resource, &record.name, record.value.as_deref());
        Ok(Change::Config(resource))
    }

    fn replay_producer_ids(&mut self, record: &ProducerIdsRecord) -> Result<Change, ReplayError> {
        let found = ProducerId(record.next_producer_id);
        let current = self.next_producer_id;
        if found <= current {
            return Err(ReplayError::ProducerId { current, found });
        }
        self.next_producer_id = found;
        Ok(Change::ProducerIds)
    }

    fn replay_quota(&mut self, record: &ClientQuotaRecord) -> Change {
        let entity = QuotaEntity::of(record);
        self.quotas.set(&entity, &record.key, (!record.remove).then_some(record.value));
        Change::Quota(entity)
    }
}

/// The partition after a change: what the record leaves out stays, the partition epoch grows by one, and the leader epoch
/// grows by one whenever the record names a leader, even the same.
///
/// # Errors
/// When a field has an impossible value or the directories don't match the replicas.
pub fn merge_partition_change(partition: &Partition, record: &PartitionChangeRecord) -> Result<Partition, ReplayError> {
    let replicas = record.replicas.as_deref().map_or_else(|| partition.replicas.clone(), nodes);
    let given = record.directories.as_ref().unwrap_or(&partition.directories);
    let directories = directories_or_migrating(given, replicas.len(), "PartitionChangeRecord")?;
    let keep = |new: &Option<Vec<i32>>, old: &Vec<BrokerId>| new.as_deref().map_or_else(|| old.clone(), nodes);
    let (leader, leader_epoch) = match record.leader {
        NO_LEADER_CHANGE => (partition.leader, partition.leader_epoch),
        leader => (NodeId(leader), LeaderEpoch(partition.leader_epoch.0.saturating_add(1))),
    };
    let leader_recovery_state = match record.leader_recovery_state {
        -1 => partition.leader_recovery_state,
        code => recovery_state(code, "PartitionChangeRecord")?,
    };
    Ok(Partition {
        replicas,
        directories,
        in_sync_replicas: keep(&record.isr, &partition.in_sync_replicas),
        removing_replicas: keep(&record.removing_replicas, &partition.removing_replicas),
        adding_replicas: keep(&record.adding_replicas, &partition.adding_replicas),
        eligible_leader_replicas: keep(&record.eligible_leader_replicas, &partition.eligible_leader_replicas),
        last_known_eligible_leader_replicas: keep(
            &record.last_known_elr,
            &partition.last_known_eligible_leader_replicas,
        ),
        leader,
        leader_recovery_state,
        leader_epoch,
        partition_epoch: partition.partition_epoch.saturating_add(1),
    })
}

fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// The directories of the replicas; records from before directories had ids name none.
fn directories_or_migrating(given: &[Uuid], replicas: usize, record: &'static str) -> Result<Vec<Uuid>, ReplayError> {
    if given.iter().all(|id| *id == directory_id::MIGRATING) {
        return Ok(vec![directory_id::MIGRATING; replicas]);
    }
    if given.len() != replicas {
        let value = i64::try_from(given.len()).unwrap_or(i64::MAX);
        return Err(ReplayError::Field { record, field: "directories", value });
    }
    Ok(given.to_vec())
}

fn recovery_state(code: i8, record: &'static str) -> Result<LeaderRecoveryState, ReplayError> {
    let field = "leaderRecoveryState";
    LeaderRecoveryState::from_code(code).ok_or(ReplayError::Field { record, field, value: code.into() })
}
