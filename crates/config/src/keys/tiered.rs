//! Tiered storage.

use super::key;
use crate::key::Check::{AtLeast, BetweenDoubles, NotEmpty};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Double, Int, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{Low, Medium};

/// Tiered storage.
pub(super) static KEYS: [ConfigKey; 29] = [
    key("remote.fetch.max.wait.ms", Int, Of("500"), Medium).check(AtLeast(1)).cluster_wide(),
    key("remote.list.offsets.request.timeout.ms", Long, Of("30000"), Medium).check(AtLeast(1)).cluster_wide(),
    key("remote.log.index.file.cache.total.size.bytes", Long, Of("1073741824"), Low).check(AtLeast(1)).cluster_wide(),
    key("remote.log.index.file.cache.ttl.ms", Long, Of("900000"), Low).check(AtLeast(-1)).internal(),
    key("remote.log.manager.copier.thread.pool.size", Int, Of("10"), Medium).check(AtLeast(1)).cluster_wide(),
    key("remote.log.manager.copy.max.bytes.per.second", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(1))
        .cluster_wide(),
    key("remote.log.manager.copy.quota.window.num", Int, Of("11"), Medium).check(AtLeast(1)),
    key("remote.log.manager.copy.quota.window.size.seconds", Int, Of("1"), Medium).check(AtLeast(1)),
    key("remote.log.manager.expiration.thread.pool.size", Int, Of("10"), Medium).check(AtLeast(1)).cluster_wide(),
    key("remote.log.manager.fetch.max.bytes.per.second", Long, Of("9223372036854775807"), Medium)
        .check(AtLeast(1))
        .cluster_wide(),
    key("remote.log.manager.fetch.quota.window.num", Int, Of("11"), Medium).check(AtLeast(1)),
    key("remote.log.manager.fetch.quota.window.size.seconds", Int, Of("1"), Medium).check(AtLeast(1)),
    key("remote.log.manager.follower.thread.pool.size", Int, Of("2"), Medium).check(AtLeast(1)).cluster_wide(),
    key("remote.log.manager.task.interval.ms", Long, Of("30000"), Low).check(AtLeast(1)),
    key("remote.log.manager.task.retry.backoff.max.ms", Long, Of("30000"), Low).check(AtLeast(1)).internal(),
    key("remote.log.manager.task.retry.backoff.ms", Long, Of("500"), Low).check(AtLeast(1)).internal(),
    key("remote.log.manager.task.retry.jitter", Double, Of("0.2"), Low).check(BetweenDoubles(0.0, 0.5)).internal(),
    key("remote.log.manager.thread.pool.size", Int, Of("2"), Medium).check(AtLeast(1)),
    key("remote.log.metadata.custom.metadata.max.bytes", Int, Of("128"), Low).check(AtLeast(0)),
    key(
        "remote.log.metadata.manager.class.name",
        String,
        Of("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        Medium,
    )
    .check(NotEmpty),
    key("remote.log.metadata.manager.class.path", String, Null, Medium),
    key("remote.log.metadata.manager.impl.prefix", String, Of("rlmm.config."), Medium).check(NotEmpty),
    key("remote.log.metadata.manager.listener.name", String, Null, Medium).check(NotEmpty),
    key("remote.log.reader.max.pending.tasks", Int, Of("100"), Medium).check(AtLeast(1)),
    key("remote.log.reader.threads", Int, Of("10"), Medium).check(AtLeast(1)).cluster_wide(),
    key("remote.log.storage.manager.class.name", String, Null, Medium).check(NotEmpty),
    key("remote.log.storage.manager.class.path", String, Null, Medium),
    key("remote.log.storage.manager.impl.prefix", String, Of("rsm.config."), Medium).check(NotEmpty),
    key("remote.log.storage.system.enable", Boolean, Of("false"), Medium),
];
