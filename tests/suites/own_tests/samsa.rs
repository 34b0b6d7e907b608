//! samsa's tests, those in its crate.

use crate::outcomes::{Known, Outcomes, on_both};
use crate::test_programs::{programs, run};
use libtest_mimic::Failed;
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Target};
use serde_json::{Value, json};
use std::process::Command;

/// Tests that fail on both servers, and why.
const KNOWN: Known<'_> = Known { failing: &FAILING, passed_min: 12 };
const FAILING: [(&str, &str); 2] = [
    ("metadata it_can_get_metadata", "there is one broker and not two"),
    ("multi_partitions_setup multi_partition_writing_and_reading", "the library does not understand the fetched bytes"),
];

/// They take the server to be at port 9092, and there is one at a time there.
const AT_FIXED_PORT: [&str; 2] = ["it_can_return_all_the_broker_topics", "it_sets_params_correctly"];

/// As many partitions as the test with the most makes.
const PARTITIONS: i32 = 10;

/// A million records each.
const LONG: &str = "write_and_read_1m";

/// What a test of this file makes and then uses at once, which an Apache Kafka may not know by then. It does not mind that the
/// topic is there.
fn topic(file: &str) -> String {
    format!("{file}-integration")
}

/// Runs the tests one by one: those of a file share a topic, and each deletes it in the end.
fn outcomes(target: &Target, is_wanted: fn(&str) -> bool) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for (file, program) in programs("samsa").into_iter().filter(|(file, _)| is_wanted(file)) {
        for name in tests_in(&program) {
            if AT_FIXED_PORT.contains(&name.as_str()) {
                continue;
            }
            have_topic(target, &topic(&file));
            outcomes.extend(run("samsa", target, &file, Command::new(&program), |program| {
                program.args(["--exact", &name]).env("KAFKA_BROKERS", target.bootstrap());
            }));
        }
    }
    outcomes
}

/// The names of the tests in a program.
fn tests_in(program: &std::path::Path) -> Vec<String> {
    let listed = Command::new(program).args(["--list", "--format", "terse"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect()
}

/// Makes a topic, and waits until its leader serves all of it.
fn have_topic(target: &Target, name: &str) {
    let mut asker = Asker::new(target.bootstrap());
    let topic = json!({"name": name, "numPartitions": PARTITIONS, "replicationFactor": 1});
    asker.ask(ApiKey::CreateTopics, 7, &json!({"topics": [topic], "timeoutMs": 30_000})).unwrap();
    let partition = |index: i32| json!({"partitionIndex": index, "timestamp": -1});
    let partitions: Vec<Value> = (0..PARTITIONS).map(partition).collect();
    let ask = json!({"replicaId": -1, "isolationLevel": 0, "topics": [{"name": name, "partitions": partitions}]});
    let offsets = asker.ask(ApiKey::ListOffsets, 2, &ask).unwrap();
    let partitions = offsets["topics"][0]["partitions"].as_array().unwrap();
    assert!(partitions.iter().all(|partition| partition["errorCode"] == 0), "{offsets}");
}

pub(crate) fn samsas_own_tests_end_alike_on_both_servers() -> Result<(), Failed> {
    KNOWN.check(&on_both(&[], |target| outcomes(target, |file| !file.starts_with(LONG))))
}

/// With those that write and read a million records.
pub(crate) fn samsa() -> Result<(), Failed> {
    KNOWN.check(&on_both(&[], |target| outcomes(target, |_| true)))
}
