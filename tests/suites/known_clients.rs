//! What clients stumbled over at other brokers and no single request shows: waiting, many partitions, restarts, listeners.
//! `docs/known-incompatibilities.md` lists all that is known. The same on Ottla and, where it need not be set up anew, on
//! Apache Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "known_clients/first_write.rs"]
mod first_write;
#[path = "known_clients/listeners.rs"]
mod listeners;
#[path = "known_clients/loading.rs"]
mod loading;
#[path = "known_clients/max_poll.rs"]
mod max_poll;
#[path = "known_clients/times.rs"]
mod times;

use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compression, Compressor, RecordToWrite};
use ottla_tests::besieged::{batch, fetch, produce};
use ottla_tests::raw::{Connection, base64};
use ottla_tests::{Asker, Server, Target, free_port, now_ms};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something that happens in the background may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fetch waits ten seconds by itself: what ends it within five is something else.
const SOON: Duration = Duration::from_secs(5);

/// So long a fetch is seen to wait.
const A_MOMENT: Duration = Duration::from_millis(300);

/// More partitions than the thousand at which one broker stopped.
const MANY: usize = 1_001;

/// Not the name of a client, which the answer does not depend on.
const STRANGE_API_VERSIONS: [u8; 12] = [0, 18, 0, 99, 0, 0, 0, 7, 0, 1, b'x', 0];

/// A client of a server that has this topic.
fn with_topic(target: &Target, topic: &str, partitions: usize, configs: &Value) -> Asker {
    let mut asker = Asker::new(target.bootstrap());
    create(&mut asker, topic, partitions, configs);
    asker
}

fn create(asker: &mut Asker, topic: &str, partitions: usize, configs: &Value) {
    let topics = json!([{"name": topic, "numPartitions": partitions, "replicationFactor": 1, "configs": configs}]);
    let created = asker.ask(ApiKey::CreateTopics, 7, &json!({"topics": topics, "timeoutMs": 30_000})).unwrap();
    assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
}

/// A server that starts again after a crash reads all logs: those that are done with need not be there.
fn delete(asker: &mut Asker, topic: &str) {
    let ask = json!({"topics": [{"name": topic}], "timeoutMs": 30_000});
    let deleted = asker.ask(ApiKey::DeleteTopics, 6, &ask).unwrap();
    assert_eq!(deleted["responses"][0]["errorCode"], 0, "{deleted}");
}

/// The answer for the first partition of a Produce.
fn produced(answer: &Value) -> (i64, i64) {
    let partition = &answer["responses"][0]["partitionResponses"][0];
    let number = |name: &str| partition[name].as_i64().unwrap();
    (number("errorCode"), number("baseOffset"))
}

/// A producer's id and epoch.
fn init(asker: &mut Asker, transactional_id: Option<&str>) -> (i64, i16) {
    if let Some(id) = transactional_id {
        asker.ask(ApiKey::FindCoordinator, 4, &json!({"keyType": 1, "coordinatorKeys": [id]})).unwrap();
    }
    let ask = json!({"transactionalId": transactional_id, "transactionTimeoutMs": 600_000, "producerId": -1,
        "producerEpoch": -1});
    let given = asker.ask(ApiKey::InitProducerId, 4, &ask).unwrap();
    assert_eq!(given["errorCode"], 0, "{given}");
    let epoch = given["producerEpoch"].as_i64().and_then(|epoch| i16::try_from(epoch).ok());
    (given["producerId"].as_i64().unwrap(), epoch.unwrap())
}

