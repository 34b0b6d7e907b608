//! Transactions and producer ids.

use super::key;
use crate::key::Check::AtLeast;
use crate::key::ConfigKey;
use crate::key::ConfigType::{Boolean, Int, Short};
use crate::key::DefaultValue::Of;
use crate::key::Importance::{High, Low};

/// Transactions and producer ids.
pub(super) static KEYS: [ConfigKey; 15] = [
    key("add.partitions.to.txn.retry.backoff.max.ms", Int, Of("100"), High).check(AtLeast(0)),
    key("add.partitions.to.txn.retry.backoff.ms", Int, Of("20"), High).check(AtLeast(1)),
    key("producer.id.expiration.check.interval.ms", Int, Of("600000"), Low)
        .check(AtLeast(1))
        .internal()
        .obeyed("How often the broker looks for producers to forget."),
    key("producer.id.expiration.ms", Int, Of("86400000"), Low)
        .check(AtLeast(1))
        .cluster_wide()
        .obeyed("How long a partition remembers a producer that has gone silent."),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Of("10000"), Low).check(AtLeast(1)),
    key("transaction.max.timeout.ms", Int, Of("900000"), High).check(AtLeast(1)),
    key("transaction.partition.verification.enable", Boolean, Of("true"), Low).cluster_wide(),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int, Of("3600000"), Low).check(AtLeast(1)),
    key("transaction.state.log.load.buffer.size", Int, Of("5242880"), High).check(AtLeast(1)),
    key("transaction.state.log.min.isr", Int, Of("2"), High).check(AtLeast(1)),
    key("transaction.state.log.num.partitions", Int, Of("50"), High).check(AtLeast(1)),
    key("transaction.state.log.replication.factor", Short, Of("3"), High).check(AtLeast(1)),
    key("transaction.state.log.segment.bytes", Int, Of("104857600"), High).check(AtLeast(1)),
    key("transaction.two.phase.commit.enable", Boolean, Of("false"), Low),
    key("transactional.id.expiration.ms", Int, Of("604800000"), High).check(AtLeast(1)),
];
