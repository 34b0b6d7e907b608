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
    key("auto.leader.rebalance.enable", Boolean, Of("true"), High),
    key("follower.fetch.last.tiered.offset.enable", Boolean, Of("false"), Medium).cluster_wide(),
    key("leader.imbalance.check.interval.seconds", Long, Of("300"), High).check(AtLeast(1)),
    key("num.replica.alter.log.dirs.threads", Int, Null, High),
    key("num.replica.fetchers", Int, Of("1"), High).check(AtLeast(1)).cluster_wide(),
    key("replica.fetch.backoff.ms", Int, Of("1000"), Medium).check(AtLeast(0)),
    key("replica.fetch.max.bytes", Int, Of("1048576"), Medium).check(AtLeast(0)),
    key("replica.fetch.min.bytes", Int, Of("1"), High),
    key("replica.fetch.response.max.bytes", Int, Of("10485760"), Medium).check(AtLeast(0)),
    key("replica.fetch.wait.max.ms", Int, Of("500"), High),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Of("5000"), High)
        .obeyed("How often high watermarks are written down."),
    key("replica.lag.time.max.ms", Long, Of("30000"), High),
    key("replica.selector.class", String, Null, Medium),
    key("replica.socket.receive.buffer.bytes", Int, Of("65536"), High),
    key("replica.socket.timeout.ms", Int, Of("30000"), High),
    key("replication.quota.window.num", Int, Of("11"), Low).check(AtLeast(1)),
    key("replication.quota.window.size.seconds", Int, Of("1"), Low).check(AtLeast(1)),
    key("unclean.leader.election.enable", Boolean, Of("false"), High)
        .cluster_wide()
        .obeyed("Whether a replica that is not in sync may become leader, at the price of lost records."),
    key("unclean.leader.election.interval.ms", Long, Of("300000"), Medium).check(AtLeast(1)).internal(),
];
