use crate::broker::Broker;
use crate::call::Call;
use crate::delayed_delete_records::Deleting;
use crate::internal_topics::is_internal;
use crate::purgatory::park;
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_request::DeleteRecordsPartition;
use ottla_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use ottla_types::{Offset, PartitionIndex};
use std::sync::Arc;

/// DeleteRecords: lets partitions begin later. Answered when all replicas whose brokers live have deleted the records too, or
/// when the request's time is over.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DeleteRecordsRequest>() else { return };
    let mut waiting = Vec::new();
    let mut response = DeleteRecordsResponse::default();
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let place = (response.topics.len(), partitions.len());
            partitions.push(match delete(broker, &topic.name, asked, place) {
                Ok((deleting, low_watermark)) => {
                    waiting.push(deleting);
                    result(asked, low_watermark, ErrorCode::None)
                }
                Err(code) => result(asked, Offset(-1), code),
            });
        }
        let topic = DeleteRecordsTopicResult { name: topic.name.clone(), partitions, ..Default::default() };
        response.topics.push(topic);
    }
    if !keep(broker, &mut response.topics) {
        return reply.send(&response);
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = broker.clock.monotonic() + timeout;
    park(&broker.timers, deadline, reply, response, waiting);
}

/// What is acknowledged as deleted stays deleted when the node dies: in Apache Kafka it is back until the next checkpoint,
/// which may be a minute away.
fn keep(broker: &Broker, topics: &mut [DeleteRecordsTopicResult]) -> bool {
    let Err(error) = broker.logs.keep_log_starts() else { return true };
    tracing::error!(%error, "where logs begin can't be kept");
    let deleted = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in deleted.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        partition.error_code = ErrorCode::KafkaStorageError.code();
        partition.low_watermark = -1;
    }
    false
}

fn result(asked: &DeleteRecordsPartition, low_watermark: Offset, code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult {
        partition_index: asked.partition_index,
        low_watermark: low_watermark.value(),
        error_code: code.code(),
        ..Default::default()
    }
}

/// Deletes here. Gives what has to be waited for, and the low watermark now.
fn delete(
    broker: &Broker,
    topic: &str,
    asked: &DeleteRecordsPartition,
    (in_topics, index): (usize, usize),
) -> Result<(Deleting, Offset), ErrorCode> {
    let partition = broker.partition(topic, PartitionIndex::new(asked.partition_index))?;
    if is_internal(topic) {
        // The coordinators would lose what they have to remember.
        return Err(ErrorCode::InvalidTopicException);
    }
    let before = partition.delete_records(asked.offset)?;
    let low_watermark = partition.low_watermark().ok_or(ErrorCode::NotLeaderOrFollower)?;
    Ok((Deleting { partition, before, topic: in_topics, index }, low_watermark))
}
