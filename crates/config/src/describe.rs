//! The answers of `DescribeConfigs`: each key with its value, where the value comes from, and the values it hides.

use crate::key::{ConfigKey, ConfigType, DefaultValue, Scope};
use crate::keys;
use crate::layers::ConfigLayers;
use crate::log_level::LogLevel;
use crate::node::NodeConfig;
use crate::settings::Lookup as _;
use crate::topic;
use std::collections::{BTreeMap, BTreeSet};

/// What is said of a key that has no line of its own: those are the ones that nothing obeys yet.
const WITHOUT_EFFECT: &str = "Known and kept, but without effect in this version of Ottla.";

/// Where a value comes from. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// A topic's own configuration.
    DynamicTopic = 1,
    /// A dynamic value of one broker.
    DynamicBroker = 2,
    /// A dynamic value of all brokers.
    DynamicDefaultBroker = 3,
    /// The broker's file.
    StaticBroker = 4,
    /// Nobody: the key's default.
    Default = 5,
    /// The level of a logger.
    DynamicBrokerLogger = 6,
    /// A client metrics subscription.
    ClientMetrics = 7,
    /// A group's own configuration.
    Group = 8,
}

impl ConfigSource {
    /// The protocol's number.
    pub const fn id(self) -> i8 {
        self as i8
    }
}

/// One source of a value, with the key that it was set by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key, which may be another than the described one.
    pub name: String,
    /// The value; `None` when it is secret.
    pub value: Option<String>,
    /// The source.
    pub source: ConfigSource,
}

/// One key of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: String,
    /// The value in use; `None` when it is null or secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the value is secret. Keys that are not declared are: nobody knows what is in them.
    pub is_sensitive: bool,
    /// Whether the key can't be changed at run time.
    pub read_only: bool,
    /// The type; `None` for a key that is not declared.
    pub config_type: Option<ConfigType>,
    /// All values from the one in use down to the default.
    pub synonyms: Vec<ConfigSynonym>,
    /// Our line about the key.
    pub documentation: &'static str,
}

/// Describes the keys of a broker. All keys when `names` is `None`, hidden ones left out.
pub fn broker(config: &NodeConfig, names: Option<&[&str]>) -> Vec<ConfigEntry> {
    let layers = &config.layers;
    let mut entries = Vec::new();
    // Kafka hides internal keys unless the file sets them; so that answers are Kafka's, our own are hidden likewise.
    let shown = |key: &&ConfigKey| layers.set(key.name).is_some();
    for key in keys::broker().filter(|key| !key.internal || shown(key)).chain(keys::OWN.iter().filter(shown)) {
        if !wanted(names, key.name) {
            continue;
        }
        let synonyms = broker_synonyms(layers, key);
        entries.push(ConfigEntry {
            value: if key.is_sensitive() { None } else { effective(layers, key) },
            source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
            read_only: !key.is_dynamic(),
            synonyms,
            ..entry(key)
        });
    }
    let file = layers.file().iter().map(|(name, _)| name);
    let dynamic = layers.cluster().keys().chain(layers.broker().keys()).map(String::as_str);
    let undeclared: BTreeSet<&str> =
        file.chain(dynamic).filter(|name| keys::find(Scope::Broker, name).is_none()).collect();
    entries
        .extend(undeclared.into_iter().filter(|name| wanted(names, name)).map(|name| undeclared_entry(layers, name)));
    entries
}

/// Describes the level of a logger.
pub fn logger(name: &str, level: LogLevel) -> ConfigEntry {
    ConfigEntry {
        name: name.to_owned(),
        value: Some(level.name().to_owned()),
        source: ConfigSource::DynamicBrokerLogger,
        is_sensitive: false,
        read_only: false,
        config_type: None,
        synonyms: Vec::new(),
        documentation: "",
    }
}

