use super::Election;
use crate::draft::Draft;
use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::{ApiError, Controller, Outcome};
use ottla_metadata::{LeaderRecoveryState, Partition, Topic};
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
use ottla_types::{BrokerId, NodeId, PartitionIndex, TopicIdPartition};
use std::sync::Arc;

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
        let mut draft = Draft::new(self);
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut reassign = |index: i32, replicas: Option<&[i32]>| {
                let decided = draft.reassign(&topic.name, PartitionIndex(index), replicas, may_change_factor);
                let (error_code, error_message) = ApiError::parts(decided);
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
        if draft.records.len() > RECORDS_MAX {
            let error_code = ErrorCode::PolicyViolation.code();
            let error_message = Some(TOO_MANY_RECORDS.to_owned());
            return Outcome::answer(AlterPartitionReassignmentsResponse { error_code, error_message, ..whole });
        }
        Outcome::atomic(draft.records, AlterPartitionReassignmentsResponse { responses, ..whole })
    }

    /// ListPartitionReassignments: the moves under way.
    pub fn list_partition_reassignments(
        &self,
        request: &ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        let of_topic = |topic: &Arc<Topic>| ongoing(topic, self.by_state.reassigning().of_topic(topic.id));
        let topics = match &request.topics {
            None => self.image.topics.iter_by_name().filter_map(of_topic).collect(),
            Some(asked) => asked
                .iter()
                .filter_map(|asked| {
                    let indexes: Vec<_> = asked.partition_indexes.iter().copied().map(PartitionIndex).collect();
                    ongoing(self.image.topics.topic_by_name(&asked.name)?, &indexes)
                })
                .collect(),
        };
        ListPartitionReassignmentsResponse { error_message: None, topics, ..Default::default() }
    }
}

impl Draft<'_> {
    fn reassign(
        &mut self,
        name: &str,
        index: PartitionIndex,
        replicas: Option<&[i32]>,
        may_change_factor: bool,
    ) -> Result<(), ApiError> {
        let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = self.image.topics.topic_by_name(name).cloned();
        let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
        let partition = topic.partitions.get(&index);
        let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
        let targets = match replicas {
            None => self.back_to_where_it_was(&topic, index, partition)?,
            Some(replicas) => {
                let target: Vec<BrokerId> = replicas.iter().copied().map(NodeId).collect();
                self.targets_of_move(partition, target, may_change_factor)?
            }
        };
        let key = TopicIdPartition { topic_id: topic.id, partition: index };
        let may_serve = |id: BrokerId| self.may_serve(partition, id);
        let settings = self.controller.election_settings(&topic);
        let mut change = self.change_of(key, partition, &may_serve, &settings);
        if replicas.is_some() {
            change.election = Election::Online;
        }
        let new = targets.replicas.iter().filter(|id| !partition.replicas.contains(id));
        change.directories = new.map(|id| (*id, self.controller.default_directory(*id))).collect();
        change.target_replicas = targets.replicas;
        change.target_recovery_state = targets.recovery;
        change.target_in_sync = targets.in_sync;
        change.target_removing = targets.removing;
        change.target_adding = targets.adding;
        let record = change.build();
        self.push_change(record);
        Ok(())
    }

    fn targets_of_move(
        &self,
        partition: &Partition,
        target: Vec<BrokerId>,
        may_change_factor: bool,
    ) -> Result<Targets, ApiError> {
        self.controller.check_assignment(&target, None)?;
        let factor = partition.replicas.iter().filter(|id| !partition.removing_replicas.contains(id)).count();
        if !may_change_factor && target.len() != factor {
            let message = format!("The replication factor is changed from {factor} to {}", target.len());
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        let mut removing: Vec<_> = partition.replicas.iter().copied().filter(|id| !target.contains(id)).collect();
        removing.sort_unstable();
        // A replica that an earlier move is still adding was not there before: taking the move back must remove it.
        let is_new = |id: &BrokerId| !partition.replicas.contains(id) || partition.adding_replicas.contains(id);
        let mut adding: Vec<_> = target.iter().copied().filter(is_new).collect();
        adding.sort_unstable();
        let replicas = target.into_iter().chain(removing.iter().copied()).collect();
        let in_sync = partition.in_sync_replicas.clone();
        Ok(Targets { replicas, in_sync, removing, adding, recovery: partition.leader_recovery_state })
    }

    /// Takes a move back: the added replicas go, the others stay. If none of those is in sync, that would be an unclean
    /// election.
    fn back_to_where_it_was(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
    ) -> Result<Targets, ApiError> {
        if !partition.is_reassigning() {
            return Err(ApiError::bare(ErrorCode::NoReassignmentInProgress));
        }
        let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        let stays = |list: &[BrokerId]| -> Vec<BrokerId> {
            list.iter().copied().filter(|id| !partition.adding_replicas.contains(id)).collect()
        };
        let (replicas, mut in_sync) = (stays(&partition.replicas), stays(&partition.in_sync_replicas));
        let mut recovery = partition.leader_recovery_state;
        if replicas.is_empty() {
            return invalid("Invalid replica assignment: addingReplicas contains all replicas.".to_owned());
        }
        if in_sync.is_empty() {
            let unable = format!("Unable to revert partition assignment for {}:{index} because", topic.name);
            if !self.controller.election_settings(topic).may_be_unclean {
                return invalid(format!("{unable} it would require an unclean leader election."));
            }
            let Some(live) = replicas.iter().copied().find(|id| self.may_serve(partition, *id)) else {
                return invalid(format!("{unable} no other replica is online."));
            };
            in_sync.push(live);
            recovery = LeaderRecoveryState::Recovering;
        }
        Ok(Targets { replicas, in_sync, removing: Vec::new(), adding: Vec::new(), recovery })
    }
}

/// What a partition is to become.
struct Targets {
    replicas: Vec<BrokerId>,
    in_sync: Vec<BrokerId>,
    removing: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    recovery: LeaderRecoveryState,
}

/// The moves of a topic among the partitions asked for, in that order.
fn ongoing(topic: &Topic, indexes: &[PartitionIndex]) -> Option<OngoingTopicReassignment> {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    let moving = |index: &PartitionIndex| {
        let partition = topic.partitions.get(index).filter(|partition| partition.is_reassigning())?;
        Some(OngoingPartitionReassignment {
            partition_index: index.0,
            replicas: ids(&partition.replicas),
            adding_replicas: ids(&partition.adding_replicas),
            removing_replicas: ids(&partition.removing_replicas),
            ..Default::default()
        })
    };
    let partitions: Vec<_> = indexes.iter().filter_map(moving).collect();
    (!partitions.is_empty()).then(|| OngoingTopicReassignment {
        name: topic.name.to_string(),
        partitions,
        ..Default::default()
    })
}
