//! Coordinators that have been taken over and have yet to read their logs.

use crate::partition::Partition;
use ottla_coordinator::{LoadError, Machine, Now, Shard};
use ottla_env::Clock;
use ottla_types::PartitionIndex;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads one coordinator's log.
type Load = Box<dyn FnOnce() + Send>;

/// Waits for the thread that reads logs, which is none that does what is due by time: a long log must keep no heartbeat,
/// no delayed answer and no election waiting. The shortest log is read first, so that most coordinators serve soonest.
///
/// At most one load waits for each partition that is taken over, and a load that is given up meanwhile ends at once.
pub(crate) struct CoordinatorLoads {
    waiting: Mutex<Waiting>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    /// By the length of the log, and then in the order in which they came.
    loads: BTreeMap<(u64, u64), Load>,
    arrivals: u64,
}

impl CoordinatorLoads {
    /// `wake` tells the thread that reads that there is something to read; it must only signal.
    pub(crate) fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { waiting: Mutex::default(), wake }
    }

    /// Has a coordinator read its log: at once where that is empty, else in its turn, of which `loaded` tells. `what` names what
    /// it coordinates.
    pub(crate) fn load<M: Machine>(
        &self,
        what: &'static str,
        partition: &Partition,
        shard: Arc<Shard<M>>,
        clock: Arc<dyn Clock>,
        loaded: Arc<dyn Fn() + Send + Sync>,
    ) {
        let (index, offsets) = (partition.index, partition.log.offsets());
        if offsets.log_start == offsets.log_end {
            return read(what, index, &shard, &*clock);
        }
        let load = move || {
            read(what, index, &shard, &*clock);
            loaded();
        };
        self.add(partition.log.size().unwrap_or(u64::MAX), Box::new(load));
    }

    /// Has a log of so many bytes read.
    fn add(&self, bytes: u64, load: Load) {
        let mut waiting = self.waiting.lock();
        let arrival = waiting.arrivals;
        waiting.arrivals += 1;
        waiting.loads.insert((bytes, arrival), load);
        drop(waiting);
        (self.wake)();
    }

    /// Reads one log after the other until none waits.
    pub(crate) fn run(&self) {
        while let Some(load) = self.next() {
            load();
        }
    }

    fn next(&self) -> Option<Load> {
        Some(self.waiting.lock().loads.pop_first()?.1)
    }
}

fn read<M: Machine>(what: &'static str, partition: PartitionIndex, shard: &Shard<M>, clock: &dyn Clock) {
    match shard.load(|| Now::of(clock)) {
        Ok(summary) if summary.records > 0 => {
            tracing::info!(%partition, records = summary.records, "{what} loaded");
        }
        // Given up, or opened anew in a later epoch, before its turn came: nothing is wrong.
        Ok(_) | Err(LoadError::Closed) => {}
        Err(error) => tracing::error!(%partition, %error, "{what} can't be loaded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_shortest_log_is_read_first_and_equal_ones_as_they_came() {
        let woken = Arc::new(AtomicUsize::new(0));
        let waking = woken.clone();
        let loads = CoordinatorLoads::new(Arc::new(move || _ = waking.fetch_add(1, Ordering::Relaxed)));
        let order = Arc::new(Mutex::new(Vec::new()));
        for (bytes, name) in [(20, "long"), (5, "short"), (20, "as long"), (0, "empty")] {
            let order = order.clone();
            loads.add(bytes, Box::new(move || order.lock().push(name)));
        }
        assert_eq!(woken.load(Ordering::Relaxed), 4);
        loads.run();
        assert_eq!(*order.lock(), ["empty", "short", "long", "as long"]);
    }

    #[test]
    fn what_a_load_adds_is_read_too() {
        let loads = Arc::new(CoordinatorLoads::new(Arc::new(|| ())));
        let done = Arc::new(AtomicUsize::new(0));
        let (adding, counted) = (loads.clone(), done.clone());
        loads.add(1, Box::new(move || adding.add(1, Box::new(move || _ = counted.fetch_add(1, Ordering::Relaxed)))));
        loads.run();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
