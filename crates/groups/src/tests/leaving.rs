use super::clients::{SESSION_MS, join_request, static_join_request};
use super::world::World;
use crate::record::GroupRecord;
use crate::{Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::LeaveGroupRequest;

#[test]
fn the_last_member_leaves_an_empty_group_which_is_written_down() {
    let mut world = World::new();
    let members = world.stable_group(1);
    assert_eq!(world.leave(&[(&members[0], None)]), [ErrorCode::None]);
    assert_eq!((world.state(), world.generation()), ("Empty", 2));
    let Some(GroupRecord::GroupMetadata { value: Some(value), .. }) = world.decoded_log().pop() else { panic!() };
    assert_eq!((value.generation, value.members.len(), value.protocol_type.as_str()), (2, 0, "consumer"));
    assert_eq!((value.leader, value.protocol), (None, None));
}

#[test]
fn members_leave_in_one_request_and_each_has_its_own_answer() {
    let mut world = World::new();
    let members = world.stable_group(3);
    let answers = world.leave(&[(&members[1], None), ("nobody", None), ("", Some("no instance")), (&members[1], None)]);
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!(answers, [ErrorCode::None, unknown, unknown, unknown]);
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn before_version_3_the_one_member_is_named_and_answered_for_at_the_top() {
    let mut world = World::new();
    let members = world.stable_group(1);
    for (member_id, expected) in [("nobody", ErrorCode::UnknownMemberId), (&members[0], ErrorCode::None)] {
        let request =
            LeaveGroupRequest { group_id: "group".to_owned(), member_id: member_id.to_owned(), ..Default::default() };
        let Response::LeaveGroup(response) = world.ask(2, Request::LeaveGroup(request)) else { panic!() };
        assert_eq!((response.error_code, response.members.len()), (expected.code(), 0));
    }
}

#[test]
fn leaving_while_one_waits_answers_what_waits() {
    let mut world = World::new();
    let members = world.stable_group(2);
    let leader = world.leader();
    let joining = world.join(join_request(&leader));
    world.leave(&[(&leader, None)]);
    assert_eq!(world.error(joining), Some(ErrorCode::UnknownMemberId));

    let mut world2 = World::new();
    let completing = world2.completing_group(2);
    let follower = completing.iter().find(|id| **id != world2.leader()).unwrap().clone();
    let syncing = world2.sync(&follower, 2, &[]);
    world2.leave(&[(&follower, None)]);
    assert_eq!(world2.error(syncing), Some(ErrorCode::UnknownMemberId));
    assert_eq!(members.len(), 2);
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut world = World::new();
    let token = world.join(static_join_request("i1", ""));
    let member_id = world.joined(token).member_id;
    assert_eq!(world.leave(&[("wrong", Some("i1"))]), [ErrorCode::FencedInstanceId]);
    assert_eq!(world.leave(&[("", Some("i1"))]), [ErrorCode::None]);
    assert_eq!(world.heartbeat(&member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_silent_member_is_removed_after_its_session_timeout() {
    let mut world = World::new();
    let members = world.stable_group(2);
    world.advance(SESSION_MS - 1);
    assert_eq!(world.heartbeat(&members[0], 2), ErrorCode::None);
    world.advance(1);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(&members[1], 2), ErrorCode::UnknownMemberId);
    // Nobody else is left to wait for.
    let token = world.join(join_request(&members[0]));
    assert_eq!(world.joined(token).members.len(), 1);
}

#[test]
fn a_commit_counts_as_a_sign_of_life() {
    let mut world = World::new();
    let members = world.stable_group(1);
    for _ in 0..3 {
        world.advance(SESSION_MS - 1);
        assert_eq!(world.commit_offset(&members[0], 1, 0, 5), ErrorCode::None);
    }
    assert_eq!(world.state(), "Stable");
}
