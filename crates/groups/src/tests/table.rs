//! Every state of a classic group against every request, as data. The outcomes are those of Apache Kafka 4.4.0.

use super::clients::{GROUP, commit_request, error_of, join_request, protocol, subscription};
use super::world::World;
use crate::{Request, Token};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use ottla_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    OffsetDeleteRequest, SyncGroupRequest,
};

const STATES: [&str; 5] = ["-", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"];

/// What each request meets in each of the states, and the state after it. `parked` has no answer yet; `=` stands for
/// the state as it was.
const TABLE: [(&str, [&str; 5]); 19] = [
    (
        "join without id",
        [
            "MEMBER_ID_REQUIRED Empty",
            "MEMBER_ID_REQUIRED =",
            "MEMBER_ID_REQUIRED =",
            "MEMBER_ID_REQUIRED =",
            "MEMBER_ID_REQUIRED =",
        ],
    ),
    (
        "join without id, version 3",
        [
            "NONE CompletingRebalance",
            "NONE CompletingRebalance",
            "parked =",
            "parked PreparingRebalance",
            "parked PreparingRebalance",
        ],
    ),
    (
        "join with a foreign id",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
        ],
    ),
    (
        "join with another type",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "INCONSISTENT_GROUP_PROTOCOL =",
            "INCONSISTENT_GROUP_PROTOCOL =",
            "INCONSISTENT_GROUP_PROTOCOL =",
        ],
    ),
    (
        "join of the leader",
        ["UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID =", "parked =", "NONE =", "parked PreparingRebalance"],
    ),
    (
        "join of a follower",
        ["UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID =", "NONE CompletingRebalance", "NONE =", "NONE ="],
    ),
    (
        "join of a follower with another subscription",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "NONE CompletingRebalance",
            "parked PreparingRebalance",
            "parked PreparingRebalance",
        ],
    ),
    (
        "sync of a follower",
        ["UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID =", "REBALANCE_IN_PROGRESS =", "parked =", "NONE ="],
    ),
    (
        "sync of the leader",
        ["UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID =", "REBALANCE_IN_PROGRESS =", "NONE Stable", "NONE ="],
    ),
    (
        "sync of an old generation",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "ILLEGAL_GENERATION =",
            "ILLEGAL_GENERATION =",
            "ILLEGAL_GENERATION =",
        ],
    ),
    (
        "sync of a stranger",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
        ],
    ),
    ("heartbeat", ["UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID =", "REBALANCE_IN_PROGRESS =", "NONE =", "NONE ="]),
    (
        "heartbeat of an old generation",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "ILLEGAL_GENERATION =",
            "ILLEGAL_GENERATION =",
            "ILLEGAL_GENERATION =",
        ],
    ),
    (
        "leave of a follower",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "NONE CompletingRebalance",
            "NONE PreparingRebalance",
            "NONE PreparingRebalance",
        ],
    ),
    (
        "leave of a stranger",
        [
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
            "UNKNOWN_MEMBER_ID =",
        ],
    ),
    (
        "commit of a follower",
        ["GROUP_ID_NOT_FOUND =", "UNKNOWN_MEMBER_ID =", "NONE =", "REBALANCE_IN_PROGRESS =", "NONE ="],
    ),
    (
        "commit of an outsider",
        ["NONE Empty", "NONE =", "UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID =", "UNKNOWN_MEMBER_ID ="],
    ),
    (
        "delete offsets of a topic that is read",
        [
            "GROUP_ID_NOT_FOUND =",
            "NONE =",
            "GROUP_SUBSCRIBED_TO_TOPIC =",
            "GROUP_SUBSCRIBED_TO_TOPIC =",
            "GROUP_SUBSCRIBED_TO_TOPIC =",
        ],
    ),
    ("delete", ["GROUP_ID_NOT_FOUND =", "NONE -", "NON_EMPTY_GROUP =", "NON_EMPTY_GROUP =", "NON_EMPTY_GROUP ="]),
];

/// A group in the state, with its leader and a follower of generation 2 where it has members; when it prepares a
/// rebalance the leader has rejoined and the follower has not.
fn in_state(state: &str) -> (World, String, String) {
    let mut world = World::new();
    if state == "-" {
        return (world, "leader".to_owned(), "follower".to_owned());
    }
    let members = world.completing_group(2);
    let leader = world.leader();
    let follower = members.iter().find(|id| **id != leader).unwrap().clone();
    if state != "CompletingRebalance" {
        world.stabilise(&members);
    }
    match state {
        "PreparingRebalance" => {
            world.join(join_request(&leader));
        }
        "Empty" => {
            world.leave(&[(&leader, None), (&follower, None)]);
            world.advance(0);
            // The rebalance ends without members when its time is over.
            world.advance(60_000);
        }
        _ => {}
    }
    assert_eq!(world.state(), state);
    (world, leader, follower)
}

