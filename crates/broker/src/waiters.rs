//! Who waits for a partition's high watermark to move: parked fetches, and produces that wait for replication.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An operation parked on a partition.
pub(crate) trait Waiter: Send + Sync {
    /// The high watermark moved past `bytes` more bytes of records. Called on the appending thread with no lock held.
    fn high_watermark_advanced(self: Arc<Self>, bytes: u64);

    /// So many bytes came that are not committed yet: for followers. Called likewise.
    fn log_end_advanced(self: Arc<Self>, _bytes: u64) {}

    /// Every live replica's log begins later than before: for DeleteRecords. Called likewise.
    fn low_watermark_advanced(self: Arc<Self>) {}

    /// The log begins later: followers are to hear of it. Called likewise.
    fn log_start_moved(self: Arc<Self>) {}

    /// The partition's leadership or existence changed: whoever waits must look again.
    fn partition_changed(self: Arc<Self>);
}

/// The operations parked on one partition. Bounded by the node's parked operations.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Lets an append without waiters pass without taking the lock. Set under the lock, before the waiter looks at
    /// the log's end for the last time, so that an append either is seen by that look or sees the flag.
    present: AtomicBool,
    list: Mutex<Vec<Arc<dyn Waiter>>>,
}

impl Waiters {
    pub(crate) fn add(&self, waiter: Arc<dyn Waiter>) {
        let mut list = self.list.lock();
        list.push(waiter);
        self.present.store(true, Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, waiter: &Arc<dyn Waiter>) {
        let mut list = self.list.lock();
        if let Some(index) = list.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            list.swap_remove(index);
        }
        self.present.store(!list.is_empty(), Ordering::SeqCst);
    }

    pub(crate) fn high_watermark_advanced(&self, bytes: u64) {
        for waiter in self.snapshot() {
            waiter.high_watermark_advanced(bytes);
        }
    }

    pub(crate) fn log_end_advanced(&self, bytes: u64) {
        for waiter in self.snapshot() {
            waiter.log_end_advanced(bytes);
        }
    }

    pub(crate) fn low_watermark_advanced(&self) {
        for waiter in self.snapshot() {
            waiter.low_watermark_advanced();
        }
    }

    pub(crate) fn log_start_moved(&self) {
        for waiter in self.snapshot() {
            waiter.log_start_moved();
        }
    }

    pub(crate) fn partition_changed(&self) {
        for waiter in self.snapshot() {
            waiter.partition_changed();
        }
    }

    fn snapshot(&self) -> Vec<Arc<dyn Waiter>> {
        if !self.present.load(Ordering::SeqCst) {
            return Vec::new();
        }
        self.list.lock().clone()
    }
}
