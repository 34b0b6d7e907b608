use super::clients::{REBALANCE_MS, SESSION_MS, join_request, protocol, subscription};
use super::world::World;
use crate::classic::MemberMemory;
use crate::{GroupSettings, Request};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::JoinGroupRequest;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use std::sync::Arc;

#[test]
fn a_new_dynamic_member_is_given_an_id_and_joins_with_it() {
    let mut world = World::new();
    let member_id = world.new_member_id();
    assert!(member_id.starts_with("client-"));
    assert_eq!(world.state(), "Empty");
    let token = world.join(join_request(&member_id));
    let joined = world.joined(token);
    assert_eq!(joined.error_code, 0);
    assert_eq!((joined.generation_id, joined.leader.as_str()), (1, member_id.as_str()));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, subscription(&["t"]));
    assert_eq!((joined.protocol_type.as_deref(), joined.protocol_name.as_deref()), (Some("consumer"), Some("range")));
}

#[test]
fn before_version_4_a_member_joins_at_once() {
    let mut world = World::new();
    let token = world.send(3, Request::JoinGroup(join_request("")));
    assert_eq!(world.joined(token).error_code, 0);
    assert_eq!(world.state(), "CompletingRebalance");
}

#[test]
fn before_version_7_an_error_has_an_empty_protocol_name_since_null_can_not_be_sent() {
    let mut world = World::new();
    let old = world.send(6, Request::JoinGroup(join_request("")));
    assert_eq!(world.joined(old).protocol_name.as_deref(), Some(""));
    let new = world.send(7, Request::JoinGroup(join_request("")));
    assert_eq!(world.joined(new).protocol_name, None);
}

#[test]
fn version_0_has_one_timeout_for_session_and_rebalance() {
    let mut world = World::new();
    world.send(0, Request::JoinGroup(JoinGroupRequest { rebalance_timeout_ms: -1, ..join_request("") }));
    let group = world.machine.classic_group("group").unwrap();
    assert_eq!(group.members().next().unwrap().rebalance_timeout_ms, SESSION_MS as i32);
}

#[test]
fn requests_that_no_group_takes_are_refused() {
    let with = |change: fn(&mut JoinGroupRequest)| {
        let mut request = join_request("");
        change(&mut request);
        request
    };
    let cases = [
        (with(|r| r.group_id.clear()), ErrorCode::InvalidGroupId),
        (with(|r| r.session_timeout_ms = 5_999), ErrorCode::InvalidSessionTimeout),
        (with(|r| r.session_timeout_ms = 1_800_001), ErrorCode::InvalidSessionTimeout),
        (with(|r| r.member_id = "nobody".to_owned()), ErrorCode::UnknownMemberId),
        (with(|r| r.protocols.clear()), ErrorCode::InconsistentGroupProtocol),
        (with(|r| r.protocol_type.clear()), ErrorCode::InconsistentGroupProtocol),
    ];
    for (request, expected) in cases {
        let mut world = World::new();
        let token = world.join(request.clone());
        assert_eq!(world.error(token), Some(expected), "{request:?}");
    }
}

#[test]
fn a_member_whose_protocols_nobody_shares_is_refused() {
    let mut world = World::new();
    world.stable_group(1);
    let other_protocol = JoinGroupRequest { protocols: vec![protocol("sticky", "")], ..join_request("") };
    let other_type = JoinGroupRequest { protocol_type: "connect".to_owned(), ..join_request("") };
    for request in [other_protocol, other_type] {
        let token = world.join(request);
        assert_eq!(world.error(token), Some(ErrorCode::InconsistentGroupProtocol));
    }
    assert_eq!(world.state(), "Stable");
}

#[test]
fn an_id_that_is_never_used_is_forgotten_after_the_session_timeout() {
    let mut world = World::new();
    let member_id = world.new_member_id();
    world.advance(SESSION_MS);
    let token = world.join(join_request(&member_id));
    assert_eq!(world.error(token), Some(ErrorCode::UnknownMemberId));
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_handed_out() {
    let mut world = World::new();
    let members = world.stable_group(1);
    let promised = world.new_member_id();
    let second = world.new_member_id();
    world.join(join_request(&second));
    let rejoin = world.join(join_request(&members[0]));
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.reply(rejoin), None);
    // The first of them never comes back.
    world.leave(&[(&promised, None)]);
    assert_eq!(world.joined(rejoin).generation_id, 2);
}

