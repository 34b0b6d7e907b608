//! Connections over real sockets: what clients do to the server, and what they do not do to each other.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something unexpected happens")]

mod budget;
mod ending;
mod files;
mod hostile;
mod order;
mod playground;
