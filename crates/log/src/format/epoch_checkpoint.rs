use super::{FormatError, format_checkpoint, parse_checkpoint};
use ottla_types::{LeaderEpoch, Offset};

/// The first offset that was appended in a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset of the first record appended in it.
    pub start_offset: Offset,
}

/// Reads `leader-epoch-checkpoint`: epochs and start offsets, both rising.
pub fn parse_epoch_checkpoint(contents: &[u8]) -> Result<Vec<EpochEntry>, FormatError> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (epoch, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let whole = words.next().is_none() && epoch >= 0 && offset >= 0;
        whole.then_some(EpochEntry { epoch: LeaderEpoch(epoch), start_offset: Offset(offset) })
    };
    let entries = parse_checkpoint(contents, entry, "epoch and start offset")?;
    let rises = |pair: &[EpochEntry]| pair[0].epoch < pair[1].epoch && pair[0].start_offset <= pair[1].start_offset;
    match entries.windows(2).position(|pair| !rises(pair)) {
        Some(index) => Err(FormatError::Order(index + 1)),
        None => Ok(entries),
    }
}

/// Writes such a file.
pub fn format_epoch_checkpoint(entries: &[EpochEntry]) -> String {
    format_checkpoint(entries.iter().map(|entry| format!("{} {}", entry.epoch, entry.start_offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_checkpoint_reads_back_as_written() {
        let entries = [
            EpochEntry { epoch: LeaderEpoch(0), start_offset: Offset(0) },
            EpochEntry { epoch: LeaderEpoch(5), start_offset: Offset(100) },
        ];
        let text = format_epoch_checkpoint(&entries);
        assert_eq!(text, "0\n2\n0 0\n5 100\n");
        assert_eq!(parse_epoch_checkpoint(text.as_bytes()), Ok(entries.to_vec()));
    }

    #[test]
    fn epochs_out_of_order_are_refused() {
        assert_eq!(parse_epoch_checkpoint(b"0\n2\n5 0\n5 1\n"), Err(FormatError::Order(1)));
        assert_eq!(parse_epoch_checkpoint(b"0\n2\n5 9\n6 1\n"), Err(FormatError::Order(1)));
        assert!(parse_epoch_checkpoint(b"0\n1\n-5 9\n").is_err());
    }
}
