//! What must be so at every moment, and what must be so at the end: one file for each kind of promise. The numbers in the
//! files' first lines are those of `docs/internals/simulation.md`.

mod committed_metadata;
mod committed_offsets;
mod images;
mod partition_leaders;
mod quorum_leaders;
mod records;
mod replicas;
mod transactions;

use super::harness::cluster::Cluster;
use super::history::History;
use super::readers::Reader;
use super::routes::Place;
use super::transactions::TransactionalProducer;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Invariants {
    quorum_leaders: quorum_leaders::QuorumLeaders,
    committed_metadata: committed_metadata::CommittedMetadata,
    partition_leaders: partition_leaders::PartitionLeaders,
    batches: replicas::KnownBatches,
}

/// A partition that is to be looked at, with the nodes that hold it.
pub(crate) struct Held {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) leader: i32,
    pub(crate) replicas: Vec<i32>,
}

impl Invariants {
    /// Cheap enough for every step.
    pub(crate) fn check_step(&mut self, cluster: &Cluster) {
        self.quorum_leaders.check(cluster);
    }

    /// What takes reading.
    pub(crate) fn check_often(&mut self, cluster: &Cluster) {
        self.committed_metadata.check(cluster);
        self.partition_leaders.check(cluster);
        self.batches.check(cluster);
    }

    /// All is well, and everybody has come to the end.
    pub(crate) fn check_end(&mut self, cluster: &Cluster, history: &History, readers: &[Reader; 2]) {
        self.check_often(cluster);
        images::check(cluster);
        let held = held(cluster);
        let logs: BTreeMap<Place, replicas::Contents> =
            held.iter().map(|held| (held.place, replicas::check(cluster, held))).collect();
        records::check(history, &held, &logs);
        transactions::check(history, &held, &logs, &readers[1]);
        committed_offsets::check(cluster, history, TransactionalProducer::group);
    }

    /// Leaders of the quorum, and snapshots: a run without them shows little.
    pub(crate) fn counts(&self) -> [usize; 2] {
        [self.quorum_leaders.count(), self.committed_metadata.snapshots()]
    }
}

fn held(cluster: &Cluster) -> Vec<Held> {
    let node = cluster.living_ids().find(|id| cluster.is_broker(*id)).unwrap();
    let request = ottla_protocol::messages::MetadataRequest { topics: None, ..Default::default() };
    let topics = cluster.node(node).ask(&request).topics;
    let of_topic = |topic: ottla_protocol::messages::metadata_response::MetadataResponseTopic| {
        let name = topic.name.unwrap_or_default();
        topic.partitions.into_iter().map(move |partition| Held {
            place: (topic.topic_id, partition.partition_index),
            name: name.clone(),
            leader: partition.leader_id,
            replicas: partition.replica_nodes,
        })
    };
    topics.into_iter().flat_map(of_topic).collect()
}
