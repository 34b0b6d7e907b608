use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use ottla_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use ottla_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_types::PartitionIndex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// OffsetDelete: committed offsets of partitions that exist are deleted by the group's coordinator, the others are refused
/// beside it.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((mut request, caller, reply)) = call.decode::<OffsetDeleteRequest>() else { return };
    let image = broker.metadata.image();
    let mut refused = Vec::new();
    for topic in &mut request.topics {
        refused.extend(take_missing(&image, topic));
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::OffsetDelete(mut response) => {
            if response.error_code == 0 {
                merge(&mut response, refused);
            }
            reply.send(&response);
        }
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::OffsetDelete(request), reply_to);
}

/// Takes the partitions that do not exist out of a topic, and answers for them.
fn take_missing(image: &MetadataImage, topic: &mut OffsetDeleteRequestTopic) -> Option<OffsetDeleteResponseTopic> {
    let known = image.topics.topic_by_name(&topic.name);
    let exists = |partition: &OffsetDeleteRequestPartition| {
        let index = PartitionIndex::new(partition.partition_index);
        known.is_some_and(|topic| topic.partitions.get(&index).is_some())
    };
    let (existing, missing): (Vec<_>, Vec<_>) = core::mem::take(&mut topic.partitions).into_iter().partition(exists);
    topic.partitions = existing;
    let refuse = |partition: OffsetDeleteRequestPartition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
    };
    (!missing.is_empty()).then(|| OffsetDeleteResponseTopic {
        name: topic.name.clone(),
        partitions: missing.into_iter().map(refuse).collect(),
    })
}

/// Adds what was refused; the partitions of one topic stand together.
fn merge(response: &mut OffsetDeleteResponse, refused: Vec<OffsetDeleteResponseTopic>) {
    let key = |topic: &OffsetDeleteResponseTopic| topic.name.clone();
    let numbered = response.topics.iter().enumerate();
    let positions: BTreeMap<_, _> = numbered.map(|(number, topic)| (key(topic), number)).collect();
    for topic in refused {
        match positions.get(&key(&topic)).and_then(|number| response.topics.get_mut(*number)) {
            Some(other) => other.partitions.extend(topic.partitions),
            None => response.topics.push(topic),
        }
    }
}
