//! Three nodes that are one cluster, of either server, by the same properties: each is voter and broker.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ottla_oracle::Leash;

use crate::Failure;
use crate::broker::{Kind, Shop};
use crate::netns::Network;
use crate::process::Process;
use crate::wire::Client;

pub const NODES: usize = 3;
/// Any sixteen bytes.
const CLUSTER_ID: &str = "b3R0bGEtb3JhY2xlLWlkLQ";
/// What Apache Kafka's start script gives to a broker.
const HEAP: &str = "1G";
/// How long anything that comes by itself may take.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// One node of a cluster.
pub struct Member {
    pub address: SocketAddr,
    directory: PathBuf,
    command: Command,
    running: Option<(Child, Leash)>,
}

/// A cluster that runs. Its members are counted from 0, and have the ids 1, 2, 3.
pub struct Cluster {
    pub kind: Kind,
    pub members: Vec<Member>,
    network: Option<Network>,
}

/// Where the nodes of a cluster live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All on the loopback interface.
    Loopback,
    /// Each in a network namespace of its own, so that it can be cut off.
    Namespaces,
}

impl Shop {
    /// Starts a cluster on empty directories and waits until every node serves.
    pub fn start_cluster(&self, kind: Kind, place: Place) -> Result<Cluster, Failure> {
        let network = if place == Place::Namespaces { Some(Network::build(NODES)?) } else { None };
        let mut addresses = Vec::new();
        for node in 0..NODES {
            addresses.push(match &network {
                Some(network) => (network.address(node).into(), 9092, 9093),
                None => ([127, 0, 0, 1].into(), ottla_oracle::free_port()?, ottla_oracle::free_port()?),
            });
        }
        let voter = |(id, (host, _, port)): (usize, &(std::net::IpAddr, u16, u16))| format!("{id}@{host}:{port}");
        let voters: Vec<String> = (1..).zip(&addresses).map(voter).collect();
        let mut members = Vec::new();
        for (node, (host, port, controller)) in addresses.iter().enumerate() {
            let directory = self.directory.join(format!("cluster-{}-{kind:?}-{node}", std::process::id()));
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(directory.join("logs"))?;
            let listeners = format!("PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}");
            let properties = format!(
                "process.roles=broker,controller\nnode.id={}\nlisteners={listeners}\nadvertised.listeners={listeners}\n\
                 controller.listener.names=CONTROLLER\ncontroller.quorum.voters={}\nlog.dirs={}\n",
                node + 1,
                voters.join(","),
                directory.join("data").display()
            );
            fs::write(directory.join("server.properties"), properties)?;
            let command = self.server(kind, &directory)?;
            let command = match &network {
                Some(network) => network.inside(node, &command),
                None => command,
            };
            members.push(Member { address: (*host, *port).into(), directory, command, running: None });
        }
        let mut cluster = Cluster { kind, members, network };
        for node in 0..NODES {
            cluster.launch(node)?;
        }
        cluster.wait_until("all nodes serve", |cluster| Ok(cluster.alive()? == NODES))?;
        Ok(cluster)
    }

    /// The command that starts a node. One of Apache Kafka is formatted before.
    fn server(&self, kind: Kind, directory: &Path) -> Result<Command, Failure> {
        let properties = directory.join("server.properties");
        match kind {
            Kind::Ottla => {
                let mut command = Command::new(&self.ottla);
                command.arg(properties);
                Ok(command)
            }
            Kind::Kafka => {
                let properties = properties.to_string_lossy();
                let ran = self.oracle.run_tool("kafka-storage", &["format", "-t", CLUSTER_ID, "-c", &properties])?;
                if ran.code != Some(0) {
                    return Err(Failure::from(format!("kafka-storage format: {}{}", ran.stdout, ran.stderr)));
                }
                Ok(self.oracle.server(directory, HEAP)?)
            }
            Kind::Bare => Err(Failure::from("there is no cluster of bare probes")),
        }
    }
}

impl Cluster {
    /// Starts the process of a node, and does not wait for it.
    pub fn launch(&mut self, node: usize) -> Result<(), Failure> {
        let member = &mut self.members[node];
        let path = member.directory.join("logs/stdout.log");
        let output = fs::File::options().create(true).append(true).open(path)?;
        let child = member.command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let leash = Leash::tie(&child)?;
        member.running = Some((child, leash));
        Ok(())
    }

    /// Kills a node with SIGKILL; when this returns, the process is gone and its sockets are closed.
    pub fn kill(&mut self, node: usize) -> Result<(), Failure> {
        if let Some((mut child, _leash)) = self.members[node].running.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops a node as an operator does, and waits for its end.
    pub fn stop(&mut self, node: usize) -> Result<(), Failure> {
        if let Some((mut child, _leash)) = self.members[node].running.take() {
            let process = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
            child.wait()?;
        }
        Ok(())
    }

    pub fn cut(&self, node: usize) -> Result<(), Failure> {
        self.network()?.cut(node)
    }

    pub fn heal(&self, node: usize) -> Result<(), Failure> {
        self.network()?.heal(node)
    }

    fn network(&self) -> Result<&Network, Failure> {
        self.network.as_ref().ok_or_else(|| Failure::from("nodes on the loopback interface can't be cut off"))
    }

    /// The addresses of all nodes for clients.
    pub fn bootstrap(&self) -> String {
        self.members.iter().map(|member| member.address.to_string()).collect::<Vec<_>>().join(",")
    }

    pub fn connect(&self, node: usize) -> Result<Client, Failure> {
        Ok(Client::connect_to(self.members[node].address)?)
    }

    /// Processor time of all nodes that run, in seconds.
    pub fn processor_seconds(&self) -> Result<f64, Failure> {
        self.processes().map(Process::processor_seconds).sum()
    }

    /// Resident memory of all nodes that run, in MiB.
    pub fn resident_mib(&self) -> Result<f64, Failure> {
        self.processes().map(Process::resident_mib).sum()
    }

    fn processes(&self) -> impl Iterator<Item = Process> {
        self.members.iter().filter_map(|member| member.running.as_ref()).map(|(child, _)| Process(child.id()))
    }

    /// Asks until it is so.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> Result<bool, Failure>) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            match is_so(self) {
                Ok(true) => return Ok(()),
                Ok(false) if started.elapsed() < PATIENCE => {}
                Ok(false) => return Err(Failure::from(format!("{:?}: never came to pass: {what}", self.kind))),
                Err(failure) if started.elapsed() > PATIENCE => return Err(failure),
                Err(_) => {}
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..self.members.len() {
            // The comparison is over; what can't be killed dies with this process.
            let _ = self.kill(node);
        }
        for member in &self.members {
            let _ = fs::remove_dir_all(&member.directory);
        }
    }
}
