//! Transactions whose coordinator and whose partitions are on different nodes: markers and confirmations go over the network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use bytes::Bytes;
use harness::cluster::Cluster;
use harness::{Pending, Running};
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    AddPartitionsToTxnRequest, CreateTopicsRequest, EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, ProduceRequest, ProduceResponse, WriteTxnMarkersRequest,
};
use ottla_protocol::{ErrorCode, RecordSet, Request};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeMap;

const PARTITIONS: i32 = 6;
const TOPIC: &str = "written";
const LATEST: i64 = -1;
/// The last version in which a client adds partitions itself, and knows TRANSACTION_ABORTABLE.
const ADDED_BY_CLIENT: i16 = 11;
/// The first version in which the broker has them added.
const ADDED_BY_BROKER: i16 = 12;

/// Sends a request again and again until its answer is as wanted.
fn ask_until<R: Request>(
    cluster: &Cluster,
    what: &str,
    node: usize,
    request: &R,
    is_wanted: impl Fn(&R::Response) -> bool,
) -> R::Response {
    ask_version_until(cluster, what, node, request, R::API_KEY.versions().max, is_wanted)
}

fn ask_version_until<R: Request>(
    cluster: &Cluster,
    what: &str,
    node: usize,
    request: &R,
    version: i16,
    is_wanted: impl Fn(&R::Response) -> bool,
) -> R::Response {
    let pending: RefCell<Option<Pending<R::Response>>> = RefCell::default();
    let wanted = RefCell::new(None);
    cluster.run_until(what, |cluster| {
        let mut pending = pending.borrow_mut();
        let sent = pending.get_or_insert_with(|| cluster.nodes[node].send_version(request, version));
        let Some(answer) = sent.take() else { return false };
        if is_wanted(&answer) {
            *wanted.borrow_mut() = Some(answer);
            return true;
        }
        *pending = None;
        false
    });
    wanted.into_inner().unwrap()
}

fn place(id: i32) -> usize {
    usize::try_from(id).unwrap() - 1
}

/// The leader of each partition, as a node tells it.
fn leaders(node: &Running, name: &str) -> Vec<i32> {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let response = node.ask(&MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|partition| partition.leader_id).collect()
}

