use crate::array::Array;
use crate::decode_error::DecodeErrorKind as Kind;
use crate::reader::Reader;
use bytes::Bytes;
use ottla_types::Uuid;

/// A value that can be read from the wire and borrows from it.
pub trait Element<'a>: Copy + Sized {
    /// The value of a field that the version does not carry, unless the schema tells another one.
    const DEFAULT: Self;

    /// Whether the value is a struct of a hot message. Reading such a struct again, when an array is walked, does not
    /// walk the array within it once more where its size is known: see [`Array`].
    const HOT: bool = false;

    /// How many bytes the elements of the struct's first array of hot structs take.
    fn first_array_bytes(&self) -> usize {
        0
    }

    /// The fewest bytes that a value takes in that version.
    fn least_size(version: i16, flexible: bool) -> usize;

    /// Reads one value. A fault sticks to the reader.
    fn read(from: &mut Reader<'a>) -> Self;

    /// Reads a value or null. Structs have a byte before them: negative for null.
    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        match i8::from_be_bytes(from.take_array()) {
            ..0 => None,
            _ => Some(Self::read(from)),
        }
    }

    /// Reads a value or null that stands in a tagged field. Structs have a variable-length number before them there:
    /// zero for null.
    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Option<Self> {
        match from.unsigned_varint() {
            0 => None,
            _ => Some(Self::read(from)),
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
            fn read(from: &mut Reader<'a>) -> Self {
                <$kind>::from_be_bytes(from.take_array())
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
    fn read(from: &mut Reader<'a>) -> Self {
        from.take_array() != [0]
    }
}

impl<'a> Element<'a> for Uuid {
    const DEFAULT: Self = Self::ZERO;

    #[inline]
    fn least_size(_: i16, _: bool) -> usize {
        16
    }

    #[inline]
    fn read(from: &mut Reader<'a>) -> Self {
        Self(from.take_array())
    }
}

impl<'a> Element<'a> for &'a str {
    const DEFAULT: Self = "";

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }

    #[inline(always)]
    fn read(from: &mut Reader<'a>) -> Self {
        let start = from.position();
        match Self::read_nullable(from) {
            Some(text) => text,
            None => {
                from.fail(Kind::UnexpectedNull, start);
                Self::DEFAULT
            }
        }
    }

    #[inline(always)]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        from.string_length().map(|length| from.text(length))
    }

    #[inline(always)]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Option<Self> {
        Self::read_nullable(from)
    }
}

impl<'a> Element<'a> for &'a [u8] {
    const DEFAULT: Self = &[];

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline(always)]
    fn read(from: &mut Reader<'a>) -> Self {
        let start = from.position();
        match Self::read_nullable(from) {
            Some(bytes) => bytes,
            None => {
                from.fail(Kind::UnexpectedNull, start);
                Self::DEFAULT
            }
        }
    }

    #[inline(always)]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        from.length().map(|length| from.take(length))
    }

    #[inline(always)]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Option<Self> {
        Self::read_nullable(from)
    }
}

impl<'a, T: Element<'a>> Element<'a> for Array<'a, T> {
    const DEFAULT: Self = Self::EMPTY;

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline(always)]
    fn read(from: &mut Reader<'a>) -> Self {
        let start = from.position();
        match Self::read_nullable(from) {
            Some(array) => array,
            None => {
                from.fail(Kind::UnexpectedNull, start);
                Self::DEFAULT
            }
        }
    }

    #[inline(always)]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        let least = T::least_size(from.version(), from.flexible());
        from.array_length(least).map(|count| Self::validate(from, count))
    }

    #[inline(always)]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Option<Self> {
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
        // The count was checked against the input. A loop, because a chain of adapters is compiled for each struct.
        let mut list = Vec::with_capacity(self.len());
        for element in self.iter() {
            list.push(element.to_message());
        }
        list
    }
}
