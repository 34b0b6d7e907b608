use thiserror::Error;

use super::Compression;

/// A codec together with how hard it works.
///
/// LZ4 has Kafka's range 1 to 17: 9, the default, is its fast mode, all others are those of its high compression.
/// The level changes the size and the time of compressing, never what a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompressionLevel {
    compression: Compression,
    level: i32,
}

/// A level outside of what the codec accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{compression} has no level {level}; allowed are {allowed}")]
pub struct LevelError {
    /// The codec.
    pub compression: Compression,
    /// The level asked for.
    pub level: i32,
    /// The levels that the codec has, in words.
    pub allowed: &'static str,
}

/// The least level of zstd: the negative of its largest block, as the reference implementation has it.
const ZSTD_LEVEL_MIN: i32 = -(1 << 17);
const ZSTD_LEVEL_MAX: i32 = 22;

impl CompressionLevel {
    /// The codec at the level that Kafka takes when none is set: gzip -1 (zlib's default, which is 6), lz4 9, zstd 3.
    pub const fn default_of(compression: Compression) -> Self {
        let level = match compression {
            Compression::None | Compression::Snappy => 0,
            Compression::Gzip => -1,
            Compression::Lz4 => 9,
            Compression::Zstd => 3,
        };
        Self { compression, level }
    }

    /// The codec at a level (KIP-390): gzip 1 to 9 or -1, lz4 1 to 17, zstd -131072 to 22. The others have no levels
    /// and ignore the number.
    pub const fn new(compression: Compression, level: i32) -> Result<Self, LevelError> {
        let (is_allowed, allowed) = match compression {
            Compression::None | Compression::Snappy => (true, "none"),
            Compression::Gzip => (level == -1 || (level >= 1 && level <= 9), "1 to 9, or -1"),
            Compression::Lz4 => (level >= 1 && level <= 17, "1 to 17"),
            Compression::Zstd => (level >= ZSTD_LEVEL_MIN && level <= ZSTD_LEVEL_MAX, "-131072 to 22"),
        };
        if is_allowed { Ok(Self { compression, level }) } else { Err(LevelError { compression, level, allowed }) }
    }

    /// The codec.
    pub const fn compression(self) -> Compression {
        self.compression
    }

    /// The level, as in the topic's configuration.
    pub const fn level(self) -> i32 {
        self.level
    }
}

impl From<Compression> for CompressionLevel {
    fn from(compression: Compression) -> Self {
        Self::default_of(compression)
    }
}

impl Default for CompressionLevel {
    fn default() -> Self {
        Self::default_of(Compression::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_kafka() {
        let allowed = |compression, level| CompressionLevel::new(compression, level).is_ok();
        for level in -3..=30 {
            assert_eq!(allowed(Compression::Gzip, level), level == -1 || (1..=9).contains(&level), "gzip {level}");
            assert_eq!(allowed(Compression::Lz4, level), (1..=17).contains(&level), "lz4 {level}");
            assert_eq!(allowed(Compression::Zstd, level), level <= 22, "zstd {level}");
        }
        assert!(allowed(Compression::Zstd, -131_072));
        assert!(!allowed(Compression::Zstd, -131_073));
    }
}
