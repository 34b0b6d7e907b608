//! What lies on the server, asked over a socket without a client: whether a client did what it was told in the way it was
//! told, which its own answers don't show.

use super::failure::{Done, Failure};
use crate::Asker;
use crate::raw::unbase64;
use ottla_protocol::ApiKey;
use serde_json::{Value, json};

/// The version of Fetch that still names topics instead of their ids.
const FETCH_VERSION: i16 = 12;
const DESCRIBE_GROUPS_VERSION: i16 = 5;
const CONSUMER_GROUP_DESCRIBE_VERSION: i16 = 1;

/// Where the length of a batch stands, and how much is in front of what it counts.
const LENGTH_AT: usize = 8;
const LENGTH_OVERHEAD: usize = 12;

/// The codecs by the number that a batch's attributes have for them.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// The head of a record batch, as far as jobs look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHead {
    pub(super) codec: &'static str,
    /// -1 when the producer is not idempotent.
    pub(super) producer_id: i64,
    pub(super) base_sequence: i32,
    pub(super) records: i32,
}

/// The heads of the batches in partition 0, which must fit in one answer.
pub(super) fn batch_heads(bootstrap: &str, topic: &str) -> Done<Vec<BatchHead>> {
    let partition = json!({"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 50 << 20});
    let request = json!({
        "replicaId": -1, "maxWaitMs": 1000, "minBytes": 1, "maxBytes": 50 << 20,
        "topics": [{"topic": topic, "partitions": [partition]}],
    });
    let answer = Asker::new(bootstrap.to_owned()).ask(ApiKey::Fetch, FETCH_VERSION, &request)?;
    let records = answer["responses"][0]["partitions"][0]["records"].as_str().unwrap_or_default();
    let bytes = unbase64(records);
    heads(&bytes).ok_or_else(|| Failure::new(format!("no record batches: {:?}", bytes.get(..100))))
}

fn heads(mut bytes: &[u8]) -> Option<Vec<BatchHead>> {
    let mut heads = Vec::new();
    while !bytes.is_empty() {
        let field = |at: usize| bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map(i32::from_be_bytes);
        let attributes = usize::from(*bytes.get(22)?);
        heads.push(BatchHead {
            codec: CODECS.get(attributes & 7)?,
            producer_id: i64::from_be_bytes(bytes.get(43..51)?.try_into().ok()?),
            base_sequence: field(53)?,
            records: field(57)?,
        });
        bytes = bytes.get(LENGTH_OVERHEAD + usize::try_from(field(LENGTH_AT)?).ok()?..)?;
    }
    Some(heads)
}

/// The protocol and the assignor that a group with members has: `classic` and what its members agreed on, or `consumer`
/// and the server's.
pub(super) fn protocol_of_group(bootstrap: &str, group: &str) -> Done<(&'static str, String)> {
    let mut asker = Asker::new(bootstrap.to_owned());
    let request = json!({"groupIds": [group]});
    let told = asker.ask(ApiKey::ConsumerGroupDescribe, CONSUMER_GROUP_DESCRIBE_VERSION, &request)?;
    if told["groups"][0]["errorCode"] == 0 {
        return Ok(("consumer", said(&told["groups"][0]["assignorName"])?));
    }
    let told = asker.ask(ApiKey::DescribeGroups, DESCRIBE_GROUPS_VERSION, &json!({"groups": [group]}))?;
    Ok(("classic", said(&told["groups"][0]["protocolData"])?))
}

fn said(value: &Value) -> Done<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("a group's assignor is {value}")))
}
