//! Clusters of servers of this build, each a process of its own.

use crate::{LOOPBACK, Load, Namespaces, Server, binary, free_port, run, workspace};
use serde_json::Value;
use std::io;
use std::process::Command;

/// Where nodes with addresses of their own listen, for clients and for each other's controllers.
const PORTS: (u16, u16) = (9092, 9093);

fn properties(id: i32, host: &str, port: u16, voters: &[String], settings: &[(&str, &str)]) -> String {
    let mut properties = format!(
        "node.id={id}\nlisteners=PLAINTEXT://{host}:{port}\nlog.dirs=DIRECTORY/data\ncontroller.quorum.voters={}\n\
         group.initial.rebalance.delay.ms=0\n",
        voters.join(",")
    );
    settings.iter().for_each(|(key, value)| properties.push_str(&format!("{key}={value}\n")));
    properties
}

/// Several servers that are one cluster. Killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes; the first has the id 1.
    pub nodes: Vec<Server>,
}

impl Cluster {
    /// Starts so many nodes, each voter and broker, with `settings` added to their properties, and waits until all serve.
    ///
    /// # Errors
    /// When one can't be started or does not answer; its log is in the error.
    pub fn of_voters(count: usize, settings: &[(&str, &str)]) -> io::Result<Self> {
        let ports = (0..count).map(|_| Ok((free_port()?, free_port()?))).collect::<io::Result<Vec<_>>>()?;
        let voters: Vec<_> =
            (1..).zip(&ports).map(|(id, (_, controller))| format!("{id}@127.0.0.1:{controller}")).collect();
        let mut nodes = Vec::new();
        for (id, (port, _)) in (1..).zip(&ports) {
            nodes.push(Server::prepare(*port, &properties(id, LOOPBACK, *port, &voters, settings))?);
        }
        Self::start(nodes)
    }

    /// As [`Self::of_voters`], each node at its own place of a network, with the node's id as its number.
    ///
    /// # Errors
    /// As there.
    pub fn of_voters_in(network: &Namespaces, count: u8, settings: &[(&str, &str)]) -> io::Result<Self> {
        Self::prepare_in(network, count, settings).and_then(Self::start)
    }

    /// The nodes of [`Self::of_voters_in`], not started.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn prepare_in(network: &Namespaces, count: u8, settings: &[(&str, &str)]) -> io::Result<Vec<Server>> {
        let (port, controller) = PORTS;
        let voters: Vec<_> = (1..=count).map(|id| format!("{id}@{}:{controller}", network.address(id))).collect();
        let node = |id| {
            let host = network.address(id);
            let properties = properties(id.into(), &host, port, &voters, settings);
            Server::prepare_at(&host, port, network.wrapper(id), &properties)
        };
        (1..=count).map(node).collect()
    }

    /// Starts nodes that were prepared, and waits until all serve.
    ///
    /// # Errors
    /// When one can't be started or does not answer; its log is in the error.
    pub fn start(mut nodes: Vec<Server>) -> io::Result<Self> {
        for node in &mut nodes {
            node.begin()?;
        }
        for node in &mut nodes {
            node.wait_for_answer()?;
        }
        Ok(Self { nodes })
    }

    /// What a tool of this build says about the cluster; the words behind the bootstrap servers are `arguments`.
    ///
    /// # Errors
    /// When it can't be run, or fails.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> io::Result<String> {
        run(Command::new(binary()?).args([name, "--bootstrap-server", &self.bootstrap()]).args(arguments))
    }

    /// Makes a topic with three replicas for each partition, of which two must acknowledge.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create_safe_topic(&self, topic: &str, partitions: usize) -> io::Result<()> {
        let partitions = partitions.to_string();
        let create = ["--create", "--topic", topic, "--partitions", &partitions, "--replication-factor", "3"];
        self.tool("kafka-topics", &[&create[..], &["--config", "min.insync.replicas=2"]].concat()).map(drop)
    }

    /// Whether all replicas are in sync, as far as anybody answers.
    pub fn is_in_sync(&self) -> bool {
        let under = self.tool("kafka-topics", &["--describe", "--under-replicated-partitions"]);
        under.is_ok_and(|under| under.trim().is_empty())
    }

    /// The id of the active controller; `None` while nobody tells.
    pub fn active_controller(&self) -> Option<u8> {
        let said = self.tool("kafka-metadata-quorum", &["describe", "--status"]).ok()?;
        said.lines().find_map(|line| line.strip_prefix("LeaderId:"))?.trim().parse().ok()
    }

    /// Has the replicas lead that stand first.
    ///
    /// # Errors
    /// When nobody does it.
    pub fn elect_preferred_leaders(&self) -> io::Result<()> {
        self.tool("kafka-leader-election", &["--election-type", "preferred", "--all-topic-partitions"]).map(drop)
    }

    /// The addresses of all nodes for clients.
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(Server::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// As [`write_all_the_while`], on this cluster.
    ///
    /// # Errors
    /// As there.
    pub fn writer(&self, topic: &str, partitions: usize) -> io::Result<Load> {
        write_all_the_while(&self.bootstrap(), topic, partitions)
    }

    /// What all nodes have said, for the message of a failed test.
    pub fn said(&self) -> String {
        self.nodes.iter().map(Server::log).collect::<Vec<_>>().join("\n--- the next node\n")
    }
}