#[test]
fn the_first_member_waits_for_the_initial_delay_which_later_members_extend() {
    let settings = GroupSettings { initial_rebalance_delay_ms: 3_000, ..GroupSettings::default() };
    let mut world = World::with(settings);
    let first_id = world.new_member_id();
    let first = world.join(join_request(&first_id));
    world.advance(2_000);
    let second_id = world.new_member_id();
    let second = world.join(join_request(&second_id));
    // The delay of the first one is over, but somebody came meanwhile.
    world.advance(3_999);
    assert_eq!((world.reply(first), world.reply(second)), (None, None));
    world.advance(1);
    assert_eq!(world.joined(first).generation_id, 1);
    assert_eq!(world.joined(first).members.len(), 2);
    assert_eq!(world.joined(second).members.len(), 0);
    assert_eq!(world.joined(second).leader, first_id);
}

#[test]
fn the_initial_delay_is_never_extended_beyond_the_rebalance_timeout() {
    let settings = GroupSettings { initial_rebalance_delay_ms: 3_000, ..GroupSettings::default() };
    let mut world = World::with(settings);
    let request = |member_id: &str| JoinGroupRequest { rebalance_timeout_ms: 7_000, ..join_request(member_id) };
    let ids: Vec<String> = (0..8).map(|_| world.new_member_id()).collect();
    let first = world.join(request(&ids[0]));
    for member_id in &ids[1..] {
        world.advance(999);
        world.join(request(member_id));
    }
    // Three rounds: 3 s, 3 s, and the one second that is left.
    assert_eq!(world.now_ms, 1_000_000 + 7 * 999);
    assert_eq!(world.reply(first), None);
    world.advance(7);
    assert_eq!(world.joined(first).members.len(), 8);
}

#[test]
fn a_member_that_does_not_rejoin_in_time_is_out() {
    let mut world = World::new();
    let members = world.stable_group(2);
    let token = world.join(join_request(&world.leader()));
    assert_eq!(world.state(), "PreparingRebalance");
    // The other one goes on sending heartbeats, but does not rejoin.
    for _ in 0..REBALANCE_MS / 5_000 {
        world.advance(4_999);
        let other = members.iter().find(|id| **id != world.leader()).unwrap().clone();
        if world.reply(token).is_none() {
            assert_eq!(world.heartbeat(&other, 2), ErrorCode::RebalanceInProgress);
        }
    }
    world.advance(5_000);
    let joined = world.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
}

#[test]
fn the_leader_moves_to_a_member_that_has_rejoined() {
    let mut world = World::new();
    let members = world.stable_group(2);
    let leader = world.leader();
    let follower = members.iter().find(|id| **id != leader).unwrap().clone();
    // The follower wants something else, so that the group rebalances; the leader is gone.
    let request =
        JoinGroupRequest { protocols: vec![protocol("range", subscription(&["u"]))], ..join_request(&follower) };
    let token = world.join(request);
    world.advance(REBALANCE_MS);
    assert_eq!(world.joined(token).leader, follower);
}

