use super::Admin;
use super::leaders::{LeaderJob, Outcomes, at_leaders};
use crate::cluster::Cluster;
use crate::error::{ClientError, Result};
use ottla_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_types::{NodeId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that can be read.
    Earliest,
    /// The one behind the last.
    Latest,
    /// That of the record with the greatest timestamp.
    MaxTimestamp,
    /// The first that is on the broker's own disk, where older ones are in remote storage.
    EarliestLocal,
    /// The last that is in remote storage.
    LatestTiered,
    /// The first that waits to be copied to remote storage.
    EarliestPendingUpload,
    /// That of the first record whose timestamp is this or later.
    Timestamp(i64),
}

impl OffsetSpec {
    fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::EarliestPendingUpload => -6,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 when there is none.
    pub offset: i64,
    /// The record's timestamp; -1 when it is not told.
    pub timestamp: i64,
    /// The epoch of the leader that appended the record, where it is told.
    pub leader_epoch: Option<i32>,
}

impl Admin {
    /// Looks up offsets at the partitions' leaders.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn list_offsets(
        &self,
        specs: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset>>> {
        list_offsets(self.cluster(), specs, Isolation::ReadUncommitted).await
    }

    /// Deletes the records below these offsets; -1 means all that is replicated. Answers with the new first offsets.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn delete_records(
        &self,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Result<i64>>> {
        at_leaders(self.cluster(), offsets, &Deletion { timeout_ms: self.timeout_ms() }).await
    }
}

struct Deletion {
    timeout_ms: i32,
}

impl LeaderJob for Deletion {
    type Order = i64;
    type Outcome = i64;

    async fn send(
        &self,
        cluster: &Cluster,
        node: NodeId,
        part: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Outcomes<i64>> {
        let mut topics = BTreeMap::<String, Vec<_>>::new();
        for (partition, offset) in part {
            topics.entry(partition.topic.to_string()).or_default().push(DeleteRecordsPartition {
                partition_index: partition.partition.value(),
                offset: *offset,
                ..Default::default()
            });
        }
        let topic = |(name, partitions)| DeleteRecordsTopic { name, partitions, ..Default::default() };
        let topics = topics.into_iter().map(topic).collect();
        let request = DeleteRecordsRequest { topics, timeout_ms: self.timeout_ms, ..Default::default() };
        let response = cluster.call(node, &request).await?;
        let mut results = Vec::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for partition in topic.partitions {
                let key = TopicPartition::new(name.clone(), partition.partition_index);
                let error = ClientError::of_code(partition.error_code);
                results.push((key, error.map_or(Ok(partition.low_watermark), Err)));
            }
        }
        Ok(results)
    }
}

/// Which records are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    #[default]
    ReadUncommitted,
    /// Those of transactions only when they were committed.
    ReadCommitted,
}

impl Isolation {
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// Looks up offsets at the partitions' leaders.
pub(crate) async fn list_offsets(
    cluster: &Cluster,
    specs: &BTreeMap<TopicPartition, OffsetSpec>,
    isolation: Isolation,
) -> Result<BTreeMap<TopicPartition, Result<ListedOffset>>> {
    at_leaders(cluster, specs, &Lookup { isolation }).await
}

struct Lookup {
    isolation: Isolation,
}

impl LeaderJob for Lookup {
    type Order = OffsetSpec;
    type Outcome = ListedOffset;

    async fn send(
        &self,
        cluster: &Cluster,
        node: NodeId,
        part: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<Outcomes<ListedOffset>> {
        let metadata = cluster.metadata();
        let mut topics = BTreeMap::<String, Vec<_>>::new();
        for (partition, spec) in part {
            let index = partition.partition.value();
            let epoch = metadata.leader(&partition.topic, index).map_or(-1, |(_, epoch)| epoch.value());
            topics.entry(partition.topic.to_string()).or_default().push(ListOffsetsPartition {
                partition_index: index,
                current_leader_epoch: epoch,
                timestamp: spec.code(),
                ..Default::default()
            });
        }
        let topic = |(name, partitions)| ListOffsetsTopic { name, partitions, ..Default::default() };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: self.isolation.code(),
            topics: topics.into_iter().map(topic).collect(),
            timeout_ms: i32::try_from(cluster.settings().request_timeout.as_millis()).unwrap_or(i32::MAX),
            ..Default::default()
        };
        let response = cluster.call(node, &request).await?;
        let mut results = Vec::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for partition in topic.partitions {
                let key = TopicPartition::new(name.clone(), partition.partition_index);
                let listed = ListedOffset {
                    offset: partition.offset,
                    timestamp: partition.timestamp,
                    leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
                };
                results.push((key, ClientError::of_code(partition.error_code).map_or(Ok(listed), Err)));
            }
        }
        Ok(results)
    }
}
