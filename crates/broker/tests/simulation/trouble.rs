//! Cuts of the network, nodes that die and come back, clocks that are wrong; disks that fail are in `disks.rs`.

use super::client::CLIENTS;
use super::disks::Sick;
use super::harness::cluster::Cluster;
use super::harness::network::Faults;
use super::said;
use super::shape::Shape;
use ottla_env::Clock as _;
use ottla_env_sim::{CrashMode, SeededRandom};
use ottla_protocol::messages::MetadataRequest;
use ottla_protocol::messages::metadata_response::MetadataResponseTopic;
use ottla_types::Timestamp;
use std::collections::BTreeMap;

pub(crate) struct Trouble {
    pub(super) shape: Shape,
    /// After how many steps the network is whole again.
    cut_for: Option<u64>,
    /// Who is dead, and after how many steps it comes back.
    dead: BTreeMap<i32, u64>,
    /// Nodes whose disk dies at some operation, and what is left of it then.
    dying: BTreeMap<i32, CrashMode>,
    /// Nodes with disks that fail, or are full.
    pub(super) sick: BTreeMap<i32, Sick>,
    /// A node has lost, or will have lost, what it had not synced, and may not have got it again.
    pub(super) has_lost: bool,
    pub(crate) crashes: usize,
    pub(crate) sick_disks: usize,
    pub(crate) cuts: usize,
}

impl Trouble {
    pub(crate) fn new(shape: &Shape, cluster: &mut Cluster, random: &SeededRandom) -> Self {
        cluster.network.set_faults(shape.faults);
        for pace in &mut cluster.paces {
            let drift = random.below(2 * shape.drift + 1);
            *pace = u32::try_from(1_000 + drift - shape.drift).unwrap();
        }
        Self {
            shape: shape.clone(),
            cut_for: None,
            dead: BTreeMap::new(),
            dying: BTreeMap::new(),
            sick: BTreeMap::new(),
            has_lost: false,
            crashes: 0,
            sick_disks: 0,
            cuts: 0,
        }
    }

    /// Lets something happen, by chance.
    pub(crate) fn advance(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let calm = self.shape.calm;
        match self.cut_for {
            None if random.below(calm) == 0 => {
                self.cut(cluster, random);
                self.cut_for = Some(20 + random.below(500));
            }
            Some(0) => {
                cluster.network.heal();
                self.cut_for = None;
            }
            other => self.cut_for = other.map(|left| left - 1),
        }
        self.bury(cluster, random);
        self.dead.values_mut().for_each(|left| *left = left.saturating_sub(1));
        self.look_after_disks(cluster, random);
        if random.below(calm) == 0 {
            self.kill(cluster, random);
        }
        if self.shape.fails_disks && random.below(calm) == 0 {
            self.sicken(cluster, random);
        }
        if self.shape.jumps && random.below(calm) == 0 {
            let clock = &cluster.world(self.some(cluster, random)).clock;
            let jump = i64::try_from(random.below(120_000)).unwrap() - 60_000;
            clock.set_wall(Timestamp(cluster.clock.wall().0 + jump));
        }
    }

    pub(super) fn some(&self, cluster: &Cluster, random: &SeededRandom) -> i32 {
        1 + i32::try_from(random.below(cluster.nodes.len() as u64)).unwrap()
    }

    fn cut(&mut self, cluster: &Cluster, random: &SeededRandom) {
        self.cuts += 1;
        let count = i32::try_from(cluster.nodes.len()).unwrap();
        let chosen = self.some(cluster, random);
        // Clients see the node in half of the cases: one that nobody sees does little harm.
        let clients = CLIENTS..CLIENTS + if random.below(2) == 0 { 20 } else { 0 };
        let [from, to] = [random.below(4) != 1, random.below(4) != 0];
        for other in (1..=count).chain(clients).filter(|other| *other != chosen) {
            if from || !to {
                cluster.network.cut(chosen, other);
            }
            if to {
                cluster.network.cut(other, chosen);
            }
            if random.below(4) == 0 {
                break;
            }
        }
    }

