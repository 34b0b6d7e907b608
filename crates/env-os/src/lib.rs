//! The world of the operating system behind the traits of `ottla-env`.
//!
//! This is the only room where `unsafe` may live; at present nothing here needs it.

mod clock;
mod disk;
mod file;
mod file_system;
mod lock;
mod process;
mod random;

pub use clock::OsClock;
pub use disk::OsDisk;
pub use process::{ProcessReading, raise_open_files_max};
pub use random::OsRandom;
