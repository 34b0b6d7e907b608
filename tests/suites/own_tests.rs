//! The tests that client libraries have of their own, run by their own test programs on Ottla and on Apache Kafka: the
//! allowed difference is none. Those that take long are tests only where [`MORE`] names their library; `docs/compat.md`
//! tells what came of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "own_tests/kafka_python.rs"]
mod kafka_python;
#[path = "own_tests/librdkafka.rs"]
mod librdkafka;
#[path = "own_tests/librdkafka_tests.rs"]
mod librdkafka_tests;
#[path = "own_tests/node_rdkafka.rs"]
mod node_rdkafka;
#[path = "own_tests/outcomes.rs"]
mod outcomes;
#[path = "own_tests/rdkafka.rs"]
mod rdkafka;
#[path = "own_tests/rskafka.rs"]
mod rskafka;
#[path = "own_tests/samsa.rs"]
mod samsa;
#[path = "own_tests/test_programs.rs"]
mod test_programs;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;

/// Which libraries' tests to run beside the usual ones: their names with commas between, or `all`.
const MORE: &str = "OTTLA_OWN_TESTS";

/// The name of a library, and what its tests are run by.
type Library = (&'static str, fn() -> Result<(), Failed>);

/// Their tests are installed with the clients and take seconds.
const USUAL: [Library; 6] = [
    (
        "kafka_pythons_own_tests_end_alike_on_both_servers",
        kafka_python::kafka_pythons_own_tests_end_alike_on_both_servers,
    ),
    (
        "node_rdkafkas_own_tests_end_alike_on_both_servers",
        node_rdkafka::node_rdkafkas_own_tests_end_alike_on_both_servers,
    ),
    ("rdkafkas_own_tests_end_alike_on_both_servers", rdkafka::rdkafkas_own_tests_end_alike_on_both_servers),
    ("rskafkas_own_tests_end_alike_on_both_servers", rskafka::rskafkas_own_tests_end_alike_on_both_servers),
    ("samsas_own_tests_end_alike_on_both_servers", samsa::samsas_own_tests_end_alike_on_both_servers),
    ("librdkafkas_own_tests_end_alike_on_both_servers", librdkafka::librdkafkas_own_tests_end_alike_on_both_servers),
];

/// Their tests take minutes.
const LONG: [Library; 3] =
    [("node-rdkafka", node_rdkafka::node_rdkafka), ("librdkafka", librdkafka::librdkafka), ("samsa", samsa::samsa)];

fn main() -> ExitCode {
    let trials = USUAL.into_iter().chain(more()).map(|(name, run)| Trial::test(name, run)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn more() -> Vec<Library> {
    let Ok(asked) = std::env::var(MORE) else { return Vec::new() };
    if asked == "all" {
        return LONG.to_vec();
    }
    let library = |name: &str| LONG.into_iter().find(|(known, _)| *known == name);
    asked.split(',').map(|name| library(name).expect("OTTLA_OWN_TESTS names libraries, or all")).collect()
}
