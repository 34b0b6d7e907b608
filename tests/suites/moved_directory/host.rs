//! One directory, and which of the two servers runs on it.

use ottla_oracle::{Node, NodeOptions, Oracle};
use ottla_tests::{Asker, Guest};

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Killed,
}

/// A directory formatted by Apache Kafka, which is served by it and by Ottla in turns.
pub(crate) struct Host {
    node: Node,
    guest: Option<Guest>,
    /// How many turns are over: Apache Kafka has the first.
    turns: usize,
    pub(crate) folder: tempfile::TempDir,
}

impl Host {
    /// Apache Kafka runs on the new directory. In properties and options of formatting `DIRECTORY` stands for a folder of its own,
    /// and `CONTROLLER_PORT` for the port of its controller.
    pub(crate) fn new(properties: &[(&str, &str)], format: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().to_str().unwrap().to_owned();
        let mut options = NodeOptions { directory: Some(folder.path().join("node")), ..NodeOptions::default() };
        options.controller_port = Some(ottla_oracle::free_port().unwrap());
        let port = options.controller_port.unwrap().to_string();
        let filled = |text: &str| text.replace("DIRECTORY", &within).replace("CONTROLLER_PORT", &port);
        for (name, value) in properties {
            options = options.property(name, filled(value));
        }
        options.format = format.iter().map(|word| filled(word)).collect();
        let node = Oracle::at_home().start(&options).unwrap();
        Self { node, guest: None, turns: 0, folder }
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker::new(self.node.bootstrap_server())
    }

    /// Ends the one server and starts the other.
    pub(crate) fn change(&mut self, end: End) {
        self.end(end);
        self.start_next();
    }

    /// Ends the server that runs.
    pub(crate) fn end(&mut self, end: End) {
        match (self.guest.take(), end) {
            (Some(guest), End::Stopped) => guest.stop().unwrap(),
            (Some(guest), End::Killed) => guest.kill().unwrap(),
            (None, End::Stopped) => self.node.stop().unwrap(),
            (None, End::Killed) => self.node.kill(),
        }
        self.turns += 1;
    }

    /// Starts the server whose turn it is.
    pub(crate) fn start_next(&mut self) {
        if self.turns % 2 == 1 {
            self.guest = Some(Guest::start(&self.node).unwrap());
        } else {
            self.node.restart().unwrap();
        }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> String {
        self.node.bootstrap_server()
    }

    /// What Ottla has said so far.
    pub(crate) fn said_by_ottla(&self) -> String {
        Guest::said(&self.node)
    }
}
