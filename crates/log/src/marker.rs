//! The marker that ends a transaction in a partition: the one record that the log itself must read.

use ottla_records::{ControlRecord, EndTransactionMarker, RecordBatchView};

/// What a control batch of a producer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlBatch {
    Marker(EndTransactionMarker),
    /// Compaction has removed the marker together with its whole transaction.
    Empty,
}

impl ControlBatch {
    /// Reads the first record of a control batch, which is never compressed. `None` when it is not a marker.
    pub(crate) fn parse(batch: &[u8]) -> Option<Self> {
        let mut records = RecordBatchView::parse(batch).ok()?.uncompressed_records()?.ok()?;
        let Some(record) = records.next() else { return Some(Self::Empty) };
        ControlRecord::parse(&record.ok()?).ok()?.end_transaction().ok()?.map(Self::Marker)
    }
}
