use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_groups::{Request, Response};
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use ottla_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use std::sync::Arc;

/// From this version on a request asks for many groups.
const MANY_GROUPS: i16 = 8;
/// From this version on topics are named by their ids.
const TOPIC_IDS: i16 = 10;

/// OffsetFetch: the committed offsets of one group, or of many.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<OffsetFetchRequest>() else { return };
    let version = caller.version();
    let require_stable = request.require_stable;
    let groups = if version >= MANY_GROUPS { request.groups } else { vec![single_group(request, version)] };
    if groups.is_empty() {
        return reply.send(&OffsetFetchResponse::default());
    }
    let image = broker.metadata.image();
    let finish_image = image.clone();
    let finish = move |answers| reply.send(&response(answers, version, &finish_image));
    let gather = Arc::new(Gather::new(groups.len(), Box::new(finish)));
    for (index, mut group) in groups.into_iter().enumerate() {
        let refused = if version >= TOPIC_IDS { resolve(&image, &mut group) } else { Vec::new() };
        let gather = gather.clone();
        let group_id = group.group_id.clone();
        let reply_to = Box::new(move |response| {
            if let Response::OffsetFetch(mut answer) = response {
                if answer.error_code == 0 {
                    answer.topics.extend(refused);
                }
                gather.put(index, answer);
            }
        });
        let request = Request::OffsetFetch { group, require_stable };
        broker.groups.submit(&caller, &group_id, request, reply_to);
    }
}

/// The one group of an older request.
fn single_group(request: OffsetFetchRequest, version: i16) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..Default::default()
            })
            .collect()
    });
    // Before version 2 nobody can ask for all topics: no topics are just none.
    let topics = if version < 2 { Some(topics.unwrap_or_default()) } else { topics };
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

/// Names the topics of a request by id. Those that do not exist are taken out and answered by what is returned.
fn resolve(image: &MetadataImage, group: &mut OffsetFetchRequestGroup) -> Vec<OffsetFetchResponseTopics> {
    let mut refused = Vec::new();
    let Some(topics) = &mut group.topics else { return refused };
    topics.retain_mut(|topic| match image.topics.topic(topic.topic_id) {
        Some(known) => {
            topic.name = known.name.to_string();
            true
        }
        None => {
            refused.push(unknown_topic(topic));
            false
        }
    });
    refused
}

fn unknown_topic(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions = topic
        .partition_indexes
        .iter()
        .map(|index| OffsetFetchResponsePartitions {
            partition_index: *index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            error_code: ErrorCode::UnknownTopicId.code(),
            ..Default::default()
        })
        .collect();
    OffsetFetchResponseTopics { topic_id: topic.topic_id, partitions, ..Default::default() }
}

fn response(mut groups: Vec<OffsetFetchResponseGroup>, version: i16, image: &MetadataImage) -> OffsetFetchResponse {
    if version >= TOPIC_IDS {
        for group in &mut groups {
            // All topics of a group were asked for: those that are gone by now have no id and are left out.
            group.topics.retain_mut(|topic| {
                if topic.topic_id.is_zero() {
                    topic.topic_id = image.topics.topic_id(&topic.name).unwrap_or_default();
                }
                !topic.topic_id.is_zero()
            });
        }
    }
    if version >= MANY_GROUPS {
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    groups.pop().map(|group| single_response(group, version)).unwrap_or_default()
}

/// The answer to an older request: one group, whose error stands at the top, or before version 2 at each partition.
fn single_response(group: OffsetFetchResponseGroup, version: i16) -> OffsetFetchResponse {
    let code = group.error_code;
    let topics = group
        .topics
        .into_iter()
        .map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic
                .partitions
                .into_iter()
                .map(|partition| OffsetFetchResponsePartition {
                    partition_index: partition.partition_index,
                    committed_offset: partition.committed_offset,
                    committed_leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.metadata,
                    error_code: if version < 2 && code != 0 { code } else { partition.error_code },
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        })
        .collect();
    OffsetFetchResponse { topics, error_code: if version < 2 { 0 } else { code }, ..Default::default() }
}
