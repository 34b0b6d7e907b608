//! A follower whose leader says what can't be: nothing of it gets into the log, nothing committed is cut, and the fault is told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use core::time::Duration;
use ottla_protocol::messages::{BeginQuorumEpochRequest, FetchSnapshotResponse};
use ottla_protocol::messages::{FetchResponse, begin_quorum_epoch_request, fetch_response};
use ottla_raft::{
    BadBatch, BatchSummary, Call, CallId, ControlRecord, ControllerEndpoint, Effect, Event, Fault, KraftVersion,
    LogState, Membership, OffsetAndEpoch, Raft, ReplicaKey, Request, RequestId, Response, Settings, SnapshotId,
    Timeouts, Voter, VoterSet,
};
use ottla_types::{DirectoryId, LeaderEpoch, NodeId, Offset, Uuid};

const EPOCH: i32 = 3;
/// Where the follower's log ends, with a record of epoch 2; all of it is committed but the last record.
const END: i64 = 10;
const COMMITTED: i64 = 9;

fn voter(id: i32) -> Voter {
    let endpoint = ControllerEndpoint { name: "CONTROLLER".to_owned(), host: format!("n{id}"), port: 9093 };
    Voter::new(
        ReplicaKey::new(NodeId(id), DirectoryId::from_u128(0xd0 + u128::from(id.unsigned_abs()))),
        vec![endpoint],
    )
}

fn voters(ids: &[i32]) -> VoterSet {
    VoterSet::new(ids.iter().map(|id| voter(*id)))
}

fn batch(base: i64, last: i64, epoch: i32) -> BatchSummary {
    let epoch = LeaderEpoch(epoch);
    BatchSummary { base_offset: Offset(base), last_offset: Offset(last), epoch, control: Vec::new() }
}

/// A follower of node 2 that has just asked for what comes next.
struct Follower {
    raft: Raft,
    asked: RequestId,
}

impl Follower {
    fn new() -> Self {
        let mut log =
            LogState::from_snapshot(SnapshotId::BOOTSTRAP, 1, KraftVersion::Dynamic, Some(voters(&[1, 2, 3])));
        let stated = ControlRecord::Voters(voters(&[1, 2, 3]).to_record());
        let first = BatchSummary { control: vec![(Offset(0), stated)], ..batch(0, 0, 1) };
        [first, batch(1, 4, 1), batch(5, END - 1, 2)].iter().for_each(|batch| log.note_durable(batch).unwrap());
        let settings = Settings {
            local: voter(1).key,
            cluster_id: "c".to_owned(),
            listener: "CONTROLLER".to_owned(),
            endpoints: voter(1).endpoints,
            static_voters: VoterSet::default(),
            bootstrap_servers: Vec::new(),
            membership: Membership::Voter,
            timeouts: Timeouts::default(),
            fetch_bytes_max: 1 << 20,
            fetch_snapshot_bytes_max: 1 << 20,
            seed: 1,
        };
        let (raft, _) = Raft::start(settings, None, log, Duration::ZERO);
        let mut follower = Self { raft, asked: RequestId(0) };
        let leads =
            begin_quorum_epoch_request::PartitionData { leader_id: 2, leader_epoch: EPOCH, ..Default::default() };
        let topic = begin_quorum_epoch_request::TopicData {
            topic_name: "__cluster_metadata".to_owned(),
            partitions: vec![leads],
            ..Default::default()
        };
        let request = Request::BeginQuorumEpoch(BeginQuorumEpochRequest { topics: vec![topic], ..Default::default() });
        let call = Call { id: CallId(1), version: 1, listener: "CONTROLLER".to_owned(), request };
        let effects = follower.raft.step(Duration::ZERO, Event::Called(call));
        follower.note_asked(&effects);
        // What is committed is known from the leader.
        let effects = follower.told(|partition| partition.high_watermark = COMMITTED, Vec::new());
        follower.note_asked(&effects);
        follower
    }

    fn note_asked(&mut self, effects: &[Effect]) {
        let asked = effects.iter().find_map(|effect| match effect {
            Effect::Send { request, message: Request::Fetch(_), .. } => Some(*request),
            _ => None,
        });
        self.asked = asked.expect("it fetches");
    }

    /// The leader's answer to what was asked, and all that follows.
    fn told(&mut self, change: impl Fn(&mut fetch_response::PartitionData), batches: Vec<BatchSummary>) -> Vec<Effect> {
        let mut partition = fetch_response::PartitionData {
            high_watermark: -1,
            current_leader: fetch_response::LeaderIdAndEpoch {
                leader_id: 2,
                leader_epoch: EPOCH,
                ..Default::default()
            },
            records: ottla_protocol::RecordSet::from(bytes::Bytes::from_static(if batches.is_empty() {
                b""
            } else {
                b"x"
            })),
            ..Default::default()
        };
        change(&mut partition);
        let topic = fetch_response::FetchableTopicResponse {
            topic_id: Uuid::METADATA_TOPIC,
            partitions: vec![partition],
            ..Default::default()
        };
        let response = FetchResponse { responses: vec![topic], ..Default::default() };
        let response = Response::Fetch(response, batches);
        self.raft.step(Duration::ZERO, Event::Answered { request: self.asked, response })
    }

