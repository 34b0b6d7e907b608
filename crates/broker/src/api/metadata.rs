use crate::authorized_operations::{CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS};
use crate::broker::Broker;
use crate::call::{Call, Caller};
use ottla_metadata::{BrokerRegistration, MetadataImage, Partition, Topic};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::{MetadataRequest, MetadataResponse};
use ottla_types::{PartitionIndex, TopicId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Metadata: the brokers of this listener and the topics asked for. Topics that do not exist are created when broker and
/// client allow it; this answer still says that they are unknown, as in Apache Kafka.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<MetadataRequest>() else { return };
    let image = broker.metadata.image();
    if caller.version() < TOPIC_IDS && names_otherwise(&request) {
        return reply.send(&refuse_all(&request, ErrorCode::InvalidRequest));
    }
    if names_nothing(&request) {
        return reply.send(&refuse_all(&request, ErrorCode::UnknownServerError));
    }
    let answering = Answering { broker, image: &image, caller: &caller, request: &request };
    let (topics, missing) = answering.topics();
    let brokers = answering.brokers();
    let asks_cluster = request.include_cluster_authorized_operations && (8..=10).contains(&caller.version());
    let response = MetadataResponse {
        controller_id: brokers.first().map_or(-1, |broker| broker.node_id),
        brokers,
        cluster_id: Some(broker.cluster_id.clone()),
        topics,
        cluster_authorized_operations: if asks_cluster { CLUSTER_OPERATIONS } else { NOT_ASKED },
        ..Default::default()
    };
    if !missing.is_empty() {
        broker.create_missing_topics(missing);
    }
    reply.send(&response);
}

/// From this version on topics may be asked for by their ids; two versions before it have a field for one already.
const TOPIC_IDS: i16 = 12;

/// Whether a topic of the request is asked for otherwise than by its name.
fn names_otherwise(request: &MetadataRequest) -> bool {
    let mut topics = request.topics.iter().flatten();
    topics.any(|topic| topic.name.is_none() || topic.topic_id != TopicId::ZERO)
}

/// Whether topics are asked for by name, and one has none.
fn names_nothing(request: &MetadataRequest) -> bool {
    let mut topics = request.topics.iter().flatten();
    let is_by_id = topics.clone().any(|topic| topic.topic_id != TopicId::ZERO);
    !is_by_id && topics.any(|topic| topic.name.is_none())
}

/// Apache Kafka's broker stumbles over a topic that is named wrongly or not at all, and answers for the whole request.
fn refuse_all(request: &MetadataRequest, code: ErrorCode) -> MetadataResponse {
    let refuse = |topic: &MetadataRequestTopic| MetadataResponseTopic {
        error_code: code.code(),
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    let topics = request.topics.iter().flatten().map(refuse).collect();
    MetadataResponse { controller_id: -1, cluster_id: None, topics, ..Default::default() }
}

struct Answering<'a> {
    broker: &'a Arc<Broker>,
    image: &'a MetadataImage,
    caller: &'a Caller,
    request: &'a MetadataRequest,
}

