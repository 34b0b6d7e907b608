//! Compaction against a model: of random histories exactly what the rules allow stays, also while others append and read,
//! and also when the machine dies in the middle.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{CLIENT, START, World, create, partition, stop};
use ottla_env_sim::{CrashMode, SeededRandom};
use ottla_log::{
    AppendOrigin, CleanupPolicy, CompactionSettings, Log, LogConfig, LogDirectories, ReadBound, ReadRequest,
    TransactionCheck, TransactionVersion,
};
use ottla_records::{
    BatchBuilder, BatchOptions, Batches, Compression, CompressionLevel, Compressor, Decompressor, EndTransactionMarker,
    RecordToWrite,
};
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const DELETE_RETENTION_MS: i64 = 1_000;

const SETTINGS: CompactionSettings = CompactionSettings {
    dedupe_bytes: 1 << 20,
    load_factor: 0.9,
    decompressed_bytes_max: 1 << 20,
    bytes_per_second: f64::MAX,
};

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 100,
        file_delete_delay_ms: 0,
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: DELETE_RETENTION_MS,
        retention_ms: -1,
        ..LogConfig::default()
    }
}

type Written<'a> = (&'a [u8], Option<&'a [u8]>);

fn batch(records: &[Written<'_>], options: BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        builder.append(&RecordToWrite { timestamp: START, key: Some(key), value: *value, headers: &[] }).unwrap();
    }
    builder.build_vec(&mut Compressor::default()).unwrap()
}

fn append(log: &Log, records: &[Written<'_>]) {
    append_with(log, records, BatchOptions::default());
}

fn append_with(log: &Log, records: &[Written<'_>], options: BatchOptions) {
    let origin = if options.is_transactional {
        AppendOrigin::Client { transaction: TransactionCheck::NotRequired }
    } else {
        CLIENT
    };
    log.append_as_leader(&mut batch(records, options), LeaderEpoch(0), origin).unwrap();
    log.set_high_watermark(log.log_end_offset());
}

fn producer(id: i64, sequence: i32) -> BatchOptions {
    BatchOptions {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(sequence),
        ..BatchOptions::default()
    }
}

fn end_transaction(log: &Log, id: i64, is_commit: bool) {
    let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
    let (key, value) = (marker.key(), marker.value());
    let options = BatchOptions {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(0),
        is_transactional: true,
        is_control: true,
        ..BatchOptions::default()
    };
    let mut bytes = batch(&[(&key, Some(&value))], options);
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
    log.append_as_leader(&mut bytes, LeaderEpoch(0), origin).unwrap();
    log.set_high_watermark(log.log_end_offset());
}

/// One record as it is found in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    offset: i64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    is_control: bool,
}

/// All records, and the last offset of the last batch.
fn read_all(log: &Log) -> Vec<Found> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    let mut decompressor = Decompressor::new(1 << 20);
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
            for record in batch.records(&mut decompressor).unwrap() {
                let record = record.unwrap();
                found.push(Found {
                    offset: record.offset.0,
                    key: record.key.unwrap_or_default().to_vec(),
                    value: record.value.map(<[u8]>::to_vec),
                    is_control: batch.is_control(),
                });
            }
        }
    }
}

/// Compacts until there is nothing to do.
fn compact(directories: &LogDirectories, now: Timestamp) -> usize {
    let mut runs = 0;
    while directories.compact_next(&SETTINGS, now).is_some() {
        runs += 1;
        assert!(runs < 100, "compaction does not come to an end");
    }
    runs
}

fn keys(found: &[Found]) -> Vec<(i64, String)> {
    found.iter().map(|found| (found.offset, String::from_utf8(found.key.clone()).unwrap())).collect()
}

