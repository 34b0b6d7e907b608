use super::Reason;
use super::update::versioned;
use crate::{Controller, Outcome};
use ottla_metadata::{MetadataVersionExt, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::assign_replicas_to_dirs_response as response;
use ottla_protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, NodeId, PartitionIndex, TopicId, TopicIdPartition};
use std::collections::BTreeSet;

impl Controller {
    /// AssignReplicasToDirs: a broker with several log directories says in which of them it has put replicas (KIP-858). A
    /// replica put into a directory that has failed meanwhile is out of sync.
    pub fn assign_replicas_to_dirs(
        &mut self,
        request: &AssignReplicasToDirsRequest,
    ) -> Outcome<AssignReplicasToDirsResponse> {
        let id = NodeId(request.broker_id);
        let refuse = |code: ErrorCode| {
            Outcome::answer(AssignReplicasToDirsResponse { error_code: code.code(), ..Default::default() })
        };
        if !self.metadata_version().has_directory_assignment() {
            return refuse(ErrorCode::UnsupportedVersion);
        }
        if let Err(error) = self.check_broker_epoch(id, BrokerEpoch(request.broker_epoch)) {
            return refuse(error.code);
        }
        let mut records = Vec::new();
        let mut offline = BTreeSet::new();
        let mut directories = Vec::with_capacity(request.directories.len());
        for directory in &request.directories {
            let is_online =
                self.image.cluster.broker(id).is_some_and(|broker| broker.has_online_directory(directory.id));
            let mut topics = Vec::with_capacity(directory.topics.len());
            for topic in &directory.topics {
                let mut assign = |index: i32| {
                    let partition = PartitionIndex(index);
                    let code = match self.assign_to_directory(id, topic.topic_id, partition, directory.id) {
                        Ok(record) => {
                            records.extend(record);
                            if !is_online {
                                offline.insert(TopicIdPartition { topic_id: topic.topic_id, partition });
                            }
                            ErrorCode::None
                        }
                        Err(code) => code,
                    };
                    let error_code = code.code();
                    response::PartitionData { partition_index: index, error_code, ..Default::default() }
                };
                let partitions = topic.partitions.iter().map(|partition| assign(partition.partition_index)).collect();
                topics.push(response::TopicData { topic_id: topic.topic_id, partitions, ..Default::default() });
            }
            directories.push(response::DirectoryData { id: directory.id, topics, ..Default::default() });
        }
        for key in offline {
            self.update_partition(Reason::Leaves(id), key, &mut records);
        }
        Outcome::new(records, AssignReplicasToDirsResponse { directories, ..Default::default() })
    }

    fn assign_to_directory(
        &self,
        id: BrokerId,
        topic_id: TopicId,
        index: PartitionIndex,
        directory: DirectoryId,
    ) -> Result<Option<VersionedRecord>, ErrorCode> {
        let topic = self.image.topics.topic(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partitions.get(&index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&id) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let is_acceptable = |id: BrokerId| self.is_active_broker(id) && self.is_online(partition, id);
        let settings = self.election_settings(topic);
        let mut change = self.change_of(topic, index, partition, &is_acceptable, &settings);
        change.directories = vec![(id, directory)];
        let level = self.metadata_version();
        Ok(change.build().map(|record| versioned(record, level.partition_record_version())))
    }
}
