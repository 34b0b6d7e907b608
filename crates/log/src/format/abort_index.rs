use super::FormatError;
use ottla_types::{Offset, ProducerId};

/// An aborted transaction, as an entry of a segment's transaction index (`.txnindex`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer whose transaction it was.
    pub producer_id: ProducerId,
    /// The offset of its first record in this partition.
    pub first_offset: Offset,
    /// The offset of the marker that aborted it.
    pub last_offset: Offset,
    /// The last stable offset after the marker: a reader that ends before it need not look further.
    pub last_stable_offset: Offset,
}

const VERSION: i16 = 0;

impl AbortedTransaction {
    /// The bytes of an entry.
    pub const LENGTH: usize = 34;

    /// The entry as it is written.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields = [self.producer_id.0, self.first_offset.0, self.last_offset.0, self.last_stable_offset.0];
        for (chunk, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            chunk.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, FormatError> {
        let version = i16::from_be_bytes([bytes[0], bytes[1]]);
        if version != VERSION {
            return Err(FormatError::Version(version.into()));
        }
        let mut fields = [0i64; 4];
        for (field, chunk) in fields.iter_mut().zip(bytes[2..].as_chunks::<8>().0) {
            *field = i64::from_be_bytes(*chunk);
        }
        let [producer_id, first_offset, last_offset, last_stable_offset] = fields;
        Ok(Self {
            producer_id: ProducerId(producer_id),
            first_offset: Offset(first_offset),
            last_offset: Offset(last_offset),
            last_stable_offset: Offset(last_stable_offset),
        })
    }
}

/// Reads a transaction index: aborted transactions in the order of their markers.
pub fn parse_transaction_index(contents: &[u8], base_offset: Offset) -> Result<Vec<AbortedTransaction>, FormatError> {
    let (chunks, rest) = contents.as_chunks::<{ AbortedTransaction::LENGTH }>();
    if !rest.is_empty() {
        return Err(FormatError::Length);
    }
    let mut entries: Vec<AbortedTransaction> = Vec::with_capacity(chunks.len());
    for (index, chunk) in chunks.iter().enumerate() {
        let entry = AbortedTransaction::parse(chunk)?;
        let after = entries.last().is_none_or(|last| last.last_offset < entry.last_offset);
        if !after || entry.last_offset < base_offset {
            return Err(FormatError::Order(index));
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(last: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(5),
            first_offset: Offset(last - 3),
            last_offset: Offset(last),
            last_stable_offset: Offset(last + 1),
        }
    }

    #[test]
    fn a_transaction_index_reads_back_as_written() {
        let contents: Vec<u8> = [entry(10), entry(20)].iter().flat_map(AbortedTransaction::to_bytes).collect();
        assert_eq!(parse_transaction_index(&contents, Offset(10)), Ok(vec![entry(10), entry(20)]));
        assert_eq!(parse_transaction_index(&contents[..67], Offset(10)), Err(FormatError::Length));
        assert_eq!(parse_transaction_index(&contents, Offset(11)), Err(FormatError::Order(0)));
    }

    #[test]
    fn a_transaction_index_out_of_order_is_refused() {
        let contents: Vec<u8> = [entry(20), entry(10)].iter().flat_map(AbortedTransaction::to_bytes).collect();
        assert_eq!(parse_transaction_index(&contents, Offset(0)), Err(FormatError::Order(1)));
    }
}
