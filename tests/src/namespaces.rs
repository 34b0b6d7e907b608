//! Hosts that are none: a network namespace with an address of its own for each node, on a bridge that can be cut anywhere.
//!
//! Packets are lost without a word, as behind a broken switch: whoever is cut off sends to a hardware address that nobody has.
//! Nothing is refused, nobody is told, and what is said in the other direction still arrives.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Networks that may be there at the same time.
const NETWORKS_MAX: u8 = 250;
/// The last part of the address outside of the namespaces, where the test itself and its clients are.
const OUTSIDE: u8 = 254;
/// A hardware address that nobody has.
const NOBODY: &str = "02:ff:ff:ff:ff:ff";

/// A place in the network: a node, counted from 1 on, or [`Namespaces::OUTSIDE`].
pub type Place = u8;

/// A network of some nodes, and of the test outside. Taken down when dropped; what a killed test has left is removed by a later one.
#[derive(Debug)]
pub struct Namespaces {
    number: u8,
    nodes: u8,
}

impl Namespaces {
    /// Where the test itself is, with whatever it starts without a namespace.
    pub const OUTSIDE: Place = 0;

    /// A network with so many nodes, in which everything arrives.
    ///
    /// # Errors
    /// When the system does not permit namespaces, or `ip` is missing.
    pub fn new(nodes: u8) -> io::Result<Self> {
        for number in 0..NETWORKS_MAX {
            // Its bridge is the mark that a number is taken.
            if Path::new("/sys/class/net").join(bridge(number)).exists() && !remove_if_left(number)? {
                continue;
            }
            if ip(&format!("link add {} type bridge\n", bridge(number)), None).is_ok() {
                let network = Self { number, nodes };
                network.build().map_err(|error| not_here(&error))?;
                return Ok(network);
            }
        }
        Err(not_here(&io::Error::other("no bridge can be made")))
    }

    fn build(&self) -> io::Result<()> {
        let bridge = bridge(self.number);
        let mut outside = format!(
            "link set {bridge} alias {} address {} up\naddr add {}/24 dev {bridge}\n",
            std::process::id(),
            self.hardware(Self::OUTSIDE),
            self.address(Self::OUTSIDE)
        );
        for node in 1..=self.nodes {
            let (namespace, link) = (self.namespace(node), self.link(node));
            outside.push_str(&format!(
                "netns add {namespace}\nlink add {link} type veth peer name eth0 netns {namespace}\n\
                 link set {link} master {bridge} up\n"
            ));
        }
        ip(&outside, None)?;
        for node in 1..=self.nodes {
            let own = format!(
                "link set lo up\nlink set eth0 address {} up\naddr add {}/24 dev eth0\n",
                self.hardware(node),
                self.address(node)
            );
            ip(&own, Some(&self.namespace(node)))?;
        }
        self.heal()
    }

    /// The address of a place.
    pub fn address(&self, place: Place) -> String {
        format!("10.213.{}.{}", self.number, last_part(place))
    }

    /// The words before a program's name that run it at a node.
    pub fn wrapper(&self, node: Place) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(node)].map(str::to_owned).into()
    }

    /// Nothing arrives from one place at another any more; the other way round things do.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn cut(&self, from: Place, to: Place) -> io::Result<()> {
        ip(&self.neighbour(from, to, NOBODY), self.inside(from).as_deref())
    }

    /// Nothing arrives at a node from the other nodes, nor from it at them; `and_outside` says whether that is so with what is
    /// outside too.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn isolate(&self, node: Place, and_outside: bool) -> io::Result<()> {
        self.silence(node, and_outside)?;
        self.others(node, and_outside).try_for_each(|other| self.cut(other, node))
    }

    /// Nothing that a node sends arrives at the other nodes; it hears them.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn silence(&self, node: Place, and_outside: bool) -> io::Result<()> {
        let cuts: String = self.others(node, and_outside).map(|other| self.neighbour(node, other, NOBODY)).collect();
        ip(&cuts, self.inside(node).as_deref())
    }

    /// Nothing that the other nodes send arrives at a node; they hear it.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn deafen(&self, node: Place, and_outside: bool) -> io::Result<()> {
        self.others(node, and_outside).try_for_each(|other| self.cut(other, node))
    }

    /// Everything arrives again.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn heal(&self) -> io::Result<()> {
        for from in 0..=self.nodes {
            let others = self.others(from, true);
            let whole: String = others.map(|to| self.neighbour(from, to, &self.hardware(to))).collect();
            ip(&whole, self.inside(from).as_deref())?;
        }
        Ok(())
    }

    /// What a node sends and is sent goes at so many kilobits in a second, and waits before for `latency_ms` at most.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn slow(&self, node: Place, kilobits: u32, latency_ms: u32) -> io::Result<()> {
        let shape = format!("root tbf rate {kilobits}kbit burst 16kb latency {latency_ms}ms");
        let (namespace, link) = (self.namespace(node), self.link(node));
        tc(&format!("-n {namespace} qdisc replace dev eth0 {shape}"))?;
        tc(&format!("qdisc replace dev {link} {shape}"))
    }

    /// A node's network is as fast as ever.
    ///
    /// # Errors
    /// The system does not do it.
    pub fn hasten(&self, node: Place) -> io::Result<()> {
        tc(&format!("-n {} qdisc del dev eth0 root", self.namespace(node)))?;
        tc(&format!("qdisc del dev {} root", self.link(node)))
    }

    fn others(&self, place: Place, and_outside: bool) -> impl Iterator<Item = Place> {
        let first = if and_outside { Self::OUTSIDE } else { 1 };
        (first..=self.nodes).filter(move |other| *other != place)
    }

    fn neighbour(&self, from: Place, to: Place, hardware: &str) -> String {
        let device = if from == Self::OUTSIDE { bridge(self.number) } else { "eth0".to_owned() };
        format!("neigh replace {} lladdr {hardware} dev {device} nud permanent\n", self.address(to))
    }

    fn inside(&self, place: Place) -> Option<String> {
        (place != Self::OUTSIDE).then(|| self.namespace(place))
    }

    fn namespace(&self, node: Place) -> String {
        format!("{}-{node}", bridge(self.number))
    }

    fn link(&self, node: Place) -> String {
        self.namespace(node)
    }

    fn hardware(&self, place: Place) -> String {
        format!("02:00:00:00:{:02x}:{:02x}", self.number, last_part(place))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // What is left of it, a later test removes.
        let _ = remove(self.number);
    }
}

