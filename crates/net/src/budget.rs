use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::inbox::{Inbox, Notice};

/// The memory that requests may take between their first byte and their answer, over all connections.
///
/// Bytes are taken while any are left, so the last request to get in may overdraw by its own length: at most
/// `socket.request.max.bytes` over the limit. A connection that is refused waits, and is told when bytes come free.
pub(crate) struct RequestBudget {
    max: usize,
    used: AtomicUsize,
    anyone_waits: AtomicBool,
    waiting: Mutex<BTreeMap<u64, Arc<Inbox>>>,
}

impl RequestBudget {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            used: AtomicUsize::new(0),
            anyone_waits: AtomicBool::new(false),
            waiting: Mutex::new(BTreeMap::new()),
        }
    }

    /// How many bytes are taken.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How many bytes there are.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Takes `bytes` unless the budget is spent; says whether it did.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| (used < self.max).then_some(used.saturating_add(bytes));
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Takes `bytes` even when the budget is spent, for what is bounded by other means.
    pub(crate) fn take_anyway(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Gives `bytes` back, and wakes the connections that wait once the budget is no longer spent.
    pub(crate) fn give_back(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        debug_assert!(before >= bytes, "more bytes given back than taken");
        if before - bytes < self.max && self.anyone_waits.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Remembers a connection that wants to read on. To be followed by a look whether the budget is still spent: bytes
    /// given back between the refusal and this call would otherwise wake nobody.
    pub(crate) fn wait(&self, inbox: &Arc<Inbox>, token: u64) {
        let mut waiting = self.waiting.lock();
        waiting.insert(token, Arc::clone(inbox));
        self.anyone_waits.store(true, Ordering::SeqCst);
    }

    /// Forgets a connection that may have been waiting.
    pub(crate) fn forget(&self, token: u64) {
        if self.anyone_waits.load(Ordering::SeqCst) {
            self.waiting.lock().remove(&token);
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.used.load(Ordering::SeqCst) >= self.max
    }

    #[cold]
    fn wake(&self) {
        let mut waiting = self.waiting.lock();
        self.anyone_waits.store(false, Ordering::SeqCst);
        for (token, inbox) in core::mem::take(&mut *waiting) {
            inbox.send(Notice::Resume(token));
        }
    }
}
