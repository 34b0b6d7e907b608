use super::clients::{GROUP, commit_request, error_of};
use super::world::World;
use crate::offsets::{fetch_requests, fetch_response};
use crate::{DeletedTopic, Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, TxnOffsetCommitRequest};
use ottla_types::{ProducerId, TopicId};

fn fetch(world: &mut World, topic: &str, topic_id: TopicId, stable: bool) -> (i64, ErrorCode) {
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.to_owned(),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: topic.to_owned(),
            topic_id,
            partition_indexes: vec![0],
            ..Default::default()
        }]),
        ..Default::default()
    };
    let Response::OffsetFetch(group) = world.ask(9, Request::OffsetFetch { group, require_stable: stable }) else {
        panic!()
    };
    let partition = &group.topics[0].partitions[0];
    (partition.committed_offset, ErrorCode::from_code(partition.error_code).unwrap())
}

fn transactional(world: &mut World, producer: i64, offset: i64) -> ErrorCode {
    let request = TxnOffsetCommitRequest {
        group_id: GROUP.to_owned(),
        producer_id: producer,
        producer_epoch: 0,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    error_of(&world.ask(5, Request::TxnOffsetCommit(request)))
}

#[test]
fn a_committed_offset_is_read_back_with_its_note() {
    let mut world = World::new();
    assert_eq!(world.commit_offset("", -1, 0, 42), ErrorCode::None);
    let group = world.fetch_all(false);
    assert_eq!(group.topics.len(), 1);
    let partition = &group.topics[0].partitions[0];
    assert_eq!((partition.committed_offset, partition.committed_leader_epoch), (42, -1));
    assert_eq!(partition.metadata.as_deref(), Some("note"));
    // A client that commits by itself has made a group without a protocol.
    assert_eq!(world.list(&[], &[]), ["group classic Empty"]);
    assert_eq!(world.describe(GROUP).protocol_type, "");
}

#[test]
fn what_was_never_committed_reads_as_minus_one() {
    let mut world = World::new();
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true), (-1, ErrorCode::None));
    assert!(world.fetch_all(true).topics.is_empty());
}

#[test]
fn only_members_of_the_generation_may_commit_to_a_living_group() {
    let mut world = World::new();
    let members = world.stable_group(1);
    let member = members[0].as_str();
    let cases = [
        (member, 1, ErrorCode::None),
        (member, 0, ErrorCode::IllegalGeneration),
        (member, -1, ErrorCode::IllegalGeneration),
        ("nobody", 1, ErrorCode::UnknownMemberId),
        ("", -1, ErrorCode::UnknownMemberId),
    ];
    for (member_id, generation, expected) in cases {
        assert_eq!(world.commit_offset(member_id, generation, 0, 1), expected, "{member_id} {generation}");
    }
}

#[test]
fn a_commit_for_a_generation_of_a_group_that_does_not_exist_is_refused_by_version() {
    for (version, expected) in [(8, ErrorCode::IllegalGeneration), (9, ErrorCode::GroupIdNotFound)] {
        let mut world = World::new();
        let response = world.ask(version, Request::OffsetCommit(commit_request("m", 3, 0, 1)));
        assert_eq!(error_of(&response), expected);
    }
}

#[test]
fn a_commit_without_partitions_succeeds_and_writes_nothing() {
    let mut world = World::new();
    let request = OffsetCommitRequest { topics: Vec::new(), ..commit_request("", -1, 0, 0) };
    let Response::OffsetCommit(response) = world.ask(9, Request::OffsetCommit(request)) else { panic!() };
    assert!(response.topics.is_empty() && world.log.is_empty());
}

#[test]
fn a_note_is_measured_in_utf_16_units() {
    let mut world = World::new();
    let mut commit = |note: String| {
        let mut request = commit_request("", -1, 0, 1);
        request.topics[0].partitions[0].committed_metadata = Some(note);
        error_of(&world.ask(9, Request::OffsetCommit(request)))
    };
    assert_eq!(commit("ü".repeat(4_096)), ErrorCode::None);
    assert_eq!(commit("ü".repeat(4_097)), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(commit("😀".repeat(2_049)), ErrorCode::OffsetMetadataTooLarge);
}

#[test]
fn offsets_of_an_older_topic_of_the_same_name_are_not_read() {
    let mut world = World::new();
    let (old, new) = (TopicId::from_u128(1_000), TopicId::from_u128(2_000));
    let mut request = commit_request("", -1, 0, 7);
    request.topics[0].topic_id = old;
    world.ask(10, Request::OffsetCommit(request));
    assert_eq!(fetch(&mut world, "t", old, false).0, 7);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, false).0, 7);
    assert_eq!(fetch(&mut world, "t", new, false).0, -1);
    // The deletion of the newer topic leaves it alone; that of its own ends it.
    let deleted = |id| Request::TopicsDeleted(vec![DeletedTopic { name: "t".to_owned(), id }]);
    world.ask(0, deleted(new));
    assert_eq!(world.fetch_offset(0), 7);
    world.ask(0, deleted(old));
    assert_eq!(world.fetch_offset(0), -1);
}

