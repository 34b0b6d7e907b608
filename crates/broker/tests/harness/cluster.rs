//! Nodes of one cluster in one process, whose requests to each other are delivered when the test says so.

use super::network::{Network, Wire};
use super::{Formatting, Running, World};
use core::time::Duration;
use ottla_broker::StartError;
use ottla_env::{Clock as _, Disk as _};
use ottla_env_sim::{CrashMode, SimClock};
use ottla_raft::{ControllerEndpoint, ReplicaKey, Voter, VoterSet};
use ottla_types::{DirectoryId, NodeId, Timestamp, Uuid};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// How much time goes by between two looks at the nodes.
const STEP: Duration = Duration::from_millis(5);

/// Who votes on the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voters {
    /// The first node alone; the others are brokers only.
    First,
    /// Every node, by `controller.quorum.voters`.
    Static,
    /// The first so many nodes, by formatting with initial controllers. Those that come later are controllers too.
    Dynamic(i32),
    /// The first so many nodes, which are no brokers; the others are nothing else.
    Separate(i32),
}

/// What a cluster is made of.
#[derive(Clone)]
pub struct Plan {
    pub count: i32,
    pub voters: Voters,
    pub seed: u64,
    /// What every node has in its properties besides.
    pub properties: String,
    /// Where every node has its logs; the first directory holds the metadata.
    pub directories: &'static [&'static str],
}

impl Plan {
    pub fn new(count: i32, voters: Voters) -> Self {
        Self { count, voters, seed: 0, properties: String::new(), directories: &["/data"] }
    }
}

/// Nodes of one cluster.
pub struct Cluster {
    pub clock: Arc<SimClock>,
    pub network: Arc<Network>,
    pub worlds: Vec<World>,
    pub nodes: Vec<Running>,
    /// Nodes whose disks take long: what is to be synced waits.
    pub slow: BTreeSet<i32>,
    /// Nodes whose disks fail, so that they may give up.
    pub failing: BTreeSet<i32>,
    /// How fast the clock of each node goes, in thousandths of the true time.
    pub paces: Vec<u32>,
    plan: Plan,
    dead: BTreeSet<i32>,
    /// Brokers that are not served yet.
    at_the_door: Mutex<BTreeSet<i32>>,
}

/// As fast as time.
const PACE: u32 = 1000;

fn place(id: i32) -> usize {
    usize::try_from(id).unwrap() - 1
}

/// The directory of a node's metadata.
pub fn directory(id: i32) -> DirectoryId {
    Uuid::from_u128(0xd1 << 64 | u128::from(id.unsigned_abs()))
}

/// A node as it stands among the voters.
pub fn voter(id: i32) -> Voter {
    let endpoint = ControllerEndpoint { name: "CONTROLLER".to_owned(), host: format!("node{id}"), port: 19093 };
    Voter::new(ReplicaKey::new(NodeId(id), directory(id)), vec![endpoint])
}

impl Cluster {
    /// Starts so many nodes, of which the first is controller and broker and the others are brokers, and waits until the
    /// cluster has taken them in.
    pub fn start(count: i32) -> Self {
        Self::of(Plan::new(count, Voters::First))
    }

    /// The same, with these lines in the properties of each.
    pub fn start_with(count: i32, properties: &str) -> Self {
        Self::of(Plan { properties: properties.to_owned(), ..Plan::new(count, Voters::First) })
    }

    /// The same, each with properties of its own.
    pub fn start_each(count: i32, properties: impl Fn(i32) -> String) -> Self {
        Self::begin_each(Plan::new(count, Voters::First), properties).taken_in()
    }

    /// Starts the nodes, and waits until the cluster has taken them in.
    pub fn of(plan: Plan) -> Self {
        Self::begin(plan).taken_in()
    }

    fn taken_in(self) -> Self {
        self.run_until("all brokers run", |cluster| cluster.nodes.iter().all(|running| running.node.is_running()));
        self
    }

    /// Starts the nodes.
    pub fn begin(plan: Plan) -> Self {
        Self::begin_each(plan, |_| String::new())
    }

