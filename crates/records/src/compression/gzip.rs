//! gzip (RFC 1952) around a raw deflate stream whose context is used again.

use flate2::{Decompress, FlushCompress, FlushDecompress, Status};

use super::Compression;
use super::compressor::{CompressError, Compressor};
use super::decompressor::{Contexts, DecompressError};
use super::output::Output;
use crate::varint::Cursor;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const METHOD_DEFLATE: u8 = 8;
/// Magic, method, no flags, no time, no extra flags, unknown operating system. Java's writer says the same since 16.
const HEADER: [u8; 10] = [0x1f, 0x8b, METHOD_DEFLATE, 0, 0, 0, 0, 0, 0, 0xff];
const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;

fn malformed(reason: &'static str) -> DecompressError {
    DecompressError::Malformed { compression: Compression::Gzip, reason }
}

/// Members follow each other; bytes after a member that do not start another one are ignored, as Java does.
pub(super) fn decompress(input: &[u8], contexts: &mut Contexts, output: &mut Output) -> Result<(), DecompressError> {
    let inflater = contexts.gzip.get_or_insert_with(|| Decompress::new(false));
    let mut cursor = Cursor::new(input);
    skip_header(&mut cursor)?;
    loop {
        let start = output.filled().len();
        inflater.reset(false);
        let consumed = inflate_member(inflater, cursor.rest(), output)?;
        cursor.take(consumed).ok_or(malformed("it ends too early"))?;
        let (Some(checksum), Some(size)) = (cursor.fixed(), cursor.fixed()) else {
            return Err(malformed("it ends in the trailer"));
        };
        let member = output.filled().get(start..).unwrap_or_default();
        if u32::from_le_bytes(checksum) != crc_fast::crc32_iso_hdlc(member) {
            return Err(malformed("its checksum does not match"));
        }
        if u32::from_le_bytes(size) != member.len() as u32 {
            return Err(malformed("its length does not match"));
        }
        if cursor.remaining() == 0 || skip_header(&mut cursor).is_err() {
            return Ok(());
        }
    }
}

fn inflate_member(inflater: &mut Decompress, input: &[u8], output: &mut Output) -> Result<usize, DecompressError> {
    loop {
        let consumed = inflater.total_in() as usize;
        let produced = inflater.total_out();
        let rest = input.get(consumed..).unwrap_or_default();
        // With the limit used up, a stream that is at its end still has to be let finish: into one spare byte.
        let mut spare = [0; 1];
        let is_full = output.left() == 0;
        let room = if is_full { &mut spare[..] } else { output.allocated_room(1 << 14)? };
        let status = inflater.decompress(rest, room, FlushDecompress::None);
        let written = (inflater.total_out() - produced) as usize;
        if is_full && written > 0 {
            return Err(output.limit_exceeded());
        }
        output.advance(written);
        match status {
            Ok(Status::StreamEnd) => return Ok(inflater.total_in() as usize),
            Ok(Status::Ok | Status::BufError) if written == 0 && inflater.total_in() as usize == consumed => {
                return Err(malformed("it ends too early"));
            }
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => return Err(malformed("the deflate stream is broken")),
        }
    }
}

/// Reserved flags are let pass, as Java does.
fn skip_header(cursor: &mut Cursor<'_>) -> Result<(), DecompressError> {
    let start = cursor.rest();
    let header = cursor.fixed::<10>().ok_or(malformed("it ends in the header"))?;
    let [first, second, method, flags, ..] = header;
    if [first, second] != MAGIC {
        return Err(malformed("it does not start with gzip's magic"));
    }
    if method != METHOD_DEFLATE {
        return Err(malformed("its method is not deflate"));
    }
    let ended = malformed("it ends in the header");
    if flags & FLAG_EXTRA != 0 {
        let length = u16::from_le_bytes(cursor.fixed().ok_or(ended)?);
        cursor.take(usize::from(length)).ok_or(ended)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let length = cursor.rest().iter().position(|&byte| byte == 0).ok_or(ended)?;
            cursor.take(length + 1).ok_or(ended)?;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        let checked = start.get(..start.len() - cursor.remaining()).unwrap_or_default();
        let checksum = u16::from_le_bytes(cursor.fixed().ok_or(ended)?);
        if checksum != crc_fast::crc32_iso_hdlc(checked) as u16 {
            return Err(malformed("its header's checksum does not match"));
        }
    }
    Ok(())
}

pub(super) fn compress(
    input: &[u8],
    level: i32,
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let deflater = match &mut compressor.gzip {
        Some((made_for, deflater)) if *made_for == level => deflater,
        slot => {
            let setting =
                u32::try_from(level).map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
            &mut slot.insert((level, flate2::Compress::new(setting, false))).1
        }
    };
    deflater.reset();
    out.extend_from_slice(&HEADER);
    loop {
        let rest = input.get(deflater.total_in() as usize..).unwrap_or_default();
        // zlib's bound for what is left, so that one round is the rule.
        out.reserve(rest.len() + rest.len() / 1000 + 64);
        match deflater.compress_vec(rest, out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => break,
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => return Err(CompressError { compression: Compression::Gzip, reason: "deflate failed" }),
        }
    }
    out.extend_from_slice(&crc_fast::crc32_iso_hdlc(input).to_le_bytes());
    out.extend_from_slice(&(input.len() as u32).to_le_bytes());
    Ok(())
}
