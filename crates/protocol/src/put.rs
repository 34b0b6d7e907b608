use crate::encode_error::{EncodeErrorKind as Kind, EncodeFault};
use crate::reader::STRING_BYTES_MAX;
use crate::record_set::RecordSet;
use crate::tagged::RawTaggedField;
use crate::writer::Counter;
use bytes::Bytes;
use ottla_types::Uuid;

/// The greatest length that the wire has room for.
const LENGTH_MAX: usize = i32::MAX as usize;

/// A value that can be put on the wire. One walk serves both for counting the bytes and for writing them, so that the
/// size is right by construction.
pub trait Put {
    /// Puts the value.
    ///
    /// # Errors
    /// The version can't carry the value.
    fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault>;

    /// Puts the value or null. Structs have a byte before them: -1 for null, else 1.
    ///
    /// # Errors
    /// The version can't carry the value.
    fn put_nullable<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        match value {
            None => to.bytes(&[0xff]),
            Some(value) => {
                to.bytes(&[1]);
                return value.put(to);
            }
        }
        Ok(())
    }

    /// Puts the value or null into a tagged field. Structs have a byte before them there: 0 for null, else 1.
    ///
    /// # Errors
    /// The version can't carry the value.
    fn put_nullable_tag<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        to.bytes(&[u8::from(value.is_some())]);
        value.map_or(Ok(()), |value| value.put(to))
    }
}

/// Where values are put: a buffer, or a counter of bytes. It knows the version.
pub trait Sink: Sized {
    /// The version being written.
    fn version(&self) -> i16;

    /// Whether the version is flexible (KIP-482).
    fn flexible(&self) -> bool;

    /// Takes bytes as they are.
    fn bytes(&mut self, bytes: &[u8]);

    /// Leaves `length` bytes out.
    fn hole(&mut self, length: usize);

    /// Whether the version is `low` or later.
    #[inline]
    fn since(&self, low: i16) -> bool {
        self.version() >= low
    }

    /// Whether the version is `high` or earlier.
    #[inline]
    fn until(&self, high: i16) -> bool {
        self.version() <= high
    }

    /// Whether the version is one of those from `low` to `high`.
    #[inline]
    fn within(&self, low: i16, high: i16) -> bool {
        self.since(low) && self.until(high)
    }

