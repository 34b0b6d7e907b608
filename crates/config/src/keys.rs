//! Every configuration key of the pinned Apache Kafka, declared once.
//!
//! A test asks the pinned release for its own declarations and compares all facts.

mod entities;
mod groups;
mod log;
mod network;
mod node;
mod own;
mod replication;
mod security;
mod tiered;
mod topic;
mod transactions;

use crate::key::{ConfigKey, ConfigType, DefaultValue, Importance, Scope, ServerSynonym};
use crate::nearest;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The keys of topics.
pub static TOPIC: &[ConfigKey] = &topic::KEYS;
/// The keys of groups.
pub static GROUP: &[ConfigKey] = &entities::GROUP;
/// The keys of client metrics subscriptions.
pub static CLIENT_METRICS: &[ConfigKey] = &entities::CLIENT_METRICS;
/// The replication throttles of brokers.
pub static BROKER_QUOTA: &[ConfigKey] = &entities::BROKER_QUOTA;
/// The quotas of users and client ids.
pub static USER_CLIENT_QUOTA: &[ConfigKey] = &entities::USER_CLIENT_QUOTA;
/// The quotas of addresses.
pub static IP_QUOTA: &[ConfigKey] = &entities::IP_QUOTA;

/// The keys of nodes, by subject.
static BROKER_SECTIONS: [(&str, &[ConfigKey]); 8] = [
    ("The node", &node::KEYS),
    ("Listeners and requests", &network::KEYS),
    ("Topics and logs", &log::KEYS),
    ("Replication", &replication::KEYS),
    ("Groups", &groups::KEYS),
    ("Transactions and producers", &transactions::KEYS),
    ("Security", &security::KEYS),
    ("Tiered storage", &tiered::KEYS),
];

/// The keys of nodes, in no order that means anything.
pub fn broker() -> impl Iterator<Item = &'static ConfigKey> {
    BROKER_SECTIONS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The keys of nodes by subject, as the documentation shows them.
pub fn broker_sections() -> impl Iterator<Item = (&'static str, &'static [ConfigKey])> {
    BROKER_SECTIONS.into_iter()
}

/// The keys of nodes that Apache Kafka does not have.
pub static OWN: &[ConfigKey] = &own::KEYS;

/// All keys of `scope` that Apache Kafka has.
pub fn all(scope: Scope) -> Box<dyn Iterator<Item = &'static ConfigKey>> {
    match scope {
        Scope::Broker => Box::new(broker()),
        Scope::Topic => Box::new(TOPIC.iter()),
        Scope::Group => Box::new(GROUP.iter()),
        Scope::ClientMetrics => Box::new(CLIENT_METRICS.iter()),
        Scope::BrokerQuota => Box::new(BROKER_QUOTA.iter()),
        Scope::UserClientQuota => Box::new(USER_CLIENT_QUOTA.iter()),
        Scope::IpQuota => Box::new(IP_QUOTA.iter()),
    }
}

/// Finding a broker's key by walking along hundreds of them would make the creation of many topics slow.
static BROKER_BY_NAME: LazyLock<BTreeMap<&str, &ConfigKey>> =
    LazyLock::new(|| broker().chain(OWN).map(|key| (key.name, key)).collect());

/// The broker keys that stand in for each other, in the order in which they count, under each of their names.
static STAND_INS: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let several = TOPIC.iter().map(|key| key.server_synonyms).filter(|synonyms| synonyms.len() > 1);
    let names = several.map(|synonyms| synonyms.iter().map(|synonym| synonym.name).collect::<Vec<_>>());
    names.flat_map(|names| names.clone().into_iter().map(move |name| (name, names.clone()))).collect()
});

/// The declaration of the key `name`.
pub fn find(scope: Scope, name: &str) -> Option<&'static ConfigKey> {
    match scope {
        Scope::Broker => BROKER_BY_NAME.get(name).copied(),
        _ => all(scope).find(|key| key.name == name),
    }
}

/// The known key of `scope` that looks most like `name`, when it looks like a slip of the fingers.
pub fn nearest_to(scope: Scope, name: &str) -> Option<&'static str> {
    let own = OWN.iter().filter(|_| scope == Scope::Broker);
    nearest::nearest(name, all(scope).chain(own).filter(|key| !key.internal).map(|key| key.name))
}

/// The broker keys of which the first that is set counts, for the group that `name` belongs to; just `name` for all
/// others. `DescribeConfigs` lists them as synonyms.
pub fn broker_synonyms(name: &str) -> &'static [&'static str] {
    match (STAND_INS.get(name), find(Scope::Broker, name)) {
        (Some(names), _) => names,
        (None, Some(key)) => std::slice::from_ref(&key.name),
        (None, None) => &[],
    }
}

const fn key(name: &'static str, config_type: ConfigType, default: DefaultValue, importance: Importance) -> ConfigKey {
    ConfigKey::new(name, config_type, default, importance)
}

const fn same(name: &'static str) -> ServerSynonym {
    ServerSynonym { name, factor: 1 }
}

const fn minutes(name: &'static str) -> ServerSynonym {
    ServerSynonym { name, factor: 60_000 }
}

const fn hours(name: &'static str) -> ServerSynonym {
    ServerSynonym { name, factor: 3_600_000 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SCOPES: [Scope; 7] = [
        Scope::Broker,
        Scope::Topic,
        Scope::Group,
        Scope::ClientMetrics,
        Scope::BrokerQuota,
        Scope::UserClientQuota,
        Scope::IpQuota,
    ];

    #[test]
    fn every_key_is_declared_once_in_its_scope() {
        for scope in SCOPES {
            let mut seen = BTreeSet::new();
            assert!(all(scope).all(|key| seen.insert(key.name)), "{scope:?}");
            assert!(OWN.iter().all(|key| seen.insert(key.name)), "{scope:?}");
        }
    }

    #[test]
    fn keys_of_our_own_bear_our_name_and_are_obeyed() {
        assert!(OWN.iter().all(|key| key.name.starts_with("ottla.") && key.obeyed && !key.description.is_empty()));
        assert!(SCOPES.into_iter().flat_map(all).all(|key| !key.name.starts_with("ottla.")));
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for key in SCOPES.into_iter().flat_map(all).chain(OWN) {
            if let DefaultValue::Of(text) = key.default {
                key.parse(text).unwrap();
            }
        }
    }

    #[test]
    fn every_obeyed_key_has_a_description_and_no_other_has() {
        for key in SCOPES.into_iter().flat_map(all) {
            assert_eq!(key.obeyed, !key.description.is_empty(), "{}", key.name);
        }
    }

    #[test]
    fn every_synonym_is_a_broker_key() {
        for synonym in TOPIC.iter().flat_map(|key| key.server_synonyms) {
            assert!(find(Scope::Broker, synonym.name).is_some(), "{}", synonym.name);
        }
    }
}
