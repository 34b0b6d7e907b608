use super::quorum::Identity;
use crate::listener::{AddressError, Endpoint, HostPort, SecurityProtocol, parse_listener};
use crate::settings::Reader;
use std::collections::{BTreeMap, BTreeSet};

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const NAMES: &str = "controller.listener.names";
const MAP: &str = "listener.security.protocol.map";

/// Where a node listens and what it tells others. A port of 0 is given by the operating system at the bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Where clients and brokers are served.
    pub broker: Vec<Endpoint>,
    /// Where controllers are served; empty on a node that is none, and on one that stands alone.
    pub controller: Vec<Endpoint>,
    /// What clients and brokers are told; never empty on a broker.
    pub advertised_broker: Vec<Endpoint>,
    /// What the quorum is told of this controller.
    pub advertised_controller: Vec<Endpoint>,
    /// The names of controller listeners, on this node or on others, in capitals. The node speaks the first.
    pub controller_listener_names: Vec<String>,
    /// The name of the listener on which brokers talk to each other.
    pub inter_broker_listener_name: String,
    /// What each known listener name speaks.
    pub security_protocols: BTreeMap<String, SecurityProtocol>,
}

/// Reads all about listeners.
pub(super) fn read(reader: &mut Reader<'_>, identity: &Identity) -> ListenerConfig {
    let controller_listener_names = controller_listener_names(reader, identity);
    let mut bound = entries(reader, LISTENERS);
    let mut advertised = if reader.is_set(ADVERTISED) { entries(reader, ADVERTISED) } else { bound.clone() };
    let implied = implied_controller_listener(identity, &controller_listener_names, &bound);
    bound.extend(implied.clone());
    advertised_controllers(identity, &controller_listener_names, &bound, &mut advertised, reader.is_set(ADVERTISED));
    let security_protocols = security_protocols(reader, &controller_listener_names, &bound);
    let mut config = ListenerConfig { controller_listener_names, security_protocols, ..ListenerConfig::default() };
    (config.controller, config.broker) = config.endpoints(reader, LISTENERS, bound);
    (config.advertised_controller, config.advertised_broker) = config.endpoints(reader, ADVERTISED, advertised);
    config.inter_broker_listener_name = config.inter_broker_listener_name(reader);
    config.check(reader, identity);
    config
}

impl ListenerConfig {
    /// Gives each listener its protocol, and parts those of controllers from the others.
    fn endpoints(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        listeners: Vec<(String, HostPort)>,
    ) -> (Vec<Endpoint>, Vec<Endpoint>) {
        let mut endpoints = Vec::new();
        for (listener_name, address) in listeners {
            match self.security_protocols.get(&listener_name) {
                Some(&security_protocol) => endpoints.push(Endpoint { listener_name, address, security_protocol }),
                None => reader.conflict(key, format!("{key}: {MAP} has no entry for the listener {listener_name}")),
            }
        }
        endpoints.into_iter().partition(|endpoint| self.controller_listener_names.contains(&endpoint.listener_name))
    }

    fn inter_broker_listener_name(&self, reader: &mut Reader<'_>) -> String {
        const KEY: &str = "inter.broker.listener.name";
        let by_protocol: String = reader.get("security.inter.broker.protocol", None);
        match reader.get::<Option<String>>(KEY, None) {
            None => by_protocol,
            Some(name) => {
                if reader.is_set("security.inter.broker.protocol") {
                    reader.conflict(KEY, format!("set only one of {KEY} and security.inter.broker.protocol"));
                }
                name.to_uppercase()
            }
        }
    }

