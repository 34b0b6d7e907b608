use super::FormatError;
use ottla_types::{Offset, Timestamp};

/// A timestamp, and the last offset of the batch that has it as its greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The greatest timestamp up to there.
    pub timestamp: Timestamp,
    /// The last offset of the batch that brought it.
    pub offset: Offset,
}

/// The time index of a segment (`.timeindex`) in memory: entries of twelve bytes, a timestamp and an offset relative to
/// the segment's base offset, the timestamps rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeIndex {
    entries: Vec<(i64, u32)>,
}

impl TimeIndex {
    /// The bytes of an entry.
    pub const ENTRY_LENGTH: usize = 12;

    /// Reads a time index file. Trailing entries of zeros are dropped, as in the offset index.
    pub fn parse(contents: &[u8]) -> Result<Self, FormatError> {
        let (chunks, rest) = contents.as_chunks::<{ Self::ENTRY_LENGTH }>();
        if !rest.is_empty() {
            return Err(FormatError::Length);
        }
        let used = chunks.iter().rposition(|chunk| *chunk != [0; Self::ENTRY_LENGTH]).map_or(0, |last| last + 1);
        let mut index = Self { entries: Vec::with_capacity(used) };
        for (number, chunk) in chunks.iter().take(used).enumerate() {
            let (timestamp, offset) = Self::parse_entry(*chunk);
            let follows = index.entries.last().is_none_or(|last| last.0 < timestamp && last.1 <= offset);
            if !follows || timestamp < 0 || offset > i32::MAX as u32 {
                return Err(FormatError::Order(number));
            }
            index.entries.push((timestamp, offset));
        }
        Ok(index)
    }

    /// One entry: timestamp and relative offset.
    pub fn parse_entry(bytes: [u8; Self::ENTRY_LENGTH]) -> (i64, u32) {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        (i64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
    }

    /// The file's contents.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * Self::ENTRY_LENGTH);
        for (timestamp, offset) in &self.entries {
            bytes.extend_from_slice(&timestamp.to_be_bytes());
            bytes.extend_from_slice(&offset.to_be_bytes());
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

    /// Adds an entry when its timestamp is greater than that of the last one.
    pub fn maybe_append(&mut self, timestamp: Timestamp, relative: u32) {
        let follows = self.entries.last().is_none_or(|last| last.0 < timestamp.0 && last.1 <= relative);
        if follows && timestamp.0 >= 0 {
            self.entries.push((timestamp.0, relative));
        }
    }

    /// The relative offset of the last entry whose timestamp is not beyond `timestamp`; `None` when there is none.
    pub fn offset_before(&self, timestamp: Timestamp) -> Option<u32> {
        let after = self.entries.partition_point(|entry| entry.0 <= timestamp.0);
        after.checked_sub(1).and_then(|index| self.entries.get(index)).map(|entry| entry.1)
    }

    /// The last entry: timestamp and relative offset.
    pub fn last(&self) -> Option<(Timestamp, u32)> {
        self.entries.last().map(|entry| (Timestamp(entry.0), entry.1))
    }

    /// Drops the entries at and beyond a relative offset.
    pub fn truncate(&mut self, relative: u32) {
        self.entries.truncate(self.entries.partition_point(|entry| entry.1 < relative));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_index_reads_back_as_written() {
        let mut index = TimeIndex::default();
        index.maybe_append(Timestamp(1000), 9);
        index.maybe_append(Timestamp(1000), 19);
        index.maybe_append(Timestamp(1001), 29);
        assert_eq!(index.to_bytes(), [0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 3, 0xe9, 0, 0, 0, 29]);
        assert_eq!(TimeIndex::parse(&index.to_bytes()), Ok(index));
    }

    #[test]
    fn a_lookup_finds_the_last_entry_that_is_not_later() {
        let mut index = TimeIndex::default();
        index.maybe_append(Timestamp(1000), 9);
        index.maybe_append(Timestamp(2000), 19);
        let found = [999, 1000, 1999, 2000, 9999].map(|time| index.offset_before(Timestamp(time)));
        assert_eq!(found, [None, Some(9), Some(9), Some(19), Some(19)]);
    }

    #[test]
    fn a_time_index_that_cannot_be_right_is_refused() {
        assert_eq!(TimeIndex::parse(&[0; 13]), Err(FormatError::Length));
        let falling = [[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2]].concat();
        assert_eq!(TimeIndex::parse(&falling), Err(FormatError::Order(1)));
    }
}
