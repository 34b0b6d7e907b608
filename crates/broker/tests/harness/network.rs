//! The network between the nodes of a cluster in one process: requests and answers are delivered when the test says so, and as
//! badly as it wants.

use super::connection_of;
use bytes::BytesMut;
use core::time::Duration;
use ottla_broker::{PeerNetwork, PeerVersions};
use ottla_env::{Clock, Monotonic};
use ottla_env_sim::{MemoryDisk, SeededRandom, SimClock};
use ottla_net::{
    Answer, AnswerSink, Answered, Ask, AskFailure, ConnectionContext, ConnectionId, Destination, Done, Framed,
    Responder, Segment, Service,
};
use ottla_protocol::messages::RequestHeader;
use ottla_protocol::{ApiKey, Message as _, Reader, Request};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

/// How bad the network is.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// In how many of a thousand messages its connection breaks: all that wait on it are told so. What had been sent on it
    /// may still arrive, late, and even after what is sent on the next connection.
    pub breaks: u64,
    /// How long a message may take, in milliseconds. Those of one connection stay in order.
    pub delay_ms: u64,
    /// How many of a thousand messages take up to ten times as long.
    pub slow: u64,
}

/// A connection is lost when nothing that is sent on it is acknowledged for so long. The longer time is for one on which an answer
/// was waited for already. The parts of 900 ms, as of `ottla.peer.silence.max.ms` where no file says another.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_millis(525);
const PULSE_AND_UNACKNOWLEDGED_MAX: Duration = Duration::from_millis(675);
/// And one that there is not yet is given up.
const UNANSWERED_MAX: Duration = Duration::from_millis(225);

/// One connection: from whom, to whom, for what.
type Link = (i32, i32, u16);

/// Who listens at an address.
#[derive(Clone)]
struct Listener {
    node: i32,
    name: &'static str,
    service: Arc<dyn Service>,
}

/// A request whose answer is waited for.
struct Open {
    link: Link,
    done: Done,
    timeout: Key,
}

enum Event {
    Request(Box<Ask<PeerVersions>>, u64, Destination),
    Call(Listener, BytesMut, i16, u64),
    Answer(u64, Answered),
    /// If there is a cut still, whoever waits for this answer hears that the other host says nothing.
    Silence(u64),
    End(u64, AskFailure),
}

type Key = (Monotonic, u64);

struct State {
    random: SeededRandom,
    faults: Faults,
    listeners: BTreeMap<(String, u16), Listener>,
    /// Nodes whose machines run, though they do not: these refuse connections.
    refusing: BTreeSet<i32>,
    queue: BTreeMap<Key, Event>,
    next: u64,
    open: BTreeMap<u64, Open>,
    /// From whom to whom nothing arrives.
    cut: BTreeSet<(i32, i32)>,
    /// The disks of nodes. One that has died in the middle of something says and hears nothing from then on.
    disks: BTreeMap<i32, MemoryDisk>,
    /// How often each node has died.
    deaths: BTreeMap<i32, u64>,
    /// Connections over which answers have come.
    connected: BTreeSet<Link>,
    /// The connections as those see them who are asked.
    contexts: BTreeMap<Link, Arc<ConnectionContext>>,
    /// Of requests whose connection has ended, and which may arrive all the same.
    ended: BTreeMap<u64, Arc<ConnectionContext>>,
    /// When the last message of a connection in one direction arrives.
    last: BTreeMap<(Link, bool), Monotonic>,
    /// What happened, as one number.
    trace: u64,
}

/// Who listens where, and what is on its way.
pub struct Network {
    clock: Arc<SimClock>,
    state: Mutex<State>,
    /// The requests that have arrived since somebody wants to see them.
    seen: Mutex<Option<Vec<Seen>>>,
}

/// A request between nodes.
pub struct Seen {
    pub to: Destination,
    pub within: Duration,
    pub key: ApiKey,
    version: i16,
    frame: BytesMut,
}

