//! Following waits for the disk where a topic's `flush.messages` demands it: a Fetch tells the leader that everything before its
//! offset is here, and the leader acknowledges on the strength of that. The waiting partitions share the syncs of all
//! others ([`crate::node::Node::sync`]); no thread waits.

use super::{Replication, View};
use crate::partition::Partition;
use ottla_replication::{AppendRefusal, FetcherEffect, PartitionRef};
use ottla_types::{BrokerId, LeaderEpoch};
use std::sync::Arc;

/// What goes on when a partition's log is as durable as its topic demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitsSync {
    /// Fetched records are in the log: the fetcher hears of it.
    Appended(PartitionRef),
    /// The partition begins to follow. Its first fetch speaks of what it appended as leader too.
    Follow(BrokerId, LeaderEpoch),
}

impl Partition {
    /// Whether `flush.messages` has something of the log wait for a sync that may yet come.
    fn awaits_sync(&self) -> bool {
        !self.log.is_offline() && self.log.acknowledgeable_offset() < self.log.log_end_offset()
    }
}

impl Replication {
    /// Goes on at once where there is nothing to wait for, else when a sync has returned.
    pub(super) fn after_sync(self: &Arc<Self>, partition: &Arc<Partition>, then: AwaitsSync) -> Option<FetcherEffect> {
        if !partition.awaits_sync() {
            return self.go_on(partition, then);
        }
        self.unsynced.lock().insert(partition.id(), then);
        // A sync that returned before the entry has found nothing: look once more.
        self.take_synced(partition).and_then(|then| self.go_on(partition, then))
    }

    /// More of the partition's log is durable, or will not be: its directory is offline.
    pub(crate) fn log_synced(self: &Arc<Self>, partition: &Arc<Partition>) {
        let Some(then) = self.take_synced(partition) else { return };
        if let Some(effect) = self.go_on(partition, then) {
            self.perform(effect, None);
        }
        self.fetch_what_is_due(self.context.now());
    }

    /// What waits for the partition's log is forgotten.
    pub(super) fn forget_unsynced(&self, partition: &Partition) {
        self.unsynced.lock().remove(&partition.id());
    }

    fn take_synced(&self, partition: &Partition) -> Option<AwaitsSync> {
        let mut unsynced = self.unsynced.lock();
        if unsynced.is_empty() || partition.awaits_sync() {
            return None;
        }
        unsynced.remove(&partition.id())
    }

    fn go_on(&self, partition: &Arc<Partition>, then: AwaitsSync) -> Option<FetcherEffect> {
        let view = View(&partition.log);
        match then {
            AwaitsSync::Follow(leader, epoch) => {
                self.fetchers.lock().follow(partition.id(), &partition.topic, leader, epoch, &view)
            }
            AwaitsSync::Appended(at) => {
                let now = self.context.now();
                self.with_fetcher(at, |fetcher| match partition.log.is_offline() {
                    false => fetcher.appended(at, &view, now),
                    true => fetcher.append_refused(at, AppendRefusal::Unwritable, now),
                })
            }
        }
    }
}
