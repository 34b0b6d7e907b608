use crate::history::{History, LogName, Value};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of how many failures of a load the text is kept.
const FAILURES_MAX: usize = 20;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Loads work.
    Busy,
    /// Nothing new is begun; what was begun is brought to its end.
    Calm,
    /// Everything ends.
    Over,
}

/// What all loads share.
#[derive(Debug)]
pub struct World {
    /// `host:port` of the server.
    pub address: String,
    /// What the loads' decisions are made of.
    pub seed: u64,
    /// How long a load rests after each step.
    pub rest: Duration,
    stage: AtomicU8,
    history: Mutex<History>,
    failures: Mutex<Vec<String>>,
    steps: AtomicU64,
}

impl World {
    /// A world in which the loads have not begun.
    pub fn new(address: &str, seed: u64, rest: Duration) -> Self {
        Self {
            address: address.to_owned(),
            seed,
            rest,
            stage: AtomicU8::new(0),
            history: Mutex::default(),
            failures: Mutex::default(),
            steps: AtomicU64::new(0),
        }
    }

    /// How far the run is.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Busy,
            1 => Stage::Calm,
            _ => Stage::Over,
        }
    }

    /// The run goes on to its next stage.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// Whether loads begin something new. Rests a step's time.
    pub fn goes_on(&self) -> bool {
        std::thread::sleep(self.rest);
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.stage() == Stage::Busy
    }

    /// What was noted so far. A load that ended in the middle of a note is told of elsewhere.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that is no broken promise but must not happen either: a load can't go on, or was answered nonsense.
    pub fn fail(&self, what: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < FAILURES_MAX {
            println!("{what}");
            failures.push(what);
        }
    }

    /// The first failures.
    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a record was acknowledged.
    pub fn acknowledged(&self, log: &LogName, offset: i64, value: Value) {
        let History { records, violations, .. } = &mut *self.history();
        records.acknowledged(log, offset, value, violations);
    }

    /// Notes that a record was read.
    pub fn read(&self, log: &LogName, offset: i64, value: Value) {
        let History { records, violations, .. } = &mut *self.history();
        records.read(log, offset, value, violations);
    }
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
