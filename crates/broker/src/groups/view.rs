//! The cluster as the group coordinator sees it.

use ottla_config::NodeConfig;
use ottla_groups::{ClusterView, ConsumerGroupSettings, TopicFacts};
use ottla_metadata::{ConfigResource, ConfigResourceType, MetadataImage, Topic};
use ottla_types::{PartitionIndex, TopicId};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One image of the metadata, with the node's configuration under it.
pub(crate) struct ImageView {
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) config: Arc<NodeConfig>,
}

impl fmt::Debug for ImageView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageView").field("version", &self.version()).finish_non_exhaustive()
    }
}

fn facts(topic: &Topic) -> TopicFacts {
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    TopicFacts { name: topic.name.clone(), id: topic.id, partitions }
}

impl ClusterView for ImageView {
    fn version(&self) -> i64 {
        self.image.provenance.offset.0
    }

    fn topic_by_name(&self, name: &str) -> Option<TopicFacts> {
        self.image.topics.topic_by_name(name).map(|topic| facts(topic))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicFacts> {
        self.image.topics.topic(id).map(|topic| facts(topic))
    }

    fn topic_names(&self) -> Vec<Arc<str>> {
        self.image.topics.iter().map(|topic| topic.name.clone()).collect()
    }

    fn racks(&self, id: TopicId, partition: i32) -> Vec<String> {
        let topic = self.image.topics.topic(id);
        let replicas = topic.and_then(|topic| topic.partitions.get(&PartitionIndex::new(partition)));
        let brokers = replicas.into_iter().flat_map(|partition| &partition.replicas);
        let racks = brokers.filter_map(|broker| self.image.cluster.broker(*broker)?.rack.clone());
        // Two replicas in one rack count once.
        racks.collect::<BTreeSet<String>>().into_iter().collect()
    }

    fn group_settings(&self, group_id: &str) -> ConsumerGroupSettings {
        let groups = &self.config.groups;
        let resource = ConfigResource::new(ConfigResourceType::Group, group_id);
        let own = |key: &str, of_all: i32, (least, most): (i32, i32)| {
            let own = self.image.configs.value(&resource, key).and_then(|value| value.trim().parse().ok());
            own.map_or(of_all, |own: i32| own.clamp(least, most.max(least)))
        };
        ConsumerGroupSettings {
            session_timeout_ms: own(
                "consumer.session.timeout.ms",
                groups.group_consumer_session_timeout_ms,
                (groups.group_consumer_min_session_timeout_ms, groups.group_consumer_max_session_timeout_ms),
            ),
            heartbeat_interval_ms: own(
                "consumer.heartbeat.interval.ms",
                groups.group_consumer_heartbeat_interval_ms,
                (groups.group_consumer_min_heartbeat_interval_ms, groups.group_consumer_max_heartbeat_interval_ms),
            ),
            assignment_interval_ms: own(
                "consumer.assignment.interval.ms",
                groups.group_consumer_assignment_interval_ms,
                (groups.group_consumer_min_assignment_interval_ms, groups.group_consumer_max_assignment_interval_ms),
            ),
        }
    }
}
