//! Disks that fail: calls that end in errors, once or from some moment on, in one directory of a node or in the one with its
//! metadata; disks that are full for a while. A node goes on with the directories that are left, as Apache Kafka's do, or ends where
//! its metadata can't be written any more, and comes back with another disk.

use super::harness::cluster::Cluster;
use super::said;
use super::trouble::Trouble;
use ottla_env::DiskOperation;
use ottla_env_sim::{CrashMode, Fault, FaultKind, SeededRandom};
use std::path::Path;

/// A node's disk that is not well.
pub(crate) struct Sick {
    ailment: Ailment,
    /// After how many steps somebody looks after it.
    left: u64,
    /// What is left of it when the node ends.
    mode: CrashMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ailment {
    /// There is no room. Records are refused until there is some again; no directory is lost.
    Full,
    /// Calls end in errors.
    Failing,
}

/// What can fail.
const OPERATIONS: [DiskOperation; 7] = [
    DiskOperation::Write,
    DiskOperation::Sync,
    DiskOperation::Read,
    DiskOperation::Create,
    DiskOperation::Rename,
    DiskOperation::Remove,
    DiskOperation::List,
];

impl Trouble {
    /// A disk begins to fail, or is full. Where records are not synced before they are acknowledged, a failure loses some: as with
    /// nodes that lose power only one may, until it has got them again.
    pub(super) fn sicken(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let id = self.some(cluster, random);
        if !self.may_go(cluster, id) {
            return;
        }
        // A full disk may end a node, and the one that has lost records may be all that is in sync then.
        let may_lose = self.may_lose(cluster);
        if self.has_lost && !may_lose {
            return;
        }
        let left = 20 + random.below(500);
        if random.below(3) == 0 {
            let disk = &cluster.world(id).disk;
            disk.set_capacity(disk.used() + random.below(4_000));
            // What it hears of the metadata must find room, else it ends.
            cluster.failing.insert(id);
            said::say(|| format!("== the disk of node {id} is full"));
            self.sick_disks += 1;
            self.sick.insert(id, Sick { ailment: Ailment::Full, left, mode: CrashMode::KeepAll });
            return;
        }
        if !may_lose {
            return;
        }
        self.has_lost = !self.shape.flushes;
        self.fail(cluster, random, id, left);
    }

    fn fail(&mut self, cluster: &mut Cluster, random: &SeededRandom, id: i32, left: u64) {
        let pick = |count: usize| usize::try_from(random.below(count as u64)).unwrap();
        let directory = cluster.directories()[pick(cluster.directories().len())];
        let fault = Fault {
            operation: OPERATIONS[pick(OPERATIONS.len())],
            after: random.below(20),
            times: if random.below(2) == 0 { 1 } else { u64::MAX },
            kind: FaultKind::Error,
        };
        if directory == cluster.directories()[0] {
            cluster.failing.insert(id);
        }
        cluster.world(id).disk.inject_under(Path::new(directory), fault);
        said::say(|| format!("== the disk of node {id} fails: {directory} {fault:?}"));
        let mode = match random.below(3) {
            0 => CrashMode::KeepAll,
            1 => CrashMode::LoseAll,
            _ => CrashMode::Some { seed: random.next() },
        };
        self.sick_disks += 1;
        self.sick.insert(id, Sick { ailment: Ailment::Failing, left, mode });
    }

    /// Nodes that have given up are dead, and disks are replaced after a while.
    pub(super) fn look_after_disks(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let mut cured = Vec::new();
        for (id, sick) in &mut self.sick {
            let node = &cluster.node(*id).node;
            let (failure, problems) = (node.failure(), node.problems());
            let is_harmless = sick.ailment == Ailment::Full;
            assert!(!is_harmless || problems.is_empty(), "a full disk has cost node {id} a directory: {problems:?}");
            sick.left = sick.left.saturating_sub(1);
            if failure.is_some() || sick.left == 0 {
                cured.push(*id);
            }
        }
        for id in cured {
            self.cure(cluster, random, id);
        }
    }

    /// A disk that has cost something is replaced, for which the node is stopped; another one is well again.
    fn cure(&mut self, cluster: &mut Cluster, random: &SeededRandom, id: i32) {
        let Some(sick) = self.sick.remove(&id) else { return };
        let node = &cluster.node(id).node;
        let is_hurt = node.failure().is_some() || !node.problems().is_empty();
        cluster.world(id).disk.mend();
        cluster.failing.remove(&id);
        if is_hurt {
            self.end_as(cluster, random, id, sick.mode);
        }
    }

    /// Nothing fails any more.
    pub(super) fn replace_disks(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let sick: Vec<i32> = self.sick.keys().copied().collect();
        for id in sick {
            self.cure(cluster, random, id);
        }
    }

    /// Starts a node, now and then on a disk that fails in the middle of that. Says whether it has come up.
    pub(super) fn comes_back(&mut self, cluster: &mut Cluster, random: &SeededRandom, id: i32) -> bool {
        // What a failed sync loses of a log that is not in sync yet is nothing that was acknowledged, if others have synced it.
        if !(self.shape.fails_disks && self.shape.flushes) || random.below(6) != 0 {
            cluster.start_again(id);
            return true;
        }
        self.fail(cluster, random, id, 20 + random.below(500));
        match cluster.try_start_again(id) {
            Ok(()) => true,
            Err(error) => {
                said::say(|| format!("== node {id} does not come up: {error}"));
                assert!(
                    cluster.failing.remove(&id),
                    "node {id} does not come up without a directory for records: {error}"
                );
                if let Some(sick) = self.sick.remove(&id) {
                    cluster.world(id).disk.crash(sick.mode);
                }
                false
            }
        }
    }
}
