//! What one run is like; drawn from its seed.

use super::harness::cluster::{Plan, Voters};
use super::harness::network::Faults;
use ottla_env_sim::SeededRandom;

#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) plan: Plan,
    pub(crate) faults: Faults,
    /// Records are on the disks of all in-sync replicas before they are acknowledged: then any number of nodes may lose power.
    pub(crate) flushes: bool,
    /// On average so many steps lie between two troubles of a kind.
    pub(crate) calm: u64,
    /// The clocks of nodes go up to so many thousandths too fast or too slow.
    pub(crate) drift: u64,
    /// Whether wall clocks jump.
    pub(crate) jumps: bool,
    /// Whether nodes die in the middle of what they write.
    pub(crate) dies_within: bool,
    /// Whether disks fail, or are full for a while.
    pub(crate) fails_disks: bool,
}

/// What every node has in its properties: the times of a cluster that is in a hurry, and few partitions of internal topics.
const PROPERTIES: &str = "\
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
replica.lag.time.max.ms=2000
replica.socket.timeout.ms=2000
controller.socket.timeout.ms=2000
controller.quorum.request.timeout.ms=500
controller.quorum.fetch.timeout.ms=900
controller.quorum.election.timeout.ms=400
controller.quorum.election.backoff.max.ms=300
min.insync.replicas=2
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.min.session.timeout.ms=1000
group.initial.rebalance.delay.ms=100
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=2500
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=200
log.retention.check.interval.ms=700
log.initial.task.delay.ms=500
log.flush.offset.checkpoint.interval.ms=1500
replica.high.watermark.checkpoint.interval.ms=1000
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=1100000
";

impl Shape {
    pub(crate) fn draw(seed: u64, random: &SeededRandom) -> Self {
        let (count, voters) = match random.below(6) {
            0 => (3, Voters::First),
            1 => (3, Voters::Static),
            2 => (3, Voters::Dynamic(3)),
            3 => (4, Voters::Separate(1)),
            4 => (6, Voters::Separate(3)),
            _ => (5, Voters::Dynamic(5)),
        };
        let flushes = random.below(2) == 0;
        let mut properties = PROPERTIES.to_owned();
        if flushes {
            properties.push_str("log.flush.interval.messages=1\n");
        }
        if random.below(2) == 0 {
            properties
                .push_str("metadata.log.max.record.bytes.between.snapshots=4000\nmetadata.max.retention.bytes=6000\n");
        }
        let directories: &[&str] = if random.below(2) == 0 { &["/data", "/more"] } else { &["/data"] };
        Self {
            plan: Plan { seed, properties, directories, ..Plan::new(count, voters) },
            faults: Faults { breaks: random.below(25), delay_ms: random.below(25), slow: random.below(40) },
            flushes,
            calm: 250 + random.below(800),
            drift: if random.below(2) == 0 { random.below(80) } else { 0 },
            jumps: random.below(3) == 0,
            dies_within: random.below(2) == 0,
            fails_disks: random.below(2) == 0,
        }
    }
}
