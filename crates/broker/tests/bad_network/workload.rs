use super::harness::asking::{Told, batches, create, partitions};
use super::harness::cluster::Cluster;
use super::harness::{Pending, Running, batch};
use ottla_env_sim::SeededRandom;
use ottla_protocol::messages::{
    CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest, ProduceResponse,
};
use ottla_records::Batches;
use ottla_types::Offset;
use std::collections::{BTreeMap, BTreeSet};

const TOPICS_MAX: usize = 12;

/// What clients ask for, and what they were answered.
#[derive(Default)]
pub(crate) struct Workload {
    creating: BTreeMap<String, Pending<CreateTopicsResponse>>,
    deleting: BTreeMap<String, Pending<DeleteTopicsResponse>>,
    producing: Vec<Produced>,
    created: BTreeSet<String>,
    /// Those that somebody has asked to be deleted; whether they are is only known once it was answered.
    doomed: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Topic, partition, offset and checksum of batches that were acknowledged.
    acknowledged: Vec<(String, i32, Offset, u32)>,
    asked: usize,
    written: i32,
}

struct Produced {
    topic: String,
    partition: i32,
    checksum: u32,
    pending: Pending<ProduceResponse>,
}

/// The names of the topics that a node knows.
pub(crate) fn topics_of(node: &Running) -> Vec<String> {
    let answer = node.ask(&MetadataRequest { topics: None, ..Default::default() });
    answer.topics.into_iter().filter_map(|topic| topic.name).collect()
}

fn some_node<'a>(cluster: &'a Cluster, random: &SeededRandom) -> &'a Running {
    let living: Vec<i32> = cluster.living_ids().collect();
    cluster.node(living[usize::try_from(random.below(living.len() as u64)).unwrap()])
}

impl Workload {
    pub(crate) fn advance(&mut self, cluster: &Cluster, random: &SeededRandom) {
        self.take_answers();
        match random.below(100) {
            0 if self.asked < TOPICS_MAX => {
                self.asked += 1;
                let name = format!("topic-{}", self.asked);
                let partitions = 1 + i32::try_from(random.below(2)).unwrap();
                let node = some_node(cluster, random);
                let pending = create(node, &name, partitions, &[("min.insync.replicas", "2")]);
                self.creating.insert(name, pending);
            }
            1 if random.below(4) == 0 => self.delete(some_node(cluster, random)),
            2..10 => self.produce(cluster, random),
            _ => {}
        }
    }

    fn delete(&mut self, node: &Running) {
        let Some(name) = self.created.iter().find(|name| !self.doomed.contains(*name)).cloned() else { return };
        let topic = ottla_protocol::messages::delete_topics_request::DeleteTopicState {
            name: Some(name.clone()),
            ..Default::default()
        };
        let pending = node.send(&DeleteTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() });
        self.doomed.insert(name.clone());
        self.deleting.insert(name, pending);
    }

    fn produce(&mut self, cluster: &Cluster, random: &SeededRandom) {
        let node = some_node(cluster, random);
        let topics = topics_of(node);
        let Some(topic) = usize::try_from(random.below(topics.len() as u64)).ok().and_then(|i| topics.get(i)) else {
            return;
        };
        let told: Vec<Told> = partitions(node, topic);
        let index = random.below(told.len() as u64);
        let Some(leader) = told.get(usize::try_from(index).unwrap()).map(|told| told.leader) else { return };
        if !cluster.living_ids().any(|id| id == leader) {
            return;
        }
        self.written += 1;
        let (partition, bytes) = (i32::try_from(index).unwrap(), batch(self.written));
        let checksum = Batches::new(&bytes).next().unwrap().unwrap().checksum();
        let pending = cluster.node(leader).produce(topic, partition, -1, self.written);
        self.producing.push(Produced { topic: topic.clone(), partition, checksum, pending });
    }

    pub(crate) fn take_answers(&mut self) {
        let (created, deleted) = (&mut self.created, &mut self.deleted);
        self.creating.retain(|name, pending| {
            let Some(answer) = pending.take_if_open() else { return false };
            let Some(answer) = answer else { return true };
            if answer.topics[0].error_code == 0 {
                created.insert(name.clone());
            }
            false
        });
        self.deleting.retain(|name, pending| {
            let Some(answer) = pending.take_if_open() else { return false };
            let Some(answer) = answer else { return true };
            if answer.responses[0].error_code == 0 {
                deleted.insert(name.clone());
            }
            false
        });
        let acknowledged = &mut self.acknowledged;
        self.producing.retain(|produced| {
            let Some(answer) = produced.pending.take_if_open() else { return false };
            let Some(answer) = answer else { return true };
            let answer = &answer.responses[0].partition_responses[0];
            if answer.error_code == 0 {
                let base = Offset(answer.base_offset);
                acknowledged.push((produced.topic.clone(), produced.partition, base, produced.checksum));
            }
            false
        });
    }

    /// What was answered is so on every node.
    pub(crate) fn check(&self, cluster: &Cluster) {
        for id in cluster.living_ids() {
            let known: BTreeSet<String> = topics_of(cluster.node(id)).into_iter().collect();
            for name in self.created.iter().filter(|name| !self.doomed.contains(*name)) {
                assert!(known.contains(name), "node {id} does not know {name}, whose creation was answered");
            }
            for name in &self.deleted {
                assert!(!known.contains(name), "node {id} knows {name}, whose deletion was answered");
            }
        }
        let kept = self.acknowledged.iter().filter(|(topic, ..)| !self.doomed.contains(topic));
        for (topic, partition, offset, checksum) in kept {
            for id in cluster.living_ids() {
                let log = batches(cluster, id, &format!("/data/{topic}-{partition}"));
                let found = log.get(offset).map(|batch| batch.2);
                let told = partitions(cluster.node(id), topic);
                assert_eq!(found, Some(*checksum), "{topic}-{partition} at {offset} on node {id}: {told:?}, {log:?}");
            }
        }
    }

    pub(crate) fn decided(&self) -> usize {
        self.created.len() + self.deleted.len()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }
}
