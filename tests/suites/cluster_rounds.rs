//! Rounds of faults on a cluster whose nodes are processes with network namespaces of their own, while clients of three makes write:
//! every acknowledged record is there once and in order, transactions are whole, and commits are never lost.
//!
//! The long form: `OTTLA_CLUSTER_ROUNDS=150 OTTLA_CLUSTER_SEED=1 cargo test -p ottla-tests --test cluster_rounds -- --nocapture`, with
//! `OTTLA_CLUSTER_NODES=5` for the larger cluster. The seed rules what is done to whom and for how long; what threads do in which
//! order it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "cluster_rounds/copier.rs"]
mod copier;
#[path = "cluster_rounds/fault.rs"]
mod fault;
#[path = "cluster_rounds/stage.rs"]
mod stage;

use copier::Copiers;
use fault::Fault;
use ottla_tests::{Dice, Load, Wrote, java_client, number, write_with};
use stage::Stage;
use std::time::Duration;

const PARTITIONS: usize = 6;
/// How long the loads are left in peace after a round.
const REST: Duration = Duration::from_millis(500);

#[test]
fn whatever_happens_to_a_node_nothing_that_was_acknowledged_is_lost_or_repeated() {
    let rounds = number("OTTLA_CLUSTER_ROUNDS", 4);
    let seed = number("OTTLA_CLUSTER_SEED", 3);
    let nodes = u8::try_from(number("OTTLA_CLUSTER_NODES", 3)).unwrap();
    let mut stage = Stage::new(nodes);
    let mut dice = Dice(seed);
    for topic in ["written", "copied"] {
        stage.cluster.create_safe_topic(topic, PARTITIONS).unwrap();
    }
    let bootstrap = stage.cluster.bootstrap();
    // A client that is cut off finds that out by its own timeouts.
    let writer = write_with(&bootstrap, "written", PARTITIONS, r#"{"socket.timeout.ms": 2000}"#).unwrap();
    let copiers = Copiers::start(&bootstrap, "written", "copied");
    let mut java = java_client("ExactlyOnce").unwrap();
    java.args([&bootstrap, "consumer", "3"]);
    let mut java = Load::start(java).unwrap();
    java.expect("loaded").unwrap();
    for round in 0..rounds {
        // The short form has one of each of the first kinds.
        let fault = if rounds < Fault::ALL.len() as u64 { Fault::ALL[round as usize] } else { dice.pick(&Fault::ALL) };
        let victim = u8::try_from(dice.roll(nodes.into())).unwrap() + 1;
        let lasts = Duration::from_millis(500 + dice.roll(4_000));
        println!("round {round}, seed {seed}: {fault:?} of node {victim} for {lasts:?}");
        stage.suffer(fault, victim, lasts, &mut dice);
        std::thread::sleep(REST);
    }
    stage.settle();
    let wrote = Wrote::of(writer).unwrap_or_else(|error| panic!("{error}\n{}", stage.kept()));
    println!("librdkafka: {wrote:?}");
    assert!(wrote.is_exact(), "seed {seed}: {wrote:?}\n{}", stage.kept());
    let said = java.finish().unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", stage.kept()));
    println!("Java: {said}");
    let copied = copiers.finish().unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", stage.kept()));
    println!("own client: {copied}");
    stage.check_logs();
}
