//! Requests that write records, and what they need.

use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite};
use ottla_tests::Asker;
use ottla_tests::raw::base64;
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// When the test began: producers of another day would be forgotten.
pub(crate) fn began() -> i64 {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    *BEGAN.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i64,
    pub(crate) sequence: i32,
}

pub(crate) fn ask(asker: &mut Asker, api: ApiKey, version: i16, body: &Value) -> Value {
    asker.ask(api, version, body).unwrap()
}

/// A batch in the JSON form of bytes.
pub(crate) fn batch(codec: Compression, producer: Option<(&Producer, bool)>, round: i32, count: usize) -> String {
    let mut options = BatchOptions { compression: CompressionLevel::default_of(codec), ..BatchOptions::default() };
    if let Some((producer, is_transactional)) = producer {
        options.producer_id = ProducerId(producer.id);
        options.producer_epoch = ProducerEpoch(producer.epoch as i16);
        options.base_sequence = Sequence(producer.sequence);
        options.is_transactional = is_transactional;
    }
    let mut builder = BatchBuilder::new(options);
    for number in 0..count {
        let timestamp = Timestamp(began() + i64::from(round) * 1000 + number as i64);
        let (key, value) = (format!("key {}", number % 3), format!("round {round} record {number} {}", "x".repeat(50)));
        let record =
            RecordToWrite { timestamp, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        builder.append(&record).unwrap();
    }
    base64(&builder.build_vec(&mut Compressor::default()).unwrap())
}

pub(crate) fn produce(asker: &mut Asker, topic: &str, partition: i32, transactional_id: Option<&str>, records: &str) {
    let data = json!([{ "name": topic, "partitionData": [{ "index": partition, "records": records }] }]);
    let body = json!({ "transactionalId": transactional_id, "acks": -1, "timeoutMs": 30_000, "topicData": data });
    let answer = ask(asker, ApiKey::Produce, 9, &body);
    assert_eq!(answer["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{answer}");
}

pub(crate) fn init(asker: &mut Asker, transactional_id: Option<&str>) -> Producer {
    let body = json!({ "transactionalId": transactional_id, "transactionTimeoutMs": 600_000, "producerId": -1, "producerEpoch": -1 });
    let answer = ask(asker, ApiKey::InitProducerId, 4, &body);
    assert_eq!(answer["errorCode"], 0, "{answer}");
    Producer {
        id: answer["producerId"].as_i64().unwrap(),
        epoch: answer["producerEpoch"].as_i64().unwrap(),
        sequence: 0,
    }
}

/// A transaction with a batch in it: committed, aborted, or (`None`) left open for the other server to end.
pub(crate) fn transaction(asker: &mut Asker, id: &str, round: i32, commits: Option<bool>) {
    let producer = init(asker, Some(id));
    let topics = json!([{ "name": "plain", "partitions": [1] }]);
    let begun = json!({ "v3AndBelowTransactionalId": id, "v3AndBelowProducerId": producer.id,
        "v3AndBelowProducerEpoch": producer.epoch, "v3AndBelowTopics": topics });
    let answer = ask(asker, ApiKey::AddPartitionsToTxn, 3, &begun);
    assert_eq!(answer["resultsByTopicV3AndBelow"][0]["resultsByPartition"][0]["partitionErrorCode"], 0, "{answer}");
    produce(asker, "plain", 1, Some(id), &batch(Compression::None, Some((&producer, true)), round, 2));
    if let Some(commits) = commits {
        end(asker, id, &producer, commits);
    }
}

pub(crate) fn end(asker: &mut Asker, id: &str, producer: &Producer, commits: bool) {
    let body = json!({ "transactionalId": id, "producerId": producer.id, "producerEpoch": producer.epoch, "committed": commits });
    assert_eq!(ask(asker, ApiKey::EndTxn, 3, &body)["errorCode"], 0);
}
