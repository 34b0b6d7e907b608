//! An image as the records of a snapshot.

use crate::{
    BrokerRegistration, ControllerRegistration, Endpoint, Feature, MetadataImage, MetadataVersionExt, Partition, Topic,
    VersionRange,
};
use ottla_protocol::metadata_records::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionRecord, ProducerIdsRecord,
    RegisterBrokerRecord, RegisterControllerRecord, TopicRecord, client_quota_record, register_broker_record,
    register_controller_record,
};
use ottla_types::{MetadataVersion, NodeId, PartitionIndex};

/// A record and the version in which it is to be written.
#[derive(Clone, PartialEq, Debug)]
pub struct VersionedRecord {
    /// The record.
    pub record: MetadataRecord,
    /// Its version.
    pub version: i16,
}

impl VersionedRecord {
    /// A record in a version.
    pub fn new(record: MetadataRecord, version: i16) -> Self {
        Self { record, version }
    }
}

impl From<MetadataRecord> for VersionedRecord {
    /// The record in version 0.
    fn from(record: MetadataRecord) -> Self {
        Self { record, version: 0 }
    }
}

impl MetadataImage {
    /// The records that rebuild this image, in Kafka's order: features, brokers, controllers, each topic with its
    /// partitions, configurations, quotas, producer ids, access rules, credentials, tokens.
    pub fn to_records(&self) -> Vec<VersionedRecord> {
        let level = self.features.metadata_version().unwrap_or(MetadataVersion::MINIMUM);
        let mut out = Vec::new();
        self.write_features(&mut out);
        let broker_version = level.register_broker_record_version();
        for broker in self.cluster.brokers.values() {
            let record = MetadataRecord::RegisterBroker(broker_record(broker, level));
            out.push(VersionedRecord::new(record, broker_version));
        }
        if level.has_controller_registration() {
            let records = self.cluster.controllers.values().map(|controller| controller_record(controller));
            out.extend(records.map(|record| MetadataRecord::RegisterController(record).into()));
        }
        for topic in self.topics.iter() {
            write_topic(topic, level, self.features.has_eligible_leader_replicas(), &mut out);
        }
        self.write_configs(&mut out);
        self.write_quotas(&mut out);
        if self.next_producer_id.is_some() {
            let record = ProducerIdsRecord {
                broker_id: -1,
                broker_epoch: -1,
                next_producer_id: self.next_producer_id.0,
                ..Default::default()
            };
            out.push(MetadataRecord::ProducerIds(record).into());
        }
        for entry in self.acls.entries.values() {
            out.push(MetadataRecord::AccessControlEntry((**entry).clone()).into());
        }
        for credential in self.scram.credentials.values() {
            out.push(MetadataRecord::UserScramCredential((**credential).clone()).into());
        }
        for token in self.tokens.tokens.values() {
            out.push(MetadataRecord::DelegationToken((**token).clone()).into());
        }
        out
    }

    fn write_features(&self, out: &mut Vec<VersionedRecord>) {
        let record = |name: &str, feature_level: i16| {
            let record = FeatureLevelRecord { name: name.to_owned(), feature_level, ..Default::default() };
            VersionedRecord::from(MetadataRecord::FeatureLevel(record))
        };
        if let Some(level) = self.features.metadata_version() {
            out.push(record(Feature::MetadataVersion.name(), level.0));
        }
        out.extend(self.features.levels().iter().map(|(name, level)| record(name, *level)));
    }

    fn write_configs(&self, out: &mut Vec<VersionedRecord>) {
        for (resource, configs) in self.configs.iter() {
            for (name, value) in configs.iter() {
                let record = ConfigRecord {
                    resource_type: resource.kind.code(),
                    resource_name: resource.name.to_string(),
                    name: name.clone(),
                    value: Some(value.clone()),
                    ..Default::default()
                };
                out.push(MetadataRecord::Config(record).into());
            }
        }
    }

