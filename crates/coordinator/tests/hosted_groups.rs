//! The group coordinator hosted on a log: order, durability, failure, load.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod memory_log;

use memory_log::MemoryLog;
use ottla_coordinator::{
    GroupMachine, GroupRequest, LoadError, MachineLog, MarkerEpoch, Now, RecordsSettings, Runtime, Shard,
    ShardSettings, ShardState,
};
use ottla_env::Monotonic;
use ottla_groups::{GroupSettings, NoTopics, Request, RequestContext, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, SyncGroupRequest, TxnOffsetCommitRequest,
};
use ottla_records::{Compression, CompressionLevel, EndTransactionMarker, RecordBatchView};
use ottla_types::{PartitionIndex, ProducerEpoch, ProducerId, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The wall clock starts at the year 2023; the monotonic one at zero.
fn at(milliseconds: u64) -> Now {
    Now { wall: Timestamp(1_700_000_000_000 + milliseconds as i64), monotonic: Monotonic(milliseconds * 1_000_000) }
}

fn settings(compression: Compression) -> ShardSettings {
    ShardSettings {
        records: RecordsSettings {
            compression: CompressionLevel::default_of(compression),
            load_bytes: 300,
            decompressed_bytes_max: 1 << 20,
        },
        commit_timeout: Duration::from_millis(5_000),
        parked_max: 1_000,
    }
}

fn machine() -> GroupMachine {
    GroupMachine::new(
        GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() },
        Box::new(|| Arc::new(NoTopics)),
    )
}

/// A shard over a log, and the answers that came.
struct Hosted {
    log: Arc<MemoryLog>,
    shard: Arc<Shard<GroupMachine>>,
    runtime: Runtime<GroupMachine>,
    wakes: Arc<AtomicUsize>,
}

impl Hosted {
    fn new() -> Self {
        let hosted = Self::unloaded(Arc::new(MemoryLog::default()), settings(Compression::None));
        hosted.shard.load(|| at(0)).unwrap();
        hosted
    }

    fn unloaded(log: Arc<MemoryLog>, settings: ShardSettings) -> Self {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = wakes.clone();
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let runtime = Runtime::new(settings, Box::new(wake));
        let shard = runtime.open(PartitionIndex(0), machine(), log.clone());
        Self { log, shard, runtime, wakes }
    }

    /// Sends a request; the answer appears in the cell.
    fn send(&self, now: u64, api_version: i16, request: Request) -> Arc<Mutex<Option<Response>>> {
        let cell = Arc::new(Mutex::new(None));
        let answer = cell.clone();
        let context = RequestContext {
            api_version,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            random: [now as u8; 16],
        };
        let reply_to = move |response| {
            let previous = answer.lock().unwrap().replace(response);
            assert!(previous.is_none(), "answered twice");
        };
        self.runtime.submit(at(now), PartitionIndex(0), GroupRequest { context, request }, Box::new(reply_to));
        cell
    }

    fn commit(&self, now: u64, offset: i64) -> Arc<Mutex<Option<Response>>> {
        self.send(now, 9, Request::OffsetCommit(commit_request(offset)))
    }

    fn committed(&self) -> Option<i64> {
        self.shard.with_machine(|machine| {
            machine.coordinator.committed_offset("group", "t", 0).map_or(-1, |committed| committed.offset.value())
        })
    }
}

fn commit_request(offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: "group".to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn error(cell: &Mutex<Option<Response>>) -> Option<ErrorCode> {
    let code = match cell.lock().unwrap().as_ref()? {
        Response::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
        Response::TxnOffsetCommit(response) => response.topics[0].partitions[0].error_code,
        Response::JoinGroup(response) => response.error_code,
        Response::SyncGroup(response) => response.error_code,
        Response::Heartbeat(response) => response.error_code,
        other => panic!("{other:?}"),
    };
    Some(ErrorCode::from_code(code).unwrap())
}

fn join_request() -> Request {
    Request::JoinGroup(JoinGroupRequest {
        group_id: "group".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() }],
        ..Default::default()
    })
}

