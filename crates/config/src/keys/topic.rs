//! Topics.

use super::{hours, key, minutes, same};
use crate::key::Check::{AtLeast, Between, BetweenDoubles, EachOf, MinusOneOr, OneOf, ThrottledReplicas};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Double, Int, List, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::Medium;

/// The keys of a topic.
pub(super) static KEYS: [ConfigKey; 38] = [
    key("cleanup.policy", List, Of("delete"), Medium)
        .check(EachOf(&["compact", "delete"]))
        .server(&[same("log.cleanup.policy")])
        .obeyed("What is done with old segments: delete, compact, both or (empty) nothing."),
    key("compression.gzip.level", Int, Of("-1"), Medium)
        .check(MinusOneOr(1, 9))
        .server(&[same("compression.gzip.level")])
        .obeyed("The level where the broker compresses with gzip."),
    key("compression.lz4.level", Int, Of("9"), Medium)
        .check(Between(1, 17))
        .server(&[same("compression.lz4.level")])
        .obeyed("The level where the broker compresses with LZ4."),
    key("compression.type", String, Of("producer"), Medium)
        .check(OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .server(&[same("compression.type")])
        .obeyed("The codec in which batches are stored; producer keeps the producer's."),
    key("compression.zstd.level", Int, Of("3"), Medium)
        .check(Between(-131_072, 22))
        .server(&[same("compression.zstd.level")])
        .obeyed("The level where the broker compresses with Zstandard."),
    key("delete.retention.ms", Long, Of("86400000"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.cleaner.delete.retention.ms")])
        .obeyed("How long tombstones stay in a compacted log."),
    key("errors.deadletterqueue.group.enable", Boolean, Of("false"), Medium),
    key("file.delete.delay.ms", Long, Of("60000"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.segment.delete.delay.ms")])
        .obeyed("How long the files of a deleted segment stay, renamed, for readers that are still on them."),
    key("flush.messages", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(1))
        .server(&[same("log.flush.interval.messages")])
        .obeyed(
            "How many records may wait before they are forced to disk; 1: none is acknowledged before it is on disk.",
        ),
    key("flush.ms", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")])
        .obeyed("How long a record may wait before it is forced to disk."),
    key("follower.replication.throttled.replicas", List, Of(""), Medium)
        .check(ThrottledReplicas)
        .obeyed("Which replicas fetch under follower.replication.throttled.rate: partition:broker entries, or `*`."),
    key("index.interval.bytes", Int, Of("4096"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.index.interval.bytes")])
        .obeyed("How many bytes of records lie between two entries of an index."),
    key("internal.segment.bytes", Int, Null, Medium)
        .internal()
        .obeyed("As segment.bytes but without its lower bound, for tests."),
    key("leader.replication.throttled.replicas", List, Of(""), Medium).check(ThrottledReplicas).obeyed(
        "Which replicas their leaders serve under leader.replication.throttled.rate: partition:broker entries, or `*`.",
    ),
    key("local.retention.bytes", Long, Of("-2"), Medium)
        .check(AtLeast(-2))
        .server(&[same("log.local.retention.bytes")]),
    key("local.retention.ms", Long, Of("-2"), Medium).check(AtLeast(-2)).server(&[same("log.local.retention.ms")]),
    key("max.compaction.lag.ms", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(1))
        .server(&[same("log.cleaner.max.compaction.lag.ms")])
        .obeyed("How long a record may wait for compaction."),
    key("max.decompressed.message.bytes", Int, Of("2147483639"), Medium)
        .check(Between(1, 2_147_483_639))
        .server(&[same("max.decompressed.message.bytes")])
        .obeyed("The largest size of a batch of records once decompressed."),
    key("max.message.bytes", Int, Of("1048588"), Medium)
        .check(AtLeast(0))
        .server(&[same("message.max.bytes")])
        .obeyed("The largest batch of records, its header included."),
    key("message.timestamp.after.max.ms", Long, Of("3600000"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.message.timestamp.after.max.ms")])
        .obeyed("How far a producer's timestamp may lie in the future."),
    key("message.timestamp.before.max.ms", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.message.timestamp.before.max.ms")])
        .obeyed("How far a producer's timestamp may lie in the past."),
    key("message.timestamp.type", String, Of("CreateTime"), Medium)
        .check(OneOf(&["CreateTime", "LogAppendTime"]))
        .server(&[same("log.message.timestamp.type")])
        .obeyed("Whether a record bears the time of its producer or that of the append."),
    key("min.cleanable.dirty.ratio", Double, Of("0.5"), Medium)
        .check(BetweenDoubles(0.0, 1.0))
        .server(&[same("log.cleaner.min.cleanable.ratio")])
        .obeyed("Which part of a log must be new for it to be compacted."),
    key("min.compaction.lag.ms", Long, Of("0"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.cleaner.min.compaction.lag.ms")])
        .obeyed("How long a record is safe from compaction."),
    key("min.insync.replicas", Int, Of("1"), Medium)
        .check(AtLeast(1))
        .server(&[same("min.insync.replicas")])
        .obeyed("How many in-sync replicas an acks=all produce needs."),
    key("preallocate", Boolean, Of("false"), Medium)
        .server(&[same("log.preallocate")])
        .obeyed("Whether a new segment takes its whole size on disk at once."),
    key("remote.copy.lag.bytes", Long, Of("-1"), Medium)
        .check(AtLeast(-1))
        .server(&[same("log.remote.copy.lag.bytes")]),
    key("remote.copy.lag.ms", Long, Of("0"), Medium).check(AtLeast(-1)).server(&[same("log.remote.copy.lag.ms")]),
    key("remote.log.copy.disable", Boolean, Of("false"), Medium),
    key("remote.log.delete.on.disable", Boolean, Of("false"), Medium),
    key("remote.storage.enable", Boolean, Of("false"), Medium),
    key("retention.bytes", Long, Of("-1"), Medium)
        .server(&[same("log.retention.bytes")])
        .obeyed("How many bytes of a partition are kept; -1 is all."),
    key("retention.ms", Long, Of("604800000"), Medium)
        .check(AtLeast(-1))
        .server(&[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")])
        .obeyed("How long records are kept; -1 is forever."),
    key("segment.bytes", Int, Of("1073741824"), Medium)
        .check(AtLeast(1_048_576))
        .server(&[same("log.segment.bytes")])
        .obeyed("The size at which a segment is closed."),
    key("segment.index.bytes", Int, Of("10485760"), Medium)
        .check(AtLeast(4))
        .server(&[same("log.index.size.max.bytes")])
        .obeyed("The largest size of an offset index or a time index."),
    key("segment.jitter.ms", Long, Of("0"), Medium)
        .check(AtLeast(0))
        .server(&[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")])
        .obeyed("How much of segment.ms is taken off at random, so that segments do not close all at once."),
    key("segment.ms", Long, Of("604800000"), Medium)
        .check(AtLeast(1))
        .server(&[same("log.roll.ms"), hours("log.roll.hours")])
        .obeyed("The age at which a segment is closed."),
    key("unclean.leader.election.enable", Boolean, Of("false"), Medium)
        .server(&[same("unclean.leader.election.enable")])
        .obeyed("Whether a replica that is not in sync may become leader, at the price of lost records."),
];
