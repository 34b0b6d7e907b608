//! Log directories, both ways: written by Ottla and read by Apache Kafka, and the other way round.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use ottla_env_os::{OsClock, OsDisk, OsRandom};
use ottla_log::format::MetaProperties;
use ottla_log::names::FileKind;
use ottla_log::{
    AppendOrigin, DirectoriesOptions, Environment, Log, LogConfig, LogDirectories, ReadBound, ReadRequest,
    TransactionCheck, TransactionVersion, format_directory,
};
use ottla_oracle::{Captured, Node, NodeOptions, Oracle};
use ottla_records::{
    BatchBuilder, BatchOptions, Batches, Compression, CompressionLevel, Compressor, Decompressor, EndTransactionMarker,
    RecordToWrite,
};
use ottla_types::{
    BrokerEpoch, DirectoryId, LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicPartition,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
const START: i64 = 1_700_000_000_000;

fn environment() -> Environment {
    Environment { disk: Arc::new(OsDisk), clock: Arc::new(OsClock::new()), random: Arc::new(OsRandom) }
}

fn open(path: &Path, config: &LogConfig) -> LogDirectories {
    let paths = [path.to_owned()];
    let directories = LogDirectories::open(environment(), &paths, DirectoriesOptions::default()).unwrap();
    let failures = directories.load(&|_| config.clone());
    assert!(failures.is_empty(), "{failures:?}");
    directories
}

/// A record as both sides tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    offset: i64,
    timestamp: i64,
    payload: String,
}

/// All records of a log, control records left out, as consumers would get them.
fn read_all(log: &Log) -> Vec<Told> {
    let mut found = Vec::new();
    let mut decompressor = Decompressor::new(16 << 20);
    let mut offset = log.log_start_offset();
    loop {
        let request = ReadRequest { offset, max_bytes: 1 << 20, min_one_batch: true, bound: ReadBound::LogEnd };
        let slice = log.read(request).unwrap();
        let bytes: Vec<u8> = slice.ranges.iter().flat_map(|range| range.read().unwrap()).collect();
        if bytes.is_empty() {
            return found;
        }
        for batch in Batches::new(&bytes) {
            let Ok(batch) = batch else { break };
            assert!(batch.is_checksum_valid());
            offset = batch.next_offset();
            if batch.is_control() {
                continue;
            }
            for record in batch.records(&mut decompressor).unwrap() {
                let record = record.unwrap();
                let payload = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                found.push(Told { offset: record.offset.0, timestamp: record.timestamp.0, payload });
            }
        }
    }
}

/// All records that Kafka's tool finds in the segments of a partition directory.
fn dump(oracle: &Oracle, directory: &Path) -> Vec<Told> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let of_kind = |kind: FileKind| {
        let wanted = |path: &&PathBuf| path.to_str().unwrap().ends_with(kind.extension());
        files.iter().filter(wanted).map(|path| path.to_str().unwrap()).collect::<Vec<_>>()
    };
    let logs = of_kind(FileKind::Log).join(",");
    let dumped =
        oracle.run_tool("kafka-dump-log", &["--deep-iteration", "--print-data-log", "--files", &logs]).unwrap();
    succeeded(&dumped);
    for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
        for mode in ["--index-sanity-check", "--verify-index-only"] {
            let checked = oracle.run_tool("kafka-dump-log", &[mode, "--files", &of_kind(kind).join(",")]).unwrap();
            succeeded(&checked);
            let text = format!("{}{}", checked.stdout, checked.stderr);
            assert!(!text.to_lowercase().contains("mismatch") && !text.contains("Found "), "{mode}: {text}");
        }
    }
    let rest: Vec<&str> = [FileKind::ProducerSnapshot, FileKind::TransactionIndex].map(of_kind).concat();
    if !rest.is_empty() {
        succeeded(&oracle.run_tool("kafka-dump-log", &["--files", &rest.join(",")]).unwrap());
    }
    dumped.stdout.lines().filter_map(told).collect()
}

fn told(line: &str) -> Option<Told> {
    let rest = line.trim_start_matches(['|', ' ']).strip_prefix("offset: ")?;
    let (offset, rest) = rest.split_once(' ')?;
    let (_, timestamp) = rest.split_once("CreateTime: ")?;
    let (_, payload) = rest.split_once("payload: ")?;
    let timestamp = timestamp.split(' ').next()?.parse().ok()?;
    Some(Told { offset: offset.parse().ok()?, timestamp, payload: payload.to_owned() })
}

fn succeeded(ran: &Captured) {
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("Exception") && !ran.stdout.contains("isvalid: false"), "{}", ran.stderr);
}

struct Producer {
    id: i64,
    sequence: i32,
}

