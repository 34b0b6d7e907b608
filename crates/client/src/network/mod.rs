//! One connection to one node: frames, correlation, the versions that the node knows.

mod connection;
mod frame;
mod versions;

pub(crate) use connection::{Answer, Connection, PendingAnswer};
pub use versions::NodeVersions;
