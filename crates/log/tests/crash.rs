//! Every crash point: whatever the moment at which the machine dies, and whatever the disk kept of what was not synced,
//! what was promised to be durable is there, and what is there is a beginning of what was written.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{CLIENT, START, World, create, partition};
use ottla_env_sim::CrashMode;
use ottla_log::{CleanupPolicy, CompactionSettings, Log, LogConfig, LogDirectories, ReadBound, ReadRequest};
use ottla_records::{BatchBuilder, BatchOptions, Batches, Compressor, Decompressor, RecordToWrite};
use ottla_types::{BrokerEpoch, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    AppendThree,
    Flush,
    Roll,
    TruncateHalf,
    DeleteRecords,
    Checkpoint,
    Compact,
    Restart,
}

const STEPS: [Step; 9] = [
    Step::Append,
    Step::AppendThree,
    Step::Flush,
    Step::Roll,
    Step::TruncateHalf,
    Step::DeleteRecords,
    Step::Checkpoint,
    Step::Compact,
    Step::Restart,
];

/// What must be true of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// The value of the record at each offset from 0 on.
    values: Vec<u64>,
    /// Everything before it is durable.
    durable: usize,
    /// The log begins here.
    start: usize,
    /// Where batches end.
    ends: Vec<usize>,
}

struct Run {
    world: World,
    directories: Option<LogDirectories>,
    log: Option<Arc<Log>>,
    model: Model,
    next_value: u64,
    sequence: i32,
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 300,
        index_interval_bytes: 50,
        file_delete_delay_ms: 0,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    }
}

fn batch(value: u64, count: u64, sequence: i32, epoch: i16) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
        ..BatchOptions::default()
    });
    for value in value..value + count {
        let value = value.to_be_bytes();
        // Each record has a key of its own, so that compaction puts segments together and takes none of them away.
        builder
            .append(&RecordToWrite { timestamp: START, key: Some(&value), value: Some(&value), headers: &[] })
            .unwrap();
    }
    builder.build_vec(&mut Compressor::default()).unwrap()
}

impl Run {
    fn new() -> Self {
        let world = World::simulated();
        let mut run = Self { world, directories: None, log: None, model: Model::default(), next_value: 1, sequence: 0 };
        run.start();
        run
    }

    fn start(&mut self) {
        let directories = self.world.load(&config());
        self.log = Some(create(&directories, &config()));
        self.directories = Some(directories);
    }

    /// Does one step. An error means that the machine has died. The model is then what the step would have made true.
    fn step(&mut self, step: Step) -> Result<(), ()> {
        let log = self.log.clone().ok_or(())?;
        match step {
            Step::Append => self.append(&log, 1),
            Step::AppendThree => self.append(&log, 3),
            Step::Flush => {
                let end = log.flush().map_err(drop)?;
                self.model.durable = end.0 as usize;
                Ok(())
            }
            Step::Roll => log.roll().map_err(drop),
            Step::TruncateHalf => {
                // A batch that is cut in its middle goes as a whole and leaves a gap; that is another test's matter.
                let half = (self.model.values.len() + self.model.start) / 2;
                let keep = self.model.ends.iter().copied().filter(|end| *end <= half).max().unwrap_or(0);
                self.model.start = self.model.start.min(keep);
                self.model.values.truncate(keep);
                self.model.ends.retain(|end| *end <= keep);
                self.model.durable = self.model.durable.min(keep);
                log.truncate_to(Offset(keep as i64)).map_err(drop)
            }
            Step::DeleteRecords => {
                let start = (self.model.values.len() + self.model.start) / 2;
                log.set_high_watermark(log.log_end_offset());
                self.model.start = start;
                log.advance_log_start_offset(Offset(start as i64)).map_err(drop)?;
                self.directories.as_ref().ok_or(())?.apply_retention_now();
                if self.world.memory.as_ref().unwrap().is_dead() { Err(()) } else { Ok(()) }
            }
            Step::Checkpoint => {
                self.world.clock.advance(core::time::Duration::from_secs(61));
                self.directories.as_ref().ok_or(())?.tick(self.world.now());
                if self.world.memory.as_ref().unwrap().is_dead() { Err(()) } else { Ok(()) }
            }
            Step::Compact => {
                log.set_high_watermark(log.log_end_offset());
                // Only for the moment: of a compacted log recovery takes a gap between segments for the work of compaction.
                let cleanup_policy = CleanupPolicy { delete: true, compact: true };
                log.set_config(LogConfig { cleanup_policy, ..config() });
                let settings =
                    CompactionSettings { dedupe_bytes: 1 << 16, load_factor: 0.9, decompressed_bytes_max: 1 << 16 };
                while self.directories.as_ref().ok_or(())?.compact_next(&settings, START).is_some() {}
                log.set_config(config());
                if self.world.memory.as_ref().unwrap().is_dead() { Err(()) } else { Ok(()) }
            }
            Step::Restart => {
                drop(log);
                self.log = None;
                let directories = self.directories.take().ok_or(())?;
                directories.close(BrokerEpoch(1));
                drop(directories);
                if self.world.memory.as_ref().unwrap().is_dead() {
                    return Err(());
                }
                self.model.durable = self.model.values.len();
                self.reopen()
            }
        }
    }

