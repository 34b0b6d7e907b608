//! Tools that look at a cluster: Ottla's and Apache Kafka's say the same with the same exit code, on both servers, also when
//! they are called wrongly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientSettings, Consumer, ConsumerSettings, NewTopic, Producer, ProducerRecord, ProducerSettings,
};
use ottla_oracle::Oracle;
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Target, binary};
use ottla_types::TopicPartition;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// What a tool has said, as far as it is compared.
#[derive(Debug, PartialEq)]
struct Said {
    output: Vec<String>,
    /// Only the first line: what follows are options in other words, or a stack trace.
    error: String,
    code: Option<i32>,
}

impl Said {
    fn new(stdout: &str, stderr: &str, code: Option<i32>) -> Self {
        let mut output: Vec<String> = stdout.lines().map(comparable).collect();
        // Apache Kafka's order of groups and partitions is that of a hash table.
        if output.iter().any(|line| line.starts_with("GROUP") || line.starts_with("partition:")) {
            output.sort();
        }
        let is_log = |line: &&str| line.contains("SLF4J") || line.contains(" WARN ") || line.contains(" ERROR ");
        let error = stderr.lines().find(|line| !is_log(line)).unwrap_or_default().trim_end();
        Self { output, error: error.to_owned(), code }
    }
}

/// JSON with its lists in order, errors without their sentences, other lines as they are.
fn comparable(line: &str) -> String {
    if let Some((partition, _)) = line.split_once("\terror: ") {
        return format!("{partition} has an error");
    }
    // How far the metadata is changes all the time.
    for title in ["HighWatermark:", "\tEpoch: ", "  Epoch: "] {
        if let Some((before, _)) = line.split_once(title) {
            return format!("{before}{title}");
        }
    }
    if line.contains("\tLeader") {
        let cells = line.split('\t').map(str::trim);
        let cell =
            |cell: &str| if cell.len() > 1 && cell.parse::<i64>().is_ok() { "N".to_owned() } else { cell.to_owned() };
        return cells.map(cell).collect::<Vec<_>>().join("\t");
    }
    if line.starts_with("NodeId") {
        return line.split('\t').map(str::trim).collect::<Vec<_>>().join("\t");
    }
    serde_json::from_str::<Value>(line).map_or(line.to_owned(), |value| ordered(&value).to_string())
}

fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(ordered).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), ordered(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        other => other.clone(),
    }
}

/// Topics with records, and groups of three kinds.
async fn prepare(bootstrap: &str) {
    let admin = Admin::new(ClientSettings::new(bootstrap)).unwrap();
    let topic = |name: &str, partitions| NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        ..Default::default()
    };
    let topics = [topic("one", 3), topic("two", 1), topic("gone", 1), topic("empty", 1)];
    assert!(admin.create_topics(&topics, false).await.unwrap().values().all(Result::is_ok));
    let producer = Producer::new(ProducerSettings::new(bootstrap)).unwrap();
    for number in 0..10 {
        for topic in ["one", "two", "gone"] {
            let record = ProducerRecord::new(topic).partition(if topic == "one" { number % 3 } else { 0 });
            producer.send(record.value(format!("{number}"))).await.unwrap().await.unwrap();
        }
    }
    producer.close().await;
    let settings = ConsumerSettings { group_id: Some("simple".to_owned()), ..ConsumerSettings::new(bootstrap) };
    let mut consumer = Consumer::new(settings).unwrap();
    consumer.assign([TopicPartition::new("two", 0)]);
    consumer.poll(Duration::from_secs(1)).await.unwrap();
    consumer.close().await.unwrap();
    let mut asker = Asker::new(bootstrap.to_owned());
    let commit = json!({ "groupId": "simple", "memberId": "", "generationIdOrMemberEpoch": -1, "topics": [
        { "name": "two", "partitions": [{ "partitionIndex": 0, "committedOffset": 3 }] }] });
    asker.ask(ApiKey::OffsetCommit, 8, &commit).unwrap();
    asker.ask(ApiKey::FindCoordinator, 4, &json!({ "keyType": 0, "coordinatorKeys": ["living"] })).unwrap();
    let join = json!({ "groupId": "living", "memberId": "m", "memberEpoch": 0, "rebalanceTimeoutMs": 60_000,
        "subscribedTopicNames": ["one"], "topicPartitions": [] });
    assert_eq!(asker.ask(ApiKey::ConsumerGroupHeartbeat, 1, &join).unwrap()["errorCode"], 0);
}

