use crate::OffsetAndEpoch;
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use std::fmt;

/// The name of a snapshot: the offset after its last record, and that record's epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SnapshotId(pub OffsetAndEpoch);

impl SnapshotId {
    /// The snapshot that formatting writes: it stands before the first record of the log.
    pub const BOOTSTRAP: Self = Self(OffsetAndEpoch { offset: Offset(0), epoch: LeaderEpoch(0) });
    /// How the file's name ends.
    pub const SUFFIX: &'static str = ".checkpoint";

    /// The name of the file: offset with 20 digits, epoch with 10.
    pub fn file_name(&self) -> String {
        format!("{self}{}", Self::SUFFIX)
    }

    /// The id of a complete snapshot's file; `None` for any other name, also for a part or one marked as deleted.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix(Self::SUFFIX)?;
        let (offset, epoch) = name.split_once('-')?;
        let digits = |text: &str, width| text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(offset, 20) || !digits(epoch, 10) {
            return None;
        }
        let (offset, epoch) = (Offset(offset.parse().ok()?), LeaderEpoch(epoch.parse().ok()?));
        Some(Self(OffsetAndEpoch { offset, epoch }))
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:010}", self.0.offset.0, self.0.epoch.0)
    }
}

/// Decides when the next snapshot is due: after so many bytes of metadata records, or after so long. Only looked at when
/// records come: an idle cluster needs no snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotPolicy {
    /// `metadata.log.max.record.bytes.between.snapshots`.
    bytes_max: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is never.
    interval_ms: i64,
    bytes: u64,
    last: Timestamp,
}

/// Why a snapshot is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotReason {
    /// Enough bytes were replayed.
    Bytes,
    /// Enough time has passed.
    Time,
}

impl SnapshotPolicy {
    /// Starts counting at `now`.
    pub fn new(bytes_max: u64, interval_ms: i64, now: Timestamp) -> Self {
        Self { bytes_max, interval_ms, bytes: 0, last: now }
    }

    /// Counts a published change of `bytes` of log and says whether a snapshot of the new image is due.
    pub fn count(&mut self, now: Timestamp, bytes: u64) -> Option<SnapshotReason> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= self.bytes_max {
            Some(SnapshotReason::Bytes)
        } else if self.interval_ms > 0 && now.0.saturating_sub(self.last.0) >= self.interval_ms {
            Some(SnapshotReason::Time)
        } else {
            None
        }
    }

    /// Starts counting anew: a snapshot was begun or loaded.
    pub fn reset(&mut self, now: Timestamp) {
        self.bytes = 0;
        self.last = now;
    }
}

/// A snapshot on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetainedSnapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The size of its file in bytes.
    pub size: u64,
    /// The time in its header.
    pub last_contained_log_timestamp: Timestamp,
}

/// How much metadata is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotRetention {
    /// `metadata.max.retention.bytes`, of log and snapshots together; negative is no limit.
    pub bytes: i64,
    /// `metadata.max.retention.ms`; negative is no limit.
    pub ms: i64,
}

/// How many of the oldest snapshots are to be deleted, and with them the log before the next one. `snapshots` are all, in
/// the order of their ids; `log_size` is in bytes. The newest is always kept.
pub fn snapshots_to_delete(
    snapshots: &[RetainedSnapshot],
    log_size: u64,
    retention: SnapshotRetention,
    now: Timestamp,
) -> usize {
    let newest = snapshots.len().saturating_sub(1);
    let mut total = snapshots.iter().fold(log_size, |sum, snapshot| sum.saturating_add(snapshot.size));
    let mut deleted = 0;
    for snapshot in snapshots.iter().take(newest) {
        let over_size = u64::try_from(retention.bytes).is_ok_and(|limit| total > limit);
        let age = now.0.saturating_sub(snapshot.last_contained_log_timestamp.0);
        let over_age = retention.ms >= 0 && age > retention.ms;
        if !over_size && !over_age {
            break;
        }
        total = total.saturating_sub(snapshot.size);
        deleted += 1;
    }
    deleted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(offset: i64, epoch: i32) -> SnapshotId {
        SnapshotId(OffsetAndEpoch { offset: Offset(offset), epoch: LeaderEpoch(epoch) })
    }

    #[test]
    fn a_snapshots_file_is_named_by_twenty_and_ten_digits() {
        assert_eq!(SnapshotId::BOOTSTRAP.file_name(), "00000000000000000000-0000000000.checkpoint");
        assert_eq!(id(1234, 7).file_name(), "00000000000000001234-0000000007.checkpoint");
        assert_eq!(SnapshotId::from_file_name("00000000000000001234-0000000007.checkpoint"), Some(id(1234, 7)));
    }

    #[test]
    fn other_files_are_not_snapshots() {
        for name in [
            "00000000000000001234-0000000007.checkpoint.deleted",
            "00000000000000001234-0000000007-8123.checkpoint.part",
            "1234-7.checkpoint",
            "0000000000000000123x-0000000007.checkpoint",
            "99999999999999999999-0000000007.checkpoint",
            "bootstrap.checkpoint",
        ] {
            assert_eq!(SnapshotId::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_snapshot_is_due_after_enough_bytes_or_enough_time() {
        let mut policy = SnapshotPolicy::new(100, 1_000, Timestamp(0));
        assert_eq!(policy.count(Timestamp(1), 99), None);
        assert_eq!(policy.count(Timestamp(2), 1), Some(SnapshotReason::Bytes));
        policy.reset(Timestamp(2));
        assert_eq!(policy.count(Timestamp(1_001), 1), None);
        assert_eq!(policy.count(Timestamp(1_002), 1), Some(SnapshotReason::Time));
        let mut never = SnapshotPolicy::new(100, 0, Timestamp(0));
        assert_eq!(never.count(Timestamp(i64::MAX), 1), None);
    }

    #[test]
    fn old_snapshots_go_when_they_are_too_big_or_too_old_but_never_the_newest() {
        let snapshot = |offset, size, time| RetainedSnapshot {
            id: id(offset, 1),
            size,
            last_contained_log_timestamp: Timestamp(time),
        };
        let all = [snapshot(10, 100, 0), snapshot(20, 100, 500), snapshot(30, 100, 900)];
        let keep = |bytes, ms| snapshots_to_delete(&all, 50, SnapshotRetention { bytes, ms }, Timestamp(1_000));
        assert_eq!(keep(-1, -1), 0);
        assert_eq!(keep(350, -1), 0);
        assert_eq!(keep(349, -1), 1);
        assert_eq!(keep(0, -1), 2);
        assert_eq!(keep(-1, 500), 1);
        assert_eq!(keep(-1, 0), 2);
    }
}
