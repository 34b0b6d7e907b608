//! The contents of Kafka's files, as pure functions between bytes and values.
//!
//! Nothing here does I/O, and nothing here trusts its input: every reader is total, and none allocates by a number it
//! has read. A file that cannot be read is an error for who opened it; most of these files can be built again from the
//! log.

mod abort_index;
mod clean_shutdown;
mod epoch_checkpoint;
mod meta_properties;
mod offset_checkpoint;
mod offset_index;
mod partition_metadata;
mod producer_snapshot;
mod time_index;

pub use crate::batch::crc32c;
pub use abort_index::{AbortedTransaction, parse_transaction_index};
pub use clean_shutdown::{format_clean_shutdown, parse_clean_shutdown};
pub use epoch_checkpoint::{EpochEntry, format_epoch_checkpoint, parse_epoch_checkpoint};
pub use meta_properties::MetaProperties;
pub use offset_checkpoint::{format_offset_checkpoint, parse_offset_checkpoint};
pub use offset_index::{OffsetIndex, OffsetPosition};
pub use partition_metadata::{format_partition_metadata, parse_partition_metadata};
pub use producer_snapshot::{ProducerSnapshotEntry, format_producer_snapshot, parse_producer_snapshot};
pub use time_index::{TimeIndex, TimestampOffset};

/// The contents of a file are not what its format demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A line of a text file is not of the expected form.
    #[error("line {line}: {expected} expected")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The format version is one that is not known here.
    #[error("version {0} is not known")]
    Version(i64),
    /// The file announces another number of entries than it has.
    #[error("{announced} entries announced, {found} found")]
    Count {
        /// The number in the file's head.
        announced: i64,
        /// The entries that follow.
        found: usize,
    },
    /// The stored checksum is not that of the contents.
    #[error("the checksum is wrong")]
    Checksum,
    /// A binary file ends within an entry, or has bytes left over.
    #[error("the length is not that of whole entries")]
    Length,
    /// The entries are not in their order.
    #[error("entry {0} is out of order")]
    Order(usize),
    /// A key is missing, appears twice, or has a value that is none of its kind.
    #[error("the key '{0}' is missing or has a wrong value")]
    Key(&'static str),
}

/// The lines of a text file of Kafka's: UTF-8, ended by a line feed, with or without a carriage return.
fn text_lines(contents: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, FormatError> {
    let text = str::from_utf8(contents).map_err(|_| FormatError::Line { line: 1, expected: "UTF-8" })?;
    Ok(text.lines().enumerate().map(|(index, line)| (index + 1, line)))
}

/// Reads the frame that all checkpoint files share: a version, which is 0, the number of entries, and the entries, one
/// a line. An empty file is a checkpoint without entries: Kafka makes the file before it first writes it.
fn parse_checkpoint<T>(
    contents: &[u8],
    entry: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<Vec<T>, FormatError> {
    let mut lines = text_lines(contents)?;
    let number = |head: Option<(usize, &str)>, expected| match head {
        None => Ok(None),
        Some((line, text)) => text.trim().parse::<i64>().map(Some).map_err(|_| FormatError::Line { line, expected }),
    };
    match number(lines.next(), "the version")? {
        None => return Ok(Vec::new()),
        Some(0) => {}
        Some(version) => return Err(FormatError::Version(version)),
    }
    let Some(announced) = number(lines.next(), "the number of entries")? else { return Ok(Vec::new()) };
    let entries = lines
        .map(|(line, text)| entry(text).ok_or(FormatError::Line { line, expected }))
        .collect::<Result<Vec<_>, _>>()?;
    if i64::try_from(entries.len()) != Ok(announced) {
        return Err(FormatError::Count { announced, found: entries.len() });
    }
    Ok(entries)
}

/// Writes that frame.
fn format_checkpoint(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text
}