fn perform(world: &mut World, what: &str, leader: &str, follower: &str) -> Token {
    let sync = |member_id: &str, generation| {
        Request::SyncGroup(SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member_id.to_owned(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            ..Default::default()
        })
    };
    let heartbeat = |generation| {
        Request::Heartbeat(HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: follower.to_owned(),
            ..Default::default()
        })
    };
    let leave = |member_id: &str| {
        let member = MemberIdentity { member_id: member_id.to_owned(), ..Default::default() };
        Request::LeaveGroup(LeaveGroupRequest {
            group_id: GROUP.to_owned(),
            members: vec![member],
            ..Default::default()
        })
    };
    let other_type = JoinGroupRequest { protocol_type: "connect".to_owned(), ..join_request("") };
    let other_type = JoinGroupRequest { member_id: leader.to_owned(), ..other_type };
    let resubscribed =
        JoinGroupRequest { protocols: vec![protocol("range", subscription(&["u"]))], ..join_request(follower) };
    let (version, request) = match what {
        "join without id" => (9, Request::JoinGroup(join_request(""))),
        "join without id, version 3" => (3, Request::JoinGroup(join_request(""))),
        "join with a foreign id" => (9, Request::JoinGroup(join_request("stranger"))),
        "join with another type" => (9, Request::JoinGroup(other_type)),
        "join of the leader" => (9, Request::JoinGroup(join_request(leader))),
        "join of a follower" => (9, Request::JoinGroup(join_request(follower))),
        "join of a follower with another subscription" => (9, Request::JoinGroup(resubscribed)),
        "sync of a follower" => (5, sync(follower, 2)),
        "sync of the leader" => (5, sync(leader, 2)),
        "sync of an old generation" => (5, sync(follower, 1)),
        "sync of a stranger" => (5, sync("stranger", 2)),
        "heartbeat" => (4, heartbeat(2)),
        "heartbeat of an old generation" => (4, heartbeat(1)),
        "leave of a follower" => (5, leave(follower)),
        "leave of a stranger" => (5, leave("stranger")),
        "commit of a follower" => (9, Request::OffsetCommit(commit_request(follower, 2, 0, 1))),
        "commit of an outsider" => (9, Request::OffsetCommit(commit_request("", -1, 0, 1))),
        "delete offsets of a topic that is read" => {
            let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
            let topics = vec![OffsetDeleteRequestTopic { name: "t".to_owned(), partitions }];
            (0, Request::OffsetDelete(OffsetDeleteRequest { group_id: GROUP.to_owned(), topics }))
        }
        "delete" => (
            2,
            Request::DeleteGroups(DeleteGroupsRequest { groups_names: vec![GROUP.to_owned()], ..Default::default() }),
        ),
        other => panic!("{other}"),
    };
    world.send(version, request)
}

#[test]
fn every_request_meets_in_every_state_what_it_meets_in_kafka() {
    for (what, expected) in TABLE {
        for (state, expected) in STATES.iter().zip(expected) {
            let (mut world, leader, follower) = in_state(state);
            let token = perform(&mut world, what, &leader, &follower);
            let outcome = world.reply(token).map_or("parked", |response| error_of(response).name());
            let after = if world.state() == *state { "=" } else { world.state() };
            assert_eq!(format!("{outcome} {after}"), expected, "{what} in {state}");
        }
    }
}

#[test]
fn in_every_state_the_log_restores_what_was_promised() {
    for state in STATES {
        let (mut world, leader, follower) = in_state(state);
        let members = world.machine.classic_group(GROUP).map_or(0, |group| group.members().len());
        world.restart();
        let restored = world.machine.classic_group(GROUP);
        let expected = match state {
            "-" => None,
            "Empty" => Some(("Empty", 3)),
            // A generation without an assignment is not written: the one before it counts again.
            "CompletingRebalance" => Some(("Empty", 0)),
            _ => Some(("Stable", 2)),
        };
        assert_eq!(restored.map(|group| (group.state().name(), group.generation().value())), expected, "{state}");
        if expected.is_some_and(|(state, _)| state == "Stable") {
            assert_eq!(restored.unwrap().members().len(), members);
            assert_eq!(world.leader(), leader);
            assert_eq!(world.heartbeat(&follower, 2), ErrorCode::None);
        }
    }
}

#[test]
fn a_group_that_has_been_given_up_sends_everyone_on() {
    for state in STATES {
        let (mut world, leader, follower) = in_state(state);
        let (outcome_of_join, waits) = match state {
            "PreparingRebalance" => (ErrorCode::NotCoordinator, Some(world.join(join_request(&leader)))),
            "CompletingRebalance" => (ErrorCode::NotCoordinator, Some(world.sync(&follower, 2, &[]))),
            _ => (ErrorCode::None, None),
        };
        world.carry_out_unload();
        if let Some(waits) = waits {
            assert_eq!(world.error(waits), Some(outcome_of_join), "{state}");
        }
        let described = world.ask(
            6,
            Request::DescribeGroups(DescribeGroupsRequest { groups: vec![GROUP.to_owned()], ..Default::default() }),
        );
        let expected = if state == "-" { ErrorCode::GroupIdNotFound } else { ErrorCode::None };
        assert_eq!(error_of(&described), expected);
    }
}
