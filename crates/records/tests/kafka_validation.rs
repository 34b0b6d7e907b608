//! The verdict on batches held against Apache Kafka's own validator: accepted or refused, with which error code, and
//! the bytes that would be stored.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use support::Numbers;
use support::case::{Case, describe};
use support::oracle::{Oracle, hex};

/// `OTTLA_RECORDS_JUDGED` asks for more of them than CI has time for.
fn batches() -> usize {
    std::env::var("OTTLA_RECORDS_JUDGED").map_or(2000, |count| count.parse().unwrap())
}
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const START: Offset = Offset(123_456_789_012);

struct Question {
    options: ValidationOptions,
    /// `None` is `compression.type=producer`.
    target: Option<Compression>,
    bytes: Vec<u8>,
}

impl Question {
    fn random(numbers: &mut Numbers) -> Self {
        let mut case = Case::random(numbers, 2);
        // A coordinator's batch is this process's own work: what Kafka does with a strange one is not asked.
        let origin = if numbers.one_in(8) { AppendOrigin::Coordinator } else { AppendOrigin::Client };
        if origin == AppendOrigin::Coordinator || !numbers.one_in(20) {
            case.options.base_offset = Offset::ZERO;
        }
        if !numbers.one_in(10) {
            case.options.is_control = false;
        }
        if origin == AppendOrigin::Coordinator && case.options.is_control {
            (case.compression, case.level) = (Compression::None, None);
        }
        case.options.delete_horizon = None;
        let base = case.options.base_offset.value();
        let has_gaps = origin == AppendOrigin::Client && numbers.one_in(8);
        for (at, record) in case.records.iter_mut().enumerate() {
            let gap = if has_gaps { at as i64 } else { 0 };
            record.offset = base + at as i64 + gap;
            if !numbers.one_in(6) {
                record.timestamp = NOW.value() - numbers.below(500) as i64;
            }
        }
        let mut bytes = case.build();
        let is_intact = origin == AppendOrigin::Coordinator || numbers.one_in(2);
        let changes = if is_intact { 0 } else { 1 + numbers.below(3) };
        for _ in 0..changes {
            change(numbers, &mut bytes);
        }
        if !numbers.one_in(8) {
            restore_checksum(&mut bytes);
        }
        if numbers.one_in(20) {
            let cut = numbers.below(bytes.len() + 1);
            bytes.extend_from_within(..cut);
        }
        if numbers.one_in(30) {
            bytes.truncate(numbers.below(bytes.len() + 1));
        }
        let target = (!numbers.one_in(2)).then(|| numbers.pick(&Compression::ALL));
        let options = ValidationOptions {
            origin,
            depth: ValidationDepth::Records,
            record_bytes_max: numbers.pick(&[i32::MAX as usize - 8, i32::MAX as usize - 8, 50, 200]),
            batch_bytes_max: numbers.pick(&[100, 1_048_588, 1_048_588, 1_048_588]),
            is_compacted: numbers.one_in(4),
            timestamp_type: if numbers.one_in(4) { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
            now: NOW,
            timestamp_before_milliseconds_max: numbers.pick(&[i64::MAX, i64::MAX, 1000]),
            timestamp_after_milliseconds_max: numbers.pick(&[i64::MAX, 3_600_000]),
            target_compression: target,
            leader_epoch: LeaderEpoch(17),
        };
        Self { options, target, bytes }
    }

    fn text(&self) -> String {
        let options = &self.options;
        format!(
            "validate {} {} {} {} {} {} {} default {} {} {} {} {}",
            if options.origin == AppendOrigin::Client { "CLIENT" } else { "COORDINATOR" },
            u8::from(options.is_compacted),
            options.timestamp_type.name(),
            options.now,
            options.timestamp_before_milliseconds_max,
            options.timestamp_after_milliseconds_max,
            self.target.map_or("producer", Compression::name),
            options.leader_epoch,
            options.batch_bytes_max,
            START,
            options.record_bytes_max,
            hex(&self.bytes),
        )
    }

    /// What would be stored, or the refusal.
    fn verdict(&self) -> Result<(Timestamp, AppendAction, Vec<u8>), Refusal> {
        let mut decompressor = Decompressor::new(1 << 24);
        let valid = validate_for_append(&self.bytes, &self.options, &mut decompressor)?;
        let mut stored = self.bytes[..valid.size].to_vec();
        match valid.action {
            AppendAction::InPlace => valid.patch(&mut stored, START, LeaderEpoch(17)).unwrap(),
            AppendAction::Rebuild => {
                let log_append_time =
                    (self.options.timestamp_type == TimestampType::LogAppendTime).then_some(self.options.now);
                let options = RebuildOptions {
                    compression: self.target.unwrap_or(valid.compression).into(),
                    base_offset: START,
                    partition_leader_epoch: LeaderEpoch(17),
                    log_append_time,
                };
                let batch = RecordBatchView::parse(&self.bytes).unwrap();
                stored = rebuild(batch, &options, &mut decompressor, &mut Compressor::new())?;
            }
        }
        Ok((valid.max_timestamp, valid.action, stored))
    }
}

enum Refusal {
    Invalid(InvalidBatch),
    NotRebuilt(RebuildError),
}

impl Refusal {
    fn error_name(&self) -> &'static str {
        match self {
            Self::Invalid(invalid) => invalid.error_name(),
            Self::NotRebuilt(error) => error.error().1,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::NotRebuilt(error) => error.fmt(f),
        }
    }
}

