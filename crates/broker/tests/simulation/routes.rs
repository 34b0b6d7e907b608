//! What clients know of the cluster. All clients share it; it is as stale as the nodes that tell it.

use super::harness::cluster::Cluster;
use ottla_env::{Clock as _, Monotonic};
use ottla_env_sim::SeededRandom;
use ottla_protocol::messages::MetadataRequest;
use ottla_types::TopicId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often somebody is asked.
const REFRESH: Duration = Duration::from_millis(100);

/// A partition of one topic that has existed.
pub(crate) type Place = (TopicId, i32);

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) leader: i32,
    pub(crate) epoch: i32,
}

#[derive(Default)]
pub(crate) struct Routes {
    next: Monotonic,
    leaders: BTreeMap<Place, Route>,
    /// The topics that were seen last.
    names: BTreeMap<TopicId, String>,
}

impl Routes {
    /// Asks some living broker, from time to time.
    pub(crate) fn refresh(&mut self, cluster: &Cluster, random: &SeededRandom) {
        let now = cluster.clock.monotonic();
        if now < self.next {
            return;
        }
        self.next = now + REFRESH;
        let brokers: Vec<i32> =
            cluster.living_ids().filter(|id| cluster.is_broker(*id) && cluster.node(*id).node.is_running()).collect();
        let Some(asked) = usize::try_from(random.below(brokers.len() as u64)).ok().and_then(|at| brokers.get(at))
        else {
            return;
        };
        self.take(cluster, *asked);
    }

    /// Takes over what this broker tells. A client never goes back to an older leader of the same topic.
    pub(crate) fn take(&mut self, cluster: &Cluster, asked: i32) {
        let answer = cluster.node(asked).ask(&MetadataRequest { topics: None, ..Default::default() });
        self.names.clear();
        for topic in answer.topics {
            let Some(name) = topic.name else { continue };
            self.names.insert(topic.topic_id, name);
            for partition in topic.partitions {
                let told = Route { leader: partition.leader_id, epoch: partition.leader_epoch };
                let known = self.leaders.entry((topic.topic_id, partition.partition_index)).or_insert(told);
                if told.epoch >= known.epoch {
                    *known = told;
                }
            }
        }
    }

    /// The leader, where one is known.
    pub(crate) fn leader(&self, place: &Place) -> Option<Route> {
        self.leaders.get(place).copied().filter(|route| route.leader > 0)
    }

    pub(crate) fn name(&self, topic: TopicId) -> Option<&str> {
        self.names.get(&topic).map(String::as_str)
    }

    /// The partitions of topics whose names begin so, in their order.
    pub(crate) fn places(&self, beginning: &str) -> Vec<Place> {
        let is_wanted = |id: &TopicId| self.names.get(id).is_some_and(|name| name.starts_with(beginning));
        self.leaders.keys().copied().filter(|(id, _)| is_wanted(id)).collect()
    }
}
