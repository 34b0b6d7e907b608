//! What one step of a hosted group costs, on a log in memory: a commit of one and of 100 offsets, a heartbeat, a fetch;
//! and how fast a log of offsets is loaded.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by it")]

#[path = "../tests/memory_log/mod.rs"]
mod memory_log;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memory_log::MemoryLog;
use ottla_coordinator::{Alarm, GroupMachine, GroupRequest, Now, RecordsSettings, Shard, ShardSettings};
use ottla_env::Monotonic;
use ottla_groups::{GroupSettings, NoTopics, Request, RequestContext, Response};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::{HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest};
use ottla_records::{Compression, CompressionLevel};
use ottla_types::Timestamp;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: Now = Now { wall: Timestamp(1_700_000_000_000), monotonic: Monotonic(0) };

fn shard(log: Arc<MemoryLog>) -> Shard<GroupMachine> {
    let settings = ShardSettings {
        records: RecordsSettings {
            compression: CompressionLevel::default_of(Compression::None),
            load_bytes: 5 << 20,
            decompressed_bytes_max: 64 << 20,
        },
        commit_timeout: Duration::from_secs(5),
        parked_max: 100_000,
    };
    let groups = GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() };
    Shard::new(
        GroupMachine::new(groups, Box::new(|| Arc::new(NoTopics))),
        log,
        settings,
        Arc::new(Alarm::new(Box::new(|| ()))),
    )
}

fn request(api_version: i16, request: Request) -> GroupRequest {
    let context =
        RequestContext { api_version, client_id: "client".into(), client_host: "/127.0.0.1".into(), random: [7; 16] };
    GroupRequest { context, request }
}

fn commit(group: usize, partitions: i32, offset: i64) -> GroupRequest {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(String::new()),
        ..Default::default()
    };
    request(
        9,
        Request::OffsetCommit(OffsetCommitRequest {
            group_id: format!("group-{group}"),
            topics: vec![OffsetCommitRequestTopic {
                name: "orders".to_owned(),
                partitions: (0..partitions).map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }),
    )
}

fn answer(shard: &Shard<GroupMachine>, request: GroupRequest) -> Option<Response> {
    let cell = Arc::new(Mutex::new(None));
    let reply = cell.clone();
    shard.submit(NOW, request, Box::new(move |response| *reply.lock().unwrap() = Some(response)));
    cell.lock().unwrap().take()
}

fn steps(criterion: &mut Criterion) {
    let log = Arc::new(MemoryLog::default());
    log.forget_batches();
    let hosted = shard(log);
    hosted.load(|| NOW).unwrap();
    for group in 0..1_000 {
        answer(&hosted, commit(group, 10, 1));
    }
    let mut group = criterion.benchmark_group("step");
    for partitions in [1, 100] {
        group.throughput(Throughput::Elements(partitions as u64));
        group.bench_function(format!("commit of {partitions}"), |bencher| {
            let next = || commit(5, partitions, 77);
            bencher.iter_batched(next, |request| black_box(answer(&hosted, request)), BatchSize::SmallInput);
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("fetch of 10", |bencher| {
        let fetch = || {
            let topics = vec![OffsetFetchRequestTopics {
                name: "orders".to_owned(),
                partition_indexes: (0..10).collect(),
                ..Default::default()
            }];
            let group =
                OffsetFetchRequestGroup { group_id: "group-7".to_owned(), topics: Some(topics), ..Default::default() };
            request(9, Request::OffsetFetch { group, require_stable: true })
        };
        bencher.iter_batched(fetch, |request| black_box(answer(&hosted, request)), BatchSize::SmallInput);
    });
    let join = request(
        3,
        Request::JoinGroup(JoinGroupRequest {
            group_id: "members".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() }],
            ..Default::default()
        }),
    );
    let member = Arc::new(Mutex::new(None));
    let reply = member.clone();
    hosted.submit(NOW, join, Box::new(move |response| *reply.lock().unwrap() = Some(response)));
    hosted.tick(NOW);
    let Some(Response::JoinGroup(joined)) = member.lock().unwrap().take() else { panic!("not joined") };
    group.bench_function("heartbeat", |bencher| {
        let heartbeat = || {
            request(
                4,
                Request::Heartbeat(HeartbeatRequest {
                    group_id: "members".to_owned(),
                    generation_id: 1,
                    member_id: joined.member_id.clone(),
                    ..Default::default()
                }),
            )
        };
        bencher.iter_batched(heartbeat, |request| black_box(answer(&hosted, request)), BatchSize::SmallInput);
    });
    group.finish();
}

fn loading(criterion: &mut Criterion) {
    let log = Arc::new(MemoryLog::default());
    let writer = shard(log.clone());
    writer.load(|| NOW).unwrap();
    for group in 0..1_000 {
        answer(&writer, commit(group, 100, 1));
    }
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).throughput(Throughput::Elements(100_000));
    group.bench_function("100,000 offsets", |bencher| {
        bencher.iter(|| {
            let hosted = shard(log.clone());
            assert_eq!(hosted.load(|| NOW).unwrap().records, 100_000);
            hosted
        });
    });
    group.finish();
}

criterion_group!(benches, steps, loading);
criterion_main!(benches);
