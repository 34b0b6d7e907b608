//! Random steps of transactional producers, good and bad, on Ottla and on Apache Kafka: every answer is the same, and so is
//! what lies in the logs afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{Node, NodeOptions, Oracle};
use ottla_protocol::schema::by_name;
use ottla_protocol::{ApiKey, ErrorCode, json};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, Decompressor, RecordBatchView, RecordToWrite};
use ottla_tests::Server;
use ottla_tests::raw::{Connection, base64, unbase64};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use std::{env, io, thread};

const TOPIC: &str = "t";
const PARTITIONS: i32 = 3;
const GROUPS: [&str; 2] = ["g", "h"];
const IDS: [&str; 4] = ["a", "b", "c", "a-long-one"];
/// Steps of the test; `OTTLA_TRANSACTION_STEPS` asks for more.
const STEPS: usize = 900;
/// How often a server that is not ready is asked, 20 ms apart.
const TRIES: u32 = 500;
/// What a server says that has to be asked again.
const NOT_READY: [ErrorCode; 5] = [
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::NotCoordinator,
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::NotEnoughReplicas,
];
/// The first number that stands for a producer id. Ids themselves differ between two servers.
const ALIAS: i64 = 1_000_000;

/// xorshift64*: enough for schedules.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound as u64) as usize
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn version(&mut self, api: ApiKey) -> i16 {
        let range = api.versions();
        range.min + self.below((range.max - range.min + 1) as usize) as i16
    }
}

/// A server with the ids that it has given out, which stand for numbers that both servers share.
struct Side {
    connection: Connection,
    producer_ids: Vec<i64>,
    topic_id: String,
}

impl Side {
    fn new(address: &str) -> Self {
        let mut connection = Connection::open(address).unwrap();
        let topics = json!([{ "name": TOPIC, "numPartitions": PARTITIONS, "replicationFactor": 1 }]);
        let body = json!({ "topics": topics, "timeoutMs": 10_000 });
        let created = connection.ask(ApiKey::CreateTopics, 7, &body).unwrap();
        let topic_id = created["topics"][0]["topicId"].as_str().unwrap().to_owned();
        let mut side = Self { connection, producer_ids: Vec::new(), topic_id };
        for (key_type, key) in [(0, "g"), (1, "a")] {
            let body = json!({ "keyType": key_type, "coordinatorKeys": [key] });
            side.ask(&Step { api: ApiKey::FindCoordinator, version: 4, body });
        }
        side
    }