fn last_part(place: Place) -> u8 {
    if place == Namespaces::OUTSIDE { OUTSIDE } else { place }
}

fn bridge(number: u8) -> String {
    format!("ottla{number}")
}

/// Removes a network whose test has ended without doing so.
fn remove_if_left(number: u8) -> io::Result<bool> {
    let owner = fs::read_to_string(Path::new("/sys/class/net").join(bridge(number)).join("ifalias"))?;
    // One that is just being made has no owner yet.
    if owner.trim().is_empty() || Path::new("/proc").join(owner.trim()).exists() {
        return Ok(false);
    }
    remove(number).map(|()| true)
}

fn remove(number: u8) -> io::Result<()> {
    let all = Command::new("ip").args(["netns", "list"]).output()?;
    let prefix = format!("{}-", bridge(number));
    // With a namespace its link would go too, but only some time later, and the name is wanted again.
    for entry in fs::read_dir("/sys/class/net")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&prefix) {
            ip(&format!("link del {name}\n"), None)?;
        }
    }
    for line in String::from_utf8_lossy(&all.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if name.starts_with(&prefix) {
            ip(&format!("netns del {name}\n"), None)?;
        }
    }
    ip(&format!("link del {}\n", bridge(number)), None)
}

/// Runs lines of `ip`, in a namespace or outside.
fn ip(lines: &str, namespace: Option<&str>) -> io::Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    let mut child =
        command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(lines.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip can't do {lines:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn tc(arguments: &str) -> io::Result<()> {
    let output = Command::new("tc").args(arguments.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("tc can't do {arguments}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn not_here(error: &io::Error) -> io::Error {
    io::Error::other(format!(
        "network namespaces can't be made here; this needs root, CAP_NET_ADMIN and CAP_SYS_ADMIN, and the package iproute2: {error}"
    ))
}

#[cfg(all(test, feature = "namespaces"))]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
    use std::time::Duration;

    /// Whether a connection to the node's port is answered at all; nobody listens there, so the answer is a refusal.
    fn is_heard(network: &Namespaces, node: Place) -> bool {
        let address: Ipv4Addr = network.address(node).parse().unwrap();
        let tried = TcpStream::connect_timeout(&SocketAddr::from((address, 9)), Duration::from_millis(200));
        tried.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    #[test]
    fn packets_are_lost_where_the_network_is_cut_and_nowhere_else() {
        let network = Namespaces::new(2).unwrap();
        assert!(is_heard(&network, 1) && is_heard(&network, 2));
        network.cut(Namespaces::OUTSIDE, 1).unwrap();
        assert!(!is_heard(&network, 1) && is_heard(&network, 2));
        network.heal().unwrap();
        assert!(is_heard(&network, 1));
        network.silence(1, true).unwrap();
        assert!(!is_heard(&network, 1) && is_heard(&network, 2));
        network.heal().unwrap();
        network.isolate(1, false).unwrap();
        assert!(is_heard(&network, 1), "only the nodes are cut off from each other");
        network.heal().unwrap();
    }

    #[test]
    fn what_is_sent_in_one_direction_arrives_when_the_other_is_cut() {
        let network = Namespaces::new(1).unwrap();
        let socket = UdpSocket::bind((network.address(Namespaces::OUTSIDE), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = socket.local_addr().unwrap().port();
        network.cut(Namespaces::OUTSIDE, 1).unwrap();
        let mut words = network.wrapper(1);
        words.extend(["bash", "-c"].map(str::to_owned));
        words.push(format!("echo heard > /dev/udp/{}/{port}", network.address(Namespaces::OUTSIDE)));
        assert!(Command::new(&words[0]).args(&words[1..]).status().unwrap().success());
        let mut heard = [0; 16];
        let length = socket.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"heard\n");
    }

    #[test]
    fn a_network_that_nobody_owns_any_more_is_removed() {
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let network = Namespaces::new(1).unwrap();
        let (number, name) = (network.number, network.namespace(1));
        ip(&format!("link set {} alias {}\n", bridge(number), ended.id()), None).unwrap();
        std::mem::forget(network);
        assert!(remove_if_left(number).unwrap());
        assert!(!Path::new("/run/netns").join(name).exists());
    }
}
