use crate::java_random::SplittableRandom;
use bytes::{Bytes, BytesMut};
use regex::Regex;

/// Bytes of payloads that are taken from the system at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What the records are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// So many random letters.
    Size(usize),
    /// One of these by chance.
    OneOf(Vec<Bytes>),
    /// The record's number.
    Number,
}

/// How a record gets its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    None,
    /// The numbers up to this, one after the other.
    Range(i32),
    /// One of the numbers up to this by chance.
    Random(i32),
}

/// Makes the records' keys and values: the same for the same seed as Apache Kafka's tool.
pub(super) struct Source {
    payload: Payload,
    keys: Keys,
    random: SplittableRandom,
    /// The space for values; what the producer has put into a batch is used again.
    space: BytesMut,
}

impl Source {
    pub(super) fn new(payload: Payload, keys: Keys, seed: i64) -> Self {
        Self { payload, keys, random: SplittableRandom::new(seed), space: BytesMut::new() }
    }

    /// The value of the record of this number. It comes before the key.
    pub(super) fn value(&mut self, number: u64) -> Bytes {
        match &self.payload {
            Payload::Size(size) => {
                let size = *size;
                if self.space.capacity() < size {
                    self.space.reserve(size.max(CHUNK_BYTES));
                }
                self.space.resize(size, 0);
                for byte in self.space.iter_mut() {
                    *byte = b'A' + self.random.below(26) as u8;
                }
                self.space.split().freeze()
            }
            Payload::OneOf(payloads) => {
                let index = self.random.below(i32::try_from(payloads.len()).unwrap_or(i32::MAX));
                payloads.get(index as usize).cloned().unwrap_or_default()
            }
            Payload::Number => Bytes::from(number.to_string()),
        }
    }

    /// The key of the record of this number.
    pub(super) fn key(&mut self, number: u64) -> Option<Bytes> {
        let key = match self.keys {
            Keys::None => return None,
            Keys::Range(range) => number % u64::from(range.max(1).unsigned_abs()),
            Keys::Random(range) => u64::from(self.random.below(range).unsigned_abs()),
        };
        Some(Bytes::from(key.to_string()))
    }
}

/// Cuts a file's text into payloads, as Java's `Scanner` does: what separates them is skipped once before each, and nothing
/// follows the last.
pub(super) fn cut(text: &str, delimiter: &Regex) -> Vec<Bytes> {
    let start = delimiter.find(text).filter(|found| found.start() == 0).map_or(0, |found| found.end());
    let text = text.get(start..).unwrap_or_default();
    let mut parts: Vec<_> = delimiter.split(text).map(|part| Bytes::copy_from_slice(part.as_bytes())).collect();
    if parts.last().is_some_and(Bytes::is_empty) {
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_cut_where_the_scanner_cuts_them() {
        let line = Regex::new("\n").unwrap();
        let cut = |text: &str| cut(text, &line).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(cut("one\ntwo\n\nthree"), [3, 3, 0, 5]);
        assert_eq!(cut("\none\n"), [3]);
        assert_eq!(cut("one\n\n"), [3, 0]);
        assert_eq!(cut("\n"), [0; 0]);
    }

    #[test]
    fn values_are_made_anew_in_the_same_space() {
        let mut source = Source::new(Payload::Size(10), Keys::None, 0);
        let first = source.value(0);
        assert_eq!(first, "YQHHNEBSEP");
        assert_eq!(source.value(1), "DNSEIFGAMS");
        assert_eq!(first, "YQHHNEBSEP");
        assert_eq!(source.key(0), None);
    }

    #[test]
    fn keys_go_round_within_their_range() {
        let mut source = Source::new(Payload::Number, Keys::Range(3), 0);
        let keys: Vec<_> = (0..5).map(|number| source.key(number).unwrap()).collect();
        assert_eq!(keys, ["0", "1", "2", "0", "1"]);
        assert_eq!(source.value(7), "7");
    }
}
