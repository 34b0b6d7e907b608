use crate::properties::Place;
use core::fmt;

/// A value that a key does not allow. Its text is the one that clients of `CreateTopics` and `AlterConfigs` see, in
/// Kafka's frame: the value, the key and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    /// The key.
    pub key: String,
    /// The refused value, as it was given.
    pub value: String,
    /// What is allowed.
    pub reason: String,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid value {} for configuration {}: {}", self.value, self.key, self.reason)
    }
}

impl std::error::Error for InvalidValue {}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A value that its key does not allow, and where it stands if that is in a file.
    Invalid {
        /// Where the entry stands.
        place: Option<Place>,
        /// The value and what is allowed.
        invalid: InvalidValue,
    },
    /// A key that must be set is missing.
    Missing {
        /// The key.
        key: &'static str,
        /// What to set.
        advice: String,
    },
    /// A key that the scope does not know, in a scope that refuses unknown keys.
    Unknown {
        /// The whole sentence, which names the key.
        message: String,
    },
    /// Values that are fine alone but not together.
    Conflict {
        /// Where one of them stands.
        place: Option<Place>,
        /// Which values, and what to change.
        message: String,
    },
}

impl ConfigError {
    /// Where the entry to blame stands, if it is in a file.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Invalid { place, .. } | Self::Conflict { place, .. } => place.as_ref(),
            Self::Missing { .. } | Self::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { place, invalid } => {
                with_place(f, place)?;
                invalid.fmt(f)
            }
            Self::Missing { key, advice } => write!(f, "{key} is not set: {advice}"),
            Self::Unknown { message } => f.write_str(message),
            Self::Conflict { place, message } => {
                with_place(f, place)?;
                f.write_str(message)
            }
        }
    }
}

fn with_place(f: &mut fmt::Formatter<'_>, place: &Option<Place>) -> fmt::Result {
    match place {
        Some(place) => write!(f, "{place}: "),
        None => Ok(()),
    }
}

impl std::error::Error for ConfigError {}

impl From<InvalidValue> for ConfigError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Invalid { place: None, invalid }
    }
}

/// Everything that is wrong with a configuration, so that it can be mended in one go. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that an operator should read once at start-up, though the node starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Keys that Kafka knows and Ottla does not obey yet.
    NotObeyed {
        /// The keys that were set, sorted.
        keys: Vec<String>,
    },
    /// A key that Kafka once knew.
    Removed {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// What became of it.
        fate: &'static str,
    },
    /// A key that nobody knows.
    Unknown {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObeyed { keys } => write!(f, "known but without effect in this version: {}", keys.join(", ")),
            Self::Removed { place, key, fate } => write!(f, "{place}: {key} is ignored: {fate}"),
            Self::Unknown { place, key, nearest: Some(nearest) } => {
                write!(f, "{place}: unknown key {key}; did you mean {nearest}?")
            }
            Self::Unknown { place, key, nearest: None } => write!(f, "{place}: unknown key {key}"),
        }
    }
}
