use ottla_protocol::metadata_records::MetadataRecord;
use ottla_types::{LeaderEpoch, Offset, Timestamp};

/// A batch of the log on its way to being committed.
pub(super) struct Appended {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) epoch: LeaderEpoch,
    pub(super) timestamp: Timestamp,
    pub(super) records: Vec<MetadataRecord>,
    pub(super) bytes: u64,
    /// Whether this node's controller has decided it in its present term, and so knows it already.
    pub(super) decided_here: bool,
}