    fn check(&self, reader: &mut Reader<'_>, identity: &Identity) {
        check_apart(reader, LISTENERS, self.broker.iter().chain(&self.controller));
        check_names(reader, ADVERTISED, self.advertised_broker.iter().chain(&self.advertised_controller));
        for endpoint in self.broker.iter().chain(&self.controller) {
            if endpoint.security_protocol != SecurityProtocol::Plaintext {
                let message =
                    format!("{endpoint}: {} is not built yet, only PLAINTEXT is", endpoint.security_protocol.name());
                reader.conflict(LISTENERS, message);
            }
        }
        for endpoint in self.advertised_broker.iter().chain(&self.advertised_controller) {
            if endpoint.address.host == "0.0.0.0" {
                reader
                    .conflict(ADVERTISED, format!("{ADVERTISED}: nobody can connect to 0.0.0.0, name a real address"));
            }
        }
        if identity.roles.broker {
            self.check_broker(reader);
        }
        self.check_controller_names(reader, identity);
        match (identity.roles.controller, identity.roles.broker) {
            (true, _) if self.controller.is_empty() && !identity.stands_alone => {
                reader.conflict(NAMES, format!("a controller needs a listener whose name is in {NAMES}"));
            }
            (true, false) if !self.broker.is_empty() => {
                reader.conflict(LISTENERS, format!("on a mere controller all {LISTENERS} must be named in {NAMES}"));
            }
            (false, _) if !self.controller.is_empty() => {
                reader.conflict(LISTENERS, format!("{LISTENERS} must not contain one of {NAMES} on a mere broker"));
            }
            _ => {}
        }
    }

    /// A controller must listen under each of the names; a broker must know what to speak to each.
    fn check_controller_names(&self, reader: &mut Reader<'_>, identity: &Identity) {
        for name in &self.controller_listener_names {
            let has_listener = self.controller.iter().any(|endpoint| endpoint.listener_name == *name);
            if identity.roles.controller && !has_listener && !identity.stands_alone {
                reader.conflict(NAMES, format!("{NAMES}: {LISTENERS} has no {name}"));
            }
            if !self.security_protocols.contains_key(name) {
                reader.conflict(NAMES, format!("{NAMES}: {MAP} has no entry for the listener {name}"));
            }
        }
    }

    fn check_broker(&self, reader: &mut Reader<'_>) {
        if self.advertised_broker.is_empty() {
            reader.conflict(ADVERTISED, format!("a broker needs at least one listener that is not in {NAMES}"));
            return;
        }
        let name = &self.inter_broker_listener_name;
        if !self.advertised_broker.iter().any(|endpoint| endpoint.listener_name == *name) {
            let message = format!("brokers talk to each other on the listener {name}, which {ADVERTISED} must contain");
            reader.conflict("inter.broker.listener.name", message);
        }
        for endpoint in &self.advertised_broker {
            if !self.broker.iter().any(|bound| bound.listener_name == endpoint.listener_name) {
                let message = format!("{ADVERTISED}: {LISTENERS} has no {}", endpoint.listener_name);
                reader.conflict(ADVERTISED, message);
            }
        }
    }
}

fn controller_listener_names(reader: &mut Reader<'_>, identity: &Identity) -> Vec<String> {
    if !reader.is_set(NAMES) && identity.roles_are_given {
        let advice = "name the listener on which controllers talk, for example CONTROLLER".to_owned();
        reader.errors.push(crate::ConfigError::Missing { key: NAMES, advice });
    }
    if !reader.is_set(NAMES) {
        return vec!["CONTROLLER".to_owned()];
    }
    reader.get::<Vec<String>>(NAMES, None).iter().map(|name| name.to_uppercase()).collect()
}

/// Where roles are derived, a voter without a controller listener gets one at its own address in the quorum.
fn implied_controller_listener(
    identity: &Identity,
    names: &[String],
    bound: &[(String, HostPort)],
) -> Option<(String, HostPort)> {
    let is_implied = !identity.roles_are_given && identity.roles.controller && !identity.stands_alone;
    if !is_implied || bound.iter().any(|(name, _)| names.contains(name)) {
        return None;
    }
    let address = identity.quorum.voters.get(&identity.node_id)?;
    Some((names.first()?.clone(), address.clone()))
}