    fn reopen(&mut self) -> Result<(), ()> {
        let options = ottla_log::DirectoriesOptions::default();
        let paths = std::slice::from_ref(&self.world.path);
        let directories = LogDirectories::open(self.world.environment(), paths, options).map_err(drop)?;
        let failures = directories.load(&|_| config());
        let log = directories.get(&partition());
        if !failures.is_empty() || self.world.memory.as_ref().unwrap().is_dead() {
            return Err(());
        }
        self.log = log.or_else(|| Some(create(&directories, &config())));
        self.directories = Some(directories);
        Ok(())
    }

    fn append(&mut self, log: &Log, count: u64) -> Result<(), ()> {
        self.sequence += 1;
        // Each batch in an epoch of its own, so that truncation leaves the producer free to go on.
        let mut bytes = batch(self.next_value, count, 0, self.sequence as i16);
        self.model.values.extend(self.next_value..self.next_value + count);
        self.model.ends.push(self.model.values.len());
        self.next_value += count;
        log.append_as_leader(&mut bytes, LeaderEpoch(self.sequence / 3), CLIENT).map(drop).map_err(drop)
    }
}

/// The values in the log from an offset on, read batch by batch and again from every single offset.
fn values(log: &Log, from: usize) -> Vec<u64> {
    let mut found = Vec::new();
    let mut decompressor = Decompressor::new(1 << 20);
    let end = log.log_end_offset();
    let mut offset = Offset(from as i64);
    while offset < end {
        let request = ReadRequest { offset, max_bytes: 1 << 20, min_one_batch: true, bound: ReadBound::LogEnd };
        let slice = log.read(request).unwrap();
        let bytes: Vec<u8> = slice.ranges.iter().flat_map(|range| range.read().unwrap()).collect();
        let batch = Batches::new(&bytes)
            .next()
            .unwrap_or_else(|| panic!("nothing at {offset} of {:?}", log.offsets()))
            .unwrap();
        let mut next = offset;
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            if record.offset == offset {
                found.push(u64::from_be_bytes(record.value.unwrap().try_into().unwrap()));
                next = offset.next();
            }
        }
        assert!(next > offset, "no record at {offset}");
        offset = next;
    }
    found
}

