//! Groups, client metrics, and quotas: everything but brokers and topics that can be configured.

use super::key;
use crate::key::Check::{AtLeast, Distinct, OffsetReset, OneOf};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Double, Int, List, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{Low, Medium};

/// The keys of a group.
pub(super) static GROUP: [ConfigKey; 27] = [
    key("consumer.assignment.interval.ms", Int, Of("1000"), Medium)
        .check(AtLeast(0))
        .obeyed("How far apart target assignments of the group are at least."),
    key("consumer.assignor.offload.enable", Boolean, Of("true"), Medium).internal(),
    key("consumer.heartbeat.interval.ms", Int, Of("5000"), Medium)
        .check(AtLeast(1))
        .obeyed("How often a member of the group must be heard of."),
    key("consumer.session.timeout.ms", Int, Of("45000"), Medium)
        .check(AtLeast(1))
        .obeyed("How long a member of the group may be silent."),
    key("errors.deadletterqueue.copy.record.enable", Boolean, Of("false"), Medium),
    key("errors.deadletterqueue.topic.name", String, Of(""), Medium),
    key("share.assignment.interval.ms", Int, Of("1000"), Medium).check(AtLeast(0)),
    key("share.assignor.offload.enable", Boolean, Of("true"), Medium).internal(),
    key("share.auto.offset.reset", String, Of("latest"), Medium).check(OffsetReset),
    key("share.delivery.count.limit", Int, Of("5"), Medium).check(AtLeast(2)),
    key("share.heartbeat.interval.ms", Int, Of("5000"), Medium).check(AtLeast(1)),
    key("share.isolation.level", String, Of("read_uncommitted"), Medium)
        .check(OneOf(&["read_committed", "read_uncommitted"])),
    key("share.partition.max.record.locks", Int, Of("2000"), Medium).check(AtLeast(100)),
    key("share.record.lock.duration.ms", Int, Of("30000"), Medium).check(AtLeast(1000)),
    key("share.renew.acknowledge.enable", Boolean, Of("true"), Medium),
    key("share.session.timeout.ms", Int, Of("45000"), Medium).check(AtLeast(1)),
    key("streams.acceptable.recovery.lag", Long, Of("10000"), Medium).check(AtLeast(0)).internal(),
    key("streams.assignment.interval.ms", Int, Of("1000"), Medium).check(AtLeast(0)),
    key("streams.assignor.name", String, Null, Medium),
    key("streams.assignor.offload.enable", Boolean, Of("true"), Medium).internal(),
    key("streams.heartbeat.interval.ms", Int, Of("5000"), Medium).check(AtLeast(1)),
    key("streams.initial.rebalance.delay.ms", Int, Of("3000"), Medium).check(AtLeast(0)),
    key("streams.num.standby.replicas", Int, Of("0"), Medium).check(AtLeast(0)),
    key("streams.num.warmup.replicas", Int, Of("2"), Medium).check(AtLeast(0)).internal(),
    key("streams.rack.aware.assignment.tags", List, Of(""), Low).check(Distinct),
    key("streams.session.timeout.ms", Int, Of("45000"), Medium).check(AtLeast(1)),
    key("streams.task.offset.interval.ms", Int, Of("60000"), Medium).check(AtLeast(1)).internal(),
];

/// The keys of a client metrics subscription.
pub(super) static CLIENT_METRICS: [ConfigKey; 3] = [
    key("interval.ms", Int, Of("300000"), Medium).obeyed("How often clients push the metrics."),
    key("match", List, Of(""), Medium)
        .check(Distinct)
        .obeyed("Which clients are meant, as regular expressions of their attributes; all when it is empty."),
    key("metrics", List, Of(""), Medium)
        .check(Distinct)
        .obeyed("The beginnings of the names of metrics that clients push; `*` for all."),
];

/// The replication throttles of a broker.
pub(super) static BROKER_QUOTA: [ConfigKey; 3] = [
    key("follower.replication.throttled.rate", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .obeyed("How many bytes per second a broker fetches for throttled replicas that are not in sync."),
    key("leader.replication.throttled.rate", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .obeyed("How many bytes per second a broker gives to throttled replicas that are not in sync."),
    key("replica.alter.log.dirs.io.max.bytes.per.second", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How many bytes per second a move between log directories copies."),
];

/// The quotas of users and clients, and the SCRAM credentials of users.
pub(super) static USER_CLIENT_QUOTA: [ConfigKey; 6] = [
    key("SCRAM-SHA-256", String, Null, Medium),
    key("SCRAM-SHA-512", String, Null, Medium),
    key("consumer_byte_rate", Long, Of("9223372036854775807"), Medium),
    key("controller_mutation_rate", Double, Of("2.147483647E9"), Medium),
    key("producer_byte_rate", Long, Of("9223372036854775807"), Medium),
    key("request_percentage", Double, Of("2.147483647E9"), Medium),
];

/// The quotas of an address.
pub(super) static IP_QUOTA: [ConfigKey; 1] =
    [key("connection_creation_rate", Int, Of("2147483647"), Medium).check(AtLeast(0))];
