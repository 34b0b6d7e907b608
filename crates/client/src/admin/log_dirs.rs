use super::{Admin, by_topic};
use crate::error::{ClientError, Result, check};
use ottla_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use ottla_types::{NodeId, TopicPartition};
use std::collections::BTreeMap;
use std::fmt;

/// A replica in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirectoryReplica {
    /// Its partition.
    pub partition: TopicPartition,
    /// How many bytes it has.
    pub size: i64,
    /// How many records it lacks: of the high watermark, or, on its way into this directory, of the replica that it will replace.
    pub offset_lag: i64,
    /// Whether it is on its way into this directory.
    pub is_future: bool,
}

/// A log directory of a broker.
#[derive(Clone, Debug)]
pub struct LogDirectoryDescription {
    /// Why it can't be used, if it can't.
    pub error: Option<ClientError>,
    /// What lies in it, in the order of the partitions' names.
    pub replicas: Vec<LogDirectoryReplica>,
    /// The size of its file system in bytes; `None` when the broker does not tell.
    pub total_bytes: Option<i64>,
    /// What is free of that.
    pub usable_bytes: Option<i64>,
}

/// A partition's replica on one broker. Displays as `topic-0-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionReplica {
    /// The broker.
    pub broker: NodeId,
    /// The partition.
    pub partition: TopicPartition,
}

impl fmt::Display for PartitionReplica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.broker)
    }
}

impl Admin {
    /// Describes the log directories of a broker, by their paths.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<BTreeMap<String, LogDirectoryDescription>> {
        let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
        let described = |response: DescribeLogDirsResponse| {
            check(response.error_code)?;
            Ok(response.results)
        };
        let results = self.at_node(NodeId::new(broker), &request, described).await?;
        let directory = |result: ottla_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult| {
            let replicas = result.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| LogDirectoryReplica {
                    partition: TopicPartition::new(topic.name.as_str(), partition.partition_index),
                    size: partition.partition_size,
                    offset_lag: partition.offset_lag,
                    is_future: partition.is_future_key,
                })
            });
            let mut replicas: Vec<_> = replicas.collect();
            replicas.sort_by(|a, b| a.partition.cmp(&b.partition));
            let told = |bytes: i64| Some(bytes).filter(|bytes| *bytes >= 0);
            let description = LogDirectoryDescription {
                error: check(result.error_code).err(),
                replicas,
                total_bytes: told(result.total_bytes),
                usable_bytes: told(result.usable_bytes),
            };
            (result.log_dir, description)
        };
        Ok(results.into_iter().map(directory).collect())
    }

    /// Moves replicas to other log directories of their brokers.
    ///
    /// # Errors
    /// A broker gave no answer.
    pub async fn alter_replica_log_dirs(
        &self,
        moves: &BTreeMap<PartitionReplica, String>,
    ) -> Result<BTreeMap<PartitionReplica, Result<()>>> {
        let mut by_broker = BTreeMap::<NodeId, BTreeMap<&str, Vec<&TopicPartition>>>::new();
        for (replica, path) in moves {
            by_broker.entry(replica.broker).or_default().entry(path).or_default().push(&replica.partition);
        }
        let mut altered = BTreeMap::new();
        for (broker, paths) in by_broker {
            let topic = |(name, partitions)| AlterReplicaLogDirTopic { name, partitions, ..Default::default() };
            let directory = |(path, partitions): (&str, Vec<&TopicPartition>)| AlterReplicaLogDir {
                path: path.to_owned(),
                topics: by_topic(partitions.into_iter()).into_iter().map(topic).collect(),
                ..Default::default()
            };
            let request =
                AlterReplicaLogDirsRequest { dirs: paths.into_iter().map(directory).collect(), ..Default::default() };
            for topic in self.at_node(broker, &request, |response| Ok(response.results)).await? {
                for partition in topic.partitions {
                    let partition_name = TopicPartition::new(topic.topic_name.as_str(), partition.partition_index);
                    let replica = PartitionReplica { broker, partition: partition_name };
                    altered.insert(replica, check(partition.error_code));
                }
            }
        }
        Ok(altered)
    }
}
