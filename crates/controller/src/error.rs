use ottla_protocol::ErrorCode;
use ottla_types::NodeId;

/// An error as responses carry it: a code, and a sentence where the code alone does not say what is wrong. The sentences
/// that tools show to their users are worded as Kafka's, since scripts look for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The sentence; `None` where clients show their own for the code.
    pub message: Option<String>,
}

impl ApiError {
    /// An error with a sentence of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// An error that its code explains.
    pub fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    /// The number and the sentence of a result, which may be none.
    pub(crate) fn parts(result: Result<(), Self>) -> (i16, Option<String>) {
        match result {
            Ok(()) => (ErrorCode::None.code(), None),
            Err(error) => (error.code.code(), error.message),
        }
    }
}

/// What a node answers that is not the active controller: with the hint who is, where the quorum knows.
pub fn not_controller(leader: Option<NodeId>) -> ApiError {
    let message = match leader {
        Some(id) => format!("The active controller appears to be node {id}."),
        None => "No controller appears to be active.".to_owned(),
    };
    ApiError::new(ErrorCode::NotController, message)
}