/// Describes the dynamic configurations of all brokers: what an empty broker name asks for.
pub fn broker_defaults(config: &NodeConfig, names: Option<&[&str]>) -> Vec<ConfigEntry> {
    let mut entries = Vec::new();
    for (name, value) in config.layers.cluster() {
        if !wanted(names, name) {
            continue;
        }
        let source = ConfigSource::DynamicDefaultBroker;
        let Some(key) = keys::find(Scope::Broker, name) else {
            let synonyms = vec![ConfigSynonym { name: name.clone(), value: None, source }];
            entries.push(ConfigEntry { source, synonyms, ..undeclared_entry(&config.layers, name) });
            continue;
        };
        let value = (!key.is_sensitive()).then(|| value.clone());
        let synonyms = vec![ConfigSynonym { name: name.clone(), value: value.clone(), source }];
        entries.push(ConfigEntry { value, source, read_only: !key.is_dynamic(), synonyms, ..entry(key) });
    }
    entries
}

/// Describes the keys of a topic with `overrides` on a broker with `config`.
pub fn topic(config: &NodeConfig, overrides: &BTreeMap<String, String>, names: Option<&[&str]>) -> Vec<ConfigEntry> {
    let mut reader = crate::settings::Reader::new(Scope::Broker, &config.layers);
    let defaults = topic::defaults_of(&mut reader);
    let mut entries = Vec::new();
    for key in keys::TOPIC {
        if (key.internal && !overrides.contains_key(key.name)) || !wanted(names, key.name) {
            continue;
        }
        let own = overrides.get(key.name).map(|text| text_of(key, text));
        let value = own.clone().or_else(|| defaults.get(key.name).cloned()).or_else(|| default_text(key));
        let mut synonyms: Vec<_> = own
            .map(|value| ConfigSynonym {
                name: key.name.to_owned(),
                value: Some(value),
                source: ConfigSource::DynamicTopic,
            })
            .into_iter()
            .collect();
        let server = key.server_synonyms.first().and_then(|synonym| keys::find(Scope::Broker, synonym.name));
        synonyms.extend(server.map(|server| broker_synonyms(&config.layers, server)).unwrap_or_default());
        entries.push(ConfigEntry {
            value,
            source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
            read_only: false,
            synonyms,
            ..entry(key)
        });
    }
    entries
}

/// The broker's key that gives the default of a group's key; `None` where the key stands for itself.
fn group_default_key(name: &str) -> Option<&'static ConfigKey> {
    match name {
        "streams.assignor.name" => keys::find(Scope::Broker, "group.streams.assignors"),
        _ => keys::find(Scope::Broker, &format!("group.{name}")),
    }
}

/// Describes the keys of a group with `overrides` on a broker with `config` (KIP-848).
pub fn group(config: &NodeConfig, overrides: &BTreeMap<String, String>, names: Option<&[&str]>) -> Vec<ConfigEntry> {
    let inherited = |key: &ConfigKey| match group_default_key(key.name) {
        Some(server) => broker_synonyms(&config.layers, server),
        None => {
            let value = default_text(key);
            vec![ConfigSynonym { name: key.name.to_owned(), value, source: ConfigSource::Default }]
        }
    };
    resource(keys::GROUP, overrides, names, ConfigSource::Group, &inherited)
}

/// Describes the keys of a client metrics subscription with `overrides` (KIP-714).
pub fn client_metrics(overrides: &BTreeMap<String, String>, names: Option<&[&str]>) -> Vec<ConfigEntry> {
    resource(keys::CLIENT_METRICS, overrides, names, ConfigSource::ClientMetrics, &|_| Vec::new())
}

