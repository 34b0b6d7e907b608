use ottla_types::Sequence;
use thiserror::Error;

use crate::record::Record;
use crate::varint::Cursor;

/// The kind of a control record, from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlRecordType {
    /// The transaction of this producer ended and its records are void.
    Abort,
    /// The transaction of this producer ended and its records count.
    Commit,
    /// A new leader of the metadata quorum (KIP-595).
    LeaderChange,
    /// The start of a snapshot of the metadata (KIP-630).
    SnapshotHeader,
    /// The end of a snapshot of the metadata (KIP-630).
    SnapshotFooter,
    /// The version of KRaft in use (KIP-853).
    KRaftVersion,
    /// The voters of the quorum (KIP-853).
    KRaftVoters,
    /// A kind of a later release; readers skip it.
    Unknown(i16),
}

impl ControlRecordType {
    /// The kind of a number.
    pub const fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            other => Self::Unknown(other),
        }
    }

    /// The number in the key.
    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(other) => other,
        }
    }

    /// The key of a control record of this kind: version 0 and the number.
    pub const fn key(self) -> [u8; 4] {
        let [high, low] = self.id().to_be_bytes();
        [0, 0, high, low]
    }
}

/// A record of a control batch: its kind and the bare value, whose format depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRecord<'a> {
    /// The version of the key's format.
    pub version: i16,
    /// The kind.
    pub kind: ControlRecordType,
    /// The value: [`EndTransactionMarker`] for a commit or an abort, a message of the raft records for the others.
    pub value: &'a [u8],
}

/// The record of a control batch is not a control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a control record: {0}")]
pub struct ControlRecordError(&'static str);

impl<'a> ControlRecord<'a> {
    /// Reads the key of a record of a control batch.
    ///
    /// # Errors
    /// The key is missing, too short or of a negative version.
    pub fn parse(record: &Record<'a>) -> Result<Self, ControlRecordError> {
        let mut cursor = Cursor::new(record.key.ok_or(ControlRecordError("its key is null"))?);
        let cut = ControlRecordError("its key is shorter than four bytes");
        let version = i16::from_be_bytes(cursor.fixed().ok_or(cut)?);
        if version < 0 {
            return Err(ControlRecordError("its version is negative"));
        }
        let kind = ControlRecordType::from_id(i16::from_be_bytes(cursor.fixed().ok_or(cut)?));
        Ok(Self { version, kind, value: record.value.unwrap_or_default() })
    }

    /// The end of a transaction, when this is one.
    ///
    /// # Errors
    /// It is a commit or an abort and its value is malformed.
    pub fn end_transaction(&self) -> Result<Option<EndTransactionMarker>, ControlRecordError> {
        let is_commit = match self.kind {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            _ => return Ok(None),
        };
        let mut cursor = Cursor::new(self.value);
        let cut = ControlRecordError("its value is shorter than six bytes");
        let version = i16::from_be_bytes(cursor.fixed().ok_or(cut)?);
        if version < 0 {
            return Err(ControlRecordError("its value's version is negative"));
        }
        let coordinator_epoch = i32::from_be_bytes(cursor.fixed().ok_or(cut)?);
        Ok(Some(EndTransactionMarker { is_commit, coordinator_epoch }))
    }
}

/// The marker that ends a transaction in one partition. It is the only record of its batch, which is transactional,
/// control, and has the sequence [`Self::BASE_SEQUENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Whether the records of the transaction count.
    pub is_commit: bool,
    /// The epoch of the transaction coordinator that wrote the marker.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The sequence of a marker's batch.
    pub const BASE_SEQUENCE: Sequence = Sequence::NONE;

    /// The key of the record.
    pub const fn key(&self) -> [u8; 4] {
        if self.is_commit { ControlRecordType::Commit.key() } else { ControlRecordType::Abort.key() }
    }

    /// The value of the record: version 0 and the coordinator's epoch.
    pub const fn value(&self) -> [u8; 6] {
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        [0, 0, a, b, c, d]
    }
}
