use crate::quorum::MetadataQuorum;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::AllocateProducerIdsRequest;
use ottla_types::{BrokerEpoch, NodeId, ProducerId};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

/// Hands out producer ids of the block that the controller has given to this broker, and asks for the next one when it
/// is used up. An id that was not used when the broker stops is never used.
pub(crate) struct ProducerIds {
    node_id: NodeId,
    broker_epoch: AtomicI64,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(node_id: NodeId) -> Self {
        Self { node_id, broker_epoch: AtomicI64::new(-1), block: Mutex::new(0..0) }
    }

    /// The broker was registered.
    pub(crate) fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.broker_epoch.store(epoch.value(), Ordering::Release);
    }

    pub(crate) fn next(&self, quorum: &MetadataQuorum) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock();
        if block.is_empty() {
            *block = self.allocate(quorum)?;
        }
        block.next().map(ProducerId::new).ok_or(ErrorCode::CoordinatorLoadInProgress)
    }

    fn allocate(&self, quorum: &MetadataQuorum) -> Result<Range<i64>, ErrorCode> {
        let request = AllocateProducerIdsRequest {
            broker_id: self.node_id.value(),
            broker_epoch: self.broker_epoch.load(Ordering::Acquire),
            ..Default::default()
        };
        let response = quorum.decide_now(&request).map_err(|_| ErrorCode::CoordinatorLoadInProgress)?;
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => {
                let start = response.producer_id_start;
                Ok(start..start.saturating_add(i64::from(response.producer_id_len)))
            }
            // Producers ask again after this one; the true reason is for the log.
            other => {
                tracing::warn!(code = ?other, "no producer ids");
                Err(ErrorCode::CoordinatorLoadInProgress)
            }
        }
    }
}
