//! Runs with a script: situations that chance brings about too seldom.

use crate::chaos::{Plan, cluster, remove_request};
use crate::checks::{Checked, Violation, violated};
use crate::mistakes::Mistake;
use crate::world::World;
use ottla_raft::{KraftVersion, Response};

/// The script does not fit: no fault of anybody.
pub(crate) const GOES_ON: &str = "the scene goes on";

fn plan(voters: usize, version: KraftVersion) -> Plan {
    Plan {
        voters,
        spares: 0,
        observers: 0,
        version,
        auto_join: false,
        storm: 0,
        is_restless: true,
        has_old_voter: false,
    }
}

/// A cluster whose clocks agree, so that who starts first is elected first.
fn punctual(plan: Plan, seed: u64, mistake: Option<Mistake>) -> World {
    let mut world = cluster(plan, seed, mistake);
    for node in &mut world.nodes {
        node.clock_rate = 1_000;
    }
    world
}

/// Waits for something to come to pass, and a long time at most.
fn wait_for(world: &mut World, what: &'static str, mut is_so: impl FnMut(&World) -> bool) -> Checked {
    let end = world.now + 30_000;
    while !is_so(world) {
        if world.now >= end {
            return violated(GOES_ON, what);
        }
        world.run_until(world.now + 1)?;
    }
    Ok(())
}

/// Crashes all nodes, and starts these: the first stands for election before the others can.
fn elect(world: &mut World, nodes: &[usize]) -> Checked {
    for node in 0..world.nodes.len() {
        world.crash(node);
    }
    for (i, node) in nodes.iter().enumerate() {
        world.start(*node)?;
        if i == 0 {
            world.run_until(world.now + 1_100)?;
        }
    }
    let leader = nodes[0];
    wait_for(world, "the first is elected", |world| world.raft(leader).is_some_and(|raft| raft.is_leader()))
}

/// A record of an old epoch comes to be on a majority through a later leader, which falls before a record of its own is
/// there too. Then one is elected that does not have it. If it had been taken for committed, it would be lost.
pub(crate) fn record_of_an_old_epoch_on_a_majority(seed: u64, mistake: Option<Mistake>) -> Result<World, Violation> {
    let mut world = punctual(plan(5, KraftVersion::Static), seed, mistake);
    elect(&mut world, &[0, 1, 2])?;
    wait_for(&mut world, "the first leader is active", |world| world.nodes[0].active.is_some())?;
    world.run_until(world.now + 1_000)?;
    let old = world.nodes[0].disk.log.end();
    // The record reaches the leader's own disk only.
    world.crash(1);
    world.crash(2);
    world.write(0)?;
    wait_for(&mut world, "the record is durable", |world| world.nodes[0].disk.durable.end() > old)?;
    // Another leader opens an epoch, and only its own disk knows of it.
    world.crash(0);
    elect(&mut world, &[2, 1, 3])?;
    for node in [1, 3] {
        world.crash(node);
    }
    wait_for(&mut world, "the epoch is durable", |world| world.nodes[2].disk.durable.end() > old)?;
    // The first one leads again, and hands the old record on.
    elect(&mut world, &[0, 1, 3])?;
    let mut open = vec![1, 3];
    while !open.is_empty() {
        let found = open.iter().position(|node| world.nodes[*node].disk.durable.end() > old);
        match found.map(|i| open.remove(i)) {
            // It has told the leader, or will, but gets nothing more of it.
            Some(node) => drop(world.cut.insert((0, node))),
            None => world.run_until(world.now + 1)?,
        }
    }
    world.run_until(world.now + 100)?;
    let ends = [1, 3].map(|node| world.nodes[node].disk.log.end());
    if ends != [old + 1; 2] {
        return violated(GOES_ON, format!("{ends:?}")).map(|()| world);
    }
    world.cut.clear();
    elect(&mut world, &[2, 1, 3])?;
    Ok(world)
}

/// A voter that does not hear that it was removed goes on asking for votes. Nobody gives it any, nobody's epoch moves.
pub(crate) fn removed_voter_that_hears_nothing(seed: u64, mistake: Option<Mistake>) -> Result<World, Violation> {
    let mut world = punctual(plan(4, KraftVersion::Dynamic), seed, mistake);
    elect(&mut world, &[0, 1, 2, 3])?;
    wait_for(&mut world, "the leader is active", |world| world.nodes[0].active.is_some())?;
    world.run_until(world.now + 3_000)?;
    world.cut.extend([(0, 3), (1, 3), (2, 3)]);
    let call = world.call(0, None, 0, remove_request(world.nodes[3].key()))?;
    let is_removed = |world: &World| {
        let answer = world.answers.iter().find(|(id, _)| *id == call);
        matches!(answer, Some((_, Response::RemoveRaftVoter(response))) if response.error_code == 0)
    };
    wait_for(&mut world, "the voter is removed", is_removed)?;
    let epoch = world.raft(0).map(ottla_raft::Raft::epoch);
    world.run_until(world.now + 60_000)?;
    let is_quiet = world.leaders() == [0] && (0..3).all(|node| world.raft(node).map(ottla_raft::Raft::epoch) == epoch);
    if !is_quiet {
        return violated("a removed voter does not disturb", format!("epoch {epoch:?} did not last")).map(|()| world);
    }
    world.cut.clear();
    world.run_until(world.now + 5_000)?;
    if world.raft(3).is_none_or(ottla_raft::Raft::is_voter) {
        return violated("a removed voter learns of it", "it did not").map(|()| world);
    }
    Ok(world)
}

/// A leader that nobody hears any more gives up within its time, though it hears the others.
pub(crate) fn leader_that_is_not_heard(seed: u64) -> Result<World, Violation> {
    let mut world = punctual(plan(3, KraftVersion::Dynamic), seed, None);
    elect(&mut world, &[0, 1, 2])?;
    world.run_until(world.now + 3_000)?;
    world.cut.extend([(0, 1), (0, 2)]);
    wait_for(&mut world, "another leads", |world| world.leaders().iter().any(|leader| *leader != 0))?;
    wait_for(&mut world, "the old one does not", |world| world.leaders().len() == 1)?;
    Ok(world)
}
