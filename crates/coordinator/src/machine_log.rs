use ottla_protocol::ErrorCode;
use ottla_types::Offset;

/// What epoch a transaction's marker bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerEpoch {
    /// That of the transaction's records.
    Same,
    /// The next one (KIP-890): a marker that comes late can't end the producer's next transaction.
    Bumped,
}

/// One partition's log, as the machine's leader sees it.
///
/// Calls never overlap with one another from one shard, except [`Self::high_watermark`] and [`Self::announce`].
/// [`Self::append`] runs under the shard's lock; it may call [`crate::Shard::on_high_watermark`] of the same shard from
/// within (that one does not wait for the lock), but nothing else of it, and nothing that may end in another shard.
pub trait MachineLog: Send + Sync + 'static {
    /// Appends one batch as the leader, which assigns offsets and leader epoch in place. Returns the offset of its last
    /// record. When it returns the batch is in the log; it is committed when the high watermark has passed it.
    ///
    /// # Errors
    /// As a Produce to the partition would be answered. Nothing has been appended then.
    fn append(&self, batch: &mut [u8]) -> Result<Offset, ErrorCode>;

    /// As [`Self::append`], for the batch of a transaction's marker. It is refused when the producer has a later epoch.
    ///
    /// # Errors
    /// As [`Self::append`].
    fn append_marker(&self, batch: &mut [u8], epoch: MarkerEpoch) -> Result<Offset, ErrorCode>;

    /// Tells followers, and whoever else waits, of what was appended since the last call. It runs without the shard's lock: what
    /// it sets free may be anything, also requests to this shard and to others, which may have requests for this one.
    fn announce(&self);

    /// One past the last committed record.
    fn high_watermark(&self) -> Offset;

    /// The first offset of the log.
    fn start_offset(&self) -> Offset;

    /// One past the last record.
    ///
    /// # Errors
    /// The partition is not led here any more.
    fn end_offset(&self) -> Result<Offset, ErrorCode>;

    /// Reads whole batches, from the one that holds `from` on, up to the log's end: at least one if there is any, and
    /// not many more than `bytes_max` bytes. They replace what `into` holds.
    ///
    /// # Errors
    /// The log can't be read.
    fn read(&self, from: Offset, bytes_max: usize, into: &mut Vec<u8>) -> Result<(), ErrorCode>;

    /// The largest batch that the log takes, in bytes.
    fn batch_bytes_max(&self) -> usize;
}
