use super::*;
use crate::leader::{EpochRefusal, FetchPosition};
use crate::partition_state::BrokerStatus;
use crate::test_log::TestLog;
use ottla_types::NodeId;

fn settings() -> LeaderSettings {
    LeaderSettings { local: NodeId(1), local_epoch: BrokerEpoch(1), lag_max: Duration::from_secs(1), min_in_sync: 1 }
}

fn state(leader: Option<i32>, epochs: (i32, i32)) -> PartitionState {
    let replicas = [NodeId(1), NodeId(2)];
    let status = BrokerStatus { epoch: BrokerEpoch(1), is_fenced: false, is_shutting_down: false };
    PartitionState {
        leader: leader.map(NodeId),
        leader_epoch: LeaderEpoch(epochs.0),
        partition_epoch: epochs.1,
        replicas: replicas.into(),
        adding: Vec::new(),
        removing: Vec::new(),
        in_sync: replicas.into(),
        brokers: replicas.map(|id| (id, status)).into(),
    }
}

fn apply(replica: &mut Replica, leader: Option<i32>, epochs: (i32, i32)) -> Vec<RoleEffect> {
    let log = TestLog::new(&[(1, 0)], 10);
    replica.apply(&state(leader, epochs), &log, Offset(10), Duration::ZERO)
}

fn follow(leader: i32, epoch: i32) -> RoleEffect {
    RoleEffect::Follow { leader: NodeId(leader), leader_epoch: LeaderEpoch(epoch) }
}

#[test]
fn a_leader_stops_fetching_and_notes_its_epoch_before_anything_else() {
    let mut replica = Replica::new(settings());
    assert_eq!(apply(&mut replica, Some(2), (4, 1)), [RoleEffect::StopFetching, follow(2, 4)]);
    let effects = apply(&mut replica, Some(1), (5, 2));
    assert_eq!(effects[0], RoleEffect::StopFetching);
    assert_eq!(effects[1], RoleEffect::BeginEpoch { epoch: LeaderEpoch(5), start: Offset(10) });
    assert!(matches!(effects[2..], [RoleEffect::Progressed(_)]));
}

#[test]
fn a_leader_that_is_elected_again_begins_its_new_epoch() {
    let mut replica = Replica::new(settings());
    let _ = apply(&mut replica, Some(1), (5, 2));
    assert!(matches!(apply(&mut replica, Some(1), (5, 3))[..], [RoleEffect::Progressed(_)]));
    let effects = apply(&mut replica, Some(1), (7, 4));
    assert_eq!(effects[0], RoleEffect::BeginEpoch { epoch: LeaderEpoch(7), start: Offset(10) });
}

#[test]
fn who_leads_no_more_gives_up_what_waits() {
    let mut replica = Replica::new(settings());
    let _ = apply(&mut replica, Some(1), (5, 2));
    let effects = apply(&mut replica, Some(2), (6, 3));
    assert_eq!(effects, [RoleEffect::GiveUpWaiting, RoleEffect::StopFetching, follow(2, 6)]);
    assert!(replica.leader().is_none());
    assert_eq!(apply(&mut replica, None, (7, 4)), [RoleEffect::StopFetching]);
}

#[test]
fn a_follower_begins_anew_in_each_later_epoch_and_in_no_other_case() {
    let mut replica = Replica::new(settings());
    let _ = apply(&mut replica, Some(2), (4, 1));
    assert_eq!(apply(&mut replica, Some(2), (4, 2)), []);
    assert_eq!(apply(&mut replica, Some(2), (6, 3)), [RoleEffect::StopFetching, follow(2, 6)]);
}

#[test]
fn older_metadata_changes_nothing() {
    let mut replica = Replica::new(settings());
    let _ = apply(&mut replica, Some(1), (5, 5));
    let before = replica.clone();
    assert_eq!(apply(&mut replica, Some(2), (4, 6)), []);
    assert_eq!(apply(&mut replica, Some(2), (6, 4)), []);
    assert_eq!(replica, before);
}

#[test]
fn a_consumer_may_read_from_a_follower_if_it_knows_the_epoch() {
    let mut replica = Replica::new(settings());
    let log = TestLog::new(&[(1, 0)], 10);
    let ask = |replica: &Replica, epoch: Option<i32>, is_leader_only| {
        let position =
            FetchPosition { leader_epoch: epoch.map(LeaderEpoch), offset: Offset(3), last_fetched_epoch: None };
        replica.consumer_fetched(ConsumerFetch { position, is_leader_only }, &log)
    };
    assert_eq!(ask(&replica, None, false), Err(FetchRefusal::NotLeader));
    let _ = apply(&mut replica, Some(2), (4, 1));
    assert_eq!(ask(&replica, Some(4), false), Ok(FetchRead::From(Offset(3))));
    assert_eq!(ask(&replica, None, true), Err(FetchRefusal::NotLeader));
    let current = LeaderEpoch(4);
    assert_eq!(ask(&replica, Some(3), false), Err(EpochRefusal::Fenced { current }.into()));
    assert_eq!(ask(&replica, Some(5), false), Err(EpochRefusal::Unknown { current }.into()));
}

#[test]
fn who_has_missed_an_election_is_told_so_before_that_nobody_leads_here() {
    let mut replica = Replica::new(settings());
    assert_eq!(replica.leader_for(None).err(), Some(FetchRefusal::NotLeader));
    let _ = apply(&mut replica, Some(2), (4, 1));
    let current = LeaderEpoch(4);
    let ask = |replica: &mut Replica, epoch: i32| replica.leader_for(Some(LeaderEpoch(epoch))).err();
    assert_eq!(ask(&mut replica, 3), Some(EpochRefusal::Fenced { current }.into()));
    assert_eq!(ask(&mut replica, 5), Some(EpochRefusal::Unknown { current }.into()));
    assert_eq!(ask(&mut replica, 4), Some(FetchRefusal::NotLeader));
    let _ = apply(&mut replica, Some(1), (5, 2));
    assert!(ask(&mut replica, 5).is_none());
}
