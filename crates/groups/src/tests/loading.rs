use super::clients::{GROUP, SESSION_MS, join_request, static_join_request};
use super::world::World;
use crate::{GroupSettings, TimerKey};
use ottla_protocol::ErrorCode;

#[test]
fn members_of_a_loaded_group_have_a_whole_session_to_report() {
    let mut world = World::new();
    let members = world.stable_group(2);
    world.advance(SESSION_MS - 1);
    world.restart();
    world.advance(SESSION_MS - 1);
    assert_eq!(world.heartbeat(&members[0], 2), ErrorCode::None);
    world.advance(1);
    assert_eq!(world.heartbeat(&members[1], 2), ErrorCode::UnknownMemberId);
}

#[test]
fn committed_offsets_and_assignments_survive() {
    let mut world = World::new();
    let members = world.stable_group(1);
    world.commit_offset(&members[0], 1, 0, 17);
    world.commit_offset(&members[0], 1, 0, 18);
    world.restart();
    assert_eq!(world.fetch_offset(0), 18);
    let token = world.sync(&members[0], 1, &[]);
    assert_eq!(&world.synced(token).assignment[..], b"assigned");
    assert_eq!(world.describe(GROUP).members[0].client_host, "/127.0.0.1");
}

#[test]
fn static_members_are_known_again() {
    let mut world = World::new();
    let token = world.join(static_join_request("i1", ""));
    let member_id = world.joined(token).member_id;
    world.stabilise(std::slice::from_ref(&member_id));
    world.restart();
    let token = world.join(static_join_request("i1", ""));
    assert_eq!(world.joined(token).generation_id, 1);
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_loaded_group_that_is_too_large_now_is_called_together() {
    let mut world = World::new();
    let members = world.stable_group(3);
    world.machine.set_settings(GroupSettings {
        size_max: 2,
        initial_rebalance_delay_ms: 0,
        ..GroupSettings::default()
    });
    world.restart();
    assert_eq!(world.state(), "PreparingRebalance");
    let tokens: Vec<_> = members.iter().map(|member_id| world.join(join_request(member_id))).collect();
    assert_eq!(world.error(tokens[2]), Some(ErrorCode::GroupMaxSizeReached));
}

#[test]
fn the_expiry_check_goes_on_for_ever() {
    let mut world = World::new();
    world.restart();
    for _ in 0..3 {
        assert!(world.has_timer(|key| *key == TimerKey::Expiry));
        world.advance(600_000);
    }
}
