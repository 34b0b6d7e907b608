//! How tests ended on both servers, and what is expected of that.

use libtest_mimic::Failed;
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Target, workspace};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;

/// The names of tests and how they ended: `passed`, `failed`, or another word of their program's.
pub(crate) type Outcomes = BTreeMap<String, String>;

/// Runs tests on both servers at the same time: they mostly wait. Gives what became of them on Ottla and on Apache Kafka.
pub(crate) fn on_both(settings: &[(&str, &str)], run: impl Fn(&Target) -> Outcomes + Sync) -> (Outcomes, Outcomes) {
    let run = |target: &Target| {
        have_groups(target);
        run(target)
    };
    thread::scope(|scope| {
        let theirs = scope.spawn(|| run(&Target::apache_kafka_with(settings).unwrap()));
        (run(&Target::ottla_with(settings).unwrap()), theirs.join().unwrap())
    })
}

/// Tests are written for servers that have been in use: a new Apache Kafka has no coordinator for the first group that asks,
/// as their topic is made only then. Asks until there is one.
fn have_groups(target: &Target) {
    let ask = json!({"keyType": 0, "coordinatorKeys": ["before all tests"]});
    let found = Asker::new(target.bootstrap()).ask(ApiKey::FindCoordinator, 4, &ask).unwrap();
    assert_eq!(found["coordinators"][0]["errorCode"], 0, "{found}");
}

/// Runs a library's test program to its end, which may be that tests failed, and gives what it wrote to its standard output.
/// All that it said is kept beside the build, for whoever looks for a difference.
pub(crate) fn test_program(library: &str, target: &Target, command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let folder = workspace().join("target/own-tests");
    fs::create_dir_all(&folder).unwrap();
    let log = folder.join(format!("{library}-on-{}.log", server(target)));
    fs::write(log, format!("{command:?}\n{said}\n{warned}")).unwrap();
    said.into_owned()
}

fn server(target: &Target) -> &'static str {
    match target {
        Target::Ottla(_) => "ottla",
        Target::ApacheKafka(_) => "apache-kafka",
    }
}

/// What a library's tests are known for.
pub(crate) struct Known<'a> {
    /// Those that fail on both servers, and why.
    pub(crate) failing: &'a [(&'a str, &'a str)],
    /// At least so many pass.
    pub(crate) passed_min: usize,
}

impl Known<'_> {
    /// As [`Self::check`], for libraries whose tests have times of their own, a few seconds, that a busy machine may miss on
    /// either server: what is not as it is known is run once more on new servers, and has to be then.
    pub(crate) fn check_again(&self, run: impl Fn() -> (Outcomes, Outcomes)) -> Result<(), Failed> {
        self.check(&run()).or_else(|first| {
            println!("at first: {}", first.message().unwrap_or_default());
            self.check(&run())
        })
    }

    /// Checks that the tests ended alike on both servers, and as they are known to.
    pub(crate) fn check(&self, (ours, theirs): &(Outcomes, Outcomes)) -> Result<(), Failed> {
        let names: BTreeMap<&String, ()> = ours.keys().chain(theirs.keys()).map(|name| (name, ())).collect();
        let differing: Vec<String> = names
            .into_keys()
            .filter(|name| ours.get(*name) != theirs.get(*name))
            .map(|name| format!("{name}: {:?} on Ottla, {:?} on Apache Kafka", ours.get(name), theirs.get(name)))
            .collect();
        if !differing.is_empty() {
            return Err(differing.join("\n").into());
        }
        let failed: Vec<&str> = with(theirs, "failed");
        let known: Vec<&str> = self.failing.iter().map(|(name, _)| *name).collect();
        if failed != known {
            return Err(format!("on both servers fail {failed:#?} instead of {known:#?}").into());
        }
        let passed = with(theirs, "passed").len();
        println!("of {} tests {passed} passed and {} failed on both servers", theirs.len(), failed.len());
        if passed < self.passed_min {
            return Err(format!("only {passed} tests passed: {theirs:#?}").into());
        }
        Ok(())
    }
}

fn with<'a>(outcomes: &'a Outcomes, wanted: &str) -> Vec<&'a str> {
    outcomes.iter().filter(|(_, outcome)| *outcome == wanted).map(|(name, _)| name.as_str()).collect()
}
