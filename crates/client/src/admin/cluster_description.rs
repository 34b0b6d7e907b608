use super::Admin;
use crate::cluster::NodeEndpoint;
use crate::error::{ClientError, Result};
use crate::network::NodeVersions;
use ottla_protocol::messages::{DescribeClusterRequest, ListConfigResourcesRequest};
use ottla_types::NodeId;

/// The cluster and its brokers.
#[derive(Clone, Debug)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: String,
    /// The node that is to be asked for changes.
    pub controller: Option<NodeId>,
    /// The brokers in the order of the answer.
    pub brokers: Vec<BrokerDescription>,
}

/// Which nodes of a cluster are described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// The brokers that are not fenced.
    Brokers,
    /// All brokers that are registered (KIP-1073).
    AllBrokers,
    /// The controllers (KIP-919): only they themselves can tell.
    Controllers,
}

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Its id.
    pub id: NodeId,
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: i32,
    /// Its rack, where it has one.
    pub rack: Option<String>,
    /// Whether it is fenced.
    pub is_fenced: bool,
}

impl Admin {
    /// Describes the cluster.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        self.describe_endpoints(Endpoints::Brokers).await
    }

    /// Describes the cluster with these nodes of it.
    ///
    /// # Errors
    /// No answer could be had; `MISMATCHED_ENDPOINT_TYPE` when a broker is asked for controllers, or the reverse.
    pub async fn describe_endpoints(&self, endpoints: Endpoints) -> Result<ClusterDescription> {
        let request = DescribeClusterRequest {
            endpoint_type: if endpoints == Endpoints::Controllers { CONTROLLERS } else { BROKERS },
            include_fenced_brokers: endpoints == Endpoints::AllBrokers,
            ..Default::default()
        };
        let described = self
            .at_any(&request, |response| match ClientError::of(response.error_code, response.error_message.clone()) {
                Some(error) => Err(error),
                None => Ok(response),
            })
            .await?;
        let broker = |broker: ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker| {
            let (host, port, rack) = (broker.host, broker.port, broker.rack);
            BrokerDescription { id: NodeId(broker.broker_id), host, port, rack, is_fenced: broker.is_fenced }
        };
        let nodes: Vec<_> = described.brokers.into_iter().map(broker).collect();
        if endpoints == Endpoints::Controllers {
            // Controllers answer no request for metadata: from now on they are known from here.
            self.cluster().learn_nodes(nodes.iter().map(|node| {
                let (host, rack) = (node.host.clone(), node.rack.clone());
                (node.id, NodeEndpoint { host, port: node.port, rack })
            }));
        }
        Ok(ClusterDescription {
            cluster_id: described.cluster_id,
            controller: (described.controller_id >= 0).then_some(NodeId(described.controller_id)),
            brokers: nodes,
        })
    }

    /// What each broker told about itself: its APIs' versions and its features.
    ///
    /// # Errors
    /// The brokers could not be listed. A broker that can't be reached has an error of its own.
    pub async fn broker_versions(&self) -> Result<Vec<(BrokerDescription, Result<NodeVersions>)>> {
        let mut retry = self.cluster().retry();
        self.refresh_brokers(&mut retry).await?;
        let brokers = self.cluster().metadata().brokers.clone();
        let broker = |(id, endpoint): (NodeId, NodeEndpoint)| {
            let (host, port, rack) = (endpoint.host, endpoint.port, endpoint.rack);
            BrokerDescription { id, host, port, rack, is_fenced: false }
        };
        Ok(self.versions_of(brokers.into_iter().map(broker).collect()).await)
    }

    /// What each of these nodes told about itself. A node that can't be reached has an error of its own.
    pub async fn versions_of(&self, nodes: Vec<BrokerDescription>) -> Vec<(BrokerDescription, Result<NodeVersions>)> {
        let mut versions = Vec::with_capacity(nodes.len());
        for node in nodes {
            let told = self.cluster().node_versions(node.id).await;
            versions.push((node, told));
        }
        versions
    }

    /// The names of the things of this kind that have a configuration of their own.
    ///
    /// # Errors
    /// No answer could be had, or the server does not know the request.
    pub async fn list_config_resources(&self, kind: super::ResourceKind) -> Result<Vec<String>> {
        let version = self.cluster().any_node().await?.version_of::<ListConfigResourcesRequest>()?;
        let mut request = ListConfigResourcesRequest::default();
        // Version 0 lists client metrics and nothing else.
        if version >= 1 {
            request.resource_types = vec![kind.code()];
        }
        self.at_any(&request, |response| match ClientError::of_code(response.error_code) {
            Some(error) => Err(error),
            None => Ok(response.config_resources.into_iter().map(|resource| resource.resource_name).collect()),
        })
        .await
    }
}
