//! One run: a cluster is made, everything goes wrong for a while, then nothing does, and it must come to agree.

use crate::chance::Chance;
use crate::checks::{Checked, Violation, violated};
use crate::disk::{Disk, SnapshotFile};
use crate::mistakes::Mistake;
use crate::node::{CLUSTER, LISTENER, Node, host};
use crate::world::{Weather, World};
use ottla_protocol::messages::{AddRaftVoterRequest, RemoveRaftVoterRequest, add_raft_voter_request};
use ottla_raft::{Address, Event, KraftVersion, Membership, ReplicaKey, Request, Role, SnapshotId, Voter, VoterSet};
use ottla_types::{DirectoryId, NodeId};
use std::collections::BTreeMap;

/// How long everything goes wrong, in milliseconds.
const STORM: u64 = 20_000;
/// How long a cluster may take to agree afterwards. An election takes up to two timeouts of one to two seconds, a lost race a
/// few of them; a request that was lost before keeps a follower for two seconds, a leader that is cut off resigns after three.
const CALM: u64 = 30_000;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) voters: usize,
    /// Controllers that are no voters at first.
    pub(crate) spares: usize,
    pub(crate) observers: usize,
    pub(crate) version: KraftVersion,
    pub(crate) auto_join: bool,
    pub(crate) storm: u64,
    /// Leaders write much and fall often, and their followers get it in small pieces.
    pub(crate) is_restless: bool,
    /// The first voter can't be asked for votes in trial.
    pub(crate) has_old_voter: bool,
}

impl Plan {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed.wrapping_mul(31));
        let voters = *chance.pick(&[1, 2, 3, 3, 3, 3, 4, 5, 5]).unwrap_or(&3);
        let is_dynamic = chance.permille(600);
        Self {
            voters,
            spares: if is_dynamic { chance.below(3) as usize } else { 0 },
            observers: chance.below(3) as usize,
            version: if is_dynamic { KraftVersion::Dynamic } else { KraftVersion::Static },
            auto_join: chance.permille(300),
            storm: STORM,
            is_restless: chance.permille(200),
            has_old_voter: chance.permille(100),
        }
    }
}

fn directory(id: u64, start: u64) -> DirectoryId {
    DirectoryId::from_u128((u128::from(id) << 64) | (u128::from(start) + 1_000))
}

/// A cluster that was formatted and not started yet.
pub(crate) fn cluster(plan: Plan, seed: u64, mistake: Option<Mistake>) -> World {
    let mut chance = Chance::new(seed ^ 0xc1);
    let count = plan.voters + plan.spares + plan.observers;
    let controllers = plan.voters + plan.spares;
    let mut nodes: Vec<Node> = (0..count)
        .map(|i| Node {
            id: NodeId(i as i32 + 1),
            disk: Disk::new(directory(i as u64 + 1, 0)),
            raft: None,
            start: 0,
            knows_no_trials: i == 0 && plan.has_old_voter,
            fetch_bytes_max: if plan.is_restless { 30 } else { 400 },
            membership: match i < controllers {
                true if plan.auto_join => Membership::AutoJoin,
                true => Membership::Voter,
                false => Membership::Observer,
            },
            port: 9_000,
            static_voters: VoterSet::default(),
            bootstrap_servers: Vec::new(),
            clock_rate: chance.between(900, 1_100),
            active: None,
            committed: 0,
            calls: BTreeMap::new(),
            wake_at: None,
            led_before: false,
        })
        .collect();
    let voters = VoterSet::new(nodes.iter().take(plan.voters).map(Node::voter));
    let servers = nodes.iter().take(controllers).map(|node| Address { host: host(node.id), port: node.port });
    let servers: Vec<Address> = servers.collect();
    for (i, node) in nodes.iter_mut().enumerate() {
        match plan.version {
            KraftVersion::Static => {
                let without =
                    |voter: &Voter| Voter { key: ReplicaKey { directory: None, ..voter.key }, ..voter.clone() };
                node.static_voters = VoterSet::new(voters.iter().map(without));
            }
            KraftVersion::Dynamic => {
                node.bootstrap_servers = servers.clone();
                let voters = (i < plan.voters).then(|| voters.clone());
                let file = SnapshotFile { version: KraftVersion::Dynamic, voters, chain: 0 };
                node.disk.snapshots.insert(SnapshotId::BOOTSTRAP, file.to_bytes());
            }
        }
    }
    World::new(seed, nodes, mistake)
}

/// A whole run from a seed.
pub(crate) fn run(seed: u64, mistake: Option<Mistake>) -> Result<World, Violation> {
    run_plan(Plan::of_seed(seed), seed, mistake)
}

