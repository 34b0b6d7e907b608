//! DeleteRecords that wait until all live replicas have deleted the records too.

use crate::partition::Partition;
use crate::purgatory::Awaited;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DeleteRecordsResponse;
use ottla_types::Offset;
use std::sync::Arc;

/// A partition that is waited for: where its log is to begin on all replicas, and where its answer stands in the response.
pub(crate) struct Deleting {
    pub(crate) partition: Arc<Partition>,
    pub(crate) before: Offset,
    pub(crate) topic: usize,
    pub(crate) index: usize,
}

impl Deleting {
    /// The low watermark when it is where it has to be, or why it never will be; `None` while it is on its way.
    fn outcome(&self) -> Option<Result<Offset, ErrorCode>> {
        if self.partition.is_gone() {
            return Some(Err(ErrorCode::UnknownTopicOrPartition));
        }
        if self.partition.log.is_offline() {
            return Some(Err(ErrorCode::KafkaStorageError));
        }
        match self.partition.low_watermark() {
            None => Some(Err(ErrorCode::NotLeaderOrFollower)),
            Some(low_watermark) => (low_watermark >= self.before).then_some(Ok(low_watermark)),
        }
    }

    fn answer(&self, response: &mut DeleteRecordsResponse, outcome: Result<Offset, ErrorCode>) {
        let topic = response.topics.get_mut(self.topic);
        let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(self.index)) else { return };
        match outcome {
            Ok(low_watermark) => partition.low_watermark = low_watermark.value(),
            Err(code) => {
                partition.error_code = code.code();
                partition.low_watermark = -1;
            }
        }
    }
}

impl Awaited for Deleting {
    type Response = DeleteRecordsResponse;

    fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    fn is_settled(&self, response: &mut DeleteRecordsResponse) -> bool {
        let Some(outcome) = self.outcome() else { return false };
        self.answer(response, outcome);
        true
    }

    /// As in Apache Kafka, what timed out says how far it was at first.
    fn time_out(&self, response: &mut DeleteRecordsResponse) {
        let topic = response.topics.get_mut(self.topic);
        if let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(self.index)) {
            partition.error_code = ErrorCode::RequestTimedOut.code();
        }
    }
}
