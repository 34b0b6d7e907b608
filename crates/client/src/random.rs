//! Random numbers for spreading load and backoff: unpredictable enough for that, and for nothing else.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A number that differs on each call and in each process.
pub(crate) fn number() -> u64 {
    // Each RandomState has new keys, taken from the system's randomness once a thread.
    RandomState::new().build_hasher().finish()
}

/// A number below `bound`; 0 when the bound is 0.
pub(crate) fn below(bound: usize) -> usize {
    if bound == 0 { 0 } else { (number() % bound as u64) as usize }
}

/// Between 0.8 and 1.2, the spread of Kafka's backoffs.
pub(crate) fn jitter() -> f64 {
    0.8 + 0.4 * (number() % 10_000) as f64 / 10_000.0
}
