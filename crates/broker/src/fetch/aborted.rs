//! The aborted transactions that lie in what a fetch of committed records gives.

use ottla_log::format::AbortedTransaction;
use ottla_log::{FileRange, Log, ReadSlice};
use ottla_protocol::ErrorCode;
use ottla_types::Offset;

/// The part of a batch's header that says where it ends: offset, length, and up to the last offset delta.
const HEADER_BYTES: usize = 27;
/// Where the length field begins, and what precedes the bytes that it counts.
const LENGTH_AT: usize = 8;
const LENGTH_PREFIX: u64 = 12;
const LAST_OFFSET_DELTA_AT: usize = 23;

/// The aborted transactions with records in a slice. Transactions that are aborted beyond its end are left out: a slow
/// reader would be sent all of them again with each fetch.
pub(super) fn aborted_transactions(log: &Log, slice: &ReadSlice) -> Result<Vec<AbortedTransaction>, ErrorCode> {
    let Some(range) = slice.ranges.first() else { return Ok(Vec::new()) };
    let start = slice.start.offset;
    let read = |end| {
        log.aborted_transactions(start, end).map_err(|error| {
            tracing::error!(%error, "aborted transactions can't be read");
            ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::UnknownServerError)
        })
    };
    let all = read(slice.offsets.last_stable)?;
    if all.is_empty() {
        return Ok(all);
    }
    let end = end_of(range, start)?;
    Ok(all.into_iter().filter(|aborted| aborted.first_offset < end).collect())
}

/// The offset after the last batch that begins in the range.
fn end_of(range: &FileRange, start: Offset) -> Result<Offset, ErrorCode> {
    let mut end = start;
    let mut position = 0;
    while position < range.length as u64 {
        let mut header = [0; HEADER_BYTES];
        let read = range.file.read_at(&mut header, range.position + position).map_err(|error| {
            tracing::error!(%error, "a batch can't be read");
            ErrorCode::KafkaStorageError
        })?;
        if read < HEADER_BYTES {
            break;
        }
        let (base, length, delta) = fields(&header);
        end = Offset(base.saturating_add(i64::from(delta))).next();
        position += LENGTH_PREFIX + u64::from(length);
    }
    Ok(end)
}

fn fields(header: &[u8; HEADER_BYTES]) -> (i64, u32, i32) {
    let at = |from: usize| -> [u8; 4] { core::array::from_fn(|i| header.get(from + i).copied().unwrap_or_default()) };
    let base: [u8; 8] = core::array::from_fn(|i| header.get(i).copied().unwrap_or_default());
    (i64::from_be_bytes(base), u32::from_be_bytes(at(LENGTH_AT)), i32::from_be_bytes(at(LAST_OFFSET_DELTA_AT)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
    use ottla_types::Timestamp;

    #[test]
    fn the_fields_are_those_of_the_batch() {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset: Offset(700), ..BatchOptions::default() });
        for _ in 0..3 {
            let record = RecordToWrite { timestamp: Timestamp(1), key: None, value: Some(b"v"), headers: &[] };
            builder.append(&record).unwrap();
        }
        let batch = builder.build_vec(&mut Compressor::new()).unwrap();
        let header = batch[..HEADER_BYTES].try_into().unwrap();
        assert_eq!(fields(&header), (700, batch.len() as u32 - LENGTH_PREFIX as u32, 2));
    }
}
