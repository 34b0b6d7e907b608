//! Tools that change a cluster: transactions, elections, reassignments, client metrics, controllers. Ottla's and Apache Kafka's
//! say the same with the same exit code, on both servers, also when they are called wrongly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_tests::raw::base64;
use ottla_tests::tool_calls::Calls;
use ottla_tests::{Asker, Target};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Value, json};

/// A producer that no coordinator knows: what it leaves open hangs.
const STRANGER: i64 = 4_711;

/// The node that the calls name, as Apache Kafka's is called in tests.
const NODE: (&str, &str) = ("node.id", "1");

/// Brokers refuse what a stranger writes in a transaction, unless they are told not to look.
const SETTING: (&str, &str) = ("transaction.partition.verification.enable", "false");

/// A batch of a transaction, as a client before KIP-890 writes it, long ago.
fn batch(producer: i64) -> Vec<u8> {
    let options = BatchOptions {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(0),
        is_transactional: true,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    let timestamp = Timestamp(1_700_000_000_000);
    builder.append(&RecordToWrite { timestamp, key: None, value: Some(b"x"), headers: &[] }).unwrap();
    builder.build_vec(&mut Compressor::new()).unwrap()
}

fn produce(asker: &mut Asker, topic: &str, id: Option<&str>, producer: i64) {
    let partitions = json!([{ "index": 0, "records": base64(&batch(producer)) }]);
    let body = json!({ "transactionalId": id, "acks": -1, "timeoutMs": 10_000, "topicData": [
        { "name": topic, "partitionData": partitions }] });
    let answer = asker.ask(ApiKey::Produce, 8, &body).unwrap();
    assert_eq!(answer["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{answer}");
}

/// Topics; for each side a transaction that is open and one that hangs.
fn prepare(bootstrap: &str) {
    let mut asker = Asker::new(bootstrap.to_owned());
    let topic =
        |name: &str, partitions: i32| json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1 });
    let topics = json!([topic("one", 3), topic("open", 1), topic("hanging-sideA", 1), topic("hanging-sideB", 1)]);
    let created = asker.ask(ApiKey::CreateTopics, 7, &json!({ "topics": topics, "timeoutMs": 10_000 })).unwrap();
    assert!(created["topics"].as_array().unwrap().iter().all(|topic| topic["errorCode"] == 0), "{created}");
    for side in ["sideA", "sideB"] {
        let id = format!("open-{side}");
        let find = json!({ "keyType": 1, "coordinatorKeys": [id] });
        asker.ask(ApiKey::FindCoordinator, 4, &find).unwrap();
        let init = json!({ "transactionalId": id, "transactionTimeoutMs": 600_000 });
        let producer = asker.ask(ApiKey::InitProducerId, 4, &init).unwrap();
        let number = |value: &Value| value.as_i64().unwrap();
        let producer_id = number(&producer["producerId"]);
        let add = json!({ "v3AndBelowTransactionalId": id, "v3AndBelowProducerId": producer_id,
            "v3AndBelowProducerEpoch": 0, "v3AndBelowTopics": [{ "name": "open", "partitions": [0] }] });
        asker.ask(ApiKey::AddPartitionsToTxn, 3, &add).unwrap();
        produce(&mut asker, "open", Some(&id), producer_id);
        produce(&mut asker, &format!("hanging-{side}"), Some("stranger"), STRANGER);
    }
}

