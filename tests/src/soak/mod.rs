//! A long run without kills: everything that clients do at once, beside many records at a given rate, and what the server
//! holds and how fast it answers while it goes on. `docs/internals/history.md` tells how it is started.

mod bulk;
mod latencies;
mod sample;
mod verdict;

pub use bulk::{Bulk, GROUP, Measured};
pub use latencies::Latencies;
pub use sample::{Process, Sample, directory_bytes, percentiles, warnings};
pub use verdict::{Finding, judge, slope};
