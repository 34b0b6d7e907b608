use super::failure::{Done, Failure};
use crate::raw::{base64, unbase64};
use serde_json::{Value, json};
use std::fmt;

/// As much of a key or value as an error shows.
const SHOWN_BYTES: usize = 40;

/// Bytes of a record, or none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Blob(pub(super) Option<Vec<u8>>);

/// A record as a producer gives it. The default is that of null and null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Blob,
    pub(super) value: Blob,
    pub(super) headers: Vec<(String, Blob)>,
    /// `None` leaves it to the library.
    pub(super) timestamp: Option<i64>,
}

/// A record as a consumer gets it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) partition: i64,
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Blob,
    pub(super) value: Blob,
    pub(super) headers: Vec<(String, Blob)>,
}

impl Blob {
    pub(super) fn text(text: &str) -> Self {
        Self(Some(text.as_bytes().to_vec()))
    }

    pub(super) fn null() -> Self {
        Self(None)
    }

    fn json(&self) -> Value {
        self.0.as_deref().map_or(Value::Null, |bytes| base64(bytes).into())
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self(None)),
            Value::String(text) => Some(Self(Some(unbase64(text)))),
            _ => None,
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("null"),
            Some(bytes) if bytes.len() <= SHOWN_BYTES => write!(f, "\"{}\"", bytes.escape_ascii()),
            Some(bytes) => write!(f, "\"{}...\" ({} bytes)", bytes[..SHOWN_BYTES].escape_ascii(), bytes.len()),
        }
    }
}

impl Record {
    /// A record without headers.
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self { key: Blob::text(key), value: Blob::text(value), headers: Vec::new(), timestamp: None }
    }

    /// With what the protocol between job and adapter has of it.
    pub(super) fn json(&self) -> Value {
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!([name, value.json()])).collect();
        json!({"key": self.key.json(), "value": self.value.json(), "headers": headers, "timestamp": self.timestamp})
    }
}

impl Received {
    /// The record of an answer.
    pub(super) fn read(value: &Value) -> Done<Self> {
        Self::parse(value).ok_or_else(|| Failure::new(format!("the adapter gives what is no record: {value}")))
    }

    fn parse(value: &Value) -> Option<Self> {
        let header = |header: &Value| Some((header.get(0)?.as_str()?.to_owned(), Blob::read(header.get(1)?)?));
        Some(Self {
            partition: value["partition"].as_i64()?,
            offset: value["offset"].as_i64()?,
            timestamp: value["timestamp"].as_i64()?,
            key: Blob::read(value.get("key")?)?,
            value: Blob::read(value.get("value")?)?,
            headers: value["headers"].as_array()?.iter().map(header).collect::<Option<_>>()?,
        })
    }

    /// Whether it is what was sent.
    pub(super) fn is(&self, sent: &Record) -> bool {
        self.key == sent.key
            && self.value == sent.value
            && self.headers == sent.headers
            && sent.timestamp.is_none_or(|timestamp| timestamp == self.timestamp)
    }
}
