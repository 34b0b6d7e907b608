use crate::decode_error::{DecodeErrorKind as Kind, Fault};
use crate::element::Element;
use crate::schema::Nullability;
use crate::tagged::TaggedFields;
use ottla_types::Uuid;

/// The most elements of one array, as in Apache Kafka 4.4.
pub const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// The most tagged fields of one struct, as in Apache Kafka 4.4.
pub const TAGGED_FIELDS_MAX: usize = 10_000;
/// The longest string: the greatest length that the old encoding has room for.
pub(crate) const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Reads values from bytes that it can't run over. It knows which version it reads, so that the encoding of strings and
/// lists follows by itself.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    version: i16,
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the first of `bytes`. [`Message::decode_from`](crate::Message::decode_from) sets the version.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, version: 0, flexible: false }
    }

    /// The same input, read on as another version or another message.
    #[inline]
    pub(crate) fn begin(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// How many bytes have been read.
    #[inline]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The bytes that are left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
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

    #[cold]
    pub(crate) fn fault(&self, kind: Kind) -> Fault {
        Fault { kind, offset: self.position }
    }

    /// Takes the next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        match self.rest().get(..count) {
            Some(bytes) => {
                self.position += count;
                Ok(bytes)
            }
            None => Err(self.fault(Kind::Truncated)),
        }
    }

    /// Takes the next `N` bytes.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest().first_chunk::<N>() {
            Some(bytes) => {
                self.position += N;
                Ok(*bytes)
            }
            None => Err(self.fault(Kind::Truncated)),
        }
    }

    /// A number of two bytes.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, Fault> {
        self.take_array().map(i16::from_be_bytes)
    }

    /// A number of four bytes.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, Fault> {
        self.take_array().map(i32::from_be_bytes)
    }

    /// A number of eight bytes.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, Fault> {
        self.take_array().map(i64::from_be_bytes)
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid, Fault> {
        self.take_array().map(Uuid)
    }

    /// A number of one to five bytes, seven bits each, least significant first. Strict: no bit beyond the thirty-second.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, Fault> {
        match self.rest().first() {
            Some(&byte) if byte < 0x80 => {
                self.position += 1;
                Ok(u32::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u32, Fault> {
        let mut value = 0u32;
        for (index, &byte) in self.rest().iter().take(5).enumerate() {
            let bits = u32::from(byte & 0x7f);
            if index == 4 && byte > 0x0f {
                return Err(self.fault(Kind::InvalidVarint));
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                self.position += index + 1;
                return Ok(value);
            }
        }
        Err(self.fault(Kind::Truncated))
    }

    /// Any value.
    #[inline]
    pub fn read<T: Element<'a>>(&mut self) -> Result<T, Fault> {
        T::read(self)
    }

    /// A value that may be null in this version if `may_be_null`.
    #[inline]
    pub fn read_nullable<T: Element<'a>>(&mut self, may_be_null: bool) -> Result<Option<T>, Fault> {
        if may_be_null { T::read_nullable(self) } else { T::read(self).map(Some) }
    }

    /// The value of a tagged field that may be null if `may_be_null`.
    #[inline]
    pub fn read_nullable_tag<T: Element<'a>>(&mut self, may_be_null: bool) -> Result<Option<T>, Fault> {
        if may_be_null { T::read_nullable_tag(self) } else { T::read(self).map(Some) }
    }

    /// Whether the mark before a struct says that it is null.
    pub(crate) fn is_null_struct(&mut self, nullability: Nullability) -> Result<bool, Fault> {
        match nullability {
            Nullability::Never => Ok(false),
            Nullability::Plain => self.read::<i8>().map(|mark| mark < 0),
            Nullability::Tagged => self.unsigned_varint().map(|mark| mark == 0),
        }
    }

    /// The length before a string: two bytes, or a compact number. `None` is null.
    #[inline]
    pub(crate) fn string_length(&mut self) -> Result<Option<usize>, Fault> {
        if self.flexible { self.compact_length() } else { self.short_length() }
    }

    #[inline]
    fn short_length(&mut self) -> Result<Option<usize>, Fault> {
        match self.i16()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| self.back(2, Kind::NegativeLength)),
        }
    }

    /// The length before bytes, records and arrays: four bytes, or a compact number. `None` is null.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<Option<usize>, Fault> {
        if self.flexible {
            return self.compact_length();
        }
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| self.back(4, Kind::NegativeLength)),
        }
    }

    #[inline]
    fn compact_length(&mut self) -> Result<Option<usize>, Fault> {
        let start = self.position;
        let length = self.unsigned_varint()?;
        // Java holds the length in a signed number: what is greater turns negative there.
        if length > i32::MAX as u32 + 1 {
            return Err(Fault { kind: Kind::NegativeLength, offset: start });
        }
        Ok((length as usize).checked_sub(1))
    }

    #[cold]
    pub(crate) fn back(&self, bytes: usize, kind: Kind) -> Fault {
        Fault { kind, offset: self.position.saturating_sub(bytes) }
    }

    /// The text of `length` bytes.
    #[inline]
    pub(crate) fn text(&mut self, length: usize) -> Result<&'a str, Fault> {
        if length > STRING_BYTES_MAX {
            return Err(self.fault(Kind::StringTooLong));
        }
        let start = self.position;
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).map_err(|_| Fault { kind: Kind::InvalidUtf8, offset: start })
    }

    /// A string with a length of two bytes, whatever the version: the client id of the request header, which must be
    /// readable before the version is known to be one of ours (KIP-511).
    #[inline]
    pub fn legacy_nullable_string(&mut self) -> Result<Option<&'a str>, Fault> {
        match self.short_length()? {
            None => Ok(None),
            Some(length) => self.text(length).map(Some),
        }
    }

    /// The number of elements of an array, checked against what the bytes left could hold. `None` is null.
    #[inline]
    pub(crate) fn array_length(&mut self, least_element_bytes: usize) -> Result<Option<usize>, Fault> {
        let start = self.position;
        let Some(count) = self.length()? else { return Ok(None) };
        if count > self.remaining() / least_element_bytes.max(1) {
            return Err(Fault { kind: Kind::ArrayBeyondInput, offset: start });
        }
        if count > ARRAY_ELEMENTS_MAX {
            return Err(Fault { kind: Kind::ArrayTooLong, offset: start });
        }
        Ok(Some(count))
    }

    /// Passes over the tagged fields of a struct that knows none of them.
    #[inline]
    pub fn unknown_tags(&mut self) -> Result<TaggedFields<'a>, Fault> {
        // Almost always there is none: a flexible version then has one zero byte here, an old one nothing.
        if !self.flexible {
            return Ok(TaggedFields::NONE);
        }
        if self.rest().first() == Some(&0) {
            self.position += 1;
            return Ok(TaggedFields::NONE);
        }
        self.tags(|_, _| Ok(false))
    }

    /// Reads the tagged fields of a struct. `known` reads the value of a tag that it knows and returns whether it did.
    #[inline]
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, Fault>,
    ) -> Result<TaggedFields<'a>, Fault> {
        if !self.flexible {
            return Ok(TaggedFields::NONE);
        }
        let start = self.position;
        let count = self.unsigned_varint()? as usize;
        if count == 0 {
            return Ok(TaggedFields::NONE);
        }
        if count > TAGGED_FIELDS_MAX {
            return Err(Fault { kind: Kind::TooManyTags, offset: start });
        }
        let section = self.position;
        let mut known_tags = 0u64;
        let mut last = None;
        for _ in 0..count {
            let start = self.position;
            let tag = self.unsigned_varint()?;
            if last.is_some_and(|last| tag <= last) {
                return Err(Fault { kind: Kind::TagOrder, offset: start });
            }
            last = Some(tag);
            if self.one_tag(tag, &mut known)? {
                known_tags |= 1u64.checked_shl(tag).unwrap_or(0);
            }
        }
        let bytes = self.bytes.get(section..self.position).unwrap_or_default();
        Ok(TaggedFields::new(bytes, count, known_tags))
    }

    fn one_tag(
        &mut self,
        tag: u32,
        known: &mut impl FnMut(u32, &mut Self) -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let size = self.unsigned_varint()? as usize;
        if size > self.remaining() {
            return Err(self.fault(Kind::Truncated));
        }
        let end = self.position + size;
        // The value may not reach beyond its own bytes.
        let mut inner = Self { bytes: self.bytes.get(..end).unwrap_or_default(), ..*self };
        let is_known = known(tag, &mut inner)?;
        if is_known && inner.position != end {
            return Err(inner.fault(Kind::TagSize));
        }
        self.position = end;
        Ok(is_known)
    }
}
