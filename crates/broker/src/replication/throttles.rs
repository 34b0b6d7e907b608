//! How much may be replicated for throttled replicas (KIP-73).

use core::time::Duration;
use ottla_config::{NodeConfig, TopicConfig};
use ottla_replication::{QuotaSettings, ReplicationQuota, ThrottledReplicas};
use ottla_types::{BrokerId, TopicId};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};

/// One throttle.
pub(crate) struct Throttle {
    quota: Mutex<ReplicationQuota>,
    /// Whether the broker has a rate: without one nothing is counted, and no lock is taken on the way of records.
    is_used: AtomicBool,
}

impl Throttle {
    fn new(bytes_per_second: Option<u64>, windows: usize, window: Duration) -> Self {
        let quota = ReplicationQuota::new(QuotaSettings { bytes_per_second, windows, window });
        Self { quota: Mutex::new(quota), is_used: AtomicBool::new(bytes_per_second.is_some()) }
    }

    fn set_rate(&self, bytes_per_second: Option<u64>) {
        self.quota.lock().set_rate(bytes_per_second);
        self.is_used.store(bytes_per_second.is_some(), Ordering::Release);
    }

    /// Whether there is a rate.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Acquire)
    }

    /// The quota. Locked after everything else.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ReplicationQuota> {
        self.quota.lock()
    }
}

/// The throttles of a broker: of what it gives as leader, and of what it fetches as follower.
pub(crate) struct Throttles {
    broker: BrokerId,
    pub(crate) leader: Throttle,
    pub(crate) follower: Throttle,
}

impl Throttles {
    /// The throttles that the configuration demands.
    pub(crate) fn new(config: &NodeConfig) -> Self {
        let quotas = &config.replication_quotas;
        let windows = usize::try_from(quotas.replication_quota_window_num).unwrap_or(1);
        let window = Duration::from_secs(u64::try_from(quotas.replication_quota_window_size_seconds).unwrap_or(1));
        let new = |rate| Throttle::new(rate, windows, window);
        let rates = &config.replication_throttles;
        Self { broker: config.node_id, leader: new(rates.leader), follower: new(rates.follower) }
    }

    /// Takes over changed rates.
    pub(crate) fn set_rates(&self, config: &NodeConfig) {
        self.leader.set_rate(config.replication_throttles.leader);
        self.follower.set_rate(config.replication_throttles.follower);
    }

    /// Takes over which replicas of a topic are throttled.
    pub(crate) fn set_topic(&self, topic: TopicId, config: &TopicConfig) {
        // Checked when it was set.
        let listed =
            |list: &[String]| ThrottledReplicas::parse(&list.join(","), self.broker).unwrap_or(ThrottledReplicas::None);
        self.leader.lock().set_throttled(topic, listed(&config.leader_replication_throttled_replicas));
        self.follower.lock().set_throttled(topic, listed(&config.follower_replication_throttled_replicas));
    }

    /// The topic has no replica here any more.
    pub(crate) fn forget(&self, topic: TopicId) {
        self.leader.lock().set_throttled(topic, ThrottledReplicas::None);
        self.follower.lock().set_throttled(topic, ThrottledReplicas::None);
    }
}
