//! The cluster as a client sees it: nodes, connections to them, metadata.

mod metadata;
mod nodes;

pub use metadata::{ClusterMetadata, NodeEndpoint, PartitionMetadata, TopicMetadata};
pub(crate) use nodes::Nodes;

use crate::backoff::Backoff;
use crate::error::{ClientError, Result, check};
use crate::metrics::NetworkCounters;
use crate::network::{Connection, NodeVersions};
use crate::settings::ClientSettings;
use metadata::MetadataCache;
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::{FindCoordinatorRequest, MetadataResponse};
use ottla_protocol::{ErrorCode, Request};
use ottla_types::{NodeId, TopicId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whom to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CoordinatorKind {
    Group,
    Transaction,
}

impl CoordinatorKind {
    fn code(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }
}

/// Whether asking for a topic's metadata may create the topic, where the cluster allows that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoCreate {
    Allowed,
    Forbidden,
}

/// A cluster that one client talks to. Cheap to clone; all clones share connections and metadata.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ClientSettings,
    nodes: Nodes,
    cache: Mutex<MetadataCache>,
    /// Who coordinates what, as it was last answered.
    coordinators: Mutex<BTreeMap<(CoordinatorKind, String), NodeId>>,
}

/// So many coordinators are remembered. A client works with a few groups and ids; a tool that asks for all of them
/// begins anew.
const COORDINATORS_MAX: usize = 1_000;

/// Whom a request is for, and the newest version that it may be sent in.
pub(crate) struct Coordinated<'a> {
    pub(crate) kind: CoordinatorKind,
    pub(crate) key: &'a str,
    pub(crate) version_max: i16,
}

/// Which node answered, and in which version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) node: NodeId,
    pub(crate) version: i16,
}

impl<'a> Coordinated<'a> {
    /// A request for a group's coordinator.
    pub(crate) fn by_group(group: &'a str) -> Self {
        Self { kind: CoordinatorKind::Group, key: group, version_max: i16::MAX }
    }

    /// A request for a transactional id's coordinator.
    pub(crate) fn by_transactional_id(id: &'a str) -> Self {
        Self { kind: CoordinatorKind::Transaction, key: id, version_max: i16::MAX }
    }

    /// This, in no newer version.
    pub(crate) fn up_to(self, version_max: i16) -> Self {
        Self { version_max, ..self }
    }
}

