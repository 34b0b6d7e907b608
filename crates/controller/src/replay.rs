//! The one way into a controller's state.

use crate::Controller;
use ottla_metadata::{Partition, ReplayError, Topic};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_types::{BrokerEpoch, NodeId, Offset, PartitionIndex, TopicId, TopicIdPartition};
use std::sync::Arc;

/// What a record is about to change, as it is before: afterwards it is gone.
enum Before {
    Nothing,
    Partition(TopicIdPartition, Option<Arc<Partition>>),
    Topics(Vec<Arc<Topic>>),
}

impl Controller {
    /// Applies one committed record of the log.
    ///
    /// # Errors
    /// When the record contradicts the image: the log is damaged or of a newer cluster, and the node must stop.
    pub fn replay(&mut self, offset: Offset, record: &MetadataRecord) -> Result<(), ReplayError> {
        self.replay_markers(record)?;
        let before = self.before(record);
        self.image.replay(record)?;
        self.image.provenance.offset = offset;
        self.note_partitions(record, before);
        self.note_broker(offset, record);
        if matches!(record, MetadataRecord::Config(config) if config.resource_type == 4) {
            self.apply_node_configs();
        }
        Ok(())
    }

    fn replay_markers(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match (record, self.transaction.take()) {
            (MetadataRecord::BeginTransaction(_), None) => self.transaction = Some(Box::new(self.image.clone())),
            (MetadataRecord::EndTransaction(_), Some(_)) => {}
            (MetadataRecord::AbortTransaction(_), Some(before)) => {
                let provenance = self.image.provenance;
                self.set_image(*before);
                self.image.provenance = provenance;
                let brokers = &self.image.cluster.brokers;
                self.registration_offsets.retain(|id, _| brokers.contains_key(id));
                for id in brokers.keys() {
                    self.registration_offsets.entry(*id).or_insert(provenance.offset);
                }
            }
            (MetadataRecord::BeginTransaction(_), Some(_)) => {
                return Err(ReplayError::Transaction("BeginTransactionRecord"));
            }
            (MetadataRecord::EndTransaction(_), None) => return Err(ReplayError::Transaction("EndTransactionRecord")),
            (MetadataRecord::AbortTransaction(_), None) => {
                return Err(ReplayError::Transaction("AbortTransactionRecord"));
            }
            (_, open) => self.transaction = open,
        }
        Ok(())
    }

    fn before(&self, record: &MetadataRecord) -> Before {
        let partition = |topic_id: TopicId, partition: i32| {
            let key = TopicIdPartition { topic_id, partition: PartitionIndex(partition) };
            Before::Partition(key, self.image.topics.partition(key.topic_id, key.partition).cloned())
        };
        match record {
            MetadataRecord::Partition(record) => partition(record.topic_id, record.partition_id),
            MetadataRecord::PartitionChange(record) => partition(record.topic_id, record.partition_id),
            MetadataRecord::RemoveTopic(removed) => {
                Before::Topics(self.image.topics.topic(removed.topic_id).into_iter().cloned().collect())
            }
            MetadataRecord::ClearElr(cleared) if cleared.topic_name.is_empty() => {
                Before::Topics(self.image.topics.iter().cloned().collect())
            }
            MetadataRecord::ClearElr(cleared) => {
                Before::Topics(self.image.topics.topic_by_name(&cleared.topic_name).into_iter().cloned().collect())
            }
            _ => Before::Nothing,
        }
    }

    /// Keeps what is derived from topics in step with the image.
    fn note_partitions(&mut self, record: &MetadataRecord, before: Before) {
        match before {
            Before::Nothing => {}
            Before::Partition(key, before) => {
                let after = self.image.topics.partition(key.topic_id, key.partition);
                self.by_state.update(key, before.as_ref(), after);
            }
            Before::Topics(topics) => {
                for before in topics {
                    self.by_state.remove_topic(&before);
                    match self.image.topics.topic(before.id) {
                        Some(after) => self.by_state.add_topic(after),
                        None => self.names.remove(&before.name),
                    }
                }
            }
        }
        if let MetadataRecord::Topic(created) = record {
            self.names.insert(&created.name);
        }
    }

    /// Keeps the sessions in step with the registrations.
    fn note_broker(&mut self, offset: Offset, record: &MetadataRecord) {
        let id = match record {
            MetadataRecord::RegisterBroker(record) => {
                let id = NodeId(record.broker_id);
                self.registration_offsets.insert(id, offset);
                self.heartbeats.replace(id, BrokerEpoch(record.broker_epoch));
                id
            }
            MetadataRecord::UnregisterBroker(record) => {
                self.registration_offsets.remove(&NodeId(record.broker_id));
                self.heartbeats.remove(NodeId(record.broker_id));
                return;
            }
            MetadataRecord::BrokerRegistrationChange(record) => NodeId(record.broker_id),
            MetadataRecord::FenceBroker(record) => NodeId(record.id),
            MetadataRecord::UnfenceBroker(record) => NodeId(record.id),
            _ => return,
        };
        if let Some(broker) = self.image.cluster.broker(id) {
            self.heartbeats.register(id, broker.fenced);
        }
    }
}
