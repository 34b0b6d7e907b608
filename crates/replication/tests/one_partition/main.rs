//! One partition on three to five brokers, with the code that runs in a broker: messages are lost, late, twice and out of
//! order, brokers crash and lose what they had not synced, lose each other or the controller, shut down and come back. After
//! each event the invariants of `docs/internals/replication.md` are checked.
//!
//! `OTTLA_REPLICATION_SEEDS` and `OTTLA_REPLICATION_FIRST_SEED` say which runs, `OTTLA_REPLICATION_STEPS` how long they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod broker;
mod checks;
mod controller;
mod dice;
mod faults;
mod following;
mod messages;
mod model_log;
mod oracle;
mod serving;
mod settings;
mod world;

use settings::Mistake;
use world::World;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn run(seed: u64, steps: u64, mistake: Option<Mistake>) -> Result<World, oracle::Violation> {
    let mut world = World::new(seed, mistake);
    for step in 0..steps {
        world.step().map_err(|violation| format!("seed {seed}, step {step}: {violation}"))?;
    }
    world.check_liveness().map_err(|violation| format!("seed {seed}, healing: {violation}"))?;
    Ok(world)
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens() {
    let (first, count) = (number("OTTLA_REPLICATION_FIRST_SEED", 0), number("OTTLA_REPLICATION_SEEDS", 200));
    let steps = number("OTTLA_REPLICATION_STEPS", 2_500);
    let (mut acknowledged, mut violations) = (0, Vec::new());
    for seed in first..first + count {
        match run(seed, steps, None) {
            Ok(world) => acknowledged += world.oracle.acknowledgements,
            Err(violation) => violations.push(violation),
        }
        assert!(violations.len() < 5 && (violations.is_empty() || seed + 1 < first + count), "{violations:#?}");
    }
    assert!(acknowledged > 10 * count, "only {acknowledged} records were acknowledged");
}

#[test]
fn the_checks_find_every_mistake_that_was_made_once() {
    let mut missed = Vec::new();
    for mistake in Mistake::ALL {
        match (0..2_000).find_map(|seed| run(seed, 2_500, Some(mistake)).err()) {
            Some(violation) => println!("{mistake:?}: {violation}"),
            None => missed.push(mistake),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..5 {
        let trace = |world: World| (world.oracle.committed, world.oracle.acknowledged, world.now);
        assert_eq!(run(seed, 2_500, None).map(trace), run(seed, 2_500, None).map(trace));
    }
}
