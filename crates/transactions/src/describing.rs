//! DescribeTransactions.

use crate::record::grouped;
use crate::refusal::describe_error;
use crate::{Response, TransactionCoordinator};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use ottla_types::PartitionIndex;

impl TransactionCoordinator {
    pub(crate) fn describe(&self, transactional_id: String) -> Response {
        if transactional_id.is_empty() {
            return describe_error(transactional_id, ErrorCode::InvalidRequest);
        }
        let Some(transaction) = self.transactions.get(transactional_id.as_str()) else {
            return describe_error(transactional_id, ErrorCode::TransactionalIdNotFound);
        };
        let topics = grouped(&transaction.partitions).into_iter().map(|(topic, partitions)| TopicData {
            topic: topic.to_string(),
            partitions: partitions.into_iter().map(PartitionIndex::value).collect(),
            ..Default::default()
        });
        Response::Describe(Box::new(TransactionState {
            error_code: ErrorCode::None.code(),
            transactional_id,
            transaction_state: transaction.state.name().to_owned(),
            transaction_timeout_ms: transaction.timeout_ms,
            transaction_start_time_ms: transaction.start_timestamp.value(),
            producer_id: transaction.producer_id.value(),
            producer_epoch: transaction.producer_epoch.value(),
            topics: topics.collect(),
            ..Default::default()
        }))
    }
}
