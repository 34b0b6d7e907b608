use crate::broker::Broker;
use crate::call::Call;
use crate::internal_topics::is_internal;
use ottla_log::ReadError;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_request::DeleteRecordsPartition;
use ottla_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use ottla_types::{LeaderEpoch, Offset, PartitionIndex};
use std::sync::Arc;

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// DeleteRecords: lets partitions begin later.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DeleteRecordsRequest>() else { return };
    let mut topics: Vec<_> = request
        .topics
        .iter()
        .map(|topic| DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|asked| answer(broker, &topic.name, asked)).collect(),
            ..Default::default()
        })
        .collect();
    keep(broker, &mut topics);
    reply.send(&DeleteRecordsResponse { topics, ..Default::default() });
}

/// What is acknowledged as deleted stays deleted when the node dies: in Apache Kafka it is back until the next checkpoint,
/// which may be a minute away.
fn keep(broker: &Broker, topics: &mut [DeleteRecordsTopicResult]) {
    let Err(error) = broker.logs.keep_log_starts() else { return };
    tracing::error!(%error, "where logs begin can't be kept");
    let deleted = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in deleted.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        partition.error_code = ErrorCode::KafkaStorageError.code();
        partition.low_watermark = -1;
    }
}

fn answer(broker: &Broker, topic: &str, asked: &DeleteRecordsPartition) -> DeleteRecordsPartitionResult {
    let (low_watermark, code) = match delete(broker, topic, asked) {
        Ok(low_watermark) => (low_watermark.value(), ErrorCode::None),
        Err(code) => (-1, code),
    };
    DeleteRecordsPartitionResult {
        partition_index: asked.partition_index,
        low_watermark,
        error_code: code.code(),
        ..Default::default()
    }
}

fn delete(broker: &Broker, topic: &str, asked: &DeleteRecordsPartition) -> Result<Offset, ErrorCode> {
    let partition = broker.partition(topic, PartitionIndex::new(asked.partition_index))?;
    if is_internal(topic) {
        // The coordinators would lose what they have to remember.
        return Err(ErrorCode::InvalidTopicException);
    }
    partition.check_leader(LeaderEpoch::NONE)?;
    if !partition.rules().config.cleanup_policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match asked.offset {
        HIGH_WATERMARK => partition.log.high_watermark(),
        offset if offset < 0 => return Err(ErrorCode::OffsetOutOfRange),
        offset => Offset(offset),
    };
    partition.log.advance_log_start_offset(offset).map_err(|error| {
        if let ReadError::Storage(_) = error {
            tracing::error!(%error, "records can't be deleted");
        }
        ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::UnknownServerError)
    })
}
