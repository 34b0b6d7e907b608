use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_acls_response::AclCreationResult;
use ottla_protocol::messages::{CreateAclsRequest, CreateAclsResponse};
use std::sync::Arc;

/// CreateAcls: refused, there is no authorizer.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<CreateAclsRequest>() else { return };
    let is_unknown = request.creations.iter().any(|rule| {
        [rule.resource_pattern_type, rule.resource_type, rule.permission_type, rule.operation].contains(&0)
    });
    if is_unknown {
        return reply.close("an access rule of an unknown kind");
    }
    let refused = |_| AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(super::NO_AUTHORIZER.to_owned()),
        ..Default::default()
    };
    let results = request.creations.iter().map(refused).collect();
    reply.send(&CreateAclsResponse { results, ..Default::default() });
}
