mod fetcher;
mod fetchers;
mod out_of_range;
mod partition;
mod session;
mod truncation;

pub use fetcher::{
    FetchAnswer, FetchPartition, FetchRequest, Fetcher, FetcherEffect, FetcherSettings, Logs, PartitionRef,
    SessionAnswer, StorageFailure,
};
pub use fetchers::{FetcherId, Fetchers, fetcher_id};
pub use partition::{
    AppendRefusal, FailureReason, FetchFault, FetchedData, FollowerEffect, FollowerPartition, ListedOffset,
    PartitionAnswer,
};
pub use session::{FetchSession, SessionRequest};
pub use truncation::{Truncation, truncation_for};
