use super::{CommittedOffset, GROUP_METADATA, GroupRecord, LEGACY_OFFSET_COMMIT, OFFSET_COMMIT};
use crate::preserved::{PreservedKey, PreservedKeyError};
use bytes::Bytes;
use ottla_protocol::group_records::{GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::{DecodeError, Message};
use ottla_types::{LeaderEpoch, Offset, Timestamp};

/// What a key and value turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A record that the machine replays.
    Record(GroupRecord),
    /// A record of a type that no known release writes. It is passed over, as in Kafka: it may be left over from a
    /// newer one.
    UnknownType(i16),
}

/// A record that can't be read. Nothing may be built upon a log that holds one.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is no key.
    #[error("a record has no key")]
    NoKey,
    /// The key or the value ends before its two-byte type or version.
    #[error("the {0} ends before its type")]
    NoType(&'static str),
    /// The value has a version that is not known.
    #[error("the value of a record of type {record_type} has the unknown version {version}")]
    UnknownValueVersion {
        /// The record's type.
        record_type: i16,
        /// The value's version.
        version: i16,
    },
    /// The bytes are not those of the record.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The key of a preserved record does not begin with a group id.
    #[error(transparent)]
    MalformedPreservedKey(#[from] PreservedKeyError),
}

/// Reads a record of the log.
pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Decoded, RecordError> {
    let key = key.ok_or(RecordError::NoKey)?;
    let (record_type, body) = split(key, "key")?;
    let record = match record_type {
        LEGACY_OFFSET_COMMIT | OFFSET_COMMIT => {
            // Both keys have the same fields.
            let key = OffsetCommitKey::decode(body, 0)?;
            let value = value.map(|value| committed_offset(record_type, value)).transpose()?;
            GroupRecord::OffsetCommit {
                group_id: key.group.into(),
                topic: key.topic.into(),
                partition: key.partition,
                value,
            }
        }
        GROUP_METADATA => {
            let key = GroupMetadataKey::decode(body, 0)?;
            let value = value.map(|value| versioned::<GroupMetadataValue>(record_type, value)).transpose()?;
            GroupRecord::GroupMetadata { group_id: key.group.into(), value: value.map(Box::new) }
        }
        other => match crate::consumer::record::decode(other, body, value)? {
            Some(record) => GroupRecord::Consumer(record),
            None => match PreservedKey::parse(other, key)? {
                Some(key) => GroupRecord::Preserved { key, value: value.map(Bytes::copy_from_slice) },
                None => return Ok(Decoded::UnknownType(other)),
            },
        },
    };
    Ok(Decoded::Record(record))
}

fn committed_offset(record_type: i16, value: &[u8]) -> Result<CommittedOffset, RecordError> {
    let value = versioned::<OffsetCommitValue>(record_type, value)?;
    Ok(CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: value.metadata.into_boxed_str(),
        commit_timestamp: Timestamp(value.commit_timestamp),
        expire_timestamp: (value.expire_timestamp != -1).then_some(Timestamp(value.expire_timestamp)),
        topic_id: value.topic_id,
        record_offset: Offset(-1),
    })
}

pub(crate) fn versioned<M: Message>(record_type: i16, value: &[u8]) -> Result<M, RecordError> {
    let (version, body) = split(value, "value")?;
    if version < M::VERSIONS.min || version > M::VERSIONS.max {
        return Err(RecordError::UnknownValueVersion { record_type, version });
    }
    Ok(M::decode(body, version)?)
}

fn split<'a>(bytes: &'a [u8], what: &'static str) -> Result<(i16, &'a [u8]), RecordError> {
    let (number, body) = bytes.split_first_chunk::<2>().ok_or(RecordError::NoType(what))?;
    Ok((i16::from_be_bytes(*number), body))
}
