use ottla_env::{Clock, Monotonic};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// The sleep of the thread that does a node's time-driven work, and how it is cut short.
#[derive(Default)]
pub(crate) struct Ticker {
    state: Mutex<State>,
    signal: Condvar,
}

#[derive(Default)]
struct State {
    is_woken: bool,
    is_stopping: bool,
}

impl Ticker {
    /// Ends the sleep, or keeps the next one from beginning.
    pub(crate) fn wake(&self) {
        self.state.lock().is_woken = true;
        self.signal.notify_one();
    }

    /// Ends the thread after what it is doing.
    pub(crate) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.signal.notify_one();
    }

    /// Calls `tick` again and again, each time when it has asked for it or somebody woke the thread, until stopped.
    pub(crate) fn run(&self, clock: &Arc<dyn Clock>, tick: impl Fn() -> Monotonic) {
        loop {
            let next = tick();
            let mut state = self.state.lock();
            while !state.is_woken && !state.is_stopping {
                let left = next.since(clock.monotonic());
                if left.is_zero() || self.signal.wait_for(&mut state, left).timed_out() {
                    break;
                }
            }
            if state.is_stopping {
                return;
            }
            state.is_woken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_env_os::OsClock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn a_wake_cuts_a_long_sleep_short_and_a_stop_ends_it() {
        let ticker = Arc::new(Ticker::default());
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        let ticks = Arc::new(AtomicUsize::new(0));
        let (running, counted, time) = (ticker.clone(), ticks.clone(), clock.clone());
        let thread = std::thread::spawn(move || {
            running.run(&time, || {
                counted.fetch_add(1, Ordering::SeqCst);
                time.monotonic() + Duration::from_secs(3600)
            });
        });
        let wait_for = |count| {
            while ticks.load(Ordering::SeqCst) < count {
                std::thread::yield_now();
            }
        };
        wait_for(1);
        ticker.wake();
        wait_for(2);
        ticker.stop();
        thread.join().unwrap();
    }
}
