//! What the broker counts while it works, and how a scrape puts it together with what it is at the moment.

mod groups;
mod node;
mod partitions;
mod requests;
mod topics;

pub(crate) use node::show;
pub(crate) use requests::{RequestMetrics, RequestStart};
pub(crate) use topics::{TopicCounters, TopicMetrics};