impl Seen {
    /// The request, if it is one of these.
    pub fn request<R: Request>(&self) -> Option<R> {
        let mut reader = Reader::new(&self.frame);
        let header_version = R::API_KEY.request_header_version(self.version);
        (R::API_KEY == self.key).then(|| {
            RequestHeader::decode_from(&mut reader, header_version).unwrap();
            R::decode_from(&mut reader, self.version).unwrap()
        })
    }
}

/// The network as one node sees it, from one start of it to its end.
pub struct Wire {
    pub network: Arc<Network>,
    pub from: i32,
}

impl PeerNetwork for Wire {
    fn ask(&self, to: Destination, ask: Ask<PeerVersions>) {
        self.network.ask(self.from, to, ask);
    }

    fn forget(&self, _host: &str, _port: u16) {}
}

impl State {
    fn push(&mut self, at: Monotonic, event: Event) -> Key {
        let key = (at, self.next);
        self.next += 1;
        self.queue.insert(key, event);
        key
    }

    fn delay(&mut self) -> Duration {
        if self.faults.delay_ms == 0 {
            return Duration::ZERO;
        }
        let factor = if self.random.below(1000) < self.faults.slow { 10 } else { 1 };
        Duration::from_millis(self.random.below(self.faults.delay_ms * factor + 1))
    }

    /// When a message arrives that is sent now; not before those that were sent before it.
    fn arrival(&mut self, link: Link, is_answer: bool, now: Monotonic) -> Monotonic {
        let at = (now + self.delay()).max(self.last.get(&(link, is_answer)).copied().unwrap_or(now));
        self.last.insert((link, is_answer), at);
        at
    }

    /// Everybody who waits on a connection is told that it has ended, at once: what is sent from now on goes by another one, and may
    /// arrive before what is still on its way.
    fn end(&mut self, link: Link, now: Monotonic) {
        let context = self.contexts.remove(&link);
        self.last.remove(&(link, false));
        self.last.remove(&(link, true));
        let waiting: Vec<u64> = self.open.iter().filter(|(_, open)| open.link == link).map(|(id, _)| *id).collect();
        for id in waiting {
            if let Some(context) = &context {
                self.ended.entry(id).or_insert_with(|| context.clone());
            }
            self.push(now, Event::End(id, AskFailure::Closed));
        }
    }

    fn is_cut(&self, from: i32, to: i32) -> bool {
        self.cut.contains(&(from, to))
    }

    fn has_died(&self, node: i32) -> bool {
        self.disks.get(&node).is_some_and(MemoryDisk::is_dead)
    }

    fn life(&self, node: i32) -> u64 {
        self.deaths.get(&node).copied().unwrap_or(0)
    }

    /// The connection that a request comes by. One whose sender does not wait any more came by one that has ended.
    fn context(&mut self, id: u64, listener: &str) -> Arc<ConnectionContext> {
        let Some(link) = self.open.get(&id).map(|open| open.link) else {
            return connection_of(ConnectionId(id), listener);
        };
        if let Some(ended) = self.ended.get(&id) {
            return ended.clone();
        }
        self.contexts.entry(link).or_insert_with(|| connection_of(ConnectionId(id), listener)).clone()
    }

    /// Whether not both directions work, so that nothing is acknowledged.
    fn is_silent(&self, (from, to, _): Link) -> bool {
        self.is_cut(from, to) || self.is_cut(to, from)
    }

    fn breaks(&mut self) -> bool {
        self.faults.breaks > 0 && self.random.below(1000) < self.faults.breaks
    }

    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    }
}

