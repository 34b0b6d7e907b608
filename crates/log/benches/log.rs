//! The log beside bare probes of the same input and output, in the same run.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use ottla_env::{Disk, OpenMode};
use ottla_env_os::{OsClock, OsDisk, OsRandom};
use ottla_log::format::MetaProperties;
use ottla_log::{
    AppendOrigin, DirectoriesOptions, Environment, Log, LogConfig, LogDirectories, ReadBound, ReadRequest,
    TransactionCheck, format_directory,
};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{BrokerEpoch, DirectoryId, LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Written per measurement: much less than memory, so that the page cache and not the disk is measured.
const BYTES: usize = 64 << 20;
const CLIENT: AppendOrigin = AppendOrigin::Client { transaction: TransactionCheck::Unverified };

fn environment() -> Environment {
    Environment { disk: Arc::new(OsDisk), clock: Arc::new(OsClock::new()), random: Arc::new(OsRandom) }
}

fn format(path: &Path) {
    let properties = MetaProperties {
        cluster_id: "bench".to_owned(),
        node_id: NodeId(1),
        directory_id: Some(DirectoryId::from_u128(1 << 100)),
    };
    format_directory(&environment(), path, &properties).unwrap();
}

fn open(path: &Path) -> LogDirectories {
    LogDirectories::open(environment(), &[path.to_owned()], DirectoriesOptions::default()).unwrap()
}

fn create(directories: &LogDirectories, number: i32) -> Arc<Log> {
    let partition = TopicPartition::new("bench", number);
    directories.get_or_create(&partition, None, LogConfig::default(), None).unwrap()
}

/// A batch of about so many bytes.
fn batch(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let value = vec![b'x'; 1000.min(bytes / 2)];
    loop {
        let record = RecordToWrite { timestamp: Timestamp(1), key: None, value: Some(&value), headers: &[] };
        builder.append(&record).unwrap();
        if builder.uncompressed_size() + value.len() + 20 >= bytes {
            break;
        }
    }
    builder.build_vec(&mut Compressor::default()).unwrap()
}

/// Writes the same bytes to a file, and nothing else. The file begins anew after so many.
fn bare_write(path: &Path, batch: &[u8], count: u64, rounds: u64) -> Duration {
    let mut taken = Duration::ZERO;
    for first in (0..rounds).step_by(count as usize) {
        let file = OsDisk.open(path, OpenMode::CreateTruncate).unwrap();
        let start = Instant::now();
        for number in 0..count.min(rounds - first) {
            file.write_at(batch, number * batch.len() as u64).unwrap();
        }
        taken += start.elapsed();
    }
    taken
}

fn fresh(root: &Path) -> (LogDirectories, Arc<Log>) {
    let path = root.join("data");
    let _ = std::fs::remove_dir_all(&path);
    format(&path);
    let directories = open(&path);
    let log = create(&directories, 0);
    // The first append writes the leader epochs; that is not of this measurement.
    log.append_as_leader(&mut batch(100), LeaderEpoch(0), CLIENT).unwrap();
    (directories, log)
}

fn append(root: &Path, batch: &[u8], count: u64, rounds: u64) -> Duration {
    let mut batch = batch.to_vec();
    let mut taken = Duration::ZERO;
    for first in (0..rounds).step_by(count as usize) {
        let (_directories, log) = fresh(root);
        let start = Instant::now();
        for _ in 0..count.min(rounds - first) {
            // A client's batch begins at offset 0.
            batch[..8].fill(0);
            log.append_as_leader(&mut batch, LeaderEpoch(0), CLIENT).unwrap();
        }
        taken += start.elapsed();
    }
    taken
}

fn appends(criterion: &mut Criterion) {
    let temporary = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("append");
    for (name, bytes) in [("1KiB", 1 << 10), ("16KiB", 16 << 10), ("1MiB", 1 << 20)] {
        let batch = batch(bytes);
        let count = (BYTES / bytes) as u64;
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.sample_size(10);
        group.bench_function(format!("bare/{name}"), |bencher| {
            bencher.iter_custom(|rounds| bare_write(&temporary.path().join("bare"), &batch, count, rounds));
        });
        group.bench_function(format!("log/{name}"), |bencher| {
            bencher.iter_custom(|rounds| append(temporary.path(), &batch, count, rounds));
        });
    }
    group.finish();
}

fn read_bench(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, log: &Log, max_bytes: usize, from: i64) {
    let end = log.log_end_offset().0;
    let mut buffer = vec![0; max_bytes];
    let mut offset = from;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let bound = ReadBound::LogEnd;
            let slice =
                log.read(ReadRequest { offset: Offset(offset), max_bytes, min_one_batch: true, bound }).unwrap();
            let range = &slice.ranges[0];
            let read = range.file.read_at(&mut buffer[..range.length.min(max_bytes)], range.position).unwrap();
            offset = if offset + 100 >= end { from } else { offset + 16 };
            read
        });
    });
}

