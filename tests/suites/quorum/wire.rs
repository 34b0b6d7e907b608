//! Frames of requests and answers, over connections of the system.

use bytes::Bytes;
use core::time::Duration;
use ottla_protocol::messages::{
    AddRaftVoterResponse, ApiVersionsRequest, ApiVersionsResponse, BeginQuorumEpochRequest, BeginQuorumEpochResponse,
    EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, RemoveRaftVoterResponse, UpdateRaftVoterRequest, UpdateRaftVoterResponse, VoteRequest,
    VoteResponse, api_versions_response,
};
use ottla_protocol::{ApiKey, Message};
use ottla_raft::{Address, Request, Response};
use std::io::{Read, Write};
use std::net::TcpStream;

/// What the voter serves: API, and its lowest and highest version.
const SERVED: [(ApiKey, i16, i16); 7] = [
    (ApiKey::Fetch, 17, 18),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::Vote, 0, 2),
    (ApiKey::BeginQuorumEpoch, 0, 1),
    (ApiKey::EndQuorumEpoch, 0, 1),
    (ApiKey::FetchSnapshot, 0, 1),
    (ApiKey::UpdateRaftVoter, 0, 0),
];

pub(crate) struct Frame {
    pub(crate) version: i16,
    pub(crate) correlation: [u8; 4],
    /// `None` for ApiVersions, and for what is not served.
    pub(crate) request: Option<Request>,
    is_api_versions: bool,
}

pub(crate) fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn write_frame(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    stream.write_all(&frame)
}

/// Reads a request with its header.
pub(crate) fn parse(bytes: &[u8]) -> Frame {
    let number = |at: usize| i16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (key, version) = (number(0), number(2));
    let client_id = usize::try_from(number(8)).unwrap_or(0);
    let body = 10 + client_id;
    let is = |api: ApiKey| key == api.code();
    // The old versions of the two are not flexible, and have no tagged fields in the header.
    let is_old = (is(ApiKey::BeginQuorumEpoch) || is(ApiKey::EndQuorumEpoch)) && version == 0;
    let is_old = is_old || (is(ApiKey::ApiVersions) && version < 3);
    let body = &bytes[body + usize::from(!is_old)..];
    let request = if is(ApiKey::Fetch) {
        Some(Request::Fetch(FetchRequest::decode(body, version).unwrap()))
    } else if is(ApiKey::Vote) {
        Some(Request::Vote(VoteRequest::decode(body, version).unwrap()))
    } else if is(ApiKey::BeginQuorumEpoch) {
        Some(Request::BeginQuorumEpoch(BeginQuorumEpochRequest::decode(body, version).unwrap()))
    } else if is(ApiKey::EndQuorumEpoch) {
        Some(Request::EndQuorumEpoch(EndQuorumEpochRequest::decode(body, version).unwrap()))
    } else if is(ApiKey::FetchSnapshot) {
        Some(Request::FetchSnapshot(FetchSnapshotRequest::decode(body, version).unwrap()))
    } else if is(ApiKey::UpdateRaftVoter) {
        Some(Request::UpdateRaftVoter(UpdateRaftVoterRequest::decode(body, version).unwrap()))
    } else {
        None
    };
    let correlation = [bytes[4], bytes[5], bytes[6], bytes[7]];
    Frame { version, correlation, request, is_api_versions: is(ApiKey::ApiVersions) }
}

/// What the voter answers by itself: which versions it serves, and that it knows of `kraft.version` 1.
pub(crate) fn answer_api_versions(frame: &Frame) -> Option<Vec<u8>> {
    if !frame.is_api_versions {
        return None;
    }
    let api = |(api, min_version, max_version): (ApiKey, i16, i16)| api_versions_response::ApiVersion {
        api_key: api.code(),
        min_version,
        max_version,
        ..Default::default()
    };
    let feature = api_versions_response::SupportedFeatureKey {
        name: "kraft.version".to_owned(),
        min_version: 0,
        max_version: 1,
        ..Default::default()
    };
    let response = ApiVersionsResponse {
        api_keys: SERVED.map(api).to_vec(),
        supported_features: vec![feature],
        ..Default::default()
    };
    let mut bytes = frame.correlation.to_vec();
    bytes.extend(response.to_bytes(frame.version).unwrap());
    Some(bytes)
}

