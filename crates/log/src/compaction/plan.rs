//! Which log is compacted, from where to where, and which segments become one: decisions on data.

use crate::config::LogConfig;
use crate::segment::Segment;
use ottla_types::{Offset, Timestamp};
use std::sync::Arc;

/// What is known of one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: Offset,
    pub(crate) size: u64,
    pub(crate) largest_timestamp: Timestamp,
}

/// The part of a log that was not compacted yet and may be now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DirtyPart {
    from: Offset,
    to: Offset,
    clean_bytes: u64,
    dirty_bytes: u64,
    /// The largest timestamp of the oldest dirty segment.
    oldest: Option<Timestamp>,
}

/// A log that is to be compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) dirty_from: Offset,
    pub(crate) dirty_to: Offset,
    ratio: f64,
    is_overdue: bool,
}

impl Candidate {
    /// By this the most urgent log is found: the overdue ones first, then those with the greatest dirty part.
    pub(crate) fn urgency(&self) -> f64 {
        self.ratio + if self.is_overdue { 1.0 } else { 0.0 }
    }
}

impl DirtyPart {
    /// `segments` ascend; the last is the active one, which is never compacted. Neither is anything at or beyond `stable`, nor
    /// a segment with a record younger than `min.compaction.lag.ms`, nor what follows it.
    pub(crate) fn new(
        segments: Vec<SegmentFacts>,
        checkpoint: Offset,
        log_start_offset: Offset,
        stable: Offset,
        config: &LogConfig,
        now: Timestamp,
    ) -> Self {
        let active = segments.last().map_or(log_start_offset, |active| active.base_offset);
        // A checkpoint beyond the log is one of a log that was truncated or begun anew.
        let from = if (log_start_offset..=active).contains(&checkpoint) { checkpoint } else { log_start_offset };
        let is_young = |segment: &&SegmentFacts| {
            config.min_compaction_lag_ms > 0
                && segment.base_offset >= from
                && segment.largest_timestamp.0 > now.0.saturating_sub(config.min_compaction_lag_ms)
        };
        let young = segments.iter().find(is_young).map_or(active, |segment| segment.base_offset);
        let to = active.min(stable).min(young);
        let sealed = segments.iter().filter(|segment| segment.base_offset < to);
        let (clean, dirty): (Vec<&SegmentFacts>, Vec<_>) = sealed.partition(|segment| segment.base_offset < from);
        Self {
            from,
            to,
            clean_bytes: clean.iter().map(|segment| segment.size).sum(),
            dirty_bytes: dirty.iter().map(|segment| segment.size).sum(),
            oldest: dirty.iter().map(|segment| segment.largest_timestamp).min(),
        }
    }

    /// Whether it is worth the work: enough of the log is dirty, or something in it has waited too long.
    pub(crate) fn candidate(&self, config: &LogConfig, now: Timestamp) -> Option<Candidate> {
        if self.from >= self.to || self.dirty_bytes == 0 {
            return None;
        }
        let ratio = self.dirty_bytes as f64 / (self.clean_bytes + self.dirty_bytes) as f64;
        let waited = self.oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0));
        let is_overdue = config.max_compaction_lag_ms > 0 && waited > config.max_compaction_lag_ms;
        (ratio > config.min_cleanable_dirty_ratio || is_overdue).then_some(Candidate {
            dirty_from: self.from,
            dirty_to: self.to,
            ratio,
            is_overdue,
        })
    }
}

/// The segments that begin before an offset.
pub(crate) fn segments_below(segments: &[Arc<Segment>], end: Offset) -> &[Arc<Segment>] {
    let count = segments.partition_point(|segment| segment.base_offset < end);
    segments.get(..count).unwrap_or_default()
}

/// Neighbours that together are no larger than one segment may be, and whose offsets one index can hold. `sizes` are those of
/// `segments`.
pub(crate) fn group<'a>(
    segments: &'a [Arc<Segment>],
    sizes: &[u64],
    end: Offset,
    config: &LogConfig,
) -> Vec<&'a [Arc<Segment>]> {
    let bases: Vec<Offset> = segments.iter().map(|segment| segment.base_offset).collect();
    let ranges = group_ranges(&bases, sizes, end, u64::from(config.segment_bytes));
    ranges.into_iter().filter_map(|range| segments.get(range)).collect()
}

