use thiserror::Error;

use super::{Compression, CompressionLevel, gzip, lz4, snappy, zstandard};

/// Compresses the records of batches with contexts that are used again.
///
/// Owned by the caller: one for each thread that builds batches. A context of a codec is made when first needed.
#[derive(Default)]
pub struct Compressor {
    pub(super) gzip: Option<(i32, flate2::Compress)>,
    pub(super) snappy: Option<snap::raw::Encoder>,
    pub(super) lz4: lz4_flex::block::CompressTable,
    pub(super) zstd: Option<zstd::zstd_safe::CCtx<'static>>,
}

/// A codec failed to compress. It is out of memory or there is a fault in it: no input is wrong by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{compression} could not compress: {reason}")]
pub struct CompressError {
    /// The codec.
    pub compression: Compression,
    /// What it said.
    pub reason: &'static str,
}

impl Compressor {
    /// A compressor without any context yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the compressed form of `input` to `out`, as Kafka's clients write it.
    ///
    /// # Errors
    /// The codec failed; `out` then holds an unfinished rest that the caller throws away.
    pub fn compress(
        &mut self,
        codec: impl Into<CompressionLevel>,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let codec = codec.into();
        match codec.compression() {
            Compression::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            Compression::Gzip => gzip::compress(input, codec.level(), self, out),
            Compression::Snappy => snappy::compress(input, self, out),
            Compression::Lz4 => lz4::compress(input, codec.level(), self, out),
            Compression::Zstd => zstandard::compress(input, codec.level(), self, out),
        }
    }
}

impl core::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}
