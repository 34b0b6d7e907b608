use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use ottla_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use std::net::IpAddr;
use std::sync::Arc;

/// AlterClientQuotas: sets and removes quotas of users, clients and addresses (KIP-546).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AlterClientQuotasRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

/// Addresses as such, and the one name that every host knows. Kafka asks the domain name system for others; that would let a
/// client hold a thread of the server for as long as a name server takes.
fn names_an_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || name == "localhost"
}

impl Decidable for AlterClientQuotasRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<AlterClientQuotasResponse> {
        controller.alter_client_quotas(self, &names_an_address)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterClientQuotasResponse {
        let entries = self.entries.iter().map(|entry| EntryData {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            entity: entry
                .entity
                .iter()
                .map(|part| EntityData {
                    entity_type: part.entity_type.clone(),
                    entity_name: part.entity_name.clone(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_this_host_names_an_address() {
        for good in ["127.0.0.1", "::1", "localhost"] {
            assert!(names_an_address(good), "{good}");
        }
        for bad in ["", "not an address", "1.2.3.4.5"] {
            assert!(!names_an_address(bad), "{bad}");
        }
    }
}