impl From<InvalidBatch> for Refusal {
    fn from(invalid: InvalidBatch) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<RebuildError> for Refusal {
    fn from(error: RebuildError) -> Self {
        Self::NotRebuilt(error)
    }
}

fn change(numbers: &mut Numbers, bytes: &mut [u8]) {
    // The fields of the header are as often hit as all the records.
    let range = if numbers.one_in(2) { 8..61 } else { 61..bytes.len() };
    let at = range.start + numbers.below(range.end - range.start);
    match numbers.below(3) {
        0 => bytes[at] = numbers.next() as u8,
        1 => bytes[at] ^= 1 << numbers.below(8),
        _ => bytes[at] = bytes[at].wrapping_add(numbers.pick(&[1, 2, 255, 254])),
    }
}

fn restore_checksum(bytes: &mut [u8]) {
    // Setting a timestamp type computes the checksum, so it is set to what it is not, and back.
    let Ok(batch) = RecordBatchView::parse(bytes) else { return };
    let (timestamp_type, max_timestamp, attributes) =
        (batch.timestamp_type(), batch.max_timestamp(), batch.attributes());
    let size = batch.size();
    set_timestamps(bytes, timestamp_type, Timestamp(max_timestamp.value().wrapping_add(1))).unwrap();
    set_timestamps(bytes, timestamp_type, max_timestamp).unwrap();
    // Unknown attribute bits were cleared on the way: put them back by hand.
    if attributes & !0x7f != 0 {
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        let checksum = crc_fast::crc32_iscsi(&bytes[21..size]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Where this validator is stricter on purpose, or more precise.
fn known_difference(ours: &Refusal, theirs: &Result<String, String>) -> Option<&'static str> {
    let their_code = theirs.as_ref().err().map_or("NONE", |error| error.split(' ').next().unwrap());
    match (ours, their_code) {
        (Refusal::NotRebuilt(RebuildError::Build(BuildError::InvalidTimestamp(_))), "UNKNOWN_SERVER_ERROR") => {
            Some("a negative timestamp can't be rebuilt")
        }
        (Refusal::NotRebuilt(_), _) => None,
        (Refusal::Invalid(invalid), _) => match (&invalid.kind, their_code) {
            (InvalidBatchKind::UnknownCompression(_), "UNKNOWN_SERVER_ERROR") => Some("unknown codec"),
            (InvalidBatchKind::Unreadable(RecordsError::Decompress(_)), "UNKNOWN_SERVER_ERROR") => {
                Some("malformed compression")
            }
            (InvalidBatchKind::Batch(BatchError { kind: BatchErrorKind::TooShort { .. }, .. }), "INVALID_RECORD") => {
                Some("two faults at once")
            }
            (InvalidBatchKind::OffsetsNotConsecutive { .. }, "NONE" | "UNKNOWN_SERVER_ERROR") => {
                Some("offsets that are not consecutive")
            }
            (InvalidBatchKind::Unreadable(RecordsError::Malformed { .. }), "NONE" | "INVALID_TIMESTAMP") => {
                Some("a broken record in a compressed batch, skipped over there")
            }
            (
                InvalidBatchKind::ProducerId(_)
                | InvalidBatchKind::ProducerEpoch { .. }
                | InvalidBatchKind::TransactionalWithoutProducer,
                _,
            ) => Some("producer fields that no producer has"),
            (InvalidBatchKind::DeleteHorizonByClient, _) => Some("delete horizon set by a client"),
            _ => None,
        },
    }
}

#[test]
fn verdicts_and_stored_bytes_are_those_of_kafka() {
    let mut oracle = Oracle::start();
    let batches = batches();
    let mut numbers = Numbers(3);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for index in 0..batches {
        let question = Question::random(&mut numbers);
        let theirs = oracle.ask(&question.text());
        let ours = question.verdict();
        let outcome = compare(&ours, &theirs);
        match outcome {
            Ok(outcome) => *seen.entry(outcome).or_default() += 1,
            Err(reason) => faults.push(format!("{index}: {reason}\n  {}\n", question.text())),
        }
    }
    for (outcome, count) in &seen {
        println!("{count:6} {outcome}");
    }
    assert!(faults.is_empty(), "{} differences, the first:\n{}", faults.len(), faults[..faults.len().min(10)].concat());
    println!("validation: {batches} batches judged alike");
}

fn compare(
    ours: &Result<(Timestamp, AppendAction, Vec<u8>), Refusal>,
    theirs: &Result<String, String>,
) -> Result<String, String> {
    match (ours, theirs) {
        (Ok((max_timestamp, action, stored)), Ok(answer)) => {
            let words: Vec<&str> = answer.split(' ').collect();
            let (their_timestamp, their_hex) = (words[0], words[2]);
            if max_timestamp.to_string() != their_timestamp {
                return Err(format!("max timestamp {max_timestamp}, there {their_timestamp}"));
            }
            let mut difference = String::new();
            let is_same = match action {
                AppendAction::InPlace => hex(stored) == their_hex,
                AppendAction::Rebuild => {
                    let theirs = support::oracle::parse_hex(their_hex).unwrap();
                    let (ours, theirs) = (without_size(&describe(stored)), without_size(&describe(&theirs)));
                    // Java makes text of header keys, which destroys those that aren't UTF-8; here they are kept.
                    if ours != theirs && theirs.contains("efbfbd") {
                        return Ok("known difference: header keys that aren't UTF-8".to_owned());
                    }
                    difference = first_difference(&ours, &theirs);
                    ours == theirs
                }
            };
            let is_in_place = words[1] == "false";
            if !is_same {
                return Err(format!("{action:?}, {difference}, stored {}\n  there {their_hex}", hex(stored)));
            }
            if is_in_place != (*action == AppendAction::InPlace) {
                return Err(format!("{action:?}, there in place: {is_in_place}"));
            }
            Ok(format!("accepted, {action:?}"))
        }
        (Err(refusal), Err(error)) if error.starts_with(&format!("{} ", refusal.error_name())) => {
            Ok(format!("refused with {}", refusal.error_name()))
        }
        (Err(refusal), _) if known_difference(refusal, theirs).is_some() => {
            Ok(format!("known difference: {}", known_difference(refusal, theirs).unwrap()))
        }
        (Err(refusal), Err(error)) => Err(format!("refused with {} ({refusal}), there {error}", refusal.error_name())),
        (Err(refusal), Ok(answer)) => {
            Err(format!("refused with {} ({refusal}), there accepted {answer}", refusal.error_name()))
        }
        (Ok((_, action, stored)), Err(error)) => Err(format!("accepted {action:?} {}, there {error}", hex(stored))),
    }
}

fn first_difference(ours: &str, theirs: &str) -> String {
    let mut pairs = ours.split(';').zip(theirs.split(';'));
    let found = pairs.find(|(ours, theirs)| ours != theirs);
    found.map_or_else(|| "lengths differ".to_owned(), |(ours, theirs)| format!("\n  {ours}\n  {theirs}\n"))
}

/// A description without what depends on how well the codec compresses.
fn without_size(description: &str) -> String {
    let is_kept = |word: &&str| !word.starts_with("size=") && !word.starts_with("crc=");
    description.split(' ').filter(is_kept).collect::<Vec<_>>().join(" ")
}