    /// Starts the nodes, each with properties of its own.
    fn begin_each(plan: Plan, properties: impl Fn(i32) -> String) -> Self {
        let clock = Arc::new(SimClock::new(Timestamp(1_700_000_000_000)));
        let network = Network::new(clock.clone(), plan.seed);
        let count = plan.count;
        let (slow, failing, dead) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let at_the_door = Mutex::default();
        let mut cluster = Self {
            clock,
            network,
            worlds: Vec::new(),
            nodes: Vec::new(),
            slow,
            failing,
            paces: Vec::new(),
            plan,
            dead,
            at_the_door,
        };
        for id in 1..=count {
            cluster.add(&properties(id));
        }
        cluster
    }

    /// The machine of this node loses power: what was not synced is gone, and nobody answers there.
    pub fn lose_power(&mut self, id: i32) {
        self.crash(id, CrashMode::LoseAll);
    }

    /// The process of this node ends without warning. Everything that it has written is there.
    pub fn kill(&mut self, id: i32) {
        self.crash(id, CrashMode::KeepAll);
    }

    pub fn crash(&mut self, id: i32, mode: CrashMode) {
        self.dead.insert(id);
        self.network.kill(id, matches!(mode, CrashMode::KeepAll));
        self.worlds[place(id)].disk.crash(mode);
    }

    /// It is there again.
    pub fn start_again(&mut self, id: i32) {
        self.try_start_again(id).unwrap();
    }

    /// The same, for a node that may not come up; it is as dead as before then.
    pub fn try_start_again(&mut self, id: i32) -> Result<(), StartError> {
        let running = self.worlds[place(id)].try_start_among(self.wire(id))?;
        self.dead.remove(&id);
        self.serve(id, &running);
        self.nodes[place(id)] = running;
        Ok(())
    }

