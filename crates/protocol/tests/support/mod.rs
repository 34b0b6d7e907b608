//! What several tests of this crate need.
#![allow(unreachable_pub, dead_code, reason = "each test is a crate of its own and uses a part of this")]

pub mod oracle;
pub mod random;
