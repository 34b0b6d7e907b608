//! What administrators do while everything else goes on.

use super::client::{Answer, Client, Outcome};
use super::harness::cluster::{Cluster, directory};
use super::scene::Scene;
use ottla_protocol::messages::add_raft_voter_request::Listener;
use ottla_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    AddRaftVoterRequest, AlterPartitionReassignmentsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    ElectLeadersRequest, IncrementalAlterConfigsRequest, RemoveRaftVoterRequest,
};

type Topic = (&'static str, i32, &'static [(&'static str, &'static str)]);

/// Topics with their numbers of partitions and their configurations. Names begin with what clients do with them.
const TOPICS: [Topic; 6] = [
    ("r-kept", 2, &[]),
    ("t-written", 3, &[("internal.segment.bytes", "3000")]),
    ("g-offsets", 3, &[]),
    ("r-compact", 1, &[("cleanup.policy", "compact"), ("internal.segment.bytes", "2000")]),
    ("r-short", 1, &[("retention.bytes", "4000"), ("internal.segment.bytes", "1000")]),
    (PHOENIX, 1, &[]),
];

/// A topic that is deleted and comes again.
const PHOENIX: &str = "r-phoenix";

/// What is to be so when all is well, of those that are never deleted.
pub(crate) fn lasting_topics() -> impl Iterator<Item = (&'static str, i32)> {
    TOPICS.iter().filter(|(name, ..)| *name != PHOENIX).map(|(name, partitions, _)| (*name, *partitions))
}

pub(crate) fn create_request(cluster: &Cluster, names: &[&str]) -> CreateTopicsRequest {
    let brokers = (1..).take(cluster.nodes.len()).filter(|id| cluster.is_broker(*id)).count();
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..Default::default()
    };
    let topics = TOPICS.iter().filter(|(name, ..)| names.contains(name));
    let topics = topics.map(|(name, partitions, configs)| CreatableTopic {
        name: (*name).to_owned(),
        num_partitions: *partitions,
        replication_factor: i16::try_from(brokers.min(3)).unwrap(),
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    });
    CreateTopicsRequest { topics: topics.collect(), timeout_ms: 1_000, ..Default::default() }
}

/// All topics at the beginning.
pub(crate) fn create_all(cluster: &Cluster) -> CreateTopicsRequest {
    create_request(cluster, &TOPICS.map(|(name, ..)| name))
}

/// What the administrator waits for. Answers are of no interest: what is decided shows in what everybody sees.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Create(Answer<CreateTopicsRequest>),
    Delete(Answer<DeleteTopicsRequest>),
    Reassign(Answer<AlterPartitionReassignmentsRequest>),
    Elect(Answer<ElectLeadersRequest>),
    Configure(Answer<IncrementalAlterConfigsRequest>),
    Remove(Answer<RemoveRaftVoterRequest>),
    Add(Answer<AddRaftVoterRequest>),
}

pub(crate) struct Operator {
    client: Client,
    asking: Asking,
    /// Whether voters may be added and removed.
    changes_voters: bool,
    /// A voter that was removed, or may have been.
    removed: Option<i32>,
}

fn is_open<R: ottla_protocol::Request>(answer: &Answer<R>) -> bool {
    matches!(answer.take(), Outcome::Waiting)
}

