//! One directory, and which of the two servers runs on it.

use ottla_oracle::{Leash, Node, NodeOptions, Oracle};
use ottla_tests::{Asker, binary};
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Ottla on the directory and with the properties of a node of Apache Kafka.
pub(crate) struct Guest {
    child: Child,
    _leash: Leash,
}

impl Guest {
    pub(crate) fn start(node: &Node) -> Self {
        let log = File::options().create(true).append(true).open(node.directory().join("ottla.log")).unwrap();
        let properties = node.directory().join("server.properties");
        let mut command = Command::new(binary().unwrap());
        command.arg(properties).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let leash = Leash::tie(&child).unwrap();
        let mut guest = Self { child, _leash: leash };
        guest.wait_for(node);
        guest
    }

    /// Until it listens.
    fn wait_for(&mut self, node: &Node) {
        while TcpStream::connect(node.bootstrap_server()).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                let said = fs::read_to_string(node.directory().join("ottla.log")).unwrap_or_default();
                panic!("Ottla ends with {status}:\n{said}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn stop(mut self) {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(self.child.wait().unwrap().success(), "a clean stop");
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // When it has ended already, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
            (Some(guest), End::Stopped) => guest.stop(),
            (Some(guest), End::Killed) => guest.kill(),
            (None, End::Stopped) => self.node.stop().unwrap(),
            (None, End::Killed) => self.node.kill(),
        }
        self.turns += 1;
    }

    /// Starts the server whose turn it is.
    pub(crate) fn start_next(&mut self) {
        if self.turns % 2 == 1 {
            self.guest = Some(Guest::start(&self.node));
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
        fs::read_to_string(self.node.directory().join("ottla.log")).unwrap_or_default()
    }
}