    /// The answer, with what stands for producer ids.
    fn ask(&mut self, step: &Step) -> Value {
        let body = self.resolve(&step.body);
        for _ in 0..TRIES {
            let answer = match self.connection.ask(step.api, step.version, &body) {
                Ok(answer) => answer,
                Err(error) => panic!("{step:?}: {error}"),
            };
            if !has_code(&answer, &NOT_READY) {
                return self.comparable("", &answer);
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{step:?}: never ready");
    }

    /// Waits until no end of a transaction is being carried out.
    fn settle(&mut self) {
        for _ in 0..TRIES {
            let body = json!({ "transactionalIds": IDS });
            let answer = self.connection.ask(ApiKey::DescribeTransactions, 0, &body).unwrap();
            let states = answer["transactionStates"].as_array().unwrap();
            if states.iter().all(|state| !state["transactionState"].as_str().unwrap().starts_with("Prepare")) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("a transaction never ends");
    }

    fn real(&self, id: i64) -> i64 {
        usize::try_from(id - ALIAS).ok().and_then(|index| self.producer_ids.get(index)).copied().unwrap_or(id)
    }

    fn alias(&mut self, id: i64) -> i64 {
        if id < 0 {
            return id;
        }
        let known = self.producer_ids.iter().position(|other| *other == id).unwrap_or_else(|| {
            self.producer_ids.push(id);
            self.producer_ids.len() - 1
        });
        ALIAS + known as i64
    }

    fn resolve(&self, body: &Value) -> Value {
        match body {
            Value::Number(number) => json!(self.real(number.as_i64().unwrap())),
            Value::String(text) if text == "<topic id>" => json!(self.topic_id),
            Value::Array(list) => list.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(members) if members.contains_key("<batch>") => {
                json!(base64(&self.batch(&members["<batch>"])))
            }
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect())
            }
            other => other.clone(),
        }
    }

    fn batch(&self, wanted: &Value) -> Vec<u8> {
        let number = |name: &str| wanted[name].as_i64().unwrap();
        let options = BatchOptions {
            producer_id: ProducerId::new(self.real(number("producerId"))),
            producer_epoch: ProducerEpoch(number("producerEpoch") as i16),
            base_sequence: Sequence(number("sequence") as i32),
            is_transactional: wanted["isTransactional"].as_bool().unwrap_or(true),
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        for value in [&b"x"[..], b"y"] {
            let record = RecordToWrite { timestamp: Timestamp(1), key: Some(b"k"), value: Some(value), headers: &[] };
            builder.append(&record).unwrap();
        }
        builder.build_vec(&mut Compressor::new()).unwrap()
    }

    fn comparable(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Number(number) if name.to_lowercase().ends_with("producerid") => {
                json!(self.alias(number.as_i64().unwrap()))
            }
            Value::Number(number)
                if name.ends_with("TimeMs") || name.ends_with("TimestampMs") || name == "lastTimestamp" =>
            {
                json!(if number.as_i64().unwrap() > 1_000_000_000_000 { "<now>" } else { "<none>" })
            }
            Value::String(_) if name == "errorMessage" => json!("words"),
            Value::String(text) if *text == self.topic_id => json!("<topic id>"),
            Value::Null if name == "errorMessage" => json!("words"),
            Value::Array(list) => {
                let mut list: Vec<Value> = list.iter().map(|value| self.comparable(name, value)).collect();
                // Apache Kafka's order is that of hash tables.
                list.sort_by_key(Value::to_string);
                Value::Array(list)
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), self.comparable(name, value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// What lies in a partition, batch by batch.
    fn log(&mut self, topic: &str, partition: i32) -> Vec<Value> {
        let mut lines = Vec::new();
        let mut next = 0;
        loop {
            let partitions = json!([{ "partition": partition, "fetchOffset": next, "partitionMaxBytes": 10_000_000 }]);
            let body = json!({
                "maxWaitMs": 0, "minBytes": 0, "maxBytes": 10_000_000, "isolationLevel": 1,
                "sessionEpoch": -1, "topics": [{ "topic": topic, "partitions": partitions }],
            });
            let answer = self.connection.ask(ApiKey::Fetch, 11, &body).unwrap();
            let part = &answer["responses"][0]["partitions"][0];
            let bytes = unbase64(part["records"].as_str().unwrap_or_default());
            let mut rest = &bytes[..];
            while let Ok(batch) = RecordBatchView::parse(rest) {
                rest = &rest[batch.size()..];
                next = batch.last_offset().value() + 1;
                lines.push(self.describe(batch));
            }
            if bytes.is_empty() {
                let bounds = (&part["highWatermark"], &part["lastStableOffset"]);
                lines.push(json!([bounds.0, bounds.1]));
                return lines;
            }
            let aborted = self.comparable("", &part["abortedTransactions"]);
            lines.push(aborted);
        }
    }

    fn describe(&mut self, batch: RecordBatchView<'_>) -> Value {
        let producer_id = self.alias(batch.producer_id().value());
        let mut decompressor = Decompressor::new(1 << 20);
        let records = batch.records(&mut decompressor).unwrap().map(|record| record.unwrap());
        let records: Vec<(Vec<u8>, Vec<u8>)> = records
            .map(|record| (record.key.unwrap_or_default().to_vec(), record.value.unwrap_or_default().to_vec()))
            .collect();
        let records: Vec<Value> = records.iter().map(|(key, value)| self.record(key, value)).collect();
        json!([
            batch.base_offset().value(),
            batch.last_offset().value(),
            producer_id,
            batch.producer_epoch().value(),
            batch.base_sequence().value(),
            batch.is_transactional(),
            batch.is_control(),
            records,
        ])
    }

    /// A record's key and value; of a transaction as JSON, since it has times and producer ids.
    fn record(&mut self, key: &[u8], value: &[u8]) -> Value {
        let is_transaction = key.starts_with(&[0, 0, 0]) && value.starts_with(&[0, 1]);
        if !is_transaction {
            // What a group commits has a time too.
            return json!([base64(key), value.len()]);
        }
        let value = json::to_json(by_name("TransactionLogValue").unwrap(), &value[2..], 1).unwrap();
        json!([base64(key), self.comparable("", &value)])
    }
}

#[derive(Clone, Debug)]
struct Step {
    api: ApiKey,
    version: i16,
    body: Value,
}

/// What is known of one transactional id while steps are made.
#[derive(Default)]
struct Known {
    /// All ids and epochs that were handed out, the newest last.
    producers: Vec<(i64, i64)>,
    /// The next sequence of each producer id, epoch and partition.
    sequences: BTreeMap<(i64, i64, i32), i64>,
}

struct Steps {
    seed: Seed,
    known: BTreeMap<&'static str, Known>,
}

impl Steps {
    /// A producer: mostly the one that should be, else an older one or a stranger.
    fn producer(&mut self, id: &str) -> (i64, i64) {
        let producers = self.known.get(id).map(|known| known.producers.clone()).unwrap_or_default();
        let newest = producers.last().copied().unwrap_or((ALIAS, 0));
        match self.seed.below(20) {
            0 if !producers.is_empty() => self.seed.of(&producers),
            1 if producers.len() > 1 => producers[producers.len() - 2],
            2 => (newest.0, newest.1 + 1),
            3 => (newest.0, newest.1 - 1),
            4 => (self.seed.of(&[77, ALIAS, ALIAS + 1]), newest.1),
            _ => newest,
        }
    }

    fn step(&mut self) -> (Step, &'static str) {
        let id = if self.seed.below(60) == 0 { "" } else { self.seed.of(&IDS) };
        let (producer_id, producer_epoch) = self.producer(id);
        let group = self.seed.of(&GROUPS);
        let partition = self.seed.below(PARTITIONS as usize) as i32;
        let (api, body) = match self.seed.below(40) {
            0..=4 => (ApiKey::InitProducerId, self.init(id, (producer_id, producer_epoch))),
            5..=10 => (ApiKey::AddPartitionsToTxn, json!({})),
            11..=12 => (
                ApiKey::AddOffsetsToTxn,
                json!({ "transactionalId": id, "producerId": producer_id, "producerEpoch": producer_epoch, "groupId": group }),
            ),
            13..=16 => (ApiKey::TxnOffsetCommit, self.commit(id, (producer_id, producer_epoch), group)),
            17..=24 => (
                ApiKey::EndTxn,
                json!({
                    "transactionalId": id, "producerId": producer_id, "producerEpoch": producer_epoch,
                    "committed": self.seed.below(3) > 0,
                }),
            ),
            25..=34 => (ApiKey::Produce, self.produce(id, (producer_id, producer_epoch), partition)),
            35 => (ApiKey::ListTransactions, self.list()),
            36 => (ApiKey::OffsetFetch, json!({})),
            _ => (
                ApiKey::DescribeProducers,
                json!({ "topics": [{ "name": TOPIC, "partitionIndexes": [0, 1, 2, PARTITIONS] }] }),
            ),
        };
        let version = match api {
            ApiKey::OffsetFetch => 8,
            // Versions whose list is longer come first.
            ApiKey::ListTransactions => 2,
            ApiKey::Produce => self.seed.version(api).max(3),
            _ => self.seed.version(api),
        };
        let body = match api {
            ApiKey::AddPartitionsToTxn => self.add(version, id, (producer_id, producer_epoch), partition),
            ApiKey::OffsetFetch => json!({ "groups": [{ "groupId": group, "topics": null }], "requireStable": true }),
            ApiKey::InitProducerId if version < 3 => strip(body, &["producerId", "producerEpoch"]),
            ApiKey::TxnOffsetCommit if version >= 6 => named_by_id(body),
            ApiKey::Produce if version >= 13 => named_by_id(body),
            _ => body,
        };
        (Step { api, version, body }, id)
    }

    fn init(&mut self, id: &str, producer: (i64, i64)) -> Value {
        let expected = match self.seed.below(5) {
            0 => (producer.0, -1),
            1 | 2 => producer,
            _ => (-1, -1),
        };
        // None ends while a slow machine runs the test.
        let timeout = self.seed.of(&[600_000, 600_000, 600_000, 0, 900_001, 300_000]);
        json!({
            "transactionalId": id, "transactionTimeoutMs": timeout,
            "producerId": expected.0, "producerEpoch": expected.1,
        })
    }

    fn add(&mut self, version: i16, id: &str, (producer_id, epoch): (i64, i64), partition: i32) -> Value {
        let unknown = if self.seed.below(12) == 0 { PARTITIONS } else { 0 };
        let topics = json!([{ "name": TOPIC, "partitions": if unknown == partition { vec![partition] } else { vec![partition, unknown] } }]);
        if version < 4 {
            return json!({
                "v3AndBelowTransactionalId": id, "v3AndBelowProducerId": producer_id,
                "v3AndBelowProducerEpoch": epoch, "v3AndBelowTopics": topics,
            });
        }
        json!({ "transactions": [{
            "transactionalId": id, "producerId": producer_id, "producerEpoch": epoch,
            "verifyOnly": self.seed.below(2) == 0, "topics": topics,
        }] })
    }

    fn commit(&mut self, id: &str, (producer_id, epoch): (i64, i64), group: &str) -> Value {
        let offset = self.seed.below(1_000);
        let partition = self.seed.below(PARTITIONS as usize + 1);
        json!({
            "transactionalId": id, "groupId": group, "producerId": producer_id, "producerEpoch": epoch,
            "generationIdOrMemberEpoch": -1, "memberId": "",
            "topics": [{ "name": TOPIC, "partitions": [{ "partitionIndex": partition, "committedOffset": offset, "committedMetadata": "" }] }],
        })
    }

    fn produce(&mut self, id: &str, (producer_id, epoch): (i64, i64), partition: i32) -> Value {
        let sequences = self.known.get(id).map(|known| &known.sequences);
        let sequence = sequences.and_then(|all| all.get(&(producer_id, epoch, partition))).copied().unwrap_or(0);
        let batch = json!({ "producerId": producer_id, "producerEpoch": epoch.max(0), "sequence": sequence });
        json!({
            "transactionalId": id, "acks": -1, "timeoutMs": 10_000,
            "topicData": [{ "name": TOPIC, "partitionData": [{ "index": partition, "records": { "<batch>": batch } }] }],
        })
    }

    fn list(&mut self) -> Value {
        let states: &[&str] = self.seed.of(&[&[][..], &["Ongoing"], &["Empty", "CompleteAbort"], &["nothing"]]);
        let producers: &[i64] = self.seed.of(&[&[][..], &[], &[ALIAS], &[ALIAS + 1, 5]]);
        let pattern = self.seed.of(&["", "a.*", "a", "[ab]", "(", "b|c"]);
        let duration = self.seed.of(&[-1, -1, 0, 86_400_000]);
        json!({
            "stateFilters": states, "producerIdFilters": producers, "durationFilter": duration,
            "transactionalIdPattern": pattern,
        })
    }

    /// Learns from an answer, which is the same on both sides.
    fn learn(&mut self, id: &'static str, step: &Step, answer: &Value) {
        let known = self.known.entry(id).or_default();
        let code = answer["errorCode"].as_i64();
        if matches!(step.api, ApiKey::InitProducerId | ApiKey::EndTxn) && code == Some(0) {
            let (Some(producer_id), Some(epoch)) = (answer["producerId"].as_i64(), answer["producerEpoch"].as_i64())
            else {
                return;
            };
            if producer_id >= 0 && known.producers.last() != Some(&(producer_id, epoch)) {
                known.producers.push((producer_id, epoch));
            }
        }
        let part = &step.body["topicData"][0]["partitionData"][0];
        let answered = &answer["responses"][0]["partitionResponses"][0];
        if step.api == ApiKey::Produce && answered["errorCode"] == 0 {
            let batch = &part["records"]["<batch>"];
            let number = |name: &str| batch[name].as_i64().unwrap();
            let key = (number("producerId"), number("producerEpoch"), part["index"].as_i64().unwrap() as i32);
            known.sequences.insert(key, number("sequence") + 2);
        }
    }
}

fn named_by_id(mut body: Value) -> Value {
    for list in ["topics", "topicData"] {
        if let Some(topic) = body.get_mut(list).and_then(|topics| topics.get_mut(0)) {
            topic["topicId"] = json!("<topic id>");
        }
    }
    body
}

fn strip(mut body: Value, names: &[&str]) -> Value {
    for name in names {
        body.as_object_mut().unwrap().remove(*name);
    }
    body
}

fn has_code(answer: &Value, codes: &[ErrorCode]) -> bool {
    let is_one = |value: &Value| codes.iter().any(|code| value.as_i64() == Some(code.code().into()));
    match answer {
        Value::Array(list) => list.iter().any(|value| has_code(value, codes)),
        Value::Object(members) => members.iter().any(|(name, value)| {
            has_code(value, codes) || (name.to_lowercase().ends_with("errorcode") && is_one(value))
        }),
        _ => false,
    }
}

/// The two servers, with one partition of each internal topic, and with `more`.
fn start(more: &[(&str, &str)]) -> io::Result<(Server, Node)> {
    let usual = [
        ("transaction.state.log.num.partitions", "1"),
        ("offsets.topic.num.partitions", "1"),
        // The records are of a day long past, and retention comes half a minute after the start.
        ("log.retention.ms", "-1"),
    ];
    let settings: Vec<(&str, &str)> = usual.iter().chain(more).copied().collect();
    let ottla = Server::start(&settings)?;
    let options = settings.iter().fold(NodeOptions::default(), |options, (name, value)| options.property(name, value));
    Ok((ottla, Oracle::at_home().start(&options).map_err(io::Error::other)?))
}

/// Random steps would not do here: without verification they bring Apache Kafka into transactions that never end.
#[test]
fn without_verification_a_transaction_has_the_partitions_that_it_wrote_to() -> io::Result<()> {
    let (ottla, kafka) = start(&[("transaction.partition.verification.enable", "false")])?;
    let (mut ours, mut theirs) = (Side::new(&ottla.bootstrap()), Side::new(&kafka.bootstrap_server()));
    let batch = json!({ "<batch>": { "producerId": ALIAS, "producerEpoch": 0, "sequence": 0 } });
    let written = json!([{ "name": TOPIC, "partitionData": [{ "index": 1, "records": batch }] }]);
    let offset = json!({ "partitionIndex": 0, "committedOffset": 7, "committedMetadata": "" });
    let (api, version) = (ApiKey::DescribeTransactions, 0);
    let look = Step { api, version, body: json!({ "transactionalIds": ["a"] }) };
    let steps = [
        (
            ApiKey::InitProducerId,
            5,
            json!({ "transactionalId": "a", "transactionTimeoutMs": 60_000, "producerId": -1, "producerEpoch": -1 }),
        ),
        (ApiKey::Produce, 12, json!({ "transactionalId": "a", "acks": -1, "timeoutMs": 10_000, "topicData": written })),
        (
            ApiKey::TxnOffsetCommit,
            5,
            json!({ "transactionalId": "a", "groupId": "g", "producerId": ALIAS, "producerEpoch": 0, "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [{ "name": TOPIC, "partitions": [offset] }] }),
        ),
        (
            ApiKey::EndTxn,
            5,
            json!({ "transactionalId": "a", "producerId": ALIAS, "producerEpoch": 0, "committed": true }),
        ),
    ];
    for (api, version, body) in steps {
        let step = Step { api, version, body };
        let (a, b) = (ours.ask(&step), theirs.ask(&step));
        assert_eq!(a, b, "{step:?}");
        assert!(codes(&a).iter().all(|code| code == "0"), "{step:?}: {a}");
        ours.settle();
        theirs.settle();
        assert_eq!(ours.ask(&look), theirs.ask(&look), "after {step:?}");
    }
    for (topic, partition) in [(TOPIC, 1), ("__consumer_offsets", 0), ("__transaction_state", 0)] {
        let lines = ours.log(topic, partition);
        assert!(lines.len() > 1, "a record and a marker at the least: {lines:?}");
        assert_eq!(lines, theirs.log(topic, partition), "{topic}");
    }
    Ok(())
}

/// What is wrong with a producer that nobody has asked the coordinator about.
#[test]
fn without_verification_what_is_wrong_is_answered_the_same() -> io::Result<()> {
    let (ottla, kafka) = start(&[("transaction.partition.verification.enable", "false")])?;
    let (mut ours, mut theirs) = (Side::new(&ottla.bootstrap()), Side::new(&kafka.bootstrap_server()));
    let init = json!({ "transactionalId": "a", "transactionTimeoutMs": 60_000, "producerId": -1, "producerEpoch": -1 });
    let batch = |producer: (i64, i64), sequence: i64, is_transactional: bool| {
        json!({ "<batch>": {
            "producerId": producer.0, "producerEpoch": producer.1, "sequence": sequence, "isTransactional": is_transactional,
        } })
    };
    let produce = |records: Value| {
        let topics = json!([{ "name": TOPIC, "partitionData": [{ "index": 1, "records": records }] }]);
        json!({ "transactionalId": "a", "acks": -1, "timeoutMs": 10_000, "topicData": topics })
    };
    let commit = |epoch: i64| {
        let offset = json!({ "partitionIndex": 0, "committedOffset": 7, "committedMetadata": "" });
        json!({
            "transactionalId": "a", "groupId": "g", "producerId": ALIAS, "producerEpoch": epoch, "memberId": "",
            "generationIdOrMemberEpoch": -1, "topics": [{ "name": TOPIC, "partitions": [offset] }],
        })
    };
    let mark = |epoch: i64| {
        let topics = json!([{ "name": TOPIC, "partitionIndexes": [1, PARTITIONS] }]);
        json!({ "markers": [{
            "producerId": ALIAS, "producerEpoch": epoch, "transactionResult": false, "coordinatorEpoch": 0, "topics": topics,
        }] })
    };
    let steps = [
        (ApiKey::InitProducerId, 4, init.clone()),
        (ApiKey::InitProducerId, 4, init),
        // The epoch is 1 now.
        (ApiKey::Produce, 11, produce(batch((ALIAS, 1), 0, true))),
        (ApiKey::Produce, 11, produce(batch((ALIAS, 0), 2, true))),
        (ApiKey::Produce, 9, produce(batch((ALIAS, 0), 2, false))),
        (ApiKey::Produce, 11, produce(batch((ALIAS, 1), 7, true))),
        (ApiKey::Produce, 11, produce(batch((ALIAS, 2), 5, true))),
        (ApiKey::Produce, 12, produce(batch((ALIAS, 0), 0, true))),
        (ApiKey::TxnOffsetCommit, 3, commit(-1)),
        (ApiKey::TxnOffsetCommit, 4, commit(0)),
        (ApiKey::TxnOffsetCommit, 3, commit(1)),
        (ApiKey::TxnOffsetCommit, 3, commit(-1)),
        (ApiKey::TxnOffsetCommit, 5, commit(-1)),
        (ApiKey::WriteTxnMarkers, 1, mark(-1)),
        (ApiKey::WriteTxnMarkers, 1, mark(0)),
        (ApiKey::WriteTxnMarkers, 1, mark(1)),
        (ApiKey::WriteTxnMarkers, 1, json!({ "markers": [mark(1)["markers"][0], mark(-1)["markers"][0]] })),
        (ApiKey::WriteTxnMarkers, 1, json!({ "markers": [mark(1)["markers"][0], mark(0)["markers"][0]] })),
    ];
    let mut different = Vec::new();
    for (number, (api, version, body)) in steps.into_iter().enumerate() {
        let step = Step { api, version, body };
        let (a, b) = (ours.ask(&step), theirs.ask(&step));
        println!("{number} {}: {b}", api.name());
        if a != b {
            different.push(format!("{number} {step:?}\n  Ottla {a}\n  Kafka {b}"));
        }
    }
    for (topic, partition) in [(TOPIC, 1), ("__consumer_offsets", 0)] {
        let (a, b) = (ours.log(topic, partition), theirs.log(topic, partition));
        if a != b {
            different.push(format!("{topic}\n  Ottla {a:?}\n  Kafka {b:?}"));
        }
    }
    assert!(different.is_empty(), "{} differences:\n{}", different.len(), different.join("\n"));
    Ok(())
}

#[test]
fn random_steps_of_transactional_producers_are_answered_the_same() -> io::Result<()> {
    let (ottla, kafka) = start(&[])?;
    let (mut ours, mut theirs) = (Side::new(&ottla.bootstrap()), Side::new(&kafka.bootstrap_server()));
    let count = env::var("OTTLA_TRANSACTION_STEPS").map_or(STEPS, |text| text.parse().unwrap());
    let seed = env::var("OTTLA_TRANSACTION_SEED").map_or(1, |text| text.parse().unwrap());
    let mut steps = Steps { seed: Seed(seed), known: BTreeMap::new() };
    let mut outcomes: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut different = Vec::new();
    for number in 0..count {
        let (step, id) = steps.step();
        let (a, b) = (ours.ask(&step), theirs.ask(&step));
        if a != b {
            different.push(format!(
                "{number}: {} v{} {}\n  Ottla {a}\n  Kafka {b}",
                step.api.name(),
                step.version,
                step.body
            ));
        }
        steps.learn(id, &step, &b);
        *outcomes.entry((step.api.name().to_owned(), codes(&b).join(" "))).or_default() += 1;
        ours.settle();
        theirs.settle();
        let body = json!({ "transactionalIds": IDS });
        let look = Step { api: ApiKey::DescribeTransactions, version: 0, body };
        let (a, b) = (ours.ask(&look), theirs.ask(&look));
        if a != b {
            different.push(format!(
                "{number}: after {} v{} {}\n  Ottla {a}\n  Kafka {b}",
                step.api.name(),
                step.version,
                step.body
            ));
            break;
        }
    }
    for ((api, codes), times) in &outcomes {
        println!("{times:5} {api} {codes}");
    }
    for (topic, partitions) in [(TOPIC, PARTITIONS), ("__consumer_offsets", 1), ("__transaction_state", 1)] {
        for partition in 0..partitions {
            let (a, b) = (ours.log(topic, partition), theirs.log(topic, partition));
            if a != b {
                let first = a.iter().zip(&b).position(|(a, b)| a != b);
                let at = |lines: &[Value]| first.and_then(|first| lines.get(first)).map(Value::to_string);
                different.push(format!(
                    "{topic}-{partition}: {} and {} lines, first {first:?}\n  Ottla {:?}\n  Kafka {:?}",
                    a.len(),
                    b.len(),
                    at(&a),
                    at(&b)
                ));
            }
        }
    }
    assert!(different.is_empty(), "{} differences:\n{}", different.len(), different.join("\n"));
    assert!(outcomes.len() > 40, "the steps do not get around: {outcomes:?}");
    Ok(())
}

fn codes(answer: &Value) -> Vec<String> {
    match answer {
        Value::Array(list) => list.iter().flat_map(codes).collect(),
        Value::Object(members) => {
            members
                .iter()
                .flat_map(|(name, value)| {
                    if name.to_lowercase().ends_with("errorcode") { vec![value.to_string()] } else { codes(value) }
                })
                .collect()
        }
        _ => Vec::new(),
    }
}
