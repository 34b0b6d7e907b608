//! Clients that we did not write, put to work: one set of jobs, told once, and an adapter per library that does what it is
//! told. `docs/internals/foreign-clients.md` tells of the protocol between the two.

mod adapter;
mod batches;
mod calls;
mod crew;
mod failure;
mod features;
mod jobs;
mod last_words;
mod members;
mod page;
mod record;
mod report;
mod waiting;

pub use crew::Crew;
pub use failure::Failure;
pub use features::{FEATURES, Feature, feature};
pub use page::{PAGE, Page, WRITE};
pub use report::{Outcome, Report};