impl Producer {
    /// Appends a batch of records that are like no others.
    fn append(&mut self, log: &Log, codec: Compression, count: i32, transactional: bool) {
        let first = log.log_end_offset().0;
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: CompressionLevel::default_of(codec),
            producer_id: ProducerId(self.id),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(if self.id < 0 { -1 } else { self.sequence }),
            is_transactional: transactional,
            ..BatchOptions::default()
        });
        for number in 0..count {
            let value =
                format!("record {} of {codec:?} {}", first + i64::from(number), "x".repeat(number as usize * 7 % 300));
            let timestamp = Timestamp(START + first + i64::from(number * 13 % 17));
            builder
                .append(&RecordToWrite { timestamp, key: None, value: Some(value.as_bytes()), headers: &[] })
                .unwrap();
        }
        let mut bytes = builder.build_vec(&mut Compressor::default()).unwrap();
        let origin = AppendOrigin::Client { transaction: TransactionCheck::NotRequired };
        log.append_as_leader(&mut bytes, LeaderEpoch(0), origin).unwrap();
        self.sequence += count;
    }

    fn end(&self, log: &Log, is_commit: bool) {
        let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
        let (key, value) = (marker.key(), marker.value());
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: ProducerId(self.id),
            producer_epoch: ProducerEpoch(0),
            is_transactional: true,
            is_control: true,
            ..BatchOptions::default()
        });
        let timestamp = Timestamp(START + log.log_end_offset().0);
        builder.append(&RecordToWrite { timestamp, key: Some(&key), value: Some(&value), headers: &[] }).unwrap();
        let mut bytes = builder.build_vec(&mut Compressor::default()).unwrap();
        let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
        log.append_as_leader(&mut bytes, LeaderEpoch(0), origin).unwrap();
    }
}

/// Many batches of all codecs, plain, idempotent, and in transactions that end both ways.
fn fill(log: &Log, rounds: i32) {
    let mut plain = Producer { id: -1, sequence: 0 };
    let mut idempotent = Producer { id: 1, sequence: 0 };
    let mut transactional = Producer { id: 2, sequence: 0 };
    for round in 0..rounds {
        for codec in CODECS {
            plain.append(log, codec, 1 + round % 20, false);
            idempotent.append(log, codec, 7, false);
            transactional.append(log, codec, 3, true);
        }
        transactional.end(log, round % 2 == 0);
    }
}

#[test]
fn kafkas_own_tool_accepts_every_file_and_finds_every_record() {
    let oracle = Oracle::install().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    let properties = MetaProperties {
        cluster_id: "b3R0bGEtb3JhY2xlLWlkLQ".to_owned(),
        node_id: NodeId(1),
        directory_id: Some(DirectoryId::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef)),
    };
    format_directory(&environment(), &path, &properties).unwrap();
    let config = LogConfig { segment_bytes: 64 << 10, index_interval_bytes: 1000, ..LogConfig::default() };
    let directories = open(&path, &config);
    let id = TopicId::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff);
    let log = directories.get_or_create(&TopicPartition::new("topic", 0), Some(id), config, None).unwrap();
    fill(&log, 60);
    assert!(log.segment_base_offsets().len() > 3, "{:?}", log.segment_base_offsets());
    let ours = read_all(&log);
    let directory = log.path();
    directories.close(BrokerEpoch(1));
    let theirs = dump(&oracle, &directory);
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(ours, theirs);
    println!("{} records alike in {} segments", ours.len(), log.segment_base_offsets().len());
}

fn topics(oracle: &Oracle, node: &Node, arguments: &[&str]) {
    let server = node.bootstrap_server();
    succeeded(&oracle.run_tool("kafka-topics", &[&["--bootstrap-server", &server], arguments].concat()).unwrap());
}

fn produce(oracle: &Oracle, node: &Node, topic: &str, records: &str, codec: &str) {
    let server = format!("bootstrap.servers={}", node.bootstrap_server());
    let codec = format!("compression.type={codec}");
    let arguments = [
        "--topic",
        topic,
        "--num-records",
        records,
        "--record-size",
        "200",
        "--throughput",
        "-1",
        "--producer-props",
        &server,
        &codec,
        "linger.ms=1",
        "batch.size=5000",
    ];
    succeeded(&oracle.run_tool("kafka-producer-perf-test", &arguments).unwrap());
}

/// The values that a consumer of Kafka's gets from a partition of a running node.
fn consume(oracle: &Oracle, node: &Node, topic: &str, count: usize) -> Vec<String> {
    let (server, count) = (node.bootstrap_server(), count.to_string());
    let arguments = [
        "--bootstrap-server",
        &server,
        "--topic",
        topic,
        "--partition",
        "0",
        "--offset",
        "earliest",
        "--max-messages",
        &count,
        "--timeout-ms",
        "20000",
    ];
    let ran = oracle.run_tool("kafka-console-consumer", &arguments).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.lines().map(str::to_owned).collect()
}

fn end_offset(oracle: &Oracle, node: &Node, topic: &str) -> i64 {
    let server = node.bootstrap_server();
    let ran = oracle.run_tool("kafka-get-offsets", &["--bootstrap-server", &server, "--topic", topic]).unwrap();
    succeeded(&ran);
    ran.stdout.trim().rsplit(':').next().unwrap().parse().unwrap()
}

