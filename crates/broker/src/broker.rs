//! What the APIs work with: the parts of a running broker.

use crate::codecs::Codecs;
use crate::controller_channel::ControllerChannel;
use crate::durations::milliseconds;
use crate::fetch::Fetches;
use crate::groups::GroupService;
use crate::internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::loggers::Loggers;
use crate::metadata_view::MetadataView;
use crate::metrics::RequestMetrics;
use crate::partition::{Partition, PartitionRegistry};
use crate::peers::{Lane, Peers, broker_at};
use crate::producer_ids::ProducerIds;
use crate::quorum::MetadataQuorum;
use crate::replication::Replication;
use crate::telemetry::Telemetry;
use crate::timers::Timers;
use crate::transactions::TransactionService;
use core::time::Duration;
use ottla_config::NodeConfig;
use ottla_env::Clock;
use ottla_log::LogDirectories;
use ottla_metadata::{self as metadata, MetadataImage};
use ottla_net::Destination;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use ottla_types::{BrokerId, NodeId, PartitionIndex};
use parking_lot::RwLock;
use std::sync::Arc;

/// A broker, with the controller that runs in the same process.
pub(crate) struct Broker {
    pub(crate) node_id: NodeId,
    pub(crate) cluster_id: String,
    /// The node's configuration without the dynamic one.
    pub(crate) static_config: Arc<NodeConfig>,
    /// The node's configuration under the dynamic one.
    pub(crate) config: Arc<RwLock<Arc<NodeConfig>>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) logs: Arc<LogDirectories>,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) partitions: Arc<PartitionRegistry>,
    pub(crate) codecs: Arc<Codecs>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) fetches: Arc<Fetches>,
    pub(crate) groups: Arc<GroupService>,
    pub(crate) transactions: Arc<TransactionService>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) requests: Arc<RequestMetrics>,
    pub(crate) loggers: Arc<dyn Loggers>,
    pub(crate) quorum: Arc<MetadataQuorum>,
    pub(crate) controller: ControllerChannel,
    pub(crate) peers: Peers,
    pub(crate) producer_ids: Arc<ProducerIds>,
    pub(crate) replication: Arc<Replication>,
}

impl Broker {
    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<NodeConfig> {
        self.config.read().clone()
    }

    /// The configuration of the file.
    pub(crate) fn static_config(&self) -> &NodeConfig {
        &self.static_config
    }

    /// A partition that is hosted here, or the code that says why not.
    pub(crate) fn partition(&self, topic: &str, index: PartitionIndex) -> Result<Arc<Partition>, ErrorCode> {
        if let Some(partition) = self.partitions.partition(topic, index) {
            return Ok(partition);
        }
        let image = self.metadata.image();
        let exists = image.topics.topic_by_name(topic).is_some_and(|topic| topic.partitions.get(&index).is_some());
        Err(if exists { ErrorCode::NotLeaderOrFollower } else { ErrorCode::UnknownTopicOrPartition })
    }

    /// Where a living broker can be reached by clients of a listener.
    pub(crate) fn endpoint_of(&self, image: &MetadataImage, id: BrokerId, listener: &str) -> Option<(String, i32)> {
        let broker = image.cluster.broker(id).filter(|broker| !broker.fenced)?;
        broker.endpoint(listener).map(|endpoint| (endpoint.host.clone(), i32::from(endpoint.port)))
    }

    /// Where another broker is asked on this one's own account.
    pub(crate) fn peer(&self, image: &MetadataImage, id: BrokerId, lane: Lane) -> Option<Destination> {
        broker_at(image, id, &self.static_config.listeners.inter_broker_listener_name, lane)
    }

    /// How long another broker may take to answer.
    pub(crate) fn answer_max(&self) -> Duration {
        milliseconds(self.static_config.peers.request_timeout_ms)
    }