impl Operator {
    pub(crate) fn new(client: Client, changes_voters: bool) -> Self {
        Self { client, asking: Asking::Nothing, changes_voters, removed: None }
    }

    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>, every: u64) {
        let waits = match &self.asking {
            Asking::Nothing => false,
            Asking::Create(answer) => is_open(answer),
            Asking::Delete(answer) => is_open(answer),
            Asking::Reassign(answer) => is_open(answer),
            Asking::Elect(answer) => is_open(answer),
            Asking::Configure(answer) => is_open(answer),
            Asking::Remove(answer) => is_open(answer),
            Asking::Add(answer) => is_open(answer),
        };
        if waits {
            return;
        }
        self.asking = Asking::Nothing;
        if scene.is_closing || !scene.one_in(every) {
            return;
        }
        scene.history.count("operations");
        self.asking = match scene.random.below(9) {
            0 | 1 => self.reassign(scene),
            2 => self.elect(scene),
            3 | 4 => self.configure(scene),
            5 | 6 if self.changes_voters => self.change_voters(scene),
            _ => self.change_phoenix(scene),
        };
    }

    fn change_phoenix(&self, scene: &mut Scene<'_>) -> Asking {
        let node = scene.some_broker();
        let Some((topic, _)) = scene.routes.places(PHOENIX).first().copied() else {
            return Asking::Create(self.client.ask(node, &create_request(scene.cluster, &[PHOENIX])));
        };
        // By its id: a request that arrives late can't meet another topic of that name.
        scene.history.doomed.insert(topic);
        let state = DeleteTopicState { name: None, topic_id: topic, ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![state], timeout_ms: 1_000, ..Default::default() };
        Asking::Delete(self.client.ask(node, &request))
    }

    fn some_partition(scene: &Scene<'_>) -> Option<(String, i32)> {
        let mut places = scene.routes.places("r-");
        places.extend(scene.routes.places("t-"));
        let (topic, partition) = scene.pick(&places)?;
        Some((scene.routes.name(topic)?.to_owned(), partition))
    }

    /// Two or three of the brokers, in any order.
    fn reassign(&self, scene: &Scene<'_>) -> Asking {
        let Some((name, partition_index)) = Self::some_partition(scene) else { return Asking::Nothing };
        let count = i32::try_from(scene.cluster.nodes.len()).unwrap();
        let mut brokers: Vec<i32> = (1..=count).filter(|id| scene.cluster.is_broker(*id)).collect();
        let mut replicas = Vec::new();
        let wanted = if brokers.len() > 3 { 3 } else { 2 + scene.random.below(2) };
        for _ in 0..wanted.min(brokers.len() as u64) {
            replicas.push(brokers.remove(usize::try_from(scene.random.below(brokers.len() as u64)).unwrap()));
        }
        let replicas = (!scene.one_in(6)).then_some(replicas);
        let partition = ReassignablePartition { partition_index, replicas, ..Default::default() };
        let topic = ReassignableTopic { name, partitions: vec![partition], ..Default::default() };
        let request =
            AlterPartitionReassignmentsRequest { timeout_ms: 1_000, topics: vec![topic], ..Default::default() };
        Asking::Reassign(self.client.ask(scene.some_broker(), &request))
    }

    fn elect(&self, scene: &Scene<'_>) -> Asking {
        let request = ElectLeadersRequest { topic_partitions: None, timeout_ms: 1_000, ..Default::default() };
        Asking::Elect(self.client.ask(scene.some_broker(), &request))
    }

    fn configure(&self, scene: &Scene<'_>) -> Asking {
        let (topic, name, values): (_, _, &[&str]) = match scene.random.below(6) {
            0 => ("r-kept", "min.insync.replicas", &["2", "3"]),
            1 => ("r-short", "retention.bytes", &["2000", "8000"]),
            2 => ("r-compact", "min.cleanable.dirty.ratio", &["0.01", "0.5"]),
            3 => ("__consumer_offsets", "internal.segment.bytes", &["2000", "20000"]),
            4 => ("__transaction_state", "internal.segment.bytes", &["2000", "20000"]),
            _ => ("t-written", "internal.segment.bytes", &["500", "3000"]),
        };
        let value = scene.pick(values).map(str::to_owned);
        let config = AlterableConfig { name: name.to_owned(), config_operation: 0, value, ..Default::default() };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: topic.to_owned(),
            configs: vec![config],
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        Asking::Configure(self.client.ask(scene.some_broker(), &request))
    }

    fn change_voters(&mut self, scene: &Scene<'_>) -> Asking {
        let node = scene.some_broker();
        if let Some(id) = self.removed {
            if scene.one_in(2) {
                self.removed = None;
            }
            return Asking::Add(self.client.ask(node, &add_voter(id)));
        }
        let count = scene.cluster.nodes.len() as u64;
        let id = 1 + i32::try_from(scene.random.below(count)).unwrap();
        self.removed = Some(id);
        let request = RemoveRaftVoterRequest { voter_id: id, voter_directory_id: directory(id), ..Default::default() };
        Asking::Remove(self.client.ask(node, &request))
    }
}

fn add_voter(id: i32) -> AddRaftVoterRequest {
    let listener =
        Listener { name: "CONTROLLER".to_owned(), host: format!("node{id}"), port: 19093, ..Default::default() };
    AddRaftVoterRequest {
        voter_id: id,
        voter_directory_id: directory(id),
        listeners: vec![listener],
        timeout_ms: 1_000,
        ack_when_committed: true,
        ..Default::default()
    }
}
