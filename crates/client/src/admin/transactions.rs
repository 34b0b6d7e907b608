use super::Admin;
use crate::cluster::CoordinatorKind;
use crate::error::{ClientError, Result, check};
use ottla_protocol::messages::{DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest};
use ottla_types::{NodeId, ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    /// The producer has not written anything since it was initialized.
    Empty,
    /// Open.
    Ongoing,
    /// To be committed: markers are being written.
    PrepareCommit,
    /// To be aborted: markers are being written.
    PrepareAbort,
    /// Committed.
    CompleteCommit,
    /// Aborted.
    CompleteAbort,
    /// Its producer is being fenced.
    PrepareEpochFence,
    /// One that this release does not know.
    Unknown,
}

impl TransactionState {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Empty, "Empty"),
        (Self::Ongoing, "Ongoing"),
        (Self::PrepareCommit, "PrepareCommit"),
        (Self::PrepareAbort, "PrepareAbort"),
        (Self::CompleteCommit, "CompleteCommit"),
        (Self::CompleteAbort, "CompleteAbort"),
        (Self::PrepareEpochFence, "PrepareEpochFence"),
        (Self::Unknown, "Unknown"),
    ];

    /// The state of that name.
    fn of_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::Unknown, |(state, _)| *state)
    }
}

impl fmt::Display for TransactionState {
    /// Kafka's name of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(state, _)| state == self).map_or("Unknown", |(_, name)| name))
    }
}

/// Which transactional ids are listed: those that are let through by everything that is set.
#[derive(Clone, Debug, Default)]
pub struct TransactionFilter {
    /// Only those in one of these states; any if there are none.
    pub states: BTreeSet<TransactionState>,
    /// Only those of these producers; of any if there are none.
    pub producer_ids: BTreeSet<ProducerId>,
    /// Only those whose transaction has been open for longer, in milliseconds (KIP-994).
    pub open_for_ms: Option<i64>,
    /// Only those whose id is matched as a whole by this regular expression (KIP-1152).
    pub id_pattern: Option<String>,
}

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The id.
    pub transactional_id: String,
    /// The producer that uses it.
    pub producer_id: ProducerId,
    /// How far its transaction is.
    pub state: TransactionState,
}

/// A transactional id in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The node that takes care of it.
    pub coordinator: NodeId,
    /// How far its transaction is.
    pub state: TransactionState,
    /// The producer that uses it.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// `transaction.timeout.ms` of the producer.
    pub timeout_ms: i32,
    /// When the open transaction began.
    pub started: Option<Timestamp>,
    /// The partitions that take part in it, and of one that ends those whose marker is missing, in the order of the answer.
    pub partitions: Vec<TopicPartition>,
}

impl Admin {
    /// The transactional ids that each broker takes care of. A broker that can't answer has an error of its own.
    ///
    /// # Errors
    /// The brokers could not be listed.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<BTreeMap<NodeId, Result<Vec<TransactionListing>>>> {
        let mut retry = self.cluster().retry();
        self.refresh_brokers(&mut retry).await?;
        let request = ListTransactionsRequest {
            state_filters: filter.states.iter().map(TransactionState::to_string).collect(),
            producer_id_filters: filter.producer_ids.iter().map(|id| id.value()).collect(),
            duration_filter: filter.open_for_ms.unwrap_or(-1),
            transactional_id_pattern: filter.id_pattern.clone(),
            ..Default::default()
        };
        let brokers: Vec<_> = self.cluster().metadata().brokers.keys().copied().collect();
        let mut listed = BTreeMap::new();
        for broker in brokers {
            let states =
                self.at_node(broker, &request, |answer| check(answer.error_code).map(|()| answer.transaction_states));
            let listings = states.await.map(|states| {
                let listing = |state: ottla_protocol::messages::list_transactions_response::TransactionState| {
                    TransactionListing {
                        transactional_id: state.transactional_id,
                        producer_id: ProducerId(state.producer_id),
                        state: TransactionState::of_name(&state.transaction_state),
                    }
                };
                states.into_iter().map(listing).collect()
            });
            listed.insert(broker, listings);
        }
        Ok(listed)
    }

    /// Describes a transactional id.
    ///
    /// # Errors
    /// No answer could be had; `TRANSACTIONAL_ID_NOT_FOUND` when there is no such id.
    pub async fn describe_transaction(&self, transactional_id: &str) -> Result<TransactionDescription> {
        let request =
            DescribeTransactionsRequest { transactional_ids: vec![transactional_id.to_owned()], ..Default::default() };
        let kind = CoordinatorKind::Transaction;
        self.at_coordinator_of(kind, transactional_id, &request, |coordinator, response| {
            let state = response.transaction_states.into_iter().next();
            let state = state.ok_or(ClientError::State("a transaction was asked for but not answered"))?;
            check(state.error_code)?;
            let partitions = state.topics.into_iter().flat_map(|topic| {
                let name: Arc<str> = topic.topic.into();
                topic.partitions.into_iter().map(move |index| TopicPartition::new(name.clone(), index))
            });
            Ok(TransactionDescription {
                coordinator,
                state: TransactionState::of_name(&state.transaction_state),
                producer_id: ProducerId(state.producer_id),
                producer_epoch: ProducerEpoch(state.producer_epoch),
                timeout_ms: state.transaction_timeout_ms,
                started: Some(Timestamp(state.transaction_start_time_ms)).filter(|time| time.0 >= 0),
                partitions: partitions.collect(),
            })
        })
        .await
    }

    /// Fences the producer that uses a transactional id, which aborts its transaction. Answers with the producer id and
    /// the epoch that nobody has now.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn fence_producer(&self, transactional_id: &str) -> Result<(ProducerId, ProducerEpoch)> {
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id.to_owned()),
            // The id's next producer brings its own.
            transaction_timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let kind = CoordinatorKind::Transaction;
        self.at_coordinator_of(kind, transactional_id, &request, |_, response| {
            check(response.error_code)?;
            Ok((ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch)))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_kafkas_names() {
        for (state, name) in TransactionState::NAMES {
            assert_eq!((TransactionState::of_name(name), state.to_string().as_str()), (state, name));
        }
        assert_eq!(TransactionState::of_name("Dead"), TransactionState::Unknown);
    }
}
