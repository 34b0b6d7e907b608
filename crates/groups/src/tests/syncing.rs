use super::clients::{REBALANCE_MS, SESSION_MS, error_of, join_request};
use super::world::World;
use crate::{Request, TimerKey};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::SyncGroupRequest;

fn split(world: &World, members: &[String]) -> (String, String) {
    let leader = world.leader();
    let follower = members.iter().find(|id| **id != leader).unwrap().clone();
    (leader, follower)
}

#[test]
fn followers_wait_for_the_leaders_assignment() {
    let mut world = World::new();
    let members = world.completing_group(2);
    let (leader, follower) = split(&world, &members);
    let waits = world.sync(&follower, 2, &[]);
    assert_eq!(world.reply(waits), None);
    let leads = world.sync(&leader, 2, &[(&leader, "mine"), (&follower, "yours"), ("nobody", "lost")]);
    assert_eq!(&world.synced(waits).assignment[..], b"yours");
    assert_eq!(&world.synced(leads).assignment[..], b"mine");
    assert_eq!(world.synced(leads).protocol_name.as_deref(), Some("range"));
    assert_eq!(world.state(), "Stable");
    // Whoever asks again gets it again.
    let again = world.sync(&follower, 2, &[]);
    assert_eq!(&world.synced(again).assignment[..], b"yours");
    assert!(!world.has_timer(|key| matches!(key, TimerKey::Sync { .. })));
}

#[test]
fn a_member_that_the_leader_left_out_gets_an_empty_assignment() {
    let mut world = World::new();
    let members = world.completing_group(2);
    let (leader, follower) = split(&world, &members);
    let waits = world.sync(&follower, 2, &[]);
    world.sync(&leader, 2, &[(&leader, "all")]);
    assert_eq!((world.error(waits), world.synced(waits).assignment.len()), (Some(ErrorCode::None), 0));
}

#[test]
fn the_assignment_counts_when_it_is_committed_not_before() {
    let mut world = World::new();
    let members = world.completing_group(1);
    world.holds_commits = true;
    let token = world.sync(&members[0], 1, &[(&members[0], "a")]);
    assert_eq!((world.reply(token), world.state()), (None, "CompletingRebalance"));
    world.commit();
    assert_eq!((world.error(token), world.state()), (Some(ErrorCode::None), "Stable"));
}

#[test]
fn an_assignment_that_is_committed_too_late_is_ignored() {
    let mut world = World::new();
    let members = world.completing_group(1);
    world.holds_commits = true;
    let token = world.sync(&members[0], 1, &[(&members[0], "a")]);
    // A new member comes before the commit.
    let newcomer = world.new_member_id();
    world.join(join_request(&newcomer));
    assert_eq!(world.error(token), Some(ErrorCode::RebalanceInProgress));
    world.commit();
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn whoever_does_not_sync_in_time_is_out() {
    let mut world = World::new();
    let members = world.completing_group(2);
    let (leader, follower) = split(&world, &members);
    let waits = world.sync(&follower, 2, &[]);
    // The leader sends heartbeats and no assignment.
    for _ in 0..REBALANCE_MS / 5_000 - 1 {
        world.advance(5_000);
        assert_eq!(world.heartbeat(&leader, 2), ErrorCode::None);
    }
    world.advance(5_000);
    assert_eq!(world.error(waits), Some(ErrorCode::RebalanceInProgress));
    assert_eq!(world.heartbeat(&leader, 2), ErrorCode::UnknownMemberId);
    let token = world.join(join_request(&follower));
    assert_eq!(world.joined(token).leader, follower);
}

#[test]
fn a_follower_that_waits_for_its_assignment_need_not_send_heartbeats() {
    let mut world = World::new();
    let members = world.completing_group(2);
    let (leader, follower) = split(&world, &members);
    let waits = world.sync(&follower, 2, &[]);
    for _ in 0..3 {
        world.advance(SESSION_MS / 2);
        world.heartbeat(&leader, 2);
    }
    assert_eq!(world.reply(waits), None);
    world.sync(&leader, 2, &[(&follower, "f")]);
    assert_eq!(world.error(waits), Some(ErrorCode::None));
    // From now on it must.
    world.advance(SESSION_MS);
    assert_eq!(world.heartbeat(&follower, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn a_sync_must_name_the_groups_protocol_from_version_5_on() {
    let mut world = World::new();
    let members = world.completing_group(1);
    let request = |protocol_type: Option<&str>, protocol_name: Option<&str>| {
        Request::SyncGroup(SyncGroupRequest {
            group_id: "group".to_owned(),
            generation_id: 1,
            member_id: members[0].clone(),
            protocol_type: protocol_type.map(str::to_owned),
            protocol_name: protocol_name.map(str::to_owned),
            ..Default::default()
        })
    };
    let cases = [
        (5, None, Some("range"), ErrorCode::InconsistentGroupProtocol),
        (5, Some("consumer"), None, ErrorCode::InconsistentGroupProtocol),
        (5, Some("consumer"), Some("sticky"), ErrorCode::InconsistentGroupProtocol),
        (5, Some("connect"), Some("range"), ErrorCode::InconsistentGroupProtocol),
        (4, None, None, ErrorCode::None),
    ];
    for (version, protocol_type, protocol_name, expected) in cases {
        let response = world.ask(version, request(protocol_type, protocol_name));
        assert_eq!(error_of(&response), expected, "{version} {protocol_type:?} {protocol_name:?}");
    }
}
