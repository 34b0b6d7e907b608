use crate::decode_error::Fault;
use crate::element::Element;
use crate::reader::Reader;
use core::fmt;
use core::marker::PhantomData;

/// A list that lies in the bytes it came from. All of its elements were read once when the message was, so that walking
/// it can't fail; walking reads them again and allocates nothing.
pub struct Array<'a, T> {
    bytes: &'a [u8],
    count: u32,
    version: i16,
    flexible: bool,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Array<'_, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T> Array<'_, T> {
    /// The list without elements.
    pub const EMPTY: Self = Self { bytes: &[], count: 0, version: 0, flexible: false, kind: PhantomData };

    /// How many elements there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a, T: Element<'a>> Array<'a, T> {
    /// Reads `count` elements and remembers where they lie. The caller has checked the count against the input.
    #[inline]
    pub(crate) fn validate(from: &mut Reader<'a>, count: usize) -> Result<Self, Fault> {
        let all = from.rest();
        let start = from.position();
        for _ in 0..count {
            T::read(from)?;
        }
        let bytes = all.get(..from.position() - start).unwrap_or_default();
        // A count is at most ARRAY_ELEMENTS_MAX.
        Ok(Self { bytes, count: count as u32, version: from.version(), flexible: from.flexible(), kind: PhantomData })
    }

    /// Walks the elements.
    #[inline]
    pub fn iter(&self) -> ArrayIter<'a, T> {
        let mut reader = Reader::new(self.bytes);
        reader.begin(self.version, self.flexible);
        ArrayIter { reader, left: self.count, kind: PhantomData }
    }

    /// The first element.
    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }
}

impl<'a, T: Element<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'a, T>;

    #[inline]
    fn into_iter(self) -> ArrayIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> IntoIterator for &Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'a, T>;

    #[inline]
    fn into_iter(self) -> ArrayIter<'a, T> {
        self.iter()
    }
}

/// Walks the elements of an [`Array`].
#[derive(Clone, Debug)]
pub struct ArrayIter<'a, T> {
    reader: Reader<'a>,
    left: u32,
    kind: PhantomData<fn() -> T>,
}

impl<'a, T: Element<'a>> Iterator for ArrayIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        // The same bytes were read before, as the same type and version: this can't fail.
        T::read(&mut self.reader).ok()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for ArrayIter<'a, T> {}
