use super::{FormatError, text_lines};
use ottla_types::TopicId;

/// Reads `partition.metadata`: the id of the topic that the directory belongs to.
pub fn parse_partition_metadata(contents: &[u8]) -> Result<TopicId, FormatError> {
    let mut lines = text_lines(contents)?;
    let mut field = |name: &'static str| {
        let (line, text) = lines.next().unwrap_or((1, ""));
        let value = text.split_once(':').filter(|(key, _)| *key == name).map(|(_, value)| value.trim());
        value.ok_or(FormatError::Line { line, expected: name })
    };
    let version = field("version")?.parse::<i64>().map_err(|_| FormatError::Key("version"))?;
    if version < 0 {
        return Err(FormatError::Version(version));
    }
    let id = field("topic_id")?.parse::<TopicId>().map_err(|_| FormatError::Key("topic_id"))?;
    if id.is_zero() { Err(FormatError::Key("topic_id")) } else { Ok(id) }
}

/// Writes such a file, without a line feed at its end, as Kafka does.
pub fn format_partition_metadata(id: TopicId) -> String {
    format!("version: 0\ntopic_id: {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_metadata_reads_back_as_written() {
        let id = TopicId::from_u128(12345);
        assert_eq!(parse_partition_metadata(format_partition_metadata(id).as_bytes()), Ok(id));
    }

    #[test]
    fn partition_metadata_without_a_real_topic_id_is_refused() {
        assert_eq!(
            parse_partition_metadata(b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"),
            Err(FormatError::Key("topic_id"))
        );
        assert!(parse_partition_metadata(b"version: 0\n").is_err());
        assert!(parse_partition_metadata(b"").is_err());
        assert!(parse_partition_metadata(&[0xff, 0xfe]).is_err());
    }
}