/// Describes the keys of a resource that has its own values over inherited ones.
fn resource(
    keys: &'static [ConfigKey],
    overrides: &BTreeMap<String, String>,
    names: Option<&[&str]>,
    own_source: ConfigSource,
    inherited: &dyn Fn(&ConfigKey) -> Vec<ConfigSynonym>,
) -> Vec<ConfigEntry> {
    let shown = keys.iter().filter(|key| !key.internal || overrides.contains_key(key.name));
    let entries = shown.filter(|key| wanted(names, key.name)).map(|key| {
        let own = overrides.get(key.name).map(|text| ConfigSynonym {
            name: key.name.to_owned(),
            value: Some(text_of(key, text)),
            source: own_source,
        });
        let synonyms: Vec<_> = own.into_iter().chain(inherited(key)).collect();
        ConfigEntry {
            value: synonyms.first().map_or_else(|| default_text(key), |synonym| synonym.value.clone()),
            source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
            read_only: false,
            synonyms,
            ..entry(key)
        }
    });
    entries.collect()
}

fn wanted(names: Option<&[&str]>, name: &str) -> bool {
    names.is_none_or(|names| names.contains(&name))
}

fn entry(key: &ConfigKey) -> ConfigEntry {
    ConfigEntry {
        name: key.name.to_owned(),
        value: None,
        source: ConfigSource::Default,
        is_sensitive: key.is_sensitive(),
        read_only: true,
        config_type: Some(key.config_type),
        synonyms: Vec::new(),
        documentation: if key.description.is_empty() { WITHOUT_EFFECT } else { key.description },
    }
}

/// A key that is not declared: nobody knows whether it is secret, so it is.
fn undeclared_entry(layers: &ConfigLayers, name: &str) -> ConfigEntry {
    let hidden = |source| ConfigSynonym { name: name.to_owned(), value: None, source };
    let sources = [
        (ConfigSource::DynamicBroker, layers.broker().contains_key(name)),
        (ConfigSource::DynamicDefaultBroker, layers.cluster().contains_key(name)),
        (ConfigSource::StaticBroker, layers.file().get(name).is_some()),
    ];
    let synonyms: Vec<_> = sources.into_iter().filter(|(_, set)| *set).map(|(source, _)| hidden(source)).collect();
    ConfigEntry {
        name: name.to_owned(),
        value: None,
        source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
        is_sensitive: true,
        read_only: true,
        config_type: None,
        synonyms,
        documentation: "",
    }
}

/// All sources of `key` and of the keys that stand in for it, strongest first. Kafka cuts off what comes before the key's
/// own name: the list of an unset `log.retention.ms` is empty although `log.retention.hours` has a value.
fn broker_synonyms(layers: &ConfigLayers, key: &ConfigKey) -> Vec<ConfigSynonym> {
    let names = keys::broker_synonyms(key.name);
    let mut synonyms = Vec::new();
    let mut add = |source, get: &dyn Fn(&str) -> Option<String>| {
        for name in names {
            if let Some(value) = get(name) {
                let value = (!key.is_sensitive()).then_some(value);
                synonyms.push(ConfigSynonym { name: (*name).to_owned(), value, source });
            }
        }
    };
    add(ConfigSource::DynamicBroker, &|name| layers.broker().get(name).cloned());
    add(ConfigSource::DynamicDefaultBroker, &|name| layers.cluster().get(name).cloned());
    add(ConfigSource::StaticBroker, &|name| layers.file().get(name).map(str::to_owned));
    add(ConfigSource::Default, &|name| keys::find(Scope::Broker, name).and_then(default_text));
    synonyms.into_iter().skip_while(|synonym| synonym.name != key.name).collect()
}

/// The value in use as Kafka prints it.
fn effective(layers: &ConfigLayers, key: &ConfigKey) -> Option<String> {
    match layers.set(key.name) {
        Some((text, _)) => Some(text_of(key, text)),
        None => default_text(key),
    }
}

fn text_of(key: &ConfigKey, text: &str) -> String {
    key.parse(text).map_or_else(|_| text.to_owned(), |value| value.to_text())
}

fn default_text(key: &ConfigKey) -> Option<String> {
    match key.default {
        DefaultValue::Of(_) => key.default_value().map(|value| value.to_text()),
        DefaultValue::Null | DefaultValue::Required => None,
    }
}