#[test]
fn a_transactional_commit_is_pending_until_its_marker() {
    let mut world = World::new();
    world.commit_offset("", -1, 0, 10);
    assert_eq!(transactional(&mut world, 5, 20), ErrorCode::None);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, false), (10, ErrorCode::None));
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true), (-1, ErrorCode::UnstableOffsetCommit));
    let group = world.fetch_all(true);
    assert_eq!(group.topics[0].partitions[0].error_code, ErrorCode::UnstableOffsetCommit.code());
    world.machine.replay_transaction_end(ProducerId(5), true);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true), (20, ErrorCode::None));
}

#[test]
fn an_aborted_transaction_leaves_the_offset_as_it_was() {
    let mut world = World::new();
    world.commit_offset("", -1, 0, 10);
    transactional(&mut world, 5, 20);
    world.machine.replay_transaction_end(ProducerId(5), false);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true), (10, ErrorCode::None));
    // Once more for a producer that is not known.
    world.machine.replay_transaction_end(ProducerId(5), true);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true), (10, ErrorCode::None));
}

#[test]
fn a_plain_commit_behind_a_pending_one_wins() {
    let mut world = World::new();
    transactional(&mut world, 5, 20);
    transactional(&mut world, 6, 21);
    world.commit_offset("", -1, 0, 30);
    world.machine.replay_transaction_end(ProducerId(5), true);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true).1, ErrorCode::UnstableOffsetCommit);
    world.machine.replay_transaction_end(ProducerId(6), true);
    assert_eq!(fetch(&mut world, "t", TopicId::ZERO, true), (30, ErrorCode::None));
}

#[test]
fn offsets_are_deleted_unless_the_group_reads_the_topic() {
    let mut world = World::new();
    let members = world.stable_group(1);
    let delete = |world: &mut World, group: &str, topic: &str| {
        let request = OffsetDeleteRequest {
            group_id: group.to_owned(),
            topics: vec![OffsetDeleteRequestTopic {
                name: topic.to_owned(),
                partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
            }],
        };
        error_of(&world.ask(0, Request::OffsetDelete(request)))
    };
    let mut request = commit_request(&members[0], 1, 0, 3);
    request.topics[0].name = "u".to_owned();
    world.ask(9, Request::OffsetCommit(request));
    world.commit_offset(&members[0], 1, 0, 3);
    assert_eq!(delete(&mut world, GROUP, "t"), ErrorCode::GroupSubscribedToTopic);
    assert_eq!(delete(&mut world, GROUP, "u"), ErrorCode::None);
    assert_eq!(delete(&mut world, "none", "u"), ErrorCode::GroupIdNotFound);
    assert_eq!(delete(&mut world, "", "u"), ErrorCode::InvalidGroupId);
    assert_eq!(world.machine.committed_offset(GROUP, "u", 0), None);
    world.leave(&[(&members[0], None)]);
    assert_eq!(delete(&mut world, GROUP, "t"), ErrorCode::None);
    assert_eq!(world.fetch_offset(0), -1);
}

#[test]
fn a_group_is_deleted_with_its_offsets_only_when_it_is_empty() {
    let mut world = World::new();
    let members = world.stable_group(1);
    world.commit_offset(&members[0], 1, 0, 3);
    transactional(&mut world, 5, 4);
    assert_eq!(world.delete_group(GROUP), ErrorCode::NonEmptyGroup);
    world.leave(&[(&members[0], None)]);
    assert_eq!(world.delete_group(GROUP), ErrorCode::None);
    assert_eq!(world.delete_group(GROUP), ErrorCode::GroupIdNotFound);
    assert_eq!(world.list(&[], &[]), Vec::<String>::new());
    assert_eq!(world.fetch_offset(0), -1);
    // The pending offset is gone as well.
    world.machine.replay_transaction_end(ProducerId(5), true);
    assert_eq!(world.fetch_offset(0), -1);
    assert_eq!(world.replayed(), world.machine);
}

#[test]
fn a_fetch_of_the_oldest_version_carries_a_groups_error_in_each_partition() {
    let request = OffsetFetchRequest {
        group_id: GROUP.to_owned(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t".to_owned(),
            partition_indexes: vec![0, 1],
            ..Default::default()
        }]),
        ..Default::default()
    };
    for version in [1, 2, 7] {
        let asked = fetch_requests(version, request.clone());
        assert_eq!((asked.len(), asked[0].group_id.as_str()), (1, GROUP));
        let error = OffsetFetchResponseGroup {
            error_code: ErrorCode::NotCoordinator.code(),
            group_id: GROUP.to_owned(),
            ..Default::default()
        };
        let response = fetch_response(version, &asked, vec![error]);
        let codes: Vec<i16> =
            response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect();
        let expected = if version == 1 { (vec![16, 16], 0) } else { (vec![], 16) };
        assert_eq!((codes, response.error_code), expected, "{version}");
    }
}
