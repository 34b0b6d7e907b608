//! A host of the machine: one thread that owns it, one for each connection, one for each question under way.

use crate::store::{Store, control_batch, formatted};
use crate::wire;
use bytes::Bytes;
use core::time::Duration;
use ottla_protocol::RecordSet;
use ottla_raft::{
    Address, Call, CallId, ControllerEndpoint, Effect, ElectionState, Event, Fault, KraftVersion, Membership, Raft,
    ReplicaKey, Response, SendFailure, Settings, SnapshotId, Timeouts, Voter, VoterSet,
};
use ottla_types::{DirectoryId, NodeId, Offset};
use std::collections::{BTreeMap, VecDeque};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

const LISTENER: &str = "CONTROLLER";

#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) id: i32,
    pub(crate) port: u16,
    /// The ports of the voters 1 to 3, when they are static.
    pub(crate) voters: [u16; 3],
    pub(crate) bootstrap: Option<u16>,
    pub(crate) membership: Membership,
    pub(crate) version: KraftVersion,
    pub(crate) timeouts: Timeouts,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            id: 3,
            port: 0,
            voters: [0; 3],
            bootstrap: None,
            membership: Membership::Voter,
            version: KraftVersion::Static,
            timeouts: Timeouts::default(),
        }
    }
}

impl Start {
    fn settings(&self) -> Settings {
        let endpoint = |port| ControllerEndpoint { name: LISTENER.to_owned(), host: "127.0.0.1".to_owned(), port };
        let voters = self.voters.iter().enumerate().filter(|_| self.version == KraftVersion::Static);
        let voter = |(i, port): (usize, &u16)| {
            Voter::new(ReplicaKey { id: NodeId(i as i32 + 1), directory: None }, vec![endpoint(*port)])
        };
        Settings {
            local: ReplicaKey::new(NodeId(self.id), DirectoryId::from_u128((0x1234_5678_9abc << 64) | 0xdef)),
            cluster_id: "b3R0bGEtb3JhY2xlLWlkLQ".to_owned(),
            listener: LISTENER.to_owned(),
            endpoints: vec![endpoint(self.port)],
            static_voters: VoterSet::new(voters.map(voter)),
            bootstrap_servers: self
                .bootstrap
                .iter()
                .map(|port| Address { host: "127.0.0.1".to_owned(), port: *port })
                .collect(),
            membership: self.membership,
            timeouts: self.timeouts,
            fetch_bytes_max: 1 << 20,
            // Small, so that a snapshot comes in parts.
            fetch_snapshot_bytes_max: 500,
            seed: 7,
        }
    }
}

type Look = Box<dyn FnOnce(&mut Core) + Send>;

enum Input {
    Frame(wire::Frame, Sender<Vec<u8>>),
    Event(Event),
    Look(Look),
    Stop,
}

/// Who waits for an answer, and in which version.
struct Caller {
    version: i16,
    correlation: [u8; 4],
    reply: Sender<Vec<u8>>,
}

/// The machine and what it knows.
pub(crate) struct Core {
    pub(crate) raft: Raft,
    pub(crate) store: Store,
    pub(crate) faults: Vec<Fault>,
    /// The controller may decide.
    pub(crate) active: bool,
    may_join: bool,
    calls: BTreeMap<CallId, Caller>,
    call_count: u64,
    started: Instant,
    inputs: Sender<Input>,
}

pub(crate) struct Host {
    inputs: Sender<Input>,
    thread: Option<JoinHandle<Store>>,
    port: u16,
    is_stopped: Arc<AtomicBool>,
}

impl Host {
    /// Starts the voter, with what an earlier one has left.
    pub(crate) fn start(start: Start, store: Option<Store>) -> Self {
        let (inputs, receiver) = channel();
        let listener = bind(start.port);
        let is_stopped = Arc::new(AtomicBool::new(false));
        accept(listener, inputs.clone(), is_stopped.clone());
        let (sender, port) = (inputs.clone(), start.port);
        let thread = std::thread::spawn(move || run(&start, store, sender, &receiver));
        Self { inputs, thread: Some(thread), port, is_stopped }
    }

    /// Looks at the voter between two steps.
    pub(crate) fn with<R: Send + 'static>(&self, look: impl FnOnce(&mut Core) -> R + Send + 'static) -> R {
        let (sender, receiver) = channel();
        let look: Look = Box::new(move |core| drop(sender.send(look(core))));
        self.inputs.send(Input::Look(look)).unwrap();
        receiver.recv().unwrap()
    }

    /// Ends it; what it has stored is left.
    pub(crate) fn stop(mut self) -> Store {
        self.inputs.send(Input::Stop).unwrap();
        let store = self.thread.take().unwrap().join().unwrap();
        // The listener looks at the flag when somebody comes.
        self.is_stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        store
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Stop);
    }
}

/// An earlier one may be about to let go of the port.
fn bind(port: u16) -> TcpListener {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < end, "port {port}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn accept(listener: TcpListener, inputs: Sender<Input>, is_stopped: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if is_stopped.load(Ordering::Acquire) {
                return;
            }
            let (Ok(mut stream), inputs) = (stream, inputs.clone()) else { return };
            std::thread::spawn(move || {
                while let Ok(bytes) = wire::read_frame(&mut stream) {
                    let frame = wire::parse(&bytes);
                    let answer = wire::answer_api_versions(&frame).or_else(|| {
                        let (sender, receiver) = channel();
                        inputs.send(Input::Frame(frame, sender)).ok()?;
                        receiver.recv().ok()
                    });
                    match answer {
                        Some(answer) if wire::send_back(&mut stream, &answer).is_ok() => {}
                        _ => return,
                    }
                }
            });
        }
    });
}