/// The calls, as [`Calls`] reads them.
const CALLS: &[&str] = &[
    "kafka-transactions",
    "kafka-transactions nonsense",
    "kafka-transactions list",
    "kafka-transactions --bootstrap-server SERVER",
    "kafka-transactions --bootstrap-server SERVER nonsense",
    "kafka-transactions --version",
    "kafka-transactions -v",
    "kafka-transactions --bootstrap-server SERVER --command-config /nonexistent list",
    "kafka-transactions --bootstrap-server SERVER list --nonsense",
    "kafka-transactions --bootstrap-server SERVER list --duration-filter x",
    "kafka-transactions --bootstrap-server SERVER list --duration-filter 99999999 --transactional-id-pattern open-SIDE",
    "kafka-transactions --bootstrap-server SERVER list --duration-filter -1 --transactional-id-pattern open-SIDE",
    "kafka-transactions --bootstrap-server SERVER list --transactional-id-pattern .*SIDE",
    "kafka-transactions --bootstrap-server SERVER list --transactional-id-pattern nothing",
    "kafka-transactions --bootstrap-server SERVER list --transactional-id-pattern (",
    "kafka-transactions --bootstrap-server SERVER describe",
    "kafka-transactions --bootstrap-server SERVER describe --transactional-id nothing",
    "kafka-transactions --bootstrap-server SERVER describe --transactional-id open-SIDE",
    "kafka-transactions --bootstrap-server SERVER describe-producers",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic one",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic one --partition x",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic one --partition 0",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic hanging-SIDE --partition 0",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic hanging-SIDE --partition 0 --broker-id 1",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic one --partition 0 --broker-id x",
    "kafka-transactions --bootstrap-server SERVER find-hanging",
    "kafka-transactions --bootstrap-server SERVER find-hanging --partition 0",
    "kafka-transactions --bootstrap-server SERVER find-hanging --topic one",
    "kafka-transactions --bootstrap-server SERVER find-hanging --topic open --partition 0",
    "kafka-transactions --bootstrap-server SERVER find-hanging --topic hanging-SIDE",
    "kafka-transactions --bootstrap-server SERVER find-hanging --topic hanging-SIDE --partition 0 --broker-id 1",
    "kafka-transactions --bootstrap-server SERVER find-hanging --topic hanging-SIDE --max-transaction-timeout 99999999",
    "kafka-transactions --bootstrap-server SERVER find-hanging --broker-id 1 --max-transaction-timeout x",
    "kafka-transactions --bootstrap-server SERVER abort",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0 --start-offset 0",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0 --start-offset x",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0 --producer-id 5",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0 --producer-id 5 --producer-epoch 0",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0 --producer-id 5 --producer-epoch 99999 --coordinator-epoch 0",
    "kafka-transactions --bootstrap-server SERVER abort --topic one --partition 0 --producer-id x",
    "kafka-transactions --bootstrap-server SERVER abort --topic hanging-SIDE --partition 0 --start-offset 0",
    "kafka-transactions --bootstrap-server SERVER find-hanging --topic hanging-SIDE",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic hanging-SIDE --partition 0",
    "kafka-transactions --bootstrap-server SERVER abort --topic hanging-SIDE --partition 0 --producer-id 4711 --producer-epoch 0 --coordinator-epoch -1",
    "kafka-transactions --bootstrap-server SERVER forceTerminateTransaction",
    "kafka-transactions --bootstrap-server SERVER forceTerminateTransaction --transactionalId open-SIDE extra",
    "kafka-transactions --bootstrap-server SERVER forceTerminateTransaction --transactionalId open-SIDE",
    "kafka-transactions --bootstrap-server SERVER list --transactional-id-pattern open-SIDE",
    "kafka-transactions --bootstrap-server SERVER forceTerminateTransaction --transactionalId new-SIDE",
    "kafka-leader-election",
    "kafka-leader-election --help",
    "kafka-leader-election --version",
    "kafka-leader-election --bootstrap-server SERVER",
    "kafka-leader-election --bootstrap-server SERVER --nonsense",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred",
    "kafka-leader-election --election-type preferred --all-topic-partitions",
    "kafka-leader-election --bootstrap-server SERVER --election-type odd --all-topic-partitions",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --all-topic-partitions",
    "kafka-leader-election --bootstrap-server SERVER --election-type UNCLEAN --all-topic-partitions",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one --partition 0",
    "kafka-leader-election --bootstrap-server SERVER --election-type unclean --topic one --partition 1",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one --partition 9",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic nothing --partition 0",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one --partition x",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --partition 0 --all-topic-partitions",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one --partition 0 --all-topic-partitions",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file /nonexistent",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:nonsense",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:[]",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":{}}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":[]}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":[{\"topic\":\"one\"}]}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":\"x\"}]}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":[{\"topic\":7,\"partition\":1}]}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":1},{\"topic\":\"one\",\"partition\":1}]}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --path-to-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":1},{\"topic\":\"one\",\"partition\":2},{\"topic\":\"nix\",\"partition\":0}]}",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --all-topic-partitions --command-config /nonexistent",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one --partition 0 --admin.config /nonexistent",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic one --partition 0 --admin.config a --command-config b",
    "kafka-client-metrics",
    "kafka-client-metrics --help",
    "kafka-client-metrics --version",
    "kafka-client-metrics --bootstrap-server SERVER",
    "kafka-client-metrics --bootstrap-server SERVER --nonsense",
    "kafka-client-metrics --list",
    "kafka-client-metrics --bootstrap-server SERVER --list",
    "kafka-client-metrics --bootstrap-server SERVER --list --describe",
    "kafka-client-metrics --bootstrap-server SERVER --describe",
    "kafka-client-metrics --bootstrap-server SERVER --describe --name nothing",
    "kafka-client-metrics --bootstrap-server SERVER --alter",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name a --generate-name",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name a-SIDE",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name a-SIDE --interval 1000",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name b-SIDE --interval x",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name b-SIDE --interval 1",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name b-SIDE --interval 5000 --metrics org.apache.kafka.producer.,org.apache.kafka.consumer. --match client_id=a.*,client_software_name=x",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name c --match nonsense=x",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name c --match client_id=(",
    "kafka-client-metrics --bootstrap-server SERVER --describe --name b-SIDE",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name b-SIDE --metrics EMPTY",
    "kafka-client-metrics --bootstrap-server SERVER --alter --name b-SIDE --interval EMPTY",
    "kafka-client-metrics --bootstrap-server SERVER --describe --name b-SIDE",
    "kafka-client-metrics --bootstrap-server SERVER --describe --name b --interval 5",
    "kafka-client-metrics --bootstrap-server SERVER --delete",
    "kafka-client-metrics --bootstrap-server SERVER --delete --name nothing",
    "kafka-client-metrics --bootstrap-server SERVER --delete --name a --match x",
    "kafka-client-metrics --bootstrap-server SERVER --delete --name a-SIDE",
    "kafka-client-metrics --bootstrap-server SERVER --delete --name b-SIDE",
    "kafka-client-metrics --bootstrap-server SERVER --describe --name b-SIDE",
    "kafka-client-metrics --bootstrap-server SERVER --list --name a",
    "kafka-client-metrics --bootstrap-server SERVER --describe --command-config /nonexistent",
    "kafka-reassign-partitions",
    "kafka-reassign-partitions --help",
    "kafka-reassign-partitions --version",
    "kafka-reassign-partitions --bootstrap-server SERVER",
    "kafka-reassign-partitions --bootstrap-server SERVER --nonsense",
    "kafka-reassign-partitions --list",
    "kafka-reassign-partitions --bootstrap-server SERVER --list",
    "kafka-reassign-partitions --bootstrap-server SERVER --bootstrap-controller SERVER --list",
    "kafka-reassign-partitions --bootstrap-controller SERVER --list",
    "kafka-reassign-partitions --bootstrap-controller SERVER --generate --broker-list 1 --topics-to-move-json-file x",
    "kafka-reassign-partitions --bootstrap-server SERVER --list --verify",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute",
    "kafka-reassign-partitions --bootstrap-server SERVER --cancel",
    "kafka-reassign-partitions --bootstrap-server SERVER --list --additional",
    "kafka-reassign-partitions --bootstrap-server SERVER --list --throttle 5",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --reassignment-json-file x --timeout x",
    "kafka-reassign-partitions --bootstrap-server SERVER --list --command-config /nonexistent",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --reassignment-json-file /nonexistent",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:nonsense",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:[]",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{\"version\":2}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"}],\"version\":\"1\"}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"}],\"version\":1}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --disable-rack-aware --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"},{\"topic\":\"one\"}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"nix\"}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1 --topics-to-move-json-file FILE:{\"topics\":[\"one\"]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 1,1 --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list 7 --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --generate --broker-list x --topics-to-move-json-file FILE:{\"topics\":[{\"topic\":\"one\"}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"version\":3}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1,1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[\"x\"]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]},{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[7]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"nix\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":9,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --additional --disallow-replication-factor-change --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[\"any\"]},{\"topic\":\"one\",\"partition\":2,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --throttle 5000 --replica-alter-log-dirs-throttle 6000 --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-configs --bootstrap-server SERVER --describe --topic one",
    "kafka-configs --bootstrap-server SERVER --describe --broker 1",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --timeout 300 --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[\"/nonexistent\"]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --preserve-throttles --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --preserve-throttles --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[\"/a\"]},{\"topic\":\"nix\",\"partition\":4,\"replicas\":[1],\"log_dirs\":[\"/a\"]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"nix\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --preserve-throttles --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":3,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --preserve-throttles --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":4,\"replicas\":[7,1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --reassignment-json-file FILE:{}",
    "kafka-reassign-partitions --bootstrap-server SERVER --verify --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]},{\"topic\":\"open\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-configs --bootstrap-server SERVER --describe --topic one",
    "kafka-configs --bootstrap-server SERVER --describe --broker 1",
    "kafka-reassign-partitions --bootstrap-server SERVER --cancel --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --cancel --preserve-throttles --timeout 5 --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[\"/x\"]},{\"topic\":\"nix\",\"partition\":0,\"replicas\":[7]}]}",
    "kafka-reassign-partitions --bootstrap-controller SERVER --cancel --reassignment-json-file FILE:{\"partitions\":[{\"topic\":\"one\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-cluster unregister-controller",
    "kafka-cluster unregister-controller -b SERVER",
    "kafka-cluster unregister-controller -b SERVER --id 7",
    "kafka-cluster unregister-controller -b SERVER --id x",
    "kafka-cluster unregister-controller -C SERVER --id 7",
    "kafka-cluster list-endpoints",
    "kafka-cluster list-endpoints -b SERVER --include-fenced-brokers",
    "kafka-cluster list-endpoints -b SERVER --include",
    "kafka-cluster list-endpoints -C SERVER",
    "kafka-cluster list-endpoints -C SERVER --include-fenced-brokers",
    "kafka-cluster cluster-id -C SERVER",
    "kafka-cluster api-versions -C SERVER",
    "kafka-features --bootstrap-server SERVER describe --node-id 1",
    "kafka-features --bootstrap-server SERVER describe --node-id x",
    "kafka-features --bootstrap-controller SERVER describe",
    "kafka-features --bootstrap-controller SERVER describe --node-id 1",
    "kafka-features --bootstrap-controller SERVER upgrade --feature group.version=1",
    "kafka-metadata-quorum --bootstrap-controller SERVER describe --status",
    "kafka-metadata-quorum --bootstrap-controller SERVER describe --replication",
    "kafka-metadata-quorum --bootstrap-server SERVER add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER add-controller --dry-run",
    "kafka-metadata-quorum --bootstrap-server SERVER add-controller --nonsense",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config /nonexistent add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config FILE:node.id=1 add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config FILE:node.id=-1 add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config FILE:x=1 add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config FILE:node.id=1\nprocess.roles=controller add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER --command-config FILE:node.id=1\nprocess.roles=controller\nlog.dirs=FOLDER/none add-controller",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 7 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ --unregister",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 7 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ --unregister --dry-run",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 7 --unregister",
];

fn compare(target: &Target, who: &str) {
    let bootstrap = target.bootstrap();
    prepare(&bootstrap);
    let wrong = Calls::new(CALLS, &bootstrap).compare().unwrap();
    assert!(wrong.is_empty(), "on {who}, {} of {} calls:\n{}", wrong.len(), CALLS.len(), wrong.join("\n"));
}

#[test]
fn tools_that_change_a_cluster_say_the_same_on_ottla() {
    compare(&Target::ottla_with(&[NODE, SETTING]).unwrap(), "Ottla");
}

#[test]
fn tools_that_change_a_cluster_say_the_same_on_apache_kafka() {
    compare(&Target::apache_kafka_with(&[SETTING]).unwrap(), "Apache Kafka");
}
