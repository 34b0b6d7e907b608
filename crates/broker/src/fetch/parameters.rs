use core::time::Duration;
use ottla_log::ReadBound;
use ottla_replication::FetcherEpoch;
use ottla_types::BrokerId;

/// What a fetch request says beside its partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchParameters {
    pub(crate) version: i16,
    pub(crate) is_follower: bool,
    /// Which follower; negative for a consumer.
    pub(crate) replica: BrokerId,
    /// The epoch of its registration, as far as it says.
    pub(crate) replica_epoch: FetcherEpoch,
    pub(crate) max_wait: Duration,
    pub(crate) min_bytes: i64,
    /// Negative where a client says nonsense.
    pub(crate) max_bytes: i32,
    /// Whether only records of committed transactions are wanted.
    pub(crate) read_committed: bool,
}

impl FetchParameters {
    /// Up to where this reader may read.
    pub(crate) fn bound(&self) -> ReadBound {
        match (self.is_follower, self.read_committed) {
            (true, _) => ReadBound::LogEnd,
            (false, true) => ReadBound::LastStable,
            (false, false) => ReadBound::HighWatermark,
        }
    }
}
