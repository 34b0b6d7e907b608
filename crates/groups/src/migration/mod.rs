//! Groups whose members change their protocol one by one while they work (KIP-848's online migration).
//!
//! A consumer that joins a classic group of consumers makes it a consumer group ([`upgrade`]); there the members of the classic
//! protocol are served as before (`consumer/classic_member`). When the last member of the consumer protocol goes, the group is a
//! classic one again ([`downgrade`]). Both are records, and happen when these are replayed.

mod downgrade;
mod embedded;
mod policy;
mod upgrade;

pub use downgrade::Downgraded;
pub(crate) use downgrade::{Downgrade, Joining};
pub(crate) use embedded::{Malformed, assignment_bytes, assignment_of, subscription_of};
pub use policy::MigrationPolicy;
pub(crate) use upgrade::{check_upgrade, upgraded};
