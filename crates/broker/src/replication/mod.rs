//! Partitions on several brokers: hosts the machines of `ottla-replication`.
//!
//! A partition has its replica's machine ([`crate::partition`]); here is what they have in common: the proposals of in-sync
//! replicas on their way to the controller, and the fetchers. `docs/internals/replication.md` has the rules.

mod alter_partition;
mod context;
mod durability;
mod fetching;
mod messages;
mod settings;
mod throttles;
mod view;

pub(crate) use context::ReplicationContext;
pub(crate) use settings::{ReplicationSettings, fetchers_per_leader};
pub(crate) use throttles::Throttles;
pub(crate) use view::{View, partition_state};

use crate::controller_channel::ControllerChannel;
use crate::metadata_view::MetadataView;
use crate::partition::{FetchChange, Partition, PartitionRegistry};
use crate::peers::Peers;
use core::time::Duration;
use durability::AwaitsSync;
use ottla_env::Monotonic;
use ottla_replication::Fetchers;
use ottla_types::{BrokerEpoch, NodeId, TopicIdPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What a broker replicates.
pub(crate) struct Replication {
    node_id: NodeId,
    listener: String,
    settings: ReplicationSettings,
    context: Arc<ReplicationContext>,
    partitions: Arc<PartitionRegistry>,
    metadata: Arc<MetadataView>,
    peers: Peers,
    controller: OnceLock<ControllerChannel>,
    fetchers: Mutex<Fetchers>,
    /// Partitions whose following waits for a sync. Locked alone.
    unsynced: Mutex<BTreeMap<TopicIdPartition, AwaitsSync>>,
    next_lag_check: Mutex<Duration>,
}

/// What replication is made of.
pub(crate) struct ReplicationOptions {
    pub(crate) node_id: NodeId,
    /// The name of the listener on which brokers reach each other.
    pub(crate) listener: String,
    pub(crate) settings: ReplicationSettings,
    /// How many fetchers a leader has at the start.
    pub(crate) fetchers_per_leader: u32,
    pub(crate) context: Arc<ReplicationContext>,
    pub(crate) partitions: Arc<PartitionRegistry>,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) peers: Peers,
}

impl Replication {
    pub(crate) fn new(options: ReplicationOptions) -> Arc<Self> {
        let ReplicationOptions { node_id, listener, settings, context, partitions, metadata, peers, .. } = options;
        Arc::new(Self {
            node_id,
            listener,
            settings,
            context,
            partitions,
            metadata,
            peers,
            controller: OnceLock::new(),
            fetchers: Mutex::new(Fetchers::new(settings.fetcher, options.fetchers_per_leader)),
            unsynced: Mutex::default(),
            next_lag_check: Mutex::default(),
        })
    }

    /// How the controller is asked. Set once, as soon as there is a quorum.
    pub(crate) fn set_controller(&self, controller: ControllerChannel) {
        let _ = self.controller.set(controller);
    }

    /// What the partitions share.
    pub(crate) fn context(&self) -> &Arc<ReplicationContext> {
        &self.context
    }

    /// Does with a partition's fetching what a change of metadata demands.
    pub(crate) fn follow(self: &Arc<Self>, partition: &Arc<Partition>, change: FetchChange) {
        if change.stop {
            self.fetchers.lock().stop(&partition.id());
            self.forget_unsynced(partition);
        }
        let Some((leader, epoch)) = change.follow else { return };
        if let Some(effect) = self.after_sync(partition, AwaitsSync::Follow(leader, epoch)) {
            self.perform(effect, None);
        }
        self.context.wake();
    }

    /// The partition is not held here any more.
    pub(crate) fn forget(&self, partition: &Partition) {
        self.fetchers.lock().stop(&partition.id());
        self.forget_unsynced(partition);
        self.context.proposals().lock().forget(&partition.id());
        if self.partitions.topic_by_id(partition.topic_id).is_none() {
            self.context.throttles().forget(partition.topic_id);
        }
    }

    /// `num.replica.fetchers` is this now.
    pub(crate) fn set_fetchers_per_leader(self: &Arc<Self>, count: u32) {
        let effects = self.fetchers.lock().resize(count, &**self);
        effects.into_iter().for_each(|effect| self.perform(effect, None));
        self.context.wake();
    }

    /// The broker was registered.
    pub(crate) fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        if self.context.set_broker_epoch(epoch) {
            self.partitions.all().iter().for_each(|partition| partition.set_broker_epoch());
        }
    }

    /// Does what is due, and says when to come again.
    pub(crate) fn tick(self: &Arc<Self>, now: Monotonic) -> Option<Monotonic> {
        let now = Duration::from_nanos(now.0);
        let lag_check = self.check_lag_if_due(now);
        self.send_proposals(now);
        self.fetch_what_is_due(now);
        let wake_at = [
            Some(lag_check),
            self.context.proposals().lock().wake_at(),
            self.fetchers.lock().iter().filter_map(|(_, fetcher)| fetcher.wake_at()).min(),
        ];
        let next = wake_at.into_iter().flatten().min()?;
        Some(Monotonic(u64::try_from(next.as_nanos()).unwrap_or(u64::MAX)))
    }

    fn check_lag_if_due(&self, now: Duration) -> Duration {
        let mut next = self.next_lag_check.lock();
        if *next <= now {
            for partition in self.partitions.all().iter().filter(|partition| partition.is_led_among_others()) {
                partition.check_lag();
            }
            *next = now.saturating_add(self.settings.lag_check_interval);
        }
        *next
    }
}
