//! Tools that look at a cluster: Ottla's and Apache Kafka's say the same with the same exit code, on both servers, also when
//! they are called wrongly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientSettings, Consumer, ConsumerSettings, NewTopic, Producer, ProducerRecord, ProducerSettings,
};
use ottla_protocol::ApiKey;
use ottla_tests::tool_calls::Calls;
use ottla_tests::{Asker, Target};
use ottla_types::TopicPartition;
use serde_json::json;
use std::time::Duration;

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

/// The calls, as [`Calls`] reads them.
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

fn compare(target: &Target, who: &str) {
    let bootstrap = target.bootstrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(prepare(&bootstrap));
    let wrong = Calls::new(CALLS, &bootstrap).compare().unwrap();
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
