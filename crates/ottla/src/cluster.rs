//! Which cluster a new directory belongs to.

use ottla_broker::{JoinError, PeerNetwork, ask_cluster_id};
use ottla_config::{Founder, HostPort, NodeConfig};
use ottla_env::Random;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a controller may take to answer before another one is asked.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long nobody is asked again when nobody knew.
const REST: Duration = Duration::from_millis(200);
/// How often it is said that the node still waits.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// The cluster of a node whose directories are new.
pub(crate) struct NewNode {
    pub(crate) cluster_id: String,
    /// Whether the node is to enter itself as the first voter in the log of its new cluster.
    pub(crate) is_first_voter: bool,
}

/// Finds out which cluster a node with new directories belongs to: it founds one, or asks the controllers until one of them
/// answers, and says that it waits.
pub(crate) fn find(config: &NodeConfig, network: &Arc<dyn PeerNetwork>, random: &dyn Random) -> NewNode {
    let asking = Asking { network, client_id: config.node_id.to_string() };
    match config.founder() {
        Founder::ThisNode { others, is_first_voter } => match asking.ask_all(&others) {
            // Its directory is new, but the node is not.
            Ok(cluster_id) => NewNode { cluster_id, is_first_voter: false },
            Err(_) => NewNode { cluster_id: random.uuid().to_string(), is_first_voter },
        },
        Founder::Others(addresses) => NewNode { cluster_id: asking.ask_until_told(&addresses), is_first_voter: false },
    }
}

/// The id of the cluster of any controller that answers, other than this node.
pub(crate) fn of_controllers(config: &NodeConfig, network: &Arc<dyn PeerNetwork>) -> Option<String> {
    let (Founder::ThisNode { others: addresses, .. } | Founder::Others(addresses)) = config.founder();
    Asking { network, client_id: config.node_id.to_string() }.ask_all(&addresses).ok()
}

struct Asking<'a> {
    network: &'a Arc<dyn PeerNetwork>,
    client_id: String,
}

impl Asking<'_> {
    /// The first answer of any controller, asked one after the other; else why each has none.
    fn ask_all(&self, addresses: &[HostPort]) -> Result<String, Vec<String>> {
        let mut reasons = Vec::new();
        for address in addresses {
            match self.ask(address) {
                Ok(cluster_id) => return Ok(cluster_id),
                Err(error) => reasons.push(format!("{address}: {error}")),
            }
        }
        Err(reasons)
    }

    fn ask(&self, address: &HostPort) -> Result<String, JoinError> {
        let (tell, told) = mpsc::sync_channel(1);
        ask_cluster_id(self.network, &self.client_id, address, ANSWER_MAX, move |answer| {
            // Nobody listens any more only when the process ends.
            let _ = tell.send(answer);
        });
        told.recv().unwrap_or_else(|_| Err(JoinError::NoAnswer("the process ends".to_owned())))
    }

    fn ask_until_told(&self, addresses: &[HostPort]) -> String {
        let mut said: Option<Instant> = None;
        loop {
            let reasons = match self.ask_all(addresses) {
                Ok(cluster_id) => return cluster_id,
                Err(reasons) => reasons,
            };
            if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                tracing::warn!(
                    "this node is new and waits for a controller to tell which cluster it belongs to ({}); start one, or \
                     mend controller.quorum.voters or controller.quorum.bootstrap.servers",
                    reasons.join("; ")
                );
                said = Some(Instant::now());
            }
            std::thread::sleep(REST);
        }
    }
}
