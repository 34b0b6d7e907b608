use super::clients::{GROUP, SESSION_MS, commit_request, join_request, protocol};
use super::world::World;
use crate::{GroupSettings, Request};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{JoinGroupRequest, OffsetCommitRequest};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const CHECK_MS: i64 = 600_000;

/// A world whose expiry check runs, with a retention of one day.
fn world() -> World {
    let settings = GroupSettings {
        initial_rebalance_delay_ms: 0,
        offsets_retention_ms: DAY_MS,
        session_timeout_ms_max: i32::MAX,
        ..GroupSettings::default()
    };
    let mut world = World::with(settings);
    world.restart();
    world
}

#[test]
fn offsets_of_a_client_without_a_group_protocol_expire_after_their_own_commit() {
    let mut world = world();
    world.commit_offset("", -1, 0, 1);
    world.advance(DAY_MS / 2);
    world.commit_offset("", -1, 1, 1);
    world.advance(DAY_MS / 2 + CHECK_MS);
    assert_eq!((world.fetch_offset(0), world.fetch_offset(1)), (-1, 1));
    world.advance(DAY_MS / 2);
    assert_eq!(world.fetch_offset(1), -1);
    // With its last offset the group goes too.
    assert_eq!(world.list(&[], &[]), Vec::<String>::new());
    assert_eq!(world.replayed().sizes(), (0, 0));
}

#[test]
fn offsets_of_a_group_age_from_when_it_became_empty() {
    let mut world = world();
    let request = JoinGroupRequest { session_timeout_ms: i32::MAX, ..join_request("") };
    let token = world.send(3, Request::JoinGroup(request));
    let member_id = world.joined(token).member_id;
    world.stabilise(std::slice::from_ref(&member_id));
    world.commit_offset(&member_id, 1, 0, 9);
    world.advance(DAY_MS * 10);
    assert_eq!(world.fetch_offset(0), 9);
    world.leave(&[(&member_id, None)]);
    world.advance(DAY_MS - 1);
    assert_eq!(world.fetch_offset(0), 9);
    world.advance(CHECK_MS + 1);
    assert_eq!(world.fetch_offset(0), -1);
    assert_eq!(world.state(), "-");
}

#[test]
fn offsets_of_topics_that_a_living_group_no_longer_reads_expire() {
    let mut world = world();
    let request = JoinGroupRequest { session_timeout_ms: i32::MAX, ..join_request("") };
    let token = world.send(3, Request::JoinGroup(request));
    let member_id = world.joined(token).member_id;
    world.stabilise(std::slice::from_ref(&member_id));
    world.commit_offset(&member_id, 1, 0, 9);
    let mut other = commit_request(&member_id, 1, 0, 9);
    other.topics[0].name = "u".to_owned();
    world.ask(9, Request::OffsetCommit(other));
    world.advance(DAY_MS + CHECK_MS);
    assert_eq!(world.fetch_offset(0), 9);
    assert_eq!(world.machine.committed_offset(GROUP, "u", 0), None);
    assert_eq!(world.state(), "Stable");
}

#[test]
fn offsets_of_a_living_group_whose_subscriptions_can_not_be_read_stay() {
    let mut world = world();
    let request =
        JoinGroupRequest { session_timeout_ms: i32::MAX, protocols: vec![protocol("range", "?")], ..join_request("") };
    let token = world.send(3, Request::JoinGroup(request));
    let member_id = world.joined(token).member_id;
    world.stabilise(std::slice::from_ref(&member_id));
    world.commit_offset(&member_id, 1, 0, 9);
    world.advance(DAY_MS * 3);
    assert_eq!(world.fetch_offset(0), 9);
}

#[test]
fn an_offset_with_a_retention_of_its_own_expires_by_it() {
    let mut world = world();
    let request = OffsetCommitRequest { retention_time_ms: CHECK_MS, ..commit_request("", -1, 0, 1) };
    world.ask(4, Request::OffsetCommit(request));
    world.advance(CHECK_MS - 1);
    assert_eq!(world.fetch_offset(0), 1);
    world.advance(CHECK_MS + 1);
    assert_eq!(world.fetch_offset(0), -1);
}

#[test]
fn a_group_that_has_promised_an_id_is_not_deleted() {
    let mut world = world();
    world.advance(CHECK_MS - SESSION_MS / 2);
    let member_id = world.new_member_id();
    world.advance(SESSION_MS / 2 + 1);
    let token = world.join(join_request(&member_id));
    assert_eq!(world.error(token), Some(ErrorCode::None));
}

#[test]
fn an_empty_group_without_offsets_is_deleted_at_the_next_check() {
    let mut world = world();
    world.new_member_id();
    world.advance(SESSION_MS);
    assert_eq!(world.state(), "Empty");
    world.advance(CHECK_MS);
    assert_eq!(world.state(), "-");
    assert_eq!(world.replayed().sizes(), (0, 0));
}
