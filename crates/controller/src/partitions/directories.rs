use super::{Election, Reason};
use crate::draft::Draft;
use crate::{Controller, Outcome};
use ottla_metadata::{MetadataVersionExt, Partition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::assign_replicas_to_dirs_response as response;
use ottla_protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, NodeId, PartitionIndex, TopicIdPartition};
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
        let mut draft = Draft::new(self);
        let mut offline = BTreeSet::new();
        let mut directories = Vec::with_capacity(request.directories.len());
        for directory in &request.directories {
            let is_online =
                self.image.cluster.broker(id).is_some_and(|broker| broker.has_online_directory(directory.id));
            let mut topics = Vec::with_capacity(directory.topics.len());
            for topic in &directory.topics {
                let mut assign = |index: i32| {
                    let key = TopicIdPartition { topic_id: topic.topic_id, partition: PartitionIndex(index) };
                    let code = match draft.assign_to_directory(id, key, directory.id) {
                        Ok(()) => {
                            if !is_online {
                                offline.insert(key);
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
        // Only of the last directory that the request names for a replica counts whether it works.
        let is_lost = |partition: &Partition| {
            let broker = self.image.cluster.broker(id);
            let directory = partition.directory(id);
            broker.zip(directory).is_some_and(|(broker, directory)| !broker.has_online_directory(directory))
        };
        draft.update_partitions(Reason::Leaves(id), offline.into_iter(), is_lost);
        // One that was lost and is found again may lead again.
        draft.update_partitions(Reason::Returns, std::iter::empty(), |partition| !partition.has_leader());
        Outcome::in_batches(draft.records, AssignReplicasToDirsResponse { directories, ..Default::default() })
    }
}

impl Draft<'_> {
    fn assign_to_directory(
        &mut self,
        id: BrokerId,
        key: TopicIdPartition,
        directory: DirectoryId,
    ) -> Result<(), ErrorCode> {
        let topic = self.image.topics.topic(key.topic_id).ok_or(ErrorCode::UnknownTopicId)?.clone();
        let partition = topic.partitions.get(&key.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&id) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let may_serve = |id: BrokerId| self.may_serve(partition, id);
        let mut change = self.change_of(key, partition, &may_serve, &self.controller.election_settings(&topic));
        change.election = Election::Online;
        change.directories = vec![(id, directory)];
        let record = change.build();
        self.push_change(record);
        Ok(())
    }
}