/// After the crash: opens the log and holds it against what was true before and after the last step.
fn check(run: &mut Run, before: &Model, what: &str) {
    run.log = None;
    run.directories = None;
    run.start();
    let log = run.log.clone().unwrap();
    assert!(log.damage().is_none(), "{what}: {:?}", log.damage());
    let start = before.start.max(run.model.start).max(log.log_start_offset().0 as usize);
    assert!(log.log_start_offset().0 as usize <= run.model.start.max(before.start), "{what}: begins too late");
    let end = log.log_end_offset().0 as usize;
    let durable = before.durable.min(run.model.durable);
    assert!(end >= durable, "{what}: ends at {end}, durable up to {durable}");
    let found = values(&log, start.min(end));
    let matches =
        |model: &Model| model.values.get(start.min(end)..end).is_some_and(|expected| expected == found.as_slice());
    assert!(
        matches(before) || matches(&run.model),
        "{what}: found {found:?} from {start}, before {before:?}, after {:?}",
        run.model
    );
    // It goes on from there, and a clean stop keeps it.
    let mut bytes = batch(9999, 1, 0, i16::MAX);
    let appended = log.append_as_leader(&mut bytes, LeaderEpoch(1000), CLIENT).unwrap();
    assert_eq!(appended.first_offset.0 as usize, end, "{what}");
    let expected: Vec<u64> = found.iter().copied().chain([9999]).collect();
    assert_eq!(values(&log, start.min(end)), expected, "{what}");
    drop(log);
    run.log = None;
    run.directories.take().unwrap().close(BrokerEpoch(1));
    run.start();
    let log = run.log.clone().unwrap();
    assert_eq!(values(&log, start.min(end)), expected, "{what}: after a clean stop");
}

/// Runs the steps up to the crash point. Says what was true before the step that was struck, or `None` when none was.
fn run_until(steps: &[Step], point: u64) -> (Run, Option<Model>) {
    let mut run = Run::new();
    let memory = run.world.memory.clone().unwrap();
    let base = memory.operations();
    memory.die_at(base + point);
    for step in steps {
        let before = run.model.clone();
        if run.step(*step).is_err() {
            return (run, Some(before));
        }
    }
    (run, None)
}

fn enumerate(steps: &[Step], modes: &[CrashMode]) -> u64 {
    let mut runs = 0;
    for point in 0.. {
        let mut survived = false;
        for mode in modes {
            let (mut run, before) = run_until(steps, point);
            survived = before.is_none();
            let before = before.unwrap_or_else(|| run.model.clone());
            run.world.memory.as_ref().unwrap().crash(*mode);
            check(&mut run, &before, &format!("{steps:?} crash at {point} {mode:?}"));
            runs += 1;
        }
        if survived {
            break;
        }
    }
    runs
}

/// All sequences of so many steps.
fn sequences(length: usize) -> Vec<Vec<Step>> {
    (0..length).fold(vec![Vec::new()], |shorter, _| {
        shorter.iter().flat_map(|steps| STEPS.map(|step| steps.iter().copied().chain([step]).collect())).collect()
    })
}

/// A number from the environment, to look longer than on every run.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn every_crash_point_of_every_short_sequence_leaves_a_log_that_keeps_its_promises() {
    let mut runs = 0;
    for steps in sequences(setting("OTTLA_CRASH_STEPS", 2) as usize) {
        let steps: Vec<Step> = [Step::AppendThree, Step::Append].into_iter().chain(steps).collect();
        let some = CrashMode::Some { seed: runs };
        runs += enumerate(&steps, &[CrashMode::LoseAll, CrashMode::KeepAll, some]);
    }
    println!("{runs} crashes");
}

#[test]
fn long_runs_of_random_steps_survive_crashes_at_random_points() {
    for seed in 0..setting("OTTLA_CRASH_SEEDS", 300) {
        let random = ottla_env_sim::SeededRandom::new(seed);
        let steps: Vec<Step> = (0..20).map(|_| STEPS[random.below(STEPS.len() as u64) as usize]).collect();
        let (probe, _) = run_until(&steps, u64::MAX / 2);
        let operations = probe.world.memory.as_ref().unwrap().operations();
        let point = random.below(operations.max(1));
        let modes = [CrashMode::KeepAll, CrashMode::LoseAll, CrashMode::Some { seed }];
        let mode = modes[random.below(3) as usize];
        let (mut run, before) = run_until(&steps, point);
        let before = before.unwrap_or_else(|| run.model.clone());
        run.world.memory.as_ref().unwrap().crash(mode);
        check(&mut run, &before, &format!("seed {seed}: {steps:?} crash at {point} {mode:?}"));
    }
}
