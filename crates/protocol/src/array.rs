use crate::element::Element;
use crate::reader::Reader;
use core::fmt;
use core::marker::PhantomData;

/// A list that lies in the bytes it came from. All of its elements were read once when the message was, so that walking
/// it can't fail; walking reads them again and allocates nothing.
///
/// A list within an element of a list would be walked once more to find its end when the element is read again. For the
/// first element of the lists of hot messages the end is remembered instead, since most requests name one topic.
pub struct Array<'a, T: Element<'a>> {
    bytes: &'a [u8],
    kind: PhantomData<T>,
    count: u32,
    /// The size of the list within the first element; 0 when it is not remembered.
    first_array_bytes: u32,
    version: i16,
    /// Not a bool, so that there is no padding: see `Reader`.
    flexible: u16,
}

impl<'a, T: Element<'a>> Clone for Array<'a, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: Element<'a>> Copy for Array<'a, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a>> Array<'a, T> {
    /// The list without elements.
    pub const EMPTY: Self =
        Self { bytes: &[], kind: PhantomData, count: 0, first_array_bytes: 0, version: 0, flexible: 0 };

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

    /// Reads `count` elements and remembers where they lie. The caller has checked the count against the input.
    #[inline(always)]
    pub(crate) fn validate(from: &mut Reader<'a>, count: usize) -> Self {
        let all = from.rest();
        let mut first_array_bytes = 0;
        let known_bytes = if T::HOT { from.take_known_array_bytes() } else { 0 };
        if known_bytes > 0 {
            from.take(known_bytes);
        } else {
            for index in 0..count {
                let element = T::read(from);
                if from.fault().is_some() {
                    return Self::EMPTY;
                }
                if T::HOT && index == 0 {
                    first_array_bytes = u32::try_from(element.first_array_bytes()).unwrap_or(0);
                }
            }
        }
        let bytes = all.get(..all.len() - from.remaining()).unwrap_or_default();
        // A count is at most ARRAY_ELEMENTS_MAX.
        let (count, version, flexible) = (count as u32, from.version(), from.flexible().into());
        Self { bytes, kind: PhantomData, count, first_array_bytes, version, flexible }
    }

    /// How many bytes the elements take.
    #[inline]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Walks the elements.
    #[inline]
    pub fn iter(&self) -> ArrayIter<'a, T> {
        let mut reader = Reader::new(self.bytes);
        reader.begin(self.version, self.flexible != 0);
        if T::HOT {
            reader.expect_array_bytes(self.first_array_bytes);
        }
        ArrayIter { reader, kind: PhantomData, left: self.count }
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
#[derive(Clone)]
pub struct ArrayIter<'a, T: Element<'a>> {
    reader: Reader<'a>,
    kind: PhantomData<T>,
    left: u32,
}

impl<'a, T: Element<'a>> fmt::Debug for ArrayIter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayIter").field("reader", &self.reader).field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'a, T: Element<'a>> Iterator for ArrayIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        // The same bytes were read before, as the same type and version: this can't fail.
        Some(T::read(&mut self.reader))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for ArrayIter<'a, T> {}