fn reads(criterion: &mut Criterion) {
    let temporary = tempfile::tempdir().unwrap();
    let (_directories, log) = fresh(temporary.path());
    let template = batch(16 << 10);
    for _ in 0..4096 {
        let mut batch = template.clone();
        log.append_as_leader(&mut batch, LeaderEpoch(0), CLIENT).unwrap();
    }
    log.roll().unwrap();
    let file = OsDisk.open(&log.path().join("00000000000000000000.log"), OpenMode::Read).unwrap();
    let mut group = criterion.benchmark_group("read");
    for (name, length) in [("16KiB", 16 << 10), ("1MiB", 1 << 20)] {
        group.throughput(Throughput::Bytes(length as u64));
        let mut buffer = vec![0; length];
        let mut position = 0;
        group.bench_function(format!("bare/{name}"), |bencher| {
            bencher.iter(|| {
                position = if position + 2 * length as u64 > 60 << 20 { 0 } else { position + (16 << 10) };
                file.read_at(&mut buffer, position).unwrap()
            });
        });
        read_bench(&mut group, &format!("sealed/{name}"), &log, length, 0);
    }
    // The active segment's index is in memory.
    for _ in 0..4096 {
        let mut batch = template.clone();
        log.append_as_leader(&mut batch, LeaderEpoch(0), CLIENT).unwrap();
    }
    for (name, length) in [("16KiB", 16 << 10), ("1MiB", 1 << 20)] {
        group.throughput(Throughput::Bytes(length as u64));
        let from = log.segment_base_offsets()[1].0;
        read_bench(&mut group, &format!("active/{name}"), &log, length, from);
    }
    group.finish();
}

fn partitions(criterion: &mut Criterion) {
    const COUNT: i32 = 1000;
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    format(&path);
    let mut group = criterion.benchmark_group("partitions");
    group.sample_size(10);
    group.bench_function("create", |bencher| {
        bencher.iter_custom(|rounds| {
            let _ = std::fs::remove_dir_all(&path);
            format(&path);
            let directories = open(&path);
            let start = Instant::now();
            (0..rounds).for_each(|number| drop(create(&directories, number as i32)));
            start.elapsed()
        });
    });
    let _ = std::fs::remove_dir_all(&path);
    format(&path);
    let directories = open(&path);
    for number in 0..COUNT {
        create(&directories, number).append_as_leader(&mut batch(1000), LeaderEpoch(0), CLIENT).unwrap();
    }
    directories.close(BrokerEpoch(1));
    drop(directories);
    group.bench_function("open_1000_clean", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut taken = Duration::ZERO;
            for _ in 0..rounds {
                let start = Instant::now();
                let directories = open(&path);
                let failures = directories.load(&|_| LogConfig::default());
                taken += start.elapsed();
                assert!(failures.is_empty() && directories.logs().len() == COUNT as usize);
                directories.close(BrokerEpoch(1));
            }
            taken
        });
    });
    group.finish();
}

fn recovery(criterion: &mut Criterion) {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    format(&path);
    let directories = open(&path);
    let template = batch(16 << 10);
    for number in 0..16 {
        let log = create(&directories, number);
        for _ in 0..(32 << 20) / template.len() {
            log.append_as_leader(&mut template.clone(), LeaderEpoch(0), CLIENT).unwrap();
        }
    }
    drop(directories);
    let mut group = criterion.benchmark_group("recovery");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(512 << 20));
    group.bench_function("16x32MiB", |bencher| {
        bencher.iter(|| {
            let directories = open(&path);
            assert!(directories.load(&|_| LogConfig::default()).is_empty());
        });
    });
    group.finish();
}

criterion_group!(benches, appends, reads, partitions, recovery);
criterion_main!(benches);
