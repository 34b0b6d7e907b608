use super::rate::WindowedRate;
use super::throttled_replicas::ThrottledReplicas;
use ottla_types::{TopicId, TopicIdPartition};
use std::collections::BTreeMap;
use std::time::Duration;

/// `replication.quota.window.*` and a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// `leader.replication.throttled.rate` or the follower's, in bytes a second; `None` for no limit.
    pub bytes_per_second: Option<u64>,
    /// `replication.quota.window.num`.
    pub windows: usize,
    /// `replication.quota.window.size.seconds`.
    pub window: Duration,
}

/// How much a broker replicates for throttled replicas, as their leader or as their follower.
///
/// All traffic of throttled replicas counts, that of those in sync too; what is held back is only that of those not in
/// sync, so that no throttle pushes a replica out.
#[derive(Clone, Debug)]
pub struct ReplicationQuota {
    settings: QuotaSettings,
    rate: WindowedRate,
    throttled: BTreeMap<TopicId, ThrottledReplicas>,
}

impl ReplicationQuota {
    /// A quota with nothing throttled.
    pub fn new(settings: QuotaSettings) -> Self {
        let rate = WindowedRate::new(settings.windows, settings.window);
        Self { settings, rate, throttled: BTreeMap::new() }
    }

    /// Nothing is ever held back.
    pub fn unlimited() -> Self {
        Self::new(QuotaSettings { bytes_per_second: None, windows: 11, window: Duration::from_secs(1) })
    }

    /// The rate has been changed; what was counted stays.
    pub fn set_rate(&mut self, bytes_per_second: Option<u64>) {
        self.settings.bytes_per_second = bytes_per_second;
    }

    /// A topic's list has been changed.
    pub fn set_throttled(&mut self, topic: TopicId, replicas: ThrottledReplicas) {
        if replicas == ThrottledReplicas::None {
            self.throttled.remove(&topic);
        } else {
            self.throttled.insert(topic, replicas);
        }
    }

    /// Whether the replica is in its topic's list.
    pub fn is_throttled(&self, partition: &TopicIdPartition) -> bool {
        self.throttled.get(&partition.topic_id).is_some_and(|replicas| replicas.contains(partition.partition))
    }

    /// Counts the traffic of a replica, if it is throttled.
    pub fn record_for(&mut self, partition: &TopicIdPartition, bytes: usize, now: Duration) {
        if self.is_throttled(partition) {
            self.record(bytes, now);
        }
    }

    /// Counts traffic.
    pub fn record(&mut self, bytes: usize, now: Duration) {
        self.rate.record(bytes as f64, now);
    }

    /// Whether the rate is above the limit.
    pub fn is_exceeded(&mut self, now: Duration) -> bool {
        let Some(limit) = self.settings.bytes_per_second else { return false };
        self.rate.per_second(now) > limit as f64
    }

    /// Whether a leader gives a follower nothing of this partition now, though it may tell it high watermark and log start.
    pub fn holds_back(&mut self, partition: &TopicIdPartition, is_in_sync: bool, now: Duration) -> bool {
        !is_in_sync && self.is_throttled(partition) && self.is_exceeded(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::{PartitionIndex, Uuid};

    #[test]
    fn only_listed_replicas_that_are_not_in_sync_are_held_back_and_only_above_the_rate() {
        let partition = TopicIdPartition { topic_id: Uuid::from_u128(7), partition: PartitionIndex(0) };
        let other = TopicIdPartition { partition: PartitionIndex(1), ..partition };
        let settings = QuotaSettings { bytes_per_second: Some(100), windows: 11, window: Duration::from_secs(1) };
        let mut quota = ReplicationQuota::new(settings);
        let now = Duration::from_secs(5);
        quota.set_throttled(partition.topic_id, ThrottledReplicas::Some([PartitionIndex(0)].into()));
        quota.record_for(&other, 5_000, now);
        assert!(!quota.holds_back(&partition, false, now));
        quota.record_for(&partition, 100, now);
        assert!(!quota.holds_back(&partition, false, now));
        quota.record_for(&partition, 1, now);
        assert!(quota.holds_back(&partition, false, now));
        assert!(!quota.holds_back(&partition, true, now));
        assert!(!quota.holds_back(&other, false, now));
        quota.set_rate(None);
        assert!(!quota.holds_back(&partition, false, now));
        quota.set_rate(Some(1));
        quota.set_throttled(partition.topic_id, ThrottledReplicas::None);
        assert!(!quota.holds_back(&partition, false, now));
    }
}
