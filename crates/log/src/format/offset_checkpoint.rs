use super::{FormatError, format_checkpoint, parse_checkpoint};
use ottla_types::{Offset, PartitionIndex, TopicPartition};
use std::collections::BTreeMap;

/// Reads a file of one offset per partition: `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`,
/// `replication-offset-checkpoint`, `cleaner-offset-checkpoint`. Of a partition named twice the last line counts, as in
/// Kafka; an entry with a negative offset says nothing and is left out.
pub fn parse_offset_checkpoint(contents: &[u8]) -> Result<BTreeMap<TopicPartition, Offset>, FormatError> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let partition = PartitionIndex(partition.parse().ok()?);
        Some((TopicPartition::new(topic, partition), Offset(offset.parse().ok()?)))
    };
    let entries = parse_checkpoint(contents, entry, "topic, partition and offset")?;
    Ok(entries.into_iter().filter(|(_, offset)| offset.0 >= 0).collect())
}

/// Writes such a file.
pub fn format_offset_checkpoint(offsets: &BTreeMap<TopicPartition, Offset>) -> String {
    format_checkpoint(
        offsets.iter().map(|(partition, offset)| format!("{} {} {offset}", partition.topic, partition.partition)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_checkpoint_reads_back_as_written() {
        let offsets = BTreeMap::from([
            (TopicPartition::new("a-b", 3), Offset(17)),
            (TopicPartition::new("__consumer_offsets", 49), Offset(0)),
        ]);
        let text = format_offset_checkpoint(&offsets);
        assert_eq!(text, "0\n2\n__consumer_offsets 49 0\na-b 3 17\n");
        assert_eq!(parse_offset_checkpoint(text.as_bytes()), Ok(offsets));
    }

    #[test]
    fn an_empty_checkpoint_file_has_no_entries() {
        assert_eq!(parse_offset_checkpoint(b""), Ok(BTreeMap::new()));
        assert_eq!(parse_offset_checkpoint(b"0\n"), Ok(BTreeMap::new()));
    }

    #[test]
    fn a_damaged_checkpoint_file_is_refused_with_the_line() {
        let line = |line, expected| Err(FormatError::Line { line, expected });
        assert_eq!(parse_offset_checkpoint(b"x\n"), line(1, "the version"));
        assert_eq!(parse_offset_checkpoint(b"1\n0\n"), Err(FormatError::Version(1)));
        assert_eq!(parse_offset_checkpoint(b"0\n1\na 0\n"), line(3, "topic, partition and offset"));
        assert_eq!(parse_offset_checkpoint(b"0\n1\na 0 1 2\n"), line(3, "topic, partition and offset"));
        assert_eq!(
            parse_offset_checkpoint(b"0\n99999999999\na 0 1\n"),
            Err(FormatError::Count { announced: 99_999_999_999, found: 1 })
        );
        assert_eq!(parse_offset_checkpoint(b"0\n1\na 0 -7\n"), Ok(BTreeMap::new()));
    }
}
