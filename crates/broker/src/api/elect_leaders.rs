use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use ottla_controller::{Context, Controller, Outcome, refused_partitions};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use std::sync::Arc;

/// ElectLeaders: the preferred replicas, or any living one, are to lead (KIP-183, KIP-460).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ElectLeadersRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&request.refuse(caller.version(), code));
    }
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for ElectLeadersRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<ElectLeadersResponse> {
        controller.elect_leaders(self)
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> ElectLeadersResponse {
        ElectLeadersResponse {
            // Version 0 has no error of the whole.
            error_code: if version == 0 { 0 } else { code.code() },
            replica_election_results: refused_partitions(self, code, words(code).as_deref()),
            ..Default::default()
        }
    }
}
