//! The records of `__consumer_offsets`: bytes as Apache Kafka 4.4 writes them, and everything that it and its
//! ancestors wrote before, read.
//!
//! A key begins with a two-byte record type, a value with a two-byte version.

mod decode;
mod encode;

use crate::consumer::record::ConsumerRecord;
use crate::preserved::PreservedKey;
use bytes::Bytes;
pub(crate) use decode::versioned;
pub use decode::{Decoded, RecordError, decode};
pub(crate) use encode::prefixed;
pub use encode::{EncodedRecord, encode};
use ottla_protocol::group_records::GroupMetadataValue;
use ottla_types::{LeaderEpoch, Offset, Timestamp, TopicId};
use std::sync::Arc;

/// Type of the offset record's key that Kafka wrote before 0.9; its values are those of type 1 in version 0.
pub(crate) const LEGACY_OFFSET_COMMIT: i16 = 0;
/// Type of the offset record's key.
pub(crate) const OFFSET_COMMIT: i16 = 1;
/// Type of the classic group record's key.
pub(crate) const GROUP_METADATA: i16 = 2;

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// A committed offset, or its end.
    OffsetCommit {
        /// The group.
        group_id: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The offset; `None` is a tombstone.
        value: Option<CommittedOffset>,
    },
    /// A generation of a classic group, or the group's end.
    GroupMetadata {
        /// The group.
        group_id: Arc<str>,
        /// The generation; `None` is a tombstone.
        value: Option<Box<GroupMetadataValue>>,
    },
    /// A record of a consumer group.
    Consumer(ConsumerRecord),
    /// A record of a group of another kind, as its bytes.
    Preserved {
        /// The key.
        key: PreservedKey,
        /// The value's bytes; `None` is a tombstone.
        value: Option<Bytes>,
    },
}

/// A committed offset with all that is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The position that the group reads next.
    pub offset: Offset,
    /// The leader epoch of the last record read, [`LeaderEpoch::NONE`] when the client did not know it.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Box<str>,
    /// When it was committed.
    pub commit_timestamp: Timestamp,
    /// When it expires, for clients of old that set their own retention.
    pub expire_timestamp: Option<Timestamp>,
    /// The topic's id, zero when the client committed by name to a broker that did not store ids.
    pub topic_id: TopicId,
    /// Where the record lies in the log; [`Offset`] -1 before it is there. Decides between a transactional commit and
    /// a plain one that was written later.
    pub record_offset: Offset,
}
