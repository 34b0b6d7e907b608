//! Who gives a new cluster its id.

use super::NodeConfig;
use crate::listener::HostPort;

/// Who gives a cluster its id, as far as the configuration of one node tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founder {
    /// This node does. These other voters may have been told by an earlier life of it, and are asked first.
    ThisNode {
        /// The other voters; empty when there are none.
        others: Vec<HostPort>,
        /// Whether the voters stand in the log, so that the node enters itself as the first of them.
        is_first_voter: bool,
    },
    /// One of these controllers knows it, or will.
    Others(Vec<HostPort>),
}

impl NodeConfig {
    /// Who gives a new cluster its id: of voters that are configured the one with the lowest id, of controllers that are only to
    /// be asked the first that is named.
    pub fn founder(&self) -> Founder {
        let is_controller = self.process_roles.controller;
        let others = || {
            let others = self.quorum.voters.iter().filter(|(id, _)| **id != self.node_id);
            others.map(|(_, address)| address.clone()).collect()
        };
        if let Some(lowest) = self.quorum.voters.keys().next() {
            return match is_controller && *lowest == self.node_id {
                true => Founder::ThisNode { others: others(), is_first_voter: false },
                false => Founder::Others(others()),
            };
        }
        let own = &self.listeners.advertised_controller;
        let is_own = |address: &HostPort| own.iter().any(|endpoint| endpoint.address == *address);
        match self.quorum.bootstrap_servers.iter().position(is_own) {
            Some(0) if is_controller => {
                let others = self.quorum.bootstrap_servers.iter().skip(1).cloned().collect();
                Founder::ThisNode { others, is_first_voter: true }
            }
            _ => {
                let others = self.quorum.bootstrap_servers.iter().filter(|address| !is_own(address));
                Founder::Others(others.cloned().collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties;

    fn founder(text: &str) -> Founder {
        let properties = properties::parse(text.as_bytes(), "test").unwrap();
        NodeConfig::from_properties(properties).unwrap().0.founder()
    }

    fn addresses(ports: &[u16]) -> Vec<HostPort> {
        ports.iter().map(|port| HostPort { host: "h".to_owned(), port: *port }).collect()
    }

    #[test]
    fn the_lowest_voter_founds_a_cluster_and_the_others_ask() {
        let voters = "controller.quorum.voters=1@h:1,2@h:2,3@h:3\nlog.dirs=d\n";
        let of = |id: i32| founder(&format!("{voters}broker.id={id}\nlisteners=PLAINTEXT://h:9\n"));
        assert_eq!(of(1), Founder::ThisNode { others: addresses(&[2, 3]), is_first_voter: false });
        assert_eq!(of(2), Founder::Others(addresses(&[1, 3])));
        assert_eq!(of(7), Founder::Others(addresses(&[1, 2, 3])));
        assert_eq!(founder(""), Founder::ThisNode { others: Vec::new(), is_first_voter: false });
    }

    #[test]
    fn the_first_bootstrap_server_founds_a_cluster_whose_voters_stand_in_the_log() {
        let text = "controller.quorum.bootstrap.servers=h:1,h:2\ncontroller.listener.names=CONTROLLER\nlog.dirs=d\n";
        let of = |id: i32, roles: &str, listeners: &str| {
            founder(&format!("{text}node.id={id}\nprocess.roles={roles}\nlisteners={listeners}\n"))
        };
        let first = Founder::ThisNode { others: addresses(&[2]), is_first_voter: true };
        assert_eq!(of(1, "controller", "CONTROLLER://h:1"), first);
        assert_eq!(of(2, "broker,controller", "PLAINTEXT://h:9,CONTROLLER://h:2"), Founder::Others(addresses(&[1])));
        assert_eq!(of(3, "broker", "PLAINTEXT://h:9"), Founder::Others(addresses(&[1, 2])));
    }
}
