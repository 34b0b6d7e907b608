//! Groups whose members change their protocol one by one.

use super::clients::{GROUP, join_request, protocol};
use super::consumer::{beat, id_of, join, partitions_of, world};
use super::world::World;
use crate::consumer::{ConsumerGroupState, Partitions};
use crate::migration::{assignment_of, subscription_of};
use crate::{MigrationPolicy, Request, Token};
use bytes::Bytes;
use ottla_protocol::consumer_protocol::consumer_protocol_subscription::TopicPartition;
use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment,
};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest};
use ottla_protocol::{ErrorCode, Message};

const SESSION_MS: i64 = 10_000;

fn versioned(message: &impl Message) -> Bytes {
    crate::record::prefixed(3, message, 3).unwrap()
}

/// A member that wants `t`, and has these partitions of it.
fn classic(member_id: &str, owned: &[i32]) -> JoinGroupRequest {
    let owned_partitions = match owned {
        [] => Vec::new(),
        _ => vec![TopicPartition { topic: "t".to_owned(), partitions: owned.to_vec() }],
    };
    let subscription =
        ConsumerProtocolSubscription { topics: vec!["t".to_owned()], owned_partitions, ..Default::default() };
    JoinGroupRequest { protocols: vec![protocol("range", versioned(&subscription))], ..join_request(member_id) }
}

fn assignment(partitions: &[i32], user_data: Option<&'static [u8]>) -> Bytes {
    let topic = consumer_protocol_assignment::TopicPartition { topic: "t".to_owned(), partitions: partitions.to_vec() };
    versioned(&ConsumerProtocolAssignment {
        assigned_partitions: vec![topic],
        user_data: user_data.map(Bytes::from_static),
    })
}

impl World {
    fn rejoin(&mut self, member_id: &str, owned: &[i32]) -> JoinGroupResponse {
        let token = self.join(classic(member_id, owned));
        self.joined(token)
    }

    /// The partitions that a member gets by its SyncGroup.
    fn sync_partitions(&mut self, member_id: &str, generation: i32) -> Vec<i32> {
        let token = self.sync(member_id, generation, &[]);
        let answer = self.synced(token);
        assert_eq!(ErrorCode::from_code(answer.error_code), Some(ErrorCode::None));
        assignment_of(&answer.assignment).unwrap().assigned_partitions.into_iter().flat_map(|t| t.partitions).collect()
    }

    /// A stable classic group with one member that has both partitions; `user_data` is the leader's own.
    fn one_classic_member(&mut self, user_data: Option<&'static [u8]>) -> (String, Token) {
        let member_id = self.new_member_id();
        let token = self.join(classic(&member_id, &[]));
        let generation = self.joined(token).generation_id;
        let assignment = SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: assignment(&[0, 1], user_data),
            ..Default::default()
        };
        let request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member_id.clone(),
            assignments: vec![assignment],
            ..Default::default()
        };
        let token = self.send(4, Request::SyncGroup(request));
        (member_id, token)
    }

    fn check_replayed(&self) {
        let replayed = self.replayed();
        assert_eq!(replayed.clone().consumer_with_seen(&self.machine), self.machine.consumer);
        assert!(replayed.classic.keys().eq(self.machine.classic.keys()));
    }
}

fn partitions(indexes: &[i32]) -> Partitions {
    Partitions::from([(id_of("t"), indexes.iter().copied().collect())])
}

#[test]
fn a_group_goes_to_the_consumer_protocol_and_back_member_by_member() {
    let mut world = world(&[("t", 2)]);
    let (old, _) = world.one_classic_member(None);
    // A consumer comes: the classic member stays, with what it has.
    let new = world.consumer_heartbeat(join("new", &["t"]));
    assert_eq!((new.error_code, partitions_of(&new).unwrap().len()), (0, 0));
    assert_eq!(world.machine.consumer_group(GROUP).unwrap().state(), ConsumerGroupState::Reconciling);
    assert_eq!(world.heartbeat(&old, 1), ErrorCode::RebalanceInProgress);
    // It joins again and keeps its epoch until it has given up what it must.
    let answer = world.rejoin(&old, &[0, 1]);
    assert_eq!((answer.error_code, answer.generation_id, answer.leader.as_str()), (0, 1, ""));
    assert_eq!(answer.protocol_name.as_deref(), Some("range"));
    let kept = world.sync_partitions(&old, 1);
    assert_eq!(kept.len(), 1);
    assert_eq!(partitions_of(&world.consumer_heartbeat(beat("new", new.member_epoch, None))), None);
    assert_eq!(world.heartbeat(&old, 1), ErrorCode::RebalanceInProgress);
    let answer = world.rejoin(&old, &kept);
    assert_eq!(answer.generation_id, new.member_epoch);
    assert_eq!(world.sync_partitions(&old, answer.generation_id), kept);
    assert_eq!(world.heartbeat(&old, answer.generation_id), ErrorCode::None);
    let got = partitions_of(&world.consumer_heartbeat(beat("new", new.member_epoch, None))).unwrap();
    assert_eq!(got, partitions(&[1 - kept[0]]));
    world.check_replayed();
    // The consumer goes: the group is classic again, and its member is called.
    world.consumer_heartbeat(beat("new", -1, None));
    assert!(world.machine.consumer_group(GROUP).is_none());
    assert_eq!((world.state(), world.generation()), ("PreparingRebalance", answer.generation_id));
    assert_eq!(world.heartbeat(&old, answer.generation_id), ErrorCode::RebalanceInProgress);
    let joined = world.rejoin(&old, &kept);
    assert_eq!((joined.generation_id, joined.leader.as_str()), (answer.generation_id + 1, old.as_str()));
    world.check_replayed();
}

