use super::{frame, json};
use ottla_protocol::schema::MessageKind;
use ottla_records::Record;
use serde_json::json;

/// Shows a record of the cluster's metadata.
pub(super) fn show(record: &Record<'_>) -> String {
    read(record.value.unwrap_or_default()).unwrap_or_else(|why| format!("Error at {}, skipping. {why}", record.offset))
}

fn read(bytes: &[u8]) -> Result<String, String> {
    let (kind, version, rest) = frame(bytes)?;
    let schema = json::schema("metadata_records", MessageKind::Record, kind)
        .ok_or_else(|| format!("Unknown metadata id {kind}"))?;
    let data = json::message(schema, rest, version)?;
    Ok(json::text(&json!({"type": shouted(schema.name), "version": version, "data": data})))
}

/// `FeatureLevelRecord` as `FEATURE_LEVEL_RECORD`.
fn shouted(name: &str) -> String {
    let mut shouted = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !shouted.is_empty() {
            shouted.push('_');
        }
        shouted.push(letter.to_ascii_uppercase());
    }
    shouted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_shown_with_type_and_version() {
        let record =
            [1, 12, 0, 14, b'g', b'r', b'o', b'u', b'p', b'.', b'v', b'e', b'r', b's', b'i', b'o', b'n', 0, 1, 0];
        let expected =
            r#"{"type":"FEATURE_LEVEL_RECORD","version":0,"data":{"name":"group.version","featureLevel":1}}"#;
        assert_eq!(read(&record).as_deref(), Ok(expected));
        for length in 0..record.len() {
            assert!(read(&record[..length]).is_err(), "{length}");
        }
        assert_eq!(read(&[1, 99, 0]).unwrap_err(), "Unknown metadata id 99");
    }
}
