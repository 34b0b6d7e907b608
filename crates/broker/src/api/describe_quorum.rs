use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::messages::DescribeQuorumRequest;
use std::sync::Arc;

/// DescribeQuorum: who votes on the metadata log, who leads it, and how far each is (KIP-595).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeQuorumRequest>() else { return };
    reply.send(&broker.quorum.describe(&request));
}
