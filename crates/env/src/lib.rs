//! The world as traits: clock, random, disk.
//!
//! Pure crates are handed what they need as values. Everything else that touches the world does so through these
//! traits, which have two implementations: the operating system (`ottla-env-os`) and the simulator. The traits are
//! object safe on purpose: a virtual call costs nothing beside a system call, and generics would spread over all rooms.

mod clock;
mod disk;
mod random;

pub use clock::{Clock, Monotonic};
pub use disk::{Disk, DiskError, DiskOperation, DiskResult, EntryKind, File, FileSystem, OpenMode};
pub use random::Random;
