use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::TransactionState;
use ottla_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};
use ottla_transactions::{Request, Response};
use std::sync::Arc;

/// DescribeTransactions: what the coordinators of this broker know of transactional ids.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeTransactionsRequest>() else { return };
    if request.transactional_ids.is_empty() {
        return reply.send(&DescribeTransactionsResponse::default());
    }
    let finish = move |transaction_states| {
        reply.send(&DescribeTransactionsResponse { transaction_states, ..Default::default() });
    };
    let gather = Arc::new(Gather::new(request.transactional_ids.len(), Box::new(finish)));
    for (index, transactional_id) in request.transactional_ids.into_iter().enumerate() {
        let gather = gather.clone();
        if transactional_id.is_empty() {
            let error_code = ErrorCode::InvalidRequest.code();
            gather.put(index, TransactionState { error_code, transactional_id, ..Default::default() });
            continue;
        }
        let reply_to = Box::new(move |response| {
            if let Response::Describe(state) = response {
                gather.put(index, *state);
            }
        });
        let id = transactional_id.clone();
        broker.transactions.submit(broker, &id, Request::Describe { transactional_id }, reply_to);
    }
}