#[test]
fn a_commit_is_answered_when_the_high_watermark_has_passed_it_not_before() {
    let hosted = Hosted::new();
    hosted.log.hold_back(true);
    let first = hosted.commit(0, 1);
    let second = hosted.commit(1, 2);
    assert_eq!((error(&first), error(&second)), (None, None));
    hosted.shard.on_high_watermark(at(2));
    assert_eq!(error(&first), None);
    hosted.log.hold_back(false);
    hosted.shard.on_high_watermark(at(3));
    assert_eq!((error(&first), error(&second)), (Some(ErrorCode::None), Some(ErrorCode::None)));
}

#[test]
fn what_an_append_sets_free_may_ask_the_same_coordinator() {
    let (ended, end) = std::sync::mpsc::channel();
    // In a thread: if it waits for itself, it does so for ever.
    std::thread::spawn(move || {
        let hosted = Arc::new(Hosted::new());
        let (asking, answers) = (hosted.clone(), Arc::new(Mutex::new(None)));
        let answer = answers.clone();
        hosted.log.on_announcement(move || *answer.lock().unwrap() = Some(asking.commit(2, 43)));
        let first = hosted.commit(1, 42);
        let second = answers.lock().unwrap().take().expect("the append is announced");
        let committed = (error(&first), error(&second), hosted.committed());
        ended.send(committed).unwrap();
    });
    let committed = end.recv_timeout(Duration::from_secs(60)).expect("nobody waits for himself");
    assert_eq!(committed, (Some(ErrorCode::None), Some(ErrorCode::None), Some(43)));
}

#[test]
fn an_answer_without_records_waits_for_what_was_written_before_it() {
    let hosted = Hosted::new();
    hosted.log.hold_back(true);
    hosted.commit(0, 1);
    let group = OffsetFetchRequestGroup { group_id: "group".to_owned(), ..Default::default() };
    let fetch = hosted.send(1, 9, Request::OffsetFetch { group, require_stable: true });
    assert!(fetch.lock().unwrap().is_none());
    hosted.log.hold_back(false);
    hosted.shard.on_high_watermark(at(2));
    assert!(fetch.lock().unwrap().is_some());
}

#[test]
fn a_commit_that_is_not_committed_in_time_is_answered_so() {
    let hosted = Hosted::new();
    hosted.log.hold_back(true);
    let answer = hosted.commit(0, 1);
    assert_eq!(hosted.runtime.tick(at(4_999)), Some(at(5_000).monotonic));
    assert_eq!(error(&answer), None);
    hosted.runtime.tick(at(5_000));
    assert_eq!(error(&answer), Some(ErrorCode::CoordinatorNotAvailable));
    // The record is in the log all the same, and counts.
    hosted.log.hold_back(false);
    hosted.shard.on_high_watermark(at(5_001));
    assert_eq!(hosted.committed(), Some(1));
}

#[test]
fn a_refused_append_is_answered_and_changes_nothing() {
    let hosted = Hosted::new();
    hosted.log.set_error(Some(ErrorCode::KafkaStorageError));
    assert_eq!(error(&hosted.commit(0, 1)), Some(ErrorCode::NotCoordinator));
    hosted.log.set_error(None);
    assert_eq!(hosted.committed(), Some(-1));
}

#[test]
fn records_that_do_not_fit_one_batch_are_refused_together() {
    let hosted = Hosted::new();
    hosted.log.set_batch_bytes_max(200);
    let mut request = commit_request(1);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        (0..20).map(|partition_index| OffsetCommitRequestPartition { partition_index, ..partition.clone() }).collect();
    assert_eq!(error(&hosted.send(0, 9, Request::OffsetCommit(request))), Some(ErrorCode::UnknownServerError));
    assert_eq!(hosted.log.batches(), 0);
}

#[test]
fn tombstones_of_a_deleted_topic_are_spread_over_batches_as_needed() {
    let hosted = Hosted::new();
    let mut request = commit_request(1);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        (0..100).map(|partition_index| OffsetCommitRequestPartition { partition_index, ..partition.clone() }).collect();
    hosted.send(0, 9, Request::OffsetCommit(request));
    assert_eq!(hosted.log.batches(), 1);
    hosted.log.set_batch_bytes_max(500);
    let topic = ottla_groups::DeletedTopic { name: "t".to_owned(), id: ottla_types::TopicId::from_u128(7) };
    let answer = hosted.send(1, 0, Request::TopicsDeleted(vec![topic]));
    assert_eq!(*answer.lock().unwrap(), Some(Response::TopicsDeleted));
    assert!(hosted.log.batches() > 5, "{}", hosted.log.batches());
    assert_eq!(hosted.shard.with_machine(|machine| machine.coordinator.sizes().1), Some(0));
}

