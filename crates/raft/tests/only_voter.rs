//! A quorum of one takes the same path as any, without waiting for anybody.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use core::time::Duration;
use ottla_protocol::raft_records::{LeaderChangeMessage, leader_change_message};
use ottla_raft::{
    BatchSummary, ControlRecord, ControllerEndpoint, Effect, ElectionState, Event, Fault, KraftVersion, LogState,
    Membership, Raft, ReplicaKey, Settings, SnapshotId, Timeouts, Voter, VoterSet,
};
use ottla_types::{DirectoryId, LeaderEpoch, NodeId, Offset};

const NOW: Duration = Duration::from_secs(5);

fn local() -> ReplicaKey {
    ReplicaKey::new(NodeId(1), DirectoryId::from_u128(0xd1))
}

fn endpoints(port: u16) -> Vec<ControllerEndpoint> {
    vec![ControllerEndpoint { name: "CONTROLLER".to_owned(), host: "localhost".to_owned(), port }]
}

fn settings() -> Settings {
    let voter = Voter::new(ReplicaKey { id: NodeId(1), directory: None }, endpoints(9093));
    Settings {
        local: local(),
        cluster_id: "c".to_owned(),
        listener: "CONTROLLER".to_owned(),
        endpoints: endpoints(9093),
        static_voters: VoterSet::new([voter]),
        bootstrap_servers: Vec::new(),
        membership: Membership::Voter,
        timeouts: Timeouts::default(),
        fetch_bytes_max: 1 << 20,
        fetch_snapshot_bytes_max: 1 << 20,
        seed: 1,
    }
}

fn log_to(end: i64, epoch: i32) -> LogState {
    let mut log = LogState::default();
    let batch = BatchSummary {
        base_offset: Offset(0),
        last_offset: Offset(end - 1),
        epoch: LeaderEpoch(epoch),
        control: Vec::new(),
    };
    log.note_durable(&batch).unwrap();
    log
}

/// The log of a node that was formatted with itself as the only voter.
fn formatted(version: KraftVersion, port: u16) -> LogState {
    let voters = VoterSet::new([Voter::new(local(), endpoints(port))]);
    LogState::from_snapshot(SnapshotId::BOOTSTRAP, 100, version, Some(voters))
}

fn leads(epoch: i32) -> ElectionState {
    ElectionState { epoch: LeaderEpoch(epoch), leader: Some(NodeId(1)), voted: None }
}

fn leader_change() -> ControlRecord {
    let voter = leader_change_message::Voter { voter_id: 1, ..Default::default() };
    ControlRecord::LeaderChange(LeaderChangeMessage {
        leader_id: 1,
        voters: vec![voter.clone()],
        granting_voters: vec![voter],
        ..Default::default()
    })
}

fn appended(effects: &[Effect]) -> &[ControlRecord] {
    let records = effects.iter().find_map(|effect| match effect {
        Effect::AppendControlRecords { records, .. } => Some(records),
        _ => None,
    });
    records.expect("a leader starts its epoch with a record")
}

#[test]
fn the_only_voter_leads_epoch_1_of_a_new_log_at_once() {
    let (mut raft, effects) = Raft::start(settings(), None, LogState::default(), NOW);
    let start =
        Effect::AppendControlRecords { base_offset: Offset(0), epoch: LeaderEpoch(1), records: vec![leader_change()] };
    assert_eq!(effects, [Effect::PersistElection(leads(1)), start]);
    assert!(raft.is_leader());
    assert_eq!((raft.high_watermark(), raft.next_deadline()), (None, None));
    assert_eq!(raft.step(NOW, Event::Appended { end: Offset(1) }), []);
    assert_eq!(
        raft.step(NOW, Event::Flushed { end: Offset(1) }),
        [Effect::HighWatermarkAdvanced(Offset(1)), Effect::BecameLeader { epoch: LeaderEpoch(1) }]
    );
    assert_eq!(raft.step(NOW, Event::Flushed { end: Offset(1) }), []);
    assert_eq!(raft.step(NOW, Event::Appended { end: Offset(4) }), []);
    assert_eq!(raft.step(NOW, Event::Flushed { end: Offset(4) }), [Effect::HighWatermarkAdvanced(Offset(4))]);
    // Nothing is ever due.
    assert_eq!(raft.step(NOW * 1_000, Event::Tick), []);
}

#[test]
fn a_restarted_leader_opens_the_next_epoch() {
    let (raft, effects) = Raft::start(settings(), Some(leads(4)), log_to(100, 4), NOW);
    assert_eq!(effects[0], Effect::PersistElection(leads(5)));
    assert_eq!(raft.epoch(), LeaderEpoch(5));
}

#[test]
fn records_of_earlier_epochs_are_committed_with_the_first_record_of_the_new_one() {
    let (mut raft, _) = Raft::start(settings(), Some(leads(4)), log_to(100, 4), NOW);
    assert_eq!(raft.step(NOW, Event::Flushed { end: Offset(100) }), []);
    assert_eq!(
        raft.step(NOW, Event::Flushed { end: Offset(101) }),
        [Effect::HighWatermarkAdvanced(Offset(101)), Effect::BecameLeader { epoch: LeaderEpoch(5) }]
    );
}

#[test]
fn an_epoch_is_never_used_twice_although_the_file_is_older_than_the_log() {
    let (raft, effects) = Raft::start(settings(), Some(leads(2)), log_to(100, 9), NOW);
    assert_eq!(effects[0], Effect::PersistElection(leads(10)));
    assert_eq!(raft.epoch(), LeaderEpoch(10));
}

