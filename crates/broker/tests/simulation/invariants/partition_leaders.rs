//! **One leader an epoch**, and the **shape of in-sync replicas**: as every broker knows them.

use crate::harness::cluster::Cluster;
use crate::routes::Place;
use ottla_protocol::messages::MetadataRequest;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct PartitionLeaders {
    /// Who leads which epoch of which partition.
    leaders: BTreeMap<(Place, i32), i32>,
}

impl PartitionLeaders {
    pub(crate) fn check(&mut self, cluster: &Cluster) {
        for id in cluster.living_ids().filter(|id| cluster.is_broker(*id) && !cluster.world(*id).disk.is_dead()) {
            let answer = cluster.node(id).ask(&MetadataRequest { topics: None, ..Default::default() });
            for topic in answer.topics {
                for told in topic.partitions {
                    let place = (topic.topic_id, told.partition_index);
                    let is_in_sync_known = told.isr_nodes.iter().all(|node| told.replica_nodes.contains(node));
                    assert!(is_in_sync_known, "shape of in-sync replicas: {told:?} of {place:?}");
                    if told.leader_id >= 0 {
                        let leader = *self.leaders.entry((place, told.leader_epoch)).or_insert(told.leader_id);
                        assert_eq!(leader, told.leader_id, "one leader an epoch: {told:?} of {place:?}");
                    }
                }
            }
        }
    }
}