    /// After this answer the log is as it was, and this fault is told, if any.
    fn refuses(change: impl Fn(&mut fetch_response::PartitionData), batches: Vec<BatchSummary>, fault: Option<Fault>) {
        let mut follower = Self::new();
        assert_eq!(follower.raft.high_watermark(), Some(Offset(COMMITTED)));
        let before = follower.raft.log().clone();
        let effects = follower.told(change, batches);
        assert_eq!(follower.raft.log(), &before, "{effects:?}");
        assert_eq!(follower.raft.high_watermark(), Some(Offset(COMMITTED)));
        let touches = |effect: &Effect| {
            matches!(effect, Effect::AppendFetched { .. } | Effect::Truncate { .. } | Effect::InstallSnapshot { .. })
        };
        assert!(!effects.iter().any(touches), "{effects:?}");
        let faults: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Fault(_))).cloned().collect();
        assert_eq!(faults, fault.map(Effect::Fault).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn batches_that_do_not_follow_are_not_appended() {
    let at = |base: i64, last: i64| {
        Fault::BadBatch(BadBatch::Offset { base: Offset(base), last: Offset(last), end: Offset(END) })
    };
    Follower::refuses(|_| (), vec![batch(END + 1, END + 2, EPOCH)], Some(at(END + 1, END + 2)));
    Follower::refuses(|_| (), vec![batch(END - 1, END, EPOCH)], Some(at(END - 1, END)));
    Follower::refuses(|_| (), vec![batch(END, END - 1, EPOCH)], Some(at(END, END - 1)));
    Follower::refuses(|_| (), vec![batch(END, i64::MAX, EPOCH)], Some(at(END, i64::MAX)));
    // Bytes in which nothing is whole.
    let noise = ottla_protocol::RecordSet::from(bytes::Bytes::from_static(b"noise"));
    Follower::refuses(move |partition| partition.records = noise.clone(), Vec::new(), None);
}

#[test]
fn batches_of_epochs_that_were_or_are_not_yet_are_not_appended() {
    let of = |epoch: i32| {
        let (epoch, before, current) = (LeaderEpoch(epoch), LeaderEpoch(2), LeaderEpoch(EPOCH));
        Fault::BadBatch(BadBatch::Epoch { epoch, before, current })
    };
    Follower::refuses(|_| (), vec![batch(END, END, 1)], Some(of(1)));
    Follower::refuses(|_| (), vec![batch(END, END, EPOCH + 1)], Some(of(EPOCH + 1)));
}

#[test]
fn voters_that_share_no_majority_with_those_before_are_not_taken_over() {
    let stated = ControlRecord::Voters(voters(&[1]).to_record());
    let shrunk = BatchSummary { control: vec![(Offset(END), stated)], ..batch(END, END, EPOCH) };
    Follower::refuses(|_| (), vec![shrunk], Some(Fault::BadBatch(BadBatch::Voters(Offset(END)))));
}

#[test]
fn what_is_committed_is_neither_cut_nor_replaced_by_less() {
    let common = OffsetAndEpoch { offset: Offset(3), epoch: LeaderEpoch(1) };
    let committed = Offset(COMMITTED);
    let diverges = |offset: i64, epoch: i32| {
        move |partition: &mut fetch_response::PartitionData| {
            partition.diverging_epoch.end_offset = offset;
            partition.diverging_epoch.epoch = epoch;
        }
    };
    Follower::refuses(diverges(3, 1), Vec::new(), Some(Fault::CommittedTruncated { common, committed }));
    // It finds fault with the log and with nothing in it.
    Follower::refuses(diverges(END, 2), Vec::new(), None);
    let id = SnapshotId(common);
    let snapshot = |partition: &mut fetch_response::PartitionData| {
        partition.snapshot_id.end_offset = 3;
        partition.snapshot_id.epoch = 1;
    };
    Follower::refuses(snapshot, Vec::new(), Some(Fault::SnapshotTooOld { id, committed }));
}

#[test]
fn answers_that_nobody_asked_for_and_of_other_things_change_nothing() {
    Follower::refuses(|partition| partition.partition_index = 1, vec![batch(END, END, EPOCH)], None);
    let mut follower = Follower::new();
    let before = follower.raft.log().clone();
    let snapshot = Response::FetchSnapshot(FetchSnapshotResponse::default());
    follower.raft.step(Duration::ZERO, Event::Answered { request: follower.asked, response: snapshot });
    follower.asked = RequestId(99);
    follower.told(|_| (), vec![batch(END, END, EPOCH)]);
    assert_eq!(follower.raft.log(), &before);
}
