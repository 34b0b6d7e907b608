//! Offsets by time in many partitions at once.

use super::{MANY, SOON, create, delete};
use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_tests::raw::base64;
use ottla_tests::{Asker, Target, now_ms};
use ottla_types::Timestamp;
use serde_json::{Value, json};
use std::time::Instant;

/// Each partition has so many batches of one record each.
const BATCHES: usize = 3;

/// From the time of one record to the next one's.
const STEP_MS: i64 = 1_000;

/// The record that is looked for.
const WANTED: i64 = 1;

/// A consumer of many partitions asks where in each a time is, in one request.
pub(super) fn a_time_is_found_in_many_partitions_at_once(target: &Target) {
    let mut asker = Asker::new(target.bootstrap());
    create(&mut asker, "timed", MANY, &json!([]));
    let first = now_ms();
    fill(&mut asker, first);
    let wanted = first + WANTED * STEP_MS;
    let partition = |index: usize| json!({"partitionIndex": index, "timestamp": wanted - 1});
    let asked: Vec<Value> = (0..MANY).map(partition).collect();
    let ask = json!({"replicaId": -1, "topics": [{"name": "timed", "partitions": asked}]});
    let start = Instant::now();
    let answer = asker.ask(ApiKey::ListOffsets, 8, &ask).unwrap();
    let took = start.elapsed();
    let found = answer["topics"][0]["partitions"].as_array().unwrap();
    assert_eq!(found.len(), MANY);
    for partition in found {
        assert_eq!((&partition["errorCode"], &partition["offset"]), (&json!(0), &json!(WANTED)), "{partition}");
        assert_eq!(partition["timestamp"], wanted, "{partition}");
    }
    println!("a time in {MANY} partitions took {took:?}");
    assert!(took < SOON, "{took:?}");
    delete(&mut asker, "timed");
}

/// Writes to all partitions in each request. Who asks again because one has no leader yet would write to the others again,
/// so that this is waited for first.
fn fill(asker: &mut Asker, first_ms: i64) {
    let ends: Vec<Value> = (0..MANY).map(|index| json!({"partitionIndex": index, "timestamp": -1})).collect();
    let ends = json!({"replicaId": -1, "topics": [{"name": "timed", "partitions": ends}]});
    asker.ask(ApiKey::ListOffsets, 8, &ends).unwrap();
    for number in 0..BATCHES {
        let records = base64(&batch(first_ms + i64::try_from(number).unwrap() * STEP_MS));
        let written: Vec<Value> = (0..MANY).map(|index| json!({"index": index, "records": records})).collect();
        let ask = json!({"transactionalId": null, "acks": -1, "timeoutMs": 30_000,
            "topicData": [{"name": "timed", "partitionData": written}]});
        let answer = asker.ask(ApiKey::Produce, 9, &ask).unwrap();
        let answered = answer["responses"][0]["partitionResponses"].as_array().unwrap();
        assert!(answered.iter().all(|one| one["errorCode"] == 0 && one["baseOffset"] == number), "{answer}");
    }
}

fn batch(timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let timestamp = Timestamp(timestamp);
    builder.append(&RecordToWrite { timestamp, key: None, value: Some(b"v"), headers: &[] }).unwrap();
    builder.build_vec(&mut Compressor::default()).unwrap()
}