#[test]
fn of_each_key_the_last_record_stays_where_it_was() {
    for world in World::both() {
        let directories = world.load(&config());
        let log = create(&directories, &config());
        for round in 0..10u8 {
            append(&log, &[(b"a", Some(&[round])), (b"b", Some(&[round]))]);
            append(&log, &[(&[b'k', round], Some(&[round]))]);
        }
        log.roll().unwrap();
        append(&log, &[(b"a", Some(b"active"))]);
        let before = log.size().unwrap();
        assert_eq!(compact(&directories, START), 1);
        assert!(log.size().unwrap() < before);
        let mut expected: Vec<i64> = (0..10).map(|round| round * 3 + 2).collect();
        expected.extend([27, 28, 30]);
        expected.sort_unstable();
        // The active segment is not looked at, so that the older record of its key is still there.
        assert_eq!(read_all(&log).iter().map(|found| found.offset).collect::<Vec<_>>(), expected);
        stop(directories);
        let directories = world.load(&config());
        let log = directories.get(&partition()).unwrap();
        assert_eq!(read_all(&log).iter().map(|found| found.offset).collect::<Vec<_>>(), expected);
        assert_eq!(log.log_end_offset(), Offset(31));
        assert_eq!(compact(&directories, START), 0, "the checkpoint says what was done");
        stop(directories);
    }
}

#[test]
fn a_tombstone_stays_for_its_time_and_then_goes() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    append(&log, &[(b"gone", Some(b"value")), (b"stays", Some(b"value"))]);
    append(&log, &[(b"gone", None)]);
    log.roll().unwrap();
    append(&log, &[(b"x", Some(b"1"))]);
    compact(&directories, START);
    assert_eq!(keys(&read_all(&log)), [(1, "stays".into()), (2, "gone".into()), (3, "x".into())]);
    log.roll().unwrap();
    append(&log, &[(b"y", Some(b"1"))]);
    compact(&directories, START.plus_milliseconds(DELETE_RETENTION_MS - 1));
    assert_eq!(keys(&read_all(&log)), [(1, "stays".into()), (2, "gone".into()), (3, "x".into()), (4, "y".into())]);
    log.roll().unwrap();
    append(&log, &[(b"z", Some(b"1"))]);
    compact(&directories, START.plus_milliseconds(DELETE_RETENTION_MS));
    assert_eq!(keys(&read_all(&log)), [(1, "stays".into()), (3, "x".into()), (4, "y".into()), (5, "z".into())]);
    stop(directories);
}

#[test]
fn a_producers_last_batch_stays_without_its_records() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    append_with(&log, &[(b"a", Some(b"1"))], producer(5, 0));
    append_with(&log, &[(b"a", Some(b"2"))], producer(5, 1));
    append(&log, &[(b"a", Some(b"3"))]);
    log.roll().unwrap();
    append(&log, &[(b"b", Some(b"1"))]);
    compact(&directories, START);
    assert_eq!(keys(&read_all(&log)), [(2, "a".into()), (3, "b".into())]);
    drop(log);
    drop(directories);
    // Without its snapshots the state comes from the batches alone.
    world.memory.as_ref().unwrap().crash(CrashMode::KeepAll);
    let directories = world.load(&config());
    let log = directories.get(&partition()).unwrap();
    let mut repeated = batch(&[(b"a", Some(b"2"))], producer(5, 1));
    assert!(log.append_as_leader(&mut repeated, LeaderEpoch(0), CLIENT).unwrap().duplicate);
    append_with(&log, &[(b"a", Some(b"4"))], producer(5, 2));
    stop(directories);
}

