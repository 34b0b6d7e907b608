//! One data directory, served in turns by Apache Kafka and by Ottla: each finds all that the other has written, goes on with
//! it, and survives being killed with it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{Leash, Node, NodeOptions, Oracle};
use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite};
use ottla_tests::embedded::{self, Partitions};
use ottla_tests::raw::base64;
use ottla_tests::{Asker, binary};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

const TOPICS: [&str; 3] = ["plain", "compacted", "stamped"];
/// The first round after which the server is killed.
const KILLED_FROM: i32 = 2;
const GROUPS: [&str; 2] = ["g", "h"];
const CONSUMER_GROUP: &str = "k";
/// Groups with a member of each protocol: the first stays so, the second goes back and forth.
const MIXED_GROUPS: [&str; 2] = ["mixed", "migrating"];

/// Ottla on the directory and with the properties of a node of Apache Kafka.
struct Guest {
    child: Child,
    _leash: Leash,
}

impl Guest {
    fn start(node: &Node) -> Self {
        let log = File::options().create(true).append(true).open(node.directory().join("ottla.log")).unwrap();
        let properties = node.directory().join("server.properties");
        let mut command = Command::new(binary().unwrap());
        command.arg(properties).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let leash = Leash::tie(&child).unwrap();
        Self { child, _leash: leash }
    }

