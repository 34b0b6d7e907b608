use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_transactions_response::TransactionState;
use ottla_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use ottla_transactions::{ListFilter, Request, Response};
use ottla_types::ProducerId;
use std::sync::Arc;

/// ListTransactions: the transactional ids of all partitions that this broker coordinates.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<ListTransactionsRequest>() else { return };
    let (filter, unknown_state_filters) = ListFilter::all().states(&request.state_filters);
    let producer_ids = request.producer_id_filters.into_iter().map(ProducerId::new);
    let filter = filter.producer_ids(producer_ids).duration_ms(request.duration_filter);
    let filter = match filter.pattern(request.transactional_id_pattern.as_deref()) {
        Ok(filter) => filter,
        Err(_) => {
            let error_code = ErrorCode::InvalidRegularExpression.code();
            return reply.send(&ListTransactionsResponse { error_code, ..Default::default() });
        }
    };
    let shards = broker.transactions.shards();
    if shards == 0 {
        return reply.send(&ListTransactionsResponse { unknown_state_filters, ..Default::default() });
    }
    let finish = move |answers: Vec<Response>| reply.send(&merge(answers, unknown_state_filters));
    let gather = Arc::new(Gather::new(shards, Box::new(finish)));
    broker.transactions.submit_to_all(&Request::List(filter), |index| {
        let gather = gather.clone();
        Box::new(move |response| gather.put(index, response))
    });
}

fn merge(answers: Vec<Response>, unknown_state_filters: Vec<String>) -> ListTransactionsResponse {
    let mut merged = ListTransactionsResponse { unknown_state_filters, ..Default::default() };
    for answer in answers {
        match answer {
            Response::List(Ok(listed)) => {
                merged.transaction_states.extend(listed.into_iter().map(|transaction| TransactionState {
                    transactional_id: transaction.transactional_id.to_string(),
                    producer_id: transaction.producer_id.value(),
                    transaction_state: transaction.state.name().to_owned(),
                    ..Default::default()
                }));
            }
            // A partition that is still loading makes the list incomplete: the client must ask again.
            Response::List(Err(code)) => {
                return ListTransactionsResponse { error_code: code.code(), ..Default::default() };
            }
            _ => {}
        }
    }
    merged
}
