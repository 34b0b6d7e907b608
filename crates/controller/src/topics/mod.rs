//! Topics: their names, where their replicas go, how they come, grow and go.

mod create;
mod delete;
mod grow;
mod names;
mod placement;

pub(crate) use names::{CollidingNames, check_name};
pub use placement::{Placer, UsableBroker};
