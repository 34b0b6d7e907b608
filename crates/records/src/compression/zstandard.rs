//! Zstandard by the reference implementation, in one shot into the final buffer.
//!
//! In one shot the decoder needs no window of its own, so that a frame which declares a window of gigabytes costs
//! nothing. The buffer starts at the declared size when that is plausible, else at a few times the input, and is doubled
//! when it was too small; a frame is then decoded again, at most twice the work in all.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::Compression;
use super::compressor::{CompressError, Compressor};
use super::decompressor::{Contexts, DecompressError};
use super::output::Output;

/// The least room tried at first, as a multiple of the input: the usual ratio of events is 3 to 6.
const FIRST_RATIO: usize = 8;
/// The ratio up to which a content size in a frame's header is believed when the first room is chosen.
const DECLARED_RATIO_MAX: usize = 128;
/// The largest window that Kafka's Java clients accept: 128 MiB, the reference decoder's own default.
const WINDOW_LOG_MAX: u32 = 27;
const FRAME_MAGIC: [u8; 4] = 0xFD2F_B528u32.to_le_bytes();
const SKIPPABLE_MAGIC_MASK: u32 = 0xFFFF_FFF0;
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;

fn malformed(reason: &'static str) -> DecompressError {
    DecompressError::Malformed { compression: Compression::Zstd, reason }
}

/// Frames follow each other; each uses up at least four bytes of input, so the loop is bounded by the input.
pub(super) fn decompress(input: &[u8], contexts: &mut Contexts, output: &mut Output) -> Result<(), DecompressError> {
    let context = match &mut contexts.zstd {
        Some(context) => context,
        slot => slot.insert(DCtx::try_create().ok_or(malformed("no memory for a context"))?),
    };
    if input.is_empty() {
        return Err(malformed("it is empty"));
    }
    let mut rest = input;
    while !rest.is_empty() {
        check_header(rest)?;
        let length =
            zstd_safe::find_frame_compressed_size(rest).map_err(|_| malformed("a frame is broken or cut off"))?;
        let (frame, after) = rest.split_at_checked(length).ok_or(malformed("a frame is cut off"))?;
        if frame.starts_with(&FRAME_MAGIC) {
            decompress_frame(frame, context, output)?;
        }
        if length == 0 {
            return Err(malformed("a frame is empty"));
        }
        rest = after;
    }
    Ok(())
}

fn decompress_frame(frame: &[u8], context: &mut DCtx<'_>, output: &mut Output) -> Result<(), DecompressError> {
    let declared = zstd_safe::get_frame_content_size(frame).ok().flatten();
    let mut least = declared
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes <= frame.len().saturating_mul(DECLARED_RATIO_MAX))
        .unwrap_or(frame.len().saturating_mul(FIRST_RATIO))
        .max(1);
    loop {
        let left = output.left();
        let (room_bytes, result) = if left == 0 {
            (0, context.decompress(&mut [][..], frame))
        } else {
            let room = output.allocated_room(least)?;
            (room.len(), context.decompress(room, frame))
        };
        match result {
            Ok(written) => {
                output.advance(written);
                return Ok(());
            }
            Err(code) if zstd_safe::is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                if room_bytes >= left {
                    return Err(output.limit_exceeded());
                }
                least = room_bytes.saturating_mul(2);
            }
            Err(code) => return Err(malformed(zstd_safe::get_error_name(code))),
        }
    }
}

/// Refuses a window that Java's clients could not read: such a batch would block every consumer.
fn check_header(frame: &[u8]) -> Result<(), DecompressError> {
    let magic = frame.first_chunk::<4>().ok_or(malformed("a frame is cut off"))?;
    if u32::from_le_bytes(*magic) & SKIPPABLE_MAGIC_MASK == SKIPPABLE_MAGIC {
        return Ok(());
    }
    if *magic != FRAME_MAGIC {
        return Err(malformed("a frame does not start with zstd's magic"));
    }
    let descriptor = *frame.get(4).ok_or(malformed("a frame is cut off"))?;
    let is_single_segment = descriptor & 0x20 != 0;
    let window_log = if is_single_segment { 0 } else { frame.get(5).map_or(0, |byte| 10 + u32::from(byte >> 3)) };
    if window_log > WINDOW_LOG_MAX {
        return Err(malformed("a frame asks for a window larger than 128 MiB"));
    }
    Ok(())
}

pub(super) fn compress(
    input: &[u8],
    level: i32,
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let failed = |reason| CompressError { compression: Compression::Zstd, reason };
    let context = match &mut compressor.zstd {
        Some(context) => context,
        slot => slot.insert(CCtx::try_create().ok_or(failed("no memory for a context"))?),
    };
    let said = |code| failed(zstd_safe::get_error_name(code));
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(said)?;
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(input.len()), 0);
    let target = out.get_mut(start..).unwrap_or_default();
    let written = context.compress2(target, input).map_err(said)?;
    out.truncate(start + written);
    Ok(())
}
