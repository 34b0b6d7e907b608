//! A simulated world behind the traits of `ottla-env`.
//!
//! Everything here is deterministic: the same seed and the same calls give the same run. Nothing of it is shipped.

mod clock;
mod disk;
mod fault;
mod file;
mod random;
mod tree;

pub use clock::SimClock;
pub use disk::MemoryDisk;
pub use fault::{CrashMode, Fault, FaultKind};
pub use random::SeededRandom;
