use super::scan::Scan;
use super::violation::{Kind, Violations};

/// What may be missing at the beginning of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The greatest offset that DeleteRecords was asked to make the log's start.
    pub asked_start: i64,
    /// The greatest one for which that was acknowledged.
    pub done_start: i64,
    /// The least `retention.bytes` that was ever set.
    pub retention_bytes: Option<u64>,
    /// The least `retention.ms` that was ever set.
    pub retention_ms: Option<i64>,
    /// The time of the last record that was acknowledged, by which the offsets before it can be judged.
    pub timestamp_at_start: Option<i64>,
}

/// The log begins where its clients and its retention made it begin. `now` is in milliseconds since the epoch.
pub fn check_removal(scan: &Scan, policy: &Policy, now: i64, found: &mut Violations) {
    let mut wrong = |why: String| found.add(Kind::WrongStart, format!("{} starts at {}: {why}", scan.log, scan.start));
    if scan.start < policy.done_start {
        return wrong(format!("it was acknowledged to start at {}", policy.done_start));
    }
    if scan.start <= policy.asked_start {
        return;
    }
    let kept: u64 = scan.batches.iter().map(|batch| batch.bytes).sum();
    let is_by_size = policy.retention_bytes.is_some_and(|bytes| kept >= bytes);
    let is_by_age =
        policy.retention_ms.is_some_and(|age| policy.timestamp_at_start.is_none_or(|time| time + age <= now));
    if !is_by_size && !is_by_age {
        wrong(format!("with {kept} bytes behind it, by {policy:?} at {now}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::examples::{batch, scan};
    use super::*;

    /// A log of three batches of 100 bytes from offset 5 on, a minute after the epoch.
    fn is_right(policy: Policy) -> bool {
        let mut found = Violations::default();
        check_removal(&scan(vec![batch(5, 0), batch(6, 1), batch(7, 2)]), &policy, 60_000, &mut found);
        assert!(found.kinds().iter().all(|kind| *kind == Kind::WrongStart));
        found.is_empty()
    }

    fn none() -> Policy {
        Policy::default()
    }

    #[test]
    fn a_log_without_a_policy_loses_nothing() {
        assert!(!is_right(none()));
    }

    #[test]
    fn deleted_records_stay_deleted_and_no_more_go() {
        assert!(is_right(Policy { asked_start: 5, done_start: 5, ..none() }));
        assert!(is_right(Policy { asked_start: 6, done_start: 4, ..none() }));
        assert!(!is_right(Policy { asked_start: 6, done_start: 6, ..none() }), "records are back");
        assert!(!is_right(Policy { asked_start: 4, done_start: 4, ..none() }), "too many are gone");
    }

    #[test]
    fn retention_by_size_keeps_as_many_bytes_as_it_says() {
        assert!(is_right(Policy { retention_bytes: Some(300), ..none() }));
        assert!(!is_right(Policy { retention_bytes: Some(301), ..none() }), "removed too early");
    }

    #[test]
    fn retention_by_age_keeps_what_is_younger() {
        let aged = |age, time| is_right(Policy { retention_ms: Some(age), timestamp_at_start: Some(time), ..none() });
        assert!(aged(10_000, 50_000));
        assert!(!aged(10_000, 50_001), "removed too early");
    }
}
