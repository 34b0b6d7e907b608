use thiserror::Error;

use super::output::Output;
use super::{Compression, gzip, lz4, snappy, zstandard};

/// The most that comes out of one batch of a client, unless the caller knows better: 128 MiB, a hundred times what Java's
/// producers put into one. Kafka has no such bound; without one, a megabyte of zstd would be sixteen gigabytes here.
pub const DECOMPRESSED_BATCH_BYTES_MAX: usize = 128 << 20;

/// Decompresses the records of batches into one buffer that is used again, never beyond its limit.
///
/// Owned by the caller: one for each thread that reads batches. Memory held: the decompressed bytes of the last batch,
/// at most the limit, and a context for each codec that was seen (gzip 48 KiB, zstd 150 KiB). The codecs write into the
/// final buffer; a window or a content size that a header only promises is never allocated.
pub struct Decompressor {
    limit: usize,
    output: Output,
    contexts: Contexts,
}

/// The codecs' own memory, made when first needed.
#[derive(Default)]
pub(super) struct Contexts {
    pub(super) gzip: Option<flate2::Decompress>,
    pub(super) snappy: snap::raw::Decoder,
    pub(super) zstd: Option<zstd::zstd_safe::DCtx<'static>>,
}

/// Why bytes could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// The bytes are not what the codec's format allows, or they end too early.
    #[error("the {compression} data is malformed: {reason}")]
    Malformed {
        /// The codec.
        compression: Compression,
        /// What is wrong.
        reason: &'static str,
    },
    /// More than the allowed number of bytes would come out.
    #[error("the data decompresses to more than {limit} bytes")]
    LimitExceeded {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Whether the checksum of an LZ4 frame's header counts: Kafka's clients before message format 1 computed it wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderChecksum {
    Verified,
    Ignored,
}

impl Decompressor {
    /// A decompressor that lets at most `limit` bytes come out of one batch.
    pub fn new(limit: usize) -> Self {
        Self { limit, output: Output::default(), contexts: Contexts::default() }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the limit for the batches that come.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Gives back a buffer above 2 MiB. To be called before the decompressor is laid aside; what was borrowed from it is
    /// gone then.
    pub fn trim(&mut self) {
        self.output.restart(self.limit);
    }

    /// Decompresses the whole of `input`. The bytes stay valid until the next call.
    ///
    /// # Errors
    /// The input is malformed or ends too early, or more than the limit would come out; then at most the limit and one
    /// block of it were decompressed. Uncompressed input is not copied, and the limit does not concern it.
    pub fn decompress<'a>(
        &'a mut self,
        compression: Compression,
        input: &'a [u8],
    ) -> Result<&'a [u8], DecompressError> {
        self.decompress_with(compression, input, HeaderChecksum::Verified)
    }

    pub(crate) fn decompress_with<'a>(
        &'a mut self,
        compression: Compression,
        input: &'a [u8],
        header_checksum: HeaderChecksum,
    ) -> Result<&'a [u8], DecompressError> {
        self.output.restart(self.limit);
        match compression {
            Compression::None => return Ok(input),
            Compression::Gzip => gzip::decompress(input, &mut self.contexts, &mut self.output)?,
            Compression::Snappy => snappy::decompress(input, &mut self.contexts, &mut self.output)?,
            Compression::Lz4 => lz4::decompress(input, header_checksum, &mut self.output)?,
            Compression::Zstd => zstandard::decompress(input, &mut self.contexts, &mut self.output)?,
        }
        Ok(self.output.filled())
    }
}

impl core::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decompressor").field("limit", &self.limit).finish_non_exhaustive()
    }
}