fn start() -> Cluster {
    let cluster = Cluster::start(3);
    let topic = CreatableTopic {
        name: TOPIC.to_owned(),
        num_partitions: PARTITIONS,
        replication_factor: 3,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    ask_until(&cluster, "the topic is created", 0, &request, |answer| {
        matches!(
            ErrorCode::from_code(answer.topics[0].error_code),
            Some(ErrorCode::None | ErrorCode::TopicAlreadyExists)
        )
    });
    cluster.run_until("everybody knows the topic", |cluster| {
        cluster.nodes.iter().all(|node| leaders(node, TOPIC).len() == 6)
    });
    cluster
}

/// A transactional producer.
struct Producer {
    transactional_id: String,
    coordinator: usize,
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl Producer {
    /// One whose coordinator is found by asking this node.
    fn start(cluster: &Cluster, transactional_id: &str, asked: usize) -> Self {
        let coordinator = Self::find(cluster, transactional_id, asked);
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id.to_owned()),
            producer_id: -1,
            producer_epoch: -1,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let given =
            ask_until(cluster, "the producer has an id", coordinator, &request, |answer| answer.error_code == 0);
        let transactional_id = transactional_id.to_owned();
        Self { transactional_id, coordinator, id: given.producer_id, epoch: given.producer_epoch, sequence: 0 }
    }

    fn find(cluster: &Cluster, transactional_id: &str, asked: usize) -> usize {
        let request = FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: vec![transactional_id.to_owned()],
            ..Default::default()
        };
        let is_found =
            |answer: &ottla_protocol::messages::FindCoordinatorResponse| answer.coordinators[0].error_code == 0;
        let found = ask_until(cluster, "the coordinator is known", asked, &request, is_found);
        place(found.coordinators[0].node_id)
    }

    fn batch(&self) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: ProducerId::new(self.id),
            producer_epoch: ProducerEpoch(self.epoch),
            base_sequence: Sequence::new(self.sequence),
            is_transactional: true,
            ..BatchOptions::default()
        });
        let timestamp = Timestamp(1_700_000_000_000);
        builder.append(&RecordToWrite { timestamp, key: None, value: Some(b"value"), headers: &[] }).unwrap();
        Bytes::from(builder.build_vec(&mut Compressor::default()).unwrap())
    }

    /// Writes a record into a partition at its leader, and gives the last error code once it is `code`.
    fn write(&self, cluster: &Cluster, partition: i32, version: i16, code: ErrorCode) {
        let leader = leaders(cluster.living().next().unwrap(), TOPIC)[usize::try_from(partition).unwrap()];
        let data =
            PartitionProduceData { index: partition, records: RecordSet::from(self.batch()), ..Default::default() };
        let topic = TopicProduceData { name: TOPIC.to_owned(), partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: Some(self.transactional_id.clone()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        let answered = |answer: &ProduceResponse| answer.responses[0].partition_responses[0].error_code == code.code();
        ask_version_until(cluster, &format!("{code:?} of {partition}"), place(leader), &request, version, answered);
    }

    fn add(&self, cluster: &Cluster, partitions: &[i32]) {
        let topic =
            AddPartitionsToTxnTopic { name: TOPIC.to_owned(), partitions: partitions.to_vec(), ..Default::default() };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.clone(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        ask_version_until(cluster, "they are added", self.coordinator, &request, 3, |answer| {
            let results = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
            results.into_iter().all(|result| result.partition_error_code == 0)
        });
    }

    fn end_request(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.transactional_id.clone(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
            ..Default::default()
        }
    }

    /// Asks for the end of the transaction, until it is promised.
    fn end(&mut self, cluster: &Cluster, committed: bool) {
        let request = self.end_request(committed);
        let answer =
            ask_until(cluster, "the end is promised", self.coordinator, &request, |answer| answer.error_code == 0);
        (self.id, self.epoch, self.sequence) = (answer.producer_id, answer.producer_epoch, 0);
    }
}

/// Waits until all that was written to these partitions is decided, and checks how much that is, markers and all.
fn check_decided(cluster: &Cluster, partitions: impl Iterator<Item = i32> + Clone, records: i64) {
    for partition in partitions {
        let asked = ListOffsetsPartition { partition_index: partition, timestamp: LATEST, ..Default::default() };
        let topic = ListOffsetsTopic { name: TOPIC.to_owned(), partitions: vec![asked], ..Default::default() };
        let request =
            ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics: vec![topic], ..Default::default() };
        cluster.run_until(&format!("partition {partition} has {records} decided records"), |cluster| {
            let leader = leaders(cluster.living().next().unwrap(), TOPIC)[usize::try_from(partition).unwrap()];
            if leader < 0 || !cluster.living().any(|node| std::ptr::eq(node, &cluster.nodes[place(leader)])) {
                return false;
            }
            let sent = cluster.nodes[place(leader)].send(&request);
            sent.take().is_some_and(|answer| {
                let found = &answer.topics[0].partitions[0];
                (found.error_code, found.offset) == (0, records)
            })
        });
    }
}

#[test]
fn markers_come_into_partitions_that_other_nodes_lead() {
    let cluster = start();
    for (round, committed) in [(1, true), (2, false)] {
        // Wherever their coordinators are, there are partitions on other nodes.
        for name in ["a", "b", "c", "d"] {
            let mut producer = Producer::start(&cluster, &format!("{name}{round}"), 1);
            (0..PARTITIONS).for_each(|index| producer.write(&cluster, index, ADDED_BY_BROKER, ErrorCode::None));
            producer.end(&cluster, committed);
        }
        check_decided(&cluster, 0..PARTITIONS, 8 * round);
    }
}

#[test]
fn a_partition_that_was_not_added_is_refused_by_its_leader_wherever_the_coordinator_is() {
    let cluster = start();
    for name in ["a", "b", "c", "d"] {
        let mut producer = Producer::start(&cluster, name, 0);
        producer.add(&cluster, &[0, 1, 2]);
        for index in 0..3 {
            producer.write(&cluster, index, ADDED_BY_CLIENT, ErrorCode::None);
        }
        for index in 3..PARTITIONS {
            producer.write(&cluster, index, ADDED_BY_CLIENT, ErrorCode::TransactionAbortable);
        }
        producer.end(&cluster, true);
    }
    check_decided(&cluster, 0..3, 8);
    check_decided(&cluster, 3..PARTITIONS, 0);
}

#[test]
fn a_transaction_whose_end_is_promised_comes_to_it_when_its_coordinator_dies_at_once() {
    let mut cluster = start();
    // A coordinator that is not the controller, which this cluster has only one of.
    let names = (0..).map(|number| format!("t{number}"));
    let mut producer =
        names.map(|name| Producer::start(&cluster, &name, 0)).find(|producer| producer.coordinator != 0).unwrap();
    (0..PARTITIONS).for_each(|index| producer.write(&cluster, index, ADDED_BY_BROKER, ErrorCode::None));
    let coordinator = producer.coordinator;
    producer.end(&cluster, true);
    cluster.lose_power(i32::try_from(coordinator).unwrap() + 1);
    check_decided(&cluster, 0..PARTITIONS, 2);
    // The next coordinator knows the producer, and the id goes on.
    producer.coordinator = Producer::find(&cluster, &producer.transactional_id, 0);
    assert_ne!(producer.coordinator, coordinator);
    (0..PARTITIONS).for_each(|index| producer.write(&cluster, index, ADDED_BY_BROKER, ErrorCode::None));
    producer.end(&cluster, false);
    check_decided(&cluster, 0..PARTITIONS, 4);
}

#[test]
fn a_marker_waits_for_the_next_leader_of_a_partition_whose_leader_is_dead() {
    let mut cluster = start();
    let names = (0..).map(|number| format!("t{number}"));
    let mut producer =
        names.map(|name| Producer::start(&cluster, &name, 0)).find(|producer| producer.coordinator == 0).unwrap();
    (0..PARTITIONS).for_each(|index| producer.write(&cluster, index, ADDED_BY_BROKER, ErrorCode::None));
    cluster.lose_power(3);
    producer.end(&cluster, true);
    check_decided(&cluster, 0..PARTITIONS, 2);
}

#[test]
fn the_markers_of_transactions_that_end_together_go_to_a_leader_in_few_requests() {
    const COORDINATOR: usize = 0;
    const PRODUCERS: usize = 20;
    /// So many requests a coordinator has at a leader at a time.
    const AT_ONCE: usize = 5;
    let cluster = start();
    let names = (0..).map(|number| format!("t{number}"));
    let all = names.map(|name| Producer::start(&cluster, &name, 0));
    let producers: Vec<_> = all.filter(|producer| producer.coordinator == COORDINATOR).take(PRODUCERS).collect();
    for producer in &producers {
        (0..PARTITIONS).for_each(|index| producer.write(&cluster, index, ADDED_BY_BROKER, ErrorCode::None));
    }
    cluster.network.seen();
    let ends: Vec<_> =
        producers.iter().map(|producer| cluster.nodes[COORDINATOR].send(&producer.end_request(true))).collect();
    check_decided(&cluster, 0..PARTITIONS, 2 * i64::try_from(PRODUCERS).unwrap());
    assert!(ends.iter().all(|end| end.take().is_some_and(|answer| answer.error_code == 0)));
    let requests: Vec<_> =
        cluster.network.seen().iter().filter_map(|seen| seen.request::<WriteTxnMarkersRequest>()).collect();
    let mut marked: BTreeMap<i64, usize> = BTreeMap::new();
    for topic in requests.iter().flat_map(|request| &request.markers) {
        *marked.entry(topic.producer_id).or_default() += 1;
    }
    let told: Vec<_> = producers.iter().map(|producer| marked.get(&producer.id).copied()).collect();
    assert_eq!(told, [Some(2); PRODUCERS], "each of the two other leaders is told of each transaction once");
    assert!(requests.len() <= 2 * (AT_ONCE + 1), "{} requests", requests.len());
}