/// Lines of a node's log that tell of a file it did not like.
fn complaints(node: &Node, since: usize) -> Vec<String> {
    let text = fs::read_to_string(node.directory().join("logs/server.log")).unwrap();
    let topic = |line: &&str| line.contains("exchange") && ["WARN", "ERROR"].iter().any(|level| line.contains(level));
    text.lines().skip(since).filter(topic).map(str::to_owned).collect()
}

fn lines(node: &Node) -> usize {
    fs::read_to_string(node.directory().join("logs/server.log")).unwrap().lines().count()
}

fn partition_path(node: &Node) -> PathBuf {
    node.directory().join("data/exchange-0")
}

/// Ottla opens the directory of a node that does not run: does it find what Kafka wrote, and do the indexes that it builds
/// equal Kafka's?
fn take_over(node: &Node, config: &LogConfig, expected: i64) -> Vec<Told> {
    let directories = open(&node.directory().join("data"), config);
    let log = directories.get(&TopicPartition::new("exchange", 0)).unwrap();
    assert_eq!(log.log_end_offset(), Offset(expected));
    assert!(log.topic_id().is_some());
    read_all(&log)
}

#[test]
fn a_directory_goes_from_kafka_to_ottla_and_back_and_no_record_is_lost() {
    let oracle = Oracle::install().unwrap();
    let options = NodeOptions { port: Some(19700), ..NodeOptions::default() };
    // Small segments; and the node must not write the topic's checkpoints while Ottla has it.
    let options = options.property("log.segment.bytes", 1 << 20).property("offsets.topic.num.partitions", 1);
    let mut node = oracle.start(&options).unwrap();
    topics(&oracle, &node, &["--create", "--topic", "exchange"]);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(&oracle, &node, "exchange", "4000", codec);
    }
    node.stop().unwrap();
    let config = LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() };

    // Stopped cleanly: Ottla finds all, and builds the same indexes.
    compare_indexes(&node, &config);
    let theirs = dump(&oracle, &partition_path(&node));
    assert_eq!(take_over(&node, &config, 20_000), theirs);

    // That was an unclean stop of Ottla. Kafka recovers, and goes on.
    node.restart().unwrap();
    assert_eq!(end_offset(&oracle, &node, "exchange"), 20_000);
    produce(&oracle, &node, "exchange", "1000", "none");
    node.kill();

    // Killed: Ottla recovers, appends, and stops cleanly.
    let directories = open(&node.directory().join("data"), &config);
    let log = directories.get(&TopicPartition::new("exchange", 0)).unwrap();
    assert_eq!(log.log_end_offset(), Offset(21_000));
    let epoch = log.latest_epoch().unwrap();
    for codec in CODECS {
        for _ in 0..300 {
            append_plain(&log, codec, epoch);
        }
    }
    let ours = read_all(&log);
    let end = log.log_end_offset().0;
    drop(log);
    directories.close(BrokerEpoch(-1));
    drop(directories);
    assert_eq!(dump(&oracle, &partition_path(&node)), ours);

    // Kafka starts without a complaint and serves every record.
    let before = lines(&node);
    node.restart().unwrap();
    assert_eq!(end_offset(&oracle, &node, "exchange"), end);
    let values: Vec<String> = ours.iter().map(|told| told.payload.clone()).collect();
    assert_eq!(consume(&oracle, &node, "exchange", values.len()), values);
    assert_eq!(complaints(&node, before), Vec::<String>::new());
    produce(&oracle, &node, "exchange", "100", "zstd");
    node.stop().unwrap();
    assert_eq!(take_over(&node, &config, end + 100).len(), values.len() + 100);
    println!("{} records went both ways", values.len());
}

fn append_plain(log: &Log, codec: Compression, epoch: LeaderEpoch) {
    let first = log.log_end_offset().0;
    let compression = CompressionLevel::default_of(codec);
    let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
    for number in 0..10 {
        let value = format!("ottla {}", first + number);
        let timestamp = Timestamp(START + 1_000_000_000 + first);
        builder.append(&RecordToWrite { timestamp, key: None, value: Some(value.as_bytes()), headers: &[] }).unwrap();
    }
    let mut bytes = builder.build_vec(&mut Compressor::default()).unwrap();
    log.append_as_leader(&mut bytes, epoch, AppendOrigin::Client { transaction: TransactionCheck::Unverified })
        .unwrap();
}

/// The indexes of sealed segments, as Kafka wrote them and as Ottla builds them when they are missing.
fn compare_indexes(node: &Node, config: &LogConfig) {
    let temporary = tempfile::tempdir().unwrap();
    let copy = temporary.path().join("data");
    copy_directory(&node.directory().join("data"), &copy);
    let partition = copy.join("exchange-0");
    let mut removed = Vec::new();
    for entry in fs::read_dir(&partition).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index" || extension == "timeindex") {
            removed.push((path.clone(), fs::read(&path).unwrap()));
            fs::remove_file(path).unwrap();
        }
    }
    assert!(removed.len() >= 6, "{removed:?}");
    drop(open(&copy, config));
    for (path, theirs) in removed {
        let ours = fs::read(&path).unwrap();
        assert!(ours == theirs, "{}: {} bytes, Kafka's has {}", path.display(), ours.len(), theirs.len());
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
