use super::failure::{Done, Failure};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The end of every wait. Long, for machines that do much else meanwhile.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// How long to leave a server alone that has not yet said what is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// What one look has found: what was waited for, or else what was seen.
pub(super) type Look<T> = Done<Result<T, String>>;

/// Looks again and again until it finds what is waited for.
pub(super) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Look<T>) -> Done<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match look()? {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() >= end => return Err(overdue(what, &seen)),
            Err(_) => sleep(PAUSE),
        }
    }
}

/// The failure of a wait that has come to its end.
pub(super) fn overdue(what: &str, seen: &str) -> Failure {
    Failure::new(format!("{what}: not within {} s; seen last: {seen}", PATIENCE.as_secs()))
}
