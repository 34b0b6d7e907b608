//! ListTransactions.

use crate::{Transaction, TransactionCoordinator, TransactionState};
use ottla_types::{ProducerId, Timestamp};
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most that a compiled pattern may take, in bytes: it comes from outside.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Which transactional ids are asked for.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    producer_ids: BTreeSet<ProducerId>,
    states: Option<BTreeSet<TransactionState>>,
    duration_ms: i64,
    pattern: Option<Regex>,
}

/// The pattern is not a regular expression, or one that takes too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

impl ListFilter {
    /// Lets all pass.
    pub fn all() -> Self {
        Self { duration_ms: -1, ..Self::default() }
    }

    /// Only these producers; none named means all.
    pub fn producer_ids(mut self, producer_ids: impl IntoIterator<Item = ProducerId>) -> Self {
        self.producer_ids = producer_ids.into_iter().collect();
        self
    }

    /// Only these states; none named means all. Returns the names that are not those of a state: only they can make the
    /// filter let nothing pass.
    pub fn states(mut self, names: &[String]) -> (Self, Vec<String>) {
        let states = names.iter().filter_map(|name| TransactionState::from_name(name)).collect();
        self.states = (!names.is_empty()).then_some(states);
        let unknown = names.iter().filter(|name| TransactionState::from_name(name).is_none());
        (self, unknown.cloned().collect())
    }

    /// Only transactions that began longer ago than this; a negative number means all.
    pub fn duration_ms(mut self, duration_ms: i64) -> Self {
        self.duration_ms = duration_ms;
        self
    }

    /// Only ids that match the pattern as a whole; an empty one means all.
    ///
    /// # Errors
    /// It is not a regular expression.
    pub fn pattern(mut self, pattern: Option<&str>) -> Result<Self, InvalidPattern> {
        let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(self) };
        let compile = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        let invalid = |error: regex::Error| InvalidPattern(error.to_string());
        // By itself first: put into parentheses, something that is none could become one.
        compile(pattern).map_err(invalid)?;
        self.pattern = Some(compile(&format!("^(?:{pattern})$")).map_err(invalid)?);
        Ok(self)
    }

    fn lets_pass(&self, now: Timestamp, transactional_id: &str, transaction: &Transaction) -> bool {
        let lasts_ms = now.value().saturating_sub(transaction.start_timestamp.value());
        (self.producer_ids.is_empty() || self.producer_ids.contains(&transaction.producer_id))
            && self.states.as_ref().is_none_or(|states| states.contains(&transaction.state))
            && (self.duration_ms < 0 || lasts_ms > self.duration_ms)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(transactional_id))
    }
}

/// A transactional id that passed the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The id.
    pub transactional_id: Arc<str>,
    /// Its producer.
    pub producer_id: ProducerId,
    /// Where it stands.
    pub state: TransactionState,
}

impl TransactionCoordinator {
    pub(crate) fn list(&self, now: Timestamp, filter: &ListFilter) -> Vec<ListedTransaction> {
        let passing = self.transactions.iter().filter(|(id, transaction)| filter.lets_pass(now, id, transaction));
        let listed = passing.map(|(transactional_id, transaction)| ListedTransaction {
            transactional_id: transactional_id.clone(),
            producer_id: transaction.producer_id,
            state: transaction.state,
        });
        listed.collect()
    }
}
