use crate::reader::Reader;
use bytes::Bytes;

/// A tagged field that this release does not know (KIP-482).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTaggedField {
    /// Its tag.
    pub tag: u32,
    /// Its value, as it came.
    pub data: Bytes,
}

/// The tagged fields of one struct, where they lie in the input.
#[derive(Clone, Copy, Debug)]
pub struct TaggedFields<'a> {
    section: &'a [u8],
    count: u32,
    /// One bit for each tag below 32 that the struct's own fields took.
    known: u32,
}

impl<'a> TaggedFields<'a> {
    /// No tagged fields.
    pub const NONE: Self = Self { section: &[], count: 0, known: 0 };

    pub(crate) fn new(section: &'a [u8], count: usize, known: u32) -> Self {
        // A count is at most TAGGED_FIELDS_MAX.
        Self { section, count: count as u32, known }
    }

    /// How many tagged fields stand there, known ones included.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the tagged fields that are unknown.
    pub fn iter_unknown(&self) -> UnknownTags<'a> {
        UnknownTags { reader: Reader::new(self.section), known: self.known }
    }

    /// The tagged fields that are unknown, owned.
    pub fn unknown(&self) -> Vec<RawTaggedField> {
        self.iter_unknown().map(|(tag, data)| RawTaggedField { tag, data: Bytes::copy_from_slice(data) }).collect()
    }
}

/// Walks the unknown ones among the tagged fields of a struct: tags with their bytes.
#[derive(Clone, Debug)]
pub struct UnknownTags<'a> {
    reader: Reader<'a>,
    known: u32,
}

impl<'a> Iterator for UnknownTags<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The section was read before; when it ends, so does this walk.
        while self.reader.remaining() > 0 {
            let tag = self.reader.unsigned_varint();
            let size = self.reader.unsigned_varint();
            let data = self.reader.take(size as usize);
            if 1u32.checked_shl(tag).unwrap_or(0) & self.known == 0 {
                return Some((tag, data));
            }
        }
        None
    }
}
