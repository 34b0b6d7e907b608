use crate::{MetadataDelta, MetadataImage, Provenance, ReplayError};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_types::{LeaderEpoch, Offset, Timestamp};

/// One committed batch of the metadata log.
#[derive(Clone, Copy, Debug)]
pub struct LoadedBatch<'a> {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// The epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
    /// When it was appended.
    pub timestamp: Timestamp,
    /// Its records; none for a control batch.
    pub records: &'a [MetadataRecord],
}

/// Turns committed batches into published images.
///
/// Records between a BeginTransactionRecord and its EndTransactionRecord become visible together; an
/// AbortTransactionRecord drops them. The published image never ends within a transaction.
#[derive(Clone, Debug)]
pub struct MetadataLoader {
    /// Changes since the last publication that are outside of any transaction, or in one that has ended.
    pending: MetadataDelta,
    /// The open transaction: everything up to now including its records.
    transaction: Option<Transaction>,
}

#[derive(Clone, Debug)]
struct Transaction {
    start: Offset,
    delta: MetadataDelta,
}

impl Default for MetadataLoader {
    fn default() -> Self {
        Self::new(MetadataImage::new())
    }
}

impl MetadataLoader {
    /// Starts from an image: empty, or read from a snapshot.
    pub fn new(image: MetadataImage) -> Self {
        Self { pending: MetadataDelta::new(image), transaction: None }
    }

    /// The image that was published last.
    pub fn published(&self) -> &MetadataImage {
        self.pending.before()
    }

    /// Where the open transaction begins. A controller that becomes active aborts it.
    pub fn transaction_start(&self) -> Option<Offset> {
        self.transaction.as_ref().map(|transaction| transaction.start)
    }

    /// Replays one batch. Batches must come in the order of the log, each once.
    ///
    /// # Errors
    /// When a record contradicts what came before it. The node must not go on from there.
    pub fn load(&mut self, batch: LoadedBatch<'_>) -> Result<(), ReplayError> {
        let mut offset = batch.base_offset;
        for record in batch.records {
            self.load_record(offset, record)?;
            offset = offset.next();
        }
        let provenance = Provenance { offset: batch.last_offset, epoch: batch.epoch, timestamp: batch.timestamp };
        match &mut self.transaction {
            Some(transaction) => transaction.delta.set_provenance(provenance),
            None => self.pending.set_provenance(provenance),
        }
        Ok(())
    }

    fn load_record(&mut self, start: Offset, record: &MetadataRecord) -> Result<(), ReplayError> {
        match (record, self.transaction.take()) {
            (MetadataRecord::BeginTransaction(_), None) => {
                self.transaction = Some(Transaction { start, delta: self.pending.clone() });
            }
            (MetadataRecord::BeginTransaction(_), Some(_)) => {
                return Err(ReplayError::Transaction("BeginTransactionRecord"));
            }
            (MetadataRecord::EndTransaction(_), Some(transaction)) => self.pending = transaction.delta,
            (MetadataRecord::EndTransaction(_), None) => {
                return Err(ReplayError::Transaction("EndTransactionRecord"));
            }
            (MetadataRecord::AbortTransaction(_), Some(_)) => {}
            (MetadataRecord::AbortTransaction(_), None) => {
                return Err(ReplayError::Transaction("AbortTransactionRecord"));
            }
            (record, Some(mut transaction)) => {
                transaction.delta.replay(record)?;
                self.transaction = Some(transaction);
            }
            (record, None) => self.pending.replay(record)?,
        }
        Ok(())
    }

    /// The changes since the last call, with the new image in [`MetadataDelta::after`]; `None` while a transaction is open
    /// or nothing was loaded. Call it after a round of loading, not after each batch: then one image carries them all.
    pub fn publish(&mut self) -> Option<MetadataDelta> {
        if self.transaction.is_some() || self.pending.after().provenance == self.pending.before().provenance {
            return None;
        }
        let next = MetadataDelta::new(self.pending.after().clone());
        Some(std::mem::replace(&mut self.pending, next))
    }

    /// Replaces everything by the image of a snapshot and returns what differs.
    pub fn load_snapshot(&mut self, image: MetadataImage) -> MetadataDelta {
        let before = self.pending.before().clone();
        self.transaction = None;
        self.pending = MetadataDelta::new(image.clone());
        MetadataDelta::between(before, image)
    }
}
