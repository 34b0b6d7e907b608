//! The offset indexes of sealed segments that are being read: in memory, within a limit.

use crate::format::OffsetIndex;
use crate::segment::Segment;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// Knows which sealed segments have their offset index in memory, and lets the oldest go when all together take more than
/// the limit. An index is taken in at the second look-up, so that one look-up in a segment does not read a whole file.
pub(crate) struct IndexCache {
    bytes_max: usize,
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    segments: VecDeque<(Weak<Segment>, usize)>,
    bytes: usize,
}

impl IndexCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, cached: Mutex::new(Cached::default()) }
    }

    /// Whether an index of this length is worth having: one that would drive out most others is not.
    pub(crate) fn accepts(&self, length: u64) -> bool {
        length <= self.bytes_max as u64 / 4
    }

    /// Takes in the index of a segment.
    pub(crate) fn insert(&self, segment: &Arc<Segment>, index: OffsetIndex) {
        let bytes = index.len() * OffsetIndex::ENTRY_LENGTH;
        if !segment.keep_index(index) {
            return;
        }
        let mut cached = self.cached.lock();
        cached.segments.push_back((Arc::downgrade(segment), bytes));
        cached.bytes += bytes;
        while cached.bytes > self.bytes_max {
            let Some((oldest, bytes)) = cached.segments.pop_front() else { return };
            cached.bytes -= bytes;
            if let Some(segment) = oldest.upgrade() {
                segment.drop_index();
            }
        }
    }
}
