//! The admin client: one file per subject.

mod acls;
mod client_quotas;
mod cluster_description;
mod configs;
mod delegation_tokens;
mod elections;
mod features;
mod group_members;
mod group_offsets;
mod groups;
mod leaders;
mod log_dirs;
mod offsets;
mod producers;
mod quorum;
mod reassignments;
mod scram;
mod topics;
mod transactions;

pub use acls::{AclEntry, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType};
pub use client_quotas::{QuotaAlteration, QuotaEntity, QuotaFilter, QuotaMatch, QuotaValues};
pub use cluster_description::{BrokerDescription, ClusterDescription, Endpoints};
pub use configs::{
    ConfigChange, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ConfigSynonym, ResourceKind,
};
pub use delegation_tokens::{DelegationToken, Principal};
pub use elections::ElectionKind;
pub use features::{FeatureUpgrade, FeaturesDescription};
pub use group_members::MemberToRemove;
pub use group_offsets::OffsetAndMetadata;
pub use groups::{GroupDescription, GroupKind, GroupListing, MemberDescription};
pub use log_dirs::{LogDirectoryDescription, LogDirectoryReplica, PartitionReplica};
pub use offsets::{Isolation, ListedOffset, OffsetSpec};
pub use producers::{HangingTransaction, ProducerState};
pub use quorum::{QuorumDescription, QuorumReplica, VoterEndpoint};
pub use reassignments::{PartitionReassignment, ReplicationFactorChange};

pub(crate) use group_offsets::{
    COMMIT_VERSION_MAX, FETCH_VERSION_MAX, by_topic, commit_request, committed, fetch_request, fetched,
};
pub(crate) use groups::{decode_assignment, decode_subscription};
pub(crate) use offsets::list_offsets;
pub use scram::{ScramAlteration, ScramCredential, ScramMechanism};
pub use topics::{NewPartitions, NewTopic, TopicDescription, TopicListing, TopicPartitionDescription};
pub use transactions::{TransactionDescription, TransactionFilter, TransactionListing, TransactionState};

use crate::cluster::{Answered, Cluster, Coordinated, CoordinatorKind, Retry};
use crate::error::{ClientError, Result};
use crate::metrics::Metrics;
use crate::settings::ClientSettings;
use ottla_protocol::Request;
use ottla_types::NodeId;

/// Describes and changes topics, configurations, groups and offsets.
///
/// Each call is retried by Kafka's rules until `default.api.timeout.ms`. Where a call is about many things, each has a
/// result of its own; the call as a whole fails only when no answer could be had. Dropping a call's future stops
/// waiting for it; what was sent may still be carried out.
#[derive(Clone)]
pub struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// An admin client. Nothing is sent yet.
    ///
    /// # Errors
    /// A bootstrap server is not of the form `host:port`.
    pub fn new(settings: ClientSettings) -> Result<Self> {
        Ok(Self { cluster: Cluster::new(settings)? })
    }

    /// The cluster that the calls go to.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A snapshot of the client's numbers, under the names of Kafka's admin client.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        self.cluster.counters().snapshot("admin-client-metrics", &mut metrics);
        metrics
    }

    /// Closes the connections.
    pub fn close(&self) {
        self.cluster.close();
    }

    /// `default.api.timeout.ms` as the requests carry it.
    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.settings().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Sends a request to the coordinator of a group and judges its answer. A coordinator that moved is looked for again.
    async fn at_coordinator<R: Request + Clone, T>(
        &self,
        group: &str,
        request: &R,
        judge: impl Fn(R::Response) -> Result<T>,
    ) -> Result<T> {
        self.at_coordinator_of(CoordinatorKind::Group, group, request, |_, response| judge(response)).await
    }

    /// Sends a request to a coordinator and judges its answer, told which node it was. A coordinator that moved is looked
    /// for again.
    async fn at_coordinator_of<R: Request + Clone, T>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: &R,
        judge: impl Fn(NodeId, R::Response) -> Result<T>,
    ) -> Result<T> {
        let mut retry = self.cluster.retry();
        let to = Coordinated { kind, key, version_max: i16::MAX };
        let judge = |response, answered: Answered| judge(answered.node, response);
        self.cluster.at_coordinator(&to, &mut retry, |_| request.clone(), judge).await
    }

    /// Sends a request to any node and judges its answer, again and again while the fault may pass.
    async fn at_any<R: Request, T>(&self, request: &R, judge: impl Fn(R::Response) -> Result<T>) -> Result<T> {
        let mut retry = self.cluster.retry();
        loop {
            match self.cluster.call_any(request).await.and_then(&judge) {
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                result => return result,
            }
        }
    }

    /// Sends a request to one node and judges its answer, again and again while the fault may pass.
    async fn at_node<R: Request, T>(
        &self,
        node: NodeId,
        request: &R,
        judge: impl Fn(R::Response) -> Result<T>,
    ) -> Result<T> {
        let mut retry = self.cluster.retry();
        if self.cluster.metadata().brokers.is_empty() {
            self.refresh_brokers(&mut retry).await?;
        }
        loop {
            match self.cluster.call(node, request).await.and_then(&judge) {
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                result => return result,
            }
        }
    }

    /// Learns the live brokers.
    async fn refresh_brokers(&self, retry: &mut Retry) -> Result<()> {
        let no_topics = std::collections::BTreeSet::new();
        loop {
            match self.cluster.refresh(Some(&no_topics), crate::cluster::AutoCreate::Forbidden).await {
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                result => return result.map(|_| ()),
            }
        }
    }
}

/// The result for one thing of several.
fn item(code: i16, message: Option<String>) -> Result<()> {
    ClientError::of(code, message).map_or(Ok(()), Err)
}