impl Network {
    pub fn new(clock: Arc<SimClock>, seed: u64) -> Arc<Self> {
        let state = State {
            random: SeededRandom::new(seed),
            faults: Faults::default(),
            listeners: BTreeMap::new(),
            refusing: BTreeSet::new(),
            queue: BTreeMap::new(),
            next: 0,
            open: BTreeMap::new(),
            cut: BTreeSet::new(),
            disks: BTreeMap::new(),
            deaths: BTreeMap::new(),
            connected: BTreeSet::new(),
            contexts: BTreeMap::new(),
            ended: BTreeMap::new(),
            last: BTreeMap::new(),
            trace: 0,
        };
        Arc::new(Self { clock, state: Mutex::new(state), seen: Mutex::default() })
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Nothing leaves a node, and nothing reaches it, once its disk has died.
    pub fn watch_disk(&self, node: i32, disk: MemoryDisk) {
        self.state.lock().disks.insert(node, disk);
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Monotonic> {
        self.state.lock().queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Nothing arrives from one node at another any more; the other way round things do.
    pub fn cut(&self, from: i32, to: i32) {
        let mut state = self.state.lock();
        state.cut.insert((from, to));
        let at = self.clock.monotonic() + PULSE_AND_UNACKNOWLEDGED_MAX;
        let waiting: Vec<u64> =
            state.open.iter().filter(|(_, open)| state.is_silent(open.link)).map(|(id, _)| *id).collect();
        for id in waiting {
            state.push(at, Event::Silence(id));
        }
    }

    /// Everything arrives again.
    pub fn heal(&self) {
        self.state.lock().cut.clear();
    }

    /// Two runs with equal ones were the same.
    pub fn trace(&self) -> u64 {
        self.state.lock().trace
    }

    pub fn listen(&self, node: i32, port: u16, name: &'static str, service: Arc<dyn Service>) {
        let listener = Listener { node, name, service };
        self.state.lock().listeners.insert((format!("node{node}"), port), listener);
    }

    /// The node's process has its ports again, and refuses nobody.
    pub fn is_back(&self, node: i32) {
        self.state.lock().refusing.remove(&node);
    }

    /// The node is dead: nobody answers there. If its machine is still there, that ends connections with it and refuses new ones;
    /// if not, whoever waits for an answer waits as long as it will.
    pub fn kill(&self, node: i32, machine_lives: bool) {
        let dropped: Vec<Open>;
        let unsent: Vec<Event>;
        {
            let mut state = self.state.lock();
            let now = self.clock.monotonic();
            state.listeners.retain(|_, listener| listener.node != node);
            *state.deaths.entry(node).or_default() += 1;
            if machine_lives {
                state.refusing.insert(node);
            }
            let own: Vec<u64> = state.open.iter().filter(|(_, open)| open.link.0 == node).map(|(id, _)| *id).collect();
            dropped = own.iter().filter_map(|id| state.open.remove(id)).collect();
            // What is on its way to it vanishes with its connections.
            let to_it = |id: &u64| state.open.get(id).is_some_and(|open| open.link.1 == node);
            let is_own = |event: &Event| match event {
                Event::Request(_, id, _) => own.contains(id) || to_it(id),
                Event::Answer(id, _) | Event::Silence(id) | Event::End(id, _) => own.contains(id),
                Event::Call(listener, ..) => listener.node == node,
            };
            let keys: Vec<Key> = state.queue.iter().filter(|(_, event)| is_own(event)).map(|(key, _)| *key).collect();
            unsent = keys.iter().filter_map(|key| state.queue.remove(key)).collect();
            state.contexts.retain(|link, _| link.0 != node && link.1 != node);
            let links: BTreeSet<Link> =
                state.open.values().map(|open| open.link).filter(|link| link.1 == node).collect();
            for link in links.into_iter().filter(|_| machine_lives) {
                state.end(link, now);
            }
        }
        drop((dropped, unsent));
    }

    fn ask(&self, from: i32, to: Destination, ask: Ask<PeerVersions>) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        if state.has_died(from) {
            return;
        }
        let id = state.next;
        let node = to.host.strip_prefix("node").and_then(|id| id.parse().ok()).unwrap_or(-1);
        let link = (from, node, to.lane);
        let timeout = state.push(now + ask.within, Event::End(id, AskFailure::TimedOut));
        let Ask { encode, within, done } = ask;
        state.open.insert(id, Open { link, done, timeout });
        if state.breaks() {
            state.end(link, now);
            // What was on its way may have got there nevertheless.
            if state.random.below(2) == 0 {
                return;
            }
        }
        let unused: Done = Box::new(|_| ());
        if state.is_silent(link) {
            let within = if state.connected.contains(&link) { UNACKNOWLEDGED_MAX } else { UNANSWERED_MAX };
            state.push(now + within, Event::Silence(id));
        }
        let at = state.arrival(link, false, now);
        state.push(at, Event::Request(Box::new(Ask { encode, within, done: unused }), id, to));
    }

    /// Delivers what is due, and what that leads to at once.
    pub fn run(self: &Arc<Self>) {
        loop {
            let now = self.clock.monotonic();
            let next = {
                let mut state = self.state.lock();
                match state.queue.first_key_value() {
                    Some(((at, _), _)) if *at <= now => state.queue.pop_first(),
                    _ => None,
                }
            };
            let Some((_, event)) = next else { return };
            self.happen(event);
        }
    }

    fn happen(self: &Arc<Self>, event: Event) {
        match event {
            Event::Request(ask, id, to) => self.request(*ask, id, &to),
            Event::Call(listener, ..) if self.state.lock().has_died(listener.node) => {}
            Event::Call(listener, bytes, version, id) => {
                let node = listener.node;
                let (context, life) = {
                    let mut state = self.state.lock();
                    state.note(id << 8 | 1);
                    (state.context(id, listener.name), state.life(node))
                };
                let sink = Returning { network: Arc::downgrade(self), version, id, node, life };
                listener.service.call(&context, bytes, Responder::new(Arc::new(sink), 0));
            }
            Event::Answer(id, answered) => self.resolve(id, Ok(answered)),
            Event::Silence(id) => self.silent(id),
            Event::End(id, failure) => self.resolve(id, Err(failure)),
        }
    }

    /// The connection of a request is lost, with all that waits on it, or is not made at all.
    fn silent(&self, id: u64) {
        let (ids, failure) = {
            let mut state = self.state.lock();
            let Some(link) = state.open.get(&id).map(|open| open.link).filter(|link| state.is_silent(*link)) else {
                return;
            };
            let was_connected = state.connected.remove(&link);
            state.last.remove(&(link, false));
            state.last.remove(&(link, true));
            state.contexts.remove(&link);
            let ids: Vec<u64> = state.open.iter().filter(|(_, open)| open.link == link).map(|(id, _)| *id).collect();
            (ids, if was_connected { AskFailure::Lost } else { AskFailure::Silent })
        };
        ids.into_iter().for_each(|id| self.resolve(id, Err(failure.clone())));
    }

    fn resolve(&self, id: u64, answer: Result<Answered, AskFailure>) {
        let (open, is_heard) = {
            let mut state = self.state.lock();
            let Some(open) = state.open.remove(&id) else { return };
            state.ended.remove(&id);
            state.queue.remove(&open.timeout);
            match &answer {
                Ok(_) => state.connected.insert(open.link),
                Err(_) => state.connected.remove(&open.link),
            };
            state.note(id << 8 | 2 | u64::from(answer.is_ok()) << 2);
            let is_heard = !state.has_died(open.link.0);
            (open, is_heard)
        };
        // Without the lock in either case: whatever is dropped with it may end the connections of others.
        if is_heard {
            (open.done)(answer);
        }
    }

    /// The requests that have arrived since this was called last; none at the first time.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().replace(Vec::new()).unwrap_or_default()
    }

    fn see(&self, to: &Destination, within: Duration, framed: &Framed) {
        if let Some(seen) = &mut *self.seen.lock() {
            let key = i16::from_be_bytes(framed.bytes[..2].try_into().unwrap());
            let key = ApiKey::ALL.iter().copied().find(|known| known.code() == key).unwrap();
            seen.push(Seen { to: to.clone(), within, key, version: framed.version, frame: framed.bytes.clone() });
        }
    }

    fn request(self: &Arc<Self>, ask: Ask<PeerVersions>, id: u64, to: &Destination) {
        let (listener, link, is_lost, refuses) = {
            let state = self.state.lock();
            let listener = state.listeners.get(&(to.host.to_string(), to.port)).cloned();
            // One that has ended at the sender's side, or whose sender is dead, is still read by the receiver.
            let link = state.open.get(&id).map(|open| open.link);
            let is_lost = link.is_some_and(|(from, to, _)| state.is_cut(from, to));
            let refuses = link.is_some_and(|(_, to, _)| state.refusing.contains(&to));
            (listener, link, is_lost, refuses)
        };
        if is_lost {
            return;
        }
        let Some(listener) = listener else {
            let unreachable = || AskFailure::Unreachable("there is no such machine".to_owned());
            return self.resolve(id, Err(if refuses { AskFailure::Refused } else { unreachable() }));
        };
        let serves = |key: &ApiKey| if listener.name == "CONTROLLER" { key.on_controller() } else { key.on_broker() };
        let served = ApiKey::ALL.iter().copied().filter(serves);
        let versions = PeerVersions::from_iter(served.map(|key| (key, key.versions())));
        match (ask.encode)(&versions) {
            Ok(framed) => {
                self.see(to, ask.within, &framed);
                self.happen(Event::Call(listener, framed.bytes, framed.version, id));
            }
            Err(reason) if link.is_some() => self.resolve(id, Err(AskFailure::Unsupported(reason))),
            Err(_) => (),
        }
    }

    /// Whether a node still lives the life in which it was asked.
    fn lives(&self, node: i32, life: u64) -> bool {
        let state = self.state.lock();
        !state.has_died(node) && state.life(node) == life
    }

    /// An answer sets out, if anybody waits for it still.
    fn answered(&self, id: u64, answered: Option<Answered>) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let Some(link) = state.open.get(&id).map(|open| open.link) else { return };
        if state.is_cut(link.1, link.0) || state.has_died(link.1) {
            return;
        }
        let Some(answered) = answered.filter(|_| !state.breaks()) else { return state.end(link, now) };
        let at = state.arrival(link, true, now);
        state.push(at, Event::Answer(id, answered));
    }
}

