//! Messages as they travel: every request and answer is encoded and read again in a version of Kafka's.

use crate::disk::{Content, decode, summary};
use crate::disk::{Entry, LogImage};
use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::messages::{ApiVersionsResponse, api_versions_response};
use ottla_raft::{BatchSummary, Request, Response};

/// The versions that two nodes of this release speak.
pub(crate) fn version_of(request: &Request) -> i16 {
    match request {
        Request::Vote(_) => 2,
        Request::BeginQuorumEpoch(_) | Request::EndQuorumEpoch(_) | Request::FetchSnapshot(_) => 1,
        Request::Fetch(_) => 18,
        Request::AddRaftVoter(_) => 1,
        Request::RemoveRaftVoter(_) | Request::UpdateRaftVoter(_) => 0,
        Request::ApiVersions => 4,
    }
}

fn again<M: Message + Clone>(message: &M, version: i16) -> M {
    let bytes: Bytes = message.to_bytes(version).expect("a message of the machine can be encoded");
    M::decode(&bytes, version).expect("what was encoded can be read")
}

pub(crate) fn travel_request(request: &Request, version: i16) -> Request {
    match request {
        Request::Vote(message) => Request::Vote(again(message, version)),
        Request::BeginQuorumEpoch(message) => Request::BeginQuorumEpoch(again(message, version)),
        Request::EndQuorumEpoch(message) => Request::EndQuorumEpoch(again(message, version)),
        Request::Fetch(message) => Request::Fetch(again(message, version)),
        Request::FetchSnapshot(message) => Request::FetchSnapshot(again(message, version)),
        Request::AddRaftVoter(message) => Request::AddRaftVoter(again(message, version)),
        Request::RemoveRaftVoter(message) => Request::RemoveRaftVoter(again(message, version)),
        Request::UpdateRaftVoter(message) => Request::UpdateRaftVoter(again(message, version)),
        Request::ApiVersions => Request::ApiVersions,
    }
}

pub(crate) fn travel_response(response: &Response, version: i16) -> Response {
    match response {
        Response::Vote(message) => Response::Vote(again(message, version)),
        Response::BeginQuorumEpoch(message) => Response::BeginQuorumEpoch(again(message, version)),
        Response::EndQuorumEpoch(message) => Response::EndQuorumEpoch(again(message, version)),
        Response::Fetch(message, _) => {
            let message = again(message, version);
            let batches = batches_of(&message);
            Response::Fetch(message, batches)
        }
        Response::FetchSnapshot(message) => Response::FetchSnapshot(again(message, version)),
        Response::AddRaftVoter(message) => Response::AddRaftVoter(again(message, version)),
        Response::RemoveRaftVoter(message) => Response::RemoveRaftVoter(again(message, version)),
        Response::UpdateRaftVoter(message) => Response::UpdateRaftVoter(again(message, version)),
        Response::ApiVersions(message) => Response::ApiVersions(again(message, version)),
    }
}

/// What a host finds in the records of an answer.
fn batches_of(message: &ottla_protocol::messages::FetchResponse) -> Vec<BatchSummary> {
    let records = message.responses.iter().flat_map(|topic| &topic.partitions).find_map(|p| p.records.as_bytes());
    let entries = decode(records.cloned().unwrap_or_default());
    let entry = |epoch: i32, content: Content| {
        let mut image = LogImage::default();
        image.push(epoch, content);
        image.entries.remove(0)
    };
    let summaries = entries.into_iter().map(|(offset, epoch, content)| {
        let entry: Entry = entry(epoch, content);
        summary(offset, &entry)
    });
    summaries.collect()
}

/// What a node of this release says of itself.
pub(crate) fn api_versions() -> Response {
    let feature = api_versions_response::SupportedFeatureKey {
        name: "kraft.version".to_owned(),
        min_version: 0,
        max_version: 1,
        ..Default::default()
    };
    Response::ApiVersions(ApiVersionsResponse { supported_features: vec![feature], ..Default::default() })
}