    /// Why a client of a listener can't reach a partition's leader; `ErrorCode::None` when it can.
    pub(crate) fn leader_error(
        &self,
        image: &MetadataImage,
        partition: &metadata::Partition,
        listener: &str,
        knows_listener_errors: bool,
    ) -> ErrorCode {
        let leader = image.cluster.broker(partition.leader).filter(|broker| !broker.fenced);
        match leader {
            None => ErrorCode::LeaderNotAvailable,
            Some(leader) if leader.endpoint(listener).is_none() => {
                if knows_listener_errors {
                    ErrorCode::ListenerNotFound
                } else {
                    ErrorCode::LeaderNotAvailable
                }
            }
            Some(_) => ErrorCode::None,
        }
    }

    /// Creates topics that a client has asked metadata of, with the broker's defaults.
    pub(crate) fn create_missing_topics(&self, names: Vec<String>) {
        let topics = names.into_iter().map(|name| self.new_topic(name)).collect();
        self.create_topics(topics, |response| {
            for topic in response.topics.iter().filter(|topic| topic.error_code != 0) {
                tracing::warn!(topic = topic.name, code = topic.error_code, message = ?topic.error_message,
                    "a topic can't be created automatically");
            }
        });
    }

    /// Creates a topic that coordinators keep their state in, and goes on when it is there or can't be.
    pub(crate) fn create_internal_topic(&self, name: &str, then: Box<dyn FnOnce() + Send>) {
        self.create_topics(vec![self.new_topic(name.to_owned())], |response| {
            let refused = response.topics.iter().filter(|topic| topic.error_code != 0);
            for topic in refused.filter(|topic| topic.error_code != ErrorCode::TopicAlreadyExists.code()) {
                tracing::warn!(topic = topic.name, code = topic.error_code, message = ?topic.error_message,
                    "an internal topic can't be created");
            }
            then();
        });
    }

    fn create_topics(&self, topics: Vec<CreatableTopic>, then: impl FnOnce(CreateTopicsResponse) + Send + 'static) {
        let timeout_ms = self.static_config.peers.request_timeout_ms;
        let request = CreateTopicsRequest { topics, timeout_ms, ..Default::default() };
        let refused: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        self.controller.ask_within(Lane::Controller, self.answer_max(), request, move |answer| match answer {
            Ok(response) => then(response),
            Err(failure) => {
                tracing::warn!(%failure, topics = ?refused, "topics can't be created");
                then(CreateTopicsResponse::default());
            }
        });
    }

    fn new_topic(&self, name: String) -> CreatableTopic {
        let config = self.config();
        let entry = |name: &str, value: String| CreatableTopicConfig {
            name: name.to_owned(),
            value: Some(value),
            ..Default::default()
        };
        match name.as_str() {
            CONSUMER_OFFSETS => CreatableTopic {
                name,
                num_partitions: config.offsets.offsets_topic_num_partitions,
                replication_factor: config.offsets.offsets_topic_replication_factor,
                configs: vec![
                    entry("compression.type", "producer".to_owned()),
                    entry("cleanup.policy", "compact".to_owned()),
                    entry("segment.bytes", config.offsets.offsets_topic_segment_bytes.to_string()),
                ],
                ..Default::default()
            },
            TRANSACTION_STATE => CreatableTopic {
                name,
                num_partitions: config.transactions.transaction_state_log_num_partitions,
                replication_factor: config.transactions.transaction_state_log_replication_factor,
                configs: vec![
                    entry("unclean.leader.election.enable", "false".to_owned()),
                    entry("compression.type", "uncompressed".to_owned()),
                    entry("cleanup.policy", "compact".to_owned()),
                    entry("min.insync.replicas", config.transactions.transaction_state_log_min_isr.to_string()),
                    entry("segment.bytes", config.transactions.transaction_state_log_segment_bytes.to_string()),
                ],
                ..Default::default()
            },
            _ => CreatableTopic { name, num_partitions: -1, replication_factor: -1, ..Default::default() },
        }
    }
}
