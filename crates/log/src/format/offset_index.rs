use super::FormatError;
use ottla_types::Offset;

/// An entry of the offset index: a batch that ends with `offset` begins at `position` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    /// The last offset of the batch.
    pub offset: Offset,
    /// Where the batch begins.
    pub position: u32,
}

/// The offset index of a segment (`.index`) in memory: entries of eight bytes, the offset relative to the segment's
/// base offset and the position, both rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetIndex {
    entries: Vec<(u32, u32)>,
}

impl OffsetIndex {
    /// The bytes of an entry.
    pub const ENTRY_LENGTH: usize = 8;

    /// Reads an index file. `segment_length` bounds the positions. Trailing entries of zeros, which an unclean stop of
    /// Apache Kafka leaves of the space it takes in advance, are dropped.
    pub fn parse(contents: &[u8], segment_length: u64) -> Result<Self, FormatError> {
        let (chunks, rest) = contents.as_chunks::<{ Self::ENTRY_LENGTH }>();
        if !rest.is_empty() {
            return Err(FormatError::Length);
        }
        let used = chunks.iter().rposition(|chunk| *chunk != [0; Self::ENTRY_LENGTH]).map_or(0, |last| last + 1);
        let mut index = Self { entries: Vec::with_capacity(used) };
        for (number, chunk) in chunks.iter().take(used).enumerate() {
            let (offset, position) = Self::parse_entry(*chunk);
            let follows = index.entries.last().is_none_or(|last| last.0 < offset && last.1 < position);
            if !follows || offset > i32::MAX as u32 || u64::from(position) >= segment_length {
                return Err(FormatError::Order(number));
            }
            index.entries.push((offset, position));
        }
        Ok(index)
    }

    /// One entry: relative offset and position.
    pub fn parse_entry(bytes: [u8; Self::ENTRY_LENGTH]) -> (u32, u32) {
        let [a, b, c, d, e, f, g, h] = bytes;
        (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
    }

    /// The file's contents.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * Self::ENTRY_LENGTH);
        for (offset, position) in &self.entries {
            bytes.extend_from_slice(&offset.to_be_bytes());
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        bytes
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry: `relative` is the last offset of a batch less the base offset of the segment. An entry that does
    /// not follow on the last one is left out; the index stays right without it.
    pub fn append(&mut self, relative: u32, position: u32) {
        if self.entries.last().is_none_or(|last| last.0 < relative && last.1 < position) {
            self.entries.push((relative, position));
        }
    }

    /// The position of the last entry whose offset is not beyond `relative`; 0 when there is none.
    pub fn position_before(&self, relative: u32) -> u32 {
        let after = self.entries.partition_point(|(offset, _)| *offset <= relative);
        after.checked_sub(1).and_then(|index| self.entries.get(index)).map_or(0, |entry| entry.1)
    }

    /// The last entry: relative offset and position.
    pub fn last(&self) -> Option<(u32, u32)> {
        self.entries.last().copied()
    }

    /// Drops the entries at and beyond a relative offset.
    pub fn truncate(&mut self, relative: u32) {
        self.entries.truncate(self.entries.partition_point(|(offset, _)| *offset < relative));
    }

    /// Drops the entries of batches that begin at or beyond a position.
    pub fn truncate_position(&mut self, position: u32) {
        self.entries.truncate(self.entries.partition_point(|entry| entry.1 < position));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_index_reads_back_as_written() {
        let mut index = OffsetIndex::default();
        index.append(9, 5000);
        index.append(19, 10_000);
        assert_eq!(index.to_bytes(), [0, 0, 0, 9, 0, 0, 0x13, 0x88, 0, 0, 0, 19, 0, 0, 0x27, 0x10]);
        assert_eq!(OffsetIndex::parse(&index.to_bytes(), 20_000), Ok(index));
    }

    #[test]
    fn a_lookup_finds_the_last_entry_that_is_not_beyond() {
        let mut index = OffsetIndex::default();
        index.append(9, 5000);
        index.append(19, 10_000);
        assert_eq!(
            [0, 8, 9, 18, 19, 100].map(|offset| index.position_before(offset)),
            [0, 0, 5000, 5000, 10_000, 10_000]
        );
    }

    #[test]
    fn an_index_with_the_unused_space_of_an_unclean_stop_is_read() {
        let mut bytes = vec![0, 0, 0, 9, 0, 0, 0x13, 0x88];
        bytes.resize(80, 0);
        assert_eq!(OffsetIndex::parse(&bytes, 20_000).map(|index| index.len()), Ok(1));
    }

    #[test]
    fn an_offset_index_that_cannot_be_right_is_refused() {
        assert_eq!(OffsetIndex::parse(&[0; 7], 100), Err(FormatError::Length));
        assert_eq!(OffsetIndex::parse(&[0, 0, 0, 9, 0, 0, 0, 200], 100), Err(FormatError::Order(0)));
        let falling = [0, 0, 0, 9, 0, 0, 0, 50, 0, 0, 0, 8, 0, 0, 0, 60];
        assert_eq!(OffsetIndex::parse(&falling, 100), Err(FormatError::Order(1)));
    }
}
