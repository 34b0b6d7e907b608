//! Replicas of partitions on several nodes, in everything that is seen from outside: what is durable before it is told, deletion,
//! reading from followers, hints, throttles, and faults that replication once had.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

#[path = "../harness/mod.rs"]
mod harness;

mod asking;
mod deletion;
mod durability;
mod history;
mod reading;
mod sequences;
mod threads;
mod throttling;
