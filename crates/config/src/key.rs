use crate::InvalidValue;
use crate::value::Value;

/// What kind of thing a key configures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A node: its properties file, and the dynamic configurations of brokers.
    Broker,
    /// A topic.
    Topic,
    /// A group.
    Group,
    /// A subscription to client metrics.
    ClientMetrics,
    /// The replication throttles of a broker, which are dynamic only.
    BrokerQuota,
    /// A user, a client id or both: quotas, and the SCRAM credentials of a user.
    UserClientQuota,
    /// An IP address.
    IpQuota,
}

/// The type of a key's value, in Kafka's terms; `DescribeConfigs` names it to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Boolean,
    /// Text.
    String,
    /// A 32-bit integer.
    Int,
    /// A 16-bit integer.
    Short,
    /// A 64-bit integer.
    Long,
    /// A floating-point number.
    Double,
    /// Texts separated by commas.
    List,
    /// The name of a Java class. Ottla loads none; the text is kept.
    Class,
    /// Text that is never shown.
    Password,
}

impl ConfigType {
    /// Kafka's name of the type, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }

    /// The number that `DescribeConfigs` answers carry.
    pub const fn id(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// How much a key matters to an operator, as Kafka ranks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Look at it before production.
    High,
    /// Look at it when there is a reason.
    Medium,
    /// Leave it alone.
    Low,
}

impl Importance {
    /// Kafka's name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// Whether a broker's key can change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// Only by a restart.
    ReadOnly,
    /// For one broker at a time.
    PerBroker,
    /// For one broker, or for all of the cluster at once.
    ClusterWide,
}

impl UpdateMode {
    /// Kafka's name of the mode.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// What a key is worth when nobody set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing: somebody must set it.
    Required,
    /// No value, which the key allows.
    Null,
    /// This text.
    Of(&'static str),
}

/// Which values a key allows beyond those of its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// All.
    Any,
    /// An integer not below this.
    AtLeast(i64),
    /// An integer in this range, both ends included.
    Between(i64, i64),
    /// A floating-point number in this range, both ends included.
    BetweenDoubles(f64, f64),
    /// `-1`, or an integer in this range: the levels of gzip.
    MinusOneOr(i64, i64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// Texts, each one of these; repeats are dropped.
    EachOf(&'static [&'static str]),
    /// As `EachOf`, and at least one.
    SomeOf(&'static [&'static str]),
    /// Texts, none empty, perhaps none at all; repeats are dropped.
    Distinct,
    /// As `Distinct`, and at least one.
    DistinctAndSome,
    /// Text that is not empty.
    NotEmpty,
    /// `*`, or entries of the form `partition:broker`.
    ThrottledReplicas,
    /// Entries of the form `id@host:port`.
    QuorumVoters,
    /// Entries of the form `host:port`.
    BootstrapServers,
    /// `latest`, `earliest` or `by_duration:` with an ISO 8601 duration.
    OffsetReset,
}

/// A broker's key that gives a topic's key its default, with the factor between their units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSynonym {
    /// The broker's key.
    pub name: &'static str,
    /// How many units of the topic's key one unit of the broker's key is: 1, or 3,600,000 for hours in milliseconds.
    pub factor: i64,
}

/// The declaration of one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConfigKey {
    /// The key.
    pub name: &'static str,
    /// The type of its value.
    pub config_type: ConfigType,
    /// Its value when nobody set it.
    pub default: DefaultValue,
    /// Its rank.
    pub importance: Importance,
    /// The values it allows.
    pub check: Check,
    /// Whether it can change at run time; meaningful for broker keys.
    pub update_mode: UpdateMode,
    /// For a topic's key: the broker's keys that give the default, first wins.
    pub server_synonyms: &'static [ServerSynonym],
    /// Whether Kafka hides it from listings.
    pub internal: bool,
    /// Whether Ottla does what the key says. The others are accepted and named at start-up.
    pub obeyed: bool,
    /// One line of explanation; empty for keys that Ottla does not obey yet.
    pub description: &'static str,
}

impl ConfigKey {
    pub(crate) const fn new(
        name: &'static str,
        config_type: ConfigType,
        default: DefaultValue,
        importance: Importance,
    ) -> Self {
        Self {
            name,
            config_type,
            default,
            importance,
            check: Check::Any,
            update_mode: UpdateMode::ReadOnly,
            server_synonyms: &[],
            internal: false,
            obeyed: false,
            description: "",
        }
    }

    pub(crate) const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    pub(crate) const fn per_broker(mut self) -> Self {
        self.update_mode = UpdateMode::PerBroker;
        self
    }

    pub(crate) const fn cluster_wide(mut self) -> Self {
        self.update_mode = UpdateMode::ClusterWide;
        self
    }

    pub(crate) const fn server(mut self, synonyms: &'static [ServerSynonym]) -> Self {
        self.server_synonyms = synonyms;
        self
    }

    pub(crate) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    pub(crate) const fn obeyed(mut self, description: &'static str) -> Self {
        self.obeyed = true;
        self.description = description;
        self
    }

    /// Whether the value must not be shown.
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.config_type, ConfigType::Password)
    }

    /// Whether a topic, group or user may change it at run time; for a broker's key, whether any dynamic way exists.
    pub const fn is_dynamic(&self) -> bool {
        !matches!(self.update_mode, UpdateMode::ReadOnly)
    }

    /// Reads `text` as a value of this key: trimmed and converted as Kafka does, and checked.
    ///
    /// # Errors
    /// The value and what the key allows, when it is not one of this key's.
    pub fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        let invalid = |reason: String| InvalidValue { key: self.name.to_owned(), value: text.to_owned(), reason };
        let value = Value::parse(self.config_type, text).map_err(invalid)?;
        let value = self.check.without_repeats(value);
        self.check.accept(&value).map_err(invalid)?;
        Ok(value)
    }

    /// The default as a value; `None` when it is null or when there is none.
    pub fn default_value(&self) -> Option<Value> {
        match self.default {
            DefaultValue::Of(text) => Value::parse(self.config_type, text).ok(),
            DefaultValue::Null | DefaultValue::Required => None,
        }
    }
}
