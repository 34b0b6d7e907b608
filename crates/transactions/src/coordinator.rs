use crate::marking::Sending;
use crate::{
    Completion, Effects, Request, Response, TimerKey, Token, Transaction, TransactionRecord, TransactionSettings,
};
use ottla_protocol::ErrorCode;
use ottla_types::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The transactional ids of one partition of `__transaction_state`.
///
/// The caller gives it one step at a time and carries out the effects of each before the next: it appends the records,
/// replays them, and gives the completion back when they are committed ([`Self::on_committed`]) or when the append has
/// failed ([`Self::on_append_failed`], after turning the replies that waited for it by [`crate::fail_response`]). Every
/// token given to [`Self::handle`] is answered exactly once, in the effects of that call.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionCoordinator {
    pub(crate) settings: TransactionSettings,
    pub(crate) transactions: BTreeMap<Arc<str>, Transaction>,
    /// Transactions whose decided end is committed: the markers that are still missing.
    pub(crate) sending: BTreeMap<Arc<str>, Sending>,
}

impl TransactionCoordinator {
    /// A partition without any transactional ids.
    pub fn new(settings: TransactionSettings) -> Self {
        Self { settings, transactions: BTreeMap::new(), sending: BTreeMap::new() }
    }

    /// Puts other settings in force. They count for what begins from now on.
    pub fn set_settings(&mut self, settings: TransactionSettings) {
        self.settings = settings;
    }

    /// What is known of a transactional id.
    pub fn transaction(&self, transactional_id: &str) -> Option<&Transaction> {
        self.transactions.get(transactional_id)
    }

    /// How many transactional ids are in each state, by its name: for metrics.
    pub fn census(&self) -> BTreeMap<&'static str, usize> {
        let mut census = BTreeMap::new();
        for transaction in self.transactions.values() {
            *census.entry(transaction.state.name()).or_default() += 1;
        }
        census
    }

    /// How many transactional ids are known: for metrics.
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Whether no transactional id is known.
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Takes a request.
    pub fn handle(&mut self, now: Timestamp, request: Request, token: Token) -> Effects {
        let mut effects = Effects::default();
        let response = match request {
            Request::InitProducerId(request) => self.init_producer_id(now, &request, &mut effects),
            Request::AddPartitions(request) => {
                Response::AddPartitions(self.add_partitions(now, &request, &mut effects))
            }
            Request::VerifyPartitions(request) => Response::VerifyPartitions(self.verify_partitions(request)),
            Request::EndTransaction(request) => self.end_transaction(now, &request, &mut effects),
            Request::AbortTimedOut { transactional_id, producer_id, spare_producer_id } => {
                self.abort_timed_out(now, &transactional_id, producer_id, spare_producer_id, &mut effects)
            }
            Request::MarkersWritten(written) => {
                self.markers_written(now, &written, &mut effects);
                Response::Done
            }
            Request::Describe { transactional_id } => self.describe(transactional_id),
            Request::List(filter) => Response::List(Ok(self.list(now, &filter))),
        };
        effects.reply(token, response);
        effects
    }

    /// A timer has fired. One that fires late, or for something that is gone, does no harm.
    pub fn on_timer(&mut self, now: Timestamp, key: &TimerKey) -> Effects {
        let mut effects = Effects::default();
        match key {
            TimerKey::Timeouts => self.find_timed_out(now, &mut effects),
            TimerKey::Expiry => self.expire(now, &mut effects),
            TimerKey::Retry { transactional_id } => self.retry(now, transactional_id, &mut effects),
            TimerKey::Loaded => effects.completion = Some(Completion::Loaded),
        }
        effects
    }

    /// The records of the step that gave this completion are committed.
    pub fn on_committed(&mut self, now: Timestamp, completion: Completion) -> Effects {
        let mut effects = Effects::default();
        match completion {
            Completion::Prepared { transactional_id, producer_id, producer_epoch } => {
                self.begin_markers(now, &transactional_id, Some((producer_id, producer_epoch)), &mut effects);
            }
            Completion::Completed { .. } => {}
            Completion::Loaded => self.resume(now, &mut effects),
        }
        effects
    }

    /// The records of the step that gave this completion could not be written, or were not committed in time: what ends
    /// a transaction is tried again.
    pub fn on_append_failed(&mut self, _now: Timestamp, completion: Completion, _error: ErrorCode) -> Effects {
        let mut effects = Effects::default();
        let key = match completion {
            Completion::Prepared { transactional_id, .. } | Completion::Completed { transactional_id } => {
                TimerKey::Retry { transactional_id }
            }
            Completion::Loaded => TimerKey::Loaded,
        };
        effects.set_timer(key, self.settings.retry_backoff_ms);
        effects
    }

    /// The record that makes a transactional id what it is to be.
    pub(crate) fn record(&self, transactional_id: &Arc<str>, value: Option<Transaction>) -> TransactionRecord {
        let value_version = self.settings.version.record_version();
        TransactionRecord { transactional_id: transactional_id.clone(), value, value_version }
    }
}