    /// A number of one to five bytes, seven bits each, least significant first.
    #[inline]
    fn unsigned_varint(&mut self, mut value: u32) {
        let mut out = [0u8; 5];
        let mut length = 0;
        for byte in &mut out {
            length += 1;
            *byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
        self.bytes(out.get(..length).unwrap_or_default());
    }

    /// A field.
    ///
    /// # Errors
    /// The version can't carry the value.
    #[inline]
    fn field<T: Put>(&mut self, name: &'static str, value: &T) -> Result<(), EncodeFault> {
        match value.put(self) {
            Ok(()) => Ok(()),
            Err(fault) => Err(fault.within(name)),
        }
    }

    /// A field that may be null if `may_be_null`.
    ///
    /// # Errors
    /// The version can't carry the value.
    #[inline]
    fn nullable<T: Put>(
        &mut self,
        name: &'static str,
        value: &Option<T>,
        may_be_null: bool,
    ) -> Result<(), EncodeFault> {
        match value {
            _ if may_be_null => match T::put_nullable(value.as_ref(), self) {
                Ok(()) => Ok(()),
                Err(fault) => Err(fault.within(name)),
            },
            Some(value) => self.field(name, value),
            None => Err(EncodeFault::new(Kind::UnexpectedNull).within(name)),
        }
    }

    /// The length before bytes, records or a list: four bytes, or a compact number. `None` is null.
    ///
    /// # Errors
    /// The length does not fit.
    #[inline]
    fn length(&mut self, length: Option<usize>) -> Result<(), EncodeFault> {
        if length.is_some_and(|length| length > LENGTH_MAX) {
            return Err(EncodeFault::new(Kind::TooLong));
        }
        // Checked above: neither cast cuts.
        match self.flexible() {
            true => self.unsigned_varint(length.map_or(0, |length| length as u32 + 1)),
            false => self.bytes(&length.map_or(-1, |length| length as i32).to_be_bytes()),
        }
        Ok(())
    }

    /// The length before a string: two bytes, or a compact number. `None` is null.
    ///
    /// # Errors
    /// The string is too long.
    #[inline]
    fn string_length(&mut self, length: Option<usize>) -> Result<(), EncodeFault> {
        if length.is_some_and(|length| length > STRING_BYTES_MAX) {
            return Err(EncodeFault::new(Kind::TooLong));
        }
        match self.flexible() {
            true => self.unsigned_varint(length.map_or(0, |length| length as u32 + 1)),
            false => self.bytes(&length.map_or(-1, |length| length as i16).to_be_bytes()),
        }
        Ok(())
    }

    /// A string with a length of two bytes, whatever the version.
    ///
    /// # Errors
    /// The string is too long.
    fn legacy_nullable_string(&mut self, name: &'static str, value: Option<&str>) -> Result<(), EncodeFault> {
        let length = value.map_or(Ok(-1), |value| i16::try_from(value.len()));
        let length = length.map_err(|_| EncodeFault::new(Kind::TooLong).within(name))?;
        self.bytes(&length.to_be_bytes());
        self.bytes(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// A field of record batches.
    ///
    /// # Errors
    /// They are null and may not be, or too long.
    fn records(&mut self, name: &'static str, value: &RecordSet, may_be_null: bool) -> Result<(), EncodeFault> {
        if value.is_null() && !may_be_null {
            return Err(EncodeFault::new(Kind::UnexpectedNull).within(name));
        }
        let length = (!value.is_null()).then(|| value.len());
        self.length(length).map_err(|fault| fault.within(name))?;
        match value {
            RecordSet::Null => {}
            RecordSet::Bytes(bytes) => self.bytes(bytes),
            RecordSet::Deferred { length } => self.hole(*length),
        }
        Ok(())
    }

    /// Whether there is a section of tagged fields.
    ///
    /// # Errors
    /// There is none, but there are unknown ones to write.
    #[inline]
    fn begin_tags(&self, unknown: &[RawTaggedField]) -> Result<bool, EncodeFault> {
        match (self.flexible(), unknown.is_empty()) {
            (true, _) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => Err(EncodeFault::new(Kind::TagsNotInVersion)),
        }
    }

    /// The number of tagged fields.
    ///
    /// # Errors
    /// More than the wire has room for.
    #[inline]
    fn tag_count(&mut self, count: usize) -> Result<(), EncodeFault> {
        let count = u32::try_from(count).map_err(|_| EncodeFault::new(Kind::TooLong))?;
        self.unsigned_varint(count);
        Ok(())
    }

    /// One tagged field: tag, size, value.
    ///
    /// # Errors
    /// The version can't carry the value.
    fn tag<T: Put>(&mut self, tag: u32, name: &'static str, value: &T) -> Result<(), EncodeFault> {
        let mut size = Counter::new(self.version(), self.flexible());
        size.field(name, value)?;
        self.begin_tag(tag, size.size())?;
        self.field(name, value)
    }

    /// One tagged field that may be null.
    ///
    /// # Errors
    /// The version can't carry the value.
    fn nullable_tag<T: Put>(&mut self, tag: u32, name: &'static str, value: &Option<T>) -> Result<(), EncodeFault> {
        let mut size = Counter::new(self.version(), self.flexible());
        T::put_nullable_tag(value.as_ref(), &mut size).map_err(|fault| fault.within(name))?;
        self.begin_tag(tag, size.size())?;
        T::put_nullable_tag(value.as_ref(), self)
    }

    /// The tag and the size before a tagged field.
    ///
    /// # Errors
    /// The size is more than the wire has room for.
    fn begin_tag(&mut self, tag: u32, size: usize) -> Result<(), EncodeFault> {
        let size = u32::try_from(size).map_err(|_| EncodeFault::new(Kind::TooLong))?;
        self.unsigned_varint(tag);
        self.unsigned_varint(size);
        Ok(())
    }

    /// The unknown tagged fields that come before the known `tag`; `unknown` shrinks by them.
    ///
    /// # Errors
    /// They do not ascend, or one bears that tag itself.
    fn unknown_tags_below(&mut self, tag: u32, unknown: &mut &[RawTaggedField]) -> Result<(), EncodeFault> {
        let below = unknown.iter().take_while(|field| field.tag < tag).count();
        let (now, later) = unknown.split_at(below);
        if later.first().is_some_and(|field| field.tag == tag) {
            return Err(EncodeFault::new(Kind::TagOrder));
        }
        *unknown = later;
        self.last_unknown_tags(now)
    }

    /// The unknown tagged fields that come last.
    ///
    /// # Errors
    /// They do not ascend.
    fn last_unknown_tags(&mut self, unknown: &[RawTaggedField]) -> Result<(), EncodeFault> {
        if unknown.windows(2).any(|pair| matches!(pair, [a, b] if a.tag >= b.tag)) {
            return Err(EncodeFault::new(Kind::TagOrder));
        }
        for field in unknown {
            self.begin_tag(field.tag, field.data.len())?;
            self.bytes(&field.data);
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    ///
    /// # Errors
    /// They do not ascend, or the version has no tagged fields.
    #[inline]
    fn only_unknown_tags(&mut self, unknown: &[RawTaggedField]) -> Result<(), EncodeFault> {
        if self.begin_tags(unknown)? {
            self.tag_count(unknown.len())?;
            self.last_unknown_tags(unknown)?;
        }
        Ok(())
    }
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl Put for $kind {
            #[inline]
            fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {
                to.bytes(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}

numbers!(i8 i16 u16 i32 u32 i64 f64);

impl Put for bool {
    #[inline]
    fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {
        to.bytes(&[u8::from(*self)]);
        Ok(())
    }
}

impl Put for Uuid {
    #[inline]
    fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {
        to.bytes(&self.0);
        Ok(())
    }
}

impl Put for String {
    #[inline]
    fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {
        Self::put_nullable(Some(self), to)
    }

    #[inline]
    fn put_nullable<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        to.string_length(value.map(String::len))?;
        to.bytes(value.map_or(&[], |value| value.as_bytes()));
        Ok(())
    }

    #[inline]
    fn put_nullable_tag<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        Self::put_nullable(value, to)
    }
}

impl Put for Bytes {
    #[inline]
    fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {
        Self::put_nullable(Some(self), to)
    }

    #[inline]
    fn put_nullable<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        to.length(value.map(Bytes::len))?;
        to.bytes(value.map_or(&[], |value| value));
        Ok(())
    }

    #[inline]
    fn put_nullable_tag<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        Self::put_nullable(value, to)
    }
}

impl<T: Put> Put for Vec<T> {
    #[inline]
    fn put<S: Sink>(&self, to: &mut S) -> Result<(), EncodeFault> {
        Self::put_nullable(Some(self), to)
    }

    #[inline]
    fn put_nullable<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        to.length(value.map(Vec::len))?;
        // Plain loops and matches here and below: iterator adapters would be compiled anew for each of 300 structs.
        for element in value.map_or(&[][..], Vec::as_slice) {
            element.put(to)?;
        }
        Ok(())
    }

    #[inline]
    fn put_nullable_tag<S: Sink>(value: Option<&Self>, to: &mut S) -> Result<(), EncodeFault> {
        Self::put_nullable(value, to)
    }
}
