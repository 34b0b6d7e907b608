use core::time::Duration;
use ottla_log::ReadBound;
use ottla_replication::FetcherEpoch;
use ottla_types::BrokerId;
use std::sync::Arc;

/// What a fetch request says beside its partitions.
#[derive(Clone, Debug)]
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
    /// Where the consumer stands, if it says so.
    pub(crate) rack: Arc<str>,
    /// The name of the listener that it came to.
    pub(crate) listener: Arc<str>,
}

/// The first version whose consumers may read from followers (KIP-392).
const FOLLOWERS_READ: i16 = 11;
/// The first version whose answers say where leaders can be reached (KIP-951).
const LEADER_HINTS: i16 = 16;

impl FetchParameters {
    /// Whether only the leader may answer.
    pub(crate) fn is_leader_only(&self) -> bool {
        self.is_follower || self.version < FOLLOWERS_READ
    }

    /// Whether the answer says who leads, to whom comes to the wrong place.
    pub(crate) fn wants_hints(&self) -> bool {
        self.version >= LEADER_HINTS
    }

    /// Up to where this reader may read.
    pub(crate) fn bound(&self) -> ReadBound {
        match (self.is_follower, self.read_committed) {
            (true, _) => ReadBound::LogEnd,
            (false, true) => ReadBound::LastStable,
            (false, false) => ReadBound::HighWatermark,
        }
    }
}
