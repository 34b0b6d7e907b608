use super::harness::asking::partitions;
use super::harness::cluster::Cluster;
use super::harness::network::Faults;
use super::workload::topics_of;
use ottla_env_sim::{CrashMode, SeededRandom};

/// Cuts of the network, and nodes that die.
#[derive(Default)]
pub(crate) struct Trouble {
    /// After how many steps the network is whole again.
    cut_for: Option<u64>,
    /// Who is dead, and after how many steps it comes back.
    dead: Option<(i32, u64)>,
    /// A node has lost what it had not synced, and may not have got it again.
    has_lost: bool,
}

impl Trouble {
    /// Lets something happen, by chance; on average each kind every three seconds.
    pub(crate) fn advance(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        match self.cut_for {
            None if random.below(600) == 0 => {
                self.cut(cluster, random);
                self.cut_for = Some(50 + random.below(1_000));
            }
            Some(0) => {
                cluster.network.heal();
                self.cut_for = None;
            }
            other => self.cut_for = other.map(|left| left - 1),
        }
        match self.dead {
            None if random.below(600) == 0 => self.kill(cluster, random),
            Some((id, 0)) => {
                cluster.start_again(id);
                self.dead = None;
            }
            other => self.dead = other.map(|(id, left)| (id, left - 1)),
        }
    }

    fn cut(&self, cluster: &Cluster, random: &SeededRandom) {
        let ids = [1, 2, 3];
        let chosen = ids[usize::try_from(random.below(3)).unwrap()];
        for other in ids.into_iter().filter(|other| *other != chosen) {
            // From it, to it, or both; and sometimes only as far as one of the others is concerned.
            let kind = random.below(4);
            if kind != 1 {
                cluster.network.cut(chosen, other);
            }
            if kind != 0 {
                cluster.network.cut(other, chosen);
            }
            if random.below(4) == 0 {
                break;
            }
        }
    }

    /// A node dies. If it loses what it has not synced, no other one may die before it is in sync again: that could lose what was
    /// acknowledged, in Apache Kafka as here.
    fn kill(&mut self, cluster: &mut Cluster, random: &SeededRandom) {
        let id = 1 + i32::try_from(random.below(3)).unwrap();
        let is_whole = is_whole(cluster);
        if self.has_lost && !is_whole {
            return;
        }
        let loses = random.below(2) == 0 && is_whole;
        self.has_lost = loses;
        let mode = match (loses, random.below(2)) {
            (false, _) => CrashMode::KeepAll,
            (true, 0) => CrashMode::LoseAll,
            (true, _) => CrashMode::Some { seed: random.next() },
        };
        cluster.crash(id, mode);
        self.dead = Some((id, 100 + random.below(1_200)));
    }

    /// Nothing is wrong any more.
    pub(crate) fn end(&mut self, cluster: &mut Cluster) {
        cluster.network.set_faults(Faults::default());
        cluster.network.heal();
        if let Some((id, _)) = self.dead.take() {
            cluster.start_again(id);
        }
    }
}

/// As far as every node knows, all replicas are in sync. A node that is not running may stand among them since before it died.
fn is_whole(cluster: &Cluster) -> bool {
    cluster.living().all(|node| {
        let names = topics_of(node);
        let is_running = node.node.is_running();
        is_running && names.iter().all(|name| partitions(node, name).iter().all(|told| told.in_sync.len() == 3))
    })
}