fn group_ranges(bases: &[Offset], sizes: &[u64], end: Offset, bytes_max: u64) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let (mut first, mut bytes) = (0, 0u64);
    for (number, size) in sizes.iter().enumerate() {
        let next = bases.get(number + 1).copied().unwrap_or(end);
        let base = bases.get(first).copied().unwrap_or(end);
        let fits = bytes + size <= bytes_max && next.since(base) <= i64::from(i32::MAX);
        if number > first && !fits {
            groups.push(first..number);
            (first, bytes) = (number, 0);
        }
        bytes += size;
    }
    if first < sizes.len() {
        groups.push(first..sizes.len());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(facts: &[(i64, u64, i64)]) -> Vec<SegmentFacts> {
        let fact = |(base, size, time): &(i64, u64, i64)| SegmentFacts {
            base_offset: Offset(*base),
            size: *size,
            largest_timestamp: Timestamp(*time),
        };
        facts.iter().map(fact).collect()
    }

    const SEGMENTS: [(i64, u64, i64); 4] = [(0, 100, 10), (10, 100, 20), (20, 200, 30), (30, 50, 40)];

    fn part(checkpoint: i64, stable: i64, config: &LogConfig, now: i64) -> DirtyPart {
        let (checkpoint, stable) = (Offset(checkpoint), Offset(stable));
        DirtyPart::new(segments(&SEGMENTS), checkpoint, Offset(0), stable, config, Timestamp(now))
    }

    #[test]
    fn the_active_segment_and_what_is_not_stable_are_left_alone() {
        let config = LogConfig::default();
        let whole = part(0, 35, &config, 50);
        assert_eq!((whole.from, whole.to, whole.clean_bytes, whole.dirty_bytes), (Offset(0), Offset(30), 0, 400));
        let half = part(10, 15, &config, 50);
        assert_eq!((half.from, half.to, half.clean_bytes, half.dirty_bytes), (Offset(10), Offset(15), 100, 100));
    }

    #[test]
    fn a_log_is_compacted_when_enough_of_it_is_dirty() {
        let config = LogConfig::default();
        assert!(part(10, 35, &config, 50).candidate(&config, Timestamp(50)).is_some());
        // 200 of 400 bytes: not more than half.
        assert_eq!(part(20, 35, &config, 50).candidate(&config, Timestamp(50)), None);
        let eager = LogConfig { min_cleanable_dirty_ratio: 0.4, ..config.clone() };
        assert!(part(20, 35, &eager, 50).candidate(&eager, Timestamp(50)).is_some());
        assert_eq!(part(30, 35, &eager, 50).candidate(&eager, Timestamp(50)), None);
    }

    #[test]
    fn records_wait_for_the_least_lag_and_not_longer_than_the_greatest() {
        let patient = LogConfig { min_compaction_lag_ms: 25, ..LogConfig::default() };
        let part_of = part(0, 35, &patient, 50);
        assert_eq!((part_of.from, part_of.to), (Offset(0), Offset(20)));
        let urgent = LogConfig { max_compaction_lag_ms: 15, min_cleanable_dirty_ratio: 0.9, ..LogConfig::default() };
        assert!(part(20, 35, &urgent, 50).candidate(&urgent, Timestamp(50)).is_some_and(|one| one.urgency() > 1.0));
        assert_eq!(part(20, 35, &urgent, 40).candidate(&urgent, Timestamp(40)), None);
    }

    #[test]
    fn a_checkpoint_that_is_not_within_the_log_is_not_believed() {
        let config = LogConfig::default();
        assert_eq!(part(99, 35, &config, 50).from, Offset(0));
        assert_eq!(part(-5, 35, &config, 50).from, Offset(0));
    }

    #[test]
    fn neighbours_become_one_segment_as_long_as_they_fit() {
        let bases = [0, 10, 20, 30].map(Offset);
        assert_eq!(group_ranges(&bases, &[40, 50, 60, 10], Offset(40), 100), [0..2, 2..4]);
        assert_eq!(group_ranges(&bases, &[140, 50, 60, 10], Offset(40), 100), [0..1, 1..2, 2..4]);
        let far = [0, 10, 3_000_000_000].map(Offset);
        assert_eq!(group_ranges(&far, &[1, 1, 1], Offset(3_000_000_001), 100), [0..1, 1..2, 2..3]);
        assert_eq!(group_ranges(&[], &[], Offset(0), 100), []);
    }
}
