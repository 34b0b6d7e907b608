use super::Election;
use super::update::versioned;
use crate::outcome::RECORDS_MAX;
use crate::{ApiError, Controller, Outcome};
use ottla_metadata::{MetadataVersionExt, Partition, Topic, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
};
use ottla_protocol::metadata_records::PartitionChangeRecord;
use ottla_types::{BrokerId, NodeId, PartitionIndex};
use std::collections::BTreeSet;

impl Controller {
    /// AlterPartitionReassignments: partitions are to lie on other brokers, or a move under way is to be taken back. The
    /// new replicas are added first; the old ones go when all new ones are in sync.
    pub fn alter_partition_reassignments(
        &mut self,
        request: &AlterPartitionReassignmentsRequest,
    ) -> Outcome<AlterPartitionReassignmentsResponse> {
        if request.topics.is_empty() {
            return Outcome::answer(AlterPartitionReassignmentsResponse::default());
        }
        let may_change_factor = request.allow_replication_factor_change;
        let mut records = Vec::new();
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut reassign = |index: i32, replicas: Option<&[i32]>| {
                let decided = self.reassign(&topic.name, PartitionIndex(index), replicas, may_change_factor);
                let (error_code, error_message) = ApiError::parts(decided.map(|record| records.extend(record)));
                ReassignablePartitionResponse {
                    partition_index: index,
                    error_code,
                    error_message,
                    ..Default::default()
                }
            };
            let partitions = topic
                .partitions
                .iter()
                .map(|asked| reassign(asked.partition_index, asked.replicas.as_deref()))
                .collect();
            responses.push(ReassignableTopicResponse { name: topic.name.clone(), partitions, ..Default::default() });
        }
        let whole = AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: may_change_factor,
            error_message: None,
            ..Default::default()
        };
        if records.len() > RECORDS_MAX {
            let message = "Unable to perform excessively large batch operation.".to_owned();
            let error_code = ErrorCode::PolicyViolation.code();
            return Outcome::answer(AlterPartitionReassignmentsResponse {
                error_code,
                error_message: Some(message),
                ..whole
            });
        }
        Outcome::new(records, AlterPartitionReassignmentsResponse { responses, ..whole })
    }

    fn reassign(
        &self,
        name: &str,
        index: PartitionIndex,
        replicas: Option<&[i32]>,
        may_change_factor: bool,
    ) -> Result<Option<VersionedRecord>, ApiError> {
        let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = self.image.topics.topic_by_name(name);
        let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
        let partition = topic.partitions.get(&index);
        let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
        let record = match replicas {
            None => self.cancel(topic, index, partition)?,
            Some(replicas) => {
                let target: Vec<BrokerId> = replicas.iter().copied().map(NodeId).collect();
                self.move_to(topic, index, partition, target, may_change_factor)?
            }
        };
        let level = self.metadata_version();
        Ok(record.map(|record| versioned(record, level.partition_record_version())))
    }

    fn move_to(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
        target: Vec<BrokerId>,
        may_change_factor: bool,
    ) -> Result<Option<PartitionChangeRecord>, ApiError> {
        self.check_assignment(&target, None)?;
        let factor = partition.replicas.iter().filter(|id| !partition.removing_replicas.contains(id)).count();
        if !may_change_factor && target.len() != factor {
            let message = format!("The replication factor is changed from {factor} to {}", target.len());
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        let is_acceptable = |id: BrokerId| self.is_active_broker(id) && self.is_online(partition, id);
        let settings = self.election_settings(topic);
        let mut change = self.change_of(topic, index, partition, &is_acceptable, &settings);
        change.election = Election::Online;
        let without = |list: &[BrokerId], others: &[BrokerId]| -> Vec<BrokerId> {
            let rest: BTreeSet<_> = list.iter().copied().filter(|id| !others.contains(id)).collect();
            rest.into_iter().collect()
        };
        change.target_removing = without(&partition.replicas, &target);
        change.target_adding = without(&target, &partition.replicas);
        change.directories = change.target_adding.iter().map(|id| (*id, self.default_directory(*id))).collect();
        let leaving = change.target_removing.clone();
        change.target_replicas = target.into_iter().chain(leaving).collect();
        Ok(change.build())
    }

    /// Takes a move back: the added replicas go, the others stay. If none of those is in sync, that would be an unclean
    /// election.
    fn cancel(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
    ) -> Result<Option<PartitionChangeRecord>, ApiError> {
        if !partition.is_reassigning() {
            return Err(ApiError::bare(ErrorCode::NoReassignmentInProgress));
        }
        let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        let stays = |list: &[BrokerId]| -> Vec<BrokerId> {
            list.iter().copied().filter(|id| !partition.adding_replicas.contains(id)).collect()
        };
        let (replicas, mut in_sync) = (stays(&partition.replicas), stays(&partition.in_sync_replicas));
        let settings = self.election_settings(topic);
        if in_sync.is_empty() {
            let Some(first) = replicas.first() else {
                return invalid("Invalid replica assignment: addingReplicas contains all replicas.".to_owned());
            };
            if !settings.may_be_unclean {
                return invalid(format!(
                    "Unable to revert partition assignment for {}:{index} because it would require an unclean leader \
                     election.",
                    topic.name
                ));
            }
            in_sync.push(*first);
        }
        let is_acceptable = |id: BrokerId| self.is_active_broker(id) && self.is_online(partition, id);
        let mut change = self.change_of(topic, index, partition, &is_acceptable, &settings);
        change.target_replicas = replicas;
        change.target_in_sync = in_sync;
        change.target_removing.clear();
        change.target_adding.clear();
        Ok(change.build())
    }

    /// ListPartitionReassignments: the moves under way.
    pub fn list_partition_reassignments(
        &self,
        request: &ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        let topics = match &request.topics {
            None => self.image.topics.iter_by_name().filter_map(|topic| ongoing(topic, None)).collect(),
            Some(asked) => asked
                .iter()
                .filter_map(|asked| {
                    ongoing(self.image.topics.topic_by_name(&asked.name)?, Some(&asked.partition_indexes))
                })
                .collect(),
        };
        ListPartitionReassignmentsResponse { error_message: None, topics, ..Default::default() }
    }
}

fn ongoing(topic: &Topic, indexes: Option<&[i32]>) -> Option<OngoingTopicReassignment> {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    let partitions: Vec<_> = topic
        .partitions
        .iter()
        .filter(|(index, partition)| {
            partition.is_reassigning() && indexes.is_none_or(|indexes| indexes.contains(&index.0))
        })
        .map(|(index, partition)| OngoingPartitionReassignment {
            partition_index: index.0,
            replicas: ids(&partition.replicas),
            adding_replicas: ids(&partition.adding_replicas),
            removing_replicas: ids(&partition.removing_replicas),
            ..Default::default()
        })
        .collect();
    (!partitions.is_empty()).then(|| OngoingTopicReassignment {
        name: topic.name.to_string(),
        partitions,
        ..Default::default()
    })
}
