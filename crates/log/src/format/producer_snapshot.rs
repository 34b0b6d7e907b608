use super::FormatError;
use crate::batch::crc32c;
use ottla_types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// One producer in a snapshot: its epoch, its last batch, its open transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshotEntry {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The last sequence number of its last batch; -1 when no batch of this epoch is known.
    pub last_sequence: Sequence,
    /// The last offset of its last batch; -1 likewise.
    pub last_offset: Offset,
    /// The last offset of that batch less its first.
    pub offset_delta: i32,
    /// The greatest timestamp of the last batch, or of the last transaction marker.
    pub timestamp: Timestamp,
    /// The epoch of the transaction coordinator that wrote the last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// Where the open transaction begins; -1 for none.
    pub transaction_first_offset: Offset,
}

const VERSION: i16 = 1;
/// Version and checksum.
const CHECKSUM_END: usize = 6;
/// Version, checksum and number of entries.
const HEAD_LENGTH: usize = 10;
const ENTRY_LENGTH: usize = 46;

/// Reads a producer snapshot file.
pub fn parse_producer_snapshot(contents: &[u8]) -> Result<Vec<ProducerSnapshotEntry>, FormatError> {
    let head = contents.first_chunk::<HEAD_LENGTH>().ok_or(FormatError::Length)?;
    let version = i16::from_be_bytes([head[0], head[1]]);
    if version != VERSION {
        return Err(FormatError::Version(version.into()));
    }
    let stored = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    if contents.get(CHECKSUM_END..).map(crc32c) != Some(stored) {
        return Err(FormatError::Checksum);
    }
    let announced = i32::from_be_bytes([head[6], head[7], head[8], head[9]]);
    let (entries, rest) = contents.get(HEAD_LENGTH..).unwrap_or_default().as_chunks::<ENTRY_LENGTH>();
    if !rest.is_empty() {
        return Err(FormatError::Length);
    }
    if i32::try_from(entries.len()) != Ok(announced) {
        return Err(FormatError::Count { announced: announced.into(), found: entries.len() });
    }
    Ok(entries.iter().map(parse_entry).collect())
}

fn parse_entry(bytes: &[u8; ENTRY_LENGTH]) -> ProducerSnapshotEntry {
    let long = |at: usize| {
        let mut field = [0; 8];
        field.copy_from_slice(&bytes[at..at + 8]);
        i64::from_be_bytes(field)
    };
    let int = |at: usize| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    ProducerSnapshotEntry {
        producer_id: ProducerId(long(0)),
        epoch: ProducerEpoch(i16::from_be_bytes([bytes[8], bytes[9]])),
        last_sequence: Sequence(int(10)),
        last_offset: Offset(long(14)),
        offset_delta: int(22),
        timestamp: Timestamp(long(26)),
        coordinator_epoch: int(34),
        transaction_first_offset: Offset(long(38)),
    }
}

/// Writes a producer snapshot file.
pub fn format_producer_snapshot(entries: impl ExactSizeIterator<Item = ProducerSnapshotEntry>) -> Vec<u8> {
    let count = entries.len();
    let mut contents = Vec::with_capacity(HEAD_LENGTH + count * ENTRY_LENGTH);
    contents.extend_from_slice(&VERSION.to_be_bytes());
    contents.extend_from_slice(&[0; 4]);
    contents.extend_from_slice(&(count as i32).to_be_bytes());
    for entry in entries {
        contents.extend_from_slice(&entry.producer_id.0.to_be_bytes());
        contents.extend_from_slice(&entry.epoch.0.to_be_bytes());
        contents.extend_from_slice(&entry.last_sequence.0.to_be_bytes());
        contents.extend_from_slice(&entry.last_offset.0.to_be_bytes());
        contents.extend_from_slice(&entry.offset_delta.to_be_bytes());
        contents.extend_from_slice(&entry.timestamp.0.to_be_bytes());
        contents.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        contents.extend_from_slice(&entry.transaction_first_offset.0.to_be_bytes());
    }
    let checksum = crc32c(&contents[CHECKSUM_END..]);
    contents[2..CHECKSUM_END].copy_from_slice(&checksum.to_be_bytes());
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64) -> ProducerSnapshotEntry {
        ProducerSnapshotEntry {
            producer_id: ProducerId(id),
            epoch: ProducerEpoch(3),
            last_sequence: Sequence(99),
            last_offset: Offset(1 << 40),
            offset_delta: 9,
            timestamp: Timestamp(1_700_000_000_000),
            coordinator_epoch: -1,
            transaction_first_offset: Offset(-1),
        }
    }

    #[test]
    fn a_producer_snapshot_reads_back_as_written() {
        let entries = [entry(1), entry(4000)];
        let contents = format_producer_snapshot(entries.into_iter());
        assert_eq!(parse_producer_snapshot(&contents), Ok(entries.to_vec()));
        assert_eq!(parse_producer_snapshot(&format_producer_snapshot([].into_iter())), Ok(Vec::new()));
    }

    #[test]
    fn a_producer_snapshot_cut_at_any_byte_or_with_any_flipped_bit_is_refused() {
        let contents = format_producer_snapshot([entry(1), entry(2)].into_iter());
        for length in 0..contents.len() {
            assert!(parse_producer_snapshot(&contents[..length]).is_err(), "{length}");
        }
        for bit in 0..contents.len() * 8 {
            let mut damaged = contents.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_producer_snapshot(&damaged).is_err(), "{bit}");
        }
    }

    #[test]
    fn a_producer_snapshot_that_announces_more_entries_than_it_has_is_refused() {
        let mut contents = format_producer_snapshot([entry(1)].into_iter());
        contents[6..10].copy_from_slice(&i32::MAX.to_be_bytes());
        let checksum = crc32c(&contents[6..]);
        contents[2..6].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(
            parse_producer_snapshot(&contents),
            Err(FormatError::Count { announced: i32::MAX.into(), found: 1 })
        );
    }
}
