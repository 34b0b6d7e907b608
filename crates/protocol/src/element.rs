use crate::array::Array;
use crate::decode_error::DecodeErrorKind as Kind;
use crate::reader::Reader;
use bytes::Bytes;
use ottla_types::Uuid;

/// A value that can be read from the wire and borrows from it.
pub trait Element<'a>: Copy + Sized {
    /// The value of a field that the version does not carry, unless the schema tells another one.
    const DEFAULT: Self;

    /// What an array remembers of its first element: nothing, or the element itself. The structs of hot messages that
    /// hold arrays are remembered, since reading them again means walking those arrays once more, and since most
    /// requests name one topic.
    type Kept: Copy;

    /// Nothing remembered.
    const NOTHING_KEPT: Self::Kept;

    /// What is remembered of a first element that takes `length` bytes.
    fn keep(self, length: usize) -> Self::Kept;

    /// The first element and how many bytes it takes, if it was remembered. `None` from then on.
    fn take_kept(kept: &mut Self::Kept) -> Option<(Self, usize)>;

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

/// The part of an element that arrays do not remember.
macro_rules! keep_nothing {
    () => {
        type Kept = ();
        const NOTHING_KEPT: () = ();

        #[inline]
        fn keep(self, _: usize) {}

        #[inline]
        fn take_kept(_: &mut ()) -> Option<(Self, usize)> {
            None
        }
    };
}

/// The part of an element that arrays remember.
macro_rules! keep_element {
    () => {
        type Kept = Option<(Self, usize)>;
        const NOTHING_KEPT: Self::Kept = None;

        #[inline]
        fn keep(self, length: usize) -> Self::Kept {
            Some((self, length))
        }

        #[inline]
        fn take_kept(kept: &mut Self::Kept) -> Self::Kept {
            kept.take()
        }
    };
}

pub(crate) use {keep_element, keep_nothing};

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl<'a> Element<'a> for $kind {
            const DEFAULT: Self = 0 as $kind;
            keep_nothing!();

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
    keep_nothing!();

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
    keep_nothing!();

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
    keep_nothing!();

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }

    #[inline]
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

    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        match from.string_length() {
            None => None,
            Some(length) => Some(from.text(length)),
        }
    }

    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Option<Self> {
        Self::read_nullable(from)
    }
}

impl<'a> Element<'a> for &'a [u8] {
    const DEFAULT: Self = &[];
    keep_nothing!();

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline]
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

    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        match from.length() {
            None => None,
            Some(length) => Some(from.take(length)),
        }
    }

    #[inline]
    fn read_nullable_tag(from: &mut Reader<'a>) -> Option<Self> {
        Self::read_nullable(from)
    }
}

impl<'a, T: Element<'a>> Element<'a> for Array<'a, T> {
    const DEFAULT: Self = Self::EMPTY;
    keep_nothing!();

    #[inline]
    fn least_size(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline]
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

    #[inline]
    fn read_nullable(from: &mut Reader<'a>) -> Option<Self> {
        let least = T::least_size(from.version(), from.flexible());
        match from.array_length(least) {
            None => None,
            Some(count) => Some(Self::validate(from, count)),
        }
    }

    #[inline]
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
        match self {
            None => None,
            Some(value) => Some(value.to_message()),
        }
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
