use crate::array::Array;
use crate::decode_error::{DecodeErrorKind as Kind, Fault};
use crate::reader::Reader;
use bytes::Bytes;
use ottla_types::Uuid;

/// A value that can be read from the wire and borrows from it.
pub trait Element<'a>: Copy + Sized {
    /// The value of a field that the version does not carry, unless the schema tells another one.
    const DEFAULT: Self;

    /// The fewest bytes that a value takes in that version.
    fn least_size(version: i16, flexible: bool) -> usize;

    /// Reads one value.
    ///
    /// # Errors
    /// The bytes are not such a value; null is not.
    fn read(from: &mut Reader<'a>) -> Result<Self, Fault>;

    /// Reads a value or null. Structs have a byte before them: negative for null.
    ///
    /// # Errors
    /// The bytes are neither.
    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        match i8::from_be_bytes(from.take_array()?) {
            ..0 => Ok(None),
            _ => Self::read(from).map(Some),
        }
    }

    /// Reads a value or null that stands in a tagged field. Structs have a variable-length number before them there:
    /// zero for null.
    ///
    /// # Errors
    /// The bytes are neither.
    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        match from.unsigned_varint()? {
            0 => Ok(None),
            _ => Self::read(from).map(Some),
        }
    }
}

/// A borrowed value that has an owned form.
pub trait ToMessage {
    /// The owned form.
    type Message;

    /// Copies what is borrowed. Allocates no more than a small multiple of the bytes that were read.
    fn to_message(&self) -> Self::Message;
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl<'a> Element<'a> for $kind {
            const DEFAULT: Self = 0 as $kind;

            #[inline]
            fn least_size(_: i16, _: bool) -> usize {
                size_of::<$kind>()
            }

            #[inline]
            fn read(from: &mut Reader<'a>) -> Result<Self, Fault> {
                from.take_array().map(<$kind>::from_be_bytes)
            }
        }
    )*};
}

numbers!(i8 i16 u16 i32 u32 i64 f64);

impl<'a> Element<'a> for bool {
    const DEFAULT: Self = false;

    #[inline]
    fn least_size(_: i16, _: bool) -> usize {
        1
    }

    #[inline]
    fn read(from: &mut Reader<'a>) -> Result<Self, Fault> {
        from.take_array().map(|[byte]| byte != 0)
    }
}

impl<'a> Element<'a> for Uuid {
    const DEFAULT: Self = Self::ZERO;

    #[inline]
    fn least_size(_: i16, _: bool) -> usize {
        16
    }

    #[inline]
    fn read(from: &mut Reader<'a>) -> Result<Self, Fault> {
        from.uuid()
    }
}

impl<'a> Element<'a> for &'a str {
    const DEFAULT: Self = "";

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }

    #[inline]
    fn read(from: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = from.position();
        match Self::read_nullable(from)? {
            Some(text) => Ok(text),
            None => Err(Fault { kind: Kind::UnexpectedNull, offset: start }),
        }
    }

    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        match from.string_length()? {
            None => Ok(None),
            Some(length) => from.text(length).map(Some),
        }
    }

    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        Self::read_nullable(from)
    }
}

impl<'a> Element<'a> for &'a [u8] {
    const DEFAULT: Self = &[];

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline]
    fn read(from: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = from.position();
        match Self::read_nullable(from)? {
            Some(bytes) => Ok(bytes),
            None => Err(Fault { kind: Kind::UnexpectedNull, offset: start }),
        }
    }

    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        match from.length()? {
            None => Ok(None),
            Some(length) => from.take(length).map(Some),
        }
    }

    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        Self::read_nullable(from)
    }
}

impl<'a, T: Element<'a>> Element<'a> for Array<'a, T> {
    const DEFAULT: Self = Self::EMPTY;

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline]
    fn read(from: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = from.position();
        match Self::read_nullable(from)? {
            Some(array) => Ok(array),
            None => Err(Fault { kind: Kind::UnexpectedNull, offset: start }),
        }
    }

    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        let least = T::least_size(from.version(), from.flexible());
        match from.array_length(least)? {
            None => Ok(None),
            Some(count) => Self::validate(from, count).map(Some),
        }
    }

    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        Self::read_nullable(from)
    }
}

macro_rules! plain {
    ($($kind:ty)*) => {$(
        impl ToMessage for $kind {
            type Message = $kind;

            #[inline]
            fn to_message(&self) -> $kind {
                *self
            }
        }
    )*};
}

plain!(bool i8 i16 u16 i32 u32 i64 f64 Uuid);

impl ToMessage for &str {
    type Message = String;

    fn to_message(&self) -> String {
        (*self).to_owned()
    }
}

impl ToMessage for &[u8] {
    type Message = Bytes;

    fn to_message(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl<T: ToMessage> ToMessage for Option<T> {
    type Message = Option<T::Message>;

    fn to_message(&self) -> Self::Message {
        self.as_ref().map(T::to_message)
    }
}

impl<'a, T: Element<'a> + ToMessage> ToMessage for Array<'a, T> {
    type Message = Vec<T::Message>;

    fn to_message(&self) -> Self::Message {
        self.iter().map(|element| element.to_message()).collect()
    }
}
