//! Groups of the consumer protocol, step by step.

use super::clients::{GROUP, join_request};
use super::world::World;
use crate::consumer::{ConsumerGroup, ConsumerGroupState, Partitions};
use crate::view::{ClusterView, ConsumerGroupSettings, TopicFacts};
use crate::{GroupSettings, MigrationPolicy, Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest,
};
use ottla_types::TopicId;
use std::sync::Arc;

pub(super) const SESSION_MS: i64 = 45_000;
pub(super) const REBALANCE_MS: i32 = 60_000;

/// Topics with their numbers of partitions.
#[derive(Debug)]
pub(super) struct Topics(pub(super) i64, pub(super) Vec<(&'static str, i32)>);

pub(super) fn id_of(name: &str) -> TopicId {
    TopicId::from_u128(name.bytes().fold(1, |id, byte| id << 8 | u128::from(byte)))
}

impl Topics {
    fn facts(&self, is_it: impl Fn(&str) -> bool) -> Option<TopicFacts> {
        let (name, partitions) = self.1.iter().find(|(name, _)| is_it(name))?;
        Some(TopicFacts { name: (*name).into(), id: id_of(name), partitions: *partitions })
    }
}

impl ClusterView for Topics {
    fn version(&self) -> i64 {
        self.0
    }

    fn topic_by_name(&self, name: &str) -> Option<TopicFacts> {
        self.facts(|other| other == name)
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicFacts> {
        self.facts(|other| id_of(other) == id)
    }

    fn topic_names(&self) -> Vec<Arc<str>> {
        self.1.iter().map(|(name, _)| Arc::from(*name)).collect()
    }

    fn racks(&self, _: TopicId, _: i32) -> Vec<String> {
        Vec::new()
    }

    fn group_settings(&self, _: &str) -> ConsumerGroupSettings {
        ConsumerGroupSettings {
            session_timeout_ms: SESSION_MS as i32,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 0,
        }
    }
}

pub(super) fn world(topics: &[(&'static str, i32)]) -> World {
    let mut world = World::with(GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() });
    world.view = Arc::new(Topics(1, topics.to_vec()));
    world
}

/// The heartbeat of a member that joins.
pub(super) fn join(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        rebalance_timeout_ms: REBALANCE_MS,
        subscribed_topic_names: Some(topics.iter().map(|name| (*name).to_owned()).collect()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// The heartbeat of a member that says what it has, or nothing.
pub(super) fn beat(member_id: &str, epoch: i32, has: Option<&Partitions>) -> ConsumerGroupHeartbeatRequest {
    let topics = |has: &Partitions| {
        let topic = |(topic_id, partitions): (&TopicId, &std::collections::BTreeSet<i32>)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        };
        has.iter().map(topic).collect()
    };
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        topic_partitions: has.map(topics),
        ..Default::default()
    }
}

pub(super) fn partitions_of(response: &ConsumerGroupHeartbeatResponse) -> Option<Partitions> {
    let assignment = response.assignment.as_ref()?;
    Some(
        assignment
            .topic_partitions
            .iter()
            .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()))
            .collect(),
    )
}

impl crate::GroupCoordinator {
    /// The groups, as if they had looked at the cluster as another's have.
    pub(super) fn consumer_with_seen(mut self, other: &Self) -> std::collections::BTreeMap<Arc<str>, ConsumerGroup> {
        for (group_id, group) in &mut self.consumer {
            let Some(seen) = other.consumer.get(group_id) else { continue };
            (group.seen_version, group.regexes_seen) = (seen.seen_version, seen.regexes_seen);
        }
        self.consumer
    }
}

impl World {
    pub(super) fn consumer_heartbeat(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let Response::ConsumerGroupHeartbeat(response) = self.ask(1, Request::ConsumerGroupHeartbeat(request)) else {
            panic!()
        };
        response
    }

    fn error_of_heartbeat(&mut self, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
        ErrorCode::from_code(self.consumer_heartbeat(request).error_code).unwrap()
    }

    fn consumer_state(&self) -> ConsumerGroupState {
        self.machine.consumer_group(GROUP).unwrap().state()
    }

    fn commit_as(&mut self, member_id: &str, epoch: i32, version: i16) -> ErrorCode {
        use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
        let partition = OffsetCommitRequestPartition { partition_index: 0, committed_offset: 5, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: "t".to_owned(),
            topic_id: id_of("t"),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: GROUP.to_owned(),
            member_id: member_id.to_owned(),
            generation_id_or_member_epoch: epoch,
            topics: vec![topic],
            ..Default::default()
        };
        super::clients::error_of(&self.ask(version, Request::OffsetCommit(request)))
    }
}

#[test]
fn partitions_go_from_one_member_to_the_next_only_when_they_are_given_up() {
    let mut world = world(&[("t", 4)]);
    let first = world.consumer_heartbeat(join("a", &["t"]));
    assert_eq!((first.error_code, first.member_epoch, first.heartbeat_interval_ms), (0, 2, 5_000));
    let all = partitions_of(&first).unwrap();
    assert_eq!(all, Partitions::from([(id_of("t"), [0, 1, 2, 3].into())]));
    let second = world.consumer_heartbeat(join("b", &["t"]));
    // All that it is to have is still with the other.
    assert_eq!((second.member_epoch, partitions_of(&second).unwrap().len()), (3, 0));
    assert_eq!(world.consumer_state(), ConsumerGroupState::Reconciling);
    let told = world.consumer_heartbeat(beat("a", 2, None));
    let keeps = partitions_of(&told).unwrap();
    assert_eq!((told.member_epoch, keeps[&id_of("t")].len()), (2, 2));
    // It has not said that it gave them up.
    assert_eq!(partitions_of(&world.consumer_heartbeat(beat("b", 3, None))), None);
    let done = world.consumer_heartbeat(beat("a", 2, Some(&keeps)));
    assert_eq!(done.member_epoch, 3);
    let got = partitions_of(&world.consumer_heartbeat(beat("b", 3, None))).unwrap();
    assert_eq!(got[&id_of("t")].union(&keeps[&id_of("t")]).count(), 4);
    assert_eq!(world.consumer_state(), ConsumerGroupState::Stable);
    assert_eq!(world.machine.consumer, world.replayed().consumer_with_seen(&world.machine));
}

#[test]
fn a_member_that_does_not_give_up_in_time_or_is_silent_is_out() {
    let mut world = world(&[("t", 4)]);
    world.consumer_heartbeat(join("a", &["t"]));
    world.consumer_heartbeat(join("b", &["t"]));
    world.consumer_heartbeat(beat("a", 2, None));
    for _ in 0..i64::from(REBALANCE_MS) / 20_000 - 1 {
        world.advance(20_000);
        world.consumer_heartbeat(beat("a", 2, None));
        world.consumer_heartbeat(beat("b", 3, None));
    }
    world.advance(20_000);
    assert_eq!(world.error_of_heartbeat(beat("a", 2, None)), ErrorCode::UnknownMemberId);
    let all = partitions_of(&world.consumer_heartbeat(beat("b", 3, None))).unwrap();
    assert_eq!(all[&id_of("t")].len(), 4);
    world.advance(SESSION_MS);
    assert_eq!(world.error_of_heartbeat(beat("b", 4, None)), ErrorCode::UnknownMemberId);
    assert_eq!(world.consumer_state(), ConsumerGroupState::Empty);
    // A coordinator that has just been loaded waits as long for members that it knows.
    world.consumer_heartbeat(join("c", &["t"]));
    world.restart();
    world.advance(SESSION_MS - 1);
    assert_eq!(world.machine.consumer_group(GROUP).unwrap().members().len(), 1);
    world.advance(1);
    assert!(world.machine.consumer_group(GROUP).unwrap().is_empty());
}

#[test]
fn epochs_tell_who_is_behind() {
    let mut world = world(&[("t", 2)]);
    let all = partitions_of(&world.consumer_heartbeat(join("a", &["t"]))).unwrap();
    world.consumer_heartbeat(join("b", &["t"]));
    world.consumer_heartbeat(beat("a", 2, None));
    let keeps: Partitions = [(id_of("t"), [*all[&id_of("t")].first().unwrap()].into())].into();
    assert_eq!(world.consumer_heartbeat(beat("a", 2, Some(&keeps))).member_epoch, 3);
    // The answer was lost: the epoch before is taken from one who has no more than it should.
    assert_eq!(world.error_of_heartbeat(beat("a", 2, Some(&keeps))), ErrorCode::None);
    assert_eq!(world.error_of_heartbeat(beat("a", 2, Some(&all))), ErrorCode::FencedMemberEpoch);
    assert_eq!(world.error_of_heartbeat(beat("a", 2, None)), ErrorCode::FencedMemberEpoch);
    assert_eq!(world.error_of_heartbeat(beat("a", 4, None)), ErrorCode::FencedMemberEpoch);
    assert_eq!(world.error_of_heartbeat(beat("x", 2, None)), ErrorCode::UnknownMemberId);
    assert_eq!(world.error_of_heartbeat(join("a", &["t"])), ErrorCode::None);
}

#[test]
fn offsets_are_committed_by_members_in_their_epoch() {
    let mut world = world(&[("t", 1), ("u", 1)]);
    assert_eq!(world.commit_as("a", 2, 9), ErrorCode::GroupIdNotFound);
    world.consumer_heartbeat(join("a", &["t"]));
    assert_eq!(world.commit_as("a", 2, 9), ErrorCode::None);
    assert_eq!(world.commit_as("a", 3, 9), ErrorCode::StaleMemberEpoch);
    assert_eq!(world.commit_as("x", 2, 9), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit_as("", -1, 9), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit_as("a", 2, 8), ErrorCode::UnsupportedVersion);
    // It has had the partition since epoch 1: what it read then it may commit in epoch 2.
    let more = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["t".to_owned(), "u".to_owned()]),
        ..beat("a", 2, None)
    };
    assert_eq!(world.consumer_heartbeat(more).member_epoch, 3);
    assert_eq!(world.commit_as("a", 2, 9), ErrorCode::None);
    assert_eq!(world.commit_as("a", 1, 9), ErrorCode::StaleMemberEpoch);
    world.consumer_heartbeat(beat("a", -1, None));
    assert_eq!(world.commit_as("", -1, 9), ErrorCode::None);
    assert_eq!(world.fetch_offset(0), 5);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut world = world(&[("t", 4)]);
    let as_static = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".to_owned()),
        ..request
    };
    world.consumer_heartbeat(as_static(join("a", &["t"])));
    assert_eq!(world.error_of_heartbeat(as_static(join("b", &["t"]))), ErrorCode::UnreleasedInstanceId);
    assert_eq!(world.error_of_heartbeat(as_static(beat("b", 2, None))), ErrorCode::FencedInstanceId);
    assert_eq!(world.consumer_heartbeat(as_static(beat("a", -2, None))).member_epoch, -2);
    let back = world.consumer_heartbeat(as_static(join("b", &["t"])));
    assert_eq!((back.error_code, back.member_epoch), (0, 2), "no new assignment is needed");
    assert_eq!(partitions_of(&back).unwrap()[&id_of("t")].len(), 4);
    let group = world.machine.consumer_group(GROUP).unwrap();
    assert_eq!((group.epoch, group.members().len()), (2, 1));
    assert_eq!(world.error_of_heartbeat(as_static(beat("b", -1, None))), ErrorCode::None);
    assert!(world.machine.consumer_group(GROUP).unwrap().is_empty());
}

