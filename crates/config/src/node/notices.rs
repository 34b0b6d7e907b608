use crate::error::Notice;
use crate::key::Scope;
use crate::keys;
use crate::properties::Properties;

/// Keys of older releases, with their fate. A name that ends with a dot is a prefix.
const REMOVED: [(&str, &str); 9] = [
    ("zookeeper.", "there is no ZooKeeper any more, the nodes keep the metadata themselves"),
    ("inter.broker.protocol.version", "the cluster's metadata.version took its place in Kafka 4.0"),
    ("log.message.format.version", "Kafka 4.0 writes one format only"),
    ("log.message.downconversion.enable", "Kafka 4.0 answers old clients no more"),
    ("log.message.timestamp.difference.max.ms", "log.message.timestamp.before.max.ms and .after.max.ms took its place"),
    ("control.plane.listener.name", "controllers have had listeners of their own since Kafka 3.3"),
    ("broker.id.generation.enable", "set node.id"),
    ("reserved.broker.max.id", "set node.id"),
    ("password.encoder.", "passwords are not kept in ZooKeeper any more"),
];

/// Prefixes of keys that belong to plug-ins or to single listeners.
const PREFIXES: [&str; 4] = ["listener.name.", "rsm.config.", "rlmm.config.", "remote.log.metadata."];

/// What an operator should read once about the keys of `properties`.
pub(super) fn of(properties: &Properties) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut not_obeyed = Vec::new();
    for (name, entry) in properties.iter() {
        let place = entry.place.clone();
        if let Some(key) = keys::find(Scope::Broker, name) {
            if !key.obeyed {
                not_obeyed.push(name.to_owned());
            }
        } else if name.starts_with("config.providers.") {
            // The providers themselves have looked at these.
        } else if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name == "super.users" {
            not_obeyed.push(name.to_owned());
        } else if let Some((_, fate)) = REMOVED.iter().find(|(removed, _)| is(name, removed)) {
            notices.push(Notice::Removed { place, key: name.to_owned(), fate });
        } else {
            let nearest = keys::nearest_to(Scope::Broker, name);
            notices.push(Notice::Unknown { place, key: name.to_owned(), nearest });
        }
    }
    if !not_obeyed.is_empty() {
        notices.push(Notice::NotObeyed { keys: not_obeyed });
    }
    notices
}

fn is(name: &str, removed: &str) -> bool {
    if removed.ends_with('.') { name.starts_with(removed) } else { name == removed }
}
