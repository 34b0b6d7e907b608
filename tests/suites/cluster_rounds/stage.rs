use super::Fault;
use ottla_tests::{Cluster, Dice, FailingDisk, Namespaces, Place, Rule};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How long something may take that takes a few seconds on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// As users have it, but for what a test can't wait for.
const SETTINGS: [(&str, &str); 10] = [
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
    ("offsets.topic.num.partitions", "5"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    ("transaction.state.log.num.partitions", "5"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
    ("group.consumer.session.timeout.ms", "10000"),
    ("group.consumer.min.session.timeout.ms", "5000"),
];

/// A cluster, and what is done to it.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    network: Namespaces,
    /// Of the first node.
    disk: FailingDisk,
    nodes: u8,
}

impl Stage {
    pub(crate) fn new(nodes: u8) -> Self {
        let network = Namespaces::new(nodes).unwrap();
        let disk = FailingDisk::new().unwrap();
        let mut servers = Cluster::prepare_in(&network, nodes, &SETTINGS).unwrap();
        servers[0].put_on(&disk).unwrap();
        Self { cluster: Cluster::start(servers).unwrap(), network, disk, nodes }
    }

    /// Does it to a node, and takes it back.
    pub(crate) fn suffer(&mut self, fault: Fault, node: Place, lasts: Duration, dice: &mut Dice) {
        let wait = || std::thread::sleep(lasts);
        let index = usize::from(node) - 1;
        match fault {
            Fault::Kill => {
                self.cluster.nodes[index].kill().unwrap();
                wait();
                self.launch(index);
            }
            Fault::Stop => {
                self.cluster.nodes[index].stop().unwrap_or_else(|error| panic!("{error}\n{}", self.kept()));
                self.launch(index);
            }
            Fault::Pause => {
                self.cluster.nodes[index].signal("STOP").unwrap();
                wait();
                self.cluster.nodes[index].signal("CONT").unwrap();
            }
            Fault::KillAndPause => {
                let other = (index + 1 + dice.roll(u64::from(self.nodes) - 1) as usize) % usize::from(self.nodes);
                self.cluster.nodes[index].kill().unwrap();
                self.cluster.nodes[other].signal("STOP").unwrap();
                wait();
                self.cluster.nodes[other].signal("CONT").unwrap();
                self.launch(index);
            }
            Fault::CutBothWays => self.network.isolate(node, false).unwrap(),
            Fault::CutFromAll => self.network.isolate(node, true).unwrap(),
            Fault::Silenced => self.network.silence(node, false).unwrap(),
            Fault::Deafened => self.network.deafen(node, false).unwrap(),
            Fault::SlowNetwork => self.network.slow(node, 2_000, 100).unwrap(),
            Fault::SlowDisk => self.slow_disk(),
        }
        match fault {
            Fault::CutBothWays | Fault::CutFromAll | Fault::Silenced | Fault::Deafened => {
                wait();
                self.network.heal().unwrap();
            }
            Fault::SlowNetwork => {
                wait();
                self.network.hasten(node).unwrap();
            }
            Fault::SlowDisk => {
                wait();
                self.disk.heal().unwrap();
            }
            Fault::Kill | Fault::Stop | Fault::Pause | Fault::KillAndPause => {}
        }
        self.settle();
    }

    fn slow_disk(&self) {
        let rule = |kind: &str, effect: &str| Rule {
            kind: kind.to_owned(),
            pattern: "*".to_owned(),
            first: 1,
            count: 0,
            effect: effect.to_owned(),
        };
        self.disk.fail(&[rule("sync", "slow-200"), rule("write", "slow-5")]).unwrap();
    }

    fn launch(&mut self, index: usize) {
        self.cluster.nodes[index].launch().unwrap_or_else(|error| panic!("{error}\n{}", self.kept()));
    }

    /// Waits until all is well again.
    pub(crate) fn settle(&self) {
        let end = Instant::now() + PATIENCE;
        // A node that has just been let in again may tell of a time before it was cut off.
        let mut times = 0;
        while times < 3 {
            times = if self.cluster.is_in_sync() { times + 1 } else { 0 };
            assert!(Instant::now() < end, "the replicas were never in sync again\n{}", self.kept());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Nothing that happened needs a person.
    pub(crate) fn check_logs(&self) {
        let mut found = String::new();
        for (number, node) in self.cluster.nodes.iter().enumerate() {
            let log = node.log();
            let lines: Vec<_> = log.lines().collect();
            for (at, _) in lines.iter().enumerate().filter(|(_, line)| line.contains("ERROR ")) {
                // What led to it stands before.
                let _ = writeln!(found, "node {}:\n{}", number + 1, lines[at.saturating_sub(20)..=at].join("\n"));
            }
        }
        assert!(found.is_empty(), "{found}");
    }

    /// What all nodes have said lately.
    pub(crate) fn kept(&self) -> String {
        let mut said = String::new();
        for (number, node) in self.cluster.nodes.iter().enumerate() {
            let log = node.log();
            let lines: Vec<_> = log.lines().collect();
            let _ = writeln!(said, "--- node {}", number + 1);
            lines[lines.len().saturating_sub(60)..].iter().for_each(|line| said.extend([*line, "\n"]));
        }
        said
    }
}
