//! Committed offsets: of every kind of group, and of clients that only commit.

mod commit;
mod delete;
mod expiry;
mod fetch;
mod store;
mod transactional;

pub(crate) use commit::Committing;
pub(crate) use expiry::{ExpiryBase, Retention};
pub use fetch::{fetch_requests, fetch_response};
pub(crate) use store::OffsetStore;
