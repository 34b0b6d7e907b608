use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use ottla_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};
use std::sync::Arc;

/// DeleteAcls: refused, there is no authorizer.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DeleteAclsRequest>() else { return };
    let is_unknown = request.filters.iter().any(|filter| {
        [filter.pattern_type_filter, filter.resource_type_filter, filter.permission_type, filter.operation].contains(&0)
    });
    if is_unknown {
        return reply.close("a filter of access rules with an unknown kind");
    }
    let refused = |_| DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(super::NO_AUTHORIZER.to_owned()),
        ..Default::default()
    };
    let filter_results = request.filters.iter().map(refused).collect();
    reply.send(&DeleteAclsResponse { filter_results, ..Default::default() });
}
