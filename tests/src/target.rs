use crate::Server;
use ottla_oracle::{Node, NodeOptions, Oracle};
use std::io;

/// Members of consumer groups are heard of often, so that a test need not wait.
const SETTINGS: [(&str, &str); 3] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.min.heartbeat.interval.ms", "200"),
    ("group.consumer.heartbeat.interval.ms", "200"),
];

/// A server that the same jobs are done on: Ottla, or the Apache Kafka that it is held against.
#[derive(Debug)]
pub enum Target {
    /// This build.
    Ottla(Server),
    /// The pinned release.
    ApacheKafka(Box<Node>),
}

impl Target {
    /// A new Ottla server.
    ///
    /// # Errors
    /// When it does not start.
    pub fn ottla() -> io::Result<Self> {
        Server::start(&SETTINGS).map(Self::Ottla)
    }

    /// A new Apache Kafka node.
    ///
    /// # Errors
    /// When it is not installed (`cargo run -p ottla-oracle -- install`) or does not start.
    pub fn apache_kafka() -> io::Result<Self> {
        let options =
            SETTINGS.iter().fold(NodeOptions::default(), |options, (key, value)| options.property(key, value));
        let node = Oracle::at_home().start(&options).map_err(io::Error::other)?;
        Ok(Self::ApacheKafka(Box::new(node)))
    }

    /// The address for clients.
    pub fn bootstrap(&self) -> String {
        match self {
            Self::Ottla(server) => server.bootstrap(),
            Self::ApacheKafka(node) => node.bootstrap_server(),
        }
    }
}
