//! Why a key of Kafka's has no effect, for `docs/configuration.md`.

use crate::key::{ConfigKey, ConfigType};

/// Beginnings of names, the more special ones first, with what there is to say.
const REASONS: &[(&str, &str)] = &[
    ("ssl.", "Encryption is not built yet."),
    ("sasl.", "Authentication is not built yet."),
    ("SCRAM-", "Credentials are kept; authentication is not built yet."),
    ("security.providers", "Authentication is not built yet."),
    ("connections.max.reauth", "Authentication is not built yet."),
    ("connection.failed.authentication", "Authentication is not built yet."),
    ("delegation.token.", "Authentication is not built yet."),
    ("remote.", "Tiered storage is not built yet."),
    ("log.remote.", "Tiered storage is not built yet."),
    ("log.local.", "Tiered storage is not built yet."),
    ("local.retention.", "Tiered storage is not built yet."),
    ("follower.fetch.last.tiered", "Tiered storage is not built yet."),
    ("group.share.", "Share groups are not built yet."),
    ("share.", "Share groups are not built yet."),
    ("errors.deadletterqueue.", "Share groups are not built yet."),
    ("group.streams.", "Streams groups are not built yet."),
    ("streams.", "Streams groups are not built yet."),
    ("group.consumer.assignor.offload", "Assignments are made at once, in less time than a hand-over takes."),
    ("consumer.assignor.offload", "Assignments are made at once, in less time than a hand-over takes."),
    ("group.consumer.regex.refresh", "Regular expressions are looked at again when topics have changed."),
    ("group.coordinator.", "A coordinator appends at once and needs no threads or buffers of its own."),
    ("add.partitions.to.txn.retry", "The transaction coordinator waits itself until it can add them."),
    ("producer_byte_rate", "Quotas are kept and shown, and not enforced yet."),
    ("consumer_byte_rate", "Quotas are kept and shown, and not enforced yet."),
    ("request_percentage", "Quotas are kept and shown, and not enforced yet."),
    ("controller_mutation_rate", "Quotas are kept and shown, and not enforced yet."),
    ("connection_creation_rate", "Quotas are kept and shown, and not enforced yet."),
    ("quota.window", "Quotas are not enforced yet."),
    ("controller.quota.window", "Quotas are not enforced yet."),
    ("client.quota.", "Quotas are not enforced yet."),
    ("alter.log.dirs.replication.quota", "The rate of a move is kept within each second."),
    ("num.replica.alter.log.dirs", "Moves between log directories are made by the thread that looks after the logs."),
    ("max.connection.creation.rate", "The rate of new connections is not limited yet."),
    ("controller.quorum.append.linger", "A decision is appended and synced at once."),
    ("metric", "Metrics are those of docs/metrics.md, and need no reporters."),
    ("kafka.metrics", "Metrics are those of docs/metrics.md, and need no reporters."),
    ("controller.performance", "The controller's pace is not logged."),
    ("num.io.threads", "Requests are served by the threads of their connections (num.network.threads)."),
    ("background.threads", "There are no pools of threads to size."),
    ("queued.max.requests", "What may wait is bounded by bytes (queued.max.request.bytes)."),
    ("early.start.listeners", "All listeners open at once."),
    ("delete.records.purgatory", "What no longer waits is let go at once."),
    ("fetch.purgatory", "What no longer waits is let go at once."),
    ("producer.purgatory", "What no longer waits is let go at once."),
    ("log.cleaner.io.", "Compaction sizes its buffers itself."),
    ("log.flush.start.offset", "Log start offsets are written together with recovery points."),
    ("cordoned.log.dirs", "Log directories can't be cordoned off yet."),
    ("unstable.", "Versions and features that are not stable are never offered."),
    ("internal.", "A detail of Kafka's own implementation."),
];

const AUTHORIZER: &str = "Access rules are not obeyed yet: a server that is to have an authorizer does not start.";

/// Why Ottla does not obey a key that it knows.
pub(crate) fn why_not_obeyed(key: &ConfigKey) -> &'static str {
    if key.name == "authorizer.class.name" {
        return AUTHORIZER;
    }
    if key.config_type == ConfigType::Class || key.name.ends_with(".class.name") || key.name.ends_with(".class.path") {
        return "It names Java code; Ottla loads none.";
    }
    REASONS.iter().find(|(beginning, _)| key.name.starts_with(beginning)).map_or("", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    #[test]
    fn every_key_that_is_not_obeyed_has_a_reason() {
        let quotas = keys::BROKER_QUOTA.iter().chain(keys::USER_CLIENT_QUOTA).chain(keys::IP_QUOTA);
        let sets = keys::broker().chain(keys::TOPIC).chain(keys::GROUP).chain(keys::CLIENT_METRICS);
        let all = sets.chain(quotas);
        let missing: Vec<&str> =
            all.filter(|key| !key.obeyed && why_not_obeyed(key).is_empty()).map(|key| key.name).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
