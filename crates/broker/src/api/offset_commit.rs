use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_types::PartitionIndex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// OffsetCommit: what exists goes to the group's coordinator, what does not is refused beside it.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((mut request, caller, reply)) = call.decode::<OffsetCommitRequest>() else { return };
    let image = broker.metadata.image();
    let uses_ids = caller.version() >= 10;
    let mut refused = OffsetCommitResponse::default();
    let topics = core::mem::take(&mut request.topics);
    for topic in topics {
        request.topics.extend(existing(&image, topic, uses_ids, &mut refused));
    }
    if request.topics.is_empty() {
        return reply.send(&refused);
    }
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::OffsetCommit(mut response) => {
            merge(&mut response, refused);
            reply.send(&response);
        }
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::OffsetCommit(request), reply_to);
}

/// The part of a topic's commit that concerns partitions which exist; the rest goes to `refused`.
fn existing(
    image: &MetadataImage,
    mut topic: OffsetCommitRequestTopic,
    uses_ids: bool,
    refused: &mut OffsetCommitResponse,
) -> Option<OffsetCommitRequestTopic> {
    let known = if uses_ids { image.topics.topic(topic.topic_id) } else { image.topics.topic_by_name(&topic.name) };
    let Some(known) = known else {
        let code = if uses_ids { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        let partitions = core::mem::take(&mut topic.partitions);
        refuse(refused, &topic, partitions, code);
        return None;
    };
    topic.name = known.name.to_string();
    topic.topic_id = known.id;
    let exists = |partition: &OffsetCommitRequestPartition| {
        known.partitions.get(&PartitionIndex::new(partition.partition_index)).is_some()
    };
    let (good, bad): (Vec<_>, Vec<_>) = core::mem::take(&mut topic.partitions).into_iter().partition(exists);
    if !bad.is_empty() {
        refuse(refused, &topic, bad, ErrorCode::UnknownTopicOrPartition);
    }
    topic.partitions = good;
    (!topic.partitions.is_empty()).then_some(topic)
}

fn refuse(
    refused: &mut OffsetCommitResponse,
    topic: &OffsetCommitRequestTopic,
    partitions: Vec<OffsetCommitRequestPartition>,
    code: ErrorCode,
) {
    let partitions = partitions
        .into_iter()
        .map(|partition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: code.code(),
            ..Default::default()
        })
        .collect();
    refused.topics.push(OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions,
        ..Default::default()
    });
}

/// Adds what was refused; the partitions of one topic stand together.
fn merge(response: &mut OffsetCommitResponse, refused: OffsetCommitResponse) {
    let key = |topic: &OffsetCommitResponseTopic| (topic.name.clone(), topic.topic_id);
    let numbered = response.topics.iter().enumerate();
    let positions: BTreeMap<_, _> = numbered.map(|(number, topic)| (key(topic), number)).collect();
    for topic in refused.topics {
        match positions.get(&key(&topic)).and_then(|number| response.topics.get_mut(*number)) {
            Some(other) => other.partitions.extend(topic.partitions),
            None => response.topics.push(topic),
        }
    }
}
