//! Random requests, sensible and senseless, in every version of every API of a single node, to Ottla and to Apache Kafka:
//! both answer the same. `OTTLA_RANDOM_SEED` and `OTTLA_RANDOM_REQUESTS` ask for others and for more.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "random_answers/values.rs"]
mod values;

use ottla_protocol::ApiKey;
use ottla_tests::answers::{Pair, api};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{env, thread};
use values::Values;

/// Requests of the test.
const REQUESTS: usize = 5_000;
/// So many differences are told; what follows from the first would hide them.
const DIFFERENCES_MAX: usize = 40;

/// The APIs that are asked, how often against each other, and whether what one changes must have reached all of a server before
/// the next request.
const APIS: &[(&str, usize, bool)] = &[
    ("Produce", 6, false),
    ("Fetch", 6, false),
    ("ListOffsets", 5, false),
    ("Metadata", 4, true),
    ("OffsetCommit", 5, false),
    ("OffsetFetch", 5, false),
    ("FindCoordinator", 3, false),
    ("Heartbeat", 2, false),
    ("LeaveGroup", 3, false),
    ("SyncGroup", 2, false),
    ("DescribeGroups", 3, false),
    ("ListGroups", 3, false),
    ("SaslHandshake", 1, false),
    ("CreateTopics", 6, true),
    ("DeleteTopics", 2, true),
    ("DeleteRecords", 4, false),
    ("InitProducerId", 4, false),
    ("OffsetForLeaderEpoch", 4, false),
    ("AddPartitionsToTxn", 4, false),
    ("AddOffsetsToTxn", 3, false),
    ("EndTxn", 3, false),
    ("TxnOffsetCommit", 4, false),
    ("DescribeAcls", 1, false),
    ("CreateAcls", 1, false),
    ("DeleteAcls", 1, false),
    ("DescribeConfigs", 5, false),
    ("AlterConfigs", 4, true),
    ("AlterReplicaLogDirs", 2, false),
    ("SaslAuthenticate", 1, false),
    ("CreatePartitions", 4, true),
    ("CreateDelegationToken", 1, false),
    ("DeleteGroups", 2, false),
    ("ElectLeaders", 3, true),
    ("IncrementalAlterConfigs", 5, true),
    ("AlterPartitionReassignments", 3, true),
    ("ListPartitionReassignments", 2, false),
    ("OffsetDelete", 3, false),
    ("DescribeClientQuotas", 3, false),
    ("AlterClientQuotas", 4, true),
    ("DescribeUserScramCredentials", 2, false),
    ("AlterUserScramCredentials", 3, true),
    ("DescribeProducers", 3, false),
    ("DescribeTransactions", 3, false),
    ("ListTransactions", 3, false),
    ("ListConfigResources", 2, false),
    ("DescribeTopicPartitions", 3, false),
];

/// What both servers have before the first random request.
fn prepare(pair: &mut Pair) {
    let topics = json!([
        { "name": "log", "numPartitions": 2, "replicationFactor": 1 },
        { "name": "compacted", "numPartitions": 1, "replicationFactor": 1,
          "configs": [{ "name": "cleanup.policy", "value": "compact" }] },
        { "name": "stamped", "numPartitions": 1, "replicationFactor": 1,
          "configs": [{ "name": "message.timestamp.type", "value": "LogAppendTime" }] },
    ]);
    let coordinators = |kind: i8, keys: &[&str]| json!({ "api": "FindCoordinator", "version": 4, "patiently": true, "ask": { "keyType": kind, "coordinatorKeys": keys } });
    let cases = [
        json!({ "api": "CreateTopics", "version": 7, "ask": { "topics": topics, "timeoutMs": 10_000 } }),
        coordinators(0, &values::GROUPS),
        coordinators(1, &values::TRANSACTIONS),
        json!({ "api": "InitProducerId", "version": 5, "patiently": true,
                "ask": { "transactionalId": "t", "transactionTimeoutMs": 600_000, "producerId": -1, "producerEpoch": -1 } }),
        json!({ "api": "OffsetFetch", "version": 7, "patiently": true, "ask": { "groupId": "g", "topics": [] } }),
        json!({ "api": "Metadata", "version": 12, "patiently": true, "ask": { "topics": null } }),
    ];
    for case in cases {
        let (ours, theirs, found) = pair.ask(&case).unwrap();
        assert!(found.is_empty(), "{case}\n{ours}\n{theirs}");
        thread::sleep(Duration::from_millis(300));
    }
}

