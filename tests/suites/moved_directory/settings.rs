//! Configurations of every kind of resource, quotas and credentials.

use super::calls::ask;
use ottla_protocol::ApiKey;
use ottla_tests::Asker;
use serde_json::{Value, json};

/// The kinds of resources of configurations.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// Sets a key, or removes it.
fn alter(asker: &mut Asker, kind: i8, name: &str, key: &str, value: Option<String>) {
    let operation = i8::from(value.is_none());
    let configs = json!([{ "name": key, "configOperation": operation, "value": value }]);
    let resources = json!([{ "resourceType": kind, "resourceName": name, "configs": configs }]);
    let answer = ask(asker, ApiKey::IncrementalAlterConfigs, 1, &json!({ "resources": resources }));
    assert_eq!(answer["responses"][0]["errorCode"], 0, "{answer}");
}

/// Of each kind some keys are set anew, and one that was set in the round before is removed.
fn write_configurations(asker: &mut Asker, round: i32) {
    let changing: [(i8, &str, &str, i32); 9] = [
        (TOPIC, "plain", "max.message.bytes", 1_000_000),
        (TOPIC, "compacted", "delete.retention.ms", 80_000_000),
        (TOPIC, "stamped", "file.delete.delay.ms", 60_000),
        (BROKER, "", "message.max.bytes", 2_000_000),
        (BROKER, "", "log.segment.delete.delay.ms", 50_000),
        (BROKER, "1", "log.cleaner.backoff.ms", 100),
        (BROKER, "1", "max.connections", 10_000),
        (CLIENT_METRICS, "subscription", "interval.ms", 5000),
        (GROUP, "k", "consumer.heartbeat.interval.ms", 5000),
    ];
    for (kind, name, key, base) in changing {
        alter(asker, kind, name, key, Some((base + round).to_string()));
    }
    let list = if round % 2 == 0 { "compact,delete" } else { "delete" };
    alter(asker, TOPIC, "stamped", "cleanup.policy", Some(list.to_owned()));
    let coming_and_going: [(i8, &str, &str, &str); 4] = [
        (TOPIC, "plain", "min.insync.replicas", "1"),
        (BROKER, "", "log.retention.ms", "900000000"),
        (BROKER, "1", "log.cleaner.delete.retention.ms", "70000000"),
        (CLIENT_METRICS, "subscription", "match", "client_id=.*"),
    ];
    for (kind, name, key, value) in coming_and_going {
        alter(asker, kind, name, key, (round % 2 == 0).then(|| value.to_owned()));
    }
    let of_round = format!("subscription of {round}");
    alter(asker, CLIENT_METRICS, &of_round, "metrics", Some("org.apache.kafka".to_owned()));
}

fn write_quotas(asker: &mut Asker, round: i32) {
    let user = |name: Value| json!({ "entityType": "user", "entityName": name });
    let client = |name: Value| json!({ "entityType": "client-id", "entityName": name });
    let ip = |name: Value| json!({ "entityType": "ip", "entityName": name });
    let entities = [
        (json!([user(json!("alice"))]), "producer_byte_rate"),
        (json!([user(Value::Null)]), "consumer_byte_rate"),
        (json!([client(Value::Null)]), "request_percentage"),
        (json!([user(json!("alice")), client(json!("c"))]), "controller_mutation_rate"),
        (json!([user(json!("böse, \"a\"=b")), client(Value::Null)]), "producer_byte_rate"),
        (json!([ip(json!("127.0.0.9"))]), "connection_creation_rate"),
        (json!([ip(Value::Null)]), "connection_creation_rate"),
    ];
    let set = entities.iter().map(
        |(entity, key)| json!({ "entity": entity, "ops": [{ "key": key, "value": 100_000 + round, "remove": false }] }),
    );
    let of_round = |round: i32| json!([user(json!(format!("of {round}")))]);
    let mut entries: Vec<Value> = set.collect();
    entries.push(
        json!({ "entity": of_round(round), "ops": [{ "key": "request_percentage", "value": 1.5, "remove": false }] }),
    );
    let gone = json!({ "entity": of_round(round - 1), "ops": [{ "key": "request_percentage", "value": 0.0, "remove": true }] });
    entries.push(gone);
    let answer = ask(asker, ApiKey::AlterClientQuotas, 1, &json!({ "entries": entries }));
    assert!(answer["entries"].as_array().unwrap().iter().all(|entry| entry["errorCode"] == 0), "{answer}");
}

/// A user that no other comes before in the tables of Apache Kafka 4.4.0. Where a removal comes first there, it forgets the
/// others of the mechanism, when it reads its log from the begin.
const FIRST_USER: &str = "always";

fn write_credentials(asker: &mut Asker, round: i32) {
    let upsertion = |name: String, mechanism: i8| {
        json!({ "name": name, "mechanism": mechanism, "iterations": 4096 + round,
        "salt": "c2FsdA==", "saltedPassword": "cGFzc3dvcmQ=" })
    };
    let names =
        [(FIRST_USER.to_owned(), 2), ("alice".to_owned(), 1), ("böse".to_owned(), 2), (format!("of {round}"), 2)];
    let upsertions: Value = names.into_iter().map(|(name, mechanism)| upsertion(name, mechanism)).collect();
    let mut deletions = json!([]);
    if round > 0 {
        deletions = json!([{ "name": format!("of {}", round - 1), "mechanism": 2 }]);
    }
    let body = json!({ "upsertions": upsertions, "deletions": deletions });
    let answer = ask(asker, ApiKey::AlterUserScramCredentials, 0, &body);
    assert!(answer["results"].as_array().unwrap().iter().all(|result| result["errorCode"] == 0), "{answer}");
}

pub(crate) fn write(asker: &mut Asker, round: i32, has_credentials: bool) {
    write_configurations(asker, round);
    write_quotas(asker, round);
    if has_credentials {
        write_credentials(asker, round);
    }
}
