use super::*;
use crate::insight::explain::{Explanation, held_back, of_group};
use ottla_client::{
    BrokerDescription, ClientError, ErrorCode, GroupDescription, GroupKind, GroupListing, LogDirectoryDescription,
    LogDirectoryReplica, MemberDescription, ProducerState, TopicDescription, TopicPartitionDescription,
    TransactionDescription, TransactionState,
};
use ottla_types::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId, TopicPartition,
};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp(1_000_000);

fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("t", PartitionIndex::new(index))
}

fn told(facts: &Facts) -> Vec<String> {
    of(facts, NOW).into_iter().map(|finding| finding.what).collect()
}

fn open(known: Option<(String, TransactionDescription)>) -> OpenTransaction {
    let producer = ProducerState {
        producer_id: ProducerId(7),
        producer_epoch: 0,
        last_sequence: Sequence(0),
        last_timestamp: Timestamp(NOW.value() - 90_000),
        coordinator_epoch: None,
        transaction_start_offset: Some(Offset(5)),
    };
    OpenTransaction { partition: partition(0), producer, known }
}

fn ongoing(started: i64) -> Option<(String, TransactionDescription)> {
    let description = TransactionDescription {
        coordinator: NodeId::new(0),
        state: TransactionState::Ongoing,
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        timeout_ms: 60_000,
        started: Some(Timestamp(started)),
        partitions: vec![partition(0)],
    };
    Some(("tx".to_owned(), description))
}

fn group(state: &str, members: Vec<MemberDescription>, lag: i64) -> GroupFacts {
    let description = GroupDescription {
        group_id: "g".to_owned(),
        kind: GroupKind::Consumer,
        state: state.to_owned(),
        assignor: String::new(),
        coordinator: NodeId::new(0),
        members,
        group_epoch: None,
        assignment_epoch: None,
    };
    let listing =
        GroupListing { group_id: "g".to_owned(), protocol_type: String::new(), state: None, kind: GroupKind::Consumer };
    GroupFacts { listing, description: Some(description), lags: BTreeMap::from([(partition(0), lag)]) }
}

#[test]
fn nothing_is_said_of_a_cluster_that_is_well() {
    assert_eq!(told(&Facts::default()), Vec::<String>::new());
    let facts =
        Facts { groups: vec![group("Stable", Vec::new(), 5)], open: vec![open(ongoing(990_000))], ..Facts::default() };
    assert_eq!(told(&facts), Vec::<String>::new());
}

#[test]
fn fenced_brokers_and_partitions_without_leader_or_replicas_are_named() {
    let broker =
        |id, is_fenced| BrokerDescription { id: NodeId::new(id), host: "h".to_owned(), port: 1, rack: None, is_fenced };
    let partition = |index, leader: Option<i32>, in_sync: &[i32]| TopicPartitionDescription {
        index,
        leader: leader.map(NodeId::new),
        leader_epoch: LeaderEpoch(0),
        replicas: vec![NodeId::new(0), NodeId::new(1)],
        in_sync_replicas: in_sync.iter().copied().map(NodeId::new).collect(),
        eligible_leader_replicas: None,
        last_known_eligible: None,
    };
    let topic = TopicDescription {
        name: "t".to_owned(),
        id: TopicId::ZERO,
        is_internal: false,
        partitions: vec![partition(0, None, &[]), partition(1, Some(0), &[0]), partition(2, Some(0), &[0, 1])],
    };
    let facts = Facts { brokers: vec![broker(0, false), broker(1, true)], topics: vec![topic], ..Facts::default() };
    assert_eq!(
        told(&facts),
        [
            "Broker 1 is fenced: it is registered and does not serve.",
            "1 partition without a leader, so that nobody can read or write: t-0.",
            "1 partition with fewer replicas in sync than there are: t-1.",
        ]
    );
}

