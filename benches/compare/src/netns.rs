//! Nodes with addresses of their own on this machine, whose cables can be cut.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::cluster::NODES;

/// What the bridge's name begins with; the process id follows.
const PREFIX: &str = "oc";

/// Network namespaces, one for each node, joined by a bridge of which this process is a neighbour. Needs root. Gone when
/// dropped.
pub struct Network {
    bridge: String,
    subnet: u8,
    nodes: usize,
}

impl Network {
    pub fn build(nodes: usize) -> Result<Self, Failure> {
        remove_what_is_left()?;
        let process = std::process::id();
        let network = Self { bridge: format!("{PREFIX}{process}"), subnet: (process % 250) as u8, nodes };
        let bridge = network.bridge.as_str();
        ip(&["link", "add", bridge, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}/24", network.host(254)), "dev", bridge])?;
        ip(&["link", "set", bridge, "up"])?;
        for node in 0..nodes {
            let (namespace, cable) = (network.namespace(node), network.cable(node));
            ip(&["netns", "add", &namespace])?;
            ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
            ip(&["link", "set", &cable, "master", bridge, "up"])?;
            ip(&["-n", &namespace, "addr", "add", &format!("{}/24", network.address(node)), "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    pub fn address(&self, node: usize) -> Ipv4Addr {
        self.host(node as u8 + 1)
    }

    fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 214, self.subnet, number)
    }

    fn namespace(&self, node: usize) -> String {
        format!("{}-{node}", self.bridge)
    }

    fn cable(&self, node: usize) -> String {
        format!("{}-{node}", self.bridge)
    }

    /// From now on nothing comes to the node and nothing from it, and nobody is told: its cable ends in the air, but the
    /// node's own end still has a carrier.
    pub fn cut(&self, node: usize) -> Result<(), Failure> {
        ip(&["link", "set", &self.cable(node), "nomaster"])
    }

    pub fn heal(&self, node: usize) -> Result<(), Failure> {
        ip(&["link", "set", &self.cable(node), "master", &self.bridge])
    }

    /// The same command in the node's namespace. The process that is started becomes the program, so its id is the program's.
    pub fn inside(&self, node: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.namespace(node)]).arg(command.get_program()).args(command.get_args());
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.bridge, self.nodes);
    }
}

/// What can't be removed now, a later run removes.
fn remove(bridge: &str, nodes: usize) {
    for node in 0..nodes {
        let _ = ip(&["netns", "delete", &format!("{bridge}-{node}")]);
        // It goes with the namespace, but not at once.
        let _ = ip(&["link", "delete", &format!("{bridge}-{node}")]);
    }
    let _ = ip(&["link", "delete", bridge]);
}

/// Removes networks of runs that were killed.
fn remove_what_is_left() -> Result<(), Failure> {
    for entry in fs::read_dir("/sys/class/net")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(PREFIX).and_then(|number| number.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(process.to_string()).exists() {
            remove(&name, NODES);
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::from(format!("ip {}: {}", arguments.join(" "), said.trim())))
}
