use crate::broker::Broker;
use crate::call::Call;
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use ottla_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

/// DescribeUserScramCredentials: who has which, and how often the password was hashed (KIP-554). Nothing that could be used.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<DescribeUserScramCredentialsRequest>() else { return };
    let image = broker.metadata.image();
    let mut asked: BTreeMap<&str, u32> = BTreeMap::new();
    for user in request.users.iter().flatten() {
        *asked.entry(&user.name).or_default() += 1;
    }
    if asked.is_empty() {
        asked.extend(image.scram.credentials.keys().map(|(_, user)| (user.as_str(), 1)));
    }
    let results = asked.into_iter().map(|(user, times)| result(&image, user, times));
    reply.send(&DescribeUserScramCredentialsResponse {
        results: results.collect(),
        // Kafka's answer has a sentence here and in each good result, an empty one.
        error_message: Some(String::new()),
        ..Default::default()
    });
}

fn result(image: &MetadataImage, user: &str, times: u32) -> DescribeUserScramCredentialsResult {
    let refuse = |code: ErrorCode, message: String| DescribeUserScramCredentialsResult {
        user: user.to_owned(),
        error_code: code.code(),
        error_message: Some(message),
        ..Default::default()
    };
    if times > 1 {
        let message = format!("User {user} is asked for twice in one request.");
        return refuse(ErrorCode::DuplicateResource, message);
    }
    let of_mechanism = |mechanism: i8| image.scram.credentials.get(&(mechanism, user.to_owned()));
    let credentials = [1, 2].into_iter().filter_map(of_mechanism);
    let infos: Vec<CredentialInfo> = credentials
        .map(|record| CredentialInfo {
            mechanism: record.mechanism,
            iterations: record.iterations,
            ..Default::default()
        })
        .collect();
    if infos.is_empty() {
        return refuse(ErrorCode::ResourceNotFound, format!("User {user} has no credentials."));
    }
    DescribeUserScramCredentialsResult {
        user: user.to_owned(),
        credential_infos: infos,
        error_message: Some(String::new()),
        ..Default::default()
    }
}
