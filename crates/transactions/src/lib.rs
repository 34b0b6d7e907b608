//! The transaction coordinator machine: transactional ids, their producers, and the markers to write.
//!
//! One [`TransactionCoordinator`] holds the transactional ids of one partition of `__transaction_state`. It is a machine
//! without I/O, clock, randomness or thread: [`TransactionCoordinator::handle`], [`TransactionCoordinator::on_timer`] and
//! [`TransactionCoordinator::on_committed`] answer with [`Effects`] (records to append, replies to release, markers to
//! write, timers to set), and [`TransactionCoordinator::replay`] applies records that are in the log. The rules are those
//! of Apache Kafka's transaction coordinator, error codes included: KIP-98, KIP-360, KIP-588, KIP-890.
//!
//! All that is known of a transactional id is in its last record. Which markers of an ending transaction are still to be
//! written is soft state: after a load they are written again, which does no harm.

mod adding;
mod coordinator;
mod describing;
mod effects;
mod ending;
mod expiring;
mod initializing;
mod listing;
mod loading;
mod marking;
pub mod record;
mod refusal;
mod request;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod transaction;

pub use coordinator::TransactionCoordinator;
pub use effects::{Batching, Completion, Effects, Markers, Reply, TimedOut, TimerChange, TimerKey, Token};
pub use listing::{InvalidPattern, ListFilter, ListedTransaction};
pub use record::TransactionRecord;
pub use refusal::{append_error, fail_response, refuse};
pub use request::{
    AddPartitions, Added, EndTransaction, InitProducerId, Initialized, MarkersWritten, Request, Response, Verified,
    VerifyPartitions,
};
pub use settings::{TransactionSettings, TransactionVersion};
pub use state::TransactionState;
pub use transaction::Transaction;

/// The partition of `__transaction_state` that coordinates a transactional id.
pub fn partition_for(transactional_id: &str, partitions: i32) -> i32 {
    ottla_types::coordinator_partition(transactional_id, partitions)
}
