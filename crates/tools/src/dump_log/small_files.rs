use super::batches::optional_long;
use super::{Failure, base_offset};
use crate::console::Console;
use ottla_log::format::{FormatError, parse_producer_snapshot};
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// The most that is read of a producer snapshot: some six million producers.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;
/// The bytes of an entry of a transaction index.
const ABORTED_TRANSACTION: usize = 34;

/// Shows a producer snapshot. One that is damaged is told of, and the tool goes on.
pub(super) fn dump_producer_snapshot(file: &Path, console: &mut Console) -> Result<(), Failure> {
    let length = fs::metadata(file).map_err(|error| Failure::of(file, error))?.len();
    if length > SNAPSHOT_BYTES_MAX {
        return Err(Failure::of(file, format!("{length} bytes are more than the {SNAPSHOT_BYTES_MAX} that are read")));
    }
    let contents = fs::read(file).map_err(|error| Failure::of(file, error))?;
    let entries = match parse_producer_snapshot(&contents) {
        Ok(entries) => entries,
        Err(error) => {
            console.error_line(&damage(&contents, &error));
            return Ok(());
        }
    };
    for entry in entries {
        let first_offset = Some(entry.transaction_first_offset.value()).filter(|offset| *offset >= 0);
        console.print(&format!(
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {}",
            entry.producer_id,
            entry.epoch,
            entry.coordinator_epoch,
            optional_long(first_offset),
            entry.timestamp,
        ));
        // A producer of which only transaction markers are known has no last batch.
        if entry.last_offset.value() >= 0 {
            console.print(&format!(
                " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                first_sequence(entry.last_sequence.value(), entry.offset_delta),
                entry.last_sequence,
                entry.last_offset,
                entry.offset_delta,
                entry.timestamp,
            ));
        }
        console.line("");
    }
    Ok(())
}

/// Sequences wrap around to 0 behind the greatest number of 32 bits.
fn first_sequence(last: i32, delta: i32) -> i32 {
    if last >= delta {
        last.wrapping_sub(delta)
    } else {
        i32::MAX.wrapping_sub(delta.wrapping_sub(last)).wrapping_add(1)
    }
}

fn damage(contents: &[u8], error: &FormatError) -> String {
    match (error, contents) {
        (FormatError::Checksum, [_, _, a, b, c, d, rest @ ..]) => format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {}. Computed crc: {}",
            u32::from_be_bytes([*a, *b, *c, *d]),
            ottla_log::format::crc32c(rest),
        ),
        (FormatError::Version(version), _) => {
            format!("Snapshot failed schema validation: Snapshot contained an unknown file version {version}")
        }
        _ => format!("Snapshot failed schema validation: {error}"),
    }
}

/// Shows the aborted transactions of a segment. A file that is not there has none: brokers make it with the first.
pub(super) fn dump_transaction_index(file: &Path, console: &mut Console) -> Result<(), Failure> {
    base_offset(file)?;
    let failed = |error: io::Error| Failure::of(file, error);
    let opened = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let mut reader = BufReader::new(opened);
    let mut entry = [0; ABORTED_TRANSACTION];
    while read_entry(&mut reader, &mut entry).map_err(failed)? {
        let version = i16::from_be_bytes([entry[0], entry[1]]);
        if version != 0 {
            return Err(Failure::of(file, format!("the version {version} of an entry is not known")));
        }
        let long =
            |at: usize| i64::from_be_bytes(entry.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default());
        console.line(&format!(
            "version: 0 producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            long(2),
            long(10),
            long(18),
            long(26),
        ));
    }
    Ok(())
}

/// Whether there was a whole entry; what is left over at the end is none.
fn read_entry(reader: &mut impl Read, entry: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(entry) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_around() {
        assert_eq!(first_sequence(99, 5), 94);
        assert_eq!(first_sequence(2, 5), i32::MAX - 2);
        assert_eq!(first_sequence(0, 0), 0);
    }
}
