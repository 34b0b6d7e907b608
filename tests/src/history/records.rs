use super::scan::{LogName, Scan, Value};
use super::violation::{Kind, Violations};
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Whoever sends records to one topic, each with a number that is greater than all before it. None sends a record again
/// by itself, unless its producer is idempotent.
pub type WriterId = u32;

#[derive(Clone, Debug)]
struct Writer {
    topic: TopicId,
    /// So many numbers were used.
    sent: u32,
    /// What the server answered that it did not take.
    refused: BTreeSet<u32>,
    /// From this number on the writer was fenced when it sent.
    fenced_from: Option<u32>,
    /// It sends in another process, and what it has sent is heard of later.
    is_elsewhere: bool,
}

/// How an offset became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Acknowledged,
    Read,
}

/// Every record of every writer, and at which offset it is known to be.
#[derive(Clone, Debug, Default)]
pub struct Records {
    writers: Vec<Writer>,
    known: BTreeMap<LogName, BTreeMap<i64, (Value, Source)>>,
    /// What was acknowledged without an offset: a repetition that the server had forgotten the place of.
    somewhere: BTreeMap<LogName, Vec<Value>>,
}

impl Records {
    /// A new writer to a topic.
    pub fn writer(&mut self, topic: TopicId) -> WriterId {
        let refused = BTreeSet::new();
        self.writers.push(Writer { topic, sent: 0, refused, fenced_from: None, is_elsewhere: false });
        (self.writers.len() - 1) as WriterId
    }

    /// A new writer in another process: its records may be read before it is heard that they were sent.
    pub fn writer_elsewhere(&mut self, topic: TopicId) -> WriterId {
        let writer = self.writer(topic);
        self.writers[writer as usize].is_elsewhere = true;
        writer
    }

    /// Everything that such a writer has sent was heard of.
    pub fn all_is_heard(&mut self, writer: WriterId) {
        self.writers[writer as usize].is_elsewhere = false;
    }

    /// The writer's next number. To be called before the record is sent: it may be read before it is acknowledged.
    pub fn send(&mut self, writer: WriterId) -> Value {
        let number = self.writers[writer as usize].sent;
        self.writers[writer as usize].sent += 1;
        Value { writer, number }
    }

    /// The server said that it did not take the record.
    pub fn refused(&mut self, value: Value) {
        self.writers[value.writer as usize].refused.insert(value.number);
    }

    /// From the next number on the writer's producer is fenced.
    pub fn fence(&mut self, writer: WriterId) {
        let writer = &mut self.writers[writer as usize];
        writer.fenced_from = Some(writer.sent);
    }

    /// The server said that the record is at this offset.
    pub fn acknowledged(&mut self, log: &LogName, offset: i64, value: Value, found: &mut Violations) {
        self.note(log, offset, value, Source::Acknowledged, found);
    }

    /// The server said that it has the record, and not where.
    pub fn acknowledged_somewhere(&mut self, log: &LogName, value: Value) {
        self.somewhere.entry(log.clone()).or_default().push(value);
    }

    /// A reader was given this record.
    pub fn read(&mut self, log: &LogName, offset: i64, value: Value, found: &mut Violations) {
        self.note(log, offset, value, Source::Read, found);
    }

    fn note(&mut self, log: &LogName, offset: i64, value: Value, source: Source, found: &mut Violations) {
        self.check_origin(log, offset, value, found);
        let known = self.known.entry(log.clone()).or_default();
        let (other, _) = *known.entry(offset).or_insert((value, source));
        if other != value {
            found.add(Kind::OffsetWithTwoValues, format!("{log} offset {offset}: {other}, and {value}"));
        }
    }

    fn check_origin(&self, log: &LogName, offset: i64, value: Value, found: &mut Violations) {
        let nowhere = |why: &str| (Kind::RecordFromNowhere, format!("{log} offset {offset}: {value} {why}"));
        let Some(writer) = self.writers.get(value.writer as usize) else {
            let (kind, what) = nowhere("has no such writer");
            return found.add(kind, what);
        };
        let (kind, what) = if writer.topic != log.id {
            nowhere("was sent to another topic, or to another life of this one")
        } else if value.number >= writer.sent && !writer.is_elsewhere {
            nowhere("was not sent")
        } else if writer.refused.contains(&value.number) {
            nowhere("was refused")
        } else if writer.fenced_from.is_some_and(|from| value.number >= from) {
            (Kind::FencedWrite, format!("{log} offset {offset}: {value} was sent after it was fenced"))
        } else {
            return;
        };
        found.add(kind, what);
    }

    /// The topic is no more.
    pub fn forget(&mut self, topic: TopicId) {
        self.known.retain(|log, _| log.id != topic);
        self.somewhere.retain(|log, _| log.id != topic);
    }

