use core::fmt;
use core::num::NonZeroU64;

/// What is wrong with bytes that were to be a message, and where. One word, so that a result of the inner loops fits
/// into registers; [`DecodeError`] is what leaves this crate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault(NonZeroU64);

/// Where the kind stands in the word; the offset stands below it.
const KIND_SHIFT: u32 = 56;

impl Fault {
    /// The fault of the value that has `offset` bytes before it.
    #[cold]
    pub const fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        let word = (kind as u64) << KIND_SHIFT | (offset as u64 & ((1 << KIND_SHIFT) - 1));
        // No kind is zero: the other arm is never taken.
        match NonZeroU64::new(word) {
            Some(word) => Self(word),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// What is wrong.
    pub fn kind(self) -> DecodeErrorKind {
        let code = self.0.get() >> KIND_SHIFT;
        DecodeErrorKind::ALL.into_iter().find(|kind| *kind as u64 == code).unwrap_or(DecodeErrorKind::Truncated)
    }

    /// How many bytes stand before the value that is wrong.
    pub const fn offset(self) -> usize {
        (self.0.get() & ((1 << KIND_SHIFT) - 1)) as usize
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({:?} at {})", self.kind(), self.offset())
    }
}

/// The ways in which bytes fail to be a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DecodeErrorKind {
    /// The input ends within a value.
    Truncated = 1,
    /// A length is less than zero (or, where null is allowed, less than minus one).
    NegativeLength,
    /// A value is null that may not be.
    UnexpectedNull,
    /// An array tells more elements than the bytes left could hold.
    ArrayBeyondInput,
    /// An array tells more elements than Kafka's limit of a million.
    ArrayTooLong,
    /// A string is longer than 32,767 bytes.
    StringTooLong,
    /// A string is not UTF-8.
    InvalidUtf8,
    /// A variable-length number takes more than five bytes, or more bits than thirty-two.
    InvalidVarint,
    /// More than 10,000 tagged fields.
    TooManyTags,
    /// Tags that do not ascend, or one that stands twice.
    TagOrder,
    /// A tagged field has more bytes than its value.
    TagSize,
    /// Bytes are left over behind the message.
    TrailingBytes,
    /// This message has no such version.
    UnsupportedVersion,
    /// No record has that type; `field` tells which.
    UnknownType,
    /// The frame around a record has a version that is not known; `field` tells which.
    UnknownFrameVersion,
}

impl DecodeErrorKind {
    /// All of them.
    const ALL: [Self; 15] = [
        Self::Truncated,
        Self::NegativeLength,
        Self::UnexpectedNull,
        Self::ArrayBeyondInput,
        Self::ArrayTooLong,
        Self::StringTooLong,
        Self::InvalidUtf8,
        Self::InvalidVarint,
        Self::TooManyTags,
        Self::TagOrder,
        Self::TagSize,
        Self::TrailingBytes,
        Self::UnsupportedVersion,
        Self::UnknownType,
        Self::UnknownFrameVersion,
    ];
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the input ends within the value",
            Self::NegativeLength => "the length is negative",
            Self::UnexpectedNull => "the value may not be null",
            Self::ArrayBeyondInput => "the array has more elements than the bytes left could hold",
            Self::ArrayTooLong => "the array has more than 1,000,000 elements",
            Self::StringTooLong => "the string is longer than 32,767 bytes",
            Self::InvalidUtf8 => "the string is not UTF-8",
            Self::InvalidVarint => "the variable-length number is too long",
            Self::TooManyTags => "more than 10,000 tagged fields",
            Self::TagOrder => "the tags do not ascend",
            Self::TagSize => "the tagged field is longer than its value",
            Self::TrailingBytes => "bytes are left over",
            Self::UnsupportedVersion => "there is no such version",
            Self::UnknownType => "no record has this type",
            Self::UnknownFrameVersion => "no frame has this version",
        })
    }
}

/// Bytes that are not the message which they were read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The name of the message.
    pub message: &'static str,
    /// The version that it was read as.
    pub version: i16,
    /// The way to the field: `topicData[3].partitionData[0].index`. Empty for the message as a whole.
    pub field: String,
    /// How many bytes stand before the value that is wrong.
    pub offset: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.message, self.version)?;
        if !self.field.is_empty() {
            write!(f, ", field {}", self.field)?;
        }
        write!(f, ", byte {}: {}", self.offset, self.kind)
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_its_kind_and_its_offset() {
        for kind in DecodeErrorKind::ALL {
            for offset in [0, 1, 4_000_000_000] {
                let fault = Fault::new(kind, offset);
                assert_eq!((fault.kind(), fault.offset()), (kind, offset));
            }
        }
        assert_eq!(size_of::<Result<i32, Fault>>(), 16);
        assert_eq!(size_of::<Result<(), Fault>>(), 8);
    }
}
