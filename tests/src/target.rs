use crate::Server;
use ottla_oracle::{Node, NodeOptions, Oracle};
use std::io;

/// Members of consumer groups are heard of often, so that a test need not wait.
const SETTINGS: [(&str, &str); 3] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.min.heartbeat.interval.ms", "200"),
    ("group.consumer.heartbeat.interval.ms", "200"),
];

/// So many lines of a log tell what went wrong last.
const LOG_LINES: usize = 40;

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
        Self::ottla_with(&[])
    }

    /// A new Ottla server with `settings` added to its properties.
    ///
    /// # Errors
    /// When it does not start.
    pub fn ottla_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        Server::start(&[&SETTINGS, settings].concat()).map(Self::Ottla)
    }

    /// A new Apache Kafka node.
    ///
    /// # Errors
    /// When it is not installed (`cargo run -p ottla-oracle -- install`) or does not start.
    pub fn apache_kafka() -> io::Result<Self> {
        Self::apache_kafka_with(&[])
    }

    /// A new Apache Kafka node with `settings` added to its properties.
    ///
    /// # Errors
    /// As [`Target::apache_kafka`].
    pub fn apache_kafka_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        let settings = SETTINGS.iter().chain(settings);
        let options = settings.fold(NodeOptions::default(), |options, (key, value)| options.property(key, value));
        let node = Oracle::at_home().start(&options).map_err(io::Error::other)?;
        Ok(Self::ApacheKafka(Box::new(node)))
    }

    /// Kills the server as a crash would (SIGKILL), starts it again on its directory and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub fn kill_and_restart(&mut self) -> io::Result<()> {
        match self {
            Self::Ottla(server) => {
                server.kill()?;
                server.launch()
            }
            Self::ApacheKafka(node) => {
                node.kill();
                node.restart().map_err(io::Error::other)
            }
        }
    }

    /// Stops the server as an operator would (SIGTERM), starts it again on its directory and waits until it answers.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub fn stop_and_restart(&mut self) -> io::Result<()> {
        match self {
            Self::Ottla(server) => {
                server.stop()?;
                server.launch()
            }
            Self::ApacheKafka(node) => {
                node.stop().map_err(io::Error::other)?;
                node.restart().map_err(io::Error::other)
            }
        }
    }

    /// The end of what the server has said so far.
    pub fn log(&self) -> String {
        let log = match self {
            Self::Ottla(server) => server.log(),
            Self::ApacheKafka(node) => {
                std::fs::read_to_string(node.directory().join("logs/server.log")).unwrap_or_default()
            }
        };
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// The address for clients.
    pub fn bootstrap(&self) -> String {
        match self {
            Self::Ottla(server) => server.bootstrap(),
            Self::ApacheKafka(node) => node.bootstrap_server(),
        }
    }
}