#[test]
fn requests_are_refused_while_loading_and_after_unloading() {
    let hosted = Hosted::unloaded(Arc::new(MemoryLog::default()), settings(Compression::None));
    assert_eq!(hosted.shard.state(), ShardState::Loading);
    assert_eq!(error(&hosted.commit(0, 1)), Some(ErrorCode::CoordinatorLoadInProgress));
    // A member need not know that its coordinator is still reading.
    let heartbeat = hosted.send(0, 4, Request::Heartbeat(HeartbeatRequest::default()));
    assert_eq!(error(&heartbeat), Some(ErrorCode::None));
    hosted.shard.load(|| at(1)).unwrap();
    assert_eq!(error(&hosted.commit(1, 1)), Some(ErrorCode::None));
    hosted.log.hold_back(true);
    let waits = hosted.commit(2, 2);
    hosted.runtime.unload(PartitionIndex(0));
    assert_eq!(error(&waits), Some(ErrorCode::NotCoordinator));
    assert_eq!(error(&hosted.commit(3, 3)), Some(ErrorCode::NotCoordinator));
    assert_eq!(hosted.shard.state(), ShardState::Closed);
}

/// Has one member join and get its assignment, from 60 to 61 ms. Gives its request for the assignment.
fn begin_group(hosted: &Hosted) -> SyncGroupRequest {
    let joined = hosted.send(60, 3, join_request());
    assert_eq!(error(&joined), None, "waits for the timer");
    hosted.runtime.tick(at(60));
    assert_eq!(error(&joined), Some(ErrorCode::None));
    let Some(Response::JoinGroup(joined)) = joined.lock().unwrap().clone() else { panic!() };
    let sync = SyncGroupRequest {
        group_id: "group".to_owned(),
        generation_id: 1,
        member_id: joined.member_id.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: bytes::Bytes::from_static(b"all"),
            ..Default::default()
        }],
        ..Default::default()
    };
    let synced = hosted.send(61, 4, Request::SyncGroup(sync.clone()));
    assert_eq!(error(&synced), Some(ErrorCode::None));
    sync
}

#[test]
fn sessions_begin_when_a_load_ends_however_long_it_took() {
    let hosted = Hosted::new();
    let member_id = begin_group(&hosted).member_id;
    let again = Hosted::unloaded(hosted.log.clone(), settings(Compression::None));
    let looks = AtomicUsize::new(0);
    let slow = || if looks.fetch_add(1, Ordering::Relaxed) == 0 { at(100) } else { at(60_000) };
    again.shard.load(slow).unwrap();
    again.runtime.tick(at(60_001));
    let beat = HeartbeatRequest { group_id: "group".to_owned(), generation_id: 1, member_id, ..Default::default() };
    assert_eq!(error(&again.send(60_002, 4, Request::Heartbeat(beat))), Some(ErrorCode::None));
}

#[test]
fn a_loaded_shard_is_where_the_old_one_was_whatever_the_codec() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let hosted = Hosted::unloaded(Arc::new(MemoryLog::default()), settings(compression));
        hosted.shard.load(|| at(0)).unwrap();
        for offset in 0..50 {
            hosted.commit(offset, offset as i64);
        }
        let sync = begin_group(&hosted);

        let again = Hosted::unloaded(hosted.log.clone(), settings(compression));
        let summary = again.shard.load(|| at(100)).unwrap();
        assert_eq!((summary.records, summary.unknown), (51, 0), "{compression:?}");
        assert_eq!(again.committed(), Some(49));
        let synced = again.send(101, 4, Request::SyncGroup(sync));
        let Some(Response::SyncGroup(synced)) = synced.lock().unwrap().clone() else { panic!() };
        assert_eq!(&synced.assignment[..], b"all");
        let read = RecordBatchView::parse(&hosted.log.bytes()).unwrap().compression().unwrap();
        assert_eq!(read, compression);
    }
}

