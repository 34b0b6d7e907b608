use super::reader::LogReader;
use super::wire::{Wire, error};
use super::world::{World, now_ms};
use crate::Dice;
use crate::history::{Batch, History, Kind, LogName, Marks, Scan, check_lookups};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest};
use std::collections::BTreeMap;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

const OFFSET_FETCH: i16 = 8;
const OFFSET_COMMIT: i16 = 9;
const FIND_COORDINATOR: i16 = 4;

/// How long the server may take until it answers a question with something else than that it is not ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client of another process may take to tell what it does.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// So many answers are read of a log at one look.
const FETCHES_MAX: usize = 8;

/// Looks at the server after each restart, and at everything in the end.
#[derive(Debug)]
pub struct Observer {
    reader: LogReader,
    wire: Wire,
    dice: Dice,
    /// How far each log was read.
    positions: BTreeMap<LogName, i64>,
}

impl Observer {
    /// Of these logs.
    pub fn new(world: &World, logs: &[LogName]) -> Self {
        Self {
            reader: LogReader::new(&world.address),
            wire: Wire::new(&world.address),
            dice: Dice(world.seed ^ 0x6f62),
            positions: logs.iter().map(|log| (log.clone(), 0)).collect(),
        }
    }

    /// What was acknowledged before is there: marks, committed offsets, and what came since the last look; and a part of
    /// what was seen before is as it was.
    pub fn look(&mut self, world: &World) {
        let logs: Vec<LogName> = self.positions.keys().cloned().collect();
        for log in &logs {
            let known_end = world.history().records.end(log);
            let Some(marks) = self.marks(world, log) else { continue };
            {
                let History { marks: seen, violations, .. } = &mut *world.history();
                seen.see(log, marks, known_end, violations);
            }
            self.advance(world, log, marks);
        }
        self.look_at_groups(world);
    }

    fn marks(&mut self, world: &World, log: &LogName) -> Option<Marks> {
        let reader = &mut self.reader;
        patiently(world, &format!("the marks of {log}"), || reader.marks(log))
    }

    fn advance(&mut self, world: &World, log: &LogName, marks: Marks) {
        let position = self.positions.get(log).copied().unwrap_or_default().max(marks.start);
        let mut next = position;
        for _ in 0..FETCHES_MAX {
            let Some(batches) = self.fetch(world, log, next) else { break };
            let Some(last) = batches.last() else { break };
            next = last.next;
            note(world, log, &batches);
            if next >= marks.high_watermark {
                break;
            }
        }
        self.positions.insert(log.clone(), next);
        if position > marks.start {
            let from = marks.start + self.dice.roll((position - marks.start).unsigned_abs()) as i64;
            if let Some(batches) = self.fetch(world, log, from) {
                note(world, log, &batches);
            }
        }
    }

    /// What comes with one answer. The log may begin later by now, or the server may be gone again: the next look goes on.
    fn fetch(&mut self, world: &World, log: &LogName, from: i64) -> Option<Vec<Batch>> {
        match self.reader.fetch(log, from) {
            Ok(batches) => Some(batches),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                world.history().violations.add(Kind::UnreadableBatch, format!("{log} from {from} on: {error}"));
                None
            }
            Err(_) => None,
        }
    }

    /// No acknowledged commit is lost.
    pub fn look_at_groups(&mut self, world: &World) {
        let owed = world.history().offsets.acknowledged();
        let mut groups: Vec<&String> = owed.keys().map(|(group, _, _)| group).collect();
        groups.dedup();
        for group in groups {
            let wire = &mut self.wire;
            let Some(there) = patiently(world, &format!("the offsets of {group}"), || committed(wire, group)) else {
                continue;
            };
            wait_until_heard(world, group, &there);
            let History { offsets, violations, .. } = &mut *world.history();
            for (place, least) in owed.iter().filter(|((other, _, _), _)| other == group) {
                let now = there.get(&(place.1.clone(), place.2)).copied();
                offsets.found(place, *least, now, violations);
            }
        }
    }

    /// Whether the group has committed the end of each of these logs, in which nothing is written any more.
    pub fn has_read_all(&mut self, group: &str, logs: &[LogName]) -> bool {
        let Ok(there) = committed(&mut self.wire, group) else { return false };
        logs.iter().all(|log| {
            let Ok(marks) = self.reader.marks(log) else { return false };
            let place = (log.topic.to_string(), log.partition);
            marks.high_watermark == 0 || there.get(&place) == Some(&marks.high_watermark)
        })
    }

    /// How many records of these logs a group has not committed; `None` when nobody answers.
    pub fn lag(&mut self, group: &str, logs: &[LogName]) -> Option<i64> {
        let there = committed(&mut self.wire, group).ok()?;
        let mut lag = 0;
        for log in logs {
            let marks = self.reader.marks(log).ok()?;
            let position = there.get(&(log.topic.to_string(), log.partition)).copied().unwrap_or(marks.start);
            lag += (marks.high_watermark - position).max(0);
        }
        Some(lag)
    }

    /// Waits until no transaction holds up readers, and notes those that still do.
    pub fn await_quiet(&mut self, world: &World, within: Duration) {
        let end = Instant::now() + within;
        let logs: Vec<LogName> = self.positions.keys().cloned().collect();
        for log in logs {
            while let Some(marks) = self.marks(world, &log) {
                if marks.last_stable == marks.high_watermark || Instant::now() >= end {
                    let History { marks: seen, violations, .. } = &mut *world.history();
                    seen.see_quiet(&log, marks, violations);
                    break;
                }
                sleep(Duration::from_millis(50));
            }
        }
    }

    /// Everything that lies in a log is compared with everything that was noted of it, look-ups included. Nobody writes.
    pub fn check(&mut self, world: &World, log: &LogName) -> Option<Scan> {
        let reader = &mut self.reader;
        let scan = patiently(world, &format!("all of {log}"), || reader.scan(log))?;
        world.history().check_log(&scan, now_ms());
        let is_transactional = scan.batches.iter().any(|batch| batch.is_transactional);
        let is_compacted = world.history().compacted.contains_key(log);
        // Markers have times too, and compaction may go on meanwhile.
        if !is_transactional && !is_compacted {
            let all: Vec<i64> = scan.records().map(|record| record.timestamp).collect();
            let picks = (0..20).filter(|_| !all.is_empty()).map(|pick| {
                let time = all[self.dice.roll(all.len() as u64) as usize];
                time + i64::from(pick % 3 - 1)
            });
            let times: Vec<i64> = picks.collect();
            let lookups = patiently(world, &format!("look-ups in {log}"), || self.reader.lookups(log, &times));
            let violations = &mut world.history().violations;
            check_lookups(&scan, &lookups.unwrap_or_default(), violations);
        }
        Some(scan)
    }
}