fn run(start: &Start, store: Option<Store>, inputs: Sender<Input>, receiver: &Receiver<Input>) -> Store {
    let mut store = store.unwrap_or_default();
    if start.version == KraftVersion::Dynamic && store.snapshots.is_empty() {
        store.snapshots.insert(SnapshotId::BOOTSTRAP, formatted(start.version));
    }
    let persisted = store.quorum_state.as_deref().map(|text| ElectionState::from_file(text).unwrap());
    let (raft, effects) = Raft::start(start.settings(), persisted, store.log_state(), Duration::ZERO);
    let mut core = Core {
        raft,
        store,
        faults: Vec::new(),
        active: false,
        may_join: true,
        calls: BTreeMap::new(),
        call_count: 0,
        started: Instant::now(),
        inputs,
    };
    core.perform(effects);
    loop {
        let wait = core.raft.next_deadline().map(|deadline| deadline.saturating_sub(core.started.elapsed()));
        match receiver.recv_timeout(wait.unwrap_or(Duration::from_secs(1))) {
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return core.store,
            Ok(Input::Look(look)) => look(&mut core),
            Ok(Input::Event(event)) => core.feed(event),
            Ok(Input::Frame(frame, reply)) => core.call(frame, reply),
            Err(RecvTimeoutError::Timeout) => core.feed(Event::Tick),
        }
    }
}

impl Core {
    /// Joins the voters no more.
    pub(crate) fn stay_away(&mut self) {
        self.may_join = false;
    }

    fn call(&mut self, frame: wire::Frame, reply: Sender<Vec<u8>>) {
        // Without an answer the connection ends.
        let Some(request) = frame.request else { return };
        self.call_count += 1;
        let id = CallId(self.call_count);
        self.calls.insert(id, Caller { version: frame.version, correlation: frame.correlation, reply });
        self.feed(Event::Called(Call { id, version: frame.version, listener: LISTENER.to_owned(), request }));
    }

    fn feed(&mut self, event: Event) {
        let effects = self.raft.step(self.started.elapsed(), event);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            if let Some(event) = self.perform_one(effect) {
                waiting.extend(self.raft.step(self.started.elapsed(), event));
            }
        }
    }

    /// Does one thing; returns what has come of it.
    fn perform_one(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::PersistElection(election) => {
                self.store.quorum_state = Some(self.raft.quorum_state_file(&election));
            }
            Effect::AppendControlRecords { base_offset, epoch, records } => {
                let end = base_offset.plus(records.len() as i64);
                self.store.append(&control_batch(&records, base_offset, epoch), end.0);
                return Some(Event::Flushed { end });
            }
            Effect::AppendFetched { records, end, .. } => {
                self.store.append(&records, end.0);
                return Some(Event::Flushed { end });
            }
            Effect::Truncate { end } => self.store.truncate(end.0),
            Effect::Send { to, request, message } => {
                if matches!(message, ottla_raft::Request::AddRaftVoter(_)) && !self.may_join {
                    return Some(Event::SendFailed { request, failure: SendFailure::Disconnected });
                }
                let inputs = self.inputs.clone();
                std::thread::spawn(move || {
                    let event = match wire::ask(&to.address, &message) {
                        Ok(response) => Event::Answered { request, response },
                        Err(_) => Event::SendFailed { request, failure: SendFailure::Disconnected },
                    };
                    let _ = inputs.send(Input::Event(event));
                });
            }
            Effect::Reply { call, response } => self.reply(call, &response),
            Effect::ReplyWithRecords { call, mut response, offset, bytes_max } => {
                let bytes = self.store.read(offset.0, usize::try_from(bytes_max).unwrap_or(0));
                response.responses[0].partitions[0].records = RecordSet::Bytes(bytes);
                self.reply(call, &Response::Fetch(response, Vec::new()));
            }
            Effect::ReplyWithSnapshot { call, mut response, id, position, bytes_max } => {
                let bytes = self.store.snapshots[&id].slice(position as usize..);
                let bytes: Bytes = bytes.slice(..bytes.len().min(bytes_max as usize));
                response.topics[0].partitions[0].unaligned_records = RecordSet::Bytes(bytes);
                self.reply(call, &Response::FetchSnapshot(response));
            }
            Effect::WriteSnapshotPart { position, bytes, .. } => {
                self.store.part.truncate(usize::try_from(position).unwrap());
                self.store.part.extend_from_slice(&bytes);
            }
            Effect::InstallSnapshot { id } => {
                let (size, version, voters) = self.store.install(id);
                return Some(Event::SnapshotInstalled { id, size, version, voters });
            }
            Effect::BecameLeader { .. } => self.active = true,
            Effect::LostLeadership { .. } => self.active = false,
            Effect::Fault(fault) => self.faults.push(fault),
            Effect::HighWatermarkAdvanced(Offset(_)) | Effect::LeaderChanged { .. } => {}
        }
        None
    }

    fn reply(&mut self, call: CallId, response: &Response) {
        if let Some(Caller { version, correlation, reply }) = self.calls.remove(&call) {
            let _ = reply.send(wire::response_bytes(response, version, correlation));
        }
    }
}