    /// A node dies now, or soon in the middle of something. Where records are not synced before they are acknowledged, only one
    /// may lose them until it has got them again: more could lose what was acknowledged, in Apache Kafka as here.
    fn kill(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let id = self.some(cluster, random);
        if !self.may_go(cluster, id) {
            return;
        }
        let may_lose = self.may_lose(cluster);
        if self.has_lost && !may_lose {
            return;
        }
        let loses = random.below(2) == 0 && may_lose;
        self.has_lost = loses && !self.shape.flushes;
        let mode = match (loses, random.below(2)) {
            (false, _) => CrashMode::KeepAll,
            (true, 0) => CrashMode::LoseAll,
            (true, _) => CrashMode::Some { seed: random.next() },
        };
        self.dying.insert(id, mode);
        let disk = &cluster.world(id).disk;
        // Most have something to write within the next moments; who has not dies without.
        let within = if self.shape.dies_within { random.below(40) } else { 0 };
        disk.die_at(disk.operations() + within);
        if within == 0 {
            self.end(cluster, random, id);
        }
    }

    /// Whether this node is well, and the cluster can do without it.
    pub(super) fn may_go(&self, cluster: &Cluster, id: i32) -> bool {
        let gone: Vec<i32> = self.dead.keys().chain(self.dying.keys()).chain(self.sick.keys()).copied().collect();
        !gone.contains(&id) && gone.len() < (cluster.nodes.len() - 1) / 2
    }

    /// Whether a node may lose what it has not synced.
    pub(super) fn may_lose(&self, cluster: &Cluster) -> bool {
        let nobody_does = self.dying.is_empty() && self.sick.is_empty();
        self.shape.flushes || nobody_does && is_whole(cluster)
    }

    fn end(&mut self, cluster: &mut Cluster, random: &SeededRandom, id: i32) {
        if let Some(mode) = self.dying.remove(&id) {
            self.end_as(cluster, random, id, mode);
        }
    }

    /// The node is dead from now on, and this is left of its disk.
    pub(super) fn end_as(&mut self, cluster: &mut Cluster, random: &SeededRandom, id: i32, mode: CrashMode) {
        self.crashes += 1;
        said::say(|| format!("== node {id} dies: {mode:?}"));
        cluster.crash(id, mode);
        self.dead.insert(id, 20 + random.below(500));
    }

    /// Those whose disks have died since the last step are dead, and those that have been it for long come back.
    fn bury(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let gone: Vec<i32> = self.dying.keys().copied().filter(|id| cluster.world(*id).disk.is_dead()).collect();
        for id in gone {
            self.end(cluster, random, id);
        }
        let back: Vec<i32> = self.dead.iter().filter(|(_, left)| **left == 0).map(|(id, _)| *id).collect();
        for id in back {
            said::say(|| format!("== node {id} comes back"));
            if self.comes_back(cluster, random, id) {
                self.dead.remove(&id);
            } else {
                self.dead.insert(id, 20 + random.below(500));
            }
        }
    }

    /// Nothing is wrong any more.
    pub(crate) fn finish(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        cluster.network.set_faults(Faults::default());
        cluster.network.heal();
        let dying: Vec<i32> = self.dying.keys().copied().collect();
        for id in dying {
            self.end(cluster, random, id);
        }
        self.replace_disks(cluster, random);
        for (id, _) in std::mem::take(&mut self.dead) {
            cluster.start_again(id);
        }
        cluster.paces.fill(1_000);
    }
}

/// As far as every node knows, all replicas are in sync. A node that is not running may stand among them since before it died.
pub(crate) fn is_whole(cluster: &Cluster) -> bool {
    let all_live = cluster.living_ids().count() == cluster.nodes.len();
    all_live && cluster.living_ids().all(|id| cluster.node(id).node.is_running() && lacks(cluster, id).is_empty())
}

/// The partitions of which a broker knows that they lack a leader or replicas in sync.
pub(crate) fn lacks(cluster: &Cluster, id: i32) -> Vec<String> {
    if !cluster.is_broker(id) {
        return Vec::new();
    }
    let answer = cluster.node(id).ask(&MetadataRequest { topics: None, ..Default::default() });
    let of_topic = |topic: MetadataResponseTopic| {
        let name = topic.name.unwrap_or_default();
        let lacking = topic
            .partitions
            .into_iter()
            .filter(|told| told.leader_id <= 0 || told.isr_nodes.len() != told.replica_nodes.len());
        lacking.map(move |told| format!("{name}-{}", told.partition_index))
    };
    answer.topics.into_iter().flat_map(of_topic).collect()
}