#[test]
fn new_topics_and_partitions_are_found_by_name_and_by_expression() {
    let mut world = world(&[("ta", 1)]);
    let by_regex = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("t[ab]".to_owned()),
        ..join("a", &[])
    };
    let first = partitions_of(&world.consumer_heartbeat(by_regex.clone())).unwrap();
    assert_eq!(first, Partitions::from([(id_of("ta"), [0].into())]));
    world.view = Arc::new(Topics(2, vec![("ta", 2), ("tb", 1), ("tab", 1)]));
    let grown = partitions_of(&world.consumer_heartbeat(beat("a", 2, None))).unwrap();
    assert_eq!(grown, Partitions::from([(id_of("ta"), [0, 1].into())]), "topics are looked through now and then only");
    world.view = Arc::new(Topics(3, vec![("ta", 2), ("tb", 1), ("tab", 1)]));
    world.advance(10_001);
    let both = partitions_of(&world.consumer_heartbeat(beat("a", 3, None))).unwrap();
    assert_eq!(both.len(), 2);
    let wrong = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("(".to_owned()), ..by_regex };
    assert_eq!(world.error_of_heartbeat(wrong), ErrorCode::InvalidRegularExpression);
}

#[test]
fn requests_that_make_no_sense_are_refused_with_a_sentence() {
    let mut world = world(&[("t", 1)]);
    let good = join("a", &["t"]);
    type Break = fn(&mut ConsumerGroupHeartbeatRequest);
    let broken: [(Break, &str); 8] = [
        (|request| request.group_id.clear(), "GroupId can't be empty."),
        (|request| request.member_id.clear(), "MemberId can't be empty."),
        (|request| request.instance_id = Some(String::new()), "InstanceId can't be empty."),
        (|request| request.rebalance_timeout_ms = -1, "RebalanceTimeoutMs must be provided in first request."),
        (|request| request.topic_partitions = None, "TopicPartitions must be empty when (re-)joining."),
        (
            |request| request.subscribed_topic_names = None,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (|request| request.member_epoch = -3, "MemberEpoch is invalid."),
        (|request| request.member_epoch = -2, "InstanceId can't be null."),
    ];
    for (spoil, message) in broken {
        let mut request = good.clone();
        spoil(&mut request);
        let response = world.consumer_heartbeat(request);
        assert_eq!((response.error_code, response.error_message.as_deref()), (42, Some(message)));
    }
    let odd = ConsumerGroupHeartbeatRequest { server_assignor: Some("odd".to_owned()), ..good };
    assert_eq!(world.error_of_heartbeat(odd), ErrorCode::UnsupportedAssignor);
    assert_eq!(world.error_of_heartbeat(beat("a", 2, None)), ErrorCode::GroupIdNotFound);
}

#[test]
fn without_migration_members_do_not_mix_and_empty_groups_change_their_kind() {
    let mut world = world(&[("t", 1)]);
    world.machine.settings.migration_policy = MigrationPolicy::Disabled;
    world.consumer_heartbeat(join("a", &["t"]));
    let token = world.join(join_request(""));
    assert_eq!(world.error(token), Some(ErrorCode::InconsistentGroupProtocol));
    assert_eq!(world.delete_group(GROUP), ErrorCode::NonEmptyGroup);
    assert_eq!(world.describe(GROUP).error_message.as_deref(), Some("Group group is not a classic group."));
    world.consumer_heartbeat(beat("a", -1, None));
    let token = world.send(3, Request::JoinGroup(join_request("")));
    assert_eq!(world.error(token), Some(ErrorCode::None));
    assert_eq!(world.list(&[], &[]), ["group classic CompletingRebalance"]);
    assert!(world.replayed().consumer_group(GROUP).is_none());
    assert_eq!(world.error_of_heartbeat(join("a", &["t"])), ErrorCode::GroupIdNotFound);
    world.advance(SESSION_MS);
    assert_eq!(world.error_of_heartbeat(join("a", &["t"])), ErrorCode::None);
    assert_eq!(world.list(&[], &[]), ["group consumer Stable"]);
    assert!(world.replayed().classic_group(GROUP).is_none());
}

#[test]
fn a_group_is_described_with_what_its_members_have_and_are_to_have() {
    let mut world = world(&[("t", 2)]);
    world.consumer_heartbeat(join("a", &["t"]));
    world.consumer_heartbeat(join("b", &["t"]));
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![GROUP.to_owned(), "no".to_owned()], ..Default::default() };
    let Response::ConsumerGroupDescribe(described) = world.ask(1, Request::ConsumerGroupDescribe(request)) else {
        panic!()
    };
    let group = &described.groups[0];
    assert_eq!((group.group_state.as_str(), group.group_epoch, group.assignment_epoch), ("Reconciling", 3, 3));
    assert_eq!(group.assignor_name, "uniform");
    let a = &group.members[0];
    assert_eq!((a.member_id.as_str(), a.member_epoch, a.member_type), ("a", 2, 1));
    assert_eq!(a.assignment.topic_partitions[0].partitions, [0, 1]);
    assert_eq!(a.target_assignment.topic_partitions[0].topic_name, "t");
    assert_eq!(described.groups[1].error_message.as_deref(), Some("Group no not found."));
}

