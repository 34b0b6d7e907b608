use super::{Leader, Progress};
use ottla_types::Offset;
use std::time::Duration;

impl Leader {
    pub(super) fn progress(&mut self, now: Duration) -> Progress {
        Progress {
            high_watermark: self.advance_high_watermark(now),
            low_watermark: self.advance_low_watermark(),
            ..Progress::default()
        }
    }

    /// A topic can demand more replicas than it has; then all of them are enough.
    pub(super) fn needed(&self) -> usize {
        self.settings.min_in_sync.min(self.followers.len() + 1)
    }

    /// Below the minimum nothing commits (KIP-966): the controller counts on replicas that left the in-sync ones then to have
    /// all that is committed, and may elect one of them without loss.
    pub(super) fn advance_high_watermark(&mut self, now: Duration) -> Option<Offset> {
        if self.in_sync.committed().len() < self.needed() {
            return None;
        }
        let mut committed = self.acknowledgeable;
        for (id, follower) in &self.followers {
            // A follower that keeps up will ask to join; if the high watermark ran ahead of it, it never could.
            let may_join = || follower.is_eligible() && follower.is_caught_up(now, self.log_end, self.settings.lag_max);
            if self.in_sync.may_contain(*id) || may_join() {
                committed = committed.min(follower.log_end.unwrap_or(Offset(-1)));
            }
        }
        let moved = committed > self.high_watermark;
        if moved {
            self.high_watermark = committed;
        }
        moved.then_some(committed)
    }

    /// A replica whose broker is gone keeps nobody waiting: when it comes back its log start follows the leader's.
    fn advance_low_watermark(&mut self) -> Option<Offset> {
        let alive = self.followers.values().filter(|follower| follower.is_alive());
        let starts = alive.map(|follower| follower.log_start.unwrap_or(Offset(-1)));
        let low = starts.fold(self.log_start, Offset::min);
        let moved = low > self.low_watermark;
        if moved {
            self.low_watermark = low;
        }
        moved.then_some(low)
    }
}
