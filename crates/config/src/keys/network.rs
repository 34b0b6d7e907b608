//! Listeners, sockets, requests and fetches.

use super::key;
use crate::key::Check::{AtLeast, Distinct, DistinctAndSome, OneOf};
use crate::key::ConfigKey;
use crate::key::ConfigType::{Int, List, Long, String};
use crate::key::DefaultValue::{Null, Of};
use crate::key::Importance::{High, Low, Medium};

/// Listeners, sockets, requests and fetches.
pub(super) static KEYS: [ConfigKey; 29] = [
    key("advertised.listeners", List, Null, High)
        .check(DistinctAndSome)
        .obeyed("What clients are told to connect to; unset, the listeners themselves."),
    key("connections.max.idle.ms", Long, Of("600000"), Medium)
        .obeyed("How long a connection may be silent before it is closed; negative is forever."),
    key("delete.records.purgatory.purge.interval.requests", Int, Of("1"), Medium),
    key("early.start.listeners", List, Null, High).check(Distinct),
    key("fetch.max.bytes", Int, Of("57671680"), Medium)
        .check(AtLeast(1024))
        .obeyed("How many bytes one fetch answer holds at most."),
    key("fetch.purgatory.purge.interval.requests", Int, Of("1000"), Medium),
    key("inter.broker.listener.name", String, Null, Medium).obeyed("The listener on which brokers talk to each other."),
    key(
        "listener.security.protocol.map",
        String,
        Of("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Low,
    )
    .per_broker()
    .obeyed("Which security protocol each listener name speaks."),
    key("listeners", List, Of("PLAINTEXT://:9092"), High)
        .check(DistinctAndSome)
        .per_broker()
        .obeyed("Where the node listens: name://host:port entries; an empty host is every interface."),
    key("max.connection.creation.rate", Int, Of("2147483647"), Medium).check(AtLeast(0)).cluster_wide(),
    key("max.connections", Int, Of("2147483647"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How many connections the broker holds at once."),
    key("max.connections.per.ip", Int, Of("2147483647"), Medium)
        .check(AtLeast(0))
        .cluster_wide()
        .obeyed("How many connections one address may hold at once."),
    key("max.connections.per.ip.overrides", String, Of(""), Medium)
        .cluster_wide()
        .obeyed("Exceptions from max.connections.per.ip: address:count entries."),
    key("max.incremental.fetch.session.cache.slots", Int, Of("1000"), Medium)
        .check(AtLeast(0))
        .obeyed("How many fetch sessions the broker keeps."),
    key("max.request.partition.size.limit", Int, Of("2000"), Medium)
        .check(AtLeast(1))
        .obeyed("How many partitions one DescribeTopicPartitions answer holds."),
    key("num.io.threads", Int, Of("8"), High).check(AtLeast(1)).cluster_wide(),
    key("num.network.threads", Int, Of("3"), High)
        .check(AtLeast(1))
        .cluster_wide()
        .obeyed("How many threads serve connections."),
    key("producer.purgatory.purge.interval.requests", Int, Of("1000"), Medium),
    key("queued.max.request.bytes", Long, Of("-1"), Medium)
        .obeyed("How many bytes of requests may be in memory before no more are read; -1 lets Ottla choose."),
    key("queued.max.requests", Int, Of("500"), High).check(AtLeast(1)),
    key("request.timeout.ms", Int, Of("30000"), High)
        .obeyed("How long another broker may take to answer about a transaction, and the creation of a topic that makes itself."),
    key("security.inter.broker.protocol", String, Of("PLAINTEXT"), Medium)
        .check(OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        .obeyed("The security protocol among brokers, where inter.broker.listener.name is unset."),
    key("share.fetch.purgatory.purge.interval.requests", Int, Of("1000"), Medium),
    key("socket.connection.setup.timeout.max.ms", Long, Of("30000"), Medium)
        .obeyed("The longest that a connection to another node may take to be made."),
    key("socket.connection.setup.timeout.ms", Long, Of("10000"), Medium)
        .obeyed("How long a connection to another node may take to be made; doubles with each failure in a row."),
    key("socket.listen.backlog.size", Int, Of("50"), Medium)
        .check(AtLeast(1))
        .obeyed("How many connections may wait to be accepted."),
    key("socket.receive.buffer.bytes", Int, Of("102400"), High)
        .obeyed("The receive buffer of a connection; -1 leaves it to the operating system."),
    key("socket.request.max.bytes", Int, Of("104857600"), High)
        .check(AtLeast(1))
        .obeyed("The largest request; a connection that announces a larger one is closed."),
    key("socket.send.buffer.bytes", Int, Of("102400"), High)
        .obeyed("The send buffer of a connection; -1 leaves it to the operating system."),
];