#[test]
fn an_offline_directory_and_a_nearly_full_disk_are_named() {
    let replica = LogDirectoryReplica { partition: partition(3), size: 2048, offset_lag: 0, is_future: false };
    let directory = |error, usable| LogDirectoryDescription {
        error,
        replicas: vec![replica.clone()],
        total_bytes: Some(100 << 30),
        usable_bytes: Some(usable),
    };
    let offline = Some(ClientError::Api { code: ErrorCode::KafkaStorageError, message: None });
    let directories = vec![
        (0, "/good".to_owned(), directory(None, 50 << 30)),
        (0, "/full".to_owned(), directory(None, 5 << 30)),
        (0, "/gone".to_owned(), directory(offline, 0)),
    ];
    let told = told(&Facts { directories, ..Facts::default() });
    assert_eq!(told.len(), 2, "{told:?}");
    let full = "The disk of /full (broker 0) is nearly full: 5.0 GiB of 100.0 GiB are free. The largest log there is t-3 with 2.0 KiB.";
    assert_eq!(told[0], full);
    assert!(told[1].starts_with("The log directory /gone of broker 0 is offline: "), "{}", told[1]);
}

#[test]
fn a_hanging_transaction_is_named_with_the_command_that_ends_it() {
    let findings = of(&Facts { open: vec![open(None)], ..Facts::default() }, NOW);
    assert_eq!(
        findings[0].what,
        "A transaction of producer 7 hangs on t-0: no coordinator knows it, it wrote last 1 min 30 s ago, and readers of \
         committed records see nothing of t-0 from offset 5 on."
    );
    assert!(findings[0].advice.ends_with("kafka-transactions abort --topic t --partition 0 --start-offset 5"));
    let late = told(&Facts { open: vec![open(ongoing(900_000))], ..Facts::default() });
    assert!(
        late[0].starts_with("The transaction of tx has been open for 1 min 40 s, longer than its timeout of 1 min 0 s")
    );
}

#[test]
fn what_holds_the_last_stable_offset_back_is_told() {
    let mut explanation = Explanation { is_well: true, ..Explanation::default() };
    held_back(&[open(ongoing(990_000))], &BTreeMap::from([(partition(0), 8)]), NOW, &mut explanation);
    let expected = [
        "t-0: the last stable offset is held back at 5, 3 records before the end.",
        "The transaction of tx has been open for 10 s; it may take 1 min 0 s.",
    ];
    assert_eq!((explanation.sentences, explanation.is_well), (expected.map(str::to_owned).to_vec(), true));
}

#[test]
fn the_member_that_holds_up_a_group_is_named() {
    let member = |id: &str, has: &[i32], is_to_have: &[i32]| MemberDescription {
        member_id: id.to_owned(),
        client_id: "c".to_owned(),
        host: "/h".to_owned(),
        assignment: has.iter().copied().map(partition).collect(),
        target_assignment: Some(is_to_have.iter().copied().map(partition).collect()),
        ..MemberDescription::default()
    };
    let explanation = of_group(&group("Reconciling", vec![member("slow", &[0, 1], &[0]), member("new", &[], &[1])], 0));
    assert!(!explanation.is_well);
    let told = explanation.sentences.join("\n");
    assert!(told.contains("The member slow (client c at h) has not given up t-1 yet"), "{told}");
    assert!(told.contains("The member new (client c at h) waits for t-1."), "{told}");
    assert!(told.ends_with("It has read everything."), "{told}");
}

#[test]
fn a_group_without_members_that_lags_is_wrong_and_one_that_has_read_all_is_not() {
    let lagging = of_group(&group("Empty", Vec::new(), 3));
    assert!(
        !lagging.is_well
            && lagging.sentences.iter().any(|one| one == "It has 3 records to read, most of all t-0 with 3.")
    );
    assert!(of_group(&group("Empty", Vec::new(), 0)).is_well);
    assert_eq!(told(&Facts { groups: vec![group("Empty", Vec::new(), 3)], ..Facts::default() }).len(), 1);
    assert!(!of_group(&group("PreparingRebalance", Vec::new(), 0)).is_well);
}
