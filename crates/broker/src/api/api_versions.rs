use super::advertised;
use crate::broker::Broker;
use crate::call::Call;
use crate::service::ListenerKind;
use ottla_metadata::{Feature, supported_features};
use ottla_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::{ApiKey, ErrorCode};
use std::sync::Arc;

/// ApiVersions: what this listener serves, and the features of the cluster.
pub(super) fn handle(broker: &Arc<Broker>, mut call: Call) {
    let listener = call.listener;
    if !ApiKey::ApiVersions.versions().contains(call.header.version) {
        // KIP-511: the answer is of version 0 and says which versions there are.
        let own = vec![api_version(ApiKey::ApiVersions)];
        call.reply.set_version(0);
        let error_code = ErrorCode::UnsupportedVersion.code();
        return call.reply.send(&ApiVersionsResponse { error_code, api_keys: own, ..Default::default() });
    }
    let Some((request, caller, reply)) = call.decode::<ApiVersionsRequest>() else { return };
    if caller.version() >= 3 {
        let (name, version) = (request.client_software_name, request.client_software_version);
        if !is_software_token(&name) || !is_software_token(&version) {
            let error_code = ErrorCode::InvalidRequest.code();
            return reply.send(&ApiVersionsResponse { error_code, ..Default::default() });
        }
        let mut state = caller.connection.state.lock();
        state.client_software_name = Some(name);
        state.client_software_version = Some(version);
    }
    reply.send(&response(broker, listener, caller.version()));
}

fn response(broker: &Broker, listener: ListenerKind, version: i16) -> ApiVersionsResponse {
    let image = broker.metadata.image();
    let supported_features = supported_features()
        // Clients of version 3 can't read a range that begins at 0.
        .filter(|(_, range)| version >= 4 || range.min > 0)
        .map(|(name, range)| SupportedFeatureKey {
            name: name.to_owned(),
            min_version: range.min,
            max_version: range.max,
            ..Default::default()
        })
        .collect();
    let mut finalized = image.features.finalized();
    // It is kept by the quorum, and not in the image. A level of 0 is none.
    if broker.quorum.kraft_version() > 0 {
        finalized.insert(Feature::KraftVersion.name().to_owned(), broker.quorum.kraft_version());
    }
    let finalized_features = finalized
        .into_iter()
        .map(|(name, level)| FinalizedFeatureKey {
            name,
            min_version_level: level,
            max_version_level: level,
            ..Default::default()
        })
        .collect();
    ApiVersionsResponse {
        api_keys: advertised(listener, broker.telemetry.is_exported()).map(api_version).collect(),
        supported_features,
        finalized_features_epoch: image.provenance.offset.value(),
        finalized_features,
        ..Default::default()
    }
}

fn api_version(key: ApiKey) -> ApiVersion {
    let versions = key.advertised_versions();
    ApiVersion { api_key: key.code(), min_version: versions.min, max_version: versions.max, ..Default::default() }
}

/// KIP-511: a name or version of a client library is letters, digits, dots and dashes, and neither begins nor ends with
/// one of the latter two.
fn is_software_token(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_name_is_letters_digits_dots_and_dashes_within() {
        for good in ["librdkafka", "apache-kafka-java", "4.4.0", "a"] {
            assert!(is_software_token(good), "{good}");
        }
        for bad in ["", " ", "-a", "a-", ".a", "a b", "ä"] {
            assert!(!is_software_token(bad), "{bad}");
        }
    }
}
