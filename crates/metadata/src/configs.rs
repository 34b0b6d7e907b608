use crate::OrderedMap;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a configuration belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum ConfigResourceType {
    /// A topic, by name.
    Topic,
    /// A broker, by its id in decimal; the empty name is the default of all brokers.
    Broker,
    /// The loggers of a broker; never stored in the log.
    BrokerLogger,
    /// A subscription of client metrics, by name.
    ClientMetrics,
    /// A group, by its id.
    Group,
}

impl ConfigResourceType {
    /// The type of that number in records and requests.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }

    /// The number in records and requests.
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }
}

impl fmt::Display for ConfigResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::BrokerLogger => "BROKER_LOGGER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        })
    }
}

/// One thing that has a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceType,
    /// Its name.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// The resource of that kind and name.
    pub fn new(kind: ConfigResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The topic of that name.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Topic, name)
    }

    /// One broker.
    pub fn broker(id: ottla_types::BrokerId) -> Self {
        Self::new(ConfigResourceType::Broker, id.to_string())
    }

    /// The default of all brokers.
    pub fn broker_default() -> Self {
        Self::new(ConfigResourceType::Broker, "")
    }
}

/// All dynamic configurations. A resource is present only while it has at least one key: clearing the last one and never
/// having set one are the same.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConfigsImage {
    pub(crate) resources: OrderedMap<ConfigResource, Arc<BTreeMap<String, String>>>,
}

impl ConfigsImage {
    /// The keys and values set on the resource; `None` if there are none.
    pub fn get(&self, resource: &ConfigResource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.resources.get(resource)
    }

    /// One key's value on the resource.
    pub fn value(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.get(resource)?.get(key).map(String::as_str)
    }

    /// All resources that have at least one key.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<BTreeMap<String, String>>)> {
        self.resources.iter()
    }

    /// Sets or, with `None`, clears one key.
    pub(crate) fn set(&mut self, resource: &ConfigResource, key: &str, value: Option<&str>) {
        let mut configs = self.resources.get(resource).cloned().unwrap_or_default();
        match value {
            Some(value) => Arc::make_mut(&mut configs).insert(key.to_owned(), value.to_owned()),
            None => Arc::make_mut(&mut configs).remove(key),
        };
        if configs.is_empty() {
            self.resources.remove(resource);
        } else {
            self.resources.insert(resource.clone(), configs);
        }
    }
}
