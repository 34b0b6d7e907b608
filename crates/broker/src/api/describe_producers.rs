use crate::broker::Broker;
use crate::call::Call;
use ottla_log::format::ProducerSnapshotEntry;
use ottla_log::names::is_topic_name;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_request::TopicRequest;
use ottla_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use ottla_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use ottla_types::PartitionIndex;
use std::sync::Arc;

/// DescribeProducers: who has lately written to a partition, and which transactions are open there (KIP-664). Any replica
/// answers what it knows.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeProducersRequest>() else { return };
    let topics = request.topics.iter().map(|topic| describe(broker, topic)).collect();
    reply.send(&DescribeProducersResponse { topics, ..Default::default() });
}

fn describe(broker: &Broker, topic: &TopicRequest) -> TopicResponse {
    let is_known = broker.metadata.image().topics.topic_by_name(&topic.name).is_some();
    let partitions = topic.partition_indexes.iter().map(|index| match producers(broker, &topic.name, *index) {
        Ok(active_producers) => PartitionResponse { active_producers, ..refuse(*index, ErrorCode::None, None) },
        Err(code) if is_known => refuse(*index, code, None),
        Err(_) if !is_topic_name(&topic.name) => {
            let code = ErrorCode::InvalidTopicException;
            refuse(*index, code, Some(code.message().to_owned()))
        }
        Err(code) => refuse(*index, code, Some(code.message().to_owned())),
    });
    TopicResponse { name: topic.name.clone(), partitions: partitions.collect(), ..Default::default() }
}

fn producers(broker: &Broker, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let partition = broker.partition(topic, PartitionIndex::new(index))?;
    Ok(partition.log.with_producers(|producers| producers.snapshot().map(state).collect()))
}

fn state(entry: ProducerSnapshotEntry) -> ProducerState {
    ProducerState {
        producer_id: entry.producer_id.value(),
        producer_epoch: i32::from(entry.epoch.value()),
        last_sequence: entry.last_sequence.value(),
        last_timestamp: entry.timestamp.value(),
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.transaction_first_offset.value(),
        ..Default::default()
    }
}

fn refuse(partition_index: i32, code: ErrorCode, error_message: Option<String>) -> PartitionResponse {
    PartitionResponse { partition_index, error_code: code.code(), error_message, ..Default::default() }
}
