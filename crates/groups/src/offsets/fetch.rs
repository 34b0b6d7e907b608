use super::OffsetStore;
use crate::record::CommittedOffset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use ottla_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use ottla_types::TopicId;

/// First version with many groups in one request.
const BATCH_VERSION: i16 = 8;
/// First version with an error for the whole group; before it each partition carries it.
const GROUP_ERROR_VERSION: i16 = 2;

impl OffsetStore {
    /// Reads the offsets that are asked for. With `require_stable` a partition for which a transaction is open is
    /// refused, since its offset may change at any moment.
    pub(crate) fn fetch(&self, group: OffsetFetchRequestGroup, require_stable: bool) -> OffsetFetchResponseGroup {
        let group_id = group.group_id;
        let topics = match group.topics {
            Some(topics) => {
                let topics = topics.into_iter().map(|topic| self.fetch_topic(&group_id, topic, require_stable));
                topics.collect()
            }
            None => self.fetch_all(&group_id, require_stable),
        };
        OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
    }

    fn fetch_topic(
        &self,
        group_id: &str,
        topic: OffsetFetchRequestTopics,
        require_stable: bool,
    ) -> OffsetFetchResponseTopics {
        let partitions = topic.partition_indexes.iter().map(|&partition| {
            if require_stable && self.has_open_transaction(group_id, &topic.name, partition) {
                return no_offset(partition, ErrorCode::UnstableOffsetCommit);
            }
            match self.get(group_id, &topic.name, partition) {
                Some(offset) if is_of_topic(offset, topic.topic_id) => committed(partition, offset),
                _ => no_offset(partition, ErrorCode::None),
            }
        });
        OffsetFetchResponseTopics {
            partitions: partitions.collect(),
            name: topic.name,
            topic_id: topic.topic_id,
            ..Default::default()
        }
    }

    fn fetch_all(&self, group_id: &str, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
        let topics = self.committed.group(group_id).into_iter().flatten().map(|(name, offsets)| {
            let partitions = offsets.iter().map(|(&partition, offset)| {
                if require_stable && self.has_open_transaction(group_id, name, partition) {
                    no_offset(partition, ErrorCode::UnstableOffsetCommit)
                } else {
                    committed(partition, offset)
                }
            });
            OffsetFetchResponseTopics { name: name.to_string(), partitions: partitions.collect(), ..Default::default() }
        });
        topics.collect()
    }
}

/// An offset belongs to the topic unless both have ids and they differ: then the topic has been made anew since.
fn is_of_topic(offset: &CommittedOffset, topic_id: TopicId) -> bool {
    offset.topic_id.is_zero() || topic_id.is_zero() || offset.topic_id == topic_id
}

fn committed(partition: i32, offset: &CommittedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: offset.offset.value(),
        committed_leader_epoch: offset.leader_epoch.value(),
        metadata: Some(offset.metadata.to_string()),
        ..Default::default()
    }
}

fn no_offset(partition: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: error.code(),
        ..Default::default()
    }
}

/// The groups that a request of any version asks about.
pub fn fetch_requests(version: i16, request: OffsetFetchRequest) -> Vec<OffsetFetchRequestGroup> {
    if version >= BATCH_VERSION {
        return request.groups;
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        });
        topics.collect()
    });
    vec![OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }]
}

/// The response of any version from the answers about each group. `asked` are the request's groups in the same order:
/// the oldest version names an error for each partition that was asked for.
pub fn fetch_response(
    version: i16,
    asked: &[OffsetFetchRequestGroup],
    answered: Vec<OffsetFetchResponseGroup>,
) -> OffsetFetchResponse {
    if version >= BATCH_VERSION {
        return OffsetFetchResponse { groups: answered, ..Default::default() };
    }
    let Some(group) = answered.into_iter().next() else { return OffsetFetchResponse::default() };
    if version < GROUP_ERROR_VERSION && group.error_code != ErrorCode::None.code() {
        let asked = asked.first().and_then(|group| group.topics.as_deref()).unwrap_or_default();
        let topics = asked.iter().map(|topic| OffsetFetchResponseTopic {
            name: topic.name.clone(),
            partitions: topic
                .partition_indexes
                .iter()
                .map(|&partition_index| OffsetFetchResponsePartition {
                    partition_index,
                    committed_offset: -1,
                    committed_leader_epoch: -1,
                    metadata: Some(String::new()),
                    error_code: group.error_code,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        return OffsetFetchResponse { topics: topics.collect(), ..Default::default() };
    }
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..Default::default() }
}