/// A controller listener need not be advertised; then it is advertised as it is. One that is bound to every interface has
/// no address to tell; the voters know one for the first of them.
fn advertised_controllers(
    identity: &Identity,
    names: &[String],
    bound: &[(String, HostPort)],
    advertised: &mut Vec<(String, HostPort)>,
    is_given: bool,
) {
    for (name, address) in bound.iter().filter(|(name, _)| names.contains(name)) {
        let told = advertised.iter_mut().find(|(other, _)| other == name);
        if is_given && told.is_some() {
            continue;
        }
        let everywhere = address.host.is_empty() || address.host == "0.0.0.0";
        let own = identity.quorum.voters.get(&identity.node_id).filter(|_| names.first() == Some(name));
        let address = own.filter(|_| everywhere).unwrap_or(address).clone();
        match told {
            Some(told) => told.1 = address,
            None => advertised.push((name.clone(), address)),
        }
    }
}

/// The entries of `listeners` or `advertised.listeners`.
fn entries(reader: &mut Reader<'_>, key: &'static str) -> Vec<(String, HostPort)> {
    let texts: Option<Vec<String>> = reader.get(key, None);
    let mut listeners = Vec::new();
    for text in texts.unwrap_or_default() {
        match parse_listener(&text) {
            Ok(listener) => listeners.push(listener),
            Err(error) => reader.conflict(key, message(key, &text, error)),
        }
    }
    listeners
}

fn message(key: &str, text: &str, error: AddressError) -> String {
    format!("Invalid value {text} for configuration {key}: {}", error.reason("name://host:port"))
}

/// The map of names to protocols. While nobody sets it and no listener asks for TLS or SASL, controller listeners speak
/// plaintext, as in Kafka (KIP-797).
fn security_protocols(
    reader: &mut Reader<'_>,
    controller_listener_names: &[String],
    bound: &[(String, HostPort)],
) -> BTreeMap<String, SecurityProtocol> {
    let text: String = reader.get(MAP, None);
    let mut map = BTreeMap::new();
    for entry in crate::value::list(&text).iter().filter(|entry| !entry.is_empty()) {
        let pair = entry.rsplit_once(':').map(|(name, protocol)| (name.trim().to_uppercase(), protocol.trim()));
        match pair.and_then(|(name, protocol)| Some((name, SecurityProtocol::from_name(&protocol.to_uppercase())?))) {
            Some((name, protocol)) => {
                map.insert(name, protocol);
            }
            None => reader.conflict(MAP, format!("{MAP}: {entry} is not of the form name:protocol")),
        }
    }
    let guarded = |name: &String| SecurityProtocol::from_name(name).is_some_and(|it| it != SecurityProtocol::Plaintext);
    let all_plain = !bound.iter().any(|(name, _)| guarded(name)) && !controller_listener_names.iter().any(guarded);
    if !reader.is_set(MAP) && all_plain {
        for name in controller_listener_names {
            map.entry(name.clone()).or_insert(SecurityProtocol::Plaintext);
        }
    }
    map
}

/// No two listeners may have one name, nor one port, except that IPv4 and IPv6 addresses may share a port.
fn check_apart<'a>(reader: &mut Reader<'_>, key: &str, endpoints: impl Iterator<Item = &'a Endpoint>) {
    let endpoints: Vec<_> = endpoints.collect();
    check_names(reader, key, endpoints.iter().copied());
    let mut ports = BTreeSet::new();
    for endpoint in endpoints {
        let HostPort { host, port } = &endpoint.address;
        let family = (host.contains(':'), host.split('.').all(|part| part.parse::<u8>().is_ok()));
        let taken = match family {
            _ if *port == 0 => false,
            (true, _) | (_, true) => !ports.insert((*port, family)),
            _ => ports.iter().any(|(other, _)| other == port) || !ports.insert((*port, family)),
        };
        if taken {
            reader.conflict(key, format!("{key}: each listener needs a port of its own, {port} is there twice"));
        }
    }
}

fn check_names<'a>(reader: &mut Reader<'_>, key: &str, endpoints: impl Iterator<Item = &'a Endpoint>) {
    let mut names = BTreeSet::new();
    for endpoint in endpoints {
        if !names.insert(&endpoint.listener_name) {
            let message =
                format!("{key}: each listener needs a name of its own, {} is there twice", endpoint.listener_name);
            reader.conflict(key, message);
        }
    }
}
