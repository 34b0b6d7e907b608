use ottla_types::BrokerEpoch;
use serde_json::{Value, json};

/// Reads `.kafka_cleanshutdown`: the epoch of the broker that stopped. `None` for the empty file of older releases and
/// for anything else: that the file exists says that the stop was clean, the epoch is extra.
pub fn parse_clean_shutdown(contents: &[u8]) -> Option<BrokerEpoch> {
    let value: Value = serde_json::from_slice(contents).ok()?;
    value.get("brokerEpoch")?.as_i64().map(BrokerEpoch)
}

/// Writes such a file.
pub fn format_clean_shutdown(epoch: BrokerEpoch) -> String {
    json!({ "version": 0, "brokerEpoch": epoch.0 }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clean_shutdown_file_carries_the_broker_epoch() {
        let text = format_clean_shutdown(BrokerEpoch(42));
        assert_eq!(text, r#"{"version":0,"brokerEpoch":42}"#);
        assert_eq!(parse_clean_shutdown(text.as_bytes()), Some(BrokerEpoch(42)));
        assert_eq!(parse_clean_shutdown(b""), None);
    }
}
