//! Answers that say only an error: to requests that never reached the machine, and in place of answers whose records
//! could not be written.

use crate::{Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::TransactionState;

/// The answer to a request that the coordinator does not take.
pub fn refuse(request: &Request, error: ErrorCode) -> Response {
    match request {
        Request::InitProducerId(_) => Response::InitProducerId(Err(error)),
        Request::AddPartitions(_) => Response::AddPartitions(error),
        Request::VerifyPartitions(_) => Response::VerifyPartitions(Err(error)),
        Request::EndTransaction(_) => Response::EndTransaction(Err(error)),
        Request::AbortTimedOut { .. } | Request::MarkersWritten(_) => Response::Done,
        Request::Describe { transactional_id } => describe_error(transactional_id.clone(), error),
        Request::List(_) => Response::List(Err(error)),
    }
}

pub(crate) fn describe_error(transactional_id: String, error: ErrorCode) -> Response {
    let state = TransactionState { error_code: error.code(), transactional_id, ..Default::default() };
    Response::Describe(Box::new(state))
}

/// What a transactional client is told when an append to the transaction log fails with `error`.
pub fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}

/// Turns an answer that waited for its records into the error that they met. `error` is that of the log.
pub fn fail_response(response: Response, error: ErrorCode) -> Response {
    let code = append_error(error);
    match response {
        Response::InitProducerId(_) => Response::InitProducerId(Err(code)),
        Response::AddPartitions(_) => Response::AddPartitions(code),
        Response::VerifyPartitions(_) => Response::VerifyPartitions(Err(code)),
        Response::EndTransaction(_) => Response::EndTransaction(Err(code)),
        Response::Describe(state) => describe_error(state.transactional_id, code),
        Response::List(_) => Response::List(Err(code)),
        Response::NeedsProducerId | Response::Done => response,
    }
}
