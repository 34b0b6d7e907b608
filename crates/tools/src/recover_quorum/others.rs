use crate::failure::Stop;
use ottla_broker::Survivor;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A machine that is gone answers nothing; one that is there answers much sooner.
const PATIENCE: Duration = Duration::from_secs(2);

/// Voters of the log that still listen may be a majority together, or become one.
pub(super) fn refuse_if_one_listens(survivor: &Survivor) -> Result<(), Stop> {
    let own = survivor.properties.node_id;
    for voter in survivor.voters.iter().filter(|voter| voter.key.id != own) {
        for endpoint in &voter.endpoints {
            let addresses = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
            let listens = addresses
                .is_ok_and(|mut all| all.any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok()));
            if listens {
                return Err(Stop::Message(format!(
                    "Somebody listens at {}:{}, the address of voter {}: stop it first, for the voters must not decide without this \
                     node. If a majority can be started, start it instead of this. Nothing was changed.",
                    endpoint.host, endpoint.port, voter.key.id
                )));
            }
        }
    }
    Ok(())
}