/// An answer on its way back.
struct Returning {
    network: Weak<Network>,
    version: i16,
    id: u64,
    /// Who was asked, and in which of its lives.
    node: i32,
    life: u64,
}

impl AnswerSink for Returning {
    fn answer(self: Arc<Self>, _sequence: u64, answer: Answer) {
        let Some(network) = self.network.upgrade() else { return };
        let answered = match answer {
            Answer::Response(response) => {
                let mut bytes = BytesMut::from(&response.head[..]);
                for segment in response.segments {
                    match segment {
                        Segment::Bytes(more) => bytes.extend_from_slice(&more),
                        Segment::File { file, position, length } => {
                            let mut read = vec![0; usize::try_from(length).unwrap()];
                            // A file that can't be read ends the connection, also that of a machine that is dead.
                            let Ok(count) = file.read_at(&mut read, position) else {
                                return network.answered(self.id, None);
                            };
                            assert_eq!(count, read.len());
                            bytes.extend_from_slice(&read);
                        }
                    }
                }
                Some(Answered { bytes, version: self.version })
            }
            Answer::Dropped(name) => {
                let lives = network.lives(self.node, self.life) && !std::thread::panicking();
                assert!(!lives, "lost without an answer: {name:?}");
                return;
            }
            Answer::NoResponse | Answer::Close(_) => None,
        };
        network.answered(self.id, answered);
    }
}
