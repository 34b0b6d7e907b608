//! Whole clusters whose brokers and administrators do anything in any order: what must hold after every single decision.
//!
//! `OTTLA_SCHEDULE_SEEDS` and `OTTLA_SCHEDULE_STEPS` make it longer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod rules;
mod world;

use ottla_controller::Controller;
use ottla_metadata::MetadataImage;
use std::collections::BTreeMap;
use world::World;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn steps() -> u64 {
    setting("OTTLA_SCHEDULE_STEPS", 300)
}

#[test]
fn the_rules_of_partitions_hold_after_every_decision_of_any_schedule() {
    for seed in 0..setting("OTTLA_SCHEDULE_SEEDS", 80) {
        let mut world = World::new(seed);
        for step in 0..steps() {
            let before = world.cluster.controller.image().clone();
            world.step();
            let after = world.cluster.controller.image();
            let broken = rules::broken(&before, after, world.past);
            assert_eq!(broken, Vec::<String>::new(), "seed {seed}, step {step}");
            let reading = world.cluster.controller.reading();
            assert_eq!(reading, rules::counted(after), "seed {seed}, step {step}");
        }
    }
}

#[test]
fn a_controller_that_starts_from_the_log_or_from_a_snapshot_is_where_the_old_one_was() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        (0..steps()).for_each(|_| world.step());
        let old = world.cluster.controller.image().clone();
        world.cluster.restart();
        assert_eq!(world.cluster.controller.image(), &old);
        let mut from_snapshot = MetadataImage::new();
        for record in old.to_records() {
            from_snapshot.replay(&record.record).unwrap();
        }
        from_snapshot.provenance = old.provenance;
        assert_eq!(from_snapshot, old);
    }
}

#[test]
fn what_was_not_committed_is_gone_when_the_leadership_is_lost() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        for step in 0..steps() / 2 {
            world.step();
            if world.dice().one_in(10) {
                let committed = world.cluster.controller.image().clone();
                world.lose_leadership();
                assert_eq!(world.cluster.controller.image(), &committed, "seed {seed}, step {step}");
                assert_eq!(world.cluster.controller.reading(), rules::counted(&committed));
            }
        }
        // The log has what was committed and nothing else.
        let reached = world.cluster.controller.image().clone();
        let mut replayed = Controller::new(cluster::settings(""), MetadataImage::new());
        world.cluster.replay_into(&mut replayed);
        assert_eq!(replayed.image(), &reached);
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = |seed| {
        let mut world = World::new(seed);
        (0..steps()).for_each(|_| world.step());
        world.cluster.log
    };
    assert_eq!(log(5), log(5));
    let kinds = (0..10).flat_map(log).fold(BTreeMap::new(), |mut kinds, record| {
        *kinds.entry(record.record.name()).or_insert(0) += 1;
        kinds
    });
    for (kind, least) in [
        ("PartitionChangeRecord", 500),
        ("BrokerRegistrationChangeRecord", 200),
        ("RegisterBrokerRecord", 60),
        ("UnregisterBrokerRecord", 5),
        ("ClearElrRecord", 3),
        ("RemoveTopicRecord", 20),
    ] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= least), "{kind}: {kinds:?}");
    }
}
