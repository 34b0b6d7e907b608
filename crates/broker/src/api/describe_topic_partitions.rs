use crate::authorized_operations::TOPIC_OPERATIONS;
use crate::broker::Broker;
use crate::call::{Call, Caller};
use crate::internal_topics::is_internal;
use ottla_metadata::{MetadataImage, Partition, Topic};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use ottla_types::PartitionIndex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// DescribeTopicPartitions: topics page by page (KIP-966).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DescribeTopicPartitionsRequest>() else { return };
    let image = broker.metadata.image();
    let cursor = request.cursor.as_ref();
    // A cursor stands in what is asked for.
    let is_elsewhere = |name: &str| !request.topics.is_empty() && request.topics.iter().all(|topic| topic.name != name);
    // Apache Kafka's broker stumbles over a topic without a name, unless it begins with another one.
    if cursor.is_none() && request.topics.iter().any(|topic| topic.name.is_empty()) {
        let refused = |name: &str| refused(name, ErrorCode::UnknownServerError);
        let topics = request.topics.iter().map(|topic| refused(&topic.name)).collect();
        return reply.send(&DescribeTopicPartitionsResponse { topics, ..Default::default() });
    }
    if cursor.is_some_and(|cursor| cursor.partition_index < 0 || is_elsewhere(&cursor.topic_name)) {
        let topics = request.topics.iter().map(|topic| refused(&topic.name, ErrorCode::InvalidRequest)).collect();
        return reply.send(&DescribeTopicPartitionsResponse { topics, ..Default::default() });
    }
    let first = cursor.map(|cursor| cursor.topic_name.as_str()).unwrap_or_default();
    let names: BTreeSet<&str> = if request.topics.is_empty() {
        image.topics.iter_by_name_from(first).map(|topic| &*topic.name).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.as_str()).filter(|name| *name >= first).collect()
    };
    let allowed = broker.config().sockets.max_request_partition_size_limit;
    let limit = usize::try_from(request.response_partition_limit.min(allowed)).unwrap_or(0).max(1);
    let mut page = Page { broker, image: &image, caller: &caller, left: limit, response: Default::default() };
    for name in names {
        let from = match cursor {
            Some(cursor) if cursor.topic_name == name => cursor.partition_index,
            _ => 0,
        };
        if !page.add(name, from, !request.topics.is_empty()) {
            break;
        }
    }
    reply.send(&page.response);
}

struct Page<'a> {
    broker: &'a Broker,
    image: &'a MetadataImage,
    caller: &'a Caller,
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from a partition on. `false` when the page is full; it then says where the next one begins.
    fn add(&mut self, name: &str, from: i32, was_asked: bool) -> bool {
        if self.left == 0 {
            self.next(name, from);
            return false;
        }
        let Some(topic) = self.image.topics.topic_by_name(name) else {
            if was_asked {
                self.response.topics.push(unknown(name));
            }
            return true;
        };
        let rest = topic.partitions.iter().filter(|(index, _)| index.value() >= from);
        let partitions: Vec<_> =
            rest.take(self.left).map(|(index, partition)| self.partition(*index, partition)).collect();
        self.left -= partitions.len();
        let end = partitions.last().map_or(from, |last| last.partition_index + 1);
        self.response.topics.push(described(topic, partitions));
        let is_complete = topic.partitions.get(&PartitionIndex::new(end)).is_none();
        if !is_complete {
            self.next(name, end);
        }
        is_complete
    }

    fn next(&mut self, topic: &str, partition_index: i32) {
        let topic_name = topic.to_owned();
        self.response.next_cursor = Some(Cursor { topic_name, partition_index, ..Default::default() });
    }

    fn partition(&self, index: PartitionIndex, partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
        // That nobody leads, or not where this client could reach it, is no error here.
        let code = self.broker.leader_error(self.image, partition, &self.caller.connection.listener, true);
        let is_offline = |id| self.image.cluster.broker(id).is_none_or(|broker| broker.fenced);
        let ids = |ids: &[ottla_types::BrokerId]| ids.iter().map(|id| id.value()).collect::<Vec<_>>();
        DescribeTopicPartitionsResponsePartition {
            partition_index: index.value(),
            leader_id: if code == ErrorCode::None { partition.leader.value() } else { -1 },
            leader_epoch: partition.leader_epoch.value(),
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.in_sync_replicas),
            eligible_leader_replicas: Some(ids(&partition.eligible_leader_replicas)),
            last_known_elr: Some(ids(&partition.last_known_eligible_leader_replicas)),
            offline_replicas: partition.replicas.iter().filter(|id| is_offline(**id)).map(|id| id.value()).collect(),
            ..Default::default()
        }
    }
}

fn described(
    topic: &Topic,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions,
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let is_valid = ottla_log::names::is_topic_name(name);
    let code = if is_valid { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
    DescribeTopicPartitionsResponseTopic {
        is_internal: is_internal(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..refused(name, code)
    }
}

fn refused(name: &str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic { error_code: code.code(), name: Some(name.to_owned()), ..Default::default() }
}
