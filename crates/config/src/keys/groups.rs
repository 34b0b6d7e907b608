//! Groups of every kind and their offsets.

use super::key;
use crate::key::Check::{AtLeast, Between, Distinct, DistinctAndSome, OneOfIgnoringCase, SomeOf};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Class, Int, List, Long, Short, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{High, Low, Medium};

/// Groups of every kind and their offsets.
pub(super) static KEYS: [ConfigKey; 94] = [
    key("errors.deadletterqueue.auto.create.topics.enable", Boolean, Of("false"), Medium).cluster_wide(),
    key("errors.deadletterqueue.topic.name.prefix", String, Of("dlq."), Medium).cluster_wide(),
    key("group.consumer.assignment.interval.ms", Int, Of("1000"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How far apart target assignments of a consumer group are at least."),
    key("group.consumer.assignor.offload.enable", Boolean, Of("true"), Medium).cluster_wide().internal(),
    key("group.consumer.assignors", List, Of("uniform,range"), Medium)
        .check(DistinctAndSome)
        .obeyed("The assignors of consumer groups; the first is that of members that name none."),
    key("group.consumer.heartbeat.interval.ms", Int, Of("5000"), Medium)
        .check(AtLeast(1))
        .obeyed("How often a member of a consumer group must be heard of."),
    key("group.consumer.max.assignment.interval.ms", Int, Of("15000"), Medium)
        .check(AtLeast(0))
        .obeyed("The longest assignment interval that a group's configuration may set."),
    key("group.consumer.max.heartbeat.interval.ms", Int, Of("15000"), Medium)
        .check(AtLeast(1))
        .obeyed("The longest heartbeat interval that a group's configuration may set."),
    key("group.consumer.max.session.timeout.ms", Int, Of("60000"), Medium)
        .check(AtLeast(1))
        .obeyed("The longest session timeout that a group's configuration may set."),
    key("group.consumer.max.size", Int, Of("2147483647"), Medium)
        .check(AtLeast(1))
        .obeyed("How many members a consumer group may have."),
    key("group.consumer.migration.policy", String, Of("bidirectional"), Medium)
        .check(OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]))
        .obeyed("Which way a group with members may change its protocol: upgrade, downgrade, both or neither."),
    key("group.consumer.min.assignment.interval.ms", Int, Of("0"), Medium)
        .check(AtLeast(0))
        .obeyed("The shortest assignment interval that a group's configuration may set."),
    key("group.consumer.min.heartbeat.interval.ms", Int, Of("5000"), Medium)
        .check(AtLeast(1))
        .obeyed("The shortest heartbeat interval that a group's configuration may set."),
    key("group.consumer.min.session.timeout.ms", Int, Of("45000"), Medium)
        .check(AtLeast(1))
        .obeyed("The shortest session timeout that a group's configuration may set."),
    key("group.consumer.regex.refresh.interval.ms", Int, Of("600000"), Medium).check(AtLeast(10000)).internal(),
    key("group.consumer.session.timeout.ms", Int, Of("45000"), Medium)
        .check(AtLeast(1))
        .obeyed("How long a member of a consumer group may be silent."),
    key("group.coordinator.append.linger.ms", Int, Of("-1"), Medium).check(AtLeast(-1)),
    key("group.coordinator.background.threads", Int, Of("2"), High).check(AtLeast(1)),
    key("group.coordinator.cached.buffer.max.bytes", Int, Of("1048588"), Medium).check(AtLeast(524_288)).cluster_wide(),
    key("group.coordinator.rebalance.protocols", List, Of("classic,consumer,streams"), Medium)
        .check(SomeOf(&["consumer", "classic", "share", "streams"]))
        .obeyed("The protocols that groups may use; classic, and consumer where it is named."),
    key("group.coordinator.threads", Int, Of("4"), High).check(AtLeast(1)),
    key("group.initial.rebalance.delay.ms", Int, Of("3000"), Medium)
        .obeyed("How long an empty classic group waits for more members before its first rebalance."),
    key("group.max.session.timeout.ms", Int, Of("1800000"), Medium)
        .obeyed("The longest session timeout a member of a classic group may ask for."),
    key("group.max.size", Int, Of("2147483647"), Medium)
        .check(AtLeast(1))
        .obeyed("How many members a classic group may have."),
    key("group.min.session.timeout.ms", Int, Of("6000"), Medium)
        .obeyed("The shortest session timeout a member of a classic group may ask for."),
    key("group.share.assignment.interval.ms", Int, Of("1000"), Medium).check(AtLeast(0)).cluster_wide(),
    key("group.share.assignor.offload.enable", Boolean, Of("true"), Medium).cluster_wide().internal(),
    key("group.share.assignors", List, Of("simple"), Medium).check(DistinctAndSome),
    key("group.share.delivery.count.limit", Int, Of("5"), Medium).check(Between(2, 10)),
    key(
        "group.share.dlq.manager.class.name",
        String,
        Of("org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager"),
        Medium,
    )
    .internal(),
    key("group.share.heartbeat.interval.ms", Int, Of("5000"), Medium).check(AtLeast(1)),
    key("group.share.initialize.retry.interval.ms", Int, Of("30000"), Low).check(AtLeast(1)).internal(),
    key("group.share.max.assignment.interval.ms", Int, Of("15000"), Medium).check(AtLeast(0)),
    key("group.share.max.delivery.count.limit", Int, Of("10"), Medium).check(Between(5, 25)),
    key("group.share.max.heartbeat.interval.ms", Int, Of("15000"), Medium).check(AtLeast(1)),
    key("group.share.max.partition.max.record.locks", Int, Of("4000"), Medium).check(Between(2000, 10000)),
    key("group.share.max.record.lock.duration.ms", Int, Of("60000"), Medium).check(Between(30000, 3_600_000)),
    key("group.share.max.session.timeout.ms", Int, Of("60000"), Medium).check(AtLeast(1)),
    key("group.share.max.share.sessions", Int, Of("2000"), Medium).check(AtLeast(1)),
    key("group.share.max.size", Int, Of("200"), Medium).check(Between(1, 1000)),
    key("group.share.min.assignment.interval.ms", Int, Of("0"), Medium).check(AtLeast(0)),
    key("group.share.min.delivery.count.limit", Int, Of("2"), Medium).check(Between(2, 5)),
    key("group.share.min.heartbeat.interval.ms", Int, Of("5000"), Medium).check(AtLeast(1)),
    key("group.share.min.partition.max.record.locks", Int, Of("100"), Medium).check(Between(100, 2000)),
    key("group.share.min.record.lock.duration.ms", Int, Of("15000"), Medium).check(Between(1000, 30000)),
    key("group.share.min.session.timeout.ms", Int, Of("45000"), Medium).check(AtLeast(1)),
    key("group.share.partition.max.record.locks", Int, Of("2000"), Medium).check(Between(100, 10000)),
    key(
        "group.share.persister.class.name",
        String,
        Of("org.apache.kafka.server.share.persister.DefaultStatePersister"),
        Medium,
    )
    .internal(),
    key("group.share.record.lock.duration.ms", Int, Of("30000"), Medium).check(Between(1000, 3_600_000)),
    key("group.share.session.timeout.ms", Int, Of("45000"), Medium).check(AtLeast(1)),
    key("group.streams.acceptable.recovery.lag", Long, Of("10000"), Medium).check(AtLeast(0)).internal(),
    key("group.streams.assignment.interval.ms", Int, Of("1000"), Medium).check(AtLeast(0)).cluster_wide(),
    key("group.streams.assignor.offload.enable", Boolean, Of("true"), Medium).cluster_wide().internal(),
    key("group.streams.assignors", List, Of("sticky"), Medium).check(DistinctAndSome),
    key("group.streams.heartbeat.interval.ms", Int, Of("5000"), Medium).check(AtLeast(1)),
    key("group.streams.initial.rebalance.delay.ms", Int, Of("3000"), Medium).check(AtLeast(0)),
    key("group.streams.max.assignment.interval.ms", Int, Of("15000"), Medium).check(AtLeast(0)),
    key("group.streams.max.heartbeat.interval.ms", Int, Of("15000"), Medium).check(AtLeast(1)),
    key("group.streams.max.session.timeout.ms", Int, Of("60000"), Medium).check(AtLeast(1)),
    key("group.streams.max.size", Int, Of("2147483647"), Medium).check(AtLeast(1)),
    key("group.streams.max.standby.replicas", Int, Of("2"), Medium).check(AtLeast(0)),
    key("group.streams.max.warmup.replicas", Int, Of("20"), Medium).check(AtLeast(0)).internal(),
    key("group.streams.min.assignment.interval.ms", Int, Of("0"), Medium).check(AtLeast(0)),
    key("group.streams.min.heartbeat.interval.ms", Int, Of("5000"), Medium).check(AtLeast(1)),
    key("group.streams.min.session.timeout.ms", Int, Of("45000"), Medium).check(AtLeast(1)),
    key("group.streams.min.task.offset.interval.ms", Int, Of("15000"), Medium).check(AtLeast(1)).internal(),
    key("group.streams.num.standby.replicas", Int, Of("0"), Medium).check(AtLeast(0)),
    key("group.streams.num.warmup.replicas", Int, Of("2"), Medium).check(AtLeast(0)).internal(),
    key("group.streams.rack.aware.assignment.tags", List, Of(""), Low).check(Distinct),
    key("group.streams.session.timeout.ms", Int, Of("45000"), Medium).check(AtLeast(1)),
    key("group.streams.task.offset.interval.ms", Int, Of("60000"), Medium).check(AtLeast(1)).internal(),
    key("group.streams.topology.description.plugin.class", Class, Null, Medium),
    key("offset.metadata.max.bytes", Int, Of("4096"), High)
        .obeyed("The longest text a client may store with a committed offset."),
    key("offsets.commit.timeout.ms", Int, Of("5000"), High)
        .check(AtLeast(1))
        .obeyed("How long a group's record may take to be replicated before the client is told that it failed."),
    key("offsets.load.buffer.size", Int, Of("5242880"), High)
        .check(AtLeast(1))
        .obeyed("How many bytes are read at a time when a broker loads groups."),
    key("offsets.retention.check.interval.ms", Long, Of("600000"), High)
        .check(AtLeast(1))
        .obeyed("How often the broker looks for offsets to forget."),
    key("offsets.retention.minutes", Int, Of("10080"), High)
        .check(AtLeast(1))
        .obeyed("How long committed offsets live after their group is empty."),
    key("offsets.topic.compression.codec", Int, Of("0"), High).obeyed(
        "The codec of batches of the topic of groups and offsets: 0 none, 1 gzip, 2 snappy, 3 LZ4, 4 Zstandard.",
    ),
    key("offsets.topic.num.partitions", Int, Of("50"), High)
        .check(AtLeast(1))
        .obeyed("How many partitions the topic of groups and offsets gets."),
    key("offsets.topic.replication.factor", Short, Of("3"), High)
        .check(AtLeast(1))
        .obeyed("How many replicas the topic of groups and offsets gets."),
    key("offsets.topic.segment.bytes", Int, Of("104857600"), High)
        .check(AtLeast(1))
        .obeyed("The size at which a segment of the topic of groups and offsets is closed."),
    key("share.coordinator.append.linger.ms", Int, Of("-1"), Medium).check(AtLeast(-1)),
    key("share.coordinator.cached.buffer.max.bytes", Int, Of("1048588"), Medium).check(AtLeast(524_288)).cluster_wide(),
    key("share.coordinator.cold.partition.snapshot.interval.ms", Int, Of("300000"), Low).check(AtLeast(1)).internal(),
    key("share.coordinator.load.buffer.size", Int, Of("5242880"), High).check(AtLeast(1)),
    key("share.coordinator.snapshot.update.records.per.snapshot", Int, Of("500"), Medium).check(Between(0, 500)),
    key("share.coordinator.state.topic.compression.codec", Int, Of("0"), High),
    key("share.coordinator.state.topic.min.isr", Short, Of("2"), High).check(AtLeast(1)),
    key("share.coordinator.state.topic.num.partitions", Int, Of("50"), High).check(AtLeast(1)),
    key("share.coordinator.state.topic.prune.interval.ms", Int, Of("300000"), Low).check(AtLeast(1)).internal(),
    key("share.coordinator.state.topic.replication.factor", Short, Of("3"), High).check(AtLeast(1)),
    key("share.coordinator.state.topic.segment.bytes", Int, Of("104857600"), High).check(AtLeast(1)),
    key("share.coordinator.threads", Int, Of("1"), Medium).check(AtLeast(1)),
    key("share.coordinator.write.timeout.ms", Int, Of("5000"), High).check(AtLeast(1)),
];