/// An answer with its header.
pub(crate) fn response_bytes(response: &Response, version: i16, correlation: [u8; 4]) -> Vec<u8> {
    let (body, is_old): (Bytes, bool) = match response {
        Response::Vote(message) => (message.to_bytes(version).unwrap(), false),
        Response::BeginQuorumEpoch(message) => (message.to_bytes(version).unwrap(), version == 0),
        Response::EndQuorumEpoch(message) => (message.to_bytes(version).unwrap(), version == 0),
        Response::Fetch(message, _) => (message.to_bytes(version).unwrap(), false),
        Response::FetchSnapshot(message) => (message.to_bytes(version).unwrap(), false),
        Response::UpdateRaftVoter(message) => (message.to_bytes(version).unwrap(), false),
        other => panic!("nobody asks for {other:?}"),
    };
    let mut bytes = correlation.to_vec();
    bytes.extend((!is_old).then_some(0));
    bytes.extend(body);
    bytes
}

pub(crate) fn send_back(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    write_frame(stream, bytes)
}

/// Asks on a connection of its own, and waits for the answer.
pub(crate) fn ask(address: &Address, request: &Request) -> std::io::Result<Response> {
    let (api, version, body): (ApiKey, i16, Bytes) = match request {
        Request::Vote(message) => (ApiKey::Vote, 2, message.to_bytes(2).unwrap()),
        Request::BeginQuorumEpoch(message) => (ApiKey::BeginQuorumEpoch, 1, message.to_bytes(1).unwrap()),
        Request::EndQuorumEpoch(message) => (ApiKey::EndQuorumEpoch, 1, message.to_bytes(1).unwrap()),
        Request::Fetch(message) => (ApiKey::Fetch, 18, message.to_bytes(18).unwrap()),
        Request::FetchSnapshot(message) => (ApiKey::FetchSnapshot, 1, message.to_bytes(1).unwrap()),
        Request::AddRaftVoter(message) => (ApiKey::AddRaftVoter, 1, message.to_bytes(1).unwrap()),
        Request::RemoveRaftVoter(message) => (ApiKey::RemoveRaftVoter, 0, message.to_bytes(0).unwrap()),
        Request::UpdateRaftVoter(message) => (ApiKey::UpdateRaftVoter, 0, message.to_bytes(0).unwrap()),
        Request::ApiVersions => {
            let request = ApiVersionsRequest {
                client_software_name: "ottla".to_owned(),
                client_software_version: "1".to_owned(),
                ..Default::default()
            };
            (ApiKey::ApiVersions, 3, request.to_bytes(3).unwrap())
        }
    };
    let mut stream = TcpStream::connect((address.host.as_str(), address.port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut bytes = api.code().to_be_bytes().to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    // Correlation 1, no client id, no tagged fields.
    bytes.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0]);
    bytes.extend_from_slice(&body);
    write_frame(&mut stream, &bytes)?;
    let answer = read_frame(&mut stream)?;
    let body = &answer[if api == ApiKey::ApiVersions { 4 } else { 5 }..];
    Ok(match request {
        Request::Vote(_) => Response::Vote(VoteResponse::decode(body, version).unwrap()),
        Request::BeginQuorumEpoch(_) => {
            Response::BeginQuorumEpoch(BeginQuorumEpochResponse::decode(body, version).unwrap())
        }
        Request::EndQuorumEpoch(_) => Response::EndQuorumEpoch(EndQuorumEpochResponse::decode(body, version).unwrap()),
        Request::Fetch(_) => {
            let message = FetchResponse::decode(body, version).unwrap();
            let partition = message.responses.iter().flat_map(|topic| &topic.partitions).next();
            let records = partition.and_then(|partition| partition.records.as_bytes()).cloned().unwrap_or_default();
            Response::Fetch(message, crate::store::summaries(&records))
        }
        Request::FetchSnapshot(_) => Response::FetchSnapshot(FetchSnapshotResponse::decode(body, version).unwrap()),
        Request::AddRaftVoter(_) => Response::AddRaftVoter(AddRaftVoterResponse::decode(body, version).unwrap()),
        Request::RemoveRaftVoter(_) => {
            Response::RemoveRaftVoter(RemoveRaftVoterResponse::decode(body, version).unwrap())
        }
        Request::UpdateRaftVoter(_) => {
            Response::UpdateRaftVoter(UpdateRaftVoterResponse::decode(body, version).unwrap())
        }
        Request::ApiVersions => Response::ApiVersions(ApiVersionsResponse::decode(body, version).unwrap()),
    })
}
