use super::Config;
use crate::subcommands::Failure;
use ottla_env::Random;
use ottla_env_os::OsRandom;
use ottla_raft::{ControllerEndpoint, ReplicaKey, Voter, VoterSet};
use ottla_types::{DirectoryId, NodeId};
use std::collections::BTreeMap;

/// The voters of `--initial-controllers`: `id@host:port:directory`, by commas.
pub(super) fn parse(text: &str, listener: &str) -> Result<VoterSet, Failure> {
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.is_empty() {
        return Err(Failure("No voters given.".to_owned()));
    }
    let mut voters = BTreeMap::new();
    for entry in entries {
        let voter = voter(entry, listener).map_err(Failure)?;
        let id = voter.key.id;
        if voters.insert(id, voter).is_some() {
            return Err(Failure(format!("Node id {id} was specified more than once.")));
        }
    }
    Ok(VoterSet::new(voters.into_values()))
}

fn voter(entry: &str, listener: &str) -> Result<Voter, String> {
    let (id, rest) = entry.split_once('@').ok_or("No @ found in dynamic voter string.")?;
    if id.is_empty() {
        return Err("Invalid @ at beginning of dynamic voter string.".to_owned());
    }
    let id: i32 = id.parse().map_err(|_| "Failed to parse node id in dynamic voter string.")?;
    if id < 0 {
        return Err(format!("Invalid negative node id {id} in dynamic voter string."));
    }
    if rest.is_empty() {
        return Err("No hostname found after node id.".to_owned());
    }
    // An IPv6 address stands in brackets.
    let no_host = "No colon following hostname could be found.";
    let (host, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or(no_host)?,
        None => rest.split_once(':').ok_or(no_host)?,
    };
    let (port, directory) = rest.split_once(':').ok_or("No colon following port could be found.")?;
    let port: i32 = port.parse().map_err(|_| "Failed to parse port in dynamic voter string.")?;
    let port = u16::try_from(port).map_err(|_| format!("Invalid port {port} in dynamic voter string."))?;
    let directory: DirectoryId =
        directory.parse().map_err(|_| "Failed to parse directory ID in dynamic voter string.")?;
    Ok(make(NodeId(id), directory, ControllerEndpoint { name: listener.to_owned(), host: host.to_owned(), port }))
}

fn make(id: NodeId, directory: DirectoryId, endpoint: ControllerEndpoint) -> Voter {
    Voter::new(ReplicaKey::new(id, directory), vec![endpoint])
}

/// The node as the only voter, for `--standalone`.
pub(super) fn standalone(config: &Config) -> Result<VoterSet, Failure> {
    if !config.node.process_roles.controller {
        return Err(Failure("You can only use --standalone on a controller.".to_owned()));
    }
    let listeners = &config.node.listeners;
    let endpoint = listeners.advertised_controller.first();
    let endpoint = endpoint.ok_or_else(|| Failure("No controller listeners found.".to_owned()))?;
    let host = if endpoint.address.host.is_empty() { "localhost" } else { &endpoint.address.host };
    let endpoint =
        ControllerEndpoint { name: endpoint.listener_name.clone(), host: host.to_owned(), port: endpoint.address.port };
    Ok(VoterSet::new([make(config.node.node_id, OsRandom.uuid(), endpoint)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voters_are_read_with_names_and_addresses() {
        let text = "0@example.com:8082:JEXY6aqzQY-32P5TStzaFg,1@[::1]:8083:MvDxzVmcRsaTz33bUuRU6A";
        let voters: Vec<_> = parse(text, "CONTROLLER").unwrap().iter().cloned().collect();
        let hosts: Vec<_> = voters.iter().map(|voter| voter.endpoints[0].host.as_str()).collect();
        assert_eq!(hosts, ["example.com", "::1"]);
        assert_eq!(voters[1].endpoints[0].port, 8083);
    }

    #[test]
    fn what_is_no_voter_is_refused() {
        let id = "JEXY6aqzQY-32P5TStzaFg";
        let wrong = ["", "x", "1@x", "1@h:x:i", "1@h:1", "1@h:1:bad", "1@h:99999:", "a@h:1:", "-1@h:1:", "1@[::1:1:"];
        for text in wrong {
            let text = if text.ends_with(':') { format!("{text}{id}") } else { text.to_owned() };
            assert!(parse(&text, "C").is_err(), "{text}");
        }
        assert!(parse(&format!("1@h:1:{id},1@i:1:{id}"), "C").is_err());
    }
}
