//! Fetches: sessions, reading under limits, waiting for records.

mod aborted;
mod answer;
mod delayed;
mod parameters;
mod read_all;
mod session;
mod session_cache;

pub(crate) use delayed::{Fetch, FetchEnvironment, Fetches};
pub(crate) use parameters::FetchParameters;
pub(crate) use session::{PartitionKey, PartitionRequest, TopicKey};
pub(crate) use session_cache::SessionRequest;
