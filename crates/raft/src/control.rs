use crate::{KraftVersion, VoterSet};
use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::raft_records::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ottla_types::Timestamp;
use thiserror::Error;

/// A record that the quorum writes for itself, in a control batch.
#[derive(Clone, PartialEq, Debug)]
pub enum ControlRecord {
    /// First record of each epoch: who leads, who may vote, and who voted for the leader.
    LeaderChange(LeaderChangeMessage),
    /// First record of a snapshot.
    SnapshotHeader(SnapshotHeaderRecord),
    /// Last record of a snapshot; without it the snapshot is torn.
    SnapshotFooter(SnapshotFooterRecord),
    /// The level of `kraft.version`.
    KraftVersion(KRaftVersionRecord),
    /// The voters.
    Voters(VotersRecord),
}

/// A control record that can't be encoded.
pub type ControlRecordError = ottla_protocol::EncodeError;

/// A control record that can't be read.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum MalformedControlRecord {
    /// The key is not a version and a type.
    #[error("the key of a control record has {0} bytes instead of 4")]
    Key(usize),
    /// The value does not fit its type.
    #[error("the value of a control record: {0}")]
    Value(#[from] ottla_protocol::DecodeError),
}

const LEADER_CHANGE: i16 = 2;
const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;
const KRAFT_VERSION: i16 = 5;
const KRAFT_VOTERS: i16 = 6;

impl ControlRecord {
    /// The first record of a snapshot whose last metadata record was appended at that time.
    pub fn snapshot_header(last_contained_log_timestamp: Timestamp) -> Self {
        Self::SnapshotHeader(SnapshotHeaderRecord {
            version: 0,
            last_contained_log_timestamp: last_contained_log_timestamp.0,
            ..Default::default()
        })
    }

    /// The last record of a snapshot.
    pub fn snapshot_footer() -> Self {
        Self::SnapshotFooter(SnapshotFooterRecord { version: 0, ..Default::default() })
    }

    /// All records of the batch that opens a snapshot: the header, and with dynamic voters their version and set.
    pub fn snapshot_start(timestamp: Timestamp, version: KraftVersion, voters: &VoterSet) -> Vec<Self> {
        let mut records = vec![Self::snapshot_header(timestamp)];
        if version == KraftVersion::Dynamic {
            records.push(Self::KraftVersion(KRaftVersionRecord {
                version: 0,
                kraft_version: version.level(),
                ..Default::default()
            }));
            // A node that is to ask others for the voters starts without any.
            if !voters.is_empty() {
                records.push(Self::Voters(voters.to_record()));
            }
        }
        records
    }

    /// The record's key: its version and its type, each two bytes.
    pub fn key(&self) -> [u8; 4] {
        let [high, low] = self.type_code().to_be_bytes();
        [0, 0, high, low]
    }

    /// The type's number in the key.
    pub const fn type_code(&self) -> i16 {
        match self {
            Self::LeaderChange(_) => LEADER_CHANGE,
            Self::SnapshotHeader(_) => SNAPSHOT_HEADER,
            Self::SnapshotFooter(_) => SNAPSHOT_FOOTER,
            Self::KraftVersion(_) => KRAFT_VERSION,
            Self::Voters(_) => KRAFT_VOTERS,
        }
    }

    /// The record's value.
    ///
    /// # Errors
    /// When a string in it is longer than the format can carry.
    pub fn value(&self) -> Result<Bytes, ControlRecordError> {
        match self {
            Self::LeaderChange(record) => record.to_bytes(record.version),
            Self::SnapshotHeader(record) => record.to_bytes(record.version),
            Self::SnapshotFooter(record) => record.to_bytes(record.version),
            Self::KraftVersion(record) => record.to_bytes(record.version),
            Self::Voters(record) => record.to_bytes(record.version),
        }
    }

    /// Reads a control record. `None` for a type that is not the quorum's: a transaction's marker, or one of a later
    /// release, which may be skipped.
    ///
    /// # Errors
    /// When the key is too short or the value does not fit its type.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Option<Self>, MalformedControlRecord> {
        let &[_, _, high, low] = key else { return Err(MalformedControlRecord::Key(key.len())) };
        Ok(Some(match i16::from_be_bytes([high, low]) {
            LEADER_CHANGE => Self::LeaderChange(decode_versioned(value)?),
            SNAPSHOT_HEADER => Self::SnapshotHeader(decode_versioned(value)?),
            SNAPSHOT_FOOTER => Self::SnapshotFooter(decode_versioned(value)?),
            KRAFT_VERSION => Self::KraftVersion(decode_versioned(value)?),
            KRAFT_VOTERS => Self::Voters(decode_versioned(value)?),
            _ => return Ok(None),
        }))
    }
}

/// The value's first two bytes are its version; a later one than known is read as the newest known, as Kafka does, since
/// later versions only add.
fn decode_versioned<M: Message>(value: &[u8]) -> Result<M, ottla_protocol::DecodeError> {
    let version = value.first_chunk::<2>().map_or(0, |bytes| i16::from_be_bytes(*bytes));
    M::decode(value, version.clamp(M::VERSIONS.min, M::VERSIONS.max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_and_the_footer_have_the_sizes_that_kafka_writes() {
        // A checkpoint of Apache Kafka 4.4.0 shows keySize 4 and valueSize 11 and 3.
        let header = ControlRecord::snapshot_header(Timestamp(1_795_580_830_691));
        assert_eq!(header.key(), [0, 0, 0, 3]);
        assert_eq!(header.value().unwrap().len(), 11);
        let footer = ControlRecord::snapshot_footer();
        assert_eq!(footer.value().unwrap().len(), 3);
        for record in [header, footer] {
            let read = ControlRecord::decode(&record.key(), &record.value().unwrap());
            assert_eq!(read, Ok(Some(record)));
        }
    }

    #[test]
    fn a_transaction_marker_is_not_the_quorums() {
        assert_eq!(ControlRecord::decode(&[0, 0, 0, 1], &[0, 0, 0, 0, 0, 0]), Ok(None));
        assert!(ControlRecord::decode(&[0, 0], &[]).is_err());
        assert!(ControlRecord::decode(&[0, 0, 0, 2], &[0]).is_err());
    }
}
