use super::{Admin, item};
use crate::error::{ClientError, Result, check};
use ottla_protocol::messages::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::describe_quorum_response::ReplicaState;
use ottla_protocol::messages::{
    DescribeQuorumRequest, RemoveRaftVoterRequest, UnregisterBrokerRequest, UnregisterControllerRequest,
};
use ottla_types::{NodeId, Timestamp, Uuid};
use std::collections::BTreeMap;

const METADATA_TOPIC: &str = "__cluster_metadata";

/// The quorum that keeps the cluster's metadata.
#[derive(Clone, Debug, Default)]
pub struct QuorumDescription {
    /// Who leads it.
    pub leader_id: i32,
    /// In which epoch.
    pub leader_epoch: i32,
    /// Up to where the metadata's log is committed.
    pub high_watermark: i64,
    /// Those that vote.
    pub voters: Vec<QuorumReplica>,
    /// Those that only follow.
    pub observers: Vec<QuorumReplica>,
    /// The addresses of the voters, each as `LISTENER://host:port`, by node.
    pub endpoints: BTreeMap<i32, Vec<String>>,
}

/// A replica of the metadata's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its node.
    pub id: i32,
    /// Its directory; all zero when the quorum's voters are static.
    pub directory_id: Uuid,
    /// Where its log ends.
    pub log_end_offset: i64,
    /// When the leader last heard from it.
    pub last_fetch: Option<Timestamp>,
    /// When it last had all that the leader had.
    pub last_caught_up: Option<Timestamp>,
}

/// Where a voter is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name.
    pub listener: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl QuorumReplica {
    fn new(state: ReplicaState) -> Self {
        let told = |time: i64| Some(Timestamp(time)).filter(|time| time.0 >= 0);
        Self {
            id: state.replica_id,
            directory_id: state.replica_directory_id,
            log_end_offset: state.log_end_offset,
            last_fetch: told(state.last_fetch_timestamp),
            last_caught_up: told(state.last_caught_up_timestamp),
        }
    }
}

impl Admin {
    /// Describes the quorum of the metadata.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription> {
        let partition = PartitionData { partition_index: 0, ..Default::default() };
        let topic =
            TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
        let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
        self.at_any(&request, |response| {
            item(response.error_code, response.error_message)?;
            let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let partition = partition.ok_or(ClientError::State("the quorum was asked for but not answered"))?;
            check(partition.error_code)?;
            let replicas = |states: Vec<ReplicaState>| states.into_iter().map(QuorumReplica::new).collect();
            let nodes = response.nodes.into_iter().map(|node| {
                let listener = |listener: &ottla_protocol::messages::describe_quorum_response::Listener| {
                    format!("{}://{}:{}", listener.name, listener.host, listener.port)
                };
                (node.node_id, node.listeners.iter().map(listener).collect())
            });
            Ok(QuorumDescription {
                leader_id: partition.leader_id,
                leader_epoch: partition.leader_epoch,
                high_watermark: partition.high_watermark,
                voters: replicas(partition.current_voters),
                observers: replicas(partition.observers),
                endpoints: nodes.collect(),
            })
        })
        .await
    }

    /// Takes a voter out of the quorum (KIP-853).
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn remove_raft_voter(&self, voter: NodeId, directory: Uuid) -> Result<()> {
        // The id of the cluster is left out: whichever it is that answers is meant.
        let request = RemoveRaftVoterRequest {
            cluster_id: None,
            voter_id: voter.value(),
            voter_directory_id: directory,
            ..Default::default()
        };
        self.at_any(&request, |response| item(response.error_code, response.error_message)).await
    }

    /// Adds a voter to the quorum, reachable at these endpoints (KIP-853).
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn add_raft_voter(&self, voter: NodeId, directory: Uuid, endpoints: &[VoterEndpoint]) -> Result<()> {
        let listener = |endpoint: &VoterEndpoint| Listener {
            name: endpoint.listener.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            ..Default::default()
        };
        let request = AddRaftVoterRequest {
            cluster_id: None,
            timeout_ms: self.timeout_ms(),
            voter_id: voter.value(),
            voter_directory_id: directory,
            listeners: endpoints.iter().map(listener).collect(),
            ..Default::default()
        };
        self.at_any(&request, |response| item(response.error_code, response.error_message)).await
    }

    /// Forgets a controller that is gone for good.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn unregister_controller(&self, controller: NodeId) -> Result<()> {
        let request = UnregisterControllerRequest { controller_id: controller.value(), ..Default::default() };
        self.at_any(&request, |response| item(response.error_code, response.error_message)).await
    }

    /// Forgets a broker that is gone for good.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn unregister_broker(&self, broker: NodeId) -> Result<()> {
        let request = UnregisterBrokerRequest { broker_id: broker.value(), ..Default::default() };
        self.at_any(&request, |response| item(response.error_code, response.error_message)).await
    }
}
