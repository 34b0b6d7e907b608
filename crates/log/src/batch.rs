//! The header of a stored batch: what the log needs to know of it, without looking at its records.

use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Offset and length: what stands before the part of a batch that its length counts.
pub const LOG_OVERHEAD: usize = 12;
/// The length of the header of a batch of format 2, records excluded.
pub const HEADER_LENGTH: usize = 61;
/// The shortest entry of the older formats: a format 0 message without key and value.
const LEGACY_LENGTH_MIN: usize = 26;
/// Where the bytes begin that the checksum of a batch of format 2 covers: its attributes.
const CHECKSUM_START: usize = 21;

const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CONTROL_FLAG: i16 = 0x20;
const TRANSACTIONAL_FLAG: i16 = 0x10;
const LOG_APPEND_TIME_FLAG: i16 = 0x08;

/// Why bytes at some place in a log are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// The file or buffer ends within the batch.
    #[error("the batch is cut off")]
    Truncated,
    /// The length field is too small for any batch.
    #[error("the batch length {0} is impossible")]
    Length(i32),
    /// The format version is none that exists.
    #[error("the batch format {0} does not exist")]
    Magic(i8),
    /// The stored checksum is not that of the bytes.
    #[error("the checksum of the batch is wrong")]
    Checksum,
    /// The offsets do not follow on those before, or lie outside of the segment.
    #[error("the offsets of the batch do not follow on those before it")]
    Offsets,
    /// The records within the batch are not what its header says, or take more memory than any batch may.
    #[error("the records of the batch can't be read")]
    Records,
}

/// The header of one stored batch. Of the older formats (0 and 1) each entry counts as a batch of which only the last
/// offset, the length and the timestamp are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record. For the older formats: of the last one.
    pub base_offset: Offset,
    /// Bytes from the base offset to the end of the last record.
    pub length: u32,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// The format: 0, 1 or 2.
    pub magic: i8,
    /// Compression, timestamp type and the flags.
    pub attributes: i16,
    /// The offset of the last record less the base offset.
    pub last_offset_delta: i32,
    /// The greatest timestamp of the records.
    pub max_timestamp: Timestamp,
    /// The producer, when it is idempotent.
    pub producer_id: ProducerId,
    /// The epoch of the producer.
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the first record.
    pub base_sequence: Sequence,
    /// How many records there are; 0 for a batch emptied by compaction.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the beginning of `bytes`, which need not hold the whole batch. The checksum is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchFault> {
        let fixed = bytes.first_chunk::<{ MAGIC_AT + 1 }>().ok_or(BatchFault::Truncated)?;
        let base_offset = Offset(i64_at(fixed, 0));
        let declared = i32_at(fixed, 8);
        let length = u32::try_from(declared).ok().and_then(|length| length.checked_add(LOG_OVERHEAD as u32));
        let length = length.ok_or(BatchFault::Length(declared))?;
        match fixed[MAGIC_AT] as i8 {
            magic @ (0 | 1) if length as usize >= LEGACY_LENGTH_MIN => Self::parse_legacy(bytes, magic, length),
            2 if length as usize >= HEADER_LENGTH => {
                let bytes = bytes.first_chunk::<HEADER_LENGTH>().ok_or(BatchFault::Truncated)?;
                Ok(Self::parse_current(bytes, base_offset, length))
            }
            0..=2 => Err(BatchFault::Length(declared)),
            magic => Err(BatchFault::Magic(magic)),
        }
    }

    fn parse_current(bytes: &[u8; HEADER_LENGTH], base_offset: Offset, length: u32) -> Self {
        Self {
            base_offset,
            length,
            leader_epoch: LeaderEpoch(i32_at(bytes, LEADER_EPOCH_AT)),
            magic: 2,
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            max_timestamp: Timestamp(i64_at(bytes, 35)),
            producer_id: ProducerId(i64_at(bytes, 43)),
            producer_epoch: ProducerEpoch(i16_at(bytes, 51)),
            base_sequence: Sequence(i32_at(bytes, 53)),
            records_count: i32_at(bytes, 57),
        }
    }

    fn parse_legacy(bytes: &[u8], magic: i8, length: u32) -> Result<Self, BatchFault> {
        let bytes = bytes.first_chunk::<LEGACY_LENGTH_MIN>().ok_or(BatchFault::Truncated)?;
        Ok(Self {
            base_offset: Offset(i64_at(bytes, 0)),
            length,
            leader_epoch: LeaderEpoch::NONE,
            magic,
            attributes: i16::from(bytes[17]),
            last_offset_delta: 0,
            max_timestamp: if magic == 1 { Timestamp(i64_at(bytes, 18)) } else { Timestamp::NONE },
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            records_count: 1,
        })
    }

    /// The offset of the last record, counted also when compaction has removed that record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The sequence number of the last record.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == Sequence::NONE {
            return Sequence::NONE;
        }
        self.base_sequence.plus(self.last_offset_delta)
    }

    /// Whether the batch carries control records: transaction markers, leader changes.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_FLAG != 0 && self.magic >= 2
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_FLAG != 0 && self.magic >= 2
    }

    /// Whether the timestamps are those of the append (and not of the producer).
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME_FLAG != 0 && self.magic >= 1
    }

    /// Checks the checksum of a whole batch whose header this is.
    pub fn verify(&self, batch: &[u8]) -> Result<(), BatchFault> {
        let batch = batch.get(..self.length as usize).ok_or(BatchFault::Truncated)?;
        let (stored, computed) = if self.magic >= 2 {
            (u32_at(batch, 17), batch.get(CHECKSUM_START..).map(crc32c))
        } else {
            (u32_at(batch, 12), batch.get(MAGIC_AT..).map(crc32))
        };
        if stored.is_some() && stored == computed { Ok(()) } else { Err(BatchFault::Checksum) }
    }
}

/// Writes the base offset and the leader epoch of a batch of format 2 where they lie. The checksum covers neither.
pub(crate) fn patch(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    if let Some(field) = batch.get_mut(0..8) {
        field.copy_from_slice(&base_offset.0.to_be_bytes());
    }
    if let Some(field) = batch.get_mut(LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4) {
        field.copy_from_slice(&leader_epoch.0.to_be_bytes());
    }
}

/// CRC-32C, the checksum of batches of format 2 and of producer snapshots.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC-32 of zip, the checksum of the older formats.
fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

fn i64_at<const N: usize>(bytes: &[u8; N], at: usize) -> i64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(field)
}

fn i32_at<const N: usize>(bytes: &[u8; N], at: usize) -> i32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(field)
}

fn i16_at<const N: usize>(bytes: &[u8; N], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}
