//! rskafka's tests, those in its crate.

use crate::outcomes::{Known, on_both};
use crate::test_programs::run_all;
use libtest_mimic::Failed;

/// As the crate's own container has it.
const SETTINGS: [(&str, &str); 1] = [("auto.create.topics.enable", "false")];

/// Tests that fail on both servers, and why.
const KNOWN: Known<'_> = Known { failing: &[], passed_min: 35 };

/// Parts of names of tests that are not run: Java runs inside the test, with a client that is fetched meanwhile; and a server
/// that authenticates is not there.
const LEFT_OUT: [&str; 2] = ["java", "sasl"];

pub(crate) fn rskafkas_own_tests_end_alike_on_both_servers() -> Result<(), Failed> {
    KNOWN.check(&on_both(&SETTINGS, |target| {
        run_all("rskafka", target, |program| {
            program.args(LEFT_OUT.iter().flat_map(|name| ["--skip", name]));
            program.env("TEST_INTEGRATION", "1").env("TEST_BROKER_IMPL", "kafka").env_remove("TEST_JAVA_INTEROPT");
            program.env("KAFKA_CONNECT", target.bootstrap()).env_remove("SOCKS5_PROXY");
        })
    }))
}
