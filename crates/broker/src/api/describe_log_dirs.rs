use crate::broker::Broker;
use crate::call::Call;
use ottla_log::{DirectoryDescription, FutureDescription};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use ottla_types::{PartitionIndex, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Partitions by their topics; `None` for all there are.
type Asked = Option<BTreeSet<(String, PartitionIndex)>>;

/// DescribeLogDirs: the log directories of this broker, the room on their disks, and which partitions lie where (KIP-113,
/// KIP-827).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeLogDirsRequest>() else { return };
    let asked: Asked = request.topics.map(|topics| topics.into_iter().flat_map(partitions).collect());
    let known = broker.logs.describe();
    let failed = broker.logs.failed().iter().map(|(path, _)| offline(path.display().to_string()));
    let results = known.iter().map(|directory| result(broker, directory, &asked)).chain(failed).collect();
    reply.send(&DescribeLogDirsResponse { results, ..Default::default() });
}

fn partitions(topic: DescribableLogDirTopic) -> impl Iterator<Item = (String, PartitionIndex)> {
    let name = topic.topic;
    topic.partitions.into_iter().map(move |index| (name.clone(), PartitionIndex::new(index)))
}

fn result(broker: &Broker, directory: &DirectoryDescription, asked: &Asked) -> DescribeLogDirsResult {
    let log_dir = absolute(directory);
    if directory.offline {
        return offline(log_dir);
    }
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (name, size) in &directory.logs {
        let is_asked = |asked: &BTreeSet<_>| asked.contains(&(name.topic.to_string(), name.partition));
        if asked.as_ref().is_none_or(is_asked) {
            topics.entry(&name.topic).or_default().push(described(broker, name, *size));
        }
    }
    let futures = broker.logs.moves();
    for moving in futures.iter().filter(|moving| moving.directory == directory.id) {
        let name = &moving.partition;
        if asked.as_ref().is_none_or(|asked| asked.contains(&(name.topic.to_string(), name.partition))) {
            topics.entry(&name.topic).or_default().push(future(moving));
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| DescribeLogDirsTopic {
        name: name.to_owned(),
        partitions,
        ..Default::default()
    });
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let (usable_bytes, total_bytes) = directory.space.map_or((-1, -1), |(free, all)| (bytes(free), bytes(all)));
    DescribeLogDirsResult { log_dir, topics: topics.collect(), total_bytes, usable_bytes, ..Default::default() }
}

/// How far a replica is behind the high watermark; a leader is not.
fn described(broker: &Broker, name: &TopicPartition, size: u64) -> DescribeLogDirsPartition {
    let log = broker.logs.get(name);
    let lag = log.map_or(-1, |log| (log.high_watermark().value() - log.log_end_offset().value()).max(0));
    DescribeLogDirsPartition {
        partition_index: name.partition.value(),
        partition_size: i64::try_from(size).unwrap_or(i64::MAX),
        offset_lag: lag,
        ..Default::default()
    }
}

/// A copy on its way into the directory.
fn future(moving: &FutureDescription) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition {
        partition_index: moving.partition.partition.value(),
        partition_size: i64::try_from(moving.size).unwrap_or(i64::MAX),
        offset_lag: moving.offset_lag,
        is_future_key: true,
        ..Default::default()
    }
}

fn offline(log_dir: String) -> DescribeLogDirsResult {
    DescribeLogDirsResult { log_dir, error_code: ErrorCode::KafkaStorageError.code(), ..Default::default() }
}

fn absolute(directory: &DirectoryDescription) -> String {
    std::path::absolute(&directory.path).unwrap_or_else(|_| directory.path.clone()).display().to_string()
}