    /// Where nodes have their logs.
    pub fn directories(&self) -> &'static [&'static str] {
        self.plan.directories
    }

    /// Where a node has the log of a partition, if it has it.
    pub fn log_of(&self, id: i32, partition: &str) -> String {
        let disk = self.world(id).disk.below();
        let all = self.plan.directories.iter().map(|directory| format!("{directory}/{partition}"));
        let mut there = all.clone().filter(|path| disk.exists(Path::new(path)).unwrap());
        there.next().or_else(|| all.clone().next()).unwrap()
    }

    /// The nodes that live.
    pub fn living(&self) -> impl Iterator<Item = &Running> {
        self.living_ids().map(|id| self.node(id))
    }

    /// Their ids.
    pub fn living_ids(&self) -> impl Iterator<Item = i32> {
        let count = i32::try_from(self.nodes.len()).unwrap();
        (1..=count).filter(|id| !self.dead.contains(id))
    }

    pub fn node(&self, id: i32) -> &Running {
        &self.nodes[place(id)]
    }

    pub fn world(&self, id: i32) -> &World {
        &self.worlds[place(id)]
    }

    /// The node whose controller decides, if one does.
    pub fn active(&self) -> Option<i32> {
        let active = self.living_ids().filter(|id| self.node(*id).node.quorum().is_active);
        active.max_by_key(|id| self.node(*id).node.quorum().epoch)
    }

    /// Whether a node is a controller.
    pub fn is_controller(&self, id: i32) -> bool {
        match self.plan.voters {
            Voters::First => id == 1,
            Voters::Separate(count) => id <= count,
            Voters::Static | Voters::Dynamic(_) => true,
        }
    }

    /// Whether a node is a broker.
    pub fn is_broker(&self, id: i32) -> bool {
        !matches!(self.plan.voters, Voters::Separate(count) if id <= count)
    }

    /// Starts one more node, with properties of its own.
    pub fn add(&mut self, properties: &str) -> i32 {
        let id = i32::try_from(self.nodes.len()).unwrap() + 1;
        let is_controller = self.is_controller(id);
        let roles = if is_controller { "broker,controller" } else { "broker" };
        let listener = if is_controller { format!(",CONTROLLER://node{id}:19093") } else { String::new() };
        let addresses = |ids: std::ops::RangeInclusive<i32>, with_id: bool| {
            let address = |id| if with_id { format!("{id}@node{id}:19093") } else { format!("node{id}:19093") };
            ids.map(address).collect::<Vec<_>>().join(",")
        };
        let quorum = match self.plan.voters {
            Voters::First => format!("controller.quorum.voters={}", addresses(1..=1, true)),
            Voters::Separate(count) => format!("controller.quorum.voters={}", addresses(1..=count, true)),
            Voters::Static => format!("controller.quorum.voters={}", addresses(1..=self.plan.count, true)),
            Voters::Dynamic(count) => format!("controller.quorum.bootstrap.servers={}", addresses(1..=count, false)),
        };
        let roles = if self.is_broker(id) { roles } else { "controller" };
        let common = &self.plan.properties;
        let broker = if self.is_broker(id) { format!("PLAINTEXT://node{id}:19092") } else { String::new() };
        let listeners = format!("{broker}{listener}").trim_start_matches(',').to_owned();
        let properties = format!("process.roles={roles}\n{quorum}\nlisteners={listeners}\n{common}\n{properties}");
        let formatting = match self.plan.voters {
            Voters::Dynamic(count) => Formatting {
                is_dynamic: true,
                // Who comes later learns of the voters from the log.
                voters: VoterSet::new((1..=count).filter(|_| id <= count).map(voter)),
                directory: Some(directory(id)),
            },
            _ => Formatting { directory: Some(directory(id)), ..Formatting::default() },
        };
        let clock = Arc::new(SimClock::new(self.clock.wall()));
        clock.advance(Duration::from_nanos(self.clock.monotonic().0));
        let mut world = World::formatted(id, clock, &self.plan.directories.join(","), &properties, &formatting);
        world.random =
            Arc::new(ottla_env_sim::SeededRandom::new(self.plan.seed * 100 + 4 + u64::from(id.unsigned_abs())));
        let running = world.start_among(self.wire(id));
        self.serve(id, &running);
        self.network.watch_disk(id, world.disk.clone());
        self.worlds.push(world);
        self.nodes.push(running);
        self.paces.push(PACE);
        id
    }

    fn wire(&self, from: i32) -> Arc<Wire> {
        Arc::new(Wire { network: self.network.clone(), from })
    }

    /// Clients and other brokers wait at the door until the cluster has taken the broker in, as in a server's process.
    fn serve(&self, id: i32, running: &Running) {
        self.network.is_back(id);
        if self.is_broker(id) {
            self.at_the_door.lock().insert(id);
        }
        if self.is_controller(id) {
            self.network.listen(id, 19093, "CONTROLLER", running.node.controller_service());
        }
    }

    /// Lets time go by until something is so; ten minutes of it are enough for everything.
    pub fn run_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..120_000 {
            self.step();
            if is_so(self) {
                return;
            }
        }
        let waits: Vec<_> = self.living().map(|running| (running.node.waits_for(), running.node.quorum())).collect();
        panic!("it did not come about that {what}; {waits:?}");
    }

    /// Lets so much time go by.
    pub fn run_for(&self, time: Duration) {
        let steps = time.as_millis() / STEP.as_millis();
        (0..steps).for_each(|_| self.step());
    }

    fn open_doors(&self) {
        let is_taken_in = |id: &i32| !self.dead.contains(id) && self.node(*id).node.is_running();
        self.at_the_door.lock().retain(|id| {
            let opens = is_taken_in(id);
            if opens {
                self.network.listen(*id, 19092, "PLAINTEXT", self.node(*id).node.broker_service());
            }
            !opens
        });
    }

    pub fn step(&self) {
        self.network.run();
        for id in self.living_ids() {
            self.node(id).tick_if_due(self.world(id).clock.monotonic());
        }
        self.open_doors();
        for id in self.living_ids().filter(|id| !self.slow.contains(id)) {
            self.node(id).sync_if_woken();
            self.node(id).load_if_woken();
        }
        self.network.run();
        self.clock.advance(STEP);
        for (world, pace) in self.worlds.iter().zip(&self.paces) {
            world.clock.advance(STEP * *pace / PACE);
        }
    }
}
