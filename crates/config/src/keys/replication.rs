//! Replicas, their throttles and elections.

use super::key;
use crate::key::Check::AtLeast;
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Int, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{High, Low, Medium};

/// Replicas, their throttles and elections.
pub(super) static KEYS: [ConfigKey; 21] = [
    key("alter.log.dirs.replication.quota.window.num", Int, Of("11"), Low).check(AtLeast(1)),
    key("alter.log.dirs.replication.quota.window.size.seconds", Int, Of("1"), Low).check(AtLeast(1)),
    key("auto.leader.rebalance.enable", Boolean, Of("true"), High)
        .obeyed("Whether partitions are led by their preferred replicas again once those are in sync."),
    key("follower.fetch.last.tiered.offset.enable", Boolean, Of("false"), Medium).cluster_wide(),
    key("leader.imbalance.check.interval.seconds", Long, Of("300"), High)
        .check(AtLeast(1))
        .obeyed("How often the active controller looks for partitions that are not led by their preferred replicas."),
    key("num.replica.alter.log.dirs.threads", Int, Null, High),
    key("num.replica.fetchers", Int, Of("1"), High)
        .check(AtLeast(1))
        .cluster_wide()
        .obeyed("How many connections fetch from each leader."),
    key("replica.fetch.backoff.ms", Int, Of("1000"), Medium)
        .check(AtLeast(0))
        .obeyed("How long a follower rests after a fetch that failed."),
    key("replica.fetch.max.bytes", Int, Of("1048576"), Medium)
        .check(AtLeast(0))
        .obeyed("How many bytes of one partition a follower asks for at once."),
    key("replica.fetch.min.bytes", Int, Of("1"), High)
        .obeyed("How many bytes the leader waits for before it answers a follower."),
    key("replica.fetch.response.max.bytes", Int, Of("10485760"), Medium)
        .check(AtLeast(0))
        .obeyed("How many bytes a follower asks for at once, over all partitions."),
    key("replica.fetch.wait.max.ms", Int, Of("500"), High)
        .obeyed("How long the leader lets a follower wait for replica.fetch.min.bytes."),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Of("5000"), High)
        .obeyed("How often high watermarks are written down."),
    key("replica.lag.time.max.ms", Long, Of("30000"), High).obeyed("How long a follower may lag and stay in sync."),
    key("replica.selector.class", String, Null, Medium).obeyed(
        "Which replica consumers are sent to: unset, the leader; \
         org.apache.kafka.common.replica.RackAwareReplicaSelector, one in their client.rack.",
    ),
    key("replica.socket.receive.buffer.bytes", Int, Of("65536"), High)
        .obeyed("The receive buffer of a connection that fetches from a leader; -1 leaves it to the operating system."),
    key("replica.socket.timeout.ms", Int, Of("30000"), High)
        .obeyed("How long a leader may take to answer a follower; it includes replica.fetch.wait.max.ms."),
    key("replication.quota.window.num", Int, Of("11"), Low)
        .check(AtLeast(1))
        .obeyed("Over how many windows of time the rates of replication throttles are counted."),
    key("replication.quota.window.size.seconds", Int, Of("1"), Low)
        .check(AtLeast(1))
        .obeyed("How long each of these windows is."),
    key("unclean.leader.election.enable", Boolean, Of("false"), High)
        .cluster_wide()
        .obeyed("Whether a replica that is not in sync may become leader, at the price of lost records."),
    key("unclean.leader.election.interval.ms", Long, Of("300000"), Medium)
        .check(AtLeast(1))
        .internal()
        .obeyed("How often leaders are elected for partitions without one whose topics allow unclean elections."),
];