#[test]
fn a_damaged_log_makes_the_shard_fail_and_nothing_be_served() {
    let hosted = Hosted::new();
    hosted.commit(0, 1);
    hosted.commit(1, 2);
    hosted.log.damage(1, 70);
    let again = Hosted::unloaded(hosted.log.clone(), settings(Compression::None));
    assert!(matches!(again.shard.load(|| at(2)), Err(LoadError::Checksum(_))));
    assert_eq!(again.shard.state(), ShardState::Failed);
    assert_eq!(error(&again.commit(3, 1)), Some(ErrorCode::NotCoordinator));
    assert!(again.shard.load(|| at(4)).is_err());
}

#[test]
fn transactional_offsets_count_from_their_marker_on_also_after_a_load() {
    let hosted = Hosted::new();
    let request = |producer_id, offset| {
        Request::TxnOffsetCommit(TxnOffsetCommitRequest {
            group_id: "group".to_owned(),
            producer_id,
            producer_epoch: 3,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "t".to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
                ..Default::default()
            }],
            ..Default::default()
        })
    };
    let end = |producer_id, is_commit| {
        let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
        hosted
            .shard
            .end_transaction(at(9), ProducerId(producer_id), ProducerEpoch(3), marker, MarkerEpoch::Same)
            .unwrap()
    };
    assert_eq!(error(&hosted.send(0, 5, request(1, 10))), Some(ErrorCode::None));
    assert_eq!(hosted.committed(), Some(-1));
    end(1, true);
    assert_eq!(hosted.committed(), Some(10));
    hosted.send(1, 5, request(2, 20));
    end(2, false);
    hosted.send(2, 5, request(4, 40));
    assert_eq!(hosted.committed(), Some(10));
    let bytes = hosted.log.bytes();
    let first = RecordBatchView::parse(&bytes).unwrap();
    assert!(first.is_transactional() && first.producer_id() == ProducerId(1));
    let again = Hosted::unloaded(hosted.log.clone(), settings(Compression::None));
    again.shard.load(|| at(3)).unwrap();
    assert_eq!(again.committed(), Some(10));
    again
        .shard
        .end_transaction(
            at(4),
            ProducerId(4),
            ProducerEpoch(3),
            EndTransactionMarker { is_commit: true, coordinator_epoch: 0 },
            MarkerEpoch::Same,
        )
        .unwrap();
    assert_eq!(again.committed(), Some(40));
}

#[test]
fn the_ticking_thread_is_woken_only_for_an_earlier_deadline() {
    let hosted = Hosted::new();
    // The expiry check.
    assert_eq!(hosted.wakes.load(Ordering::Relaxed), 1);
    assert_eq!(hosted.runtime.tick(at(1)), Some(at(600_000).monotonic));
    hosted.send(2, 9, join_request());
    assert_eq!(hosted.wakes.load(Ordering::Relaxed), 2);
    assert_eq!(hosted.runtime.tick(at(3)), Some(at(10_002).monotonic));
    hosted.send(4, 9, join_request());
    assert_eq!(hosted.wakes.load(Ordering::Relaxed), 2);
}

#[test]
fn too_many_waiting_steps_are_refused() {
    let hosted = Hosted::unloaded(
        Arc::new(MemoryLog::default()),
        ShardSettings { parked_max: 3, ..settings(Compression::None) },
    );
    hosted.shard.load(|| at(0)).unwrap();
    hosted.log.hold_back(true);
    let answers: Vec<_> = (0..4).map(|offset| hosted.commit(offset, offset as i64)).collect();
    assert_eq!(error(&answers[2]), None);
    assert_eq!(error(&answers[3]), Some(ErrorCode::CoordinatorNotAvailable));
}

#[test]
fn many_threads_commit_and_each_gets_its_answer_while_the_high_watermark_moves() {
    let hosted = Arc::new(Hosted::new());
    hosted.log.hold_back(true);
    let answers: Mutex<Vec<_>> = Mutex::new(Vec::new());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let committers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for offset in 0..200 {
                        let answer = hosted.commit(offset, offset as i64);
                        answers.lock().unwrap().push(answer);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                hosted.log.hold_back(false);
                hosted.shard.on_high_watermark(at(0));
                hosted.log.hold_back(true);
            }
        });
        committers.into_iter().for_each(|committer| committer.join().unwrap());
        stop.store(true, Ordering::SeqCst);
    });
    hosted.log.hold_back(false);
    hosted.shard.on_high_watermark(at(0));
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), 800);
    assert!(answers.iter().all(|answer| error(answer) == Some(ErrorCode::None)));
    assert_eq!(hosted.log.end_offset().unwrap().value(), 800);
}
