use super::log_writer::{Entry, LogWriter, Written};
use super::topics::configure;
use super::wire::{Wire, error, is_passing};
use super::world::World;
use crate::Dice;
use crate::history::{LogName, Value};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DeleteRecordsRequest;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use std::io;

const DELETE_RECORDS: i16 = 2;

/// Records that fill segments up fast.
const LONG: usize = 1000;

/// Writes plain records with these acks: with 1 what is acknowledged must stay, with 0 nothing is promised but that
/// nothing is doubled, out of order or made up.
pub(super) fn write_plainly(world: &World, log: LogName, acks: i16) {
    let mut writer = LogWriter::new(world, log, 20);
    let mut dice = Dice(world.seed ^ u64::from(acks.unsigned_abs()));
    while world.goes_on() {
        let count = 1 + dice.roll(10) as usize;
        writer.write(world, &vec![Entry::PLAIN; count], acks, None);
    }
}

/// Writes long records to a log that is kept to one of these sizes, now to this and now to that.
pub(super) fn write_much(world: &World, log: LogName, sizes: &[u64]) {
    let mut writer = LogWriter::new(world, log.clone(), LONG);
    let mut wire = Wire::new(&world.address);
    let mut dice = Dice(world.seed ^ 0x6d75);
    while world.goes_on() {
        writer.write(world, &[Entry::PLAIN; 10], -1, None);
        if dice.roll(20) == 0 {
            set(world, &mut wire, &log, "retention.bytes", &dice.pick(sizes).to_string());
        }
    }
}

/// Nobody answering is as good as an answer: each of the values that are tried will do.
fn set(world: &World, wire: &mut Wire, log: &LogName, key: &str, value: &str) {
    match configure(wire, &log.topic, key, Some(value)) {
        Ok(ErrorCode::None | ErrorCode::RequestTimedOut) | Err(_) => {}
        Ok(other) if is_passing(other) => {}
        Ok(other) => world.fail(format!("{key} of {log} could not be set to {value}: {other:?}")),
    }
}

/// Writes records to a compacted log: some keys again and again, now and then a tombstone.
pub(super) fn write_keys(world: &World, log: LogName) {
    const KEYS: u64 = 40;
    let mut writer = LogWriter::new(world, log.clone(), 200);
    let mut wire = Wire::new(&world.address);
    let mut dice = Dice(world.seed ^ 0x6b65);
    while world.goes_on() {
        let entry = |dice: &mut Dice| Entry { key: Some(dice.roll(KEYS) as u32), is_tombstone: dice.roll(10) == 0 };
        let entries: Vec<Entry> = (0..5).map(|_| entry(&mut dice)).collect();
        if let (values, Written::At(base)) = writer.write(world, &entries, -1, None) {
            note_keys(world, &log, base, &entries, &values);
        }
        if dice.roll(50) == 0 {
            set(world, &mut wire, &log, "min.cleanable.dirty.ratio", dice.pick(&["0.01", "0.2"]));
        }
    }
}

fn note_keys(world: &World, log: &LogName, base: i64, entries: &[Entry], values: &[Value]) {
    let history = &mut *world.history();
    let compacted = history.compacted.entry(log.clone()).or_default();
    for (offset, (entry, value)) in (base..).zip(entries.iter().zip(values)) {
        let value = (!entry.is_tombstone).then_some(*value);
        compacted.note(offset, entry.key.unwrap_or_default(), value, &mut history.violations);
    }
}

/// Writes records, and asks again and again that the log begin later.
pub(super) fn write_and_trim(world: &World, log: LogName) {
    let mut writer = LogWriter::new(world, log.clone(), LONG);
    let mut wire = Wire::new(&world.address);
    let mut dice = Dice(world.seed ^ 0x7472);
    let (mut start, mut end) = (0, 0);
    while world.goes_on() {
        if let (values, Written::At(base)) = writer.write(world, &[Entry::PLAIN; 5], 1, None) {
            end = base + values.len() as i64;
        }
        if dice.roll(10) == 0 && start < end {
            start += 1 + dice.roll((end - start) as u64) as i64;
            trim(world, &mut wire, &log, start);
        }
    }
}

fn trim(world: &World, wire: &mut Wire, log: &LogName, start: i64) {
    world.history().policies.entry(log.clone()).or_default().asked_start = start;
    match delete_records(wire, log, start) {
        Ok((ErrorCode::None, _)) => {
            world.history().policies.entry(log.clone()).or_default().done_start = start;
        }
        // Nobody answered: it may begin there or not.
        Ok((ErrorCode::RequestTimedOut, _)) | Err(_) => {}
        Ok((other, _)) if is_passing(other) => {}
        Ok((other, low)) => world.fail(format!("{log} could not be made to begin at {start}: {other:?}, {low}")),
    }
}

/// Asks that a log begin at this offset. Answers what the server said, and where it begins.
///
/// # Errors
/// Nobody answered.
pub fn delete_records(wire: &mut Wire, log: &LogName, offset: i64) -> io::Result<(ErrorCode, i64)> {
    let partition = DeleteRecordsPartition { partition_index: log.partition, offset, ..Default::default() };
    let topic = DeleteRecordsTopic { name: log.topic.to_string(), partitions: vec![partition], ..Default::default() };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = wire.ask(DELETE_RECORDS, &request)?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    let partition = partition.ok_or_else(|| io::Error::other("no partition in the answer"))?;
    Ok((error(partition.error_code), partition.low_watermark))
}
