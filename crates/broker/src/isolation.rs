//! Whether this broker is cut off from the others, so that somebody else leads what it leads.

use crate::metadata_view::MetadataView;
use crate::partition::PartitionRegistry;
use crate::peers::{Lane, PeerFailure, Peers, broker_at};
use crate::quorum::MetadataQuorum;
use crate::replication::ReplicationContext;
use core::time::Duration;
use ottla_env::Monotonic;
use ottla_net::Destination;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::{ApiKey, VersionRange};
use ottla_raft::Address;
use ottla_types::{BrokerId, NodeId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often those who said nothing are asked again while this broker counts as cut off, and how long they may take.
const ASK_AGAIN: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_millis(900);

/// Looks now and then whether most voters of the quorum say nothing.
///
/// A leader that hears of no metadata goes on, as in Kafka: that the controllers are gone is no reason to stop. But where replicas in
/// sync are silent too, nothing can be acknowledged by all of them until the controller says otherwise; and if there is a
/// controller, then on the other side of a cut, where it lets others lead. So writes that all must acknowledge are refused with
/// NOT_LEADER_OR_FOLLOWER, upon which clients ask somebody else who leads. It is only ever refused what could not be acknowledged.
///
/// Who was silent stays so until it answers something, and a leader has nothing to ask of those who follow it: once the network
/// is whole again they are heard and not asked. So they are asked for that alone, or the broker would count as cut off for ever.
pub(crate) struct Isolation {
    pub(crate) node_id: NodeId,
    /// The name of the listener on which brokers are reached.
    pub(crate) listener: String,
    pub(crate) peers: Peers,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) partitions: Arc<PartitionRegistry>,
    pub(crate) context: Arc<ReplicationContext>,
    /// When the silent are asked again.
    pub(crate) ask_again: Mutex<Duration>,
}

impl Isolation {
    /// Looks, and says when to come again.
    pub(crate) fn look(&self, quorum: &MetadataQuorum) -> Option<Monotonic> {
        let unreached = if self.is_without_quorum(quorum) { self.silent_brokers() } else { BTreeSet::new() };
        let is_cut_off = !unreached.is_empty();
        if let Some(unreached) = self.context.set_unreached(unreached) {
            self.tell(&unreached);
        }
        is_cut_off.then(|| self.ask_silent(quorum))
    }

    fn tell(&self, unreached: &BTreeSet<BrokerId>) {
        if unreached.is_empty() {
            tracing::info!("this broker reaches the others again");
        } else {
            tracing::warn!(silent = ?unreached, "this broker is cut off: writes that these must acknowledge are refused");
        }
        self.partitions.all().iter().for_each(|partition| partition.waiters.partition_changed());
    }

    /// Asks those who said nothing whether they are there, now and then; says when it does again.
    fn ask_silent(&self, quorum: &MetadataQuorum) -> Monotonic {
        let now = self.context.now();
        let mut ask_again = self.ask_again.lock();
        if *ask_again <= now {
            *ask_again = now + ASK_AGAIN;
            for to in self.silent_addresses(quorum).into_values() {
                // Every node answers the first version. Whether it does is noted where it is asked.
                let versions = VersionRange { max: 0, ..ApiKey::ApiVersions.versions() };
                let done = |_: Result<ApiVersionsResponse, PeerFailure>| ();
                self.peers.ask(to, ApiVersionsRequest::default(), versions, ANSWER_MAX, done);
            }
        }
        Monotonic(u64::try_from(ask_again.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Where the silent voters and brokers are reached, each host once.
    fn silent_addresses(&self, quorum: &MetadataQuorum) -> BTreeMap<Arc<str>, Destination> {
        let voters = quorum.addresses_of_voters().into_iter().filter(|(id, _)| *id != self.node_id);
        let voters =
            voters.map(|(_, at)| Destination { host: Arc::from(at.host), port: at.port, lane: Lane::Watch.number() });
        let image = self.metadata.image();
        let brokers = self.silent_brokers();
        let brokers = brokers.into_iter().filter_map(|id| broker_at(&image, id, &self.listener, Lane::Watch));
        voters
            .chain(brokers)
            .filter(|to| self.peers.silent().contains(&to.host))
            .map(|to| (to.host.clone(), to))
            .collect()
    }

    fn is_without_quorum(&self, quorum: &MetadataQuorum) -> bool {
        if self.peers.silent().is_empty() {
            return false;
        }
        let voters = quorum.addresses_of_voters();
        let is_silent = |(id, at): &&(NodeId, Address)| *id != self.node_id && self.peers.silent().contains(&at.host);
        let silent = voters.iter().filter(is_silent).count();
        voters.len() - silent < voters.len() / 2 + 1
    }

    fn silent_brokers(&self) -> BTreeSet<BrokerId> {
        let image = self.metadata.image();
        let is_silent = |id: &BrokerId| {
            let endpoint = image.cluster.broker(*id).and_then(|broker| broker.endpoint(&self.listener));
            *id != self.node_id && endpoint.is_some_and(|endpoint| self.peers.silent().contains(&endpoint.host))
        };
        image.cluster.brokers.keys().copied().filter(is_silent).collect()
    }
}
