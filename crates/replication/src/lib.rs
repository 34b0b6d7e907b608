//! One partition's leader: who is in sync, what is committed, what may be acknowledged.
//!
//! [`Leader`] is told what happens (an append, a fetch of a follower, a change of metadata, time passing) and says what
//! follows from it ([`Progress`]): the high watermark has moved, the low watermark has moved, the in-sync replicas should
//! be others. It holds offsets and times, never records. With replication factor 1 every append moves the high watermark
//! at once; nothing else about it differs.

mod follower;
mod in_sync;
mod leader;

pub use follower::FollowerProgress;
pub use in_sync::{IsrAnswer, IsrProposal};
pub use leader::{
    Acknowledgement, FetchRefusal, FollowerFetch, Leader, LeaderSettings, LogOffsets, NotEnoughReplicas,
    PartitionState, Progress,
};
