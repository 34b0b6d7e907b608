use crate::record::CommittedOffset;
use crate::{Effects, GroupRecord, GroupSettings};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use ottla_types::{LeaderEpoch, Offset, Timestamp, TopicId};
use std::sync::Arc;

/// What all offsets of one request share.
pub(crate) struct Committing<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a GroupSettings,
    pub(crate) effects: &'a mut Effects,
}

/// One partition's commit.
struct PartitionCommit<'a> {
    group_id: &'a Arc<str>,
    topic: &'a Arc<str>,
    topic_id: TopicId,
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: Option<String>,
    expire_timestamp: Option<Timestamp>,
}

impl Committing<'_> {
    /// Writes the offsets of a validated request.
    pub(crate) fn offsets(&mut self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let group_id: Arc<str> = request.group_id.into();
        // Old clients set their own retention.
        let expire_timestamp =
            (request.retention_time_ms != -1).then(|| self.now.plus_milliseconds(request.retention_time_ms));
        let topics = request.topics.into_iter().map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            let partitions = topic.partitions.into_iter().map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: self
                    .partition(PartitionCommit {
                        group_id: &group_id,
                        topic: &name,
                        topic_id: topic.topic_id,
                        partition: partition.partition_index,
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: partition.committed_metadata,
                        expire_timestamp,
                    })
                    .code(),
                ..Default::default()
            });
            OffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name,
                topic_id: topic.topic_id,
                ..Default::default()
            }
        });
        OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    /// Writes the offsets of a validated request in a transaction.
    pub(crate) fn transactional_offsets(&mut self, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let group_id: Arc<str> = request.group_id.into();
        let topics = request.topics.into_iter().map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            let partitions = topic.partitions.into_iter().map(|partition| TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: self
                    .partition(PartitionCommit {
                        group_id: &group_id,
                        topic: &name,
                        topic_id: topic.topic_id,
                        partition: partition.partition_index,
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: partition.committed_metadata,
                        expire_timestamp: None,
                    })
                    .code(),
                ..Default::default()
            });
            TxnOffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name,
                topic_id: topic.topic_id,
                ..Default::default()
            }
        });
        TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    fn partition(&mut self, commit: PartitionCommit<'_>) -> ErrorCode {
        let metadata = commit.metadata.unwrap_or_default();
        // Kafka counts as Java does. A text has at most as many UTF-16 units as bytes.
        let length_max = self.settings.offset_metadata_length_max;
        if metadata.len() > length_max && metadata.encode_utf16().count() > length_max {
            return ErrorCode::OffsetMetadataTooLarge;
        }
        self.effects.records.push(GroupRecord::OffsetCommit {
            group_id: commit.group_id.clone(),
            topic: commit.topic.clone(),
            partition: commit.partition,
            value: Some(CommittedOffset {
                offset: Offset(commit.offset),
                leader_epoch: LeaderEpoch(commit.leader_epoch),
                metadata: metadata.into_boxed_str(),
                commit_timestamp: self.now,
                expire_timestamp: commit.expire_timestamp,
                topic_id: commit.topic_id,
                record_offset: Offset(-1),
            }),
        });
        ErrorCode::None
    }
}
