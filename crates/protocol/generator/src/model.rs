//! What a schema file says, as data.

/// A range of versions, both ends included. `high` is [`Span::OPEN`] where the range has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first version.
    pub low: i16,
    /// The last version.
    pub high: i16,
}

impl Span {
    /// The end of a range without an end.
    pub const OPEN: i16 = i16::MAX;

    /// The versions that both ranges hold.
    pub fn meet(self, other: Self) -> Option<Self> {
        let span = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (span.low <= span.high).then_some(span)
    }

    /// Whether the range holds `version`.
    pub fn contains(self, version: i16) -> bool {
        self.low <= version && version <= self.high
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a client asks.
    Request,
    /// What a server answers.
    Response,
    /// What stands before a request or a response.
    Header,
    /// Bytes within other messages or in files.
    Data,
    /// A record of a framed log: the metadata log, the remote log's metadata.
    Record,
    /// A key of a coordinator's log.
    Key,
    /// A value of a coordinator's log.
    Value,
}

/// One message with all of its structs.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it is for.
    pub kind: Kind,
    /// Its name, `ProduceRequest`.
    pub name: String,
    /// The API key, or the type of the record.
    pub api: Option<i16>,
    /// All versions, unstable ones included.
    pub versions: Span,
    /// The first flexible version.
    pub flexible: Option<i16>,
    /// The first version that is not stable yet.
    pub unstable: Option<i16>,
    /// The kinds of listener that serve it.
    pub listeners: Vec<String>,
    /// Whether its views are read at every record: their readers are inlined then, at the cost of building time.
    pub hot: bool,
    /// All structs; the first is the message itself.
    pub structs: Vec<Struct>,
}

impl Message {
    /// The struct of that name.
    pub fn structure(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|s| s.name == name)
    }

    /// Whether a struct ever carries tagged fields.
    pub fn is_flexible(&self, structure: &Struct) -> bool {
        self.flexible.is_some_and(|low| low <= structure.span.high)
    }
}

/// One struct of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// The versions in which it occurs.
    pub span: Span,
    /// Its fields, in the order of the wire.
    pub fields: Vec<Field>,
}

/// One field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name as Kafka spells it.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// The versions that carry it.
    pub span: Span,
    /// The versions in which it may be null.
    pub nullable: Option<Span>,
    /// Its default where that is not zero, empty or false.
    pub default: Option<String>,
    /// Its tag and the versions in which it is tagged.
    pub tag: Option<(u32, Span)>,
    /// Whether a version that can't carry it may drop it.
    pub ignorable: bool,
    /// Whether it keeps the old encoding in flexible versions too.
    pub legacy: bool,
    /// Whether it is part of its element's identity within a list.
    pub map_key: bool,
    /// What the value names: `topicName`, `brokerId`, `groupId`, ...
    pub entity: Option<String>,
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
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
    /// A struct of the same message.
    Struct(String),
    /// A list.
    Array(Box<Type>),
}
