use super::Admin;
use crate::error::{ClientError, Result, check};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use ottla_types::{NodeId, TopicPartition};
use std::collections::BTreeMap;

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
}
