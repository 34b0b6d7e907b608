//! Brokers: who is registered, who is alive, who may lead.

mod fencing;
mod heartbeat;
mod registration;
mod sessions;

pub(crate) use sessions::Heartbeats;
