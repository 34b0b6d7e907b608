use super::clients::{REBALANCE_MS, SESSION_MS, error_of, join_request, protocol, static_join_request};
use super::world::World;
use crate::{Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{HeartbeatRequest, JoinGroupRequest};

/// A stable group of two static members, `i1` leading; their member ids.
fn stable(world: &mut World) -> (String, String) {
    let first = world.join(static_join_request("i1", ""));
    let first = world.joined(first).member_id;
    let second = world.join(static_join_request("i2", ""));
    world.join(static_join_request("i1", &first));
    let second = world.joined(second).member_id;
    world.stabilise(&[first.clone(), second.clone()]);
    assert_eq!(world.leader(), first);
    (first, second)
}

#[test]
fn a_static_member_joins_without_asking_for_an_id_first() {
    let mut world = World::new();
    let token = world.join(static_join_request("i1", ""));
    let joined = world.joined(token);
    assert!(joined.member_id.starts_with("i1-"));
    assert_eq!(joined.members[0].group_instance_id.as_deref(), Some("i1"));
}

#[test]
fn a_restarted_static_follower_gets_its_assignment_back_without_a_rebalance() {
    let mut world = World::new();
    let (first, second) = stable(&mut world);
    let records = world.log.len();
    let token = world.join(static_join_request("i2", ""));
    let joined = world.joined(token);
    assert_ne!(joined.member_id, second);
    assert_eq!((joined.error_code, joined.generation_id, joined.skip_assignment), (0, 2, false));
    assert_eq!((joined.leader, joined.members.len()), (first, 0));
    assert_eq!(world.state(), "Stable");
    // The new id must survive.
    assert_eq!(world.log.len(), records + 1);
    let token = world.sync(&joined.member_id, 2, &[]);
    assert_eq!(&world.synced(token).assignment[..], b"assigned");
    assert_eq!(world.heartbeat(&second, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn a_restarted_static_leader_is_told_to_skip_the_assignment() {
    let mut world = World::new();
    let (first, _) = stable(&mut world);
    let token = world.join(static_join_request("i1", ""));
    let joined = world.joined(token);
    assert_eq!((joined.skip_assignment, joined.members.len()), (true, 2));
    assert_eq!(joined.leader, joined.member_id);
    // Before version 9 that could not be said: it is told that somebody else leads.
    let token = world.send(8, Request::JoinGroup(static_join_request("i1", "")));
    let older = world.joined(token);
    assert_eq!((older.skip_assignment, older.members.len()), (false, 0));
    assert_eq!(older.leader, joined.member_id);
    assert_ne!(older.member_id, joined.member_id);
    assert_ne!(older.leader, first);
}

#[test]
fn the_predecessor_is_fenced() {
    let mut world = World::new();
    let (_, second) = stable(&mut world);
    let token = world.join(static_join_request("i2", ""));
    let now = world.joined(token).member_id;
    let heartbeat = |member_id: &str| {
        Request::Heartbeat(HeartbeatRequest {
            group_id: "group".to_owned(),
            generation_id: 2,
            member_id: member_id.to_owned(),
            group_instance_id: Some("i2".to_owned()),
            ..Default::default()
        })
    };
    assert_eq!(error_of(&world.ask(4, heartbeat(&second))), ErrorCode::FencedInstanceId);
    assert_eq!(error_of(&world.ask(4, heartbeat(&now))), ErrorCode::None);
    let token = world.join(static_join_request("i2", &second));
    assert_eq!(world.error(token), Some(ErrorCode::FencedInstanceId));
    let token = world.join(static_join_request("unknown", &second));
    assert_eq!(world.error(token), Some(ErrorCode::UnknownMemberId));
}

#[test]
fn what_the_predecessor_has_parked_is_fenced_too() {
    let mut world = World::new();
    let (first, second) = stable(&mut world);
    let joining = world.join(static_join_request("i1", &first));
    assert_eq!(world.state(), "PreparingRebalance");
    let again = world.join(static_join_request("i1", ""));
    assert_eq!(world.error(joining), Some(ErrorCode::FencedInstanceId));
    world.join(static_join_request("i2", &second));
    let first = world.joined(again).member_id;
    let syncing = world.sync(&second, 3, &[]);
    world.join(static_join_request("i2", ""));
    assert_eq!(world.error(syncing), Some(ErrorCode::FencedInstanceId));
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.leader(), first);
}

#[test]
fn a_restarted_static_member_with_another_protocol_makes_the_group_rebalance() {
    let mut world = World::new();
    let both = || vec![protocol("range", ""), protocol("sticky", "")];
    let first = world.join(JoinGroupRequest { protocols: both(), ..static_join_request("i1", "") });
    let first = world.joined(first).member_id;
    world.stabilise(&[first]);
    let only = JoinGroupRequest { protocols: vec![protocol("sticky", "")], ..static_join_request("i1", "") };
    // Nobody else is there, so that what it supported before does not bind it... but it must share one with the group.
    let token = world.join(only.clone());
    assert_eq!(world.joined(token).protocol_name.as_deref(), Some("sticky"));
    assert_eq!((world.state(), world.generation()), ("CompletingRebalance", 2));
}

#[test]
fn a_static_member_that_is_late_stays_until_its_session_ends() {
    let mut world = World::new();
    let (first, second) = stable(&mut world);
    let token = world.join(static_join_request("i1", &first));
    for _ in 0..REBALANCE_MS / 5_000 {
        world.advance(5_000);
        world.heartbeat(&second, 2);
    }
    let joined = world.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (3, 2));
    // It was silent for too long after that.
    world.advance(SESSION_MS);
    assert_eq!(world.heartbeat(&second, 3), ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_of_static_members_none_of_which_rejoins_goes_on() {
    let mut world = World::new();
    let (first, second) = stable(&mut world);
    let dynamic = world.new_member_id();
    let token = world.join(join_request(&dynamic));
    world.leave(&[(&dynamic, None)]);
    assert_eq!(world.error(token), Some(ErrorCode::UnknownMemberId));
    for _ in 0..REBALANCE_MS * 2 / 5_000 {
        world.advance(5_000);
        world.heartbeat(&first, 2);
        world.heartbeat(&second, 2);
    }
    assert_eq!((world.state(), world.generation()), ("PreparingRebalance", 2));
    let one = world.join(static_join_request("i1", &first));
    let two = world.join(static_join_request("i2", &second));
    assert_eq!((world.joined(one).generation_id, world.joined(two).generation_id), (3, 3));
}

#[test]
fn a_replacement_that_can_not_be_written_leaves_the_old_member_in_place() {
    let mut world = World::new();
    let (_, second) = stable(&mut world);
    world.append_error = Some(ErrorCode::NotEnoughReplicas);
    let token = world.join(static_join_request("i2", ""));
    let Some(Response::JoinGroup(refused)) = world.reply(token).cloned() else { panic!() };
    assert_eq!(refused.error_code, ErrorCode::CoordinatorNotAvailable.code());
    assert_eq!(refused.member_id, "");
    world.append_error = None;
    assert_eq!(world.heartbeat(&second, 2), ErrorCode::None);
    assert_eq!(world.state(), "Stable");
}
