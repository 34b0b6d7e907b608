//! Messages in a form for people and tools: JSON with Kafka's field names, interpreted over the schema.
//!
//! Bytes are base64, ids are their usual text, numbers are numbers. A field that the version does not carry is left
//! out; so is a tagged field with its default. Unknown tagged fields stand as `"_taggedFields": [[tag, "base64"], ..]`,
//! so that nothing of a message is lost on the way to JSON and back.

mod base64;
mod from;
mod to;

use crate::decode_error::{DecodeError, DecodeErrorKind, Fault};
use crate::encode_error::EncodeErrorKind;
use crate::locate;
use crate::reader::Reader;
use crate::schema::MessageSchema;
use bytes::Bytes;
use core::fmt;
use serde_json::Value;

/// The member that holds a struct's unknown tagged fields.
const UNKNOWN_TAGS: &str = "_taggedFields";

/// JSON that is not the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The name of the message.
    pub message: &'static str,
    /// The version that was asked for.
    pub version: i16,
    /// The way to the member, `topicData[0].name`.
    pub field: String,
    /// What is wrong.
    pub kind: JsonErrorKind,
}

/// The ways in which JSON fails to be a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// The member has to be of this kind.
    Expected(&'static str),
    /// The member is missing.
    Missing,
    /// The struct has no such field.
    UnknownField,
    /// The value can't be put on the wire.
    Encode(EncodeErrorKind),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.message, self.version)?;
        if !self.field.is_empty() {
            write!(f, ", field {}", self.field)?;
        }
        match self.kind {
            JsonErrorKind::Expected(what) => write!(f, ": expected {what}"),
            JsonErrorKind::Missing => f.write_str(": the field is missing"),
            JsonErrorKind::UnknownField => f.write_str(": there is no such field"),
            JsonErrorKind::Encode(kind) => write!(f, ": {kind}"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads the whole input as the message and shows it as JSON.
///
/// # Errors
/// The bytes are not this message in this version.
pub fn to_json(schema: &'static MessageSchema, bytes: &[u8], version: i16) -> Result<Value, DecodeError> {
    let (value, reader) = read(schema, bytes, version)?;
    if reader.remaining() > 0 {
        return Err(error(
            schema,
            version,
            String::new(),
            Fault::new(DecodeErrorKind::TrailingBytes, reader.position()),
        ));
    }
    Ok(value)
}

/// Reads the message at the start of the input and shows it as JSON. What follows is left alone: Kafka's coordinators
/// read their records so.
///
/// # Errors
/// The bytes are not this message in this version.
pub fn first_to_json(schema: &'static MessageSchema, bytes: &[u8], version: i16) -> Result<Value, DecodeError> {
    read(schema, bytes, version).map(|(value, _)| value)
}

fn read<'a>(schema: &'static MessageSchema, bytes: &'a [u8], version: i16) -> Result<(Value, Reader<'a>), DecodeError> {
    let mut reader = Reader::new(bytes);
    if !schema.versions.contains(version) {
        return Err(error(schema, version, String::new(), Fault::new(DecodeErrorKind::UnsupportedVersion, 0)));
    }
    reader.begin(version, schema.flexible.contains(version));
    let start = reader;
    let value = to::structure(schema.structure, &mut reader);
    match reader.fault() {
        Some(fault) => Err(error(schema, version, locate::path(schema, start, fault), fault)),
        None => Ok((value, reader)),
    }
}

fn error(schema: &'static MessageSchema, version: i16, field: String, fault: Fault) -> DecodeError {
    DecodeError { message: schema.name, version, field, offset: fault.offset(), kind: fault.kind() }
}

/// The bytes that a text of a message's JSON stands for; `None` when it is not base64.
pub fn bytes_of(text: &str) -> Option<Vec<u8>> {
    base64::decode(text)
}

/// Writes the message that the JSON shows. A field that the version carries and that is not tagged has to be there.
///
/// # Errors
/// The JSON does not show this message in this version.
pub fn from_json(schema: &'static MessageSchema, value: &Value, version: i16) -> Result<Bytes, JsonError> {
    from::message(schema, value, version)
}
