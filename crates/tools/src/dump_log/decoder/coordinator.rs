use super::{Shown, json, prefix};
use ottla_protocol::schema::{MessageKind, MessageSchema, by_name};
use ottla_records::Record;
use serde_json::{Value, json};

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dump_log) enum Family {
    /// `__consumer_offsets`.
    Group,
    /// `__transaction_state`.
    Transaction,
    /// `__share_group_state`.
    Share,
}

/// The names of a transaction's states by their numbers.
const TRANSACTION_STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::Group => "group_records",
            Self::Transaction => "transaction_records",
            Self::Share => "share_records",
        }
    }

    /// # Errors
    /// The record has no key: with that Kafka's tool ends.
    pub(super) fn show(self, record: &Record<'_>) -> Result<Shown, String> {
        let offset = record.offset;
        let Some(key) = record.key else {
            return Err(format!("the record at offset {offset} has no key: it is none that the chosen decoder is for"));
        };
        Ok(match self.read(key, record.value) {
            Ok((key, payload)) => (Some(key), Some(payload)),
            Err(Unreadable::Type(number)) => {
                (Some(format!("Unknown record type {number} at offset {offset}, skipping.")), None)
            }
            Err(Unreadable::Other(why)) => (Some(format!("Error at offset {offset}, skipping. {why}")), None),
        })
    }

    fn read(self, key: &[u8], value: Option<&[u8]>) -> Result<(String, String), Unreadable> {
        let cut = |what: &str| Unreadable::Other(format!("Could not read version from {what}'s buffer."));
        let (number, rest) = prefix(key).ok_or_else(|| cut("key"))?;
        let unknown = || Unreadable::Type(number);
        let schema = json::schema(self.name(), MessageKind::Key, number).ok_or_else(unknown)?;
        // The schemas of keys have one version; what stands before them is their type.
        let key = json!({"type": number.to_string(), "data": read(schema, rest, 0, number, "key")?});
        let Some(value) = value else {
            return Ok((json::text(&key), "<DELETE>".to_owned()));
        };
        let schema = json::schema(self.name(), MessageKind::Value, number).ok_or_else(unknown)?;
        let (version, rest) = prefix(value).ok_or_else(|| cut("value"))?;
        let mut data = read(schema, rest, version, version, "value")?;
        match schema.name {
            "GroupMetadataValue" => show_members(&mut data),
            "TransactionLogValue" => show_state(&mut data),
            _ => {}
        }
        let value = json!({"version": version.to_string(), "data": data});
        Ok((json::text(&key), json::text(&value)))
    }
}

enum Unreadable {
    /// No record has this type.
    Type(i16),
    Other(String),
}

fn read(
    schema: &'static MessageSchema,
    bytes: &[u8],
    version: i16,
    shown: i16,
    what: &str,
) -> Result<Value, Unreadable> {
    json::first_message(schema, bytes, version).map_err(|error| {
        Unreadable::Other(format!("Could not read record with version {shown} from {what}'s buffer due to: {error}."))
    })
}

/// What the members of a classic group of consumers told each other is shown too.
fn show_members(group: &mut Value) {
    if group.get("protocolType").and_then(Value::as_str) != Some("consumer") {
        return;
    }
    let members = group.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten();
    for member in members {
        for (field, name) in
            [("subscription", "ConsumerProtocolSubscription"), ("assignment", "ConsumerProtocolAssignment")]
        {
            if let Some(value) = member.get_mut(field)
                && let Some(shown) = embedded(value, name)
            {
                *value = shown;
            }
        }
    }
}

/// The message in base64; `None` when it is none, and then stays as it is.
fn embedded(value: &Value, name: &str) -> Option<Value> {
    let bytes = ottla_protocol::json::bytes_of(value.as_str()?)?;
    let schema = by_name(name)?;
    let (version, rest) = prefix(&bytes)?;
    json::first_message(schema, rest, version.min(schema.versions.max)).ok()
}

fn show_state(transaction: &mut Value) {
    if let Some(state) = transaction.get_mut("transactionStatus") {
        let number = state.as_i64().unwrap_or_default();
        let name = usize::try_from(number).ok().and_then(|number| TRANSACTION_STATES.get(number));
        *state = name.map_or_else(|| number.to_string(), |name| (*name).to_owned()).into();
    }
}
