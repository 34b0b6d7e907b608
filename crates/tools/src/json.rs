//! What is read from JSON files, and what Kafka's tools say of files that are not as they should be.

use serde_json::{Map, Value};

/// What is wrong with a file.
pub(crate) type Wrong = String;

/// The value as an object.
pub(crate) fn object(value: &Value) -> Result<&Map<String, Value>, Wrong> {
    value.as_object().ok_or_else(|| format!("Expected JSON object, received {value}"))
}

/// The value as a list.
pub(crate) fn array(value: &Value) -> Result<&[Value], Wrong> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("Expected JSON array, received {value}"))
}

/// A field that has to be there.
pub(crate) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Wrong> {
    object.get(name).ok_or_else(|| format!("No such field exists: `{name}`"))
}

/// The value as a number of 32 bits.
pub(crate) fn integer(value: &Value) -> Result<i32, Wrong> {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| format!("Expected `Integer` value, received {value}"))
}

/// The value as a text.
pub(crate) fn text(value: &Value) -> Result<&str, Wrong> {
    value.as_str().ok_or_else(|| format!("Expected `String` value, received {value}"))
}

/// The version that a file says it has; 1 when it says nothing, and nothing else is known.
pub(crate) fn check_version(object: &Map<String, Value>) -> Result<(), Wrong> {
    match object.get("version").map(integer).transpose()?.unwrap_or(1) {
        1 => Ok(()),
        other => Err(format!("Not supported version field value {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_told_with_the_value() {
        assert_eq!(object(&json!([])).unwrap_err(), "Expected JSON object, received []");
        assert_eq!(array(&json!({"a": 1})).unwrap_err(), "Expected JSON array, received {\"a\":1}");
        assert_eq!(integer(&json!(1.5)).unwrap_err(), "Expected `Integer` value, received 1.5");
        assert_eq!(integer(&json!(3_000_000_000_i64)).unwrap_err(), "Expected `Integer` value, received 3000000000");
        assert_eq!(text(&json!(7)).unwrap_err(), "Expected `String` value, received 7");
        let file = json!({"version": 2});
        let file = object(&file).unwrap();
        assert_eq!(field(file, "x").unwrap_err(), "No such field exists: `x`");
        assert_eq!(check_version(file).unwrap_err(), "Not supported version field value 2");
    }
}
