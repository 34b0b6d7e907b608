use core::fmt;

/// Why a value can't be put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeErrorKind {
    /// This message has no such version.
    UnsupportedVersion,
    /// The version can't carry the field, which is not its default.
    NotInVersion,
    /// The field is null, which the version does not allow.
    UnexpectedNull,
    /// A string is longer than 32,767 bytes, or a list, byte string or whole message than 2,147,483,647.
    TooLong,
    /// Unknown tagged fields do not ascend, or bear the tag of a known one.
    TagOrder,
    /// There are tagged fields in a version that has none.
    TagsNotInVersion,
    /// A record set is deferred, where the message is asked for as one piece.
    Deferred,
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedVersion => "there is no such version",
            Self::NotInVersion => "the version has no such field",
            Self::UnexpectedNull => "the value may not be null",
            Self::TooLong => "the value is too long",
            Self::TagOrder => "the unknown tags do not ascend or are not unknown",
            Self::TagsNotInVersion => "the version has no tagged fields",
            Self::Deferred => "the record set is deferred",
        })
    }
}

/// What went wrong within a message, boxed so that the way without an error stays short.
#[derive(Debug)]
pub struct EncodeFault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: EncodeErrorKind,
    /// The names on the way to the field, innermost first.
    path: Vec<&'static str>,
}

impl EncodeFault {
    /// A fault of a value whose field is not known yet.
    #[cold]
    pub fn new(kind: EncodeErrorKind) -> Self {
        Self(Box::new(Inner { kind, path: Vec::new() }))
    }

    /// The fault of a field that the version can't carry.
    #[cold]
    pub fn absent(field: &'static str, _version: i16) -> Self {
        Self::new(EncodeErrorKind::NotInVersion).within(field)
    }

    /// The same fault, seen from the struct around `field`.
    #[cold]
    pub fn within(mut self, field: &'static str) -> Self {
        self.0.path.push(field);
        self
    }

    /// The error as the caller of this crate sees it.
    #[cold]
    pub(crate) fn of(self, message: &'static str, version: i16) -> EncodeError {
        let path: Vec<&str> = self.0.path.iter().rev().copied().collect();
        EncodeError { message, version, field: path.join("."), kind: self.0.kind }
    }
}

/// A message that can't be put on the wire in the version asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The name of the message.
    pub message: &'static str,
    /// The version that was asked for.
    pub version: i16,
    /// The way to the field, `topicData.partitionData.records`. Empty for the message as a whole.
    pub field: String,
    /// What is wrong.
    pub kind: EncodeErrorKind,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.message, self.version)?;
        if !self.field.is_empty() {
            write!(f, ", field {}", self.field)?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for EncodeError {}
