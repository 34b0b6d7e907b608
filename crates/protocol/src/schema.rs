//! Messages as data: what JSON, error paths and tests go by.

/// A range of versions, both ends included; empty when `min` is greater than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The first version.
    pub min: i16,
    /// The last version.
    pub max: i16,
}

impl VersionRange {
    /// No version.
    pub const NONE: Self = Self { min: 0, max: -1 };

    /// The versions from `min` to `max`.
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` is one of them.
    #[inline]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// Each version, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i16> {
        self.min..=self.max
    }
}

impl core::fmt::Display for VersionRange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            range if range.is_empty() => f.write_str("none"),
            range if range.min == range.max => range.min.fmt(f),
            range => write!(f, "{} to {}", range.min, range.max),
        }
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// What a client asks.
    Request,
    /// What a server answers.
    Response,
    /// What stands before a request or a response.
    Header,
    /// Bytes within other messages or in files.
    Data,
    /// A record of a framed log.
    Record,
    /// A key of a coordinator's log.
    Key,
    /// A value of a coordinator's log.
    Value,
}

/// A message.
#[derive(Debug)]
pub struct MessageSchema {
    /// Its name, `ProduceRequest`.
    pub name: &'static str,
    /// What it is for.
    pub kind: MessageKind,
    /// The API key, or the type of the record.
    pub api: Option<i16>,
    /// All versions, unstable ones included.
    pub versions: VersionRange,
    /// The flexible ones (KIP-482).
    pub flexible: VersionRange,
    /// The ones that are not stable yet: never advertised.
    pub unstable: VersionRange,
    /// Its fields.
    pub structure: &'static StructSchema,
}

/// A struct of a message.
#[derive(Debug)]
pub struct StructSchema {
    /// Its name.
    pub name: &'static str,
    /// Its fields, in the order of the wire.
    pub fields: &'static [FieldSchema],
}

/// A field of a struct.
#[derive(Debug)]
pub struct FieldSchema {
    /// Its name as in Kafka's JSON: `topicData`.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldType,
    /// The versions that carry it.
    pub versions: VersionRange,
    /// The versions in which it may be null.
    pub nullable: VersionRange,
    /// Its tag; of a meaning only where `tagged` is not empty.
    pub tag: u32,
    /// The versions in which it is a tagged field.
    pub tagged: VersionRange,
    /// Its default.
    pub default: DefaultValue,
    /// Whether a version that can't carry it may drop it.
    pub ignorable: bool,
    /// Whether it keeps the old encoding in flexible versions too.
    pub legacy: bool,
}

/// Whether a value may be null, and how null looks where it is a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nullability {
    /// It may not.
    Never,
    /// A struct has a signed byte before it, negative for null.
    Plain,
    /// A struct has a variable-length number before it, zero for null.
    Tagged,
}

impl FieldSchema {
    /// Whether the field may be null in that version.
    pub(crate) const fn nullability(&self, version: i16) -> Nullability {
        match (self.nullable.contains(version), self.tagged.contains(version)) {
            (false, _) => Nullability::Never,
            (true, false) => Nullability::Plain,
            (true, true) => Nullability::Tagged,
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub enum FieldType {
    /// One byte, 0 or 1.
    Bool,
    /// A number of one byte.
    I8,
    /// A number of two bytes.
    I16,
    /// An unsigned number of two bytes.
    U16,
    /// A number of four bytes.
    I32,
    /// An unsigned number of four bytes.
    U32,
    /// A number of eight bytes.
    I64,
    /// A floating-point number of eight bytes.
    F64,
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
    /// Record batches.
    Records,
    /// Sixteen bytes.
    Uuid,
    /// A struct.
    Struct(&'static StructSchema),
    /// A list.
    Array(&'static FieldType),
}

/// The default of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Zero, false, empty, or a struct of defaults.
    Zero,
    /// Null.
    Null,
    /// That number; 1 for true.
    Number(i64),
}

/// The schema of the message of that name: `ProduceRequest`, `TopicRecord`.
pub fn by_name(name: &str) -> Option<&'static MessageSchema> {
    crate::registry::ALL.iter().map(|codec| codec.schema()).find(|schema| schema.name == name)
}
