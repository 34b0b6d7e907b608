use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use ottla_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use ottla_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use ottla_types::{LeaderEpoch, PartitionIndex};
use std::sync::Arc;

/// OffsetForLeaderEpoch: where the records of a leader epoch end (KIP-101, KIP-279).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<OffsetForLeaderEpochRequest>() else { return };
    let topics = request
        .topics
        .iter()
        .map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic.partitions.iter().map(|asked| answer(broker, &topic.topic, asked)).collect(),
            ..Default::default()
        })
        .collect();
    reply.send(&OffsetForLeaderEpochResponse { topics, ..Default::default() });
}

fn answer(broker: &Broker, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let mut answer =
        EpochEndOffset { partition: asked.partition, leader_epoch: -1, end_offset: -1, ..Default::default() };
    match end_offset(broker, topic, asked) {
        Ok(Some((epoch, end_offset))) => {
            answer.leader_epoch = epoch.value();
            answer.end_offset = end_offset.value();
        }
        Ok(None) => {}
        Err(code) => answer.error_code = code.code(),
    }
    answer
}

fn end_offset(
    broker: &Broker,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, ottla_types::Offset)>, ErrorCode> {
    let partition = broker.partition(topic, PartitionIndex::new(asked.partition))?;
    partition.check_leader(LeaderEpoch(asked.current_leader_epoch))?;
    Ok(partition.log.end_offset_for_epoch(LeaderEpoch(asked.leader_epoch)))
}