#[test]
fn the_metadata_hash_is_that_of_apache_kafka() {
    #[derive(Debug)]
    struct One;
    impl ClusterView for One {
        fn version(&self) -> i64 {
            1
        }
        fn topic_by_name(&self, name: &str) -> Option<TopicFacts> {
            (name == "größe").then(|| TopicFacts {
                name: "größe".into(),
                id: TopicId::from_u128(0x915d_b6a6_dfd5_4696_b48f_3dcc_d33c_c2be),
                partitions: 2,
            })
        }
        fn topic_by_id(&self, _: TopicId) -> Option<TopicFacts> {
            None
        }
        fn topic_names(&self) -> Vec<Arc<str>> {
            Vec::new()
        }
        fn racks(&self, _: TopicId, _: i32) -> Vec<String> {
            vec!["räck".to_owned()]
        }
        fn group_settings(&self, _: &str) -> ConsumerGroupSettings {
            unreachable!()
        }
    }
    let names: [Arc<str>; 2] = ["größe".into(), "no such topic".into()];
    assert_eq!(crate::consumer::metadata_hash_of(&names, &One), 8_979_141_539_644_264_009);
    assert_eq!(crate::consumer::metadata_hash_of(&names[1..], &One), 0);
}

#[test]
fn members_want_the_same_only_if_they_name_the_same_topics_whether_these_are_there_or_not() {
    let subscriptions = |members: &[(&str, &[&str], Option<&str>)]| {
        let mut world = world(&[("t", 2), ("u", 1)]);
        for (member_id, topics, regex) in members {
            let mut request = join(member_id, topics);
            request.subscribed_topic_regex = regex.map(str::to_owned);
            world.consumer_heartbeat(request);
        }
        world.machine.consumer_group(GROUP).unwrap().subscriptions()
    };
    use crate::consumer::assignor::Subscriptions::{Alike, Different};
    assert_eq!(subscriptions(&[("a", &["t"], None), ("b", &["t"], None)]), Alike);
    assert_eq!(subscriptions(&[("a", &["t"], None), ("b", &["t", "missing"], None)]), Different);
    assert_eq!(subscriptions(&[("a", &["missing"], None), ("b", &["missing"], None)]), Alike);
    assert_eq!(subscriptions(&[("a", &[], Some("t")), ("b", &[], Some("t"))]), Alike);
    assert_eq!(subscriptions(&[("a", &[], Some("t")), ("b", &["t"], None)]), Different);
    assert_eq!(subscriptions(&[("a", &["u"], Some("t")), ("b", &["u"], Some("t"))]), Different);
    assert_eq!(subscriptions(&[("a", &[], Some("t")), ("b", &[], Some("t|t"))]), Different);
}
