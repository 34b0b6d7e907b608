use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_groups::offsets::{fetch_requests, fetch_response};
use ottla_groups::{Request, Response};
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use std::sync::Arc;

/// From this version on topics are named by their ids.
const TOPIC_IDS: i16 = 10;

/// OffsetFetch: the committed offsets of one group, or of many.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<OffsetFetchRequest>() else { return };
    let version = caller.version();
    let require_stable = request.require_stable;
    let groups = fetch_requests(version, request);
    if groups.is_empty() {
        return reply.send(&OffsetFetchResponse::default());
    }
    let image = broker.metadata.image();
    let (named, asked) = (image.clone(), groups.clone());
    let finish = move |mut answers: Vec<OffsetFetchResponseGroup>| {
        if version >= TOPIC_IDS {
            add_ids(&named, &mut answers);
        }
        reply.send(&fetch_response(version, &asked, answers));
    };
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

/// Names the topics of an answer by id. All topics of a group were asked for: those that are gone by now have no id and
/// are left out.
fn add_ids(image: &MetadataImage, groups: &mut [OffsetFetchResponseGroup]) {
    for topics in groups.iter_mut().map(|group| &mut group.topics) {
        topics.retain_mut(|topic| {
            if topic.topic_id.is_zero() {
                topic.topic_id = image.topics.topic_id(&topic.name).unwrap_or_default();
            }
            // What was refused has no name.
            topic.name.is_empty() || !topic.topic_id.is_zero()
        });
    }
}
