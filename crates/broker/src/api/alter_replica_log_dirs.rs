use crate::broker::Broker;
use crate::call::Call;
use ottla_log::{PartitionError, StorageError};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_replica_log_dirs_request::AlterReplicaLogDir;
use ottla_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use ottla_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use ottla_types::{PartitionIndex, TopicPartition};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A longer name could not be that of a directory.
const TOPIC_NAME_LENGTH_MAX: usize = 249;

/// AlterReplicaLogDirs: moves replicas of this broker between its log directories (KIP-113). The answer says what is begun; how
/// far it is DescribeLogDirs tells.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<AlterReplicaLogDirsRequest>() else { return };
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for ((topic_name, index), path) in destinations(request.dirs) {
        let result = AlterReplicaLogDirPartitionResult {
            partition_index: index,
            error_code: alter(broker, &path, &topic_name, index).code(),
            ..Default::default()
        };
        match results.last_mut().filter(|topic| topic.topic_name == topic_name) {
            Some(topic) => topic.partitions.push(result),
            None => results.push(AlterReplicaLogDirTopicResult {
                topic_name,
                partitions: vec![result],
                ..Default::default()
            }),
        }
    }
    reply.send(&AlterReplicaLogDirsResponse { results, ..Default::default() });
}

/// Where each partition shall be, in order of topics. A partition may be named under several directories: the last counts.
fn destinations(directories: Vec<AlterReplicaLogDir>) -> BTreeMap<(String, i32), String> {
    let mut destinations = BTreeMap::new();
    for directory in directories {
        for topic in directory.topics {
            let partitions = topic.partitions.into_iter().map(|index| (topic.name.clone(), index));
            destinations.extend(partitions.map(|partition| (partition, directory.path.clone())));
        }
    }
    destinations
}

fn alter(broker: &Broker, path: &str, topic: &str, index: i32) -> ErrorCode {
    if topic.len() > TOPIC_NAME_LENGTH_MAX {
        return ErrorCode::InvalidTopicException;
    }
    let partition = PartitionIndex::new(index);
    let directory = broker.logs.directories().iter().find(|directory| directory.path() == Path::new(path));
    let Some(directory) = directory else {
        let is_failed = broker.logs.failed().iter().any(|(failed, _)| failed == Path::new(path));
        return if is_failed { ErrorCode::KafkaStorageError } else { ErrorCode::LogDirNotFound };
    };
    if directory.is_offline() {
        return ErrorCode::KafkaStorageError;
    }
    match broker.partition(topic, partition) {
        Ok(hosted) if hosted.log.is_offline() => return ErrorCode::KafkaStorageError,
        Ok(_) => {}
        // The code that this API has always had for it.
        Err(ErrorCode::NotLeaderOrFollower) => return ErrorCode::ReplicaNotAvailable,
        Err(code) => return code,
    }
    match broker.logs.begin_move(&TopicPartition::new(topic, partition), directory.path()) {
        Ok(()) => ErrorCode::None,
        Err(PartitionError::NoDirectory) => ErrorCode::LogDirNotFound,
        Err(PartitionError::Storage(StorageError::Closed(_)) | PartitionError::NotHere(_)) => {
            ErrorCode::ReplicaNotAvailable
        }
        Err(error) => {
            tracing::warn!(topic, index, %error, "a replica can't be moved");
            ErrorCode::KafkaStorageError
        }
    }
}
