//! The same requests to three nodes of Ottla and to three of Apache Kafka, answer against answer, at the listeners for clients and
//! for controllers of each: `tests/cluster_requests/*.json` holds them, asked in the order of their names. What a request names is
//! in `ottla_tests::answers`; here `"node": "all"` asks each node, `"listener": "both"` both listeners, `"version": "all"` all
//! versions, and what changes nothing is asked again until both answer alike, for brokers learn a decision a moment later.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::answers::api;
use ottla_tests::tool_calls::Calls;
use ottla_tests::{ClusterPair, workspace};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// So long may a broker take until it knows what the controller has decided.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until a replica that moves is everywhere in sync, on a busy machine.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// A case once for each value of a field that stands for several.
fn each(cases: Vec<Value>, field: &str, stands_for: &str, values: impl Fn(&Value) -> Vec<Value>) -> Vec<Value> {
    let of_case = |case: Value| {
        if case[field] != stands_for {
            return vec![case];
        }
        let with = |value: Value| {
            let mut case = case.clone();
            case[field] = value;
            case
        };
        values(&case).into_iter().map(with).collect()
    };
    cases.into_iter().flat_map(of_case).collect()
}

fn single(case: &Value) -> Vec<Value> {
    let versions = |case: &Value| {
        let range = api(case["api"].as_str().unwrap()).unwrap().versions();
        range.iter().map(Value::from).collect()
    };
    let cases = each(vec![case.clone()], "version", "all", versions);
    let cases = each(cases, "node", "all", |_| vec![json!(1), json!(2), json!(3)]);
    each(cases, "listener", "both", |_| vec![json!("broker"), json!("controller")])
}

/// Whether it changes nothing, or the same when it is asked twice.
fn can_be_asked_again(case: &Value) -> bool {
    const READING: [&str; 5] = ["Metadata", "FindCoordinator", "OffsetFetch", "ListOffsets", "OffsetForLeaderEpoch"];
    let name = case["api"].as_str().unwrap();
    let reads = name.starts_with("Describe") || name.starts_with("List") || READING.contains(&name);
    reads || case["again"] == true || case["until"] == "empty"
}

fn is_over(case: &Value, answer: &Value) -> bool {
    case["until"] != "empty" || answer["topics"] == json!([])
}

fn ask(pair: &mut ClusterPair, case: &Value) -> Vec<String> {
    let patience = if case["until"] == "empty" { LONG_PATIENCE } else { PATIENCE };
    let end = Instant::now() + patience;
    loop {
        let (ours, theirs, mut found) = match pair.ask(case) {
            Ok(answers) => answers,
            Err(error) => return vec![error.to_string()],
        };
        if !(is_over(case, &ours) && is_over(case, &theirs)) {
            found.push(format!("it is not over: Ottla {ours}, Apache Kafka {theirs}"));
        }
        if found.is_empty() || !can_be_asked_again(case) || Instant::now() > end {
            println!("{}\n    Ottla {ours}\n    Apache Kafka {theirs}", title(case));
            return found;
        }
        thread::sleep(PAUSE);
    }
}

fn title(case: &Value) -> String {
    let text = |name: &str| case[name].as_str().unwrap_or("broker").to_owned();
    let node = case["node"].as_u64().unwrap_or(1);
    format!("{} ({} v{} at the {} {node})", text("case"), text("api"), case["version"], text("listener"))
}

/// Asks all of a file and answers with what differed.
fn run(file: &Path, pair: &mut ClusterPair) -> (usize, Vec<String>) {
    let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let file = file.file_stem().unwrap().to_string_lossy();
    let (mut asked, mut failures) = (0, Vec::new());
    let begin = Instant::now();
    for case in cases.iter().flat_map(single) {
        asked += 1;
        let found = ask(pair, &case);
        if !found.is_empty() {
            failures.push(format!("{file} / {}\n    {}", title(&case), found.join("\n    ")));
        }
    }
    println!("{file}: {asked} requests in {:?}", begin.elapsed());
    (asked, failures)
}

