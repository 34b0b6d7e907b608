use super::Leader;
use ottla_types::{BrokerId, Offset};

/// What the metrics of a partition show on its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderFigures {
    /// `ReplicasCount`.
    pub replicas: usize,
    /// `InSyncReplicasCount`.
    pub in_sync: usize,
    /// `UnderReplicated`, and one of `UnderReplicatedPartitions`. What a reassignment adds is not missed.
    pub is_under_replicated: bool,
    /// `UnderMinIsr`, and one of `UnderMinIsrPartitionCount`.
    pub is_under_min_in_sync: bool,
    /// `AtMinIsr`, and one of `AtMinIsrPartitionCount`.
    pub is_at_min_in_sync: bool,
    /// One of `ReassigningPartitions`.
    pub is_reassigning: bool,
}

impl Leader {
    /// The figures.
    pub fn figures(&self) -> LeaderFigures {
        let in_sync = self.in_sync.committed().len();
        LeaderFigures {
            replicas: self.followers.len() + 1,
            in_sync,
            is_under_replicated: in_sync < self.replication_factor,
            is_under_min_in_sync: in_sync < self.needed(),
            is_at_min_in_sync: in_sync == self.needed(),
            is_reassigning: self.is_reassigning,
        }
    }

    /// How many records a follower lacks, as far as the leader knows.
    pub fn lag_of(&self, follower: BrokerId) -> Option<i64> {
        let end = self.followers.get(&follower)?.log_end?;
        Some(self.log_end.since(end).max(0))
    }

    /// Whether the latest offset can't be told to clients yet (OFFSET_NOT_AVAILABLE): what earlier leaders committed may be
    /// beyond the high watermark known here, and telling it would seem to take offsets back.
    pub fn is_latest_offset_unknown(&self) -> bool {
        self.epoch_start > self.high_watermark
    }

    /// The last stable offset as readers of committed records may see it: never beyond the high watermark.
    pub fn last_stable_offset(&self, first_unstable: Option<Offset>) -> Offset {
        first_unstable.map_or(self.high_watermark, |offset| offset.min(self.high_watermark))
    }
}
