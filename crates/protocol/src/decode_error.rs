use core::fmt;

/// What is wrong with bytes that were to be a message, and where. Small, for the inner loops; [`DecodeError`] is what
/// leaves this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// How many bytes stand before the value that is wrong.
    pub offset: usize,
}

/// The ways in which bytes fail to be a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// The input ends within a value.
    Truncated,
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
    /// No record has that type; the offset tells nothing.
    UnknownType(i32),
    /// The frame around a record has a version that is not known.
    UnknownFrameVersion(u32),
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
            Self::UnknownType(code) => return write!(f, "no record has the type {code}"),
            Self::UnknownFrameVersion(version) => return write!(f, "no frame has the version {version}"),
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