/// The first batch of a producer.
fn batch_of((id, epoch): (i64, i16), is_transactional: bool) -> Vec<u8> {
    let options = BatchOptions {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(0),
        is_transactional,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    let timestamp = Timestamp(now_ms());
    builder.append(&RecordToWrite { timestamp, key: None, value: Some(b"v"), headers: &[] }).unwrap();
    builder.build_vec(&mut Compressor::default()).unwrap()
}

fn add_to_transaction(asker: &mut Asker, id: &str, producer: (i64, i16), topics: &[&str]) {
    let topics: Value = topics.iter().map(|name| json!({"name": name, "partitions": [0]})).collect();
    let ask = json!({"v3AndBelowTransactionalId": id, "v3AndBelowProducerId": producer.0,
        "v3AndBelowProducerEpoch": producer.1, "v3AndBelowTopics": topics});
    let added = asker.ask(ApiKey::AddPartitionsToTxn, 3, &ask).unwrap();
    let topics = added["resultsByTopicV3AndBelow"].as_array().unwrap();
    assert!(topics.iter().all(|topic| topic["resultsByPartition"][0]["partitionErrorCode"] == 0), "{added}");
}

fn commit(asker: &mut Asker, id: &str, producer: (i64, i16)) {
    let ask = json!({"transactionalId": id, "producerId": producer.0, "producerEpoch": producer.1, "committed": true});
    let ended = asker.ask(ApiKey::EndTxn, 3, &ask).unwrap();
    assert_eq!(ended["errorCode"], 0, "{ended}");
}

/// KIP-511: who asks in a version of the future reads in which he may ask.
fn a_strange_version(target: &Target) {
    let mut connection = Connection::open(&target.bootstrap()).unwrap();
    connection.send_frame(&STRANGE_API_VERSIONS).unwrap();
    let answer = connection.receive().unwrap();
    assert_eq!(answer[..6], [0, 0, 0, 7, 0, 35]);
    let ranges: Vec<&[u8]> = answer[10..].chunks_exact(6).collect();
    let own = ranges.iter().find(|range| range[..2] == [0, 18]).expect("the range of ApiVersions");
    assert_eq!((own[2..4].to_vec(), own[4]), (vec![0, 0], 0), "{ranges:?}");
    assert!(own[5] >= 3, "{ranges:?}");
}

fn a_fetch_is_woken(target: &Target) {
    let mut asker = with_topic(target, "woken", 1, &json!([]));
    let ask = produce("woken", &batch(Compression::None, b"v").unwrap());
    assert_eq!(produced(&asker.ask(ApiKey::Produce, 9, &ask).unwrap()), (0, 0));
    let mut waiting = Connection::open(&target.bootstrap()).unwrap();
    waiting.send(ApiKey::Fetch, 12, &fetch("woken", 1)).unwrap();
    assert!(!waiting.is_answered(A_MOMENT).unwrap(), "it has nothing to be answered with");
    assert_eq!(produced(&asker.ask(ApiKey::Produce, 9, &ask).unwrap()), (0, 1));
    assert!(waiting.is_answered(SOON).unwrap(), "the new record does not end the wait");
    let fetched = waiting.answer(ApiKey::Fetch, 12).unwrap();
    let partition = &fetched["responses"][0]["partitions"][0];
    assert_eq!((&partition["errorCode"], &partition["highWatermark"]), (&json!(0), &json!(2)), "{fetched}");
    assert!(partition["records"].as_str().is_some_and(|records| !records.is_empty()), "{fetched}");
}

fn many_partitions_are_fetched(target: &Target) {
    let mut asker = with_topic(target, "wide", MANY, &json!([]));
    let records = base64(&batch(Compression::None, b"v").unwrap());
    // One by one: who asks again because one has no leader yet would write to the other again.
    for index in [0, MANY - 1] {
        let written = json!([{"index": index, "records": records}]);
        let ask = json!({"transactionalId": null, "acks": -1, "timeoutMs": 30_000,
            "topicData": [{"name": "wide", "partitionData": written}]});
        assert_eq!(produced(&asker.ask(ApiKey::Produce, 9, &ask).unwrap()), (0, 0));
    }
    let partition = |index: usize| json!({"partition": index, "fetchOffset": 0, "partitionMaxBytes": 1_000});
    let asked: Vec<_> = (0..MANY).map(partition).collect();
    let ask = json!({"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1_000_000, "sessionEpoch": -1,
        "topics": [{"topic": "wide", "partitions": asked}]});
    let fetched = asker.ask(ApiKey::Fetch, 12, &ask).unwrap();
    let topics = fetched["responses"].as_array().unwrap().iter();
    let partitions: Vec<_> = topics.flat_map(|topic| topic["partitions"].as_array().unwrap()).collect();
    assert_eq!(partitions.len(), MANY);
    assert!(partitions.iter().all(|partition| partition["errorCode"] == 0));
    let has_records = |partition: &&&Value| partition["records"].as_str().is_some_and(|records| !records.is_empty());
    assert_eq!(partitions.iter().filter(has_records).count(), 2, "the first and the last have a record");
    delete(&mut asker, "wide");
}

/// The first one waits for the disk while the second one comes.
fn a_batch_comes_twice(target: &Target) {
    let durable = json!([{"name": "flush.messages", "value": "1"}]);
    let mut asker = with_topic(target, "twice", 1, &durable);
    asker.ask(ApiKey::ListOffsets, 8, &end_of("twice")).unwrap();
    let ask = produce("twice", &batch_of(init(&mut asker, None), false));
    let mut connection = Connection::open(&target.bootstrap()).unwrap();
    connection.send(ApiKey::Produce, 9, &ask).unwrap();
    connection.send(ApiKey::Produce, 9, &ask).unwrap();
    let answers = [(); 2].map(|()| produced(&connection.answer(ApiKey::Produce, 9).unwrap()));
    assert_eq!(answers, [(0, 0), (0, 0)]);
    assert_eq!(end(&mut asker, "twice"), 1);
}

fn end_of(topic: &str) -> Value {
    json!({"replicaId": -1, "topics": [{"name": topic, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]})
}

fn end(asker: &mut Asker, topic: &str) -> i64 {
    let answer = asker.ask(ApiKey::ListOffsets, 8, &end_of(topic)).unwrap();
    answer["topics"][0]["partitions"][0]["offset"].as_i64().unwrap()
}

fn segments_are_rolled(target: &Target) {
    let small = json!([{"name": "segment.bytes", "value": "1048576"}]);
    let mut asker = with_topic(target, "rolled", 1, &small);
    let ask = produce("rolled", &batch(Compression::None, &[b'v'; 300_000]).unwrap());
    for number in 0..12 {
        assert_eq!(end(&mut asker, "rolled"), number);
        assert_eq!(produced(&asker.ask(ApiKey::Produce, 9, &ask).unwrap()), (0, number));
    }
}

/// As a sink does that keeps the id and the epoch in its own checkpoint.
fn a_transaction_is_resumed(target: &mut Target) {
    let mut asker = with_topic(target, "resumed", 1, &json!([]));
    let producer = init(&mut asker, Some("sink"));
    add_to_transaction(&mut asker, "sink", producer, &["resumed"]);
    let mut ask = produce("resumed", &batch_of(producer, true));
    ask["transactionalId"] = json!("sink");
    assert_eq!(produced(&asker.ask(ApiKey::Produce, 9, &ask).unwrap()), (0, 0));
    target.kill_and_restart().unwrap();
    // Whether the first commit has arrived, a sink can't know.
    for _ in 0..2 {
        commit(&mut asker, "sink", producer);
    }
    let mut ask = fetch("resumed", 0);
    ask["isolationLevel"] = json!(1);
    let fetched = asker.ask(ApiKey::Fetch, 12, &ask).unwrap();
    let records = fetched["responses"][0]["partitions"][0]["records"].as_str();
    assert!(records.is_some_and(|records| !records.is_empty()), "{fetched}");
}

fn a_topic_is_deleted_amid_a_transaction(target: &Target) {
    let mut asker = with_topic(target, "doomed", 1, &json!([]));
    create(&mut asker, "kept", 1, &json!([]));
    let producer = init(&mut asker, Some("orphan"));
    add_to_transaction(&mut asker, "orphan", producer, &["doomed", "kept"]);
    let ask = json!({"topics": [{"name": "doomed"}], "timeoutMs": 30_000});
    let deleted = asker.ask(ApiKey::DeleteTopics, 6, &ask).unwrap();
    assert_eq!(deleted["responses"][0]["errorCode"], 0, "{deleted}");
    commit(&mut asker, "orphan", producer);
    let until = Instant::now() + PATIENCE;
    loop {
        let ask = json!({"transactionalIds": ["orphan"]});
        let described = asker.ask(ApiKey::DescribeTransactions, 0, &ask).unwrap();
        if described["transactionStates"][0]["transactionState"] == "CompleteCommit" {
            return;
        }
        assert!(Instant::now() < until, "the transaction never ends: {described}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_strange_version_of_api_versions_is_answered_with_the_range_that_there_is() {
    a_strange_version(&Target::ottla().unwrap());
}

#[test]
fn a_fetch_that_waits_is_answered_when_a_record_comes() {
    a_fetch_is_woken(&Target::ottla().unwrap());
}

#[test]
fn more_than_a_thousand_partitions_are_served_in_one_fetch() {
    many_partitions_are_fetched(&Target::ottla().unwrap());
}

#[test]
fn a_batch_that_comes_again_while_the_first_one_waits_is_appended_once() {
    a_batch_comes_twice(&Target::ottla().unwrap());
}

#[test]
fn the_end_of_a_partition_is_right_while_segments_are_rolled() {
    segments_are_rolled(&Target::ottla().unwrap());
}

#[test]
fn a_transaction_is_committed_after_a_restart_by_whoever_has_its_id_and_epoch() {
    a_transaction_is_resumed(&mut Target::ottla().unwrap());
}

#[test]
fn a_transaction_ends_though_one_of_its_topics_was_deleted() {
    a_topic_is_deleted_amid_a_transaction(&Target::ottla().unwrap());
}

#[test]
fn kafka_go_writes_to_topics_that_make_themselves() {
    first_write::kafka_go_writes_to_topics_that_make_themselves(&Target::ottla().unwrap());
}

#[test]
fn a_time_is_found_in_a_thousand_partitions_at_once() {
    times::a_time_is_found_in_many_partitions_at_once(&Target::ottla().unwrap());
}

#[test]
fn a_member_that_polls_too_late_is_out_and_in_by_one_rebalance_each() {
    let target = Target::ottla_with(&[max_poll::SETTINGS]).unwrap();
    max_poll::a_member_that_polls_too_late_is_out_and_in_by_one_rebalance_each(&target);
}

#[test]
fn a_member_of_sarama_goes_on_at_a_coordinator_that_has_to_load() {
    let mut target = Target::ottla_with(&[loading::SETTINGS]).unwrap();
    loading::a_member_of_sarama_goes_on_at_a_coordinator_that_has_to_load(&mut target);
}

#[test]
fn all_of_this_goes_the_same_way_on_apache_kafka() {
    let mut target = Target::apache_kafka().unwrap();
    a_strange_version(&target);
    a_fetch_is_woken(&target);
    many_partitions_are_fetched(&target);
    a_batch_comes_twice(&target);
    segments_are_rolled(&target);
    a_topic_is_deleted_amid_a_transaction(&target);
    times::a_time_is_found_in_many_partitions_at_once(&target);
    a_transaction_is_resumed(&mut target);
}

#[test]
fn libraries_go_the_same_way_on_apache_kafka() {
    let mut target = Target::apache_kafka_with(&[max_poll::SETTINGS, loading::SETTINGS]).unwrap();
    first_write::kafka_go_writes_to_topics_that_make_themselves(&target);
    max_poll::a_member_that_polls_too_late_is_out_and_in_by_one_rebalance_each(&target);
    loading::a_member_of_sarama_goes_on_at_a_coordinator_that_has_to_load(&mut target);
}

/// A producer that does not try again asks for a topic until it has a leader, and then has one attempt. Apache Kafka may
/// still refuse that one.
#[test]
fn a_record_is_taken_as_soon_as_a_topic_that_makes_itself_has_a_leader() {
    let target = Target::ottla().unwrap();
    let mut connection = Connection::open(&target.bootstrap()).unwrap();
    let batch = batch(Compression::None, b"v").unwrap();
    for number in 0..20 {
        let topic = format!("self-made-{number}");
        let ask = json!({"topics": [{"name": topic}], "allowAutoTopicCreation": true});
        let until = Instant::now() + PATIENCE;
        loop {
            let metadata = connection.ask(ApiKey::Metadata, 12, &ask).unwrap();
            let leader = metadata["topics"][0]["partitions"][0]["leaderId"].as_i64();
            if metadata["topics"][0]["errorCode"] == 0 && leader.is_some_and(|leader| leader >= 0) {
                break;
            }
            assert!(Instant::now() < until, "it never has a leader: {metadata}");
        }
        let answer = connection.ask(ApiKey::Produce, 9, &produce(&topic, &batch)).unwrap();
        assert_eq!(produced(&answer), (0, 0), "{topic}");
    }
}

/// Starts a server again whose configuration has some more lines.
fn restart_with(server: &mut Server, lines: &str) {
    server.stop().unwrap();
    let mut file = File::options().append(true).open(server.directory().join("server.properties")).unwrap();
    writeln!(file, "{lines}").unwrap();
    server.launch().unwrap();
}

#[test]
fn each_listener_tells_of_the_controller_at_its_own_address() {
    let mut server = Server::start(&[]).unwrap();
    let (outside, inside) = (server.bootstrap(), format!("127.0.0.1:{}", free_port().unwrap()));
    // Nobody connects to the advertised address: it only is another one.
    let advertised = inside.replace("127.0.0.1", "127.0.0.2");
    let lines = [
        format!("listeners=PLAINTEXT://{outside},INSIDE://{inside}"),
        format!("advertised.listeners=PLAINTEXT://{outside},INSIDE://{advertised}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
    ];
    restart_with(&mut server, &lines.join("\n"));
    for (address, told) in [(&outside, &outside), (&inside, &advertised)] {
        let mut asker = Asker::new(address.clone());
        let metadata = asker.ask(ApiKey::Metadata, 12, &json!({"topics": []})).unwrap();
        let cluster = asker.ask(ApiKey::DescribeCluster, 1, &json!({"endpointType": 1})).unwrap();
        for (nodes, id) in [(&metadata["brokers"], "nodeId"), (&cluster["brokers"], "brokerId")] {
            assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{metadata} {cluster}");
            assert_eq!(format!("{}:{}", nodes[0]["host"].as_str().unwrap(), nodes[0]["port"]), *told);
            assert_eq!(nodes[0][id], metadata["controllerId"]);
        }
        assert_eq!(cluster["controllerId"], metadata["controllerId"]);
    }
}

#[test]
fn groups_stay_where_they_are_when_their_topic_would_be_made_wider() {
    const GROUPS: [&str; 5] = ["a", "b", "billing", "readers", "another group"];
    let mut server = Server::start(&[("offsets.topic.num.partitions", "3")]).unwrap();
    let mut asker = Asker::new(server.bootstrap());
    create(&mut asker, "read", 1, &json!([]));
    for (group, offset) in GROUPS.iter().zip(1..) {
        asker.ask(ApiKey::FindCoordinator, 4, &json!({"keyType": 0, "coordinatorKeys": [group]})).unwrap();
        let partitions = json!([{"partitionIndex": 0, "committedOffset": offset, "committedMetadata": ""}]);
        let ask = json!({"groupId": group, "generationIdOrMemberEpoch": -1, "memberId": "",
            "topics": [{"name": "read", "partitions": partitions}]});
        let committed = asker.ask(ApiKey::OffsetCommit, 8, &ask).unwrap();
        assert_eq!(committed["topics"][0]["partitions"][0]["errorCode"], 0, "{committed}");
    }
    restart_with(&mut server, "offsets.topic.num.partitions=7");
    for (group, offset) in GROUPS.iter().zip(1..) {
        let ask = json!({"groupId": group, "topics": null, "requireStable": false});
        let fetched = asker.ask(ApiKey::OffsetFetch, 7, &ask).unwrap();
        assert_eq!(fetched["topics"][0]["partitions"][0]["committedOffset"], offset, "{group}: {fetched}");
    }
}
