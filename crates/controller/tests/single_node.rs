//! The life of a node alone, record by record as Apache Kafka 4.4.0 writes it.
//!
//! `golden/single_node.jsonl` is what `kafka-dump-log --cluster-metadata-decoder` shows of the metadata log of such a node
//! (without its no-op records), ids and epochs replaced by placeholders in the order of their first appearance: started
//! for the first time; topic `a` created with two partitions and a configuration, `b` with one; a third partition for
//! `a`; configurations set and cleared; `b` deleted; an idempotent producer; stopped; started; killed; started; stopped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, registration, topic, topics};
use ottla_controller::Task;
use ottla_metadata::{MetadataDelta, MetadataImage, VersionedRecord, supported_features};
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, BrokerHeartbeatRequest, ControllerRegistrationRequest, CreatePartitionsRequest,
    DeleteTopicsRequest, IncrementalAlterConfigsRequest, controller_registration_request, create_partitions_request,
    delete_topics_request, incremental_alter_configs_request,
};
use ottla_protocol::{json, schema};
use ottla_types::{NodeId, Offset, Uuid};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn configs(kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> IncrementalAlterConfigsRequest {
    let change =
        |(key, operation, value): &(&str, i8, Option<&str>)| incremental_alter_configs_request::AlterableConfig {
            name: (*key).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
            ..Default::default()
        };
    IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configs: changes.iter().map(change).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn register_controller(cluster: &mut Cluster, incarnation: u128) {
    let features = supported_features().map(|(name, range)| controller_registration_request::Feature {
        name: name.to_owned(),
        min_supported_version: range.min,
        max_supported_version: range.max,
        ..Default::default()
    });
    let request = ControllerRegistrationRequest {
        controller_id: 1,
        incarnation_id: Uuid::from_u128(0x2000 + incarnation),
        listeners: vec![controller_registration_request::Listener {
            name: "CONTROLLER".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 20710,
            ..Default::default()
        }],
        features: features.collect(),
        ..Default::default()
    };
    let outcome = cluster.controller.register_controller(&request);
    cluster.commit(outcome);
}

fn use_the_node(cluster: &mut Cluster, epoch: i64) {
    cluster.create_topics(&topics([topic("a", 2, 1, &[("retention.ms", "1000")])]));
    cluster.create_topics(&topics([topic("b", 1, -1, &[])]));
    let context = cluster.context(3);
    let grow = CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: "a".to_owned(),
            count: 3,
            assignments: None,
            ..Default::default()
        }],
        ..Default::default()
    };
    let outcome = cluster.controller.create_partitions(&context, &grow);
    cluster.commit(outcome);
    for request in [
        configs(2, "a", &[("min.insync.replicas", 0, Some("2")), ("segment.ms", 0, Some("5"))]),
        configs(2, "a", &[("retention.ms", 1, None)]),
        configs(4, "", &[("log.cleaner.threads", 0, Some("2"))]),
    ] {
        let outcome = cluster.controller.incremental_alter_configs(&request);
        let response = cluster.commit(outcome);
        assert_eq!(response.responses[0].error_message, None);
    }
    let context = cluster.context(6);
    let delete = DeleteTopicsRequest {
        topics: vec![delete_topics_request::DeleteTopicState { name: Some("b".to_owned()), ..Default::default() }],
        ..Default::default()
    };
    let outcome = cluster.controller.delete_topics(&context, &delete);
    cluster.commit(outcome);
    let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: epoch, ..Default::default() };
    let outcome = cluster.controller.allocate_producer_ids(&request);
    cluster.commit(outcome);
}

fn stop(cluster: &mut Cluster, epoch: i64) {
    let request = BrokerHeartbeatRequest { want_shut_down: true, ..cluster.alive(1, epoch) };
    assert!(!cluster.heartbeat(&request).should_shut_down);
    let request = BrokerHeartbeatRequest { want_shut_down: true, ..cluster.alive(1, epoch) };
    assert!(cluster.heartbeat(&request).should_shut_down);
}

/// The whole life; returns the log.
fn live() -> Vec<VersionedRecord> {
    let mut cluster = Cluster::formatted("");
    register_controller(&mut cluster, 1);
    let first = cluster.register(&registration(1, 1)).broker_epoch;
    let silent = BrokerHeartbeatRequest { cordoned_log_dirs: None, ..cluster.alive(1, first) };
    assert!(!cluster.heartbeat(&silent).is_fenced);
    cluster.heartbeat(&cluster.alive(1, first));
    use_the_node(&mut cluster, first);
    stop(&mut cluster, first);

    cluster.restart();
    register_controller(&mut cluster, 2);
    let mut request = registration(1, 2);
    request.previous_broker_epoch = first;
    let second = cluster.register(&request).broker_epoch;
    cluster.heartbeat(&BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(1, second) });
    cluster.heartbeat(&cluster.alive(1, second));

    // After the crash Kafka waits until the session of the dead broker has run out.
    cluster.restart();
    register_controller(&mut cluster, 3);
    assert_eq!(cluster.pass(std::time::Duration::from_secs(10)), [Task::Fence(NodeId(1))]);
    let third = cluster.register(&registration(1, 3)).broker_epoch;
    let silent = BrokerHeartbeatRequest { cordoned_log_dirs: None, ..cluster.alive(1, third) };
    assert!(!cluster.heartbeat(&silent).is_fenced);
    cluster.heartbeat(&cluster.alive(1, third));
    stop(&mut cluster, third);
    cluster.log
}