impl Cluster {
    /// A cluster that is reached by the settings' bootstrap servers. Nothing is sent yet.
    ///
    /// # Errors
    /// A bootstrap server is not of the form `host:port`.
    pub fn new(settings: ClientSettings) -> Result<Self> {
        let nodes = Nodes::new(settings.clone())?;
        Ok(Self {
            shared: Arc::new(Shared { settings, nodes, cache: Mutex::default(), coordinators: Mutex::default() }),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &ClientSettings {
        &self.shared.settings
    }

    /// What is known of the cluster at the moment, perhaps out of date.
    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        self.shared.cache.lock().current.clone()
    }

    /// When the metadata was last asked for with success.
    pub(crate) fn metadata_age(&self) -> Option<Duration> {
        self.shared.cache.lock().refreshed.map(|at| at.elapsed())
    }

    /// Asks for the metadata of these topics, or of all with `None`, and merges it into the cache.
    pub(crate) async fn refresh(
        &self,
        topics: Option<&BTreeSet<String>>,
        create: AutoCreate,
    ) -> Result<MetadataResponse> {
        let topics = topics.map(|names| {
            let topic = |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
            names.iter().map(topic).collect()
        });
        let request =
            MetadataRequest { topics, allow_auto_topic_creation: create == AutoCreate::Allowed, ..Default::default() };
        self.learn(&request).await
    }

    /// Asks for the metadata of topics of which only the ids are known.
    pub(crate) async fn refresh_by_id(&self, ids: &BTreeSet<TopicId>) -> Result<()> {
        let topic = |id: &TopicId| MetadataRequestTopic { topic_id: *id, name: None, ..Default::default() };
        let topics = Some(ids.iter().map(topic).collect());
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        self.learn(&request).await.map(|_| ())
    }

    async fn learn(&self, request: &MetadataRequest) -> Result<MetadataResponse> {
        let response = self.call_any(request).await?;
        check(response.error_code)?;
        self.shared.nodes.learn(response.brokers.iter().map(|broker| {
            let endpoint = NodeEndpoint { host: broker.host.clone(), port: broker.port, rack: broker.rack.clone() };
            (NodeId(broker.node_id), endpoint)
        }));
        self.shared.cache.lock().merge(&response, Instant::now());
        Ok(response)
    }

    /// Replaces the nodes that are known, for those who can't be asked for metadata.
    pub(crate) fn learn_nodes(&self, nodes: impl Iterator<Item = (NodeId, NodeEndpoint)>) {
        self.shared.nodes.learn(nodes);
    }

    /// The connection to a node, made when there is none.
    pub(crate) async fn node(&self, node: NodeId) -> Result<Arc<Connection>> {
        self.shared.nodes.connection(node).await
    }

    /// A connection to any node.
    pub(crate) async fn any_node(&self) -> Result<Arc<Connection>> {
        self.shared.nodes.any().await
    }

    /// What the node told about itself.
    ///
    /// # Errors
    /// The node can't be reached.
    pub async fn node_versions(&self, node: NodeId) -> Result<NodeVersions> {
        Ok(self.node(node).await?.versions().clone())
    }

    /// One try to send a request to a node.
    pub(crate) async fn call<R: Request>(&self, node: NodeId, request: &R) -> Result<R::Response> {
        self.call_within(node, request, self.settings().request_timeout).await
    }

    /// One try to send a request to a node, with a timeout of its own.
    pub(crate) async fn call_within<R: Request>(
        &self,
        node: NodeId,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response> {
        self.node(node).await?.call(request, timeout).await
    }

    /// Sends a request to any node; another node is tried when one can't be reached.
    pub(crate) async fn call_any<R: Request>(&self, request: &R) -> Result<R::Response> {
        let mut retry = self.retry();
        loop {
            let answer = match self.any_node().await {
                Ok(connection) => connection.call(request, self.settings().request_timeout).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                answer => return answer,
            }
        }
    }

    /// What is counted of all connections.
    pub(crate) fn counters(&self) -> &NetworkCounters {
        self.shared.nodes.counters()
    }

    /// The level that a feature is finalized at, as far as the nodes told.
    pub(crate) fn finalized_level(&self, feature: &str) -> Option<i16> {
        self.shared.nodes.finalized_level(feature)
    }

    /// Sends a request to a coordinator and judges its answer, again and again while the fault may pass. A coordinator
    /// that moved is looked for again. The request is told its version, the judgement
    /// who answered.
    pub(crate) async fn at_coordinator<R: Request, T>(
        &self,
        to: &Coordinated<'_>,
        retry: &mut Retry,
        build: impl Fn(i16) -> R,
        mut judge: impl FnMut(R::Response, Answered) -> Result<T>,
    ) -> Result<T> {
        loop {
            let error = match self.try_coordinator(to, retry, &build, &mut judge).await {
                Err(error) if may_pass(&error) => error,
                result => return result,
            };
            retry.pause(error).await?;
        }
    }

    /// One try of [`at_coordinator`](Self::at_coordinator).
    pub(crate) async fn try_coordinator<R: Request, T>(
        &self,
        to: &Coordinated<'_>,
        retry: &mut Retry,
        build: impl Fn(i16) -> R,
        judge: impl FnOnce(R::Response, Answered) -> Result<T>,
    ) -> Result<T> {
        let node = self.known_coordinator(to.kind, to.key, retry).await?;
        let tried = async {
            let connection = self.node(node).await?;
            let version = connection.version_of::<R>()?.min(to.version_max);
            let answer = connection.start_request(&build(version), version, true).await?;
            let answer = answer.wait(self.settings().request_timeout).await?;
            judge(answer.decode(connection.address())?, Answered { node, version })
        };
        let result = tried.await;
        if result.as_ref().is_err_and(is_stale) {
            self.forget_coordinator(to.kind, to.key);
        }
        result
    }

    /// The coordinator as it was last answered; asked for when it is not known.
    async fn known_coordinator(&self, kind: CoordinatorKind, key: &str, retry: &mut Retry) -> Result<NodeId> {
        let known = self.shared.coordinators.lock().get(&(kind, key.to_owned())).copied();
        match known {
            Some(node) => Ok(node),
            None => self.coordinator(kind, key, retry).await,
        }
    }

    fn forget_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.shared.coordinators.lock().remove(&(kind, key.to_owned()));
    }

    /// The coordinator of a group. Asks until there is one: the first question may have to create the offsets topic.
    pub(crate) async fn coordinator(&self, kind: CoordinatorKind, key: &str, retry: &mut Retry) -> Result<NodeId> {
        loop {
            match self.find_coordinator(kind, key).await {
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                found => return found,
            }
        }
    }

    async fn find_coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<NodeId> {
        let connection = self.any_node().await?;
        let version = connection.version_of::<FindCoordinatorRequest>()?;
        let mut request = FindCoordinatorRequest { key_type: kind.code(), ..Default::default() };
        if version >= 4 {
            request.coordinator_keys = vec![key.to_owned()];
        } else {
            request.key = key.to_owned();
        }
        let response = connection.call(&request, self.settings().request_timeout).await?;
        let (node, code, message, host, port) = if version >= 4 {
            let found = response.coordinators.into_iter().next();
            let found = found.ok_or(ClientError::State("the coordinator was asked for but not answered"))?;
            (found.node_id, found.error_code, found.error_message, found.host, found.port)
        } else {
            (response.node_id, response.error_code, response.error_message, response.host, response.port)
        };
        if let Some(error) = ClientError::of(code, message) {
            return Err(error);
        }
        let node = NodeId(node);
        self.shared.nodes.learn_one(node, NodeEndpoint { host, port, rack: None });
        let mut coordinators = self.shared.coordinators.lock();
        if coordinators.len() >= COORDINATORS_MAX {
            coordinators.clear();
        }
        coordinators.insert((kind, key.to_owned()), node);
        Ok(node)
    }

    /// Retries of one call, until the settings' `default.api.timeout.ms`.
    pub(crate) fn retry(&self) -> Retry {
        self.retry_for(self.settings().api_timeout)
    }

    /// Retries of one call, until a time of its own.
    pub(crate) fn retry_for(&self, timeout: Duration) -> Retry {
        let settings = self.settings();
        Retry {
            backoff: Backoff::new(settings.retry_backoff, settings.retry_backoff_max),
            deadline: Instant::now() + timeout,
            timeout,
        }
    }

    /// Closes all connections; what waits on them fails.
    pub fn close(&self) {
        self.shared.nodes.close();
    }
}

/// The steps of a transaction that a coordinator still works at take a few milliseconds: the usual pause would make
/// short transactions slow. Kafka's clients keep this pause too.
pub(crate) const CONCURRENT_PAUSE_MAX: Duration = Duration::from_millis(20);

/// The time that one call may take with all its retries.
pub(crate) struct Retry {
    backoff: Backoff,
    deadline: Instant,
    timeout: Duration,
}

impl Retry {
    /// Pauses before the next try; fails with the given error when the time is over.
    pub(crate) async fn pause(&mut self, error: ClientError) -> Result<()> {
        let mut pause = self.backoff.pause();
        if error.is(ErrorCode::ConcurrentTransactions) {
            pause = pause.min(CONCURRENT_PAUSE_MAX);
        }
        if Instant::now() + pause >= self.deadline {
            return Err(error);
        }
        tracing::debug!(%error, tries = self.backoff.failures(), "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The time that the call was given.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Whether the same request may succeed later: also one of a member whose next heartbeat brings the epoch it lacks.
pub(crate) fn may_pass(error: &ClientError) -> bool {
    error.is_retriable() || is_stale(error) || error.is(ErrorCode::StaleMemberEpoch)
}

/// Whether an error says that the metadata or the coordinator known here is out of date.
pub(crate) fn is_stale(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. }
        | ClientError::Disconnected { .. }
        | ClientError::Timeout { .. }
        | ClientError::UnknownNode { .. } => true,
        ClientError::Api { code, .. } => matches!(
            code,
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::InconsistentTopicId
                | ErrorCode::KafkaStorageError
                | ErrorCode::ReplicaNotAvailable
                | ErrorCode::ListenerNotFound
                | ErrorCode::NotController
        ),
        _ => false,
    }
}
