//! Produces whose records are appended and not yet safe enough to be acknowledged.

use crate::partition::Partition;
use crate::purgatory::Awaited;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ProduceResponse;
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_replication::Acknowledgement;
use ottla_types::Offset;
use std::sync::Arc;

/// An append that waits: its partition, its last offset, and where its answer stands in the response.
pub(crate) struct Waiting {
    pub(crate) partition: Arc<Partition>,
    pub(crate) last_offset: Offset,
    /// Whether all replicas in sync must have it, or this one alone.
    pub(crate) of_all: bool,
    pub(crate) topic: usize,
    pub(crate) index: usize,
}

/// What is known of an append that waits.
enum Fate {
    Open,
    Acknowledged,
    Failed(ErrorCode),
}

impl Waiting {
    fn is_safe_here(&self) -> bool {
        self.partition.log.acknowledgeable_offset() > self.last_offset
    }

    fn fate(&self) -> Fate {
        if self.is_safe_here() && !self.of_all {
            return Fate::Acknowledged;
        }
        match self.partition.acknowledgement(self.last_offset).filter(|_| self.of_all) {
            Some(Acknowledgement::Done) => return Fate::Acknowledged,
            Some(Acknowledgement::TooFewReplicas) => return Fate::Failed(ErrorCode::NotEnoughReplicasAfterAppend),
            Some(Acknowledgement::Waiting) | None => {}
        }
        if self.partition.log.is_offline() {
            Fate::Failed(ErrorCode::KafkaStorageError)
        } else if self.partition.is_gone() {
            Fate::Failed(ErrorCode::UnknownTopicOrPartition)
        } else if !self.partition.leadership().is_leader || self.of_all && self.partition.is_cut_off() {
            Fate::Failed(ErrorCode::NotLeaderOrFollower)
        } else {
            Fate::Open
        }
    }
}

impl Awaited for Waiting {
    type Response = ProduceResponse;

    fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    fn is_settled(&self, response: &mut ProduceResponse) -> bool {
        match self.fate() {
            Fate::Open => false,
            Fate::Acknowledged => true,
            Fate::Failed(code) => {
                refuse(response, self, code);
                true
            }
        }
    }

    fn time_out(&self, response: &mut ProduceResponse) {
        refuse(response, self, ErrorCode::RequestTimedOut);
    }
}

fn refuse(response: &mut ProduceResponse, waiting: &Waiting, code: ErrorCode) {
    let topic = response.responses.get_mut(waiting.topic);
    if let Some(part) = topic.and_then(|topic| topic.partition_responses.get_mut(waiting.index)) {
        *part = PartitionProduceResponse {
            index: part.index,
            error_code: code.code(),
            base_offset: -1,
            ..Default::default()
        };
    }
}
