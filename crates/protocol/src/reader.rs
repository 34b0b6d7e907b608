use crate::decode_error::{DecodeErrorKind as Kind, Fault};
use crate::element::Element;
use crate::schema::Nullability;
use crate::tagged::TaggedFields;

/// The most elements of one array, as in Apache Kafka 4.4.
pub const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// The most tagged fields of one struct, as in Apache Kafka 4.4.
pub const TAGGED_FIELDS_MAX: usize = 10_000;
/// The longest string: the greatest length that the old encoding has room for.
pub(crate) const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Reads values from bytes that it can't run over. It knows which version it reads, so that the encoding of strings and
/// lists follows by itself.
///
/// The first fault sticks: from then on nothing is left to read, and every value is zero, empty or null. A message is
/// read to its end and the fault is looked at once, which costs less than a branch at every field, in time and in code.
/// Whoever loops over a count from the input stops when the reader [has failed](Self::fault).
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The offset of the end of `rest` in the whole input. A position is the distance from there, so that taking bytes
    /// is one comparison and one move.
    end: usize,
    fault: Option<Fault>,
    /// The size of the next array of hot structs, if it was read before; else 0.
    known_array_bytes: u32,
    version: i16,
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the first of `bytes`. [`Message::decode_from`](crate::Message::decode_from) sets the version.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: bytes.len(), fault: None, known_array_bytes: 0, version: 0, flexible: false }
    }

    /// A reader of bytes that have `start` others before them.
    pub(crate) const fn at(bytes: &'a [u8], start: usize) -> Self {
        Self { end: start + bytes.len(), ..Self::new(bytes) }
    }

    /// The same input, read on as another version or another message.
    #[inline]
    pub(crate) fn begin(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// Tells the size of the next array of hot structs, which was read before.
    #[inline(always)]
    pub(crate) fn expect_array_bytes(&mut self, bytes: u32) {
        self.known_array_bytes = bytes;
    }

    /// The size that was told of the next array of hot structs, once; else 0.
    #[inline(always)]
    pub(crate) fn take_known_array_bytes(&mut self) -> usize {
        core::mem::take(&mut self.known_array_bytes) as usize
    }

    /// How many bytes have been read.
    #[inline]
    pub const fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    /// How many bytes are left.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that are left.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The first fault, if there was any.
    #[inline]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The version being read.
    #[inline]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// Whether the version being read is flexible (KIP-482).
    #[inline]
    pub const fn flexible(&self) -> bool {
        self.flexible
    }

    /// Whether the version is `low` or later.
    #[inline]
    pub const fn since(&self, low: i16) -> bool {
        self.version >= low
    }

    /// Whether the version is `high` or earlier.
    #[inline]
    pub const fn until(&self, high: i16) -> bool {
        self.version <= high
    }

    /// Whether the version is one of those from `low` to `high`.
    #[inline]
    pub const fn within(&self, low: i16, high: i16) -> bool {
        self.version >= low && self.version <= high
    }

    /// Records a fault, unless there was one before, and leaves nothing to read.
    ///
    /// Inlined, as everything that changes the reader is: a reader whose address no other function learns lives in
    /// registers.
    #[inline(always)]
    pub(crate) fn fail(&mut self, kind: Kind, offset: usize) {
        self.fault = first_fault(self.fault, kind, offset);
        self.rest = &[];
    }

    /// Takes the next `count` bytes; none if there are fewer.
    #[inline(always)]
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        match self.rest.split_at_checked(count) {
            Some((bytes, rest)) => {
                self.rest = rest;
                bytes
            }
            None => {
                self.fail(Kind::Truncated, self.position());
                &[]
            }
        }
    }

    /// Takes the next `N` bytes; zeros if there are fewer.
    #[inline(always)]
    pub fn take_array<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                *bytes
            }
            None => {
                self.fail(Kind::Truncated, self.position());
                [0; N]
            }
        }
    }

    /// A number of one to five bytes, seven bits each, least significant first. Strict: no bit beyond the thirty-second.
    #[inline(always)]
    pub fn unsigned_varint(&mut self) -> u32 {
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return u32::from(*byte);
        }
        match long_varint(self.rest) {
            Ok((value, rest)) => {
                self.rest = rest;
                value
            }
            Err(kind) => {
                self.fail(kind, self.position());
                0
            }
        }
    }

    /// Any value.
    #[inline(always)]
    pub fn read<T: Element<'a>>(&mut self) -> T {
        T::read(self)
    }

    /// A value that may be null in this version if `may_be_null`.
    #[inline(always)]
    pub fn read_nullable<T: Element<'a>>(&mut self, may_be_null: bool) -> Option<T> {
        if may_be_null { T::read_nullable(self) } else { Some(T::read(self)) }
    }

    /// The value of a tagged field that may be null if `may_be_null`.
    #[inline]
    pub fn read_nullable_tag<T: Element<'a>>(&mut self, may_be_null: bool) -> Option<T> {
        if may_be_null { T::read_nullable_tag(self) } else { Some(T::read(self)) }
    }

    /// The same as [`read`](Self::read), as a call: what the structs of messages use that are not hot, since there are
    /// 2,500 of such reads.
    #[inline(never)]
    pub fn call<T: Element<'a>>(&mut self) -> T {
        T::read(self)
    }

    /// The same as [`read_nullable`](Self::read_nullable), as a call.
    #[inline(never)]
    pub fn call_nullable<T: Element<'a>>(&mut self, may_be_null: bool) -> Option<T> {
        self.read_nullable(may_be_null)
    }

    /// The same as [`read_nullable_tag`](Self::read_nullable_tag), as a call.
    #[inline(never)]
    pub fn call_nullable_tag<T: Element<'a>>(&mut self, may_be_null: bool) -> Option<T> {
        self.read_nullable_tag(may_be_null)
    }

    /// The same as [`unknown_tags`](Self::unknown_tags), as a call.
    #[inline(never)]
    pub fn call_unknown_tags(&mut self) -> TaggedFields<'a> {
        self.unknown_tags()
    }

    /// Whether the mark before a struct says that it is null.
    pub(crate) fn is_null_struct(&mut self, nullability: Nullability) -> bool {
        match nullability {
            Nullability::Never => false,
            Nullability::Plain => self.read::<i8>() < 0,
            Nullability::Tagged => self.unsigned_varint() == 0,
        }
    }

    /// The length before a string: two bytes, or a compact number. `None` is null.
    #[inline(always)]
    pub(crate) fn string_length(&mut self) -> Option<usize> {
        if self.flexible { self.compact_length() } else { self.short_length() }
    }

    #[inline(always)]
    fn short_length(&mut self) -> Option<usize> {
        let start = self.position();
        let length = self.read::<i16>();
        self.signed_length(length.into(), start)
    }

    /// The length before bytes, records and arrays: four bytes, or a compact number. `None` is null.
    #[inline(always)]
    pub(crate) fn length(&mut self) -> Option<usize> {
        if self.flexible {
            return self.compact_length();
        }
        let start = self.position();
        let length = self.read::<i32>();
        self.signed_length(length, start)
    }

    #[inline(always)]
    fn signed_length(&mut self, length: i32, start: usize) -> Option<usize> {
        match usize::try_from(length) {
            Ok(length) => Some(length),
            Err(_) => {
                if length < -1 {
                    self.fail(Kind::NegativeLength, start);
                }
                None
            }
        }
    }

    #[inline(always)]
    fn compact_length(&mut self) -> Option<usize> {
        let start = self.position();
        let length = self.unsigned_varint();
        // Java holds the length in a signed number: what is greater turns negative there.
        if length > i32::MAX as u32 + 1 {
            self.fail(Kind::NegativeLength, start);
        }
        (length as usize).checked_sub(1)
    }

    /// The text of `length` bytes.
    #[inline(always)]
    pub(crate) fn text(&mut self, length: usize) -> &'a str {
        let start = self.position();
        if length > STRING_BYTES_MAX {
            self.fail(Kind::StringTooLong, start);
        }
        match core::str::from_utf8(self.take(length)) {
            Ok(text) => text,
            Err(_) => {
                self.fail(Kind::InvalidUtf8, start);
                ""
            }
        }
    }

    /// A string with a length of two bytes, whatever the version: the client id of the request header, which must be
    /// readable before the version is known to be one of ours (KIP-511).
    #[inline]
    pub fn legacy_nullable_string(&mut self) -> Option<&'a str> {
        self.short_length().map(|length| self.text(length))
    }

    /// The number of elements of an array, checked against what the bytes left could hold. `None` is null.
    #[inline(always)]
    pub(crate) fn array_length(&mut self, least_element_bytes: usize) -> Option<usize> {
        let start = self.position();
        let count = self.length()?;
        // A product rather than a quotient: a division takes as long as reading a whole element.
        if count.saturating_mul(least_element_bytes.max(1)) > self.remaining() {
            self.fail(Kind::ArrayBeyondInput, start);
            return Some(0);
        }
        if count > ARRAY_ELEMENTS_MAX {
            self.fail(Kind::ArrayTooLong, start);
            return Some(0);
        }
        Some(count)
    }

    /// Passes over the tagged fields of a struct that knows none of them.
    #[inline(always)]
    pub fn unknown_tags(&mut self) -> TaggedFields<'a> {
        self.tags(|_, _| false)
    }

    /// Reads the tagged fields of a struct. `known` reads the value of a tag that it knows and returns whether it did.
    #[inline(always)]
    pub fn tags(&mut self, mut known: impl FnMut(u32, &mut Self) -> bool) -> TaggedFields<'a> {
        // Almost always there is none: a flexible version then has one zero byte here, an old one nothing.
        match self.rest {
            _ if !self.flexible => TaggedFields::NONE,
            [0, rest @ ..] => {
                self.rest = rest;
                TaggedFields::NONE
            }
            _ => {
                let (reader, tags) = self.some_tags(&mut known);
                *self = reader;
                tags
            }
        }
    }

    #[inline(never)]
    fn some_tags(mut self, known: &mut dyn FnMut(u32, &mut Self) -> bool) -> (Self, TaggedFields<'a>) {
        let start = self.position();
        let count = self.unsigned_varint() as usize;
        if count > TAGGED_FIELDS_MAX {
            self.fail(Kind::TooManyTags, start);
        }
        let section = self.rest;
        let mut known_tags = 0u32;
        let mut last = None;
        for _ in 0..count {
            let start = self.position();
            let tag = self.unsigned_varint();
            if last.is_some_and(|last| tag <= last) {
                self.fail(Kind::TagOrder, start);
            }
            last = Some(tag);
            if self.one_tag(tag, known) {
                known_tags |= 1u32.checked_shl(tag).unwrap_or(0);
            }
            if self.fault.is_some() {
                return (self, TaggedFields::NONE);
            }
        }
        let bytes = section.get(..section.len() - self.rest.len()).unwrap_or_default();
        (self, TaggedFields::new(bytes, count, known_tags))
    }

    fn one_tag(&mut self, tag: u32, known: &mut dyn FnMut(u32, &mut Self) -> bool) -> bool {
        let size = self.unsigned_varint() as usize;
        // The value may not reach beyond its own bytes.
        let end = self.position() + size;
        let value = self.take(size);
        if self.fault.is_some() {
            return false;
        }
        let mut inner = Self { rest: value, end, ..*self };
        let is_known = known(tag, &mut inner);
        if is_known && inner.remaining() > 0 {
            inner.fail(Kind::TagSize, inner.position());
        }
        if let Some(fault) = inner.fault {
            self.fail(fault.kind(), fault.offset());
        }
        is_known
    }
}

#[cold]
#[inline(never)]
fn first_fault(before: Option<Fault>, kind: Kind, offset: usize) -> Option<Fault> {
    before.or(Some(Fault::new(kind, offset)))
}

/// The number at the front of `bytes`, and what follows it.
#[inline(never)]
fn long_varint(bytes: &[u8]) -> Result<(u32, &[u8]), Kind> {
    let mut value = 0u32;
    for (index, &byte) in bytes.iter().take(5).enumerate() {
        if index == 4 && byte > 0x0f {
            return Err(Kind::InvalidVarint);
        }
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(Kind::Truncated)
}
