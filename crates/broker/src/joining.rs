//! A node without a cluster asks a controller which one it belongs to.

use crate::peers::{Lane, PeerFailure, PeerNetwork, Peers};
use core::time::Duration;
use ottla_config::HostPort;
use ottla_net::Destination;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use ottla_protocol::{ApiKey, ErrorCode, VersionRange};
use std::sync::Arc;
use thiserror::Error;

/// From this version on DescribeCluster is answered by controllers too (KIP-919).
const OF_CONTROLLERS: i16 = 1;
const CONTROLLERS: i8 = 2;

/// Why a controller has not told the cluster's id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// Nobody has answered there.
    #[error("{0}")]
    NoAnswer(String),
    /// It was refused.
    #[error("it answers {}", .0.name())]
    Refused(ErrorCode),
    /// Whoever listens there is no controller.
    #[error("a broker listens there, and no controller: give the address of its controller listener")]
    Broker,
}

/// Asks the controller at an address for the id of its cluster, with DescribeCluster (KIP-919). `done` is called once, when it has
/// answered or after `within` at the latest.
pub fn ask_cluster_id(
    network: &Arc<dyn PeerNetwork>,
    client_id: &str,
    address: &HostPort,
    within: Duration,
    done: impl FnOnce(Result<String, JoinError>) + Send + 'static,
) {
    let peers = Peers::new(network.clone(), client_id);
    let to = Destination { host: Arc::from(address.host.as_str()), port: address.port, lane: Lane::Lifecycle.number() };
    let request = DescribeClusterRequest { endpoint_type: CONTROLLERS, ..Default::default() };
    let versions = VersionRange { min: OF_CONTROLLERS, ..ApiKey::DescribeCluster.versions() };
    peers.ask(to, request, versions, within, |answer| done(cluster_id(answer)));
}

fn cluster_id(answer: Result<DescribeClusterResponse, PeerFailure>) -> Result<String, JoinError> {
    let response = answer.map_err(|failure| JoinError::NoAnswer(failure.to_string()))?;
    match ErrorCode::from_code(response.error_code) {
        Some(ErrorCode::None) => Ok(response.cluster_id),
        Some(ErrorCode::MismatchedEndpointType) => Err(JoinError::Broker),
        code => Err(JoinError::Refused(code.unwrap_or(ErrorCode::UnknownServerError))),
    }
}
