//! The log's promises of speed beside bare probes of the same input and output, in the same run, as a table. The probe and
//! the log take turns, so that both meet the same noise; of each the median counts.
//!
//! `cargo bench -p ottla-log --bench table`; with a directory as argument instead of the system's temporary one, and after it
//! with the one part that is wanted: appends, reads, commits, compaction, partitions or recovery.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use ottla_env::{Disk, File, OpenMode};
use ottla_env_os::{OsClock, OsDisk, OsRandom};
use ottla_log::format::MetaProperties;
use ottla_log::{
    AppendOrigin, CleanupPolicy, CompactionSettings, DirectoriesOptions, Environment, Log, LogConfig, LogDirectories,
    ReadBound, ReadRequest, TransactionCheck, format_directory,
};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{BrokerEpoch, DirectoryId, LeaderEpoch, NodeId, Offset, Timestamp, TopicId, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
/// Written per round: much less than memory, so that the page cache and not the disk is measured.
const BYTES: usize = 128 << 20;
const WRITERS: i32 = 64;
const CLIENT: AppendOrigin = AppendOrigin::Client { transaction: TransactionCheck::Unverified };

type Part = fn(&Path);

fn environment() -> Environment {
    Environment { disk: Arc::new(OsDisk), clock: Arc::new(OsClock::new()), random: Arc::new(OsRandom) }
}

fn open(path: &Path) -> LogDirectories {
    LogDirectories::open(environment(), &[path.to_owned()], DirectoriesOptions::default()).unwrap()
}

fn format(path: &Path) -> LogDirectories {
    let _ = std::fs::remove_dir_all(path);
    let directory_id = Some(DirectoryId::from_u128(1 << 100));
    let properties = MetaProperties { cluster_id: "bench".to_owned(), node_id: NodeId(1), directory_id };
    format_directory(&environment(), path, &properties).unwrap();
    open(path)
}

fn create(directories: &LogDirectories, number: i32, config: &LogConfig) -> Arc<Log> {
    let id = TopicId::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff);
    directories.get_or_create(&TopicPartition::new("bench", number), Some(id), config.clone(), None).unwrap()
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

fn append(log: &Log, batch: &mut [u8]) {
    // A client's batch begins at offset 0.
    batch[..8].fill(0);
    log.append_as_leader(batch, LeaderEpoch(0), CLIENT).unwrap();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Lets the probe and the log take turns. Gives the medians of what each says of a round, and of their ratio.
fn turns(rounds: usize, mut probe: impl FnMut() -> f64, mut log: impl FnMut() -> f64) -> (f64, f64, f64) {
    _ = (probe(), log());
    let pairs: Vec<(f64, f64)> = (0..rounds).map(|_| (probe(), log())).collect();
    let ratios = pairs.iter().map(|(probe, log)| log / probe).collect();
    let (probes, logs) = pairs.into_iter().unzip();
    (median(probes), median(logs), median(ratios))
}

fn row(what: &str, unit: &str, (probe, log, ratio): (f64, f64, f64), goal: &str) {
    let number = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    println!("| {what} | {unit} | {} | {} | {ratio:.2} | {goal} |", number(probe), number(log));
}

/// Megabytes per second.
fn rate(bytes: usize, taken: Duration) -> f64 {
    bytes as f64 / 1e6 / taken.as_secs_f64()
}

fn milliseconds(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e3
}

fn appends(root: &Path) {
    for (name, bytes) in [("16 KiB", 16 << 10), ("1 MiB", 1 << 20)] {
        let template = batch(bytes);
        let count = BYTES / template.len();
        let bare = || {
            let path = root.join("bare");
            let _ = std::fs::remove_file(&path);
            let file = OsDisk.open(&path, OpenMode::CreateTruncate).unwrap();
            let start = Instant::now();
            (0..count).for_each(|number| file.write_at(&template, (number * template.len()) as u64).unwrap());
            rate(count * template.len(), start.elapsed())
        };
        let logged = || {
            let mut template = template.clone();
            let directories = format(&root.join("data"));
            let log = create(&directories, 0, &LogConfig::default());
            // The first append writes the topic id and the leader epochs; that is not of this measurement.
            append(&log, &mut batch(100));
            let start = Instant::now();
            (0..count).for_each(|_| append(&log, &mut template));
            rate(count * template.len(), start.elapsed())
        };
        row(&format!("append of {name} batches"), "MB/s", turns(ROUNDS, bare, logged), "0.80");
    }
}

fn reads(root: &Path) {
    let directories = format(&root.join("data"));
    let log = create(&directories, 0, &LogConfig::default());
    let mut template = batch(16 << 10);
    let count = (BYTES / template.len()) as i64;
    (0..count).for_each(|_| append(&log, &mut template));
    let records = log.log_end_offset().0 / count;
    for (name, length) in [("16 KiB", 16 << 10), ("1 MiB", 1 << 20)] {
        let file = OsDisk.open(&log.path().join("00000000000000000000.log"), OpenMode::Read).unwrap();
        let steps = 4000;
        let last = BYTES - 2 * length;
        let mut buffer = vec![0; length];
        let bare = || {
            let start = Instant::now();
            for step in 0..steps {
                file.read_at(&mut buffer, (step * (16 << 10) % last) as u64).unwrap();
            }
            rate(steps * length, start.elapsed())
        };
        let mut buffer = vec![0; length];
        let ranges = || {
            let start = Instant::now();
            let mut bytes = 0;
            for step in 0..steps as i64 {
                let offset = Offset(step * records % ((count - 80) * records));
                let bound = ReadBound::LogEnd;
                let request = ReadRequest { offset, max_bytes: length, min_one_batch: true, bound };
                let slice = log.read(request).unwrap();
                let range = &slice.ranges[0];
                bytes += range.file.read_at(&mut buffer[..range.length.min(length)], range.position).unwrap();
            }
            rate(bytes, start.elapsed())
        };
        row(&format!("read of {name} ranges"), "MB/s", turns(ROUNDS, bare, ranges), "0.95");
    }
}

const COMMIT_TIME: Duration = Duration::from_millis(700);

/// Rounds of all writers appending, one batch each, and one shared sync. Appends per second.
fn shared_by<'a>(directories: &'a LogDirectories, logs: &'a [Arc<Log>], template: &[u8]) -> impl FnMut() -> f64 + 'a {
    let mut template = template.to_vec();
    move || {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < COMMIT_TIME {
            for writer in 0..WRITERS as usize {
                append(&logs[writer % logs.len()], &mut template);
            }
            directories.sync_waiting();
            assert!(logs.iter().all(|log| log.acknowledgeable_offset() == log.log_end_offset()));
            count += WRITERS;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    }
}

/// The same without a log: a write to each of as many files, and one sync of their file system. Writes per second.
fn written_together(root: &Path, bytes: &[u8]) -> impl FnMut() -> f64 {
    let open = |number| OsDisk.open(&root.join(format!("bare-{number}")), OpenMode::CreateTruncate).unwrap();
    let files: Vec<_> = (0..WRITERS).map(open).collect();
    let file_system = OsDisk.file_system(root).unwrap().expect("a Linux of today");
    let bytes = bytes.to_vec();
    let mut position = 0;
    move || {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < COMMIT_TIME {
            files.iter().for_each(|file| file.write_at(&bytes, position).unwrap());
            file_system.sync().unwrap();
            position += bytes.len() as u64;
            count += WRITERS;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    }
}

/// Appends that are acknowledged after a sync: the probe syncs after each, the log's 64 writers share.
fn group_commit(root: &Path) {
    let config = LogConfig { flush_messages: 1, ..LogConfig::default() };
    for (what, partitions, size) in [
        ("1 KiB, 1 partition", 1, 1 << 10),
        ("1 KiB, 64 partitions", WRITERS, 1 << 10),
        ("16 KiB, 64 partitions", WRITERS, 16 << 10),
    ] {
        let directories = format(&root.join("data"));
        directories.share_syncs(Arc::new(|| ()));
        let logs: Vec<_> = (0..partitions).map(|number| create(&directories, number, &config)).collect();
        let mut template = batch(size);
        logs.iter().for_each(|log| append(log, &mut template));
        directories.sync_waiting();
        let file = OsDisk.open(&root.join("bare"), OpenMode::CreateTruncate).unwrap();
        let bytes = template.clone();
        let mut position = 0;
        let bare = || {
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < COMMIT_TIME {
                file.write_at(&bytes, position).unwrap();
                file.sync().unwrap();
                position += bytes.len() as u64;
                count += 1;
            }
            f64::from(count) / start.elapsed().as_secs_f64()
        };
        row(
            &format!("acknowledged after a sync, 64 writers, {what}"),
            "1/s",
            turns(5, bare, shared_by(&directories, &logs, &template)),
            "20",
        );
        if partitions > 1 {
            let together = written_together(root, &template);
            let what = "the same (probe: as many files, one sync of the file system)";
            row(what, "1/s", turns(5, together, shared_by(&directories, &logs, &template)), "0.95");
        }
    }
}

fn paths(root: &Path, partitions: i32) -> Vec<PathBuf> {
    (0..partitions).map(|number| root.join(format!("bench-{number}"))).collect()
}

/// Reads the logs of all partitions on two threads, and nothing else.
fn read_all(paths: &[PathBuf]) {
    std::thread::scope(|scope| {
        for half in paths.chunks(paths.len().div_ceil(2)) {
            scope.spawn(move || {
                let mut buffer = vec![0; 1 << 20];
                for path in half {
                    let file = OsDisk.open(&path.join("00000000000000000000.log"), OpenMode::Read).unwrap();
                    let mut position = 0;
                    loop {
                        let read = File::read_at(&*file, &mut buffer, position).unwrap();
                        position += read as u64;
                        if read < buffer.len() {
                            break;
                        }
                    }
                }
            });
        }
    });
}

fn recovery(root: &Path) {
    const PARTITIONS: i32 = 100;
    let path = root.join("data");
    let directories = format(&path);
    let mut template = batch(16 << 10);
    let count = (4 << 30) / PARTITIONS as usize / template.len();
    let logs: Vec<_> = (0..PARTITIONS).map(|number| create(&directories, number, &LogConfig::default())).collect();
    for _ in 0..count {
        logs.iter().for_each(|log| append(log, &mut template));
    }
    // Nothing is closed: as after a kill, the files are what they are.
    drop((directories, logs));
    let files = paths(&path, PARTITIONS);
    let bare = || timed(|| read_all(&files));
    let recover = || {
        timed(|| {
            let directories = open(&path);
            assert!(directories.load(&|_| LogConfig::default()).is_empty());
        })
    };
    row("recovery of 4 GiB in 100 partitions, all of it checked", "ms", turns(3, bare, recover), "500 ms");
    let directories = open(&path);
    directories.load(&|_| LogConfig::default());
    for log in directories.logs() {
        log.flush().unwrap();
    }
    directories.checkpoint();
    for log in directories.logs() {
        append(&log, &mut template);
    }
    drop(directories);
    row("the same, the recovery points before the last batches", "ms", turns(3, bare, recover), "500 ms");
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    milliseconds(start.elapsed())
}

fn partitions(root: &Path) {
    const COUNT: i32 = 10_000;
    let path = root.join("data");
    // A place of its own for each round: ext4 without a journal looks long for an inode where some were freed just now.
    let mut round = 0;
    let bare = || {
        round += 1;
        let directories = paths(&root.join(format!("probe-{round}")), 1000);
        timed(|| {
            for directory in &directories {
                OsDisk.create_directory(directory).unwrap();
                OsDisk.open(&directory.join("00000000000000000000.log"), OpenMode::CreateTruncate).unwrap();
            }
        }) / 1000.0
    };
    let mut round = 0;
    let made = || {
        round += 1;
        let directories = format(&root.join(format!("made-{round}")));
        timed(|| (0..1000).for_each(|number| drop(create(&directories, number, &LogConfig::default())))) / 1000.0
    };
    row("a partition created", "ms", turns(5, bare, made), "0.2 ms");
    let directories = format(&path);
    for number in 0..COUNT {
        create(&directories, number, &LogConfig::default());
    }
    // Every tenth has records.
    for number in (0..COUNT).step_by(10) {
        append(&create(&directories, number, &LogConfig::default()), &mut batch(1000));
    }
    let closing = timed(|| directories.close(BrokerEpoch(1)));
    drop(directories);
    let files = paths(&path, COUNT);
    let bare = || {
        timed(|| {
            for directory in &files {
                assert!(!OsDisk.list(directory).unwrap().is_empty());
            }
        })
    };
    let load = || {
        let start = Instant::now();
        let directories = open(&path);
        assert!(directories.load(&|_| LogConfig::default()).is_empty());
        let taken = milliseconds(start.elapsed());
        assert_eq!(directories.logs().len(), COUNT as usize);
        directories.close(BrokerEpoch(1));
        taken
    };
    row("10,000 clean partitions opened (probe: listed)", "ms", turns(3, bare, load), "500 ms");
    println!("| 10,000 new partitions closed, every tenth with records | ms | | {closing:.0} | | |");
}

/// Batches of about 16 KiB, every key four times: three quarters go.
fn fill_with_keys(log: &Log, value_bytes: usize) {
    let value = vec![b'x'; value_bytes];
    let keys = (BYTES / 4 / (value_bytes + 20)) as u64;
    let mut number = 0u64;
    while number < 4 * keys {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for _ in 0..16_000 / value_bytes {
            let key = (number.wrapping_mul(0x9e37_79b9) % keys).to_be_bytes();
            let record = RecordToWrite { timestamp: Timestamp(1), key: Some(&key), value: Some(&value), headers: &[] };
            builder.append(&record).unwrap();
            number += 1;
        }
        append(log, &mut builder.build_vec(&mut Compressor::default()).unwrap());
    }
    log.set_high_watermark(log.log_end_offset());
    log.roll().unwrap();
}

/// Compaction beside a bare copy of the same bytes: reading all, writing a quarter.
fn compaction(root: &Path) {
    let config = LogConfig {
        segment_bytes: 32 << 20,
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        ..LogConfig::default()
    };
    let settings = CompactionSettings {
        dedupe_bytes: 128 << 20,
        load_factor: 0.9,
        decompressed_bytes_max: 1 << 20,
        bytes_per_second: f64::MAX,
    };
    let bare = || {
        let (from, to) = (root.join("from"), root.join("to"));
        std::fs::write(&from, vec![1; BYTES]).unwrap();
        let taken = timed(|| {
            let bytes = std::fs::read(&from).unwrap();
            std::fs::write(&to, &bytes[..BYTES / 4]).unwrap();
            std::fs::File::open(&to).unwrap().sync_all().unwrap();
        });
        BYTES as f64 / 1e3 / taken
    };
    let compacted = |value_bytes: usize| {
        let directories = format(&root.join("data"));
        let log = create(&directories, 0, &config);
        fill_with_keys(&log, value_bytes);
        log.flush().unwrap();
        let mut done = None;
        let taken = timed(|| done = directories.compact_next(&settings, Timestamp(i64::MAX / 2)));
        let done = done.unwrap();
        assert!(done.bytes_after < done.bytes_before / 3);
        done.bytes_before as f64 / 1e3 / taken
    };
    for value_bytes in [1_000, 100] {
        let what = format!("compaction, values of {value_bytes} bytes, a quarter stays");
        row(&what, "MB/s", turns(ROUNDS / 2, bare, || compacted(value_bytes)), "300 MB/s");
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (directory, only) = (arguments.next(), arguments.next());
    let temporary = match directory {
        Some(directory) => tempfile::tempdir_in(directory).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let root = temporary.path();
    println!("| what | unit | bare probe | log | log / probe | goal |\n|---|---|--:|--:|--:|--:|");
    let parts: [(&str, Part); 6] = [
        ("appends", appends),
        ("reads", reads),
        ("commits", group_commit),
        ("compaction", compaction),
        ("partitions", partitions),
        ("recovery", recovery),
    ];
    for (_, part) in parts.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)) {
        part(root);
    }
}
