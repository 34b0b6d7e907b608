//! For how long nothing is acknowledged when a node dies or is cut off.

use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::broker::{Kind, Shop};
use crate::cluster::{Cluster, NODES, Place};
use crate::librdkafka::Writer;
use crate::probe::Probe;
use crate::report::{Better, Report};

/// Rounds on Ottla; Apache Kafka takes half a minute for each, so it has fewer unless it is told.
const ROUNDS: usize = 20;
const ROUNDS_OF_KAFKA: usize = 3;
/// Partitions that are led by the node that is struck.
const SIZES: [(i32, &str); 2] = [(1, "1 partition"), (1000, "1,000 partitions")];
/// Records a second of the client beside the probe.
const RATE: u32 = 500;
/// What a cluster is left alone for before it is struck.
const REST: Duration = Duration::from_millis(500);

/// Whom it hits, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strike {
    KillLeader,
    KillController,
    KillBoth,
    CutLeader,
    CutBoth,
}

const STRIKES: [(Strike, &str); 5] = [
    (Strike::KillLeader, "kill -9 of the leader"),
    (Strike::KillController, "kill -9 of the active controller, a follower"),
    (Strike::KillBoth, "kill -9 of the leader that is the active controller"),
    (Strike::CutLeader, "the leader is cut off"),
    (Strike::CutBoth, "the leader that is the active controller is cut off"),
];

/// Who is struck and who leads.
struct Cast {
    victim: usize,
    leader: usize,
}

impl Strike {
    fn cast(self, controller: usize, round: usize) -> Cast {
        let other = (controller + 1 + round % (NODES - 1)) % NODES;
        match self {
            Self::KillLeader | Self::CutLeader => Cast { victim: other, leader: other },
            Self::KillController => Cast { victim: controller, leader: other },
            Self::KillBoth | Self::CutBoth => Cast { victim: controller, leader: controller },
        }
    }

    /// With many partitions the strikes are left out that say nothing of how many the node led.
    fn is_of(self, partitions: i32) -> bool {
        partitions == 1 || !matches!(self, Self::KillController | Self::CutBoth)
    }

    fn cuts(self) -> bool {
        matches!(self, Self::CutLeader | Self::CutBoth)
    }
}

/// Both servers, one after the other, each on three nodes in network namespaces of their own.
pub fn compare(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    let wanted = crate::option_text("--strikes");
    for (partitions, size) in SIZES {
        for kind in crate::servers() {
            let rounds = match kind {
                Kind::Kafka => crate::option("--kafka-rounds", ROUNDS_OF_KAFKA)?,
                _ => crate::option("--rounds", ROUNDS)?,
            };
            let name = |strike: &str| format!("gap after {strike}, {size}");
            let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()));
            let strikes: Vec<(Strike, String)> = STRIKES.map(|(strike, text)| (strike, name(text))).into();
            let strikes: Vec<_> =
                strikes.into_iter().filter(|(strike, name)| strike.is_of(partitions) && is_wanted(name)).collect();
            if rounds == 0 || strikes.is_empty() {
                continue;
            }
            let mut cluster = shop.start_cluster(kind, Place::Namespaces)?;
            cluster.create_topic("struck", partitions, &[0, 1, 2])?;
            for (topic, nodes) in idle_topics() {
                cluster.create_topic(&topic, 1, &nodes)?;
            }
            for (strike, name) in &strikes {
                for round in 0..rounds {
                    eprintln!("{kind:?}: {name}, {} of {rounds}", round + 1);
                    one_round(&mut cluster, *strike, round, (partitions, name), report)?;
                }
            }
        }
    }
    Ok(())
}

/// Topics that nobody writes to, one led by each node: in no cluster does a follower fetch from a leader for the first time when
/// another one has died.
fn idle_topics() -> impl Iterator<Item = (String, [usize; NODES])> {
    (0..NODES).map(|leader| (format!("idle-{leader}"), led_by(leader)))
}

/// All nodes, beginning with the one that leads.
fn led_by(leader: usize) -> [usize; NODES] {
    std::array::from_fn(|step| (leader + step) % NODES)
}

fn one_round(
    cluster: &mut Cluster,
    strike: Strike,
    round: usize,
    (partitions, name): (i32, &str),
    report: &mut Report,
) -> Result<(), Failure> {
    let Cast { victim, leader } = strike.cast(cluster.active_controller()?, round);
    cluster.place("struck", partitions, &led_by(leader))?;
    for (topic, nodes) in idle_topics() {
        cluster.place(&topic, 1, &nodes)?;
    }
    // A thousand partitions have the probe's thousand requests at once beside them: no client more.
    let client = if partitions == 1 { Some(Writer::begin(&cluster.bootstrap(), "struck", 1, RATE)?) } else { None };
    let probe = Probe::begin(cluster, "struck", partitions, leader)?;
    thread::sleep(REST);
    if victim == leader {
        probe.struck(victim);
    }
    if strike.cuts() {
        cluster.cut(victim)?
    } else {
        cluster.kill(victim)?
    }
    if victim != leader {
        probe.struck(victim);
    }
    let gap = probe.gap();
    if strike.cuts() {
        cluster.heal(victim)?
    } else {
        cluster.launch(victim)?
    }
    let gap = gap?;
    eprintln!("  {gap:.0} ms");
    report.add(cluster.kind, name, "ms", Better::Less, gap);
    if let Some(client) = client {
        let written = client.finish()?;
        report.add(cluster.kind, &format!("{name}, seen by librdkafka"), "ms", Better::Less, written.gap_ms);
        if let Some(error) = written.failed.first() {
            return Err(Failure::from(format!("{} records failed: {error}", written.failed.len())));
        }
    }
    let survivor = (victim + 1) % NODES;
    cluster.wait_for_replicas(survivor, "struck", NODES)?;
    cluster.wait_until("all nodes serve", |cluster| Ok(cluster.alive()? == NODES))
}
