use super::fetcher::{Fetcher, FetcherEffect, FetcherSettings, Logs};
use crate::log_view::LogView;
use ottla_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicIdPartition, java_string_hash};
use std::collections::BTreeMap;

/// One of the `num.replica.fetchers` connections to a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetcherId {
    /// The leader.
    pub leader: BrokerId,
    /// Which of the connections to it.
    pub number: u32,
}

/// All fetchers of a broker: each partition that follows is in one of them, that of its leader.
#[derive(Clone, Debug)]
pub struct Fetchers {
    settings: FetcherSettings,
    per_leader: u32,
    fetchers: BTreeMap<FetcherId, Fetcher>,
    places: BTreeMap<TopicIdPartition, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    fetcher: FetcherId,
    /// The part of the fetcher's number that the topic's name gives: it does not change.
    hash: i32,
    leader_epoch: LeaderEpoch,
}

/// Which of a leader's fetchers a partition is in, the same as in Apache Kafka.
pub fn fetcher_id(topic: &str, partition: PartitionIndex, per_leader: u32) -> u32 {
    number(hash(topic, partition), per_leader)
}

fn hash(topic: &str, partition: PartitionIndex) -> i32 {
    java_string_hash(topic).wrapping_mul(31).wrapping_add(partition.0)
}

/// The least number has no positive counterpart and counts as 0.
fn number(hash: i32, per_leader: u32) -> u32 {
    hash.checked_abs().unwrap_or(0).unsigned_abs() % per_leader.max(1)
}

impl Fetchers {
    /// No fetchers; `per_leader` is `num.replica.fetchers`.
    pub fn new(settings: FetcherSettings, per_leader: u32) -> Self {
        Self { settings, per_leader: per_leader.max(1), fetchers: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Lets a partition be fetched from a leader in an epoch; from no other any more.
    pub fn follow(
        &mut self,
        partition: TopicIdPartition,
        topic: &str,
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        log: &impl LogView,
    ) -> Option<FetcherEffect> {
        self.place(partition, hash(topic, partition.partition), leader, leader_epoch, log)
    }

    fn place(
        &mut self,
        partition: TopicIdPartition,
        hash: i32,
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        log: &impl LogView,
    ) -> Option<FetcherEffect> {
        let id = FetcherId { leader, number: number(hash, self.per_leader) };
        if self.places.get(&partition).is_some_and(|place| place.fetcher != id) {
            self.stop(&partition);
        }
        self.places.insert(partition, Place { fetcher: id, hash, leader_epoch });
        let settings = self.settings;
        let fetcher = self.fetchers.entry(id).or_insert_with(|| Fetcher::new(leader, settings));
        fetcher.add(partition, leader_epoch, log)
    }

    /// Lets a partition be fetched no more.
    pub fn stop(&mut self, partition: &TopicIdPartition) {
        if let Some(place) = self.places.remove(partition)
            && let Some(fetcher) = self.fetchers.get_mut(&place.fetcher)
        {
            fetcher.remove(partition);
        }
    }

    /// Which fetcher has the partition.
    pub fn place_of(&self, partition: &TopicIdPartition) -> Option<FetcherId> {
        self.places.get(partition).map(|place| place.fetcher)
    }

    /// One fetcher.
    pub fn get_mut(&mut self, id: FetcherId) -> Option<&mut Fetcher> {
        self.fetchers.get_mut(&id)
    }

    /// All fetchers.
    pub fn iter(&self) -> impl Iterator<Item = (FetcherId, &Fetcher)> {
        self.fetchers.iter().map(|(id, fetcher)| (*id, fetcher))
    }

    /// The fetchers that have nothing to do go; their connections can be closed.
    pub fn remove_idle(&mut self) -> Vec<FetcherId> {
        let idle: Vec<_> = self.fetchers.iter().filter(|(_, f)| f.is_empty()).map(|(id, _)| *id).collect();
        self.fetchers.retain(|_, fetcher| !fetcher.is_empty());
        idle
    }

    /// `num.replica.fetchers` has changed: all partitions find their places anew. What is under way is forgotten.
    pub fn resize(&mut self, per_leader: u32, logs: &impl Logs) -> Vec<FetcherEffect> {
        if per_leader.max(1) == self.per_leader {
            return Vec::new();
        }
        self.per_leader = per_leader.max(1);
        let mut effects = Vec::new();
        for (partition, place) in std::mem::take(&mut self.places) {
            if let Some(fetcher) = self.fetchers.get_mut(&place.fetcher) {
                fetcher.remove(&partition);
            }
            // Without a log there is nothing to fetch for: the directory is offline, and the replica with it.
            if let Some(log) = logs.log(&partition) {
                effects.extend(self.place(partition, place.hash, place.fetcher.leader, place.leader_epoch, &log));
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_in_the_fetcher_that_apache_kafka_would_use() {
        assert_eq!(fetcher_id("orders", PartitionIndex(0), 1), 0);
        let hash = "orders".bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
        let expected = hash.wrapping_mul(31).wrapping_add(5).unsigned_abs() % 4;
        assert_eq!(fetcher_id("orders", PartitionIndex(5), 4), expected);
        assert_eq!(number(i32::MIN, 4), 0);
    }
}
