//! The controller: the one machine that decides how the cluster's metadata changes.
//!
//! [`Controller`] answers a request with the records that carry out the decision and the response to give once they are
//! committed ([`Outcome`]). It changes nothing by itself: the host appends the records and hands each one back to
//! [`Controller::replay`], the only way into its state. Start-up, fail-over and normal running are therefore one path.
//! The one thing kept outside of the log is who has been heard of lately; a new controller starts that afresh.
//!
//! One file per subject: `brokers` (registration, heartbeats, fencing), `topics` (creation, deletion, more partitions,
//! placement), `partitions` (in-sync replicas, elections), `configs`, producer ids, features, controllers, `quotas` of clients,
//! `scram` credentials.
//! [`mod@format`] yields what a new directory holds before the first start.

mod activation;
mod brokers;
mod configs;
mod controller;
mod controllers;
mod draft;
mod error;
mod features;
pub mod format;
mod outcome;
mod partitions;
mod producer_ids;
mod quotas;
mod random;
mod reading;
mod replay;
mod schedule;
mod scram;
mod topics;
mod uncommitted;

pub use configs::{
    BrokerConfigOrigin, LevelChange, Preprocessed, ROOT_LOGGER, level_changes, preprocess_alter_configs,
    preprocess_incremental_alter_configs,
};
pub use controller::{Context, Controller, Settings};
pub use error::{ApiError, not_controller};
pub use features::KraftVersionUpgrade;
pub use outcome::{BATCH_RECORDS_MAX, Outcome};
pub use partitions::refused_partitions;
pub use producer_ids::PRODUCER_ID_BLOCK_SIZE;
pub use random::Seed;
pub use reading::ControllerReading;
pub use schedule::{Periods, Task};
pub use scram::{ScramKeys, ScramMechanism};
pub use topics::{Placer, UsableBroker};
