use crate::console::Console;
use crate::storage::directory_id;
use crate::subcommands::Failure;
use ottla_client::{Admin, VoterEndpoint};
use ottla_config::Properties;
use ottla_types::{NodeId, Uuid};
use std::path::Path;

/// A controller that is to become a voter.
#[derive(Debug)]
pub(super) struct NewController {
    id: NodeId,
    directory: Uuid,
    endpoints: Vec<VoterEndpoint>,
}

/// What the controller's own configuration says of it.
pub(super) fn new_controller(properties: Option<&Properties>) -> Result<NewController, Failure> {
    let wrong = |what: &str| Failure(format!("{what} Is this a valid controller configuration file?"));
    let properties = properties.ok_or_else(|| {
        let error =
            "You must supply the configuration file of the controller you are adding when using add-controller.";
        Failure(error.to_owned())
    })?;
    let id = properties.get("node.id").ok_or_else(|| wrong("node.id not found in configuration file."))?;
    let id: i32 = id.parse().map_err(|_| Failure(format!("For input string: \"{id}\"")))?;
    if id < 0 {
        return Err(wrong("node.id was negative in configuration file."));
    }
    if !properties.get("process.roles").unwrap_or_default().contains("controller") {
        return Err(wrong("process.roles did not contain 'controller' in configuration file."));
    }
    let directories = properties.get("log.dirs").map(|list| list.split(',').next().unwrap_or_default().trim());
    let directory = properties.get("metadata.log.dir").or(directories);
    let directory = directory.ok_or_else(|| wrong("Neither metadata.log.dir nor log.dirs were found."))?;
    let stored = directory_id(Path::new(directory))
        .map_err(|_| Failure(format!("Unable to read meta.properties from {directory}")))?;
    let stored = stored.ok_or_else(|| Failure(format!("No directory id found in {directory}")))?;
    Ok(NewController { id: NodeId(id), directory: stored, endpoints: endpoints(properties)? })
}

/// Where the controller's listeners are, the advertised address before the one that is listened on.
fn endpoints(properties: &Properties) -> Result<Vec<VoterEndpoint>, Failure> {
    let names = properties.get("controller.listener.names").ok_or_else(|| {
        let error = "controller.listener.names was not found. Is this a valid controller configuration file?";
        Failure(error.to_owned())
    })?;
    let of = |key: &str| properties.get(key).unwrap_or_default().split(',').filter_map(endpoint).collect::<Vec<_>>();
    let (advertised, listened) = (of("advertised.listeners"), of("listeners"));
    let found = |name: &str| {
        let all = advertised.iter().chain(&listened);
        let found = all.clone().find(|endpoint| endpoint.listener == name.to_uppercase()).cloned();
        found.ok_or_else(|| Failure(format!("Cannot find information about controller listener name: {name}")))
    };
    names.split(',').map(|name| found(name.trim())).collect()
}

/// `NAME://host:port`; a listener on all addresses is told to be on this machine.
fn endpoint(text: &str) -> Option<VoterEndpoint> {
    let (listener, address) = text.trim().split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    Some(VoterEndpoint { listener: listener.to_uppercase(), host: host.to_owned(), port: port.parse().ok()? })
}

impl NewController {
    /// Adds it, or only tells what would be done.
    pub(super) async fn add(&self, admin: &Admin, is_dry_run: bool, console: &mut Console) -> Result<(), Failure> {
        if !is_dry_run {
            let added = admin.add_raft_voter(self.id, self.directory, &self.endpoints).await;
            added.map_err(|error| Failure::of_client(&error))?;
        }
        let done = if is_dry_run { "DRY RUN of adding" } else { "Added" };
        let shown = |endpoint: &VoterEndpoint| {
            let VoterEndpoint { listener, host, port } = endpoint;
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            format!("{listener}://{host}:{port}")
        };
        let endpoints: Vec<_> = self.endpoints.iter().map(shown).collect();
        console.line(&format!(
            "{done} controller {} with directory id {} and endpoints: {}",
            self.id,
            self.directory,
            endpoints.join(", ")
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints_of(text: &str) -> Result<Vec<VoterEndpoint>, Failure> {
        endpoints(&ottla_config::properties::parse(text.as_bytes(), "test").unwrap())
    }

    #[test]
    fn the_advertised_address_of_a_controllers_listener_comes_before_the_other() {
        let both = "controller.listener.names=C,D\nlisteners=C://:1,D://[::1]:2\nadvertised.listeners=C://host:3\n";
        let expected = [("C", "host", 3), ("D", "::1", 2)].map(|(listener, host, port)| VoterEndpoint {
            listener: listener.to_owned(),
            host: host.to_owned(),
            port,
        });
        assert_eq!(endpoints_of(both).unwrap(), expected);
        let without = endpoints_of("controller.listener.names=C\n").unwrap_err().0;
        assert_eq!(without, "Cannot find information about controller listener name: C");
    }
}
