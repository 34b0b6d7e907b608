//! librdkafka's tests: C and C++ in one program, whose source rdkafka-sys brings. Each number is a process of its own, so that
//! a test that hangs or dies takes no other with it.

use crate::librdkafka_tests::{ADMINISTRATION, LONG, SHORT};
use crate::outcomes::{Known, Outcomes, on_both, test_program};
use libtest_mimic::Failed;
use ottla_tests::{Target, workspace};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// As librdkafka's scenario `default` has it, for one node.
const SETTINGS: [(&str, &str); 1] = [("num.partitions", "4")];

/// How many tests run at a time on a server: they mostly wait.
const AT_A_TIME: usize = 6;

/// The release that the tests are told to find: its number chooses between what is expected of old and new ones.
const RELEASE: &str = "4.1.0";

/// Runs the tests of these numbers, and gives what became of each.
fn outcomes(target: &Target, numbers: &[&str]) -> Outcomes {
    let waiting = Mutex::new(numbers.iter());
    let next = || waiting.lock().unwrap().next();
    thread::scope(|scope| {
        let work = || {
            let mut outcomes = Outcomes::new();
            while let Some(number) = next() {
                outcomes.extend(run(target, number));
            }
            outcomes
        };
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Runs the tests of a number, or a part of them.
fn run(target: &Target, test: &str) -> Outcomes {
    let (number, part) = test.split_once(':').unwrap_or((test, ""));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("test.conf"), format!("bootstrap.servers={}\n", target.bootstrap())).unwrap();
    let report = folder.path().join("report.json");
    let library = workspace().join("target/own-tests/librdkafka");
    let program = library.join("tests/test-runner");
    assert!(program.exists(), "cargo xtask test clients builds librdkafka's tests");
    let mut command = Command::new(program);
    // Quickly, one after the other, none that asks no server, under the version that they are told.
    command.args(["-Q", "-p1", "-L", "-K", "-s", "default", "-V", RELEASE]).env("TESTS", number);
    if !part.is_empty() {
        // A colon comes after the name, so that it is no other's beginning.
        command.env("SUBTESTS", format!("{part}:"));
    }
    let libraries = format!("{}:{}", library.join("src").display(), library.join("src-cpp").display());
    command.env("LD_LIBRARY_PATH", libraries).env("KAFKA_PATH", workspace()).env("BROKERS", target.bootstrap());
    command.env("TEST_REPORT", &report).env("TEST_LEVEL", "2").env_remove("CI").current_dir(&folder);
    test_program(&format!("librdkafka-{number}{part}"), target, &mut command);
    let named = |name: String| if part.is_empty() { name } else { format!("{name} {part}") };
    read(&report, number).into_iter().map(|(name, outcome)| (named(name), outcome)).collect()
}

/// How the tests of a number ended, by the report of the program.
fn read(report: &Path, number: &str) -> Outcomes {
    let written = fs::read_to_string(report).unwrap_or_default();
    let Ok(report) = serde_json::from_str::<Value>(&written) else {
        return Outcomes::from([(number.to_owned(), "died".to_owned())]);
    };
    let tests = report["tests"].as_object().into_iter().flatten().filter(|(name, _)| name.starts_with(number));
    let state = |test: &Value| test["state"].as_str().unwrap_or("unknown").to_lowercase();
    // Those of a number that ask no server are skipped, and so are those of another scenario.
    tests.map(|(name, test)| (name.clone(), state(test))).filter(|(_, state)| state != "skipped").collect()
}

/// No test of those that are run fails.
const KNOWN: Known<'_> = Known { failing: &[], passed_min: 80 };
const KNOWN_LONG: Known<'_> = Known { failing: &[], passed_min: 10 };

pub(crate) fn librdkafkas_own_tests_end_alike_on_both_servers() -> Result<(), Failed> {
    let tests = [&SHORT[..], &ADMINISTRATION].concat();
    KNOWN.check_again(|| on_both(&SETTINGS, |target| outcomes(target, &tests)))
}

/// Those that take long.
pub(crate) fn librdkafka() -> Result<(), Failed> {
    KNOWN_LONG.check_again(|| on_both(&SETTINGS, |target| outcomes(target, &LONG)))
}
