//! Every message in every version, held against Apache Kafka's own code, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end by panic")]

mod support;

use ottla_protocol::schema::MessageKind;
use ottla_protocol::{ApiKey, Codec, ErrorCode, json, registry};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::oracle::{Oracle, Question};
use support::random::{self, Manner, Random};

/// How many messages each side makes for each pair of message and version.
const MESSAGES_PER_PAIR: u64 = 24;

#[test]
fn every_message_in_every_version_has_the_bytes_that_apache_kafka_gives_it() {
    let mut oracle = Oracle::start();
    let mut theirs = versions_of_theirs(&mut oracle);
    let (mut pairs, mut ours_checked, mut theirs_checked) = (0u64, 0u64, 0u64);
    for codec in registry::ALL {
        let schema = codec.schema();
        let range = theirs.remove(schema.name).unwrap_or_else(|| panic!("Apache Kafka has no {}", schema.name));
        assert_eq!((schema.versions.min, schema.versions.max), range, "the versions of {}", schema.name);
        for version in schema.versions.iter() {
            pairs += 1;
            for seed in 0..MESSAGES_PER_PAIR {
                ours_stay_the_same_over_there(&mut oracle, codec, version, seed);
                theirs_stay_the_same_here(&mut oracle, codec, version, seed);
                ours_checked += 1;
                theirs_checked += 1;
            }
        }
    }
    assert!(theirs.is_empty(), "messages that are missing here: {theirs:?}");
    println!(
        "{} messages, {pairs} pairs of message and version, {ours_checked} made here and {theirs_checked} made there: \
         all bytes equal",
        registry::ALL.len()
    );
}

fn list(oracle: &mut Oracle, kind: u8) -> String {
    String::from_utf8(oracle.ask(&Question { kind, message: "", version: 0, payload: &[] }).unwrap()).unwrap()
}

fn versions_of_theirs(oracle: &mut Oracle) -> BTreeMap<String, (i16, i16)> {
    let list = list(oracle, b'L');
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[0].to_owned(), (words[1].parse().unwrap(), words[2].parse().unwrap()))
    };
    list.lines().map(line).collect()
}

fn ours_stay_the_same_over_there(oracle: &mut Oracle, codec: &Codec, version: i16, seed: u64) {
    let schema = codec.schema();
    let manner = match seed {
        0 => Manner::Defaults,
        1..=6 => Manner::Edges,
        _ => Manner::Any,
    };
    let value = random::message(schema, version, manner, &mut Random::new(seed + 1000 * version as u64));
    let context = || format!("{} version {version}, seed {seed}: {:.2000}", schema.name, value.to_string());
    let bytes = json::from_json(schema, &value, version).unwrap_or_else(|error| panic!("{error}: {}", context()));
    let typed = codec.again(&bytes, version).unwrap_or_else(|error| panic!("{error}: {}", context()));
    assert_eq!(typed.unwrap(), bytes, "the typed forms: {}", context());
    let question = Question { kind: b'A', message: schema.name, version, payload: &bytes };
    let theirs = oracle.ask(&question).unwrap_or_else(|error| panic!("{error}: {}", context()));
    assert_eq!(theirs, bytes, "Apache Kafka's form: {}", context());
    json_is_what_kafka_shows(oracle, codec, version, &bytes);
}

fn theirs_stay_the_same_here(oracle: &mut Oracle, codec: &Codec, version: i16, seed: u64) {
    let schema = codec.schema();
    let question = Question { kind: b'R', message: schema.name, version, payload: &seed.to_be_bytes() };
    let context = || format!("{} version {version}, seed {seed}", schema.name);
    let theirs = oracle.ask(&question).unwrap_or_else(|error| panic!("{error}: {}", context()));
    let ours = codec.again(&theirs, version).unwrap_or_else(|error| panic!("{error}: {} {theirs:?}", context()));
    let value = json::to_json(schema, &theirs, version).unwrap();
    assert_eq!(ours.unwrap(), theirs, "{}: {value}", context());
    assert_eq!(json::from_json(schema, &value, version).unwrap(), theirs, "by JSON: {} {value}", context());
    json_is_what_kafka_shows(oracle, codec, version, &theirs);
}