/// The producer would be called out of order for ever, or for a client as librdkafka: for good.
#[test]
fn a_producers_last_committed_batch_stays_where_later_ones_may_be_cut_off() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    append_with(&log, &[(b"its own", Some(b"value"))], producer(1, 0));
    for sequence in 1..8 {
        append_with(&log, &[(b"key", Some(b"value"))], producer(1, sequence));
    }
    // What comes then of the same keys is by others, so that nothing else keeps the producer's records.
    for number in 0..20 {
        append_with(&log, &[(b"key", Some(b"other"))], producer(2, number));
    }
    for sequence in 8..12 {
        let bytes = &mut batch(&[(b"key", Some(b"value"))], producer(1, sequence));
        log.append_as_leader(bytes, LeaderEpoch(0), CLIENT).unwrap();
    }
    assert_eq!(compact(&directories, START), 1);
    // A follower gets what is committed, and leads: it knows of the producer what the batches tell.
    log.truncate_to(log.high_watermark()).unwrap();
    let world = World::simulated();
    let follower = create(&world.load(&config()), &config());
    while follower.log_end_offset() < log.log_end_offset() {
        let offset = follower.log_end_offset();
        let request = ReadRequest { offset, max_bytes: 1 << 20, min_one_batch: true, bound: ReadBound::LogEnd };
        let read = log.read(request).unwrap();
        let bytes: Vec<u8> = read.ranges.iter().flat_map(|range| range.read().unwrap()).collect();
        follower.append_as_follower(&bytes).unwrap();
    }
    append_with(&follower, &[(b"key", Some(b"value"))], producer(1, 8));
}

#[test]
fn records_of_aborted_transactions_go_and_their_markers_when_nobody_needs_them() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    let transactional = |id, sequence| BatchOptions { is_transactional: true, ..producer(id, sequence) };
    append(&log, &[(b"a", Some(b"before"))]);
    append_with(&log, &[(b"a", Some(b"aborted"))], transactional(1, 0));
    append_with(&log, &[(b"b", Some(b"committed"))], transactional(2, 0));
    end_transaction(&log, 1, false);
    end_transaction(&log, 2, true);
    append_with(&log, &[(b"c", Some(b"later"))], producer(1, 1));
    append_with(&log, &[(b"c", Some(b"later"))], producer(2, 1));
    log.roll().unwrap();
    append(&log, &[(b"x", Some(b"1"))]);
    compact(&directories, START);
    let shape = |log: &Log| read_all(log).iter().map(|found| (found.offset, found.is_control)).collect::<Vec<_>>();
    // What was aborted does not replace what was before. Markers wait.
    assert_eq!(shape(&log), [(0, false), (2, false), (3, true), (4, true), (6, false), (7, false)]);
    assert_eq!(log.aborted_transactions(Offset(0), Offset(10)).unwrap().len(), 1);
    for (round, later) in [(b"y", DELETE_RETENTION_MS), (b"z", 2 * DELETE_RETENTION_MS)] {
        log.roll().unwrap();
        append(&log, &[(round, Some(b"1"))]);
        compact(&directories, START.plus_milliseconds(later));
    }
    // The aborted one's marker has nothing left to end; the committed one's has.
    assert_eq!(shape(&log), [(0, false), (2, false), (4, true), (6, false), (7, false), (8, false), (9, false)]);
    assert_eq!(log.aborted_transactions(Offset(0), Offset(10)).unwrap(), []);
    stop(directories);
}

#[test]
fn open_transactions_and_what_follows_them_are_left_alone() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    append(&log, &[(b"a", Some(b"1"))]);
    append_with(&log, &[(b"a", Some(b"2"))], BatchOptions { is_transactional: true, ..producer(1, 0) });
    append(&log, &[(b"a", Some(b"3"))]);
    log.roll().unwrap();
    append(&log, &[(b"b", Some(b"1"))]);
    compact(&directories, START);
    assert_eq!(keys(&read_all(&log)).len(), 4);
    stop(directories);
}

