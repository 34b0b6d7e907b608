//! Replication of partitions between brokers, as decisions without I/O, clock or threads.
//!
//! [`Replica`] is one replica in the role that the metadata gives it. As a [`Leader`] it is told what happens (an append, a
//! sync, a fetch of a follower, a change of metadata, time passing) and says what follows ([`Progress`]): the high
//! watermark has moved, the low watermark has moved, the in-sync replicas should be others. As a follower it is in one of
//! the [`Fetchers`], which say what to fetch, to append and to cut. [`AlterPartitionQueue`] carries proposals to the
//! controller, [`ReplicationQuota`] throttles.
//!
//! They hold offsets, epochs and times, never records. `docs/internals/replication.md` has the states and invariants.

mod alter_partition_queue;
mod follower;
mod leader;
mod log_view;
mod partition_state;
mod replica;
#[cfg(test)]
mod test_log;
mod throttle;

pub use alter_partition_queue::{AlterPartitionQueue, AnsweredProposal};
pub use follower::{
    AppendRefusal, FailureReason, FetchAnswer, FetchFault, FetchPartition, FetchRequest, FetchSession, FetchedData,
    Fetcher, FetcherEffect, FetcherId, FetcherSettings, Fetchers, FollowerEffect, FollowerPartition, ListedOffset,
    Logs, PartitionAnswer, PartitionRef, SessionAnswer, SessionRequest, StorageFailure, Truncation, fetcher_id,
    truncation_for,
};
pub use leader::{
    Acknowledgement, AlterPartition, AlterPartitionAnswer, AlterPartitionError, Candidate, ConsumerFetch,
    DeleteRecordsRefusal, EpochRefusal, FetchPosition, FetchRead, FetchRefusal, FetcherEpoch, FollowerFetch,
    FollowerProgress, InSyncMember, IsrChange, Leader, LeaderFigures, LeaderSettings, LogOffsets, NotEnoughReplicas,
    Progress, ReadFrom, ReplicaSelector, check_leader_epoch, end_offset_for_leader_epoch, read_position,
};
pub use log_view::{EpochEnd, LogView};
pub use partition_state::{BrokerStatus, PartitionState};
pub use replica::{Follower, Replica, Role, RoleEffect};
pub use throttle::{QuotaSettings, ReplicationQuota, ThrottledReplicas, ThrottledReplicasError, WindowedRate};
