//! Whole quorums in a simulated world: a network that loses, delays, doubles and reorders, disks that lose what was not
//! flushed, clocks that drift, nodes that crash between any two effects, voters that come and go, snapshots.
//!
//! `docs/internals/raft.md` says what is checked. By hand: `OTTLA_RAFT_SEEDS=100000 cargo test -p ottla-raft --test quorum`,
//! and one run with `OTTLA_RAFT_FIRST_SEED=n OTTLA_RAFT_SEEDS=1`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chance;
mod chaos;
mod checks;
mod disk;
mod mistakes;
mod node;
mod perform;
mod scenes;
mod wire;
mod world;

use mistakes::Mistake;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn a_quorum_keeps_its_promises_in_any_weather() {
    let first = number("OTTLA_RAFT_FIRST_SEED", 1);
    let mut failed = Vec::new();
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    let mut agreed = Vec::new();
    for seed in first..first + number("OTTLA_RAFT_SEEDS", 100) {
        match chaos::run(seed, None) {
            Ok(world) => {
                agreed.push(world.agreed_after);
                world.seen.into_iter().for_each(|(what, count)| *seen.entry(what).or_default() += count);
            }
            Err(violation) => failed.push((seed, violation)),
        }
    }
    let shown: Vec<String> =
        failed.iter().take(10).map(|(seed, v)| format!("seed {seed}: {}: {}", v.invariant, v.what)).collect();
    assert!(failed.is_empty(), "{} runs failed:\n{}", failed.len(), shown.join("\n"));
    agreed.sort_unstable();
    println!(
        "{seen:?}; a leader after {:?} ms at half of the runs, {:?} at most",
        agreed.get(agreed.len() / 2),
        agreed.last()
    );
    // A run in which nothing happens proves nothing.
    let missing: Vec<_> = world::SEEN.iter().filter(|what| !seen.contains_key(*what)).collect();
    assert!(missing.is_empty() || number("OTTLA_RAFT_SEEDS", 100) < 100, "never happened: {missing:?} of {seen:?}");
}

/// Runs seeds until the checks find a mistake, and says which invariant it broke.
fn found(mistake: Mistake) -> Option<&'static str> {
    let run = |seed| match mistake {
        Mistake::OldEpochCommitted => scenes::record_of_an_old_epoch_on_a_majority(seed, Some(mistake)).err(),
        _ => chaos::run(seed, Some(mistake)).err(),
    };
    let found = (1..=number("OTTLA_RAFT_MISTAKE_SEEDS", 60)).filter_map(run).map(|violation| violation.invariant);
    found.into_iter().find(|invariant| *invariant != scenes::GOES_ON)
}

fn pass(scene: impl Fn(u64) -> Result<world::World, checks::Violation>) {
    for seed in 1..=number("OTTLA_RAFT_SCENE_SEEDS", 5) {
        if let Err(violation) = scene(seed) {
            panic!("seed {seed}: {violation:?}");
        }
    }
}

#[test]
fn a_record_of_an_old_epoch_on_a_majority_is_not_committed_by_that() {
    pass(|seed| scenes::record_of_an_old_epoch_on_a_majority(seed, None));
}

#[test]
fn a_removed_voter_that_hears_nothing_disturbs_nobody() {
    pass(|seed| scenes::removed_voter_that_hears_nothing(seed, None));
}

#[test]
fn without_trial_votes_a_removed_voter_would_disturb() {
    let violation = scenes::removed_voter_that_hears_nothing(1, Some(Mistake::PreVoteTakenForVote)).err();
    assert!(violation.is_some());
}

#[test]
fn a_leader_that_is_not_heard_gives_up() {
    pass(scenes::leader_that_is_not_heard);
}

#[test]
fn the_same_seed_leads_to_the_same_run() {
    for seed in [1, 2, 3] {
        let run = || chaos::run(seed, None).map(|world| (world.checks.committed.clone(), world.seen)).unwrap();
        assert_eq!(run(), run());
    }
}

#[test]
fn every_deliberate_mistake_is_found() {
    use Mistake::*;
    let all = [
        ElectionStateNotWritten,
        ElectionStateWrittenLate,
        ElectionStateRestored,
        FlushReportedTooEarly,
        NotTruncated,
        EpochOfRecordsChanged,
        FetchOffsetTooHigh,
        EveryVoteGranted,
        CommittedByMinority,
        OldEpochCommitted,
        DiskLost,
        SnapshotOfUncommitted,
        TwoVotersAtOnce,
        PreVoteTakenForVote,
        DivergenceHidden,
    ];
    let mut not_found = Vec::new();
    for mistake in all {
        match found(mistake) {
            Some(invariant) => println!("{mistake:?}: {invariant}"),
            None => not_found.push(mistake),
        }
    }
    assert!(not_found.is_empty(), "not found: {not_found:?}");
}
