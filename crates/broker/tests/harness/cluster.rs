//! Several nodes in one process, whose requests to each other are delivered when the test says so.

use super::{Running, World, connection};
use bytes::BytesMut;
use core::time::Duration;
use ottla_broker::{PeerNetwork, PeerVersions};
use ottla_env_sim::{CrashMode, SimClock};
use ottla_net::{Answer, AnswerSink, Answered, Ask, AskFailure, Destination, Done, Responder, Segment, Service};
use ottla_protocol::ApiKey;
use ottla_types::Timestamp;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How much time goes by between two looks at the nodes.
const STEP: Duration = Duration::from_millis(5);

type Delivery = Box<dyn FnOnce() + Send>;

/// The name of a listener, and who serves it.
type Listener = (&'static str, Arc<dyn Service>);

/// Who listens where, and what is on its way.
#[derive(Default)]
pub struct Network {
    listeners: Mutex<BTreeMap<(String, u16), Listener>>,
    on_the_way: Mutex<VecDeque<Delivery>>,
}

/// The network as one node sees it.
struct Wire(Arc<Network>);

impl PeerNetwork for Wire {
    fn ask(&self, to: Destination, ask: Ask<PeerVersions>) {
        let network = self.0.clone();
        self.0.send(Box::new(move || network.deliver(&to, ask)));
    }

    fn forget(&self, _host: &str, _port: u16) {}
}

impl Network {
    fn send(&self, delivery: Delivery) {
        self.on_the_way.lock().push_back(delivery);
    }

    fn deliver(self: &Arc<Self>, to: &Destination, ask: Ask<PeerVersions>) {
        let listener = self.listeners.lock().get(&(to.host.to_string(), to.port)).cloned();
        let Some((name, service)) = listener else {
            return (ask.done)(Err(AskFailure::Refused));
        };
        let serves = |key: &ApiKey| if name == "CONTROLLER" { key.on_controller() } else { key.on_broker() };
        let served = ApiKey::ALL.iter().copied().filter(serves);
        let versions = PeerVersions::from_iter(served.map(|key| (key, key.versions())));
        match (ask.encode)(&versions) {
            Ok(framed) => {
                let answer =
                    Returning { network: self.clone(), version: framed.version, done: Mutex::new(Some(ask.done)) };
                service.call(&connection(name), framed.bytes, Responder::new(Arc::new(answer), 0));
            }
            Err(reason) => (ask.done)(Err(AskFailure::Unsupported(reason))),
        }
    }

    fn serve(&self, id: i32, running: &Running) {
        let (mut listeners, host) = (self.listeners.lock(), format!("node{id}"));
        listeners.insert((host.clone(), 19092), ("PLAINTEXT", running.node.broker_service()));
        if id == 1 {
            listeners.insert((host, 19093), ("CONTROLLER", running.node.controller_service()));
        }
    }

    /// Delivers what is on its way, and what that leads to.
    fn run(&self) {
        loop {
            let next = self.on_the_way.lock().pop_front();
            let Some(delivery) = next else { return };
            delivery();
        }
    }
}

/// An answer on its way back.
struct Returning {
    network: Arc<Network>,
    version: i16,
    done: Mutex<Option<Done>>,
}

impl AnswerSink for Returning {
    fn answer(self: Arc<Self>, _sequence: u64, answer: Answer) {
        let Some(done) = self.done.lock().take() else { return };
        let answered = match answer {
            Answer::Response(response) => {
                let mut bytes = BytesMut::from(&response.head[..]);
                for segment in response.segments {
                    match segment {
                        Segment::Bytes(more) => bytes.extend_from_slice(&more),
                        Segment::File { file, position, length } => {
                            let mut read = vec![0; usize::try_from(length).unwrap()];
                            assert_eq!(file.read_at(&mut read, position).unwrap(), read.len());
                            bytes.extend_from_slice(&read);
                        }
                    }
                }
                Ok(Answered { bytes, version: self.version })
            }
            _ => Err(AskFailure::Closed),
        };
        self.network.send(Box::new(move || done(answered)));
    }
}

/// Nodes of one cluster: the first is controller and broker, the others are brokers.
pub struct Cluster {
    pub clock: Arc<SimClock>,
    pub network: Arc<Network>,
    pub worlds: Vec<World>,
    pub nodes: Vec<Running>,
    dead: BTreeSet<i32>,
}

fn place(id: i32) -> usize {
    usize::try_from(id).unwrap() - 1
}

impl Cluster {
    /// Starts so many nodes, and waits until the cluster has taken them in.
    pub fn start(count: i32) -> Self {
        let clock = Arc::new(SimClock::new(Timestamp(1_700_000_000_000)));
        let mut cluster =
            Self { clock, network: Arc::default(), worlds: Vec::new(), nodes: Vec::new(), dead: BTreeSet::new() };
        for id in 1..=count {
            cluster.add(id);
        }
        cluster.run_until("all brokers run", |cluster| cluster.nodes.iter().all(|running| running.node.is_running()));
        cluster
    }

    /// The machine of this node loses power: what was not synced is gone, and nobody answers there.
    pub fn lose_power(&mut self, id: i32) {
        let host = format!("node{id}");
        self.network.listeners.lock().retain(|(listening, _), _| *listening != host);
        self.dead.insert(id);
        self.worlds[place(id)].disk.crash(CrashMode::LoseAll);
    }

    /// It is there again.
    pub fn start_again(&mut self, id: i32) {
        self.dead.remove(&id);
        let running = self.worlds[place(id)].start_among(Arc::new(Wire(self.network.clone())));
        self.network.serve(id, &running);
        self.nodes[place(id)] = running;
    }

    /// The nodes that live.
    pub fn living(&self) -> impl Iterator<Item = &Running> {
        let living = (1..).zip(&self.nodes).filter(|(id, _)| !self.dead.contains(id));
        living.map(|(_, running)| running)
    }

    fn add(&mut self, id: i32) {
        let roles = if id == 1 { "broker,controller" } else { "broker" };
        let controller = if id == 1 { ",CONTROLLER://node1:19093" } else { "" };
        let properties = format!(
            "process.roles={roles}\ncontroller.quorum.voters=1@node1:19093\n\
             listeners=PLAINTEXT://node{id}:19092{controller}"
        );
        let world = World::member(id, self.clock.clone(), "/data", &properties);
        let running = world.start_among(Arc::new(Wire(self.network.clone())));
        self.network.serve(id, &running);
        self.worlds.push(world);
        self.nodes.push(running);
    }

    /// Lets time go by until something is so; ten minutes of it are enough for everything.
    pub fn run_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..120_000 {
            self.step();
            if is_so(self) {
                return;
            }
        }
        let waits: Vec<_> = self.nodes.iter().map(|running| running.node.waits_for()).collect();
        panic!("it did not come about that {what}; {waits:?}");
    }

    pub fn step(&self) {
        self.network.run();
        for running in self.living() {
            running.node.tick();
        }
        self.network.run();
        self.clock.advance(STEP);
    }
}