#[test]
fn a_vote_or_a_leader_of_an_earlier_configuration_does_not_hinder_the_only_voter() {
    let other = ElectionState { epoch: LeaderEpoch(3), leader: Some(NodeId(2)), voted: None };
    let voted = ElectionState { epoch: LeaderEpoch(3), leader: None, voted: Some(local()) };
    for persisted in [other, voted] {
        let (raft, _) = Raft::start(settings(), Some(persisted), log_to(7, 3), NOW);
        assert_eq!((raft.epoch(), raft.leader()), (LeaderEpoch(4), Some(NodeId(1))));
    }
}

#[test]
fn with_dynamic_voters_the_first_leader_writes_them_into_the_log() {
    let types = |log: LogState| {
        let (_, effects) = Raft::start(settings(), None, log, NOW);
        appended(&effects).iter().map(ControlRecord::type_code).collect::<Vec<_>>()
    };
    assert_eq!(types(formatted(KraftVersion::Dynamic, 9093)), [2, 5, 6]);
    let voters = VoterSet::new([Voter::new(local(), endpoints(9093))]);
    let stated = BatchSummary {
        base_offset: Offset(0),
        last_offset: Offset(0),
        epoch: LeaderEpoch(1),
        control: vec![(Offset(0), ControlRecord::Voters(voters.to_record()))],
    };
    let mut log = formatted(KraftVersion::Dynamic, 9093);
    log.note_durable(&stated).unwrap();
    assert_eq!(types(log), [2]);
}

#[test]
fn a_leader_that_has_moved_states_its_new_endpoint() {
    let mut log = formatted(KraftVersion::Dynamic, 1_111);
    let voters = VoterSet::new([Voter::new(local(), endpoints(1_111))]);
    let stated = BatchSummary {
        base_offset: Offset(0),
        last_offset: Offset(0),
        epoch: LeaderEpoch(1),
        control: vec![(Offset(0), ControlRecord::Voters(voters.to_record()))],
    };
    log.note_durable(&stated).unwrap();
    let (raft, effects) = Raft::start(settings(), None, log, NOW);
    assert_eq!(appended(&effects).len(), 3);
    assert_eq!(raft.voters().iter().next().unwrap().endpoints, endpoints(9093));
}

#[test]
fn a_leader_that_stops_commits_nothing_more_and_stands_for_no_election() {
    let (mut raft, _) = Raft::start(settings(), None, LogState::default(), NOW);
    raft.step(NOW, Event::Flushed { end: Offset(1) });
    let epoch = LeaderEpoch(1);
    let leaves = [Effect::LostLeadership { epoch }, Effect::LeaderChanged { epoch, leader: None }];
    assert_eq!(raft.step(NOW, Event::Stop), leaves);
    assert_eq!(raft.step(NOW, Event::Flushed { end: Offset(5) }), []);
    assert_eq!(raft.step(NOW, Event::Stop), []);
    assert_eq!(raft.leader(), None);
    assert_eq!(raft.step(NOW * 1_000, Event::Tick), []);
}

#[test]
fn a_leader_whose_controller_gives_up_leads_the_next_epoch_after_a_while() {
    let (mut raft, _) = Raft::start(settings(), None, LogState::default(), NOW);
    raft.step(NOW, Event::Flushed { end: Offset(1) });
    raft.step(NOW, Event::Resign);
    let deadline = raft.next_deadline().unwrap();
    assert!(deadline > NOW);
    raft.step(deadline, Event::Tick);
    assert_eq!((raft.leader(), raft.epoch()), (Some(NodeId(1)), LeaderEpoch(3)));
}

#[test]
fn epochs_that_are_used_up_are_a_fault_and_not_a_wrap() {
    let (raft, effects) = Raft::start(settings(), Some(leads(i32::MAX)), log_to(1, 1), NOW);
    assert_eq!(effects, [Effect::Fault(Fault::EpochsExhausted(LeaderEpoch(i32::MAX)))]);
    assert!(!raft.is_leader());
}

#[test]
fn static_voters_move_into_the_log_with_kraft_version_1() {
    let (mut raft, _) = Raft::start(settings(), None, LogState::default(), NOW);
    raft.step(NOW, Event::Flushed { end: Offset(1) });
    let epoch = LeaderEpoch(1);
    assert_eq!(raft.upgrade_kraft_version(NOW, epoch, KraftVersion::Dynamic, true), Ok(vec![]));
    assert_eq!(raft.kraft_version(), KraftVersion::Static);
    let effects = raft.upgrade_kraft_version(NOW, epoch, KraftVersion::Dynamic, false).unwrap();
    let types: Vec<i16> = appended(&effects).iter().map(ControlRecord::type_code).collect();
    assert_eq!((types, raft.kraft_version()), (vec![5, 6], KraftVersion::Dynamic));
    assert_eq!(raft.voters().iter().next().unwrap().key, local());
    assert!(raft.upgrade_kraft_version(NOW, epoch, KraftVersion::Static, false).is_err());
    assert!(raft.upgrade_kraft_version(NOW, LeaderEpoch(7), KraftVersion::Dynamic, false).is_err());
    // Its own durable end commits the voters, as everything.
    assert_eq!(raft.step(NOW, Event::Flushed { end: Offset(3) }), [Effect::HighWatermarkAdvanced(Offset(3))]);
}
