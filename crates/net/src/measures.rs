use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use ottla_env::Monotonic;

/// What the loops of a server count while they serve. Relaxed: nothing depends on it.
pub(crate) struct Measures {
    loops: Vec<LoopMeasure>,
    listeners: Vec<ListenerMeasure>,
}

#[derive(Default)]
struct LoopMeasure {
    /// Nanoseconds that the loop has slept, without the sleep that it is in.
    idle: AtomicU64,
    /// When it fell asleep; 0 while it is awake.
    asleep_since: AtomicU64,
}

struct ListenerMeasure {
    name: Arc<str>,
    opened: AtomicU64,
    closed: AtomicU64,
}

/// What a server has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerReading {
    /// How many threads serve connections.
    pub loops: usize,
    /// For how long they had nothing to do, all together.
    pub idle: Duration,
    /// Each listener with its connections.
    pub listeners: Vec<ListenerReading>,
    /// Bytes of requests in memory.
    pub request_bytes_used: usize,
    /// Bytes of requests that there may be.
    pub request_bytes_max: usize,
}

/// The connections of one listener since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerReading {
    /// The listener's name.
    pub name: String,
    /// Connections that were served.
    pub opened: u64,
    /// Those of them that are gone.
    pub closed: u64,
}

impl Measures {
    pub(crate) fn new(loops: usize, listeners: impl Iterator<Item = Arc<str>>) -> Self {
        let listener = |name| ListenerMeasure { name, opened: AtomicU64::new(0), closed: AtomicU64::new(0) };
        Self {
            loops: (0..loops).map(|_| LoopMeasure::default()).collect(),
            listeners: listeners.map(listener).collect(),
        }
    }

    /// A loop has nothing to do from now on.
    pub(crate) fn falls_asleep(&self, index: usize, now: Monotonic) {
        if let Some(measure) = self.loops.get(index) {
            measure.asleep_since.store(now.0, Ordering::Relaxed);
        }
    }

    /// A loop has something to do again.
    pub(crate) fn wakes_up(&self, index: usize, now: Monotonic) {
        if let Some(measure) = self.loops.get(index) {
            let since = measure.asleep_since.swap(0, Ordering::Relaxed);
            if since != 0 {
                measure.idle.fetch_add(now.0.saturating_sub(since), Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn opened(&self, listener: &str) {
        if let Some(measure) = self.listener(listener) {
            measure.opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn closed(&self, listener: &str) {
        if let Some(measure) = self.listener(listener) {
            measure.closed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn listener(&self, name: &str) -> Option<&ListenerMeasure> {
        self.listeners.iter().find(|measure| &*measure.name == name)
    }

    pub(crate) fn read(&self, now: Monotonic) -> ServerReading {
        let idle = self.loops.iter().map(|measure| {
            let since = measure.asleep_since.load(Ordering::Relaxed);
            let asleep = if since == 0 { 0 } else { now.0.saturating_sub(since) };
            measure.idle.load(Ordering::Relaxed).saturating_add(asleep)
        });
        let listeners = self.listeners.iter().map(|measure| ListenerReading {
            name: measure.name.to_string(),
            // Read first, so that no more are closed than were opened.
            closed: measure.closed.load(Ordering::Relaxed),
            opened: measure.opened.load(Ordering::Relaxed),
        });
        ServerReading {
            loops: self.loops.len(),
            idle: Duration::from_nanos(idle.fold(0, u64::saturating_add)),
            listeners: listeners.collect(),
            ..ServerReading::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_counts_also_while_a_loop_still_sleeps() {
        let measures = Measures::new(2, ["A".into()].into_iter());
        measures.falls_asleep(0, Monotonic(10));
        measures.wakes_up(0, Monotonic(15));
        measures.wakes_up(1, Monotonic(16));
        measures.falls_asleep(1, Monotonic(20));
        assert_eq!(measures.read(Monotonic(27)).idle, Duration::from_nanos(5 + 7));
        measures.opened("A");
        measures.opened("unknown");
        measures.closed("A");
        assert_eq!(
            measures.read(Monotonic(27)).listeners,
            [ListenerReading { name: "A".to_owned(), opened: 1, closed: 1 }]
        );
    }
}
