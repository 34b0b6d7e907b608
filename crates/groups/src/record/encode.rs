use super::{CommittedOffset, GROUP_METADATA, GroupRecord, OFFSET_COMMIT};
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::group_records::{GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::{EncodeError, Message};

/// The version of group metadata values. Version 4 exists but Kafka 4.4 does not write it.
const GROUP_METADATA_VALUE_VERSION: i16 = 3;
/// The version of offset values.
const OFFSET_COMMIT_VALUE_VERSION: i16 = 4;
/// The version of offset values with a retention of their own: the only one that has the field.
const OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY: i16 = 1;

/// A record's bytes: the key, and the value unless it is a tombstone.
pub type EncodedRecord = (Bytes, Option<Bytes>);

/// Encodes a record. Fails when a text is too long for the format.
pub fn encode(record: &GroupRecord) -> Result<EncodedRecord, EncodeError> {
    match record {
        GroupRecord::OffsetCommit { group_id, topic, partition, value } => {
            let key = OffsetCommitKey { group: group_id.to_string(), topic: topic.to_string(), partition: *partition };
            let value = value.as_ref().map(encode_committed_offset).transpose()?;
            Ok((prefixed(OFFSET_COMMIT, &key, 0)?, value))
        }
        GroupRecord::GroupMetadata { group_id, value } => {
            let key = GroupMetadataKey { group: group_id.to_string() };
            let value = value.as_deref().map(encode_group_metadata).transpose()?;
            Ok((prefixed(GROUP_METADATA, &key, 0)?, value))
        }
        GroupRecord::Consumer(record) => crate::consumer::record::encode(record),
        GroupRecord::Preserved { key, value } => Ok((key.bytes.clone(), value.clone())),
    }
}

fn encode_committed_offset(offset: &CommittedOffset) -> Result<Bytes, EncodeError> {
    let value = OffsetCommitValue {
        offset: offset.offset.value(),
        leader_epoch: offset.leader_epoch.value(),
        metadata: offset.metadata.to_string(),
        commit_timestamp: offset.commit_timestamp.value(),
        expire_timestamp: offset.expire_timestamp.map_or(-1, |timestamp| timestamp.value()),
        topic_id: offset.topic_id,
        ..Default::default()
    };
    let version = match offset.expire_timestamp {
        Some(_) => OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY,
        None => OFFSET_COMMIT_VALUE_VERSION,
    };
    prefixed(version, &value, version)
}

fn encode_group_metadata(value: &GroupMetadataValue) -> Result<Bytes, EncodeError> {
    prefixed(GROUP_METADATA_VALUE_VERSION, value, GROUP_METADATA_VALUE_VERSION)
}

pub(crate) fn prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let body = message.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.put_i16(prefix);
    bytes.put_slice(&body);
    Ok(bytes.freeze())
}
