//! The codecs of record batches: gzip, snappy, lz4, zstd, with reused contexts and a cap on what comes out.

mod compressor;
mod decompressor;
mod gzip;
mod level;
mod lz4;
mod output;
mod snappy;
mod xxhash;
mod zstandard;

use thiserror::Error;

pub use compressor::{CompressError, Compressor};
pub use decompressor::{DECOMPRESSED_BATCH_BYTES_MAX, DecompressError, Decompressor};
pub use level::{CompressionLevel, LevelError};

pub(crate) use decompressor::HeaderChecksum;

/// How the records of a batch are compressed. The numbers are those of the batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None = 0,
    /// gzip members (RFC 1952).
    Gzip = 1,
    /// Snappy blocks, in the framing of snappy-java or bare.
    Snappy = 2,
    /// One LZ4 frame of independent blocks.
    Lz4 = 3,
    /// Zstandard frames (KIP-110).
    Zstd = 4,
}

/// The attributes of a batch name a codec that no Kafka release has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is not the number of a compression codec")]
pub struct UnknownCompression(pub u8);

impl Compression {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of a number in a batch's attributes.
    pub const fn from_id(id: u8) -> Result<Self, UnknownCompression> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(UnknownCompression(other)),
        }
    }

    /// The number in a batch's attributes.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec named as in `compression.type`. `producer` and `uncompressed` are settings, not codecs: the caller's.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The name as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl core::fmt::Display for Compression {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
