use crate::draft::Draft;
use crate::{Context, Controller, Outcome};
use ottla_metadata::{LeaderRecoveryState, Partition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{BrokerState, PartitionData};
use ottla_protocol::messages::alter_partition_response as response;
use ottla_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicIdPartition};
use std::collections::BTreeSet;

/// From this version of the request on, replicas in sync are named with their broker epochs.
const EPOCHS_VERSION: i16 = 3;

impl Controller {
    /// AlterPartition: a leader says who is in sync with it now.
    pub fn alter_partition(
        &mut self,
        context: &Context,
        request: &AlterPartitionRequest,
    ) -> Outcome<AlterPartitionResponse> {
        let leader = NodeId(request.broker_id);
        if let Err(error) = self.check_broker_epoch(leader, BrokerEpoch(request.broker_epoch)) {
            let error_code = error.code.code();
            return Outcome::answer(AlterPartitionResponse { error_code, ..Default::default() });
        }
        let mut draft = Draft::new(self);
        let mut topics = Vec::with_capacity(request.topics.len());
        for data in &request.topics {
            let mut partitions = Vec::with_capacity(data.partitions.len());
            for partition in &data.partitions {
                let altered = draft.alter_partition(context, leader, data.topic_id, partition);
                partitions.push(altered.unwrap_or_else(|code| refused(partition.partition_index, code)));
            }
            topics.push(response::TopicData { topic_id: data.topic_id, partitions, ..Default::default() });
        }
        Outcome::in_batches(draft.records, AlterPartitionResponse { topics, ..Default::default() })
    }
}

impl Draft<'_> {
    fn alter_partition(
        &mut self,
        context: &Context,
        leader: BrokerId,
        topic_id: TopicId,
        data: &PartitionData,
    ) -> Result<response::PartitionData, ErrorCode> {
        let topic = self.image.topics.topic(topic_id).ok_or(ErrorCode::UnknownTopicId)?.clone();
        let key = TopicIdPartition { topic_id, partition: PartitionIndex(data.partition_index) };
        let partition = topic.partitions.get(&key.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let in_sync = if context.version < EPOCHS_VERSION {
            data.new_isr.iter().map(|id| BrokerState { broker_id: *id, ..Default::default() }).collect()
        } else {
            data.new_isr_with_epochs.clone()
        };
        self.check_alteration(leader, partition, data, &in_sync)?;
        let may_serve = |id: BrokerId| self.may_serve(partition, id);
        let mut change = self.change_of(key, partition, &may_serve, &self.controller.election_settings(&topic));
        change.target_in_sync = in_sync.iter().map(|state| NodeId(state.broker_id)).collect();
        change.target_recovery_state =
            LeaderRecoveryState::from_code(data.leader_recovery_state).unwrap_or(partition.leader_recovery_state);
        let record = change.build();
        // Completing a move may take leadership away from the one who asks.
        if self.push_change(record).is_some_and(|new| new != leader) {
            return Err(ErrorCode::NewLeaderElected);
        }
        let after = self.image.topics.partition(topic_id, key.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(accepted(key.partition, after))
    }

    fn check_alteration(
        &self,
        leader: BrokerId,
        partition: &Partition,
        data: &PartitionData,
        in_sync: &[BrokerState],
    ) -> Result<(), ErrorCode> {
        let epoch = LeaderEpoch(data.leader_epoch);
        if epoch > partition.leader_epoch || data.partition_epoch > partition.partition_epoch {
            // The leader knows more than this controller, which therefore can't be the active one.
            return Err(ErrorCode::NotController);
        }
        if epoch < partition.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if leader != partition.leader {
            return Err(ErrorCode::InvalidRequest);
        }
        if data.partition_epoch < partition.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let ids: BTreeSet<NodeId> = in_sync.iter().map(|state| NodeId(state.broker_id)).collect();
        let known = ids.len() == in_sync.len() && ids.iter().all(|id| partition.replicas.contains(id));
        let state = LeaderRecoveryState::from_code(data.leader_recovery_state).ok_or(ErrorCode::InvalidRequest)?;
        let recovers = state == LeaderRecoveryState::Recovering;
        let was_recovered = partition.leader_recovery_state == LeaderRecoveryState::Recovered;
        if !known || !ids.contains(&leader) || (recovers && (ids.len() > 1 || was_recovered)) {
            return Err(ErrorCode::InvalidRequest);
        }
        let is_eligible = |state: &BrokerState| {
            self.image.cluster.broker(NodeId(state.broker_id)).is_some_and(|broker| {
                broker.is_active() && (state.broker_epoch == -1 || broker.epoch.0 == state.broker_epoch)
            })
        };
        if in_sync.iter().all(is_eligible) { Ok(()) } else { Err(ErrorCode::IneligibleReplica) }
    }
}

fn refused(partition_index: i32, code: ErrorCode) -> response::PartitionData {
    response::PartitionData { partition_index, error_code: code.code(), ..Default::default() }
}

fn accepted(index: PartitionIndex, partition: &Partition) -> response::PartitionData {
    response::PartitionData {
        partition_index: index.0,
        leader_id: partition.leader.0,
        leader_epoch: partition.leader_epoch.0,
        isr: partition.in_sync_replicas.iter().map(|id| id.0).collect(),
        leader_recovery_state: partition.leader_recovery_state.code(),
        partition_epoch: partition.partition_epoch,
        ..Default::default()
    }
}