pub(crate) fn run_plan(plan: Plan, seed: u64, mistake: Option<Mistake>) -> Result<World, Violation> {
    let mut world = cluster(plan, seed, mistake);
    for node in 0..world.nodes.len() {
        world.start(node)?;
    }
    storm(&mut world, plan)?;
    calm_down(&mut world)?;
    Ok(world)
}

fn storm(world: &mut World, plan: Plan) -> Checked {
    world.weather = Weather {
        loss: world.chance.between(0, 150),
        duplication: world.chance.between(0, 150),
        delay_max: world.chance.between(5, 300),
        flush_max: world.chance.between(1, 100),
        crash: world.chance.between(0, 4),
    };
    while world.now < plan.storm {
        let pause = world.chance.between(5, 200);
        world.run_until(world.now + pause)?;
        disturb(world, plan)?;
    }
    Ok(())
}

/// One thing that goes wrong, or that somebody wants.
fn disturb(world: &mut World, plan: Plan) -> Checked {
    if plan.is_restless && world.chance.permille(300) {
        for leader in world.leaders() {
            for _ in 0..world.chance.below(8) {
                world.write(leader)?;
            }
            if world.chance.permille(300) {
                world.crash(leader);
            }
        }
        return Ok(());
    }
    let count = world.nodes.len() as u64;
    let node = world.chance.below(count) as usize;
    match world.chance.below(100) {
        0..45 => {
            for leader in world.leaders() {
                world.write(leader)?;
            }
        }
        45..52 => world.crash(node),
        52..66 => restart(world, node, true)?,
        66..71 => cut(world, node),
        71..80 => world.cut.clear(),
        80..86 => world.snapshot(node)?,
        86..90 => world.delete_prefix(node)?,
        90..92 => world.feed(node, Event::Resign)?,
        92..99 => ask_for_change(world, plan)?,
        _ => upgrade(world)?,
    }
    Ok(())
}

fn restart(world: &mut World, node: usize, may_move: bool) -> Checked {
    if world.nodes[node].raft.is_some() {
        return Ok(());
    }
    let is_dynamic = !world.nodes[node].bootstrap_servers.is_empty();
    // A voter that comes back at another port must tell the others.
    if may_move && is_dynamic && world.chance.permille(50) && world.nodes[node].membership != Membership::Observer {
        world.nodes[node].port += 1;
        world.saw("moved");
        let address = Address { host: host(world.nodes[node].id), port: world.nodes[node].port };
        for other in &mut world.nodes {
            other.bootstrap_servers.retain(|server| server.host != address.host);
            other.bootstrap_servers.push(address.clone());
        }
    }
    if world.mistake == Some(Mistake::DiskLost) && world.chance.permille(300) {
        let snapshots = world.nodes[node].disk.snapshots.clone();
        let mut disk = Disk::new(world.nodes[node].disk.directory);
        disk.snapshots = snapshots.into_iter().filter(|(id, _)| *id == SnapshotId::BOOTSTRAP).collect();
        world.nodes[node].disk = disk;
    }
    world.start(node)
}

/// A network parts: one node from all, one way or both, or one half from the other.
fn cut(world: &mut World, node: usize) {
    let others: Vec<usize> = (0..world.nodes.len()).filter(|other| *other != node).collect();
    match world.chance.below(4) {
        0 => world.cut.extend(others.iter().map(|other| (node, *other))),
        1 => world.cut.extend(others.iter().map(|other| (*other, node))),
        2 => {
            world.cut.extend(others.iter().map(|other| (node, *other)));
            world.cut.extend(others.iter().map(|other| (*other, node)));
        }
        _ => {
            let sides: Vec<bool> = world.nodes.iter().map(|_| false).collect();
            let sides: Vec<bool> = sides.iter().map(|_| world.chance.permille(500)).collect();
            for from in 0..sides.len() {
                for to in 0..sides.len() {
                    if sides[from] != sides[to] {
                        world.cut.insert((from, to));
                    }
                }
            }
        }
    }
}

/// An administrator adds or removes a voter.
fn ask_for_change(world: &mut World, plan: Plan) -> Checked {
    let Some(leader) = world.leaders().first().copied() else { return Ok(()) };
    let controllers = 0..plan.voters + plan.spares;
    let is_voter = |world: &World, node: usize| {
        world.raft(leader).is_some_and(|raft| raft.voters().is_voter(&world.nodes[node].key()))
    };
    let (voters, others): (Vec<usize>, Vec<usize>) = controllers.partition(|node| is_voter(world, *node));
    let may_add = world.chance.permille(600);
    let request = match (world.chance.pick(&others), world.chance.pick(&voters)) {
        (Some(node), _) if may_add => add_request(&world.nodes[*node]),
        (_, Some(node)) => remove_request(world.nodes[*node].key()),
        _ => return Ok(()),
    };
    world.call(leader, None, 0, request).map(|_| ())
}

