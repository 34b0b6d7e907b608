use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::{ErrorCode, Request};

/// A request that the active controller decides.
pub(crate) trait Decidable: Request + Send {
    /// What the controller makes of it. The context holds the version in which it came.
    fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<Self::Response>;

    /// The response when nothing is decided: there is no active controller here, or its log can't be written.
    fn refuse(&self, version: i16, code: ErrorCode) -> Self::Response;
}