    /// How many records are known.
    pub fn count(&self) -> usize {
        self.known.values().map(BTreeMap::len).sum()
    }

    /// The offset behind the last that is known of a log.
    pub fn end(&self, log: &LogName) -> i64 {
        let last = self.known.get(log).and_then(|known| known.last_key_value());
        last.map_or(0, |(offset, _)| offset + 1)
    }

    /// All of a log that is not compacted: every known record at or behind its start is there, without gaps, each once, in
    /// its writer's order, and none that nobody sent.
    pub fn check_scan(&mut self, scan: &Scan, found: &mut Violations) {
        self.check_gaps(scan, found);
        let stored: HashMap<i64, Value> =
            scan.records().filter_map(|record| Some((record.offset, record.value?))).collect();
        for (offset, (value, source)) in self.known.entry(scan.log.clone()).or_default().range(scan.start..) {
            match stored.get(offset) {
                Some(other) if other == value => {}
                Some(other) => found.add(
                    Kind::OffsetWithTwoValues,
                    format!("{} offset {offset}: {value} ({source:?}), now {other}", scan.log),
                ),
                None => {
                    found.add(Kind::RecordLost, format!("{} offset {offset}: {value} ({source:?}) is gone", scan.log));
                }
            }
        }
        if scan.start == 0 {
            let there: HashSet<Value> = stored.into_values().collect();
            let owed = self.somewhere.get(&scan.log).into_iter().flatten();
            for value in owed.filter(|value| !there.contains(value)) {
                found.add(Kind::RecordLost, format!("{}: {value} (acknowledged) is nowhere", scan.log));
            }
        }
        self.check_order(scan, found);
    }

    fn check_gaps(&self, scan: &Scan, found: &mut Violations) {
        let mut next = None;
        for batch in &scan.batches {
            let expected = next.unwrap_or(batch.base);
            // Before the log's start a batch may have lost its beginning only in the reader's eyes.
            if batch.base != expected || next.is_none() && batch.base > scan.start {
                let from = next.unwrap_or(scan.start);
                found.add(Kind::GapInLog, format!("{}: after offset {from} comes {}", scan.log, batch.base));
            }
            next = Some(batch.next);
        }
        if next.unwrap_or(scan.start) != scan.end {
            found.add(Kind::GapInLog, format!("{}: ends at {next:?}, not at {}", scan.log, scan.end));
        }
    }

