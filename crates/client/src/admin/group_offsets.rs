use super::{Admin, item};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::{ClientError, Result, check};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::{OffsetCommitResponse, OffsetFetchResponse};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// A committed offset: the offset of the next record to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The epoch of the leader of the last record read, where it is known.
    pub leader_epoch: Option<i32>,
    /// The committer's own words.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset without more.
    pub fn new(offset: i64) -> Self {
        Self { offset, ..Self::default() }
    }
}

/// The versions of these two requests from which topics are named by their ids; this client names them.
pub(crate) const COMMIT_VERSION_MAX: i16 = 9;
pub(crate) const FETCH_VERSION_MAX: i16 = 9;

impl Admin {
    /// The committed offsets of a group, of these partitions or of all with `None`. A partition without one is left out.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn list_group_offsets(
        &self,
        group: &str,
        partitions: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
        crate::consumer::fetch_offsets(self.cluster(), group, partitions).await
    }

    /// Sets the committed offsets of a group that has no members.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<BTreeMap<TopicPartition, Result<()>>> {
        let outsider = ConsumerGroupMetadata::outsider(group);
        crate::consumer::commit_offsets(self.cluster(), || outsider.clone(), offsets).await
    }

    /// Deletes committed offsets of a group, of topics that it does not read.
    ///
    /// # Errors
    /// No answer could be had, or the server refused the whole.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Result<()>>> {
        let topic = |(name, indexes): (String, Vec<i32>)| OffsetDeleteRequestTopic {
            name,
            partitions: indexes
                .into_iter()
                .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
                .collect(),
        };
        let request = OffsetDeleteRequest {
            group_id: group.to_owned(),
            topics: by_topic(partitions.iter()).into_iter().map(topic).collect(),
        };
        self.at_coordinator(group, &request, |response| {
            check(response.error_code)?;
            let mut deleted = BTreeMap::new();
            for topic in response.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    deleted.insert(key, item(partition.error_code, None));
                }
            }
            Ok(deleted)
        })
        .await
    }
}

/// The partition numbers of each topic.
pub(crate) fn by_topic<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> BTreeMap<String, Vec<i32>> {
    let mut topics = BTreeMap::<String, Vec<i32>>::new();
    for partition in partitions {
        topics.entry(partition.topic.to_string()).or_default().push(partition.partition.value());
    }
    topics
}

pub(crate) fn commit_request(
    committer: &ConsumerGroupMetadata,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> OffsetCommitRequest {
    let mut topics = BTreeMap::<String, Vec<_>>::new();
    for (partition, offset) in offsets {
        topics.entry(partition.topic.to_string()).or_default().push(OffsetCommitRequestPartition {
            partition_index: partition.partition.value(),
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(offset.metadata.clone()),
            ..Default::default()
        });
    }
    let topic = |(name, partitions)| OffsetCommitRequestTopic { name, partitions, ..Default::default() };
    OffsetCommitRequest {
        group_id: committer.group_id.clone(),
        generation_id_or_member_epoch: committer.generation,
        member_id: committer.member_id.clone(),
        group_instance_id: committer.instance_id.clone(),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

pub(crate) fn committed(response: OffsetCommitResponse) -> BTreeMap<TopicPartition, Result<()>> {
    let mut committed = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let key = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            committed.insert(key, check(partition.error_code));
        }
    }
    committed
}

pub(crate) fn fetch_request(
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
    version: i16,
) -> OffsetFetchRequest {
    let topics = partitions.map(|partitions| by_topic(partitions.iter()));
    // Offsets of transactions that are not decided yet are waited for, as Kafka's clients do.
    let mut request = OffsetFetchRequest { require_stable: version >= 7, ..Default::default() };
    if version >= 8 {
        let topic =
            |(name, partition_indexes)| OffsetFetchRequestTopics { name, partition_indexes, ..Default::default() };
        let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
        request.groups = vec![OffsetFetchRequestGroup { group_id: group.to_owned(), topics, ..Default::default() }];
    } else {
        let topic =
            |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes, ..Default::default() };
        request.group_id = group.to_owned();
        request.topics = topics.map(|topics| topics.into_iter().map(topic).collect());
    }
    request
}

/// The offsets of an answer; a partition without one is left out.
pub(crate) fn fetched(
    response: OffsetFetchResponse,
    version: i16,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    let mut offsets = BTreeMap::new();
    let mut add = |topic: &str, index: i32, code: i16, offset: i64, epoch: i32, metadata: Option<String>| {
        check(code)?;
        if offset >= 0 {
            let leader_epoch = (epoch >= 0).then_some(epoch);
            let metadata = metadata.unwrap_or_default();
            offsets.insert(TopicPartition::new(topic, index), OffsetAndMetadata { offset, leader_epoch, metadata });
        }
        Ok::<_, ClientError>(())
    };
    if version >= 8 {
        for group in response.groups {
            check(group.error_code)?;
            for topic in group.topics {
                for p in topic.partitions {
                    let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
                    add(&topic.name, p.partition_index, p.error_code, offset, epoch, p.metadata)?;
                }
            }
        }
    } else {
        check(response.error_code)?;
        for topic in response.topics {
            for p in topic.partitions {
                let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
                add(&topic.name, p.partition_index, p.error_code, offset, epoch, p.metadata)?;
            }
        }
    }
    Ok(offsets)
}
