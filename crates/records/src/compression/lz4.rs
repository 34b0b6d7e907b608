//! The LZ4 frame as Kafka uses it: independent blocks of at most 64 KiB (readers take up to 4 MiB), no checksum of the
//! blocks or of the whole, no content size.

use super::Compression;
use super::compressor::{CompressError, Compressor};
use super::decompressor::{DecompressError, HeaderChecksum};
use super::output::Output;
use super::xxhash::xxh32;
use crate::varint::Cursor;

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const BLOCK_BYTES: usize = 64 << 10;
/// Version 1, independent blocks.
const FLAGS: u8 = 0x60;
/// Blocks of at most 64 KiB.
const BLOCK_DESCRIPTOR: u8 = 0x40;
const FLAG_VERSION_MASK: u8 = 0xc0;
const FLAG_VERSION_1: u8 = 0x40;
const FLAG_INDEPENDENT: u8 = 0x20;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_CONTENT_CHECKSUM: u8 = 0x04;
const FLAGS_RESERVED: u8 = 0x03;
const STORED_BLOCK: u32 = 0x8000_0000;
/// The longest run that one byte of a block can stand for.
const RATIO_MAX: usize = 255;

struct Header {
    block_bytes_max: usize,
    has_block_checksums: bool,
    has_content_checksum: bool,
}

fn malformed(reason: &'static str) -> DecompressError {
    DecompressError::Malformed { compression: Compression::Lz4, reason }
}

/// Reads one frame. What comes after its end mark is ignored, as Kafka does.
pub(super) fn decompress(
    input: &[u8],
    header_checksum: HeaderChecksum,
    output: &mut Output,
) -> Result<(), DecompressError> {
    let mut cursor = Cursor::new(input);
    let header = read_header(&mut cursor, header_checksum)?;
    let ended = malformed("it ends too early");
    loop {
        let word = u32::from_le_bytes(cursor.fixed().ok_or(ended)?);
        let length = (word & !STORED_BLOCK) as usize;
        if length == 0 {
            if header.has_content_checksum {
                cursor.take(4).ok_or(ended)?;
            }
            return Ok(());
        }
        if length > header.block_bytes_max {
            return Err(malformed("a block is larger than the frame allows"));
        }
        let block = cursor.take(length).ok_or(ended)?;
        if header.has_block_checksums && u32::from_le_bytes(cursor.fixed().ok_or(ended)?) != xxh32(block) {
            return Err(malformed("a block's checksum does not match"));
        }
        if word & STORED_BLOCK != 0 {
            copy_stored(block, output)?;
        } else {
            decompress_block(block, header.block_bytes_max, output)?;
        }
    }
}

fn read_header(cursor: &mut Cursor<'_>, header_checksum: HeaderChecksum) -> Result<Header, DecompressError> {
    let ended = malformed("it ends in the header");
    if cursor.fixed().ok_or(ended)? != MAGIC {
        return Err(malformed("it does not start with the frame's magic"));
    }
    let descriptor_start = cursor.rest();
    let [flags, block_descriptor] = cursor.fixed().ok_or(ended)?;
    if flags & FLAG_VERSION_MASK != FLAG_VERSION_1 || flags & FLAGS_RESERVED != 0 {
        return Err(malformed("the frame has an unknown version or reserved flags"));
    }
    // Kafka's Java clients can't read linked blocks, so letting them into a log would hide records from consumers.
    if flags & FLAG_INDEPENDENT == 0 {
        return Err(malformed("its blocks depend on each other"));
    }
    let block_bytes_max = match block_descriptor {
        0x40 => 64 << 10,
        0x50 => 256 << 10,
        0x60 => 1 << 20,
        0x70 => 4 << 20,
        _ => return Err(malformed("the block size is not one of the four allowed")),
    };
    let mut descriptor_bytes = 2;
    if flags & FLAG_CONTENT_SIZE != 0 {
        // Not believed, not needed.
        cursor.take(8).ok_or(ended)?;
        descriptor_bytes += 8;
    }
    let checksum = cursor.byte().ok_or(ended)?;
    let descriptor = descriptor_start.get(..descriptor_bytes).ok_or(ended)?;
    if header_checksum == HeaderChecksum::Verified && checksum != (xxh32(descriptor) >> 8) as u8 {
        return Err(malformed("the header's checksum does not match"));
    }
    Ok(Header {
        block_bytes_max,
        has_block_checksums: flags & FLAG_BLOCK_CHECKSUM != 0,
        has_content_checksum: flags & FLAG_CONTENT_CHECKSUM != 0,
    })
}

fn copy_stored(block: &[u8], output: &mut Output) -> Result<(), DecompressError> {
    if block.len() > output.left() {
        return Err(output.limit_exceeded());
    }
    output.room(block.len())?.copy_from_slice(block);
    output.advance(block.len());
    Ok(())
}

fn decompress_block(block: &[u8], block_bytes_max: usize, output: &mut Output) -> Result<(), DecompressError> {
    let possible = block.len().saturating_mul(RATIO_MAX).min(block_bytes_max);
    if output.left() == 0 {
        // A block of zero bytes is legal, so only one that holds something passes the limit.
        let is_empty = lz4_flex::block::decompress_into(block, &mut []).is_ok();
        return if is_empty { Ok(()) } else { Err(output.limit_exceeded()) };
    }
    let room = output.room(possible)?;
    let is_cut = room.len() < possible;
    match lz4_flex::block::decompress_into(block, room) {
        Ok(written) => {
            output.advance(written);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if is_cut => Err(output.limit_exceeded()),
        Err(_) => Err(malformed("a block is not valid LZ4 data")),
    }
}

/// The level of the fast mode.
const FAST_LEVEL: i32 = 9;

/// A block at a level: 9, Kafka's default, is the fast mode; the others are high compression, as in Kafka's own library.
fn compress_block(
    block: &[u8],
    level: i32,
    compressor: &mut Compressor,
    target: &mut [u8],
) -> Result<usize, CompressError> {
    let failed = CompressError { compression: Compression::Lz4, reason: "the encoder failed" };
    if level == FAST_LEVEL {
        return lz4_flex::block::compress_into_with_table(block, target, &mut compressor.lz4).map_err(|_| failed);
    }
    let mode = Some(lz4::block::CompressionMode::HIGHCOMPRESSION(level));
    lz4::block::compress_to_buffer(block, mode, false, target).map_err(|_| failed)
}

pub(super) fn compress(
    input: &[u8],
    level: i32,
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[FLAGS, BLOCK_DESCRIPTOR, (xxh32(&[FLAGS, BLOCK_DESCRIPTOR]) >> 8) as u8]);
    for block in input.chunks(BLOCK_BYTES) {
        let start = out.len();
        out.resize(start + 4 + lz4_flex::block::get_maximum_output_size(block.len()), 0);
        let target = out.get_mut(start + 4..).unwrap_or_default();
        let written = compress_block(block, level, compressor, target)?;
        let word = if written < block.len() {
            out.truncate(start + 4 + written);
            written as u32
        } else {
            out.truncate(start + 4);
            out.extend_from_slice(block);
            block.len() as u32 | STORED_BLOCK
        };
        if let Some(length) = out.get_mut(start..start + 4) {
            length.copy_from_slice(&word.to_le_bytes());
        }
    }
    out.extend_from_slice(&0u32.to_le_bytes());
    Ok(())
}
