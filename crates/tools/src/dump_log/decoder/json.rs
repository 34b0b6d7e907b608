//! Messages as Kafka's tools print them in JSON, which they leave to Jackson.

use ottla_protocol::DecodeError;
use ottla_protocol::json::{first_to_json, to_json};
use ottla_protocol::schema::{MessageKind, MessageSchema, by_name};
use serde_json::Value;

/// What holds the tagged fields that nobody knows; Kafka's JSON is silent about them.
const UNKNOWN_TAGS: &str = "_taggedFields";

/// The schema of a message of a kind in a family by the number of its record.
pub(super) fn schema(family: &str, kind: MessageKind, number: i16) -> Option<&'static MessageSchema> {
    let codecs = ottla_protocol::registry::ALL.iter().filter(|codec| codec.family() == family);
    codecs.map(|codec| codec.schema()).find(|schema| schema.kind == kind && schema.api == Some(number))
}

/// A message as JSON.
///
/// # Errors
/// The bytes are not the message; the sentence says why.
pub(super) fn message(schema: &'static MessageSchema, bytes: &[u8], version: i16) -> Result<Value, String> {
    shown(to_json(schema, bytes, version))
}

/// A message at the start of the bytes as JSON; Kafka does not look at what follows.
///
/// # Errors
/// The bytes are not the message; the sentence says why.
pub(super) fn first_message(schema: &'static MessageSchema, bytes: &[u8], version: i16) -> Result<Value, String> {
    shown(first_to_json(schema, bytes, version))
}

fn shown(read: Result<Value, DecodeError>) -> Result<Value, String> {
    let mut value = read.map_err(|error| error.to_string())?;
    without_unknown_tags(&mut value);
    Ok(value)
}

/// A message whose first field is its version, as text.
///
/// # Errors
/// The bytes are not the message; the sentence says why.
pub(in crate::dump_log) fn versioned(name: &str, bytes: &[u8]) -> Result<String, String> {
    let schema = by_name(name).ok_or_else(|| format!("there is no {name}"))?;
    let first = bytes.first_chunk().ok_or_else(|| format!("{name} is cut off"))?;
    // A version of a later release is read like the newest that is known, as Kafka does.
    let version = i16::from_be_bytes(*first).min(schema.versions.max);
    first_message(schema, bytes, version).map(|value| text(&value))
}

fn without_unknown_tags(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.shift_remove(UNKNOWN_TAGS);
            members.values_mut().for_each(without_unknown_tags);
        }
        Value::Array(items) => items.iter_mut().for_each(without_unknown_tags),
        _ => {}
    }
}

/// JSON as text, as Jackson writes it: capital letters in escapes, Java's way of fractions.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Goes as deep as the schema does.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(fraction) => out.push_str(&java_double(fraction)),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_text(name, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// `Double.toString`: plain from a thousandth to ten million, with an exponent beyond, always with a fraction.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_written_as_jackson_does() {
        let value = serde_json::json!({"b": "é\u{1f}\n\"/\\", "a": [1.0, 1e10, 0.5, 1e-4, 1234567.25, 12_345_678.0]});
        let expected = "{\"b\":\"é\\u001F\\n\\\"/\\\\\",\"a\":[1.0,1.0E10,0.5,1.0E-4,1234567.25,1.2345678E7]}";
        assert_eq!(text(&value), expected);
    }

    #[test]
    fn a_message_of_a_later_version_is_read_like_the_newest() {
        assert_eq!(versioned("SnapshotFooterRecord", &[0, 9, 0]).unwrap(), "{\"version\":9}");
        assert!(versioned("SnapshotFooterRecord", &[0]).is_err());
    }
}
