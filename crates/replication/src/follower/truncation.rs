use crate::log_view::{EpochEnd, LogView};
use ottla_types::Offset;

/// Where to cut a log that has other records than the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The log ends here afterwards.
    pub offset: Offset,
    /// Whether the logs agree then. If not, the leader is asked again with the epoch that is the last one then.
    pub is_complete: bool,
}

/// Where to cut, when the leader says that its greatest epoch not above ours ends at `leader` (KIP-101, KIP-279).
///
/// Both logs have the leader's epoch: then they agree up to where it ends first. If ours does not have it, then nothing from
/// where our greatest smaller epoch ends can be the leader's; but that epoch may have ended earlier there, so the next
/// answer decides.
pub fn truncation_for(log: &impl LogView, leader: EpochEnd) -> Truncation {
    let log_end = log.log_end();
    // What comes from elsewhere may be anything.
    let leader = EpochEnd { end_offset: leader.end_offset.max(Offset::ZERO), ..leader };
    match log.end_offset_for_epoch(leader.epoch) {
        Some(ours) if ours.epoch == leader.epoch => {
            Truncation { offset: ours.end_offset.min(leader.end_offset).min(log_end), is_complete: true }
        }
        Some(ours) => Truncation { offset: ours.end_offset.min(log_end), is_complete: false },
        // Nothing is known of epochs so early; the leader's answer is all there is.
        None => Truncation { offset: leader.end_offset.min(log_end), is_complete: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_log::TestLog;
    use ottla_types::LeaderEpoch;

    fn cut(ours: &[(i32, i64)], end: i64, leader: (i32, i64)) -> (i64, bool) {
        let log = TestLog::new(ours, end);
        let leader = EpochEnd { epoch: LeaderEpoch(leader.0), end_offset: Offset(leader.1) };
        let truncation = truncation_for(&log, leader);
        (truncation.offset.0, truncation.is_complete)
    }

    #[test]
    fn logs_that_both_have_the_epoch_agree_up_to_where_it_ends_first() {
        assert_eq!(cut(&[(1, 0), (2, 10)], 20, (1, 8)), (8, true));
        assert_eq!(cut(&[(1, 0), (2, 10)], 20, (1, 15)), (10, true));
        assert_eq!(cut(&[(1, 0)], 20, (1, 15)), (15, true));
        assert_eq!(cut(&[(1, 0)], 12, (1, 15)), (12, true));
    }

    #[test]
    fn an_epoch_of_the_leader_that_we_lack_sends_us_to_our_next_smaller_one() {
        // The leader has epochs 0 and 2, we have 1 and 3: cut to where 1 ends, and ask with epoch 1.
        assert_eq!(cut(&[(1, 0), (3, 10)], 20, (2, 15)), (10, false));
        assert_eq!(cut(&[(0, 0), (5, 10)], 20, (4, 3)), (10, false));
    }

    #[test]
    fn an_epoch_before_all_that_we_know_leaves_nothing_behind_its_end() {
        assert_eq!(cut(&[(5, 4)], 20, (3, 2)), (2, true));
        assert_eq!(cut(&[], 20, (3, 2)), (2, true));
        assert_eq!(cut(&[], 20, (3, -9)), (0, true));
    }
}
