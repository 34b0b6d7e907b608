//! The memory that connections hold while nothing goes on with it.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use crate::inbox::{Inbox, Notice};

/// Bytes over all connections that wait for their clients: the beginnings of small requests whose rest has not come, and
/// answers in memory that are not taken. What a request takes between its arrival and its answer is in the
/// [`RequestBudget`](crate::budget::RequestBudget), and so are large requests from their first byte.
///
/// A budget could only make the next ones wait, and these bytes come free only if their clients want it: so those that
/// hold the most are closed when there are too many. Counted after the fact, the bytes may go beyond the limit by what one
/// turn of one connection on each loop adds.
pub(crate) struct Holdings {
    max: usize,
    held: AtomicUsize,
    /// All loops, to be told when there are too many bytes.
    loops: Vec<Arc<Inbox>>,
    told: AtomicBool,
}

impl Holdings {
    pub(crate) fn new(max: usize, loops: Vec<Arc<Inbox>>) -> Self {
        Self { max, held: AtomicUsize::new(0), loops, told: AtomicBool::new(false) }
    }

    /// How many bytes there are.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes note that a connection holds `now` bytes where it held `before`.
    pub(crate) fn change(&self, before: usize, now: usize) {
        if now < before {
            self.held.fetch_sub(before - now, Ordering::Relaxed);
        } else if now > before {
            self.held.fetch_add(now - before, Ordering::Relaxed);
            if self.are_too_many() && !self.told.swap(true, Ordering::AcqRel) {
                self.loops.iter().for_each(|inbox| inbox.send(Notice::MakeRoom));
            }
        }
    }

    /// Whether connections have to be closed.
    pub(crate) fn are_too_many(&self) -> bool {
        self.held() > self.max
    }

    /// A loop begins to make room: what is added from now on is told again.
    pub(crate) fn begin_to_make_room(&self) {
        self.told.store(false, Ordering::Release);
    }

    /// Whether enough room was made. A little more than needed, or the next byte would begin it anew.
    pub(crate) fn have_room(&self) -> bool {
        self.held() <= self.max - self.max / 8
    }

    /// No connection that holds less than this is closed. Half of what each would have if all had the same: as long as
    /// there are too many bytes, somebody holds more.
    pub(crate) fn harmless(&self, connections: usize) -> usize {
        self.max / connections.max(1) / 2
    }
}
