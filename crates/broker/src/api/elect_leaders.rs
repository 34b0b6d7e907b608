use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use ottla_controller::refused_partitions;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use std::sync::Arc;

/// ElectLeaders: the preferred replicas, or any living one, are to lead (KIP-183, KIP-460).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ElectLeadersRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&refuse(&request, code, caller.version()));
    }
    broker.quorum.decide(
        caller.version(),
        |controller, _| controller.elect_leaders(&request),
        |result| reply.send(&result.unwrap_or_else(|code| refuse(&request, code, caller.version()))),
    );
}

fn refuse(request: &ElectLeadersRequest, code: ErrorCode, version: i16) -> ElectLeadersResponse {
    ElectLeadersResponse {
        // Version 0 has no error of the whole.
        error_code: if version == 0 { 0 } else { code.code() },
        replica_election_results: refused_partitions(request, code, None),
        ..Default::default()
    }
}
