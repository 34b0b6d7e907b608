//! Whether this broker is cut off from the others, so that somebody else leads what it leads.

use crate::metadata_view::MetadataView;
use crate::partition::PartitionRegistry;
use crate::peers::Peers;
use crate::quorum::MetadataQuorum;
use crate::replication::ReplicationContext;
use ottla_types::{BrokerId, NodeId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Looks now and then whether most voters of the quorum say nothing.
///
/// A leader that hears of no metadata goes on, as in Kafka: that the controllers are gone is no reason to stop. But where replicas in
/// sync are silent too, nothing can be acknowledged by all of them until the controller says otherwise; and if there is a
/// controller, then on the other side of a cut, where it lets others lead. So writes that all must acknowledge are refused with
/// NOT_LEADER_OR_FOLLOWER, upon which clients ask somebody else who leads. It is only ever refused what could not be acknowledged.
pub(crate) struct Isolation {
    pub(crate) node_id: NodeId,
    /// The name of the listener on which brokers are reached.
    pub(crate) listener: String,
    pub(crate) peers: Peers,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) partitions: Arc<PartitionRegistry>,
    pub(crate) context: Arc<ReplicationContext>,
}

impl Isolation {
    pub(crate) fn look(&self, quorum: &MetadataQuorum) {
        let unreached = if self.is_without_quorum(quorum) { self.silent_brokers() } else { BTreeSet::new() };
        let news = self.context.set_unreached(unreached);
        let Some(unreached) = news else { return };
        if unreached.is_empty() {
            tracing::info!("this broker reaches the others again");
        } else {
            tracing::warn!(silent = ?unreached, "this broker is cut off: writes that these must acknowledge are refused");
        }
        self.partitions.all().iter().for_each(|partition| partition.waiters.partition_changed());
    }

    fn is_without_quorum(&self, quorum: &MetadataQuorum) -> bool {
        if self.peers.silent().is_empty() {
            return false;
        }
        let hosts = quorum.hosts_of_voters();
        let silent =
            hosts.iter().filter(|(id, host)| *id != self.node_id && self.peers.silent().contains(host)).count();
        hosts.len() - silent < hosts.len() / 2 + 1
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
