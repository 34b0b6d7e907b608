//! How typed structs are made of keys: a field per key, named like the key.

use crate::key::{ConfigKey, Scope};
use crate::properties::Place;
use crate::value::Value;
use crate::{ConfigError, keys};

/// Something that knows which keys were set.
pub(crate) trait Lookup {
    /// The text that `key` was set to, and where.
    fn set(&self, key: &str) -> Option<(&str, Option<&Place>)>;
}

impl Lookup for std::collections::BTreeMap<String, String> {
    fn set(&self, key: &str) -> Option<(&str, Option<&Place>)> {
        self.get(key).map(|value| (value.as_str(), None))
    }
}

/// Reads values of one scope and gathers what is wrong with them.
pub(crate) struct Reader<'a> {
    scope: Scope,
    lookup: &'a dyn Lookup,
    pub(crate) errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(scope: Scope, lookup: &'a dyn Lookup) -> Self {
        Self { scope, lookup, errors: Vec::new() }
    }

    /// The value of the key `name`: as set, else as in `base`, else by the key's default.
    pub(crate) fn get<T: Setting>(&mut self, name: &'static str, base: Option<&T>) -> T {
        let Some(key) = keys::find(self.scope, name) else {
            debug_assert!(false, "{name} is not declared");
            return T::default();
        };
        match (self.value(key), base) {
            (Some(value), _) => T::from_value(Some(value)).unwrap_or_default(),
            (None, Some(base)) => base.clone(),
            (None, None) => T::from_value(key.default_value()).unwrap_or_default(),
        }
    }

    /// The value that `key` was set to, if it was and if it is a good one. A bad one is remembered as an error.
    pub(crate) fn value(&mut self, key: &ConfigKey) -> Option<Value> {
        let (text, place) = self.lookup.set(key.name)?;
        match key.parse(text) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.errors.push(ConfigError::Invalid { place: place.cloned(), invalid });
                None
            }
        }
    }

    /// Whether somebody set the key `name`.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.lookup.set(name).is_some()
    }

    pub(crate) fn place(&self, key: &str) -> Option<Place> {
        self.lookup.set(key).and_then(|(_, place)| place.cloned())
    }

    /// Remembers that values do not go together. `key` is the one to point at.
    pub(crate) fn conflict(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key);
        self.errors.push(ConfigError::Conflict { place, message: message.into() });
    }
}

/// The type of a field that a value can become.
pub(crate) trait Setting: Clone + Default {
    /// The field's value, or `None` when the value is not of this type, which a checked value always is.
    fn from_value(value: Option<Value>) -> Option<Self>;
}

impl<T: Setting> Setting for Option<T> {
    fn from_value(value: Option<Value>) -> Option<Self> {
        match value {
            None => Some(None),
            some => T::from_value(some).map(Some),
        }
    }
}

impl Setting for bool {
    fn from_value(value: Option<Value>) -> Option<Self> {
        if let Some(Value::Boolean(value)) = value { Some(value) } else { None }
    }
}

impl Setting for i64 {
    fn from_value(value: Option<Value>) -> Option<Self> {
        if let Some(Value::Integer(value)) = value { Some(value) } else { None }
    }
}

impl Setting for i32 {
    fn from_value(value: Option<Value>) -> Option<Self> {
        i64::from_value(value).and_then(|value| value.try_into().ok())
    }
}

impl Setting for i16 {
    fn from_value(value: Option<Value>) -> Option<Self> {
        i64::from_value(value).and_then(|value| value.try_into().ok())
    }
}

impl Setting for f64 {
    fn from_value(value: Option<Value>) -> Option<Self> {
        if let Some(Value::Double(value)) = value { Some(value) } else { None }
    }
}

impl Setting for String {
    fn from_value(value: Option<Value>) -> Option<Self> {
        if let Some(Value::Text(value)) = value { Some(value) } else { None }
    }
}

impl Setting for Vec<String> {
    fn from_value(value: Option<Value>) -> Option<Self> {
        if let Some(Value::List(value)) = value { Some(value) } else { None }
    }
}

/// Declares a struct with a field per key. The field's documentation is the key's name; its meaning is told where the
/// key is declared.
macro_rules! settings {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = concat!("`", $key, "`")] pub $field: $type,)*
        }

        impl $name {
            /// The keys that the fields come from.
            pub const KEYS: &'static [&'static str] = &[$($key),*];

            pub(crate) fn read(reader: &mut $crate::settings::Reader<'_>, base: Option<&Self>) -> Self {
                Self { $($field: reader.get($key, base.map(|base| &base.$field)),)* }
            }
        }
    };
}

pub(crate) use settings;