/// An idempotent producer of librdkafka that writes to all partitions of a topic until [`Wrote::of`] ends it.
///
/// # Errors
/// When it can't be started, or gets nothing acknowledged.
pub fn write_all_the_while(bootstrap: &str, topic: &str, partitions: usize) -> io::Result<Load> {
    write_with(bootstrap, topic, partitions, "{}")
}

/// As [`write_all_the_while`], with settings of the producer as JSON.
///
/// # Errors
/// As there.
pub fn write_with(bootstrap: &str, topic: &str, partitions: usize, settings: &str) -> io::Result<Load> {
    let mut command = Command::new(workspace().join("target/venv/bin/python"));
    command.arg(workspace().join("tests/clients/python/cluster_load.py"));
    command.args([bootstrap, topic, &partitions.to_string(), settings]);
    let mut load = Load::start(command)?;
    load.expect("writing")?;
    Ok(load)
}

/// The line of JSON that a load says at its end.
struct Report(Value);

impl Report {
    fn of(load: Load) -> io::Result<Self> {
        serde_json::from_str(load.finish()?.trim()).map(Self).map_err(io::Error::other)
    }

    fn number(&self, name: &str) -> io::Result<u64> {
        self.0[name].as_u64().ok_or_else(|| io::Error::other(format!("no {name} in {}", self.0)))
    }
}

/// The longest times without any acknowledgement, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// Of all partitions together.
    pub whole: f64,
    /// Of the partition that was without one for longest.
    pub worst: f64,
}

impl Gap {
    /// Those of a writer since this was last asked.
    ///
    /// # Errors
    /// When the writer has ended.
    pub fn of(load: &mut Load) -> io::Result<Self> {
        let said = load.ask("gap")?;
        let numbers: Vec<f64> = said.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [whole, worst] => Ok(Self { whole, worst }),
            _ => Err(io::Error::other(said)),
        }
    }
}

/// What a writer has found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wrote {
    /// Records whose write was acknowledged.
    pub acknowledged: u64,
    /// Records that the client gave up.
    pub given_up: u64,
    /// The longest time without any acknowledgement, in milliseconds.
    pub gap_ms: f64,
    /// Acknowledged records that are not where they were acknowledged.
    pub missing: u64,
    /// Records that are there more than once.
    pub repeated: u64,
    /// Records that come before an earlier one.
    pub disordered: u64,
}

impl Wrote {
    /// Ends a writer, and has it read back everything.
    ///
    /// # Errors
    /// When it does not come to its end.
    pub fn of(load: Load) -> io::Result<Self> {
        let report = Report::of(load)?;
        let number = |name: &str| report.number(name);
        Ok(Self {
            acknowledged: number("acknowledged")?,
            given_up: number("given_up")?,
            gap_ms: report.0["gap_ms"].as_f64().unwrap_or(f64::NAN),
            missing: number("missing")?,
            repeated: number("repeated")?,
            disordered: number("disordered")?,
        })
    }

    /// Whether nothing is lost, repeated or out of order.
    pub fn is_exact(&self) -> bool {
        (self.given_up, self.missing, self.repeated, self.disordered) == (0, 0, 0, 0) && self.acknowledged > 0
    }
}

/// Copiers that copy a topic into another one with transactions, as a group, until [`Copied::of`] ends them. Both topics are there,
/// with so many partitions, and something is written.
///
/// # Errors
/// When they can't be started, or copy nothing.
pub fn copy_all_the_while(bootstrap: &str, topic: &str, copy: &str, partitions: usize) -> io::Result<Load> {
    const COPIERS: &str = "2";
    let mut command = Command::new(workspace().join("target/venv/bin/python"));
    command.arg(workspace().join("tests/clients/python/cluster_copies.py"));
    command.args([bootstrap, topic, copy, &partitions.to_string(), COPIERS]);
    let mut load = Load::start(command)?;
    load.expect("copying")?;
    Ok(load)
}

/// What copiers have found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copied {
    /// Records that were copied.
    pub copied: u64,
    /// Transactions, those included that were aborted on purpose.
    pub transactions: u64,
    /// Transactions that were aborted on purpose, with what was written in them.
    pub aborted: u64,
    /// How often a copier began anew, after an error.
    pub anew: u64,
    /// Records of the topic that the copy has not.
    pub missing: u64,
    /// Records that the copy has more than once.
    pub repeated: u64,
    /// Records that come before an earlier one.
    pub disordered: u64,
}

impl Copied {
    /// Ends copiers when all that is in the topic is copied. Nobody writes any more.
    ///
    /// # Errors
    /// When they do not come to their end.
    pub fn of(load: Load) -> io::Result<Self> {
        let report = Report::of(load)?;
        let number = |name: &str| report.number(name);
        Ok(Self {
            copied: number("copied")?,
            transactions: number("transactions")?,
            aborted: number("aborted")?,
            anew: number("anew")?,
            missing: number("missing")?,
            repeated: number("repeated")?,
            disordered: number("disordered")?,
        })
    }

    /// Whether each record was copied once and in order, and transactions of both ends were among them.
    pub fn is_exact(&self) -> bool {
        (self.missing, self.repeated, self.disordered) == (0, 0, 0) && self.copied > 0 && self.aborted > 0
    }
}
