//! What happens when the log refuses the records.

use super::clients::{GROUP, join_request};
use super::world::World;
use crate::Request;
use ottla_protocol::ErrorCode;

/// What the log says and what the client is told.
const ERRORS: [(ErrorCode, ErrorCode); 6] = [
    (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
    (ErrorCode::RequestTimedOut, ErrorCode::CoordinatorNotAvailable),
    (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
    (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
    (ErrorCode::RecordListTooLarge, ErrorCode::UnknownServerError),
    (ErrorCode::UnknownServerError, ErrorCode::UnknownServerError),
];

#[test]
fn a_commit_that_can_not_be_written_changes_nothing() {
    for (error, expected) in ERRORS {
        let mut world = World::new();
        world.commit_offset("", -1, 0, 1);
        world.append_error = Some(error);
        assert_eq!(world.commit_offset("", -1, 0, 2), expected);
        assert_eq!(world.fetch_offset(0), 1);
    }
}

#[test]
fn an_assignment_that_can_not_be_written_makes_the_group_rebalance() {
    for (error, expected) in ERRORS {
        let mut world = World::new();
        let members = world.completing_group(2);
        let leader = world.leader();
        let follower = members.iter().find(|id| **id != leader).unwrap().clone();
        let waits = world.sync(&follower, 2, &[]);
        world.append_error = Some(error);
        let leads = world.sync(&leader, 2, &[]);
        assert_eq!((world.error(waits), world.error(leads)), (Some(expected), Some(expected)));
        assert_eq!(world.state(), "PreparingRebalance");
        world.append_error = None;
        let rejoins = [&leader, &follower].map(|member_id| world.join(join_request(member_id)));
        assert_eq!(rejoins.map(|token| world.joined(token).generation_id), [3, 3]);
    }
}

#[test]
fn a_first_join_whose_group_can_not_be_written_is_refused() {
    let mut world = World::new();
    world.append_error = Some(ErrorCode::NotLeaderOrFollower);
    let token = world.send(3, Request::JoinGroup(join_request("")));
    assert_eq!(world.error(token), Some(ErrorCode::NotCoordinator));
    assert_eq!(world.open_tokens(), 0);
}

#[test]
fn a_group_that_can_not_be_deleted_stays() {
    let mut world = World::new();
    world.commit_offset("", -1, 0, 1);
    world.append_error = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(world.delete_group(GROUP), ErrorCode::CoordinatorNotAvailable);
    world.append_error = None;
    assert_eq!(world.fetch_offset(0), 1);
    assert_eq!(world.delete_group(GROUP), ErrorCode::None);
}

#[test]
fn leaving_is_refused_when_the_empty_group_can_not_be_written() {
    let mut world = World::new();
    let members = world.stable_group(1);
    world.append_error = Some(ErrorCode::NotEnoughReplicas);
    let request = ottla_protocol::messages::LeaveGroupRequest {
        group_id: GROUP.to_owned(),
        members: vec![ottla_protocol::messages::leave_group_request::MemberIdentity {
            member_id: members[0].clone(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = world.ask(5, Request::LeaveGroup(request));
    assert_eq!(super::clients::error_of(&response), ErrorCode::CoordinatorNotAvailable);
    // The client leaves again, and is not known any more.
    world.append_error = None;
    assert_eq!(world.leave(&[(&members[0], None)]), [ErrorCode::UnknownMemberId]);
    assert_eq!(world.state(), "Empty");
}
