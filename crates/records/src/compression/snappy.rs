//! Snappy in the framing of snappy-java, which Kafka's clients write, and bare, which some other clients write.
//!
//! The framing: eight bytes of magic, a version and the oldest version able to read it, then blocks of raw Snappy with
//! a big-endian length before each. It has no end mark.

use super::Compression;
use super::compressor::{CompressError, Compressor};
use super::decompressor::{Contexts, DecompressError};
use super::output::Output;
use crate::varint::Cursor;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// The framing's version. Readers accept every version from `COMPATIBLE_VERSION` on.
const VERSION: [u8; 4] = 1i32.to_be_bytes();
const COMPATIBLE_VERSION: i32 = 1;
/// The block size of snappy-java.
const BLOCK_BYTES: usize = 32 << 10;
/// The longest run that one byte of Snappy can stand for: a copy of 64 bytes takes three bytes, a literal less.
const RATIO_MAX: usize = 64;

fn malformed(reason: &'static str) -> DecompressError {
    DecompressError::Malformed { compression: Compression::Snappy, reason }
}

/// Up to three bytes at the end, too few for another block's length, are ignored, as snappy-java does.
pub(super) fn decompress(input: &[u8], contexts: &mut Contexts, output: &mut Output) -> Result<(), DecompressError> {
    if !input.starts_with(&MAGIC) {
        return decompress_block(input, contexts, output);
    }
    let mut cursor = Cursor::new(input);
    // snappy-java asks the version only of headers that follow the first one.
    read_version(&mut cursor)?;
    while cursor.remaining() >= 4 {
        // Streams written one after the other each have their header.
        if cursor.rest().starts_with(&MAGIC) {
            if read_version(&mut cursor)? < COMPATIBLE_VERSION {
                return Err(malformed("its framing has an unknown version"));
            }
            continue;
        }
        let length = i32::from_be_bytes(cursor.fixed().ok_or(malformed("it ends in a block's length"))?);
        let length = usize::try_from(length).map_err(|_| malformed("a block's length is negative"))?;
        let block = cursor.take(length).ok_or(malformed("a block is longer than the data"))?;
        decompress_block(block, contexts, output)?;
    }
    Ok(())
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<i32, DecompressError> {
    let header = (cursor.take(MAGIC.len()), cursor.fixed::<4>(), cursor.fixed::<4>());
    let (Some(_), Some(version), Some(_)) = header else {
        return Err(malformed("it ends in the header"));
    };
    Ok(i32::from_be_bytes(version))
}

fn decompress_block(block: &[u8], contexts: &mut Contexts, output: &mut Output) -> Result<(), DecompressError> {
    let length = snap::raw::decompress_len(block).map_err(|_| malformed("a block has no valid length"))?;
    // The declared length is believed only as far as the block's own bytes could make it true.
    if length / RATIO_MAX > block.len() {
        return Err(malformed("a block declares more bytes than it can hold"));
    }
    if length > output.left() {
        return Err(output.limit_exceeded());
    }
    let room = if length == 0 { &mut [][..] } else { output.room(length)? };
    let written = contexts.snappy.decompress(block, room).map_err(|_| malformed("a block is not valid Snappy data"))?;
    output.advance(written);
    Ok(())
}

pub(super) fn compress(input: &[u8], compressor: &mut Compressor, out: &mut Vec<u8>) -> Result<(), CompressError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION);
    out.extend_from_slice(&COMPATIBLE_VERSION.to_be_bytes());
    for block in input.chunks(BLOCK_BYTES) {
        let start = out.len();
        let room = snap::raw::max_compress_len(block.len());
        out.resize(start + 4 + room, 0);
        let target = out.get_mut(start + 4..).unwrap_or_default();
        let written = compressor
            .snappy
            .get_or_insert_with(snap::raw::Encoder::new)
            .compress(block, target)
            .map_err(|_| CompressError { compression: Compression::Snappy, reason: "the encoder failed" })?;
        if let Some(length) = out.get_mut(start..start + 4) {
            length.copy_from_slice(&(written as u32).to_be_bytes());
        }
        out.truncate(start + 4 + written);
    }
    Ok(())
}
