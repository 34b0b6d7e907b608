//! How a connection to another node begins: each side says which APIs it has, in which versions.

use bytes::BytesMut;
use ottla_net::{Greeted, Greeting};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use ottla_protocol::{ApiKey, EncodeError, ErrorCode, Message, Reader, Request, VersionRange, Writer};
use std::collections::BTreeMap;

/// What this software calls itself.
const SOFTWARE_NAME: &str = "ottla";

/// The APIs that another node serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerVersions(BTreeMap<i16, VersionRange>);

impl PeerVersions {
    /// The highest version of `ours` that the other node has too; `None` when there is none.
    pub fn common(&self, api_key: ApiKey, ours: VersionRange) -> Option<i16> {
        let theirs = self.0.get(&api_key.code())?;
        let highest = theirs.max.min(ours.max);
        (highest >= theirs.min.max(ours.min)).then_some(highest)
    }
}

impl FromIterator<(ApiKey, VersionRange)> for PeerVersions {
    fn from_iter<I: IntoIterator<Item = (ApiKey, VersionRange)>>(versions: I) -> Self {
        Self(versions.into_iter().map(|(key, range)| (key.code(), range)).collect())
    }
}

/// Asks for the APIs of the other node: in the newest version first, and in version 0 of a node that does not know it
/// (KIP-511).
pub struct ApiVersionsGreeting {
    newest: BytesMut,
    oldest: BytesMut,
}

impl ApiVersionsGreeting {
    /// The greeting of the node with this client id.
    ///
    /// # Errors
    /// The client id is longer than a request may hold.
    pub fn new(client_id: &str) -> Result<Self, EncodeError> {
        let request = api_versions_request();
        let newest = request_bytes(&request, ApiKey::ApiVersions.versions().max, Some(client_id))?;
        let oldest = request_bytes(&ApiVersionsRequest::default(), 0, Some(client_id))?;
        Ok(Self { newest, oldest })
    }
}

impl Greeting for ApiVersionsGreeting {
    type Known = PeerVersions;

    fn begin(&self) -> BytesMut {
        self.newest.clone()
    }

    fn answered(&self, round: usize, answer: &[u8]) -> Result<Greeted<PeerVersions>, String> {
        let (mut reader, newest) = (Reader::new(answer), ApiKey::ApiVersions.versions().max);
        let header_version = ApiKey::ApiVersions.response_header_version(newest);
        ResponseHeader::view_from(&mut reader, header_version).map_err(|error| error.to_string())?;
        let code = reader.rest().first_chunk().map(|code| i16::from_be_bytes(*code));
        if round == 0 && code == Some(ErrorCode::UnsupportedVersion.code()) {
            return Ok(Greeted::Again(self.oldest.clone()));
        }
        let version = if round == 0 { newest } else { 0 };
        let response = ApiVersionsResponse::decode_from(&mut reader, version).map_err(|error| error.to_string())?;
        if response.error_code != ErrorCode::None.code() {
            let name = ErrorCode::from_code(response.error_code).map_or("an unknown error", ErrorCode::name);
            return Err(format!("ApiVersions is refused: {name}"));
        }
        let range = |api: &ottla_protocol::messages::api_versions_response::ApiVersion| {
            (api.api_key, VersionRange { min: api.min_version, max: api.max_version })
        };
        Ok(Greeted::Known(PeerVersions(response.api_keys.iter().map(range).collect())))
    }
}

/// Asks what another node serves, and says what asks.
pub(crate) fn api_versions_request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: SOFTWARE_NAME.to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    }
}

/// A request with its header. The correlation id is filled in by whoever sends it.
pub(crate) fn request_bytes<R: Request>(
    request: &R,
    version: i16,
    client_id: Option<&str>,
) -> Result<BytesMut, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::API_KEY.code(),
        request_api_version: version,
        correlation_id: 0,
        client_id: client_id.map(str::to_owned),
        ..Default::default()
    };
    let header_version = R::API_KEY.request_header_version(version);
    let size = header.encoded_size(header_version)? + request.encoded_size(version)?;
    let mut writer = Writer::with_capacity(size);
    header.encode(&mut writer, header_version)?;
    request.encode(&mut writer, version)?;
    Ok(writer.into_parts().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::api_versions_response::ApiVersion;

    fn answer(code: ErrorCode, apis: &[(i16, i16, i16)], version: i16) -> Vec<u8> {
        let api_keys = apis.iter().map(|(api_key, min_version, max_version)| ApiVersion {
            api_key: *api_key,
            min_version: *min_version,
            max_version: *max_version,
            ..Default::default()
        });
        let response =
            ApiVersionsResponse { error_code: code.code(), api_keys: api_keys.collect(), ..Default::default() };
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend_from_slice(&response.to_bytes(version).unwrap());
        bytes
    }

    fn greeting() -> ApiVersionsGreeting {
        ApiVersionsGreeting::new("3").unwrap()
    }

    #[test]
    fn the_highest_version_that_both_have_is_used() {
        let bytes = answer(ErrorCode::None, &[(1, 4, 12), (0, 9, 13), (9999, 0, 0)], 4);
        let Ok(Greeted::Known(versions)) = greeting().answered(0, &bytes) else { panic!() };
        let range = |min, max| VersionRange { min, max };
        assert_eq!(versions.common(ApiKey::Fetch, range(0, 18)), Some(12));
        assert_eq!(versions.common(ApiKey::Fetch, range(0, 5)), Some(5));
        assert_eq!(versions.common(ApiKey::Fetch, range(13, 18)), None);
        assert_eq!(versions.common(ApiKey::Fetch, range(0, 3)), None);
        assert_eq!(versions.common(ApiKey::Vote, range(0, 2)), None);
    }

    #[test]
    fn a_node_without_the_newest_version_is_asked_in_the_oldest() {
        let refusal = answer(ErrorCode::UnsupportedVersion, &[(18, 0, 2)], 0);
        let Ok(Greeted::Again(request)) = greeting().answered(0, &refusal) else { panic!() };
        assert_eq!(&request[..4], [0, 18, 0, 0]);
        let Ok(Greeted::Known(versions)) = greeting().answered(1, &answer(ErrorCode::None, &[(1, 4, 11)], 0)) else {
            panic!()
        };
        assert_eq!(versions.common(ApiKey::Fetch, ApiKey::Fetch.versions()), Some(11));
        // A second refusal is none to try again for.
        assert!(greeting().answered(1, &refusal).is_err());
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        for bytes in
            [&[][..], &[0, 0, 0, 1], &[0, 0, 0, 1, 0, 0, 9], &answer(ErrorCode::ClusterAuthorizationFailed, &[], 4)]
        {
            assert!(greeting().answered(0, bytes).is_err(), "{bytes:?}");
        }
    }
}