/// A random history, and what must be left of it.
struct History {
    random: SeededRandom,
    /// Every record by its offset: key and value.
    written: BTreeMap<i64, (u8, Option<u64>)>,
    next_value: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed), written: BTreeMap::new(), next_value: 0 }
    }

    fn append(&mut self, log: &Log) {
        let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
        let codec = codecs[self.random.below(5) as usize];
        let count = 1 + self.random.below(4);
        let mut records = Vec::new();
        for _ in 0..count {
            self.next_value += 1;
            let value = (self.random.below(5) > 0).then_some(self.next_value);
            records.push((self.random.below(12) as u8, value));
        }
        let bytes: Vec<([u8; 1], Option<[u8; 8]>)> =
            records.iter().map(|(key, value)| ([*key], value.map(u64::to_be_bytes))).collect();
        let written: Vec<Written<'_>> =
            bytes.iter().map(|(key, value)| (key.as_slice(), value.as_ref().map(<[u8; 8]>::as_slice))).collect();
        let base = log.log_end_offset().0;
        append_with(
            log,
            &written,
            BatchOptions { compression: CompressionLevel::default_of(codec), ..BatchOptions::default() },
        );
        self.written.extend((base..).zip(records));
    }

    /// Every record that is there was written so; of each key the last record is there, but for tombstones whose time has
    /// come; and below `clean` nothing else is.
    fn check(&self, log: &Log, clean: i64, tombstones_may_be_gone: bool) {
        let found: BTreeMap<i64, (u8, Option<u64>)> = read_all(log)
            .into_iter()
            .map(|found| {
                (found.offset, (found.key[0], found.value.map(|value| u64::from_be_bytes(value.try_into().unwrap()))))
            })
            .collect();
        for (offset, record) in &found {
            assert_eq!(self.written.get(offset), Some(record), "offset {offset}");
        }
        let mut last_clean = BTreeMap::new();
        for (offset, (key, value)) in self.written.range(..clean) {
            last_clean.insert(*key, (*offset, *value));
        }
        for (offset, value) in last_clean.values() {
            assert!(
                found.contains_key(offset) || value.is_none() && tombstones_may_be_gone,
                "offset {offset} is missing"
            );
        }
        for (offset, (key, _)) in found.range(..clean) {
            assert_eq!(last_clean[key].0, *offset, "offset {offset} should be gone");
        }
        for offset in self.written.range(clean..).map(|(offset, _)| offset) {
            assert!(found.contains_key(offset), "offset {offset} was not to be looked at");
        }
    }
}

#[test]
fn random_histories_are_left_with_what_the_rules_allow() {
    for seed in 0..60 {
        let world = World::simulated();
        let directories = world.load(&config());
        let log = create(&directories, &config());
        let mut history = History::new(seed);
        let mut now = START;
        for round in 0..6 {
            for _ in 0..3 + history.random.below(12) {
                history.append(&log);
            }
            log.roll().unwrap();
            history.append(&log);
            compact(&directories, now);
            let active = log.segment_base_offsets().last().unwrap().0;
            history.check(&log, active, round > 0);
            now = now.plus_milliseconds(DELETE_RETENTION_MS * history.random.below(2) as i64);
        }
        stop(directories);
        let directories = world.load(&config());
        let log = directories.get(&partition()).unwrap();
        history.check(&log, log.segment_base_offsets().last().unwrap().0, true);
        stop(directories);
    }
}

#[test]
fn compaction_comes_to_an_end_where_offsets_are_missing_between_segments() {
    // What a follower has of a log that its leader has compacted.
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    for base in [0, 100, 200, 300] {
        let options = BatchOptions {
            base_offset: Offset(base),
            partition_leader_epoch: LeaderEpoch(0),
            ..BatchOptions::default()
        };
        log.append_as_follower(&batch(&[(b"a", Some(b"1"))], options)).unwrap();
        log.set_high_watermark(log.log_end_offset());
        log.roll().unwrap();
    }
    append(&log, &[(b"active", Some(b"1"))]);
    assert_eq!(compact(&directories, START), 1);
    assert_eq!(keys(&read_all(&log)), [(300, "a".to_owned()), (301, "active".to_owned())]);
    stop(directories);
}

