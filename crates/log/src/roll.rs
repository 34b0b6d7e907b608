//! When a new segment begins: a decision on data.

use crate::config::LogConfig;
use ottla_types::{Offset, Timestamp};

/// What is known of the active segment.
#[derive(Clone, Copy, Debug)]
pub struct ActiveSegment {
    /// Its first offset.
    pub base_offset: Offset,
    /// Its bytes.
    pub size: u64,
    /// The greatest timestamp of its first batch.
    pub first_timestamp: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// How much earlier than `segment.ms` it is rolled.
    pub jitter_ms: i64,
    /// Whether one of its indexes is full.
    pub index_full: bool,
}

/// What is to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Its bytes.
    pub size: u64,
    /// The greatest timestamp in it.
    pub max_timestamp: Timestamp,
    /// The last offset in it.
    pub last_offset: Offset,
}

/// Why a segment is rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollReason {
    /// `segment.bytes` would be passed.
    Size,
    /// `segment.ms` has passed.
    Time,
    /// An index has no room for another entry.
    IndexFull,
    /// The offset is too far from the base offset to be written in 32 bits.
    OffsetRange,
}

/// Whether the active segment must be rolled before the append.
pub fn roll_reason(
    segment: &ActiveSegment,
    incoming: &Incoming,
    now: Timestamp,
    config: &LogConfig,
) -> Option<RollReason> {
    if segment.size.saturating_add(incoming.size) > u64::from(config.segment_bytes) {
        return Some(RollReason::Size);
    }
    // Time is that of the records where they have one: so that copying an old topic rolls it as it once was.
    let waited = match segment.first_timestamp {
        Some(first) if first.0 >= 0 => incoming.max_timestamp.0.saturating_sub(first.0),
        _ => now.0.saturating_sub(segment.created.0),
    };
    if segment.size > 0 && waited > config.segment_ms.saturating_sub(segment.jitter_ms) {
        return Some(RollReason::Time);
    }
    if segment.index_full {
        return Some(RollReason::IndexFull);
    }
    let distance = incoming.last_offset.since(segment.base_offset);
    (!(0..=i64::from(i32::MAX)).contains(&distance)).then_some(RollReason::OffsetRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: ActiveSegment = ActiveSegment {
        base_offset: Offset(100),
        size: 900,
        first_timestamp: Some(Timestamp(1000)),
        created: Timestamp(5000),
        jitter_ms: 0,
        index_full: false,
    };
    const INCOMING: Incoming = Incoming { size: 100, max_timestamp: Timestamp(1500), last_offset: Offset(110) };

    fn reason(segment: ActiveSegment, incoming: Incoming) -> Option<RollReason> {
        let config = LogConfig { segment_bytes: 1000, segment_ms: 500, ..LogConfig::default() };
        roll_reason(&segment, &incoming, Timestamp(5100), &config)
    }

    #[test]
    fn a_segment_is_rolled_when_the_records_do_not_fit() {
        assert_eq!(reason(SEGMENT, INCOMING), None);
        assert_eq!(reason(SEGMENT, Incoming { size: 101, ..INCOMING }), Some(RollReason::Size));
    }

    #[test]
    fn a_segment_is_rolled_by_the_time_of_the_records() {
        let late = Incoming { max_timestamp: Timestamp(1501), ..INCOMING };
        assert_eq!(reason(SEGMENT, late), Some(RollReason::Time));
        assert_eq!(reason(ActiveSegment { jitter_ms: 1, ..SEGMENT }, INCOMING), Some(RollReason::Time));
        assert_eq!(reason(ActiveSegment { size: 0, ..SEGMENT }, late), None);
    }

    #[test]
    fn without_timestamps_a_segment_is_rolled_by_the_time_since_it_was_made() {
        let without = ActiveSegment { first_timestamp: Some(Timestamp(-1)), ..SEGMENT };
        assert_eq!(reason(without, INCOMING), None);
        assert_eq!(reason(ActiveSegment { created: Timestamp(4000), ..without }, INCOMING), Some(RollReason::Time));
    }

    #[test]
    fn a_segment_is_rolled_when_an_index_is_full_or_an_offset_out_of_range() {
        assert_eq!(reason(ActiveSegment { index_full: true, ..SEGMENT }, INCOMING), Some(RollReason::IndexFull));
        let within = Incoming { last_offset: Offset(100 + i64::from(i32::MAX)), ..INCOMING };
        assert_eq!(reason(SEGMENT, within), None);
        let beyond = Incoming { last_offset: within.last_offset.next(), ..INCOMING };
        assert_eq!(reason(SEGMENT, beyond), Some(RollReason::OffsetRange));
    }
}