    fn stop(mut self) {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(self.child.wait().unwrap().success(), "a clean stop");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // When it has ended already, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When the test began: producers of another day would be forgotten.
fn began() -> i64 {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    *BEGAN.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}

struct Producer {
    id: i64,
    epoch: i64,
    sequence: i32,
}

fn ask(asker: &mut Asker, api: ApiKey, version: i16, body: &Value) -> Value {
    asker.ask(api, version, body).unwrap()
}

/// A batch in the JSON form of bytes.
fn batch(codec: Compression, producer: Option<(&Producer, bool)>, round: i32, count: usize) -> String {
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

fn produce(asker: &mut Asker, topic: &str, partition: i32, transactional_id: Option<&str>, records: &str) {
    let data = json!([{ "name": topic, "partitionData": [{ "index": partition, "records": records }] }]);
    let body = json!({ "transactionalId": transactional_id, "acks": -1, "timeoutMs": 30_000, "topicData": data });
    let answer = ask(asker, ApiKey::Produce, 9, &body);
    assert_eq!(answer["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{answer}");
}

fn create_topics(asker: &mut Asker) {
    let configs = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let topic = |name: &str, partitions: i32, pairs: &[(&str, &str)]| json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1, "configs": configs(pairs) });
    let topics = json!([
        topic("plain", 2, &[("retention.ms", "-1"), ("index.interval.bytes", "100")]),
        topic("compacted", 1, &[("cleanup.policy", "compact")]),
        topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")]),
    ]);
    let answer = ask(asker, ApiKey::CreateTopics, 7, &json!({ "topics": topics, "timeoutMs": 30_000 }));
    assert!(answer["topics"].as_array().unwrap().iter().all(|topic| topic["errorCode"] == 0), "{answer}");
}

fn init(asker: &mut Asker, transactional_id: Option<&str>) -> Producer {
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
fn transaction(asker: &mut Asker, id: &str, round: i32, commits: Option<bool>) {
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

fn end(asker: &mut Asker, id: &str, producer: &Producer, commits: bool) {
    let body = json!({ "transactionalId": id, "producerId": producer.id, "producerEpoch": producer.epoch, "committed": commits });
    assert_eq!(ask(asker, ApiKey::EndTxn, 3, &body)["errorCode"], 0);
}

/// A member of a consumer group (KIP-848): it joins once, and is known from then on to whoever has the directory. Nothing has
/// changed for it, so its epoch stays.
fn heartbeat(asker: &mut Asker, round: i32) {
    let mut body = json!({ "groupId": CONSUMER_GROUP, "memberId": "m", "memberEpoch": 2, "rebalanceTimeoutMs": -1,
        "subscribedTopicNames": null, "topicPartitions": null });
    if round == 0 {
        body = json!({ "groupId": CONSUMER_GROUP, "memberId": "m", "memberEpoch": 0, "rebalanceTimeoutMs": 60_000, "rackId": "r",
            "subscribedTopicNames": ["plain", "stamped"], "serverAssignor": "range", "topicPartitions": [] });
    }
    let answer = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body);
    assert_eq!((&answer["errorCode"], &answer["memberEpoch"]), (&json!(0), &json!(2)), "{answer}");
}

/// A group with a member of the classic protocol, and perhaps one of the consumer protocol, as they know themselves.
struct Mixed {
    group: &'static str,
    generation: i64,
    classic_has: Partitions,
    /// The epoch of the other, and what it has: topics with ids.
    consumer: Option<(i64, Value)>,
}

impl Mixed {
    fn new(group: &'static str) -> Self {
        Self { group, generation: -1, classic_has: Partitions::new(), consumer: None }
    }

    /// The member of the classic protocol joins (again) and gets its assignment. In a classic group it leads, and takes all.
    fn join(&mut self, asker: &mut Asker) {
        let metadata = embedded::subscription(&["plain"], &self.classic_has).unwrap();
        let body = json!({ "groupId": self.group, "sessionTimeoutMs": 600_000, "rebalanceTimeoutMs": 600_000, "memberId": "c",
            "protocolType": "consumer", "protocols": [{ "name": "range", "metadata": metadata }] });
        let joined = ask(asker, ApiKey::JoinGroup, 9, &body);
        assert_eq!(joined["errorCode"], 0, "{joined}");
        self.generation = joined["generationId"].as_i64().unwrap();
        let all = embedded::assignment(&Partitions::from([("plain".to_owned(), vec![0, 1])])).unwrap();
        let body = json!({ "groupId": self.group, "generationId": self.generation, "memberId": "c", "protocolType": "consumer",
            "protocolName": "range", "assignments": [{ "memberId": "c", "assignment": all }] });
        let synced = ask(asker, ApiKey::SyncGroup, 5, &body);
        assert_eq!(synced["errorCode"], 0, "{synced}");
        self.classic_has = embedded::assigned(synced["assignment"].as_str().unwrap());
    }

    fn heartbeat(&mut self, asker: &mut Asker) {
        let Some((epoch, has)) = &mut self.consumer else { return };
        let mut body = json!({ "groupId": self.group, "memberId": "k", "memberEpoch": *epoch, "rebalanceTimeoutMs": -1,
            "subscribedTopicNames": null, "topicPartitions": has });
        if *epoch == 0 {
            body["rebalanceTimeoutMs"] = json!(600_000);
            body["subscribedTopicNames"] = json!(["plain"]);
            body["serverAssignor"] = json!("range");
        }
        let answer = ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body);
        assert_eq!(answer["errorCode"], 0, "{answer}");
        *epoch = answer["memberEpoch"].as_i64().unwrap();
        if let Some(topics) = answer["assignment"]["topicPartitions"].as_array() {
            *has = json!(topics);
        }
    }

    /// Both do what they are told until nothing changes any more.
    fn settle(&mut self, asker: &mut Asker) {
        const PASSES_MAX: usize = 20;
        for _ in 0..PASSES_MAX {
            let before = (self.generation, self.classic_has.clone(), self.consumer.clone());
            let body = json!({ "groupId": self.group, "generationId": self.generation, "memberId": "c" });
            if ask(asker, ApiKey::Heartbeat, 4, &body)["errorCode"] != 0 {
                self.join(asker);
            }
            self.heartbeat(asker);
            if before == (self.generation, self.classic_has.clone(), self.consumer.clone()) {
                return;
            }
        }
        panic!("{} does not settle", self.group);
    }

    /// The member of the consumer protocol comes: the group is one of both.
    fn upgrade(&mut self, asker: &mut Asker) {
        self.consumer = Some((0, json!([])));
        self.heartbeat(asker);
        self.settle(asker);
    }

    /// It goes: the group is a classic one.
    fn downgrade(&mut self, asker: &mut Asker) {
        let body = json!({ "groupId": self.group, "memberId": "k", "memberEpoch": -1, "rebalanceTimeoutMs": -1 });
        assert_eq!(ask(asker, ApiKey::ConsumerGroupHeartbeat, 1, &body)["errorCode"], 0);
        self.consumer = None;
        self.settle(asker);
    }

    fn write(&mut self, asker: &mut Asker, round: i32) {
        match round {
            // A member of the classic protocol names itself in a consumer group only.
            0 => self.upgrade(asker),
            _ if self.group == MIXED_GROUPS[0] => self.settle(asker),
            _ if self.consumer.is_some() => self.downgrade(asker),
            _ => self.upgrade(asker),
        }
    }
}

/// What a server adds in its turn.
fn write(asker: &mut Asker, round: i32, mixed: &mut [Mixed]) {
    for group in MIXED_GROUPS {
        ask(asker, ApiKey::FindCoordinator, 4, &json!({ "keyType": 0, "coordinatorKeys": [group] }));
    }
    mixed.iter_mut().for_each(|group| group.write(asker, round));
    for group in GROUPS.into_iter().chain([CONSUMER_GROUP]) {
        ask(asker, ApiKey::FindCoordinator, 4, &json!({ "keyType": 0, "coordinatorKeys": [group] }));
    }
    ask(asker, ApiKey::FindCoordinator, 4, &json!({ "keyType": 1, "coordinatorKeys": ["t"] }));
    heartbeat(asker, round);
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for codec in codecs {
        produce(asker, "plain", 0, None, &batch(codec, None, round, 7));
        produce(asker, "compacted", 0, None, &batch(codec, None, round, 5));
        produce(asker, "stamped", 0, None, &batch(codec, None, round, 3));
    }
    let mut idempotent = init(asker, None);
    for _ in 0..3 {
        produce(asker, "plain", 1, None, &batch(Compression::None, Some((&idempotent, false)), round, 2));
        idempotent.sequence += 2;
    }
    transaction(asker, "t", round, Some(true));
    transaction(asker, "u", round, Some(false));
    // Begun anew by each server: what the one before has left open is aborted by that.
    transaction(asker, "open", round, None);
    for (group, offset) in GROUPS.iter().zip([round, round + 7]) {
        let partitions = json!([{ "partitionIndex": 0, "committedOffset": offset, "committedMetadata": format!("of round {round}") }]);
        let body = json!({ "groupId": group, "generationIdOrMemberEpoch": -1, "memberId": "",
            "topics": [{ "name": "plain", "partitions": partitions }] });
        assert_eq!(ask(asker, ApiKey::OffsetCommit, 8, &body)["topics"][0]["partitions"][0]["errorCode"], 0);
    }
    // A server that is killed has not noted yet where a log begins: Apache Kafka does so once a minute.
    if round < KILLED_FROM {
        let deleted = json!({ "topics": [{ "name": "plain", "partitions": [{ "partitionIndex": 0, "offset": 3 + round * 9 }] }], "timeoutMs": 30_000 });
        assert_eq!(ask(asker, ApiKey::DeleteRecords, 2, &deleted)["topics"][0]["partitions"][0]["errorCode"], 0);
    }
    let set = |name: &str, value: String| json!({ "name": name, "configOperation": 0, "value": value });
    let resources = json!([{ "resourceType": 2, "resourceName": "plain", "configs": [set("max.message.bytes", (1_000_000 + round).to_string())] }]);
    assert_eq!(
        ask(asker, ApiKey::IncrementalAlterConfigs, 1, &json!({ "resources": resources }))["responses"][0]["errorCode"],
        0
    );
    let entries = json!([{ "entity": [{ "entityType": "user", "entityName": "alice" }], "ops": [{ "key": "producer_byte_rate", "value": 1000 + round }] }]);
    assert_eq!(ask(asker, ApiKey::AlterClientQuotas, 1, &json!({ "entries": entries }))["entries"][0]["errorCode"], 0);
    let upsertions = json!([{ "name": "alice", "mechanism": 1, "iterations": 4096 + round, "salt": "c2FsdA==", "saltedPassword": "cGFzc3dvcmQ=" }]);
    assert_eq!(
        ask(asker, ApiKey::AlterUserScramCredentials, 0, &json!({ "upsertions": upsertions }))["results"][0]["errorCode"],
        0
    );
}

/// The same in an order that does not depend on hash tables, without what is of the moment.
fn ordered(value: &Value) -> Value {
    // Leader epochs rise with every start.
    const OF_THE_MOMENT: [&str; 3] = ["throttleTimeMs", "sessionId", "leaderEpoch"];
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(ordered).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), ordered(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// All that a server tells of what it keeps.
fn picture(asker: &mut Asker) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    let mut note = |what: &str, answer: Value| seen.push((what.to_owned(), ordered(&answer)));
    let named: Value = TOPICS.iter().map(|name| json!({ "name": name })).collect();
    note(
        "topics",
        ask(asker, ApiKey::Metadata, 12, &json!({ "topics": named, "allowAutoTopicCreation": false }))["topics"]
            .clone(),
    );
    for (topic, partition) in [("plain", 0), ("plain", 1), ("compacted", 0), ("stamped", 0)] {
        for isolation in [0, 1] {
            for timestamp in [-1, -2, -3, began() + 1003] {
                let partitions =
                    json!([{ "partitionIndex": partition, "currentLeaderEpoch": -1, "timestamp": timestamp }]);
                let body = json!({ "replicaId": -1, "isolationLevel": isolation, "topics": [{ "name": topic, "partitions": partitions }] });
                let mut answer = ask(asker, ApiKey::ListOffsets, 7, &body);
                // The epoch of the leader is new with every start.
                answer["topics"][0]["partitions"][0].as_object_mut().unwrap().shift_remove("leaderEpoch");
                note(&format!("offset of {timestamp} in {topic}-{partition} at level {isolation}"), answer);
            }
            let start = json!({ "replicaId": -1, "isolationLevel": 0, "topics": [{ "name": topic,
                "partitions": [{ "partitionIndex": partition, "currentLeaderEpoch": -1, "timestamp": -2 }] }] });
            let start = ask(asker, ApiKey::ListOffsets, 7, &start)["topics"][0]["partitions"][0]["offset"].clone();
            let partitions = json!([{ "partition": partition, "currentLeaderEpoch": -1, "fetchOffset": start, "logStartOffset": -1, "partitionMaxBytes": 10_000_000 }]);
            let body = json!({ "replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 10_000_000, "isolationLevel": isolation,
                "sessionId": 0, "sessionEpoch": -1, "topics": [{ "topic": topic, "partitions": partitions }], "forgottenTopicsData": [], "rackId": "" });
            note(&format!("records of {topic}-{partition} at level {isolation}"), ask(asker, ApiKey::Fetch, 12, &body));
        }
        let body = json!({ "topics": [{ "name": topic, "partitionIndexes": [partition] }] });
        note(&format!("producers of {topic}-{partition}"), ask(asker, ApiKey::DescribeProducers, 0, &body));
    }
    for group in GROUPS {
        note(
            group,
            ask(asker, ApiKey::OffsetFetch, 7, &json!({ "groupId": group, "topics": null, "requireStable": false })),
        );
    }
    for group in MIXED_GROUPS {
        note(group, ask(asker, ApiKey::ConsumerGroupDescribe, 1, &json!({ "groupIds": [group] })));
        note(group, ask(asker, ApiKey::DescribeGroups, 5, &json!({ "groups": [group] })));
    }
    note("a consumer group", ask(asker, ApiKey::ConsumerGroupDescribe, 1, &json!({ "groupIds": [CONSUMER_GROUP] })));
    note(
        "transactions",
        ask(asker, ApiKey::DescribeTransactions, 0, &json!({ "transactionalIds": ["t", "u", "open"] })),
    );
    let resources: Value = TOPICS
        .iter()
        .map(|name| json!({ "resourceType": 2, "resourceName": name, "configurationKeys": null }))
        .collect();
    note("configurations", ask(asker, ApiKey::DescribeConfigs, 4, &json!({ "resources": resources })));
    note("quotas", ask(asker, ApiKey::DescribeClientQuotas, 1, &json!({ "components": [], "strict": false })));
    note("credentials", ask(asker, ApiKey::DescribeUserScramCredentials, 0, &json!({ "users": null })));
    seen
}

/// Holds what a server tells against what the one before it has told.
fn check(asker: &mut Asker, expected: &[(String, Value)], who: &str) {
    for ((what, expected), (_, found)) in expected.iter().zip(picture(asker)) {
        assert_eq!(found, *expected, "{who}: {what}");
    }
}

#[test]
fn a_directory_goes_from_apache_kafka_to_ottla_and_back_whether_stopped_or_killed() {
    // A member is known for longer than all this takes.
    let options = ["group.consumer.max.session.timeout.ms", "group.consumer.session.timeout.ms"]
        .into_iter()
        .fold(NodeOptions::default(), |options, key| options.property(key, 600_000));
    let mut node = Oracle::at_home().start(&options).unwrap();
    let mut asker = Asker::new(node.bootstrap_server());
    create_topics(&mut asker);
    let mut mixed = MIXED_GROUPS.map(Mixed::new);
    write(&mut asker, 0, &mut mixed);
    let mut expected = picture(&mut asker);
    for round in [1, 2] {
        let is_kill = round == 2;
        if is_kill {
            node.kill()
        } else {
            node.stop().unwrap()
        }
        let guest = Guest::start(&node);
        check(&mut asker, &expected, &format!("Ottla in round {round}"));
        write(&mut asker, 2 * round - 1, &mut mixed);
        expected = picture(&mut asker);
        if is_kill {
            guest.kill()
        } else {
            guest.stop()
        }
        node.restart().unwrap();
        check(&mut asker, &expected, &format!("Apache Kafka in round {round}"));
        write(&mut asker, 2 * round, &mut mixed);
        expected = picture(&mut asker);
    }
    println!("{} things looked at, each by the other server after two stops and two kills", expected.len());
}
