//! The runtime that hosts one replicated machine on one partition's log.
//!
//! A [`Shard`] owns one [`Machine`] and drives it: a request is handled under the shard's lock, the records that it
//! gives are appended to the partition as one batch and then replayed, and the replies that depend on them wait until
//! the partition's high watermark has passed them. Loading replays the partition from its start; after that the
//! machine is where it was when the last record was written. Nothing here knows what the records mean.
//!
//! A [`Runtime`] holds the shards of one internal topic. There are no threads here: the callers' threads do the work,
//! and one of them calls [`Runtime::tick`] when a deadline has come.

mod alarm;
mod appending;
mod codec;
mod group_machine;
mod loading;
mod machine;
mod machine_log;
mod parked;
mod runtime;
mod shard;
mod timers;
mod transaction_machine;

pub use alarm::Alarm;
pub use appending::RecordsSettings;
pub use codec::{CodecError, EncodedRecord, RecordCodec};
pub use group_machine::{GroupCodec, GroupMachine, GroupRequest, Views};
pub use loading::{LoadError, LoadSummary};
pub use machine::{Batching, Effects, Machine, Now, Release, Replaying, Reply, TimerChange, Token};
pub use machine_log::{MachineLog, MarkerEpoch};
pub use runtime::Runtime;
pub use shard::{ReplyTo, Shard, ShardSettings, ShardState};
pub use transaction_machine::{TransactionCodec, TransactionMachine, TransactionOutbox, TransactionWork};
