//! rdkafka's tests: librdkafka through Rust, those in its crate.

use crate::outcomes::{Known, on_both};
use crate::test_programs::run_all;
use libtest_mimic::Failed;
use ottla_tests::Target;

/// As the crate's own container has it.
const SETTINGS: [(&str, &str); 2] = [("num.partitions", "3"), ("node.id", "0")];

/// Parts of names of tests that are not run, and why.
const LEFT_OUT: [(&str, &str); 3] = [
    ("test_future_producer_send", "takes the server to be at port 9092"),
    ("test_metadata", "the same"),
    // Apache Kafka may not know the topic by then, though it has said that it made it: passes by chance there.
    ("test_produce_consume_message_queue_nonempty_callback", "wants no error from a topic that was just made"),
];

/// No test of those that are run fails.
const KNOWN: Known<'_> = Known { failing: &[], passed_min: 30 };

pub(crate) fn rdkafkas_own_tests_end_alike_on_both_servers() -> Result<(), Failed> {
    let run = |target: &Target| {
        run_all("rdkafka", target, |program| {
            program.args(LEFT_OUT.iter().flat_map(|(name, _)| ["--skip", name]));
            program.env("KAFKA_HOST", target.bootstrap()).env_remove("KAFKA_VERSION").env_remove("RUST_LOG");
        })
    };
    KNOWN.check_again(|| on_both(&SETTINGS, run))
}