/// The error codes of an answer, in order and each once: how the request came out.
fn outcome(answer: &Value, codes: &mut BTreeSet<i64>) {
    match answer {
        Value::Array(list) => list.iter().for_each(|value| outcome(value, codes)),
        Value::Object(members) => {
            for (name, value) in members {
                if name == "errorCode" {
                    codes.extend(value.as_i64());
                }
                outcome(value, codes);
            }
        }
        _ => {}
    }
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// One of the APIs, by their weights.
fn choose(values: &mut Values) -> (&'static str, bool) {
    let total: usize = APIS.iter().map(|(_, weight, _)| weight).sum();
    let mut at = values.below(total);
    for (name, weight, changes) in APIS {
        if at < *weight {
            return (name, *changes);
        }
        at -= weight;
    }
    unreachable!("the weights add up")
}

/// Asks both. Where they differ in what can be asked again, they are asked again: what Apache Kafka has decided it knows
/// everywhere only a moment later.
fn ask_both(pair: &mut Pair, case: &Value) -> (Value, Value, Vec<String>) {
    const AGAIN: [&str; 10] = [
        "Fetch",
        "ListOffsets",
        "Metadata",
        "OffsetCommit",
        "OffsetFetch",
        "TxnOffsetCommit",
        "DeleteRecords",
        "OffsetDelete",
        "OffsetForLeaderEpoch",
        "FindCoordinator",
    ];
    let name = case["api"].as_str().unwrap();
    let can_be_asked_again = name.starts_with("Describe") || name.starts_with("List") || AGAIN.contains(&name);
    let mut patience = if can_be_asked_again { 3 } else { 0 };
    loop {
        match pair.ask(case) {
            Ok((_, _, found)) if !found.is_empty() && patience > 0 => {
                patience -= 1;
                thread::sleep(Duration::from_millis(200));
            }
            Ok(answers) => return answers,
            Err(error) => return (Value::Null, Value::Null, vec![error.to_string()]),
        }
    }
}

/// Waits until what was decided is known to the brokers.
fn settle(pair: &mut Pair) {
    const TRIES: u32 = 40;
    let case = json!({ "api": "Metadata", "version": 12, "ask": { "topics": null, "allowAutoTopicCreation": false } });
    for _ in 0..TRIES {
        thread::sleep(Duration::from_millis(15));
        if pair.ask(&case).is_ok_and(|(_, _, found)| found.is_empty()) {
            return;
        }
    }
}

#[test]
fn random_requests_are_answered_the_same() {
    let (requests, seed) = (number("OTTLA_RANDOM_REQUESTS", REQUESTS), number("OTTLA_RANDOM_SEED", 1));
    let mut pair = Pair::start().unwrap();
    prepare(&mut pair);
    let mut values = Values::new(seed as u64);
    let mut outcomes: BTreeMap<(ApiKey, i16), BTreeSet<String>> = BTreeMap::new();
    let mut codes_met = BTreeSet::new();
    let mut failures: Vec<String> = Vec::new();
    for step in 0..requests {
        let (name, changes) = choose(&mut values);
        let key = api(name).unwrap();
        let (range, max) = (key.versions(), key.advertised_versions().max);
        let version = range.min + values.below((max - range.min + 1) as usize) as i16;
        values.learn(&pair.shared_names());
        let ask = values.request(name, version);
        let case = json!({ "api": name, "version": version, "ask": ask });
        let (ours, theirs, found) = ask_both(&mut pair, &case);
        if env::var_os("OTTLA_RANDOM_TRACE").is_some() {
            println!("step {step}: {name} v{version} {ask}\n    Ottla {ours}\n    Apache Kafka {theirs}");
        }
        if !found.is_empty() {
            failures.push(format!("step {step}: {name} v{version}\n    {ask}\n    {}", found.join("\n    ")));
            if failures.len() >= DIFFERENCES_MAX {
                break;
            }
        }
        let mut codes = BTreeSet::new();
        outcome(&ours, &mut codes);
        codes_met.insert((key, version, codes));
        outcomes.entry((key, version)).or_default().insert(theirs.to_string());
        if changes {
            settle(&mut pair);
        }
    }
    let triples: usize = outcomes.values().map(BTreeSet::len).sum();
    println!(
        "{requests} requests, {} versions of APIs, {} combinations of error codes, {triples} different outcomes; \
         {} answered differently",
        outcomes.len(),
        codes_met.len(),
        failures.len()
    );
    assert!(failures.is_empty(), "seed {seed}\n{}\n{}", failures.join("\n"), pair.ottla.log());
}