pub(crate) fn add_request(node: &Node) -> Request {
    let listeners = vec![add_raft_voter_request::Listener {
        name: LISTENER.to_owned(),
        host: host(node.id),
        port: node.port,
        ..Default::default()
    }];
    Request::AddRaftVoter(AddRaftVoterRequest {
        cluster_id: Some(CLUSTER.to_owned()),
        timeout_ms: 1_000,
        voter_id: node.id.0,
        voter_directory_id: node.disk.directory,
        listeners,
        ..Default::default()
    })
}

pub(crate) fn remove_request(key: ReplicaKey) -> Request {
    Request::RemoveRaftVoter(RemoveRaftVoterRequest {
        cluster_id: Some(CLUSTER.to_owned()),
        voter_id: key.id.0,
        voter_directory_id: key.directory.unwrap_or(DirectoryId::ZERO),
        ..Default::default()
    })
}

fn upgrade(world: &mut World) -> Checked {
    for leader in world.leaders() {
        let now = world.nodes[leader].local_time(world.now);
        let Some(raft) = world.nodes[leader].raft.as_mut() else { continue };
        let epoch = raft.epoch();
        if let Ok(effects) = raft.upgrade_kraft_version(now, epoch, KraftVersion::Dynamic, false) {
            if effects.is_empty() {
                continue;
            }
            world.saw("upgraded");
            world.perform(leader, effects)?;
        }
    }
    Ok(())
}

/// Nothing goes wrong any more: the cluster must agree on a leader, go on committing, and all must have the same.
fn calm_down(world: &mut World) -> Checked {
    world.weather = Weather::FAIR;
    world.cut.clear();
    let has_moved = world.seen.contains_key("moved");
    for node in 0..world.nodes.len() {
        // After a move, a person sees to it that all are told the new bootstrap servers.
        if has_moved {
            world.crash(node);
        }
        restart(world, node, false)?;
    }
    let (start, end) = (world.now, world.now + CALM);
    let mut written = 0;
    while world.now < end && written < 5 {
        world.run_until(world.now + 100)?;
        if let [leader] = world.leaders()[..] {
            written += u64::from(world.write(leader)?);
            if written == 1 && world.agreed_after == 0 {
                world.agreed_after = world.now - start;
            }
        } else if world.now > end - CALM / 2 {
            move_back(world)?;
        }
    }
    // A controller may join by itself at any time, and a leader that is no voter any more resign.
    for _ in 0..150 {
        world.run_until(world.now + 100)?;
        if agree(world).is_ok() {
            return Ok(());
        }
    }
    agree(world)
}

/// Nobody finds a voter that has moved before the others heard of it, if no majority is left without it. The node is put
/// back to where the newest log says that it is: what a person would have to do.
fn move_back(world: &mut World) -> Checked {
    let logs = world.nodes.iter().filter_map(|node| node.raft.as_ref());
    let Some(newest) = logs.max_by_key(|raft| (raft.log().end().epoch, raft.log().end().offset, raft.voters().len()))
    else {
        return Ok(());
    };
    let voters = newest.voters().clone();
    let mut has_moved = false;
    for node in 0..world.nodes.len() {
        let stated = voters.get(world.nodes[node].id).and_then(|voter| voter.endpoints.first()).map(|e| e.port);
        if let Some(port) = stated.filter(|port| *port != world.nodes[node].port) {
            world.nodes[node].port = port;
            has_moved = true;
            let address = Address { host: host(world.nodes[node].id), port };
            for other in &mut world.nodes {
                other.bootstrap_servers.retain(|server| server.host != address.host);
                other.bootstrap_servers.push(address.clone());
            }
        }
    }
    for node in 0..world.nodes.len() {
        if has_moved {
            world.crash(node);
            world.start(node)?;
        }
    }
    Ok(())
}

fn agree(world: &World) -> Checked {
    let roles: Vec<String> = world.nodes.iter().map(describe).collect();
    let [leader] = world.leaders()[..] else { return violated("liveness: one leader", roles.join("; ")) };
    let log = &world.nodes[leader].disk.log;
    for node in &world.nodes {
        let is_same = node.committed == log.end()
            && node.disk.log.chain_below(log.end()).is_some()
            && node.disk.log.chain_below(log.end()) == log.chain_below(log.end());
        if !is_same {
            return violated("liveness: all have everything", roles.join("; "));
        }
    }
    Ok(())
}

fn describe(node: &Node) -> String {
    let Some(raft) = &node.raft else { return format!("{} is down", node.id) };
    let voters: Vec<i32> = raft.voters().ids().map(|id| id.0).collect();
    let leader = match raft.role() {
        Role::Follower(follower) => follower.leader.0,
        _ => -1,
    };
    format!(
        "{} {} of {leader} epoch {} end {} committed {} voters {voters:?}",
        node.id,
        raft.role().name(),
        raft.epoch(),
        node.disk.log.end(),
        node.committed,
    )
}
