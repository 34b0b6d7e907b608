use ottla_types::TopicId;
use std::fmt;
use std::sync::Arc;

/// One log: a partition of one life of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    /// The topic's name, which its next life may have too.
    pub topic: Arc<str>,
    /// The topic's id, which no other life has.
    pub id: TopicId,
    /// The partition.
    pub partition: i32,
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Which record of which writer: no two records that are sent have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The writer.
    pub writer: u32,
    /// How many records it had sent before.
    pub number: u32,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of writer {}", self.number, self.writer)
    }
}

impl Value {
    /// The text of a record: writer, number, an amount that the record carries, and what fills it up.
    pub fn text(self, amount: i64, padding: usize) -> String {
        format!("{}:{}:{amount}:{}", self.writer, self.number, "x".repeat(padding))
    }

    /// The value and the amount of such a text; `None` if it is none.
    pub fn parse(text: &[u8]) -> Option<(Self, i64)> {
        // The padding is not looked at: records can be long.
        let end = text.len().min(60);
        let mut parts = text[..end].splitn(4, |byte| *byte == b':').map(|part| std::str::from_utf8(part).ok());
        let mut next = || parts.next().flatten();
        let writer = next()?.parse().ok()?;
        let number = next()?.parse().ok()?;
        let amount = next()?.parse().ok()?;
        Some((Self { writer, number }, amount))
    }
}

/// A record as it lies in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since the epoch.
    pub timestamp: i64,
    /// Its key, where keys are numbers.
    pub key: Option<u32>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Value>,
    /// What it carries.
    pub amount: i64,
}

/// How a transaction ended in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Its records count.
    Commit,
    /// They do not.
    Abort,
}

/// A batch as it lies in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The first offset.
    pub base: i64,
    /// The offset behind the last.
    pub next: i64,
    /// How many bytes it takes.
    pub bytes: u64,
    /// Who wrote it; -1 without an id.
    pub producer_id: i64,
    /// Whether it belongs to a transaction.
    pub is_transactional: bool,
    /// The end of a transaction; then there are no records.
    pub marker: Option<Marker>,
    /// The records.
    pub records: Vec<Stored>,
}

/// All of one log, from its start to its high watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Which.
    pub log: LogName,
    /// The log's start.
    pub start: i64,
    /// The high watermark.
    pub end: i64,
    /// The batches in order; the first may begin before the start.
    pub batches: Vec<Batch>,
}

impl Scan {
    /// The records from the log's start on, in the order in which they lie.
    pub fn records(&self) -> impl Iterator<Item = &Stored> {
        self.batches.iter().flat_map(|batch| &batch.records).filter(|record| record.offset >= self.start)
    }
}

#[cfg(test)]
pub(super) mod examples {
    use super::*;

    pub(in super::super) fn log() -> LogName {
        LogName { topic: "topic".into(), id: TopicId::from_u128(7), partition: 0 }
    }

    pub(in super::super) fn value(writer: u32, number: u32) -> Value {
        Value { writer, number }
    }

    /// One record of writer 0 in a batch of its own.
    pub(in super::super) fn batch(offset: i64, number: u32) -> Batch {
        let stored = Stored { offset, timestamp: offset, key: None, value: Some(value(0, number)), amount: 0 };
        Batch { base: offset, next: offset + 1, bytes: 100, producer_id: -1, records: vec![stored], ..Batch::default() }
    }

    pub(in super::super) fn scan(batches: Vec<Batch>) -> Scan {
        let start = batches.first().map_or(0, |batch| batch.base);
        let end = batches.last().map_or(0, |batch| batch.next);
        Scan { log: log(), start, end, batches }
    }

    #[test]
    fn a_value_is_read_from_its_text() {
        let text = value(3, 17).text(-5, 100);
        assert_eq!(Value::parse(text.as_bytes()), Some((value(3, 17), -5)));
        assert_eq!(Value::parse(b"3:x:0:"), None);
        assert_eq!(Value::parse(b""), None);
    }
}
