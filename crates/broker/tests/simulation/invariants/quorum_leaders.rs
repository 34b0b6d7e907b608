//! **Election safety.** An epoch of the quorum has one leader, and so one active controller; no node gives up but one whose
//! metadata can't be written.

use crate::harness::cluster::Cluster;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct QuorumLeaders {
    /// Who led which epoch.
    leaders: BTreeMap<i32, i32>,
}

impl QuorumLeaders {
    pub(crate) fn check(&mut self, cluster: &Cluster) {
        // One whose disk has died in the middle of something is dead, and will be buried.
        for id in cluster.living_ids().filter(|id| !cluster.world(*id).disk.is_dead()) {
            let node = &cluster.node(id).node;
            let quorum = node.quorum();
            if cluster.failing.contains(&id) && node.failure().is_some() {
                continue;
            }
            assert_eq!(node.failure(), None, "node {id} has given up");
            if quorum.state == "leader" {
                let leader = *self.leaders.entry(quorum.epoch).or_insert(id);
                assert_eq!(leader, id, "election safety: two nodes lead epoch {}", quorum.epoch);
            }
            assert!(!quorum.is_active || quorum.state == "leader", "node {id} decides and does not lead");
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.leaders.len()
    }
}
