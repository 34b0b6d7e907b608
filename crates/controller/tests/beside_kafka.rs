//! The controller beside Apache Kafka's own classes, on random clusters: the same requests, the same records, the same
//! answers.
//!
//! What is known to differ (docs/internals/controller.md) is not asked. `OTTLA_KAFKA_CLUSTERS` makes it longer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod oracle;
mod pair;

use pair::Pair;

const STEPS: usize = 250;

#[test]
fn random_clusters_get_the_records_and_answers_that_kafka_gives() {
    let clusters = std::env::var("OTTLA_KAFKA_CLUSTERS").map_or(25, |count| count.parse().expect("a number"));
    let mut oracle = Some(oracle::Oracle::start());
    let mut compared = pair::Compared::default();
    for seed in 0..clusters {
        let mut pair = Pair::new(seed, oracle.take().unwrap());
        for step in 0..STEPS {
            pair.at = format!("seed {seed}, step {step}");
            pair.step();
        }
        let (back, counts) = pair.end();
        oracle = Some(back);
        compared.add(&counts);
    }
    // A schedule that never gets anywhere would compare nothing.
    compared.check(clusters);
}
