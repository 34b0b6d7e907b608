//! Transactional ids that nobody uses are forgotten.

use crate::{Batching, Effects, TimerKey, TransactionCoordinator};
use ottla_types::Timestamp;

impl TransactionCoordinator {
    /// Writes tombstones for ids without an open transaction that have not changed for long.
    pub(crate) fn expire(&mut self, now: Timestamp, effects: &mut Effects) {
        effects.set_timer(TimerKey::Expiry, self.settings.expiration_check_interval_ms);
        effects.batching = Batching::Splittable;
        let horizon = now.plus_milliseconds(-self.settings.expiration_ms);
        let expired = self
            .transactions
            .iter()
            .filter(|(_, transaction)| transaction.state.is_idle() && transaction.last_update_timestamp <= horizon);
        effects.records.extend(expired.map(|(transactional_id, _)| self.record(transactional_id, None)));
    }
}
