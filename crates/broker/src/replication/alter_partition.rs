//! Proposals of in-sync replicas, to the controller and back (KIP-497).

use super::Replication;
use crate::controller_channel::{ChannelFailure, accepted};
use crate::peers::Lane;
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use ottla_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse, alter_partition_response};
use ottla_replication::{AlterPartition, AlterPartitionAnswer, AlterPartitionError};
use ottla_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicIdPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Replication {
    pub(super) fn send_proposals(self: &Arc<Self>, now: Duration) {
        let Some(controller) = self.controller.get() else { return };
        let request = {
            let mut proposals = self.context.proposals().lock();
            let Some(sent) = proposals.poll(now) else { return };
            self.alter_partition_request(sent)
        };
        let this = self.clone();
        controller.ask(Lane::Controller, request, move |answer| this.proposals_answered(answer));
    }

    fn alter_partition_request(&self, sent: &BTreeMap<TopicIdPartition, AlterPartition>) -> AlterPartitionRequest {
        let mut topics: BTreeMap<TopicId, Vec<PartitionData>> = BTreeMap::new();
        for (partition, proposal) in sent {
            let member = |member: &ottla_replication::InSyncMember| BrokerState {
                broker_id: member.broker.value(),
                broker_epoch: member.epoch.value(),
                ..Default::default()
            };
            topics.entry(partition.topic_id).or_default().push(PartitionData {
                partition_index: partition.partition.value(),
                leader_epoch: proposal.leader_epoch.value(),
                new_isr_with_epochs: proposal.in_sync.iter().map(member).collect(),
                leader_recovery_state: 0,
                partition_epoch: proposal.partition_epoch,
                ..Default::default()
            });
        }
        let topic = |(topic_id, partitions)| TopicData { topic_id, partitions, ..Default::default() };
        AlterPartitionRequest {
            broker_id: self.node_id.value(),
            broker_epoch: self.context.broker_epoch().value(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        }
    }

    fn proposals_answered(self: &Arc<Self>, answer: Result<AlterPartitionResponse, ChannelFailure>) {
        let now = self.context.now();
        let refusal = match &answer {
            Ok(response) => accepted(response.error_code).err().map(|code| code.name().to_owned()),
            Err(failure) => Some(failure.to_string()),
        };
        let answered = {
            let mut proposals = self.context.proposals().lock();
            match (answer, refusal) {
                (Ok(response), None) => proposals.answered(answers(&response), now),
                (_, refusal) => {
                    tracing::info!(refusal, "the controller was not told of replicas in sync; it is asked again");
                    proposals.failed(now);
                    Vec::new()
                }
            }
        };
        for answered in answered {
            if let Some(partition) = self.partition(&answered.partition) {
                partition.proposal_answered(answered.number, &answered.answer);
            }
        }
        self.context.wake();
    }
}

fn answers(response: &AlterPartitionResponse) -> Vec<(TopicIdPartition, AlterPartitionAnswer)> {
    let topics = response.topics.iter();
    topics
        .flat_map(|topic| {
            topic.partitions.iter().map(|partition| {
                let index = PartitionIndex::new(partition.partition_index);
                (TopicIdPartition { topic_id: topic.topic_id, partition: index }, answer(partition))
            })
        })
        .collect()
}

fn answer(partition: &alter_partition_response::PartitionData) -> AlterPartitionAnswer {
    match accepted(partition.error_code) {
        Ok(()) => AlterPartitionAnswer::Accepted {
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            partition_epoch: partition.partition_epoch,
            in_sync: partition.isr.iter().copied().map(BrokerId::new).collect(),
        },
        Err(ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted) => {
            AlterPartitionAnswer::Refused(AlterPartitionError::NotApplied)
        }
        Err(
            ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::InvalidRequest
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::NewLeaderElected,
        ) => AlterPartitionAnswer::Refused(AlterPartitionError::Outdated),
        Err(_) => AlterPartitionAnswer::Refused(AlterPartitionError::Retriable),
    }
}
