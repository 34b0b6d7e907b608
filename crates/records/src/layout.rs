//! Where the fields of a batch's header lie.

use crate::varint::Cursor;

/// The bytes before what the length field counts: base offset and the length itself.
pub const LENGTH_PREFIX_BYTES: usize = 12;

/// The size of the header of a batch of format 2, thus the size of a batch without records.
pub const BATCH_HEADER_BYTES: usize = 61;

/// The least value of the length field in any format: a message of format 0 with neither key nor value.
pub(crate) const LENGTH_MIN: i32 = 14;

pub(crate) const BASE_OFFSET: usize = 0;
pub(crate) const LENGTH: usize = 8;
pub(crate) const PARTITION_LEADER_EPOCH: usize = 12;
/// The format's number, at the same place in every format.
pub(crate) const MAGIC: usize = 16;
pub(crate) const CHECKSUM: usize = 17;
/// Where the bytes start that the checksum covers.
pub(crate) const ATTRIBUTES: usize = 21;
pub(crate) const LAST_OFFSET_DELTA: usize = 23;
pub(crate) const BASE_TIMESTAMP: usize = 27;
pub(crate) const MAX_TIMESTAMP: usize = 35;
pub(crate) const PRODUCER_ID: usize = 43;
pub(crate) const PRODUCER_EPOCH: usize = 51;
pub(crate) const BASE_SEQUENCE: usize = 53;
pub(crate) const RECORD_COUNT: usize = 57;

pub(crate) const COMPRESSION_MASK: i16 = 0x07;
pub(crate) const TIMESTAMP_TYPE: i16 = 0x08;
pub(crate) const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;
pub(crate) const DELETE_HORIZON: i16 = 0x40;
pub(crate) const KNOWN_ATTRIBUTES: i16 = 0x7f;

/// The bytes of a field. A field outside of `bytes` reads as zeros; views are made over whole headers only, so that
/// does not happen to them.
#[inline]
pub(crate) fn field<const N: usize>(bytes: &[u8], position: usize) -> [u8; N] {
    bytes.get(position..).and_then(|rest| Cursor::new(rest).fixed()).unwrap_or([0; N])
}

/// Writes a field; outside of `bytes` nothing happens.
#[inline]
pub(crate) fn put_field<const N: usize>(bytes: &mut [u8], position: usize, value: [u8; N]) {
    if let Some(target) = bytes.get_mut(position..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *target = value;
    }
}
