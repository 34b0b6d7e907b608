//! Every crash point: whatever the moment at which the machine dies, and whatever the disk kept of what was not synced,
//! what was promised to be durable is there, and what is there is a beginning of what was written.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::crash::{STEPS, Step, check, enumerate, honest, run_until, sequences, setting};
use fixture::{CLIENT, World, batch, topic_id};
use ottla_env_sim::CrashMode;
use ottla_log::LogConfig;
use ottla_types::{LeaderEpoch, Offset, TopicPartition};
use std::sync::Arc;

#[test]
fn every_crash_point_of_every_short_sequence_leaves_a_log_that_keeps_its_promises() {
    let mut runs = 0;
    for steps in sequences(setting("OTTLA_CRASH_STEPS", 2) as usize) {
        let steps: Vec<Step> = [Step::AppendThree, Step::Append].into_iter().chain(steps).collect();
        let some = CrashMode::Some { seed: runs };
        runs += enumerate(&honest, &steps, &[CrashMode::LoseAll, CrashMode::KeepAll, some]);
    }
    println!("{runs} crashes");
}

#[test]
fn long_runs_of_random_steps_survive_crashes_at_random_points() {
    for seed in 0..setting("OTTLA_CRASH_SEEDS", 300) {
        let random = ottla_env_sim::SeededRandom::new(seed);
        let steps: Vec<Step> = (0..20).map(|_| STEPS[random.below(STEPS.len() as u64) as usize]).collect();
        let (probe, _) = run_until(&honest, &steps, u64::MAX / 2);
        let operations = probe.world.memory.as_ref().unwrap().operations();
        let point = random.below(operations.max(1));
        let modes = [CrashMode::KeepAll, CrashMode::LoseAll, CrashMode::Some { seed }];
        let mode = modes[random.below(3) as usize];
        let (mut run, before) = run_until(&honest, &steps, point);
        let before = before.unwrap_or_else(|| run.model.clone());
        run.world.memory.as_ref().unwrap().crash(mode);
        check(&mut run, &before, &format!("seed {seed}: {steps:?} crash at {point} {mode:?}"));
    }
}

/// As many logs as make the directory sync its file system instead of each file.
const MANY: i32 = 6;

/// Rounds of an append to each of many logs and one shared sync, up to the crash point. What each log had promised then, and
/// whether the machine lived to the end.
fn many_until(world: &World, point: u64) -> (Vec<Offset>, bool) {
    let config = LogConfig { flush_messages: 1, ..LogConfig::default() };
    let directories = world.load(&config);
    directories.share_syncs(Arc::new(|| ()));
    let log = |number| {
        let partition = TopicPartition::new("many", number);
        directories.get_or_create(&partition, Some(topic_id()), config.clone(), None).unwrap()
    };
    let logs: Vec<_> = (0..MANY).map(log).collect();
    let memory = world.memory.as_ref().unwrap();
    memory.die_at(memory.operations() + point);
    for _ in 0..3 {
        for log in &logs {
            let _ = log.append_as_leader(&mut batch(1), LeaderEpoch(1), CLIENT);
        }
        directories.sync_waiting();
    }
    (logs.iter().map(|log| log.acknowledgeable_offset()).collect(), !memory.is_dead())
}

#[test]
fn what_a_shared_sync_of_many_logs_has_acknowledged_is_there_after_any_crash() {
    for seed in 0.. {
        let point = seed / 3;
        let mode = [CrashMode::LoseAll, CrashMode::KeepAll, CrashMode::Some { seed }][(seed % 3) as usize];
        let world = World::simulated();
        let (promised, lived) = many_until(&world, point);
        assert!(!lived || promised.iter().all(|promised| *promised == Offset(3)), "{promised:?}");
        world.memory.as_ref().unwrap().crash(mode);
        let directories = world.load(&LogConfig::default());
        for (number, promised) in (0..MANY).zip(promised) {
            let Some(log) = directories.get(&TopicPartition::new("many", number)) else {
                assert_eq!(promised, Offset(0), "{point} {mode:?}: a log is gone");
                continue;
            };
            assert!(log.damage().is_none(), "{point} {mode:?}: {:?}", log.damage());
            assert!(log.log_end_offset() >= promised, "{point} {mode:?}: {} of {promised}", log.log_end_offset());
        }
        if lived {
            return;
        }
    }
}
