//! What administrators' requests are refused with: each case was sent to a running Apache Kafka 4.4.0 of one node, and
//! the code and the sentence are those of its answer. `None` is success.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, assigned, topic, topics};
use ottla_controller::{BrokerConfigOrigin, preprocess_incremental_alter_configs};
use ottla_protocol::ErrorCode::{
    self, InvalidConfig, InvalidPartitions, InvalidReplicaAssignment, InvalidReplicationFactor, InvalidRequest,
    InvalidTopicException, PolicyViolation, TopicAlreadyExists, UnknownTopicId, UnknownTopicOrPartition,
};
use ottla_protocol::messages::{
    CreatePartitionsRequest, DeleteTopicsRequest, IncrementalAlterConfigsRequest, create_partitions_request,
    create_topics_request::CreatableTopic, delete_topics_request, incremental_alter_configs_request,
};
use ottla_types::Uuid;

type Expected = Option<(ErrorCode, &'static str)>;
/// Kind and name of a resource; key, operation and operand; the answer.
type Alteration = (i8, &'static str, &'static str, i8, Option<&'static str>, Expected);

fn found(code: i16, message: Option<&str>) -> Option<(ErrorCode, String)> {
    (code != 0).then(|| (ErrorCode::from_code(code).unwrap(), message.unwrap_or_default().to_owned()))
}

fn same(found: Option<(ErrorCode, String)>, expected: Expected, what: &str) {
    let found = found.as_ref().map(|(code, message)| (*code, message.as_str()));
    assert_eq!(found, expected, "{what}");
}

/// A running node with the topics that the cases below meet.
fn running() -> Cluster {
    let mut cluster = Cluster::running("");
    cluster.create_topic("ok1", 3, 1);
    cluster.create_topic("a.b", 1, 1);
    cluster
}

#[test]
fn creating_topics() {
    let bad = "contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
    let bad = &*format!("Topic name is invalid: 'bad name' {bad}").leak();
    let cases: Vec<(CreatableTopic, Expected)> = vec![
        (topic("ok1", 3, 1, &[]), Some((TopicAlreadyExists, "Topic 'ok1' already exists."))),
        (topic("d1", -1, -1, &[]), None),
        (topic("bad name", 1, 1, &[]), Some((InvalidTopicException, bad))),
        (topic("..", 1, 1, &[]), Some((InvalidTopicException, "Topic name is invalid: '..' is not allowed"))),
        (topic("a_b", 1, 1, &[]), Some((InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"))),
        (
            topic("p0", 0, 1, &[]),
            Some((InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")),
        ),
        (
            topic("rf0", 1, 0, &[]),
            Some((
                InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )),
        ),
        (
            topic("rf2", 1, 2, &[]),
            Some((
                InvalidReplicationFactor,
                "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached \
                 because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
            )),
        ),
        (topic("big", 10_001, 1, &[]), Some((PolicyViolation, "Excessively large number of partitions per request."))),
        (
            topic("big2", 10_000, 1, &[]),
            Some((PolicyViolation, "Unable to perform excessively large batch operation.")),
        ),
        (
            topic("__cluster_metadata", 1, 1, &[]),
            Some((InvalidRequest, "Creation of internal topic __cluster_metadata is prohibited.")),
        ),
        (assigned("m1", &[(0, &[1]), (1, &[1])]), None),
        (
            assigned("m2", &[(0, &[1]), (2, &[1])]),
            Some((InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")),
        ),
        (
            assigned("m3", &[(0, &[2])]),
            Some((
                InvalidReplicaAssignment,
                "The manual partition assignment includes broker 2, but no such broker is registered.",
            )),
        ),
        (
            assigned("m4", &[(0, &[1, 1])]),
            Some((InvalidReplicaAssignment, "The manual partition assignment includes the broker 1 more than once.")),
        ),
        (
            assigned("m5", &[(0, &[])]),
            Some((InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")),
        ),
    ];
    let mut cluster = running();
    for (topic, expected) in cases {
        let name = topic.name.clone();
        let response = cluster.create_topics(&topics([topic]));
        let result = &response.topics[0];
        same(found(result.error_code, result.error_message.as_deref()), expected, &name);
    }
}

#[test]
fn configurations_of_new_topics() {
    let invalid = |message| Some((InvalidConfig, message));
    let cases: &[(&[(&str, &str)], Expected)] = &[
        (
            &[("retention.ms", "abc")],
            invalid("Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        ),
        (
            &[("cleanup.policy", "foo")],
            invalid("Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"),
        ),
        (
            &[("retention.ms", "1"), ("segment.bytes", "5")],
            invalid("Invalid value 5 for configuration segment.bytes: Value must be at least 1048576"),
        ),
        (&[("min.insync.replicas", "2")], None),
        (&[("cleanup.policy", "")], None),
        (&[("cleanup.policy", "delete,delete")], None),
        (&[("nosuch", "1")], invalid("Unknown topic config name: nosuch")),
        (
            &[("message.timestamp.type", "x")],
            invalid(
                "Invalid value x for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime",
            ),
        ),
        (
            &[("compression.type", "zip")],
            invalid(
                "Invalid value zip for configuration compression.type: String must be one of: uncompressed, zstd, lz4, \
                 snappy, gzip, producer",
            ),
        ),
    ];
    let mut cluster = running();
    for (at, (configs, expected)) in cases.iter().enumerate() {
        let response = cluster.create_topics(&topics([topic(&format!("c{at}"), 1, 1, configs)]));
        let result = &response.topics[0];
        same(found(result.error_code, result.error_message.as_deref()), *expected, &format!("{configs:?}"));
    }
}

#[test]
fn names_that_come_twice_are_refused_and_reported_once() {
    let mut cluster = running();
    let response = cluster.create_topics(&topics([
        topic("twice", 1, 1, &[]),
        topic("once", 1, 1, &[]),
        topic("twice", 1, 1, &[]),
    ]));
    let results: Vec<_> = response
        .topics
        .iter()
        .map(|result| (result.name.as_str(), result.error_code, result.error_message.as_deref()))
        .collect();
    assert_eq!(results, [("once", 0, None), ("twice", 42, Some("Duplicate topic name."))]);
}

#[test]
fn a_request_that_only_validates_answers_as_if_and_writes_nothing() {
    let mut cluster = running();
    let before = cluster.log.len();
    let mut request = topics([topic("new", 3, 1, &[]), topic("ok1", 1, 1, &[])]);
    request.validate_only = true;
    let response = cluster.create_topics(&request);
    assert_eq!(response.topics.iter().map(|result| result.error_code).collect::<Vec<_>>(), [0, 36]);
    assert_eq!(response.topics[0].num_partitions, 3);
    assert_eq!(cluster.log.len(), before);
}

#[test]
fn adding_partitions() {
    let assignment = |ids: &[i32]| create_partitions_request::CreatePartitionsAssignment {
        broker_ids: ids.to_vec(),
        ..Default::default()
    };
    let cases = vec![
        ("ok1", 3, None, Some((InvalidPartitions, "Topic already has 3 partition(s)."))),
        (
            "ok1",
            2,
            None,
            Some((InvalidPartitions, "The topic ok1 currently has 3 partition(s); 2 would not be an increase.")),
        ),
        ("ok1", 5, None, None),
        ("nope", 5, None, Some((UnknownTopicOrPartition, ""))),
        (
            "ok1",
            7,
            Some(vec![assignment(&[1])]),
            Some((
                InvalidReplicaAssignment,
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
            )),
        ),
        (
            "ok1",
            6,
            Some(vec![assignment(&[9])]),
            Some((
                InvalidReplicaAssignment,
                "The manual partition assignment includes broker 9, but no such broker is registered.",
            )),
        ),
        (
            "ok1",
            6,
            Some(vec![assignment(&[1, 1])]),
            Some((InvalidReplicaAssignment, "The manual partition assignment includes the broker 1 more than once.")),
        ),
        (
            "ok1",
            20_000,
            None,
            Some((PolicyViolation, "Excessively large number of additional partitions per request.")),
        ),
        (
            "ok1",
            -1,
            None,
            Some((InvalidPartitions, "The topic ok1 currently has 5 partition(s); -1 would not be an increase.")),
        ),
    ];
    let mut cluster = running();
    for (name, count, assignments, expected) in cases {
        let request = CreatePartitionsRequest {
            topics: vec![create_partitions_request::CreatePartitionsTopic {
                name: name.to_owned(),
                count,
                assignments,
                ..Default::default()
            }],
            ..Default::default()
        };
        let context = cluster.context(3);
        let outcome = cluster.controller.create_partitions(&context, &request);
        let response = cluster.commit(outcome);
        let result = &response.results[0];
        same(found(result.error_code, result.error_message.as_deref()), expected, &format!("{name} {count}"));
    }
}

#[test]
fn deleting_topics() {
    let named = |name: Option<&str>, topic_id| delete_topics_request::DeleteTopicState {
        name: name.map(str::to_owned),
        topic_id,
        ..Default::default()
    };
    let mut cluster = running();
    let id = cluster.controller.image().topics.topic_id("a.b").unwrap();
    let unknown = Uuid::from_u128(0xffff);
    let cases = vec![
        (
            vec![named(Some("nope"), Uuid::ZERO)],
            vec![Some((UnknownTopicOrPartition, UnknownTopicOrPartition.message()))],
        ),
        (vec![named(None, unknown)], vec![Some((UnknownTopicId, UnknownTopicId.message()))]),
        (vec![named(None, Uuid::ZERO)], vec![Some((InvalidRequest, "Neither topic name nor id were specified."))]),
        (
            vec![named(Some("a.b"), id)],
            vec![Some((InvalidRequest, "You may not specify both topic name and topic id."))],
        ),
        (
            vec![named(Some("ok1"), Uuid::ZERO), named(Some("ok1"), Uuid::ZERO)],
            vec![Some((InvalidRequest, "Duplicate topic name."))],
        ),
        (vec![named(None, id), named(None, id)], vec![Some((InvalidRequest, "Duplicate topic id."))]),
        (
            vec![named(None, id), named(Some("a.b"), Uuid::ZERO)],
            vec![Some((InvalidRequest, "The provided topic name maps to an ID that was already supplied."))],
        ),
        (vec![named(None, id)], vec![None]),
    ];
    for (topics, expected) in cases {
        let request = DeleteTopicsRequest { topics, ..Default::default() };
        let context = cluster.context(6);
        let outcome = cluster.controller.delete_topics(&context, &request);
        let response = cluster.commit(outcome);
        let results = response.responses.iter().map(|r| found(r.error_code, r.error_message.as_deref()));
        let results: Vec<_> = results.collect();
        assert_eq!(results.len(), expected.len());
        for (result, expected) in results.into_iter().zip(expected) {
            same(result, expected, &format!("{request:?}"));
        }
    }
    assert_eq!(cluster.controller.image().topics.topic_id("a.b"), None);
}

#[test]
fn topics_are_kept_where_deletion_is_switched_off() {
    let mut cluster = Cluster::running("delete.topic.enable=false");
    cluster.create_topic("a", 1, 1);
    for (version, code) in [(1, 42), (3, 73)] {
        let request = DeleteTopicsRequest { topic_names: vec!["a".to_owned()], ..Default::default() };
        let context = cluster.context(version);
        let outcome = cluster.controller.delete_topics(&context, &request);
        assert_eq!(cluster.commit(outcome).responses[0].error_code, code);
    }
    assert!(cluster.controller.image().topics.topic_id("a").is_some());
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

/// Sends a change as a client does: through the broker, then to the controller.
fn alter(
    cluster: &mut Cluster,
    kind: i8,
    name: &str,
    changes: &[(&str, i8, Option<&str>)],
) -> Option<(ErrorCode, String)> {
    let change =
        |(key, operation, value): &(&str, i8, Option<&str>)| incremental_alter_configs_request::AlterableConfig {
            name: (*key).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
            ..Default::default()
        };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configs: changes.iter().map(change).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let node = cluster::node_config("");
    let image = cluster.controller.image().clone();
    let preprocessed =
        preprocess_incremental_alter_configs(BrokerConfigOrigin { node: &node, image: &image, loggers: &[] }, request);
    let outcome = cluster.controller.incremental_alter_configs(&preprocessed.forward);
    let response = cluster.commit(outcome);
    let response = preprocessed.reassemble(response);
    let result = &response.responses[0];
    assert_eq!((response.responses.len(), &*result.resource_name, result.resource_type), (1, name, kind));
    found(result.error_code, result.error_message.as_deref())
}

#[test]
fn configurations_of_topics() {
    let long = &*"9".repeat(32_768).leak();
    let too_long = "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.";
    let cases: Vec<(&str, &str, i8, Option<&str>, Expected)> = vec![
        ("ok1", "retention.ms", SET, Some("1000"), None),
        ("ok1", "retention.ms", SET, Some("1000"), None),
        ("ok1", "retention.ms", DELETE, None, None),
        ("ok1", "retention.ms", SET, None, Some((InvalidRequest, "Null value not supported for : retention.ms"))),
        (
            "ok1",
            "retention.ms",
            APPEND,
            Some("1"),
            Some((InvalidConfig, "Can't APPEND to key retention.ms because its type is not LIST.")),
        ),
        ("ok1", "cleanup.policy", APPEND, Some("compact"), None),
        ("ok1", "cleanup.policy", SUBTRACT, Some("delete"), None),
        ("ok1", "nosuch", SET, Some("1"), Some((InvalidConfig, "Unknown topic config name: nosuch"))),
        ("ok1", "nosuch", DELETE, None, None),
        ("nope", "retention.ms", SET, Some("1"), Some((UnknownTopicOrPartition, "The topic 'nope' does not exist."))),
        ("", "retention.ms", SET, Some("1"), Some((InvalidRequest, "Default topic resources are not allowed."))),
        (
            "b b",
            "retention.ms",
            SET,
            Some("1"),
            Some((
                InvalidTopicException,
                "Topic name is invalid: 'b b' contains one or more characters other than ASCII alphanumerics, '.', '_' \
                 and '-'",
            )),
        ),
        (
            "ok1",
            "retention.ms",
            SET,
            Some("x"),
            Some((InvalidConfig, "Invalid value x for configuration retention.ms: Not a number of type LONG")),
        ),
        ("ok1", "min.insync.replicas", SET, Some("2"), None),
        ("ok1", "retention.ms", SET, Some(long), Some((InvalidConfig, too_long))),
        ("ok1", "retention.ms", 9, Some("1"), Some((ottla_protocol::ErrorCode::UnknownServerError, ""))),
    ];
    let mut cluster = running();
    for (name, key, operation, value, expected) in cases {
        let result = alter(&mut cluster, TOPIC, name, &[(key, operation, value)]);
        same(result, expected, &format!("{name} {key} {operation}"));
    }
    let twice = [("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))];
    let result = alter(&mut cluster, TOPIC, "ok1", &twice);
    same(result, Some((InvalidRequest, "Error due to duplicate config keys")), "a key twice");
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let mut cluster = running();
    alter(&mut cluster, TOPIC, "ok1", &[("retention.ms", SET, Some("1000"))]);
    let before = cluster.log.len();
    assert_eq!(alter(&mut cluster, TOPIC, "ok1", &[("retention.ms", SET, Some("1000"))]), None);
    assert_eq!(alter(&mut cluster, TOPIC, "ok1", &[("segment.ms", DELETE, None)]), None);
    assert_eq!(cluster.log.len(), before);
}

#[test]
fn configurations_of_brokers() {
    let cases: Vec<(&str, &str, i8, Option<&str>, Expected)> = vec![
        ("1", "log.cleaner.threads", SET, Some("2"), None),
        ("", "log.cleaner.threads", SET, Some("2"), None),
        (
            "2",
            "log.cleaner.threads",
            SET,
            Some("2"),
            Some((InvalidRequest, "Unexpected broker id, expected 1, but received 2")),
        ),
        (
            "x",
            "log.cleaner.threads",
            SET,
            Some("2"),
            Some((InvalidRequest, "Node id must be an integer, but it is: x")),
        ),
        (
            "1",
            "min.insync.replicas",
            SET,
            Some("2"),
            Some((InvalidConfig, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.")),
        ),
        ("", "min.insync.replicas", SET, Some("2"), None),
        (
            "",
            "min.insync.replicas",
            DELETE,
            None,
            Some((InvalidConfig, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")),
        ),
    ];
    let mut cluster = running();
    for (name, key, operation, value, expected) in cases {
        let result = alter(&mut cluster, BROKER, name, &[(key, operation, value)]);
        same(result, expected, &format!("'{name}' {key} {operation}"));
    }
}

#[test]
fn configurations_that_a_broker_cannot_change_at_run_time() {
    let cases: Vec<(&str, &str, i8, Option<&str>, Expected)> = vec![
        (
            "1",
            "broker.rack",
            SET,
            Some("r"),
            Some((InvalidRequest, "Cannot update these configs dynamically: [broker.rack]")),
        ),
        ("1", "nosuch", SET, Some("r"), None),
        (
            "1",
            "log.cleaner.threads",
            SET,
            Some("x"),
            Some((InvalidRequest, "Invalid value x for configuration log.cleaner.threads: Not a number of type INT")),
        ),
        ("1", "log.retention.ms", SET, Some("5"), None),
        (
            "",
            "advertised.listeners",
            SET,
            Some("PLAINTEXT://h:1"),
            Some((InvalidRequest, "Cannot update these configs dynamically: [advertised.listeners]")),
        ),
        ("1", "cordoned.log.dirs", SET, Some("/data"), None),
        (
            "1",
            "cordoned.log.dirs",
            SET,
            Some("/data,/x"),
            Some((
                InvalidRequest,
                "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : /x",
            )),
        ),
        (
            "1",
            "log.cleaner.threads",
            APPEND,
            Some("2"),
            Some((InvalidConfig, "Config value append is not allowed for config key: log.cleaner.threads")),
        ),
        ("1", "log.cleaner.threads", DELETE, None, None),
        ("", "log.cleaner.threads", DELETE, None, None),
    ];
    let mut cluster = running();
    for (name, key, operation, value, expected) in cases {
        let result = alter(&mut cluster, BROKER, name, &[(key, operation, value)]);
        same(result, expected, &format!("'{name}' {key} {operation}"));
    }
}

#[test]
fn configurations_of_groups_and_metrics() {
    let cases: Vec<Alteration> = vec![
        (GROUP, "g1", "consumer.session.timeout.ms", SET, Some("50000"), None),
        (GROUP, "g1", "nosuch", SET, Some("1"), Some((InvalidConfig, "Unknown group config name: nosuch"))),
        (
            GROUP,
            "",
            "consumer.session.timeout.ms",
            SET,
            Some("50000"),
            Some((InvalidRequest, "Default group resources are not allowed.")),
        ),
        (
            GROUP,
            "g1",
            "consumer.session.timeout.ms",
            SET,
            Some("1"),
            Some((InvalidConfig, "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.")),
        ),
        (GROUP, "g1", "consumer.session.timeout.ms", DELETE, None, None),
        (
            GROUP,
            "g1",
            "consumer.heartbeat.interval.ms",
            SET,
            Some("49999"),
            Some((InvalidConfig, "consumer.heartbeat.interval.ms must be in the range 5000 to 15000 inclusive.")),
        ),
        (METRICS, "m1", "interval.ms", SET, Some("1000"), None),
        (
            METRICS,
            "m1",
            "nosuch",
            SET,
            Some("1"),
            Some((InvalidRequest, "Unknown client metrics configuration: nosuch")),
        ),
        (METRICS, "", "interval.ms", SET, Some("1000"), Some((InvalidRequest, "Subscription name can't be empty"))),
        (
            METRICS,
            "m1",
            "interval.ms",
            SET,
            Some("1"),
            Some((
                InvalidRequest,
                "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
            )),
        ),
        (METRICS, "m1", "match", SET, Some("x=y"), Some((InvalidConfig, "Illegal client matching pattern: x=y"))),
        (METRICS, "m1", "metrics", SET, Some("a,b"), None),
        (
            METRICS,
            "m1",
            "metrics",
            APPEND,
            Some("c"),
            Some((InvalidConfig, "Can't APPEND to key metrics because its type is not LIST.")),
        ),
        (METRICS, "m1", "interval.ms", DELETE, None, None),
        (0, "m1", "metrics", SET, Some("a,b"), Some((InvalidRequest, "Unknown resource type 0"))),
    ];
    let mut cluster = running();
    for (kind, name, key, operation, value, expected) in cases {
        let result = alter(&mut cluster, kind, name, &[(key, operation, value)]);
        same(result, expected, &format!("{kind} '{name}' {key} {operation}"));
    }
}
