//! Which old segments go: a decision on data.

use crate::config::LogConfig;
use ottla_types::{Offset, Timestamp};

/// What is known of one segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentFacts {
    /// Its first offset.
    pub base_offset: Offset,
    /// Its bytes.
    pub size: u64,
    /// The greatest timestamp of its records; when none has one, the time of the last append that is known.
    pub largest_timestamp: Timestamp,
}

/// What is known of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogFacts {
    /// Where it begins.
    pub log_start_offset: Offset,
    /// Where it ends.
    pub log_end_offset: Offset,
    /// Nothing at or beyond it may go.
    pub high_watermark: Offset,
}

/// Why segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionReason {
    /// The log starts after them.
    LogStartOffset,
    /// The log is larger than `retention.bytes` without them.
    Size,
    /// Their newest record is older than `retention.ms`.
    Time,
}

/// Segments to be removed: so many of the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// How many, counted from the oldest.
    pub segments: usize,
    /// Why the last of them goes.
    pub reason: RetentionReason,
}

/// How many of the oldest segments go. The reasons are taken one after the other, as in Kafka: what one leaves is judged
/// by the next. The active segment may be among them, when all of it is below the high watermark; a new one is then made
/// first. An empty active segment stays.
pub fn expired(segments: &[SegmentFacts], log: &LogFacts, now: Timestamp, config: &LogConfig) -> Option<Expired> {
    let mut found = None;
    let mut gone = 0;
    let mut take =
        |gone: &mut usize, reason, condition: &mut dyn FnMut(&SegmentFacts, Option<&SegmentFacts>) -> bool| {
            while let Some(segment) = segments.get(*gone) {
                let next = segments.get(*gone + 1);
                let end = next.map_or(log.log_end_offset, |next| next.base_offset);
                let empty_active = next.is_none() && segment.size == 0;
                if log.high_watermark < end || empty_active || !condition(segment, next) {
                    return;
                }
                *gone += 1;
                found = Some(Expired { segments: *gone, reason });
            }
        };
    take(&mut gone, RetentionReason::LogStartOffset, &mut |_, next| {
        next.is_some_and(|next| next.base_offset <= log.log_start_offset)
    });
    if config.cleanup_policy.delete {
        if let Ok(limit) = u64::try_from(config.retention_bytes) {
            let total: u64 = segments.iter().skip(gone).map(|segment| segment.size).sum();
            let mut excess = total.checked_sub(limit);
            take(&mut gone, RetentionReason::Size, &mut |segment, _| {
                let left = excess.and_then(|excess| excess.checked_sub(segment.size));
                if left.is_some() {
                    excess = left;
                }
                left.is_some()
            });
        }
        if config.retention_ms >= 0 {
            take(&mut gone, RetentionReason::Time, &mut |segment, _| {
                now.0.saturating_sub(segment.largest_timestamp.0) > config.retention_ms
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CleanupPolicy;

    fn segments() -> Vec<SegmentFacts> {
        let segment =
            |base, size, time| SegmentFacts { base_offset: Offset(base), size, largest_timestamp: Timestamp(time) };
        vec![segment(0, 100, 1000), segment(10, 100, 2000), segment(20, 100, 1500), segment(30, 50, 4000)]
    }

    const LOG: LogFacts =
        LogFacts { log_start_offset: Offset(0), log_end_offset: Offset(40), high_watermark: Offset(40) };

    fn config() -> LogConfig {
        LogConfig { retention_bytes: -1, retention_ms: -1, ..LogConfig::default() }
    }

    fn check(log: LogFacts, config: LogConfig) -> Option<(usize, RetentionReason)> {
        expired(&segments(), &log, Timestamp(5000), &config).map(|expired| (expired.segments, expired.reason))
    }

    #[test]
    fn nothing_goes_without_limits() {
        assert_eq!(check(LOG, config()), None);
    }

    #[test]
    fn segments_wholly_before_the_start_of_the_log_go() {
        let at = |offset| check(LogFacts { log_start_offset: Offset(offset), ..LOG }, config());
        assert_eq!(at(9), None);
        assert_eq!(at(10), Some((1, RetentionReason::LogStartOffset)));
        assert_eq!(at(40), Some((3, RetentionReason::LogStartOffset)));
    }

    #[test]
    fn segments_go_while_what_stays_is_not_less_than_the_size_limit() {
        let with = |retention_bytes| check(LOG, LogConfig { retention_bytes, ..config() });
        assert_eq!(with(350), None);
        assert_eq!(with(251), None);
        assert_eq!(with(250), Some((1, RetentionReason::Size)));
        assert_eq!(with(149), Some((2, RetentionReason::Size)));
        assert_eq!(with(0), Some((4, RetentionReason::Size)));
    }

    #[test]
    fn segments_go_by_time_up_to_the_first_that_is_new_enough() {
        let with = |retention_ms| check(LOG, LogConfig { retention_ms, ..config() });
        assert_eq!(with(4000), None);
        assert_eq!(with(3999), Some((1, RetentionReason::Time)));
        assert_eq!(with(2999), Some((3, RetentionReason::Time)));
        assert_eq!(with(0), Some((4, RetentionReason::Time)));
    }

    #[test]
    fn nothing_at_or_beyond_the_high_watermark_goes() {
        let log = LogFacts { high_watermark: Offset(25), ..LOG };
        assert_eq!(check(log, LogConfig { retention_ms: 0, ..config() }), Some((2, RetentionReason::Time)));
    }

    #[test]
    fn a_compacted_log_loses_only_what_is_before_its_start() {
        let cleanup_policy = CleanupPolicy { delete: false, compact: true };
        let config = LogConfig { retention_ms: 0, retention_bytes: 0, cleanup_policy, ..config() };
        assert_eq!(check(LOG, config.clone()), None);
        let log = LogFacts { log_start_offset: Offset(20), ..LOG };
        assert_eq!(check(log, config), Some((2, RetentionReason::LogStartOffset)));
    }

    #[test]
    fn an_empty_active_segment_stays() {
        let mut segments = segments();
        segments[3].size = 0;
        let config = LogConfig { retention_ms: 0, ..config() };
        assert_eq!(expired(&segments, &LOG, Timestamp(9000), &config).map(|expired| expired.segments), Some(3));
    }
}
