use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use ottla_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use std::collections::BTreeSet;
use std::sync::Arc;

/// AlterUserScramCredentials: makes, changes and removes the credentials of users (KIP-554).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AlterUserScramCredentialsRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for AlterUserScramCredentialsRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<AlterUserScramCredentialsResponse> {
        controller.alter_user_scram_credentials(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterUserScramCredentialsResponse {
        let deleted = self.deletions.iter().map(|deletion| &deletion.name);
        let users: BTreeSet<&String> = deleted.chain(self.upsertions.iter().map(|upsertion| &upsertion.name)).collect();
        let results = users.into_iter().map(|user| AlterUserScramCredentialsResult {
            user: user.clone(),
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        });
        AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
    }
}