/// The tools with their arguments; `SERVER` stands for the address, `FILE:` for a file with this content.
const CALLS: &[&str] = &[
    "kafka-get-offsets --bootstrap-server SERVER",
    "kafka-get-offsets --bootstrap-server SERVER --exclude-internal-topics",
    "kafka-get-offsets --bootstrap-server SERVER --topic one",
    "kafka-get-offsets --bootstrap-server SERVER --topic o.e|two --partitions 0,2",
    "kafka-get-offsets --bootstrap-server SERVER --topic one --time earliest",
    "kafka-get-offsets --bootstrap-server SERVER --topic one --time -2",
    "kafka-get-offsets --bootstrap-server SERVER --topic empty --time max-timestamp",
    "kafka-get-offsets --bootstrap-server SERVER --topic one --time 5",
    "kafka-get-offsets --bootstrap-server SERVER --topic one --time 99999999999999",
    "kafka-get-offsets --bootstrap-server SERVER --topic-partitions one:1,two",
    "kafka-get-offsets --bootstrap-server SERVER --topic-partitions one:1-,t.o:-1",
    "kafka-get-offsets --bootstrap-server SERVER --topic-partitions one:1-2,:0",
    "kafka-get-offsets --bootstrap-server SERVER --topic-partitions one:x",
    "kafka-get-offsets --bootstrap-server SERVER --topic-partitions one --topic one",
    "kafka-get-offsets --bootstrap-server SERVER --topic nothing",
    "kafka-get-offsets --bootstrap-server SERVER --topic one --partitions 0,x",
    "kafka-get-offsets --bootstrap-server SERVER --topic one --time yesterday",
    "kafka-get-offsets --bootstrap-server SERVER --nonsense",
    "kafka-get-offsets --topic one",
    "kafka-get-offsets --version",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:{\"partitions\":[{\"topic\":\"gone\",\"partition\":0,\"offset\":1}],\"version\":1}",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:{\"partitions\":[{\"topic\":\"two\",\"partition\":0,\"offset\":-1}]}",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":1,\"offset\":99}]}",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"offset\":1},{\"topic\":\"one\",\"partition\":0,\"offset\":2}]}",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:{\"version\":2}",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:{\"version\":1}",
    "kafka-delete-records --bootstrap-server SERVER --offset-json-file FILE:nonsense",
    "kafka-delete-records --bootstrap-server SERVER",
    "kafka-get-offsets --bootstrap-server SERVER --topic two --time earliest",
    "kafka-groups --bootstrap-server SERVER --list",
    "kafka-groups --bootstrap-server SERVER --list --consumer",
    "kafka-groups --bootstrap-server SERVER --list --share",
    "kafka-groups --bootstrap-server SERVER --list --group-type classic",
    "kafka-groups --bootstrap-server SERVER --list --group-type CONSUMER",
    "kafka-groups --bootstrap-server SERVER --list --protocol consumer",
    "kafka-groups --bootstrap-server SERVER --list --group-type consumer --protocol x",
    "kafka-groups --bootstrap-server SERVER --list --group-type odd",
    "kafka-groups --bootstrap-server SERVER --list --consumer --share",
    "kafka-groups --bootstrap-server SERVER",
    "kafka-groups --list",
    "kafka-groups --bootstrap-server SERVER --nonsense",
    "kafka-log-dirs --bootstrap-server SERVER --describe",
    "kafka-log-dirs --bootstrap-server SERVER --describe --topic-list one,two",
    "kafka-log-dirs --bootstrap-server SERVER --describe --topic-list nothing",
    "kafka-log-dirs --bootstrap-server SERVER --describe --broker-list 77",
    "kafka-log-dirs --bootstrap-server SERVER",
    "kafka-log-dirs --describe",
    "kafka-cluster cluster-id --bootstrap-server SERVER",
    "kafka-cluster cluster-id -b SERVER",
    "kafka-cluster cluster-id --bootstrap-server SERVER --bootstrap-controller SERVER",
    "kafka-cluster cluster-id",
    "kafka-cluster",
    "kafka-cluster nonsense",
    "kafka-cluster unregister --bootstrap-server SERVER --id 77",
    "kafka-cluster unregister --bootstrap-server SERVER",
    "kafka-cluster unregister --bootstrap-server SERVER --id x",
    "kafka-cluster unregister --id 77",
    "kafka-cluster cluster-id --bootstrap-server SERVER extra",
    "kafka-cluster cluster-id --bootstrap-server SERVER --config /nonexistent",
    "kafka-cluster list-endpoints -b SERVER",
    "kafka-cluster api-versions -b SERVER",
    "kafka-features --bootstrap-server SERVER describe",
    "kafka-features describe",
    "kafka-features --bootstrap-server SERVER",
    "kafka-features",
    "kafka-features --bootstrap-server SERVER nonsense",
    "kafka-features --bootstrap-server SERVER --bootstrap-controller SERVER describe",
    "kafka-features --bootstrap-server SERVER describe --nonsense",
    "kafka-features --bootstrap-server SERVER upgrade",
    "kafka-features --bootstrap-server SERVER upgrade --feature",
    "kafka-features --bootstrap-server SERVER upgrade --feature x",
    "kafka-features --bootstrap-server SERVER upgrade --feature x=y",
    "kafka-features --bootstrap-server SERVER upgrade --feature x=1",
    "kafka-features --bootstrap-server SERVER upgrade --feature share.version=1 --dry-run",
    "kafka-features --bootstrap-server SERVER upgrade --feature group.version=1 --feature group.version=1",
    "kafka-features --bootstrap-server SERVER upgrade --feature group.version=9",
    "kafka-features --bootstrap-server SERVER upgrade --feature metadata.version=99",
    "kafka-features --bootstrap-server SERVER upgrade --release-version 9.9",
    "kafka-features --bootstrap-server SERVER upgrade --release-version 4.4-IV0 --dry-run",
    "kafka-features --bootstrap-server SERVER upgrade --release-version 4.3-IV0 --dry-run",
    "kafka-features --bootstrap-server SERVER downgrade --release-version 4.2-IV1 --dry-run",
    "kafka-features --bootstrap-server SERVER upgrade --release-version 4.0 --feature group.version=1",
    "kafka-features --bootstrap-server SERVER upgrade --metadata 4.0-IV3 --dry-run",
    "kafka-features --bootstrap-server SERVER upgrade --metadata 9 --dry-run",
    "kafka-features --bootstrap-server SERVER downgrade --feature group.version=0 --dry-run",
    "kafka-features --bootstrap-server SERVER downgrade --feature transaction.version=1 --unsafe --dry-run",
    "kafka-features --bootstrap-server SERVER downgrade",
    "kafka-features --bootstrap-server SERVER disable --feature streams.version --dry-run",
    "kafka-features --bootstrap-server SERVER disable --feature x",
    "kafka-features --bootstrap-server SERVER disable",
    "kafka-features --bootstrap-server SERVER disable --feature x --feature x",
    "kafka-features --bootstrap-server SERVER version-mapping",
    "kafka-features --bootstrap-server SERVER version-mapping --release-version 4.0",
    "kafka-features --bootstrap-server SERVER version-mapping --release-version 3.7-IV4",
    "kafka-features --bootstrap-server SERVER version-mapping --release-version 9",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature group.version=1 --feature metadata.version=25",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature transaction.version=2 --feature kraft.version=1",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature eligible.leader.replicas.version=1",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature group.version=9",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature x=9",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature x",
    "kafka-features --bootstrap-server SERVER feature-dependencies --feature metadata.version=99",
    "kafka-features --bootstrap-server SERVER feature-dependencies",
    "kafka-features --bootstrap-server SERVER --command-config /nonexistent describe",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --status",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --replication",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --status --replication",
    "kafka-metadata-quorum --bootstrap-server SERVER describe",
    "kafka-metadata-quorum --bootstrap-server SERVER",
    "kafka-metadata-quorum describe --status",
    "kafka-metadata-quorum",
    "kafka-metadata-quorum --bootstrap-server SERVER --bootstrap-controller SERVER describe --status",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --nonsense",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config /nonexistent describe --status",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 7",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id -7 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id=-7 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 7 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ --dry-run",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 7 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --status --human-readable",
    "kafka-broker-api-versions --bootstrap-server SERVER",
    "kafka-broker-api-versions",
];

/// The arguments of a call, and the files that it needs.
fn arguments(call: &str, bootstrap: &str, folder: &tempfile::TempDir, number: usize) -> (String, Vec<String>) {
    let mut words = call.split(' ').map(str::to_owned);
    let tool = words.next().unwrap();
    let argument = |word: String| match word.strip_prefix("FILE:") {
        Some(content) => {
            let path = folder.path().join(format!("{number}.json"));
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        }
        None => word.replace("SERVER", bootstrap),
    };
    (tool, words.map(argument).collect())
}

fn ours(tool: &str, arguments: &[String]) -> Said {
    let output = Command::new(binary().unwrap()).arg(tool).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said::new(&text(&output.stdout), &text(&output.stderr), output.status.code())
}

fn compare(target: &Target, who: &str) {
    let bootstrap = target.bootstrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(prepare(&bootstrap));
    let folder = tempfile::tempdir().unwrap();
    let calls: Vec<_> =
        CALLS.iter().enumerate().map(|(number, call)| arguments(call, &bootstrap, &folder, number)).collect();
    let scripts: Vec<_> = calls.iter().map(|(tool, arguments)| (format!("{tool}.sh"), arguments.clone())).collect();
    let runs: Vec<_> = scripts.iter().map(|(script, arguments)| (script.as_str(), arguments.clone())).collect();
    let theirs = Oracle::at_home().run_tools(&runs).unwrap();
    let mut wrong = Vec::new();
    for (call, ((tool, arguments), theirs)) in CALLS.iter().zip(calls.iter().zip(&theirs)) {
        let theirs = Said::new(&theirs.stdout, &theirs.stderr, theirs.code);
        let ours = ours(tool, arguments);
        if ours != theirs {
            wrong.push(format!("$ {call}\nOttla's says {ours:#?}\nApache Kafka's says {theirs:#?}"));
        }
    }
    assert!(wrong.is_empty(), "on {who}, {} of {} calls:\n{}", wrong.len(), CALLS.len(), wrong.join("\n"));
}

#[test]
fn tools_say_the_same_on_ottla() {
    compare(&Target::ottla().unwrap(), "Ottla");
}

#[test]
fn tools_say_the_same_on_apache_kafka() {
    compare(&Target::apache_kafka().unwrap(), "Apache Kafka");
}