    fn write_quotas(&self, out: &mut Vec<VersionedRecord>) {
        for (entity, quotas) in self.quotas.entities.iter() {
            for (key, value) in quotas.iter() {
                let part = |(kind, name): (&String, &Option<String>)| client_quota_record::EntityData {
                    entity_type: kind.clone(),
                    entity_name: name.clone(),
                    ..Default::default()
                };
                let record = ClientQuotaRecord {
                    entity: entity.0.iter().map(part).collect(),
                    key: key.clone(),
                    value: *value,
                    remove: false,
                    ..Default::default()
                };
                out.push(MetadataRecord::ClientQuota(record).into());
            }
        }
    }
}

fn write_topic(topic: &Topic, level: MetadataVersion, with_elr: bool, out: &mut Vec<VersionedRecord>) {
    let record = TopicRecord { name: topic.name.to_string(), topic_id: topic.id, ..Default::default() };
    out.push(MetadataRecord::Topic(record).into());
    for (index, partition) in topic.partitions.iter() {
        let record = partition.to_record(topic.id, *index, level, with_elr);
        out.push(VersionedRecord::new(MetadataRecord::Partition(record), level.partition_record_version()));
    }
}

impl Partition {
    /// The record that states this partition wholly. What the level can't say is left out.
    pub fn to_record(
        &self,
        topic_id: ottla_types::TopicId,
        index: PartitionIndex,
        level: MetadataVersion,
        with_elr: bool,
    ) -> PartitionRecord {
        let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
        let elr = |nodes: &[NodeId]| (with_elr && !nodes.is_empty()).then(|| ids(nodes));
        PartitionRecord {
            partition_id: index.0,
            topic_id,
            replicas: ids(&self.replicas),
            isr: ids(&self.in_sync_replicas),
            removing_replicas: ids(&self.removing_replicas),
            adding_replicas: ids(&self.adding_replicas),
            leader: self.leader.0,
            leader_recovery_state: self.leader_recovery_state.code(),
            leader_epoch: self.leader_epoch.0,
            partition_epoch: self.partition_epoch,
            directories: if level.has_directory_assignment() { self.directories.clone() } else { Vec::new() },
            eligible_leader_replicas: elr(&self.eligible_leader_replicas),
            last_known_elr: elr(&self.last_known_eligible_leader_replicas),
            ..Default::default()
        }
    }
}

fn broker_record(broker: &BrokerRegistration, level: MetadataVersion) -> RegisterBrokerRecord {
    let endpoint = |endpoint: &Endpoint| register_broker_record::BrokerEndpoint {
        name: endpoint.name.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
        ..Default::default()
    };
    let feature = |(name, range): (&String, &VersionRange)| register_broker_record::BrokerFeature {
        name: name.clone(),
        min_supported_version: range.min,
        max_supported_version: range.max,
        ..Default::default()
    };
    RegisterBrokerRecord {
        broker_id: broker.id.0,
        is_migrating_zk_broker: broker.is_migrating_zk_broker,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch.0,
        end_points: broker.endpoints.iter().map(endpoint).collect(),
        features: broker.features.iter().map(feature).collect(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: if level.has_directory_assignment() { broker.log_dirs.clone() } else { Vec::new() },
        cordoned_log_dirs: if level.has_cordoned_log_dirs() { broker.cordoned_log_dirs.clone() } else { None },
        ..Default::default()
    }
}

fn controller_record(controller: &ControllerRegistration) -> RegisterControllerRecord {
    let endpoint = |endpoint: &Endpoint| register_controller_record::ControllerEndpoint {
        name: endpoint.name.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
        ..Default::default()
    };
    let feature = |(name, range): (&String, &VersionRange)| register_controller_record::ControllerFeature {
        name: name.clone(),
        min_supported_version: range.min,
        max_supported_version: range.max,
        ..Default::default()
    };
    RegisterControllerRecord {
        controller_id: controller.id.0,
        incarnation_id: controller.incarnation_id,
        zk_migration_ready: controller.zk_migration_ready,
        end_points: controller.endpoints.iter().map(endpoint).collect(),
        features: controller.features.iter().map(feature).collect(),
        ..Default::default()
    }
}