impl Answering<'_> {
    /// The brokers that are alive, and where there is none this one, which answers: alone it stops fenced. librdkafka forgets
    /// a broker that it is not told of, and with the last one every address that it had; it would stand still for ever.
    fn brokers(&self) -> Vec<MetadataResponseBroker> {
        let brokers = &self.image.cluster.brokers;
        let alive: Vec<_> =
            brokers.values().filter(|broker| !broker.fenced).filter_map(|broker| self.told(broker)).collect();
        if !alive.is_empty() {
            return alive;
        }
        self.image.cluster.broker(self.broker.node_id).and_then(|broker| self.told(broker)).into_iter().collect()
    }

    /// A broker on the listener of who asks.
    fn told(&self, broker: &BrokerRegistration) -> Option<MetadataResponseBroker> {
        let endpoint = broker.endpoint(&self.caller.connection.listener)?;
        Some(MetadataResponseBroker {
            node_id: broker.id.value(),
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone(),
            ..Default::default()
        })
    }

    /// The topics of the answer, and the names that are to be created.
    fn topics(&self) -> (Vec<MetadataResponseTopic>, Vec<String>) {
        let asked = match &self.request.topics {
            // Version 0 asks for all topics with an empty list.
            Some(topics) if !(topics.is_empty() && self.caller.version() == 0) => topics,
            _ => return (self.image.topics.iter_by_name().map(|topic| self.topic(topic)).collect(), Vec::new()),
        };
        let mut answers = Vec::with_capacity(asked.len());
        let mut missing = Vec::new();
        let mut seen = BTreeSet::new();
        // Where one topic is asked for by its id, all are.
        let is_by_id = asked.iter().any(|topic| topic.topic_id != TopicId::ZERO);
        for topic in asked {
            let topic = &MetadataRequestTopic { name: topic.name.clone().filter(|_| !is_by_id), ..topic.clone() };
            if is_by_id && topic.topic_id == TopicId::ZERO {
                continue;
            }
            if !seen.insert((topic.name.clone(), topic.topic_id)) {
                continue;
            }
            match self.find(topic) {
                Some(found) => answers.push(self.topic(found)),
                None => answers.push(self.unknown(topic, &mut missing)),
            }
        }
        (answers, missing)
    }

    fn find(&self, topic: &MetadataRequestTopic) -> Option<&Topic> {
        match &topic.name {
            Some(name) => self.image.topics.topic_by_name(name),
            None => self.image.topics.topic(topic.topic_id),
        }
        .map(Arc::as_ref)
    }

    fn unknown(&self, topic: &MetadataRequestTopic, missing: &mut Vec<String>) -> MetadataResponseTopic {
        let code = match &topic.name {
            None => ErrorCode::UnknownTopicId,
            Some(name) => {
                let may_create = self.request.allow_auto_topic_creation || self.caller.version() < 4;
                if !ottla_log::names::is_topic_name(name) {
                    ErrorCode::InvalidTopicException
                } else {
                    if may_create && self.broker.config().topics.auto_create_topics_enable {
                        missing.push(name.clone());
                    }
                    ErrorCode::UnknownTopicOrPartition
                }
            }
        };
        MetadataResponseTopic {
            error_code: code.code(),
            // Before version 12 a name can't be null.
            name: if self.caller.version() < 12 {
                Some(topic.name.clone().unwrap_or_default())
            } else {
                topic.name.clone()
            },
            topic_id: topic.topic_id,
            is_internal: topic.name.as_deref().is_some_and(crate::internal_topics::is_internal),
            topic_authorized_operations: if topic.name.is_some() { self.topic_operations() } else { NOT_ASKED },
            ..Default::default()
        }
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic {
        let partitions = topic.partitions.iter().map(|(index, partition)| self.partition(*index, partition));
        MetadataResponseTopic {
            name: Some(topic.name.to_string()),
            topic_id: topic.id,
            is_internal: crate::internal_topics::is_internal(&topic.name),
            partitions: partitions.collect(),
            topic_authorized_operations: self.topic_operations(),
            ..Default::default()
        }
    }

    fn topic_operations(&self) -> i32 {
        if self.request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NOT_ASKED }
    }

    fn partition(&self, index: PartitionIndex, partition: &Partition) -> MetadataResponsePartition {
        let listener = &self.caller.connection.listener;
        let code = self.broker.leader_error(self.image, partition, listener, self.caller.version() >= 6);
        let leader = if code == ErrorCode::None { partition.leader.value() } else { -1 };
        let is_offline = |id| self.image.cluster.broker(id).is_none_or(|broker| broker.fenced);
        let offline = partition.replicas.iter().filter(|id| is_offline(**id));
        MetadataResponsePartition {
            error_code: code.code(),
            partition_index: index.value(),
            leader_id: leader,
            leader_epoch: partition.leader_epoch.value(),
            replica_nodes: partition.replicas.iter().map(|id| id.value()).collect(),
            isr_nodes: partition.in_sync_replicas.iter().map(|id| id.value()).collect(),
            offline_replicas: offline.map(|id| id.value()).collect(),
            ..Default::default()
        }
    }
}
