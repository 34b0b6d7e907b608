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
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Of("10000"), Low).check(AtLeast(1))
        .obeyed("How often a coordinator looks for transactions that last too long, to abort them."),
    key("transaction.max.timeout.ms", Int, Of("900000"), High).check(AtLeast(1))
        .obeyed("The longest transaction timeout a producer may ask for."),
    key("transaction.partition.verification.enable", Boolean, Of("true"), Low).cluster_wide()
        .obeyed("Whether a transactional batch is taken only when the coordinator knows of the partition as part of the transaction."),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int, Of("3600000"), Low).check(AtLeast(1))
        .obeyed("How often a coordinator looks for transactional ids to forget."),
    key("transaction.state.log.load.buffer.size", Int, Of("5242880"), High).check(AtLeast(1))
        .obeyed("How many bytes of its log a coordinator of transactions reads at once when it starts."),
    key("transaction.state.log.min.isr", Int, Of("2"), High).check(AtLeast(1))
        .obeyed("min.insync.replicas of the topic of transactions."),
    key("transaction.state.log.num.partitions", Int, Of("50"), High).check(AtLeast(1))
        .obeyed("Partitions of the topic of transactions, when it is created."),
    key("transaction.state.log.replication.factor", Short, Of("3"), High).check(AtLeast(1))
        .obeyed("Replicas of the topic of transactions, when it is created."),
    key("transaction.state.log.segment.bytes", Int, Of("104857600"), High).check(AtLeast(1))
        .obeyed("Segment size of the topic of transactions, when it is created."),
    key("transaction.two.phase.commit.enable", Boolean, Of("false"), Low)
        .obeyed("Whether a producer may ask for transactions without a timeout (KIP-939)."),
    key("transactional.id.expiration.ms", Int, Of("604800000"), High).check(AtLeast(1))
        .obeyed("How long a coordinator remembers a transactional id that nobody uses."),
];
