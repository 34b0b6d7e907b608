use crate::error::ConfigError;
use crate::layers;
use crate::listener::{HostPort, parse_host_port, parse_voter};
use crate::settings::Reader;
use ottla_types::NodeId;
use std::collections::BTreeMap;

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// It holds partitions and serves clients.
    pub broker: bool,
    /// It is a voter of the metadata quorum.
    pub controller: bool,
}

/// The metadata quorum as the file knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumConfig {
    /// The fixed voters, by id. Empty when the quorum is to be asked of `bootstrap_servers`.
    pub voters: BTreeMap<NodeId, HostPort>,
    /// Controllers to ask.
    pub bootstrap_servers: Vec<HostPort>,
    /// Whether a controller that is no voter makes itself one.
    pub auto_join: bool,
}

/// Who the node is, before it is known where it listens.
pub(super) struct Identity {
    pub(super) node_id: NodeId,
    pub(super) roles: Roles,
    /// Whether the roles are in the file. Otherwise Kafka would refuse the file and Ottla chooses.
    pub(super) roles_are_given: bool,
    /// Whether the file says nothing about a quorum: the node is a cluster by itself.
    pub(super) stands_alone: bool,
    pub(super) quorum: QuorumConfig,
}

/// Reads identity, roles and quorum.
///
/// Without `process.roles` Ottla derives what it can, so that one file can be copied for the nodes of a small cluster with
/// only `broker.id`, `log.dirs` and `listeners` changed: a node that is a voter is broker and controller, another one is a
/// broker. Where nothing is said about a quorum the node stands alone: it is its own only voter, needs no id and no
/// listener for other controllers.
pub(super) fn read(reader: &mut Reader<'_>) -> Identity {
    let auto_join = reader.get("controller.quorum.auto.join.enable", None);
    let mut quorum = QuorumConfig { voters: voters(reader), bootstrap_servers: bootstrap_servers(reader), auto_join };
    let roles_are_given = reader.is_set("process.roles");
    let stands_alone = layers::stands_alone(|key| reader.is_set(key));
    let node_id = node_id(reader);
    if stands_alone {
        quorum.voters.insert(node_id, HostPort { host: "localhost".to_owned(), port: 0 });
    }
    let is_voter = quorum.voters.contains_key(&node_id);
    let roles = if roles_are_given {
        let names: Vec<String> = reader.get("process.roles", None);
        let has = |role: &str| names.iter().any(|name| name == role);
        Roles { broker: has("broker"), controller: has("controller") }
    } else {
        Roles { broker: true, controller: is_voter }
    };
    let identity = Identity { node_id, roles, roles_are_given, stands_alone, quorum };
    check(reader, &identity, is_voter);
    identity
}

fn check(reader: &mut Reader<'_>, identity: &Identity, is_voter: bool) {
    let Identity { node_id, roles, quorum, .. } = identity;
    let fixed = !quorum.voters.is_empty();
    if !fixed && quorum.bootstrap_servers.is_empty() {
        let advice = "name the controllers of the cluster, as id@host:port entries".to_owned();
        reader.errors.push(ConfigError::Missing { key: "controller.quorum.voters", advice });
    }
    if fixed && roles.controller && !is_voter {
        let message =
            format!("a controller must be one of the voters, and controller.quorum.voters has no node {node_id}");
        reader.conflict("controller.quorum.voters", message);
    }
    if fixed && !roles.controller && is_voter {
        let message = format!("node {node_id} is a voter, so process.roles must contain controller");
        reader.conflict("process.roles", message);
    }
    if quorum.auto_join && !roles.controller {
        let message = "controller.quorum.auto.join.enable is for nodes whose process.roles contains controller";
        reader.conflict("controller.quorum.auto.join.enable", message.to_owned());
    }
}

fn node_id(reader: &mut Reader<'_>) -> NodeId {
    if !reader.is_set("node.id") {
        let advice = "give each node of the cluster an id of its own, for example node.id=1".to_owned();
        reader.errors.push(ConfigError::Missing { key: "node.id", advice });
    }
    let id: i32 = reader.get("node.id", None);
    let older: i32 = reader.get("broker.id", None);
    if reader.is_set("node.id") && reader.is_set("broker.id") && id != older {
        reader.conflict(
            "broker.id",
            format!("node.id is {id} and broker.id is {older}: they must be the same, or one unset"),
        );
    }
    NodeId::new(id)
}

fn voters(reader: &mut Reader<'_>) -> BTreeMap<NodeId, HostPort> {
    const KEY: &str = "controller.quorum.voters";
    let entries: Vec<String> = reader.get(KEY, None);
    let mut voters = BTreeMap::new();
    for (id, address) in entries.iter().filter_map(|entry| parse_voter(entry).ok()) {
        if voters.insert(id, address).is_some() {
            reader.conflict(KEY, format!("{KEY} names node {id} twice"));
        }
    }
    voters
}

fn bootstrap_servers(reader: &mut Reader<'_>) -> Vec<HostPort> {
    let entries: Vec<String> = reader.get("controller.quorum.bootstrap.servers", None);
    entries.iter().filter_map(|entry| parse_host_port(entry).ok()).collect()
}
