//! Ottla in the place of a node of Apache Kafka.

use crate::binary;
use ottla_oracle::{Leash, Node};
use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Ottla on the directory and with the properties of a node of Apache Kafka. Killed when dropped.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    _leash: Leash,
}

impl Guest {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// It can't be started, or ends; what it said is in the error.
    pub fn start(node: &Node) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(node.directory().join("ottla.log"))?;
        let properties = node.directory().join("server.properties");
        let mut command = Command::new(binary()?);
        command.arg(properties).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn()?;
        let leash = Leash::tie(&child)?;
        let mut guest = Self { child, _leash: leash };
        guest.wait_for(node)?;
        Ok(guest)
    }

    fn wait_for(&mut self, node: &Node) -> io::Result<()> {
        while TcpStream::connect(node.bootstrap_server()).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("Ottla ends with {status}:\n{}", Self::said(node))));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// What Ottla has said on this directory.
    pub fn said(node: &Node) -> String {
        fs::read_to_string(node.directory().join("ottla.log")).unwrap_or_default()
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// It does not end with success.
    pub fn stop(mut self) -> io::Result<()> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("Ottla ended with {status}"))) }
    }

    /// Kills it.
    ///
    /// # Errors
    /// It can't be killed.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // When it has ended already, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
