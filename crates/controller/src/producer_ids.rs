use crate::{Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use ottla_protocol::metadata_records::{MetadataRecord, ProducerIdsRecord};
use ottla_types::{BrokerEpoch, NodeId};

/// How many producer ids a broker gets at a time. Kafka's figure.
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1_000;

impl Controller {
    /// AllocateProducerIds: a broker needs a block of ids that no other broker has or will get.
    pub fn allocate_producer_ids(
        &mut self,
        request: &AllocateProducerIdsRequest,
    ) -> Outcome<AllocateProducerIdsResponse> {
        let refuse = |code: ErrorCode| {
            Outcome::answer(AllocateProducerIdsResponse { error_code: code.code(), ..Default::default() })
        };
        let (id, epoch) = (NodeId(request.broker_id), BrokerEpoch(request.broker_epoch));
        if let Err(error) = self.check_broker_epoch(id, epoch) {
            return refuse(error.code);
        }
        let first = self.image.next_producer_id.0.max(0);
        let Some(next_producer_id) = first.checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)) else {
            return refuse(ErrorCode::UnknownServerError);
        };
        let record = ProducerIdsRecord {
            broker_id: request.broker_id,
            broker_epoch: request.broker_epoch,
            next_producer_id,
            ..Default::default()
        };
        let response = AllocateProducerIdsResponse {
            producer_id_start: first,
            producer_id_len: PRODUCER_ID_BLOCK_SIZE,
            ..Default::default()
        };
        Outcome::atomic(vec![MetadataRecord::ProducerIds(record).into()], response)
    }
}
