//! Fetch: a leader's answers, a follower's requests.

mod follow;
mod serve;

pub(crate) use serve::ParkedFetch;