#[test]
fn a_map_without_room_for_all_keys_takes_several_runs() {
    let world = World::simulated();
    let directories = world.load(&config());
    let log = create(&directories, &config());
    for round in 0..3u8 {
        for key in 0..40u8 {
            append(&log, &[(&[key], Some(&[round]))]);
        }
    }
    log.roll().unwrap();
    append(&log, &[(b"active", Some(b"1"))]);
    let small = CompactionSettings { dedupe_bytes: 16 * 40, load_factor: 1.0, ..SETTINGS };
    let mut runs = 0;
    while directories.compact_next(&small, START).is_some() {
        runs += 1;
        assert!(runs < 50);
    }
    assert!(runs >= 7, "{runs} runs of 16 keys at the most");
    // With few keys a run, an early run can't know what a later part replaces; the next ones take it away.
    let left = read_all(&log);
    for key in 0..40u8 {
        let last = left.iter().rfind(|found| found.key == [key]).unwrap();
        assert_eq!(last.value.as_deref(), Some(&[2][..]));
    }
    stop(directories);
}

#[test]
fn readers_and_appends_go_on_while_a_log_is_compacted() {
    let world = World::real();
    let config = LogConfig { segment_bytes: 4_000, ..config() };
    let directories = world.load(&config);
    let log = create(&directories, &config);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (writer, reader): (Arc<Log>, Arc<Log>) = (log.clone(), log.clone());
        let is_over = &is_over;
        scope.spawn(move || {
            for number in 0..3_000u32 {
                append(&writer, &[(&[(number % 50) as u8], Some(&number.to_be_bytes()))]);
            }
            is_over.store(true, Ordering::Release);
        });
        scope.spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                let found = read_all(&reader);
                let mut last: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
                let mut before = -1;
                for record in found {
                    assert!(record.offset > before);
                    before = record.offset;
                    let value = record.value.unwrap();
                    assert!(last.insert(record.key, value.clone()).is_none_or(|earlier| earlier < value));
                }
            }
        });
        while !is_over.load(Ordering::Acquire) {
            directories.compact_next(&SETTINGS, START);
        }
    });
    log.roll().unwrap();
    append(&log, &[(b"active", Some(b"1"))]);
    compact(&directories, START);
    assert_eq!(read_all(&log).len(), 51);
    stop(directories);
}

#[test]
fn whenever_the_machine_dies_a_start_finds_the_old_segments_or_the_new_one() {
    let mut crashes = 0;
    let modes = [CrashMode::LoseAll, CrashMode::KeepAll, CrashMode::Some { seed: 1 }, CrashMode::Some { seed: 2 }];
    for (mode, is_known) in modes.into_iter().flat_map(|mode| [(mode, true), (mode, false)]) {
        for operation in 0.. {
            let world = World::simulated();
            let memory = world.memory.clone().unwrap();
            let directories = world.load(&config());
            let log = create(&directories, &config());
            let mut history = History::new(7);
            for _ in 0..30 {
                history.append(&log);
            }
            log.roll().unwrap();
            history.append(&log);
            log.flush().unwrap();
            // Whether the next start would know that, if there were no compaction.
            if is_known {
                directories.checkpoint();
            }
            let first = memory.operations();
            memory.die_at(first + operation);
            compact(&directories, START);
            let has_died = memory.is_dead();
            drop(log);
            drop(directories);
            memory.crash(mode);
            // A node opens its logs before it knows the configurations of topics.
            let directories = world.load(&LogConfig { file_delete_delay_ms: 0, ..LogConfig::default() });
            let log = directories.get(&partition()).unwrap();
            assert!(log.damage().is_none());
            let found: BTreeMap<i64, Found> = read_all(&log).into_iter().map(|found| (found.offset, found)).collect();
            let mut last = BTreeMap::new();
            for (offset, (key, value)) in &history.written {
                last.insert(*key, (*offset, *value));
            }
            for (offset, _) in last.values() {
                assert!(found.contains_key(offset), "crash at {operation} {mode:?}: offset {offset} is missing");
            }
            let active = log.segment_base_offsets().last().unwrap().0;
            log.set_config(config());
            log.set_high_watermark(log.log_end_offset());
            compact(&directories, START);
            history.check(&log, active, false);
            stop(directories);
            crashes += 1;
            if !has_died {
                break;
            }
        }
    }
    assert!(crashes > 40, "{crashes} crash points");
}