#[test]
fn who_waits_in_a_classic_group_that_becomes_another_is_told_to_join_again() {
    let mut world = world(&[("t", 2)]);
    let (old, _) = world.one_classic_member(None);
    let other = world.new_member_id();
    let waiting = world.join(classic(&other, &[]));
    assert_eq!(world.error(waiting), None);
    world.consumer_heartbeat(join("new", &["t"]));
    assert_eq!(world.error(waiting), Some(ErrorCode::RebalanceInProgress));
    assert_eq!(world.rejoin(&other, &[]).error_code, 0);
    assert_eq!(world.heartbeat(&old, 1), ErrorCode::RebalanceInProgress);
    world.check_replayed();
}

#[test]
fn a_policy_or_a_leader_with_data_of_its_own_keeps_a_group_as_it_is() {
    let refusal = |world: &mut World| world.consumer_heartbeat(join("new", &["t"])).error_message.unwrap();
    let mut with_data = world(&[("t", 2)]);
    with_data.one_classic_member(Some(b"mine"));
    assert!(refusal(&mut with_data).contains("custom assignor"));
    let mut downgrade_only = world(&[("t", 2)]);
    downgrade_only.machine.settings.migration_policy = MigrationPolicy::Downgrade;
    downgrade_only.one_classic_member(None);
    assert!(refusal(&mut downgrade_only).contains("online upgrade is disabled"));
    // Upgrades alone: the group stays a consumer group when its last consumer goes.
    let mut upgrade_only = world(&[("t", 2)]);
    upgrade_only.machine.settings.migration_policy = MigrationPolicy::Upgrade;
    upgrade_only.one_classic_member(None);
    upgrade_only.consumer_heartbeat(join("new", &["t"]));
    upgrade_only.consumer_heartbeat(beat("new", -1, None));
    assert_eq!(upgrade_only.machine.consumer_group(GROUP).unwrap().members().len(), 1);
}

#[test]
fn a_classic_member_that_is_told_to_join_and_does_not_is_out_though_it_lives() {
    let mut world = world(&[("t", 2)]);
    let (old, _) = world.one_classic_member(None);
    world.consumer_heartbeat(join("new", &["t"]));
    for _ in 0..super::clients::REBALANCE_MS / (SESSION_MS / 2) {
        assert_eq!(world.heartbeat(&old, 1), ErrorCode::RebalanceInProgress);
        world.advance(SESSION_MS / 2);
        world.consumer_heartbeat(beat("new", 2, None));
    }
    assert_eq!(world.heartbeat(&old, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_downgrade_that_can_not_be_written_has_not_happened() {
    let mut world = world(&[("t", 2)]);
    let (old, _) = world.one_classic_member(None);
    world.consumer_heartbeat(join("new", &["t"]));
    world.append_error = Some(ErrorCode::NotEnoughReplicas);
    let answer = world.consumer_heartbeat(beat("new", -1, None));
    assert_eq!(ErrorCode::from_code(answer.error_code), Some(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(world.machine.consumer_group(GROUP).unwrap().members().len(), 2);
    world.append_error = None;
    world.consumer_heartbeat(beat("new", -1, None));
    assert_eq!(world.state(), "PreparingRebalance");
    world.restart();
    // What the log says is that it was stable; the member finds out that topics have no owner when it joins.
    assert_eq!((world.state(), world.heartbeat(&old, world.generation())), ("Stable", ErrorCode::None));
}

#[test]
fn bytes_that_are_no_subscription_are_malformed_and_later_versions_are_read() {
    assert!(subscription_of(&[]).is_err());
    assert!(subscription_of(&[0, 0, 0]).is_err());
    assert!(subscription_of(&[0xff, 0xff, 0, 0, 0, 0]).is_err());
    let later = [&[0, 9][..], &versioned(&ConsumerProtocolSubscription::default())[2..], &[1, 2, 3]].concat();
    assert_eq!(subscription_of(&later), Ok(ConsumerProtocolSubscription::default()));
}