fn json_is_what_kafka_shows(oracle: &mut Oracle, codec: &Codec, version: i16, bytes: &[u8]) {
    let schema = codec.schema();
    // The streams jar comes without JSON converters.
    if schema.name == "SubscriptionInfoData" {
        return;
    }
    let question = Question { kind: b'J', message: schema.name, version, payload: bytes };
    let theirs = oracle.ask(&question).unwrap_or_else(|error| panic!("{} version {version}: {error}", schema.name));
    let theirs: Value = serde_json::from_slice(&theirs).unwrap();
    let ours = json::to_json(schema, bytes, version).unwrap();
    let difference = difference(&ours, &theirs);
    assert_eq!(difference, None, "the JSON of {} version {version}, ours before theirs", schema.name);
}

/// Where two JSON forms differ. Kafka's has no room for unknown tagged fields, so they are passed over.
fn difference(ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).filter(|n| *n != "_taggedFields").collect();
            names.into_iter().find_map(|name| {
                let (ours, theirs) = (ours.get(name), theirs.get(name));
                match (ours, theirs) {
                    // Kafka's converter shows an empty text for the record sets of responses.
                    _ if name == "records" || name == "unalignedRecords" => None,
                    (Some(ours), Some(theirs)) => difference(ours, theirs).map(|d| format!("{name}.{d}")),
                    _ => Some(format!("{name}: {ours:?}, {theirs:?}")),
                }
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            ours.iter().zip(theirs).find_map(|(ours, theirs)| difference(ours, theirs))
        }
        (Value::Number(_), Value::Number(_)) if ours != theirs => {
            // serde_json reads a decimal fraction only to the last bit but one.
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            let near = ours.fract() != 0.0 || ours.abs() > 1e20;
            (!near || ((ours - theirs) / ours).abs() > 1e-12).then(|| format!("{ours}, {theirs}"))
        }
        _ => (ours != theirs).then(|| format!("{ours:.200?}, {theirs:.200?}")),
    }
}

#[test]
fn every_api_has_a_request_and_a_response_of_the_same_versions() {
    let of = |kind: MessageKind| -> BTreeMap<i16, (i16, i16)> {
        let schemas = registry::ALL.iter().map(Codec::schema).filter(|schema| schema.kind == kind);
        schemas.map(|schema| (schema.api.unwrap(), (schema.versions.min, schema.versions.max))).collect()
    };
    let requests = of(MessageKind::Request);
    assert_eq!(requests, of(MessageKind::Response));
    let names: BTreeSet<&str> = registry::ALL.iter().map(|codec| codec.schema().name).collect();
    assert_eq!(names.len(), registry::ALL.len(), "two messages of the same name");
}

#[test]
fn every_api_has_the_key_the_versions_the_listeners_and_the_headers_that_apache_kafka_gives_it() {
    let ours = ApiKey::ALL.iter().map(|key| {
        let (all, stable) = (key.all_versions(), key.versions());
        let headers: String = all
            .iter()
            .map(|version| format!(" {}/{}", key.request_header_version(version), key.response_header_version(version)))
            .collect();
        let listeners = format!("{} {}", key.on_broker(), key.on_controller());
        format!("{} {} {} {} {} {listeners}{headers}\n", key.code(), key.name(), all.min, stable.max, all.max)
    });
    let theirs = list(&mut Oracle::start(), b'K');
    assert_eq!(ours.collect::<String>().lines().collect::<Vec<_>>(), theirs.lines().collect::<Vec<_>>());
}

#[test]
fn every_error_has_the_code_the_name_and_the_kind_that_apache_kafka_gives_it() {
    let ours = ErrorCode::ALL.iter().map(|error| {
        let kind = format!("{} {}", error.is_retriable(), error.needs_metadata_refresh());
        format!("{} {} {kind}\n", error.code(), error.name())
    });
    let theirs = list(&mut Oracle::start(), b'E');
    assert_eq!(ours.collect::<String>().lines().collect::<Vec<_>>(), theirs.lines().collect::<Vec<_>>());
}
