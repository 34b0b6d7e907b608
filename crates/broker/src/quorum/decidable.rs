use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::{ErrorCode, Request};

/// A request that the active controller decides.
pub(crate) trait Decidable: Request + Send + 'static {
    /// What the controller makes of it. The context holds the version in which it came.
    fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<Self::Response>;

    /// What a controller answers that is not active, from what it has replayed; `None` when only the active one can answer.
    fn read(&self, _controller: &mut Controller, _context: &Context) -> Option<Self::Response> {
        None
    }

    /// The response when nothing is decided: there is no active controller here, or its log can't be written.
    fn refuse(&self, version: i16, code: ErrorCode) -> Self::Response;
}

/// What is said of a refusal where administrators read it: a controller that is not active says so, and nobody says anything of
/// a request whose time is over.
pub(crate) fn words(code: ErrorCode) -> Option<String> {
    (code == ErrorCode::NotController).then(|| code.message().to_owned())
}