    /// Each record of a log comes from its writer, once, and in its writer's order.
    pub fn check_order(&mut self, scan: &Scan, found: &mut Violations) {
        let mut last: HashMap<WriterId, u32> = HashMap::new();
        let mut seen = HashSet::new();
        for record in scan.records() {
            let Some(value) = record.value else { continue };
            self.check_origin(&scan.log, record.offset, value, found);
            let before = last.insert(value.writer, value.number);
            if !seen.insert(value) {
                found.add(Kind::RecordDoubled, format!("{} offset {}: {value} again", scan.log, record.offset));
            } else if let Some(before) = before.filter(|before| *before > value.number) {
                let what = format!("{} offset {}: {value} after its record {before}", scan.log, record.offset);
                found.add(Kind::RecordsOutOfOrder, what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::examples::{batch, log, scan, value};
    use super::*;

    /// A writer that sent so many records, which were acknowledged at offsets equal to their numbers.
    fn written(count: u32) -> (Records, Violations) {
        let (mut records, mut found) = (Records::default(), Violations::default());
        let writer = records.writer(log().id);
        for offset in 0..count {
            let value = records.send(writer);
            records.acknowledged(&log(), offset.into(), value, &mut found);
        }
        assert!(found.is_empty());
        (records, found)
    }

    fn checked(count: u32, numbers: &[(i64, u32)]) -> Vec<Kind> {
        let (mut records, mut found) = written(count);
        records.check_scan(&scan(numbers.iter().map(|(at, number)| batch(*at, *number)).collect()), &mut found);
        found.kinds()
    }

    #[test]
    fn the_truth_is_believed() {
        assert_eq!(checked(3, &[(0, 0), (1, 1), (2, 2)]), []);
    }

    #[test]
    fn an_acknowledged_record_that_is_gone_is_found() {
        assert_eq!(checked(3, &[(0, 0), (1, 1)]), [Kind::RecordLost]);
        let (mut records, mut found) = written(2);
        let nothing = Scan { log: log(), start: 0, end: 0, batches: Vec::new() };
        records.check_scan(&nothing, &mut found);
        assert_eq!((found.kinds(), found.count), (vec![Kind::RecordLost], 2));
    }

    #[test]
    fn a_record_that_was_only_read_must_stay_too() {
        let (mut records, mut found) = written(1);
        let unknown = records.send(0);
        records.read(&log(), 1, unknown, &mut found);
        records.check_scan(&scan(vec![batch(0, 0)]), &mut found);
        assert_eq!(found.kinds(), [Kind::RecordLost]);
    }

    #[test]
    fn a_record_that_was_acknowledged_without_its_offset_must_be_somewhere() {
        let (mut records, mut found) = written(1);
        let value = records.send(0);
        records.acknowledged_somewhere(&log(), value);
        records.check_scan(&scan(vec![batch(0, 0), batch(1, 1)]), &mut found);
        assert!(found.is_empty(), "{found}");
        records.check_scan(&scan(vec![batch(0, 0)]), &mut found);
        assert_eq!(found.kinds(), [Kind::RecordLost]);
    }

    #[test]
    fn a_record_that_is_there_twice_is_found() {
        assert_eq!(checked(2, &[(0, 0), (1, 1), (2, 1)]), [Kind::RecordDoubled]);
    }

    #[test]
    fn records_that_changed_places_are_found() {
        let (mut records, mut found) = (Records::default(), Violations::default());
        let writer = records.writer(log().id);
        let _ = (records.send(writer), records.send(writer));
        records.check_scan(&scan(vec![batch(0, 1), batch(1, 0)]), &mut found);
        assert_eq!(found.kinds(), [Kind::RecordsOutOfOrder]);
    }

    #[test]
    fn an_offset_with_two_values_is_found() {
        assert_eq!(checked(3, &[(0, 0), (1, 2), (2, 1)]), [Kind::OffsetWithTwoValues, Kind::RecordsOutOfOrder]);
        let (mut records, mut found) = written(2);
        let later = records.send(0);
        records.read(&log(), 1, later, &mut found);
        assert_eq!(found.kinds(), [Kind::OffsetWithTwoValues]);
    }

    #[test]
    fn a_gap_is_found_at_the_beginning_in_the_middle_and_at_the_end() {
        let (mut records, mut found) = (Records::default(), Violations::default());
        let writer = records.writer(log().id);
        let _ = (records.send(writer), records.send(writer));
        let whole = scan(vec![batch(0, 0), batch(2, 1)]);
        records.check_scan(&whole, &mut found);
        records.check_scan(&Scan { start: 0, ..scan(vec![batch(1, 0)]) }, &mut found);
        records.check_scan(&Scan { end: 2, ..scan(vec![batch(0, 0)]) }, &mut found);
        assert_eq!((found.kinds(), found.count), (vec![Kind::GapInLog], 3));
    }

    #[test]
    fn what_nobody_sent_is_found() {
        assert_eq!(checked(1, &[(0, 0), (1, 1)]), [Kind::RecordFromNowhere]);
        let (mut records, mut found) = written(1);
        records.read(&log(), 5, value(9, 0), &mut found);
        assert_eq!(found.kinds(), [Kind::RecordFromNowhere]);
    }

    #[test]
    fn what_a_writer_elsewhere_sent_is_asked_for_when_all_was_heard() {
        let (mut records, mut found) = (Records::default(), Violations::default());
        let writer = records.writer_elsewhere(log().id);
        records.read(&log(), 0, value(writer, 0), &mut found);
        assert!(found.is_empty(), "{found}");
        records.all_is_heard(writer);
        records.check_scan(&scan(vec![batch(0, 0)]), &mut found);
        assert_eq!(found.kinds(), [Kind::RecordFromNowhere]);
    }

    #[test]
    fn what_was_refused_must_not_be_there() {
        let (mut records, mut found) = written(1);
        let refused = records.send(0);
        records.refused(refused);
        records.check_scan(&scan(vec![batch(0, 0), batch(1, 1)]), &mut found);
        assert_eq!(found.kinds(), [Kind::RecordFromNowhere]);
    }

    #[test]
    fn bytes_of_a_deleted_topic_in_its_successor_are_found() {
        let (mut records, mut found) = written(1);
        let successor = LogName { id: TopicId::from_u128(8), ..log() };
        records.writer(successor.id);
        records.check_scan(&Scan { log: successor, ..scan(vec![batch(0, 0)]) }, &mut found);
        assert_eq!(found.kinds(), [Kind::RecordFromNowhere]);
    }

    #[test]
    fn what_a_fenced_producer_wrote_is_found_acknowledged_or_only_there() {
        let (mut records, mut found) = written(1);
        records.fence(0);
        let late = records.send(0);
        records.check_scan(&scan(vec![batch(0, 0), batch(1, 1)]), &mut found);
        assert_eq!(found.kinds(), [Kind::FencedWrite]);
        let mut found = Violations::default();
        records.acknowledged(&log(), 1, late, &mut found);
        assert_eq!(found.kinds(), [Kind::FencedWrite]);
    }
}