fn files() -> Vec<PathBuf> {
    let folder = workspace().join("tests/cluster_requests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Calls of tools, as [`Calls`] reads them.
const CALLS: &[&str] = &[
    "kafka-topics --bootstrap-server SERVER --create --topic SIDE-a --replica-assignment 1:2:3,2:3:1,3:1:2 --config min.insync.replicas=2",
    "kafka-topics --bootstrap-server SERVER --create --topic SIDE-b --replica-assignment 1:2,3:4",
    "kafka-topics --bootstrap-server SERVER --create --topic SIDE-b --replica-assignment 1:2,3:1:2",
    "kafka-topics --bootstrap-server SERVER --create --topic SIDE-b --replica-assignment 1:1",
    "kafka-topics --bootstrap-server SERVER --create --topic SIDE-b --partitions 1 --replication-factor 4",
    "kafka-topics --bootstrap-server SERVER --describe --topic SIDE-a",
    "kafka-topics --bootstrap-server SERVER --describe --topic SIDE-a --under-replicated-partitions",
    "kafka-topics --bootstrap-server SERVER --describe --topic SIDE-a --under-min-isr-partitions",
    "kafka-topics --bootstrap-server SERVER --describe --topic SIDE-a --at-min-isr-partitions",
    "kafka-topics --bootstrap-server SERVER --alter --topic SIDE-a --partitions 4 --replica-assignment 1:2:3,2:3:1,3:1:2,2:1:3",
    "kafka-topics --bootstrap-server SERVER --alter --topic SIDE-a --partitions 5 --replica-assignment 1:2:3",
    "kafka-topics --bootstrap-server SERVER --alter --topic SIDE-a --partitions 2",
    "kafka-get-offsets --bootstrap-server SERVER --topic SIDE-a",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic SIDE-a --partition 1",
    "kafka-leader-election --bootstrap-server SERVER --election-type unclean --topic SIDE-a --partition 1",
    "kafka-leader-election --bootstrap-server SERVER --election-type preferred --topic SIDE-none --partition 0",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"version\":1,\"partitions\":[{\"topic\":\"SIDE-a\",\"partition\":0,\"replicas\":[2,3]},{\"topic\":\"SIDE-a\",\"partition\":3,\"replicas\":[3]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"version\":1,\"partitions\":[{\"topic\":\"SIDE-a\",\"partition\":0,\"replicas\":[9]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"version\":1,\"partitions\":[{\"topic\":\"SIDE-none\",\"partition\":0,\"replicas\":[1]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --execute --reassignment-json-file FILE:{\"version\":1,\"partitions\":[{\"topic\":\"SIDE-a\",\"partition\":0,\"replicas\":[2,2]}]}",
    "kafka-reassign-partitions --bootstrap-server SERVER --list",
    "kafka-reassign-partitions --bootstrap-server SERVER --cancel --preserve-throttles --reassignment-json-file FILE:{\"version\":1,\"partitions\":[{\"topic\":\"SIDE-a\",\"partition\":1,\"replicas\":[2,3,1]}]}",
    "kafka-configs --bootstrap-server SERVER --alter --entity-type brokers --entity-name 2 --add-config log.cleaner.threads=2",
    "kafka-configs --bootstrap-server SERVER --describe --entity-type brokers --entity-name 2",
    "kafka-configs --bootstrap-server SERVER --alter --entity-type brokers --entity-name 2 --delete-config log.cleaner.threads",
    "kafka-configs --bootstrap-server SERVER --describe --entity-type topics --entity-name SIDE-a",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --status",
    "kafka-metadata-quorum --bootstrap-server SERVER describe --replication",
    "kafka-metadata-quorum --bootstrap-server SERVER remove-controller --controller-id 3 --controller-directory-id AAAAAAAAAAAAAAAAAAAABQ",
    "kafka-features --bootstrap-server SERVER describe",
    "kafka-cluster cluster-id --bootstrap-server SERVER",
    "kafka-cluster list-endpoints --bootstrap-server SERVER",
    "kafka-cluster unregister --bootstrap-server SERVER --id 77",
    "kafka-transactions --bootstrap-server SERVER list",
    "kafka-transactions --bootstrap-server SERVER describe-producers --topic SIDE-a --partition 1",
    "kafka-transactions --bootstrap-server SERVER find-hanging --broker-id 2",
    "kafka-consumer-groups --bootstrap-server SERVER --describe --group SIDE-none",
    "kafka-topics --bootstrap-server SERVER --delete --topic SIDE-a",
    "kafka-topics --bootstrap-server SERVER --delete --topic SIDE-a",
];

/// Tools say the same, whose they are and whichever cluster they are called on.
fn compare_tools(pair: &ClusterPair) -> Vec<String> {
    // In which of its two directories a broker lays a replica is its own affair.
    let unplaced = |names: Vec<(String, String)>| {
        let unplaced = |name: String| if name.starts_with("<directory") { "<a directory>".to_owned() } else { name };
        names.into_iter().map(|(value, name)| (value, unplaced(name))).collect()
    };
    let ([ours, theirs], [our_names, their_names]) = (pair.bootstraps(), pair.names().map(unplaced));
    let on_ours = Calls::new(CALLS, &ours).naming(our_names);
    on_ours.compare_with(&Calls::new(CALLS, &theirs).naming(their_names)).unwrap()
}

#[test]
fn clusters_of_ottla_and_of_apache_kafka_answer_the_same() {
    let mut pair = ClusterPair::start().unwrap();
    let (mut asked, mut failures) = (0, Vec::new());
    for file in files() {
        let (count, found) = run(&file, &mut pair);
        asked += count;
        failures.extend(found);
    }
    println!("{asked} requests, {} answered differently", failures.len());
    let begin = Instant::now();
    failures.extend(compare_tools(&pair));
    println!("{} calls of tools in {:?}", CALLS.len(), begin.elapsed());
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), pair.said());
}