/// `FeatureLevelRecord` as `FEATURE_LEVEL_RECORD`.
fn kafka_type(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// Ids and epochs by the order in which they first appear.
#[derive(Default)]
struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    fn replace(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::Object(fields) => fields.into_iter().map(|(k, v)| (k.clone(), self.replace(&k, v))).collect(),
            Value::Array(mut items) => {
                if matches!(key, "features" | "endPoints") {
                    items.sort_by_key(|item| item["name"].to_string());
                }
                Value::Array(items.into_iter().map(|item| self.replace(key, item)).collect())
            }
            id if matches!(key, "topicId" | "incarnationId" | "directories" | "logDirs" | "brokerEpoch") => {
                let next = self.0.len() + 1;
                let kind = if key == "brokerEpoch" { "epoch" } else { "id" };
                json!(self.0.entry(id.to_string()).or_insert_with(|| format!("{kind}{next}")))
            }
            other => other,
        }
    }
}

fn readable(record: &VersionedRecord, placeholders: &mut Placeholders) -> Value {
    let frame = record.record.encode_frame(record.version).unwrap();
    let schema = schema::by_name(record.record.name()).unwrap();
    // Frame version, type and version each take one byte.
    let data = json::to_json(schema, &frame[3..], record.version).unwrap();
    let data = placeholders.replace("", data);
    json!({"type": kafka_type(record.record.name()), "version": record.version, "data": data})
}

#[test]
fn a_node_alone_writes_the_records_that_kafka_writes() {
    let golden = include_str!("golden/single_node.jsonl");
    let expected: Vec<Value> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut placeholders = Placeholders::default();
    let written: Vec<Value> = live().iter().map(|record| readable(record, &mut placeholders)).collect();
    for (at, (written, expected)) in written.iter().zip(&expected).enumerate() {
        assert_eq!(written, expected, "record {at}");
    }
    assert_eq!(written.len(), expected.len());
}

#[test]
fn the_log_replays_to_the_same_image_as_a_snapshot_of_it() {
    let log = live();
    let mut delta = MetadataDelta::new(MetadataImage::new());
    for record in &log {
        delta.replay(&record.record).unwrap();
    }
    let mut from_snapshot = MetadataImage::new();
    for record in delta.after().to_records() {
        from_snapshot.replay(&record.record).unwrap();
    }
    assert_eq!(&from_snapshot, delta.after());
}

#[test]
fn a_controller_shares_an_image_only_when_it_reaches_as_far() {
    let mut cluster = Cluster::running("");
    let before = cluster.controller.image().clone();
    cluster.create_topic("a", 1, 1);
    cluster.controller.share(&before);
    assert!(cluster.controller.image().topics.topic_id("a").is_some());
    let mut elsewhere = MetadataImage::new();
    for record in &cluster.log {
        elsewhere.replay(&record.record).unwrap();
    }
    elsewhere.provenance = cluster.controller.image().provenance;
    cluster.controller.share(&elsewhere);
    assert_eq!(cluster.controller.image(), &elsewhere);
    cluster.create_topic("b", 1, 1);
    assert_eq!(elsewhere.topics.topic_id("b"), None);
}

#[test]
fn after_a_crash_the_node_s_own_broker_need_not_wait_for_the_session_of_the_dead_one() {
    let mut cluster = Cluster::running("");
    cluster.create_topic("a", 1, 1);
    cluster.restart();
    let epoch = cluster.register(&registration(1, 2)).broker_epoch;
    assert_eq!(Offset(epoch), Offset(i64::try_from(cluster.log.len()).unwrap() - 2));
    assert!(!cluster.heartbeat(&cluster.alive(1, epoch)).is_fenced);
    let topic = cluster.controller.image().topics.topic_by_name("a").unwrap();
    assert!(topic.partitions.values().all(|partition| partition.has_leader()));
}

#[test]
fn another_broker_with_the_same_id_has_to_wait_until_the_session_has_run_out() {
    let mut cluster = Cluster::running("");
    cluster.join(2, 21);
    assert_eq!(cluster.register(&registration(2, 22)).error_code, 101);
    let mut elsewhere = registration(1, 12);
    elsewhere.log_dirs = vec![Uuid::from_u128(0xeeee_0000)];
    assert_eq!(cluster.register(&elsewhere).error_code, 101);
    cluster.now += std::time::Duration::from_secs(10);
    assert_eq!(cluster.register(&registration(2, 22)).error_code, 0);
}