#[test]
fn a_follower_that_rejoins_with_what_it_said_before_gets_the_running_generation() {
    let mut world = World::new();
    let members = world.stable_group(2);
    let leader = world.leader();
    let follower = members.iter().find(|id| **id != leader).unwrap().clone();
    let token = world.join(join_request(&follower));
    assert_eq!(world.state(), "Stable");
    assert_eq!((world.joined(token).generation_id, world.joined(token).members.len()), (2, 0));
    // The leader's join is always a wish to rebalance.
    world.join(join_request(&leader));
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn a_join_that_is_sent_again_while_completing_gets_the_same_answer() {
    let mut world = World::new();
    let members = world.completing_group(2);
    let leader = world.leader();
    let again = world.join(join_request(&leader));
    assert_eq!((world.joined(again).generation_id, world.joined(again).members.len()), (2, 2));
    let follower = members.iter().find(|id| **id != leader).unwrap().clone();
    let again = world.join(join_request(&follower));
    assert_eq!((world.joined(again).generation_id, world.joined(again).members.len()), (2, 0));
    assert_eq!(world.state(), "CompletingRebalance");
}

#[test]
fn a_join_that_is_sent_again_while_the_first_one_waits_takes_its_place() {
    let mut world = World::new();
    let members = world.stable_group(2);
    let leader = world.leader();
    let first = world.join(join_request(&leader));
    let second = world.join(join_request(&leader));
    assert_eq!(world.error(first), Some(ErrorCode::RebalanceInProgress));
    assert_eq!(world.reply(second), None);
    let follower = members.iter().find(|id| **id != leader).unwrap().clone();
    world.join(join_request(&follower));
    assert_eq!(world.joined(second).generation_id, 3);
}

#[test]
fn the_protocol_that_most_members_prefer_wins_and_a_tie_goes_as_in_java() {
    let wants = |names: &[&str]| names.iter().map(|name| protocol(name, "")).collect::<Vec<_>>();
    let cases: [(&[&[&str]], &str); 4] = [
        (&[&["range", "roundrobin"], &["range", "roundrobin"], &["roundrobin", "range"]], "range"),
        (&[&["roundrobin", "range"], &["range", "roundrobin"]], "range"),
        (&[&["sticky", "range"], &["range", "sticky"]], "sticky"),
        // What one member does not know is no candidate, whatever the others prefer.
        (&[&["sticky", "range"], &["sticky", "range"], &["range"]], "range"),
    ];
    for (members, expected) in cases {
        let settings = GroupSettings { initial_rebalance_delay_ms: 100, ..GroupSettings::default() };
        let mut world = World::with(settings);
        let mut tokens = Vec::new();
        for names in members {
            let request = JoinGroupRequest { protocols: wants(names), ..join_request("") };
            tokens.push(world.send(3, Request::JoinGroup(request)));
        }
        world.advance(200);
        for token in tokens {
            assert_eq!(world.joined(token).protocol_name.as_deref(), Some(expected), "{members:?}");
        }
    }
}

#[test]
fn a_group_takes_no_more_members_than_allowed() {
    let settings = GroupSettings { initial_rebalance_delay_ms: 100, size_max: 2, ..GroupSettings::default() };
    let mut world = World::with(settings);
    let ids: Vec<String> = (0..3).map(|_| world.new_member_id()).collect();
    let tokens: Vec<_> = ids.iter().map(|id| world.join(join_request(id))).collect();
    assert_eq!(world.error(tokens[2]), Some(ErrorCode::GroupMaxSizeReached));
    world.advance(200);
    assert_eq!(world.joined(tokens[0]).members.len(), 2);
    let token = world.join(join_request(""));
    assert_eq!(world.error(token), Some(ErrorCode::GroupMaxSizeReached));
}

#[test]
fn what_members_say_takes_no_more_memory_than_there_is_for_all_of_them() {
    let memory = Arc::new(MemberMemory::new(10_000));
    let settings =
        GroupSettings { initial_rebalance_delay_ms: 100, member_memory: memory.clone(), ..GroupSettings::default() };
    let mut world = World::with(settings);
    let ids: Vec<String> = (0..3).map(|_| world.new_member_id()).collect();
    let says = |id: &str, bytes: usize| JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol {
            metadata: vec![0; bytes].into(),
            name: "range".into(),
            ..Default::default()
        }],
        ..join_request(id)
    };
    let tokens: Vec<_> = ids.iter().map(|id| world.join(says(id, 4_000))).collect();
    assert_eq!(world.error(tokens[2]), Some(ErrorCode::GroupMaxSizeReached));
    world.advance(200);
    assert_eq!(world.joined(tokens[0]).members.len(), 2);
    assert!((8_000..10_000).contains(&memory.used()), "{}", memory.used());
    // Who says less than before makes room, and who goes.
    world.join(says(&ids[1], 10));
    assert!((4_000..6_000).contains(&memory.used()), "{}", memory.used());
    let token = world.join(says(&ids[0], 20_000));
    assert_eq!(world.error(token), Some(ErrorCode::GroupMaxSizeReached));
    drop(world);
    assert_eq!(memory.used(), 0);
}

#[test]
fn ids_that_are_asked_for_and_never_used_are_bounded() {
    let mut world = World::new();
    let first = world.new_member_id();
    for _ in 0..10_000 {
        world.new_member_id();
    }
    let token = world.join(join_request(&first));
    assert_eq!(world.error(token), Some(ErrorCode::UnknownMemberId));
}

#[test]
fn a_new_member_whose_client_has_gone_away_is_noticed_after_five_minutes() {
    let mut world = World::new();
    let hour_ms = 3_600_000;
    let request = |member_id: &str| JoinGroupRequest { rebalance_timeout_ms: hour_ms, ..join_request(member_id) };
    let first_id = world.new_member_id();
    world.join(request(&first_id));
    let second_id = world.new_member_id();
    let second = world.join(request(&second_id));
    // The first one lives and does not rejoin; the second one can't send heartbeats while it waits.
    for _ in 0..299 {
        world.advance(1_000);
        assert_eq!(world.heartbeat(&first_id, 1), ErrorCode::RebalanceInProgress);
    }
    assert_eq!(world.reply(second), None);
    world.advance(1_000);
    assert_eq!(world.error(second), Some(ErrorCode::UnknownMemberId));
}