/// Asks until there is an answer; without one within half a minute the run has failed.
fn patiently<T>(world: &World, what: &str, mut ask: impl FnMut() -> io::Result<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return Some(answer),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                world.history().violations.add(Kind::UnreadableBatch, format!("{what}: {error}"));
                return None;
            }
            // After a failure the run is over: what else fails is not waited for as long.
            Err(error) if Instant::now() >= end || !world.failures().is_empty() => {
                world.fail(format!("{what}: {error}"));
                return None;
            }
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

fn note(world: &World, log: &LogName, batches: &[Batch]) {
    let History { records, violations, compacted, .. } = &mut *world.history();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        if let Some(value) = record.value {
            records.read(log, record.offset, value, violations);
        }
        if let (Some(compacted), Some(key)) = (compacted.get_mut(log), record.key) {
            compacted.note(record.offset, key, record.value, violations);
        }
    }
}

/// All that a group has committed.
fn committed(wire: &mut Wire, group: &str) -> io::Result<BTreeMap<(String, i32), i64>> {
    let of_group = OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![of_group], require_stable: true, ..Default::default() };
    let answer = wire.ask(OFFSET_FETCH, &request)?;
    let group = answer.groups.into_iter().next().ok_or_else(|| io::Error::other("no group in the answer"))?;
    if error(group.error_code) != ErrorCode::None {
        return Err(io::Error::other(format!("{:?}", error(group.error_code))));
    }
    let mut all = BTreeMap::new();
    for topic in group.topics {
        for partition in topic.partitions {
            if error(partition.error_code) != ErrorCode::None {
                return Err(io::Error::other(format!("{:?}", error(partition.error_code))));
            }
            if partition.committed_offset >= 0 {
                all.insert((topic.name.clone(), partition.partition_index), partition.committed_offset);
            }
        }
    }
    Ok(all)
}

/// Gives a client of another process time to tell that it has asked for what was found.
fn wait_until_heard(world: &World, group: &str, there: &BTreeMap<(String, i32), i64>) {
    let end = Instant::now() + HEARD_WITHIN;
    let is_heard = |((topic, partition), offset): (&(String, i32), &i64)| {
        let place = (group.to_owned(), topic.clone(), *partition);
        world.history().offsets.was_asked(&place, *offset)
    };
    while !there.iter().all(is_heard) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Commits an offset for a group without members. The group's coordinator is asked for first, as a client does it: that
/// creates the topic of the offsets.
///
/// # Errors
/// Nobody answered, the server refused it, or is not ready.
pub fn commit_offset(wire: &mut Wire, group: &str, log: &LogName, offset: i64) -> io::Result<()> {
    let coordinator = FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() };
    wire.ask(FIND_COORDINATOR, &coordinator)?;
    let partition =
        OffsetCommitRequestPartition { partition_index: log.partition, committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: log.topic.to_string(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest { group_id: group.to_owned(), topics: vec![topic], ..Default::default() };
    let answer = wire.ask(OFFSET_COMMIT, &request)?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition.map(|partition| error(partition.error_code)) {
        Some(ErrorCode::None) => Ok(()),
        other => Err(io::Error::other(format!("{group}: {other:?}"))),
    }
}
