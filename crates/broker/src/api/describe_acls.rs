use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use std::sync::Arc;

/// DescribeAcls: there is no authorizer, so there are no rules to tell of.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeAclsRequest>() else { return };
    let kinds = [request.pattern_type_filter, request.resource_type_filter, request.permission_type, request.operation];
    if kinds.contains(&0) {
        return reply.close("a filter of access rules with an unknown kind");
    }
    let code = ErrorCode::SecurityDisabled;
    reply.send(&DescribeAclsResponse {
        error_code: code.code(),
        error_message: Some(super::NO_AUTHORIZER.to_owned()),
        ..Default::default()
    });
}
