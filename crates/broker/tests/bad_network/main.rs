//! Whole nodes that are all voters and brokers, over a network that delays, breaks and is cut, with nodes that lose power. The
//! metadata that is committed, the decisions that were answered and the records that were acknowledged survive all of it.
//!
//! `OTTLA_VOTERS_SEEDS` and `OTTLA_VOTERS_FIRST_SEED` make it run longer than CI does; everything follows from the seed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

#[path = "../harness/mod.rs"]
mod harness;
mod invariants;
mod trouble;
mod workload;

use harness::asking::partitions;
use harness::cluster::{Cluster, Plan, Voters};
use harness::network::Faults;
use invariants::Invariants;
use ottla_env_sim::SeededRandom;
use trouble::Trouble;
use workload::Workload;

/// How many looks at the nodes the trouble lasts: at five milliseconds each.
const STEPS: u64 = 4_000;
/// How often the logs are compared meanwhile.
const CHECK_EVERY: u64 = 40;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Says which seed it was, whatever ends a run.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: run it alone with OTTLA_VOTERS_FIRST_SEED={} OTTLA_VOTERS_SEEDS=1", self.0, self.0);
        }
    }
}

/// What happened in a run, and a number by which two runs can be compared.
struct Run {
    decided: usize,
    acknowledged: usize,
    leaders: usize,
    snapshots: usize,
    trace: u64,
}

fn run(seed: u64) -> Run {
    let _named = Seed(seed);
    let random = SeededRandom::new(seed);
    let voters = if random.below(2) == 0 { Voters::Static } else { Voters::Dynamic(3) };
    let properties = match random.below(2) {
        0 => String::new(),
        _ => "metadata.log.max.record.bytes.between.snapshots=3000\nmetadata.max.retention.bytes=4000".to_owned(),
    };
    let mut cluster = Cluster::of(Plan { seed, properties, ..Plan::new(3, voters) });
    let faults = Faults { breaks: random.below(30), delay_ms: random.below(30), slow: random.below(50) };
    cluster.network.set_faults(faults);
    let (mut workload, mut trouble) = (Workload::default(), Trouble::default());
    let mut invariants = Invariants::default();
    for step in 0..STEPS {
        workload.advance(&cluster, &random);
        trouble.advance(&mut cluster, &random);
        cluster.step();
        invariants.check_leaders(&cluster);
        if step % CHECK_EVERY == 0 {
            invariants.check_logs(&cluster);
        }
    }
    trouble.end(&mut cluster);
    heal(&cluster);
    workload.take_answers();
    invariants.check_logs(&cluster);
    workload.check(&cluster);
    Run {
        decided: workload.decided(),
        acknowledged: workload.acknowledged(),
        leaders: invariants.leaders(),
        snapshots: invariants.snapshots(),
        trace: cluster.network.trace(),
    }
}

/// Everybody runs, one controller decides, all nodes know all that it has decided, and all replicas are in sync.
fn heal(cluster: &Cluster) {
    cluster.run_until("all is well again", |cluster| {
        let Some(active) = cluster.active() else { return false };
        let end = cluster.node(active).node.quorum().log_end;
        let knows_all = |id: i32| cluster.node(id).node.quorum().high_watermark == end;
        cluster.living().all(|running| running.node.is_running()) && cluster.living_ids().all(knows_all)
    });
    cluster.run_until("all replicas are in sync", |cluster| {
        let names = workload::topics_of(cluster.node(1));
        names.iter().all(|name| {
            let told = partitions(cluster.node(1), name);
            let is_whole = told.iter().all(|told| told.leader > 0 && told.in_sync.len() == told.replicas.len());
            is_whole && cluster.living().all(|node| partitions(node, name) == told)
        })
    });
}

#[test]
fn what_was_committed_answered_and_acknowledged_survives_a_bad_network() {
    let (first, count) = (number("OTTLA_VOTERS_FIRST_SEED", 1), number("OTTLA_VOTERS_SEEDS", 6));
    let runs: Vec<Run> = (first..first + count).map(run).collect();
    let sum = |of: fn(&Run) -> usize| runs.iter().map(of).sum::<usize>();
    let [decided, acknowledged, leaders, snapshots] =
        [sum(|run| run.decided), sum(|run| run.acknowledged), sum(|run| run.leaders), sum(|run| run.snapshots)];
    println!("{count} runs: {decided} decisions, {acknowledged} batches, {leaders} leaders, {snapshots} snapshots");
    // A run in which nothing happens shows nothing.
    let count = usize::try_from(count).unwrap();
    assert!(decided > 5 * count && acknowledged > 10 * count && leaders > 2 * count, "too little happened");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let (once, again) = (run(1), run(1));
    assert_eq!((once.trace, once.decided, once.acknowledged), (again.trace, again.decided, again.acknowledged));
}
