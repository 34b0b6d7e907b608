//! Topics, log directories and segments.

use super::key;
use crate::key::Check::{AtLeast, Between, BetweenDoubles, Distinct, DistinctAndSome, EachOf, MinusOneOr, OneOf};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Class, Double, Int, List, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{High, Low, Medium};

/// Topics, log directories and segments.
pub(super) static KEYS: [ConfigKey; 56] = [
    key("auto.create.topics.enable", Boolean, Of("true"), High)
        .obeyed("Whether a client that asks for a missing topic brings it into being."),
    key("compression.gzip.level", Int, Of("-1"), Medium)
        .check(MinusOneOr(1, 9))
        .cluster_wide()
        .obeyed("The level where the broker compresses with gzip."),
    key("compression.lz4.level", Int, Of("9"), Medium)
        .check(Between(1, 17))
        .cluster_wide()
        .obeyed("The level where the broker compresses with LZ4."),
    key("compression.type", String, Of("producer"), High)
        .check(OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .cluster_wide()
        .obeyed("The codec in which batches are stored; producer keeps the producer's."),
    key("compression.zstd.level", Int, Of("3"), Medium)
        .check(Between(-131_072, 22))
        .cluster_wide()
        .obeyed("The level where the broker compresses with Zstandard."),
    key("cordoned.log.dirs", List, Of(""), Medium).check(Distinct).per_broker(),
    key("create.topic.policy.class.name", Class, Null, Low),
    key("default.replication.factor", Int, Of("1"), Medium)
        .obeyed("How many replicas a topic gets when its creator does not say."),
    key("delete.topic.enable", Boolean, Of("true"), High).obeyed("Whether topics can be deleted."),
    key("log.cleaner.backoff.ms", Long, Of("15000"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How long compaction rests when no log needs it."),
    key("log.cleaner.dedupe.buffer.size", Long, Of("134217728"), Medium)
        .cluster_wide()
        .obeyed("Bytes for the keys of the logs that are being compacted, all threads together."),
    key("log.cleaner.delete.retention.ms", Long, Of("86400000"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How long tombstones stay in a compacted log."),
    key("log.cleaner.enable", Boolean, Of("true"), Medium).obeyed("Whether logs are compacted at all."),
    key("log.cleaner.io.buffer.load.factor", Double, Of("0.9"), Medium)
        .cluster_wide()
        .obeyed("How full the memory for keys may get."),
    key("log.cleaner.io.buffer.size", Int, Of("524288"), Medium).check(AtLeast(0)).cluster_wide(),
    key("log.cleaner.io.max.bytes.per.second", Double, Of("1.7976931348623157E308"), Medium)
        .cluster_wide()
        .obeyed("How many bytes compaction may read and write in a second."),
    key("log.cleaner.max.compaction.lag.ms", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(1))
        .cluster_wide()
        .obeyed("How long a record may wait for compaction."),
    key("log.cleaner.min.cleanable.ratio", Double, Of("0.5"), Medium)
        .check(BetweenDoubles(0.0, 1.0))
        .cluster_wide()
        .obeyed("Which part of a log must be new for it to be compacted."),
    key("log.cleaner.min.compaction.lag.ms", Long, Of("0"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How long a record is safe from compaction."),
    key("log.cleaner.threads", Int, Of("1"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How many logs are compacted at a time."),
    key("log.cleanup.policy", List, Of("delete"), Medium)
        .check(EachOf(&["compact", "delete"]))
        .cluster_wide()
        .obeyed("What is done with old segments: delete, compact, both or (empty) nothing."),
    key("log.dir", List, Of("/tmp/kafka-logs"), High)
        .check(DistinctAndSome)
        .obeyed("One directory for partitions; log.dirs wins."),
    key("log.dir.failure.timeout.ms", Long, Of("30000"), Low)
        .check(AtLeast(1))
        .obeyed("How long it may take to tell the active controller of a failed log directory; then the process ends."),
    key("log.dirs", List, Null, High)
        .check(DistinctAndSome)
        .obeyed("The directories for partitions, separated by commas."),
    key("log.flush.interval.messages", Long, Of("9223372036854775807"), High).check(AtLeast(1)).cluster_wide().obeyed(
        "How many records may wait before they are forced to disk; 1: none is acknowledged before it is on disk.",
    ),
    key("log.flush.interval.ms", Long, Null, High)
        .cluster_wide()
        .obeyed("How long a record may wait before it is forced to disk; unset, log.flush.scheduler.interval.ms."),
    key("log.flush.offset.checkpoint.interval.ms", Int, Of("60000"), High)
        .check(AtLeast(0))
        .obeyed("How often the offsets from which recovery must start are written down."),
    key("log.flush.scheduler.interval.ms", Long, Of("9223372036854775807"), High)
        .obeyed("How often the broker looks for partitions to force to disk."),
    key("log.flush.start.offset.checkpoint.interval.ms", Int, Of("60000"), High).check(AtLeast(0)),
    key("log.index.interval.bytes", Int, Of("4096"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How many bytes of records lie between two entries of an index."),
    key("log.index.size.max.bytes", Int, Of("10485760"), Medium)
        .check(AtLeast(4))
        .cluster_wide()
        .obeyed("The largest size of an offset index or a time index."),
    key("log.initial.task.delay.ms", Long, Of("30000"), Low)
        .check(AtLeast(0))
        .internal()
        .obeyed("When retention and checkpoints have their first turn after the start."),
    key("log.local.retention.bytes", Long, Of("-2"), Medium).check(AtLeast(-2)).cluster_wide(),
    key("log.local.retention.ms", Long, Of("-2"), Medium).check(AtLeast(-2)).cluster_wide(),
    key("log.message.timestamp.after.max.ms", Long, Of("3600000"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How far a producer's timestamp may lie in the future."),
    key("log.message.timestamp.before.max.ms", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How far a producer's timestamp may lie in the past."),
    key("log.message.timestamp.type", String, Of("CreateTime"), Medium)
        .check(OneOf(&["CreateTime", "LogAppendTime"]))
        .cluster_wide()
        .obeyed("Whether a record bears the time of its producer or that of the append."),
    key("log.preallocate", Boolean, Of("false"), Medium)
        .cluster_wide()
        .obeyed("Whether a new segment takes its whole size on disk at once."),
    key("log.remote.copy.lag.bytes", Long, Of("-1"), Medium).check(AtLeast(-1)).cluster_wide(),
    key("log.remote.copy.lag.ms", Long, Of("0"), Medium).check(AtLeast(-1)).cluster_wide(),
    key("log.retention.bytes", Long, Of("-1"), High)
        .cluster_wide()
        .obeyed("How many bytes of a partition are kept; -1 is all."),
    key("log.retention.check.interval.ms", Long, Of("300000"), Medium)
        .check(AtLeast(1))
        .obeyed("How often the broker looks for segments to delete."),
    key("log.retention.hours", Int, Of("168"), High)
        .obeyed("How long records are kept, where the two finer keys are unset."),
    key("log.retention.minutes", Int, Null, High).obeyed("How long records are kept, where log.retention.ms is unset."),
    key("log.retention.ms", Long, Null, High).cluster_wide().obeyed("How long records are kept; -1 is forever."),
    key("log.roll.hours", Int, Of("168"), High)
        .check(AtLeast(1))
        .obeyed("The age at which a segment is closed, where log.roll.ms is unset."),
    key("log.roll.jitter.hours", Int, Of("0"), High)
        .check(AtLeast(0))
        .obeyed("As log.roll.jitter.ms, where that is unset."),
    key("log.roll.jitter.ms", Long, Null, High)
        .cluster_wide()
        .obeyed("How much of log.roll.ms is taken off at random, so that segments do not close all at once."),
    key("log.roll.ms", Long, Null, High).cluster_wide().obeyed("The age at which a segment is closed."),
    key("log.segment.bytes", Int, Of("1073741824"), High)
        .check(AtLeast(1_048_576))
        .cluster_wide()
        .obeyed("The size at which a segment is closed."),
    key("log.segment.delete.delay.ms", Long, Of("60000"), High)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How long the files of a deleted segment stay, renamed, for readers that are still on them."),
    key("max.decompressed.message.bytes", Int, Of("2147483639"), Medium)
        .check(Between(1, 2_147_483_639))
        .cluster_wide()
        .obeyed("The largest size of a batch of records once decompressed."),
    key("message.max.bytes", Int, Of("1048588"), High)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("The largest batch of records, its header included."),
    key("min.insync.replicas", Int, Of("1"), High)
        .check(AtLeast(1))
        .cluster_wide()
        .obeyed("How many in-sync replicas an acks=all produce needs."),
    key("num.partitions", Int, Of("1"), Medium)
        .check(AtLeast(1))
        .obeyed("How many partitions a topic gets when its creator does not say."),
    key("num.recovery.threads.per.data.dir", Int, Of("2"), High)
        .check(AtLeast(1))
        .cluster_wide()
        .obeyed("How many threads a log directory has for loading and recovery at start-up."),
];
