//! Time, network and nodes of one run.

use crate::chance::Chance;
use crate::checks::{Checked, Checks, violated};
use crate::disk::{Content, SnapshotFile};
use crate::mistakes::Mistake;
use crate::node::{Caller, Node};
use crate::wire;
use ottla_raft::{
    Call, CallId, Destination, Effect, Event, OffsetAndEpoch, Raft, Request, RequestId, Response, Role, SendFailure,
    SnapshotId,
};
use ottla_types::{LeaderEpoch, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// Something that comes to pass.
pub(crate) enum Happening {
    Request { to: usize, from: usize, start: u64, id: RequestId, version: i16, request: Request },
    Response { to: usize, start: u64, id: RequestId, response: Response },
    SendFailed { to: usize, start: u64, id: RequestId, failure: SendFailure },
    Flushed { node: usize, start: u64, generation: u64, end: i64 },
    Wake { node: usize, start: u64, at: u64 },
}

/// What the network and the machines do wrong by themselves.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) delay_max: u64,
    pub(crate) flush_max: u64,
    /// How often a node crashes between two effects.
    pub(crate) crash: u64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { loss: 0, duplication: 0, delay_max: 5, flush_max: 5, crash: 0 };
}

/// What every run of some length must bring about.
pub(crate) const SEEN: [&str; 14] = [
    "committed",
    "crashed",
    "elected",
    "installed",
    "joined by itself",
    "moved",
    "resigned",
    "snapshots",
    "starts",
    "truncated",
    "upgraded",
    "voter added",
    "voter removed",
    "votes",
];

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) chance: Chance,
    pub(crate) nodes: Vec<Node>,
    pub(crate) checks: Checks,
    pub(crate) weather: Weather,
    /// From whom to whom nothing comes through.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    pub(crate) mistake: Option<Mistake>,
    /// Answers to the administrator.
    pub(crate) answers: Vec<(CallId, Response)>,
    /// Tells every event and effect.
    is_traced: bool,
    /// How long after the storm the first record was written, in milliseconds.
    pub(crate) agreed_after: u64,
    /// How often what has happened.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    calls: u64,
    values: u64,
}

impl World {
    pub(crate) fn new(seed: u64, nodes: Vec<Node>, mistake: Option<Mistake>) -> Self {
        Self {
            now: 0,
            chance: Chance::new(seed),
            nodes,
            checks: Checks::default(),
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            mistake,
            answers: Vec::new(),
            agreed_after: 0,
            seen: BTreeMap::new(),
            is_traced: std::env::var_os("OTTLA_RAFT_TRACE").is_some(),
            queue: BTreeMap::new(),
            sequence: 0,
            calls: 0,
            values: 0,
        }
    }

    pub(crate) fn raft(&self, node: usize) -> Option<&Raft> {
        self.nodes[node].raft.as_ref()
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn schedule(&mut self, delay: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), happening);
    }

    /// Lets the world go on until a time.
    pub(crate) fn run_until(&mut self, end: u64) -> Checked {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((time, _), happening) = entry.remove_entry();
            self.now = time;
            self.happen(happening)?;
        }
        self.now = end;
        Ok(())
    }

    fn runs(&self, node: usize, start: u64) -> bool {
        self.nodes[node].raft.is_some() && self.nodes[node].start == start
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        match happening {
            Happening::Request { to, from, start, id, version, request } => {
                if self.nodes[to].raft.is_none() {
                    let failure = SendFailure::Disconnected;
                    self.schedule(1, Happening::SendFailed { to: from, start, id, failure });
                    return Ok(());
                }
                if request == Request::ApiVersions {
                    self.answer(to, Some((from, start, id)), version, wire::api_versions());
                    return Ok(());
                }
                self.call(to, Some((from, start, id)), version, request).map(|_| ())
            }
            Happening::Response { to, start, id, response } if self.runs(to, start) => {
                self.feed(to, Event::Answered { request: id, response })
            }
            Happening::SendFailed { to, start, id, failure } if self.runs(to, start) => {
                self.feed(to, Event::SendFailed { request: id, failure })
            }
            Happening::Flushed { node, start, generation, end } if self.runs(node, start) => {
                self.flushed(node, generation, end)
            }
            Happening::Wake { node, start, at } if self.runs(node, start) && self.nodes[node].wake_at == Some(at) => {
                self.nodes[node].wake_at = None;
                self.feed(node, Event::Tick)
            }
            _ => Ok(()),
        }
    }

    /// Somebody asks a node.
    pub(crate) fn call(
        &mut self,
        to: usize,
        from: Option<(usize, u64, RequestId)>,
        version: i16,
        request: Request,
    ) -> Result<CallId, crate::checks::Violation> {
        self.calls += 1;
        let id = CallId(self.calls);
        self.nodes[to].calls.insert(id, Caller { from, version, request: request.clone() });
        let listener = crate::node::LISTENER.to_owned();
        self.feed(to, Event::Called(Call { id, version, listener, request }))?;
        Ok(id)
    }

    /// Gives a machine an event, and does what it wants.
    pub(crate) fn feed(&mut self, node: usize, event: Event) -> Checked {
        let now = self.nodes[node].local_time(self.now);
        let Some(raft) = self.nodes[node].raft.as_mut() else { return Ok(()) };
        if self.is_traced {
            println!("{} node {node} {} epoch {}: {event:?}", self.now, raft.role().name(), raft.epoch());
        }
        let led_before = raft.is_leader();
        let effects = raft.step(now, event);
        self.nodes[node].led_before = led_before;
        self.hasty_commit(node)?;
        self.perform(node, effects)
    }

    pub(crate) fn perform(&mut self, node: usize, mut effects: Vec<Effect>) -> Checked {
        if self.mistake == Some(Mistake::ElectionStateWrittenLate) {
            effects.sort_by_key(|effect| matches!(effect, Effect::PersistElection(_)));
        }
        for effect in effects {
            if self.chance.permille(self.weather.crash) {
                self.crash(node);
                return Ok(());
            }
            if self.is_traced {
                println!("{} node {node} does {effect:?}", self.now);
            }
            self.perform_one(node, effect)?;
            if self.nodes[node].raft.is_none() {
                return Ok(());
            }
        }
        self.check_node(node)?;
        self.plan_wake(node)
    }

    fn check_node(&mut self, node: usize) -> Checked {
        let Node { raft: Some(raft), disk, start, .. } = &self.nodes[node] else { return Ok(()) };
        if raft.log_end_offset().0 != disk.log.end() {
            let what = format!("node {node}: {} and {}", raft.log_end_offset(), disk.log.end());
            return violated("the machine knows where its log ends", what);
        }
        if raft.is_leader() {
            self.checks.leads(node, *start, raft.epoch().0, &disk.log)?;
        }
        Ok(())
    }

    fn plan_wake(&mut self, node: usize) -> Checked {
        let Node { raft: Some(raft), .. } = &self.nodes[node] else { return Ok(()) };
        let Some(deadline) = raft.next_deadline() else { return Ok(()) };
        if deadline <= self.nodes[node].local_time(self.now) {
            let what = format!("node {node} as {} wants to be woken at {deadline:?}: {raft:?}", raft.role().name());
            return violated("a deadline lies ahead", what);
        }
        let at = self.nodes[node].world_time(deadline);
        if self.nodes[node].wake_at.is_none_or(|known| known > at) {
            self.nodes[node].wake_at = Some(at);
            let start = self.nodes[node].start;
            self.schedule(at - self.now, Happening::Wake { node, start, at });
        }
        Ok(())
    }

    /// Sends over the network.
    pub(crate) fn send(&mut self, from: usize, to: Destination, id: RequestId, message: &Request) {
        let start = self.nodes[from].start;
        let reached = self
            .nodes
            .iter()
            .position(|node| crate::node::host(node.id) == to.address.host && node.port == to.address.port);
        let Some(to) = reached else {
            let failure = SendFailure::Disconnected;
            return self.schedule(1, Happening::SendFailed { to: from, start, id, failure });
        };
        if self.nodes[to].knows_no_trials
            && matches!(message, Request::Vote(vote) if vote.topics[0].partitions[0].pre_vote)
        {
            let failure = SendFailure::UnsupportedVersion;
            return self.schedule(1, Happening::SendFailed { to: from, start, id, failure });
        }
        let version = wire::version_of(message);
        let request = self.spoil_request(wire::travel_request(message, version));
        for delay in self.ways(from, to) {
            let request = request.clone();
            self.schedule(delay, Happening::Request { to, from, start, id, version, request });
        }
    }

    /// Answers over the network, or to the administrator.
    pub(crate) fn answer(
        &mut self,
        node: usize,
        to: Option<(usize, u64, RequestId)>,
        version: i16,
        response: Response,
    ) {
        let Some((to, start, id)) = to else { return };
        let response = self.spoil_response(wire::travel_response(&response, version));
        for delay in self.ways(node, to) {
            let response = response.clone();
            self.schedule(delay, Happening::Response { to, start, id, response });
        }
    }

    /// When a message arrives; never, or more than once.
    fn ways(&mut self, from: usize, to: usize) -> Vec<u64> {
        if self.cut.contains(&(from, to)) || self.chance.permille(self.weather.loss) {
            return Vec::new();
        }
        let copies = 1 + u64::from(self.chance.permille(self.weather.duplication));
        (0..copies).map(|_| self.chance.between(1, self.weather.delay_max)).collect()
    }

    /// The log is to be made durable, and the machine told.
    pub(crate) fn flush(&mut self, node: usize) -> Checked {
        let Node { disk, start, .. } = &self.nodes[node];
        let (start, generation, end) = (*start, disk.generation, disk.log.end());
        let delay = self.chance.between(0, self.weather.flush_max);
        if self.mistake == Some(Mistake::FlushReportedTooEarly) {
            self.schedule(delay + 100, Happening::Flushed { node, start, generation, end });
            return self.feed(node, Event::Flushed { end: Offset(end) });
        }
        self.schedule(delay, Happening::Flushed { node, start, generation, end });
        Ok(())
    }

    fn flushed(&mut self, node: usize, generation: u64, end: i64) -> Checked {
        let is_current = self.nodes[node].disk.generation == generation;
        if is_current {
            let disk = &mut self.nodes[node].disk;
            let mut durable = disk.log.clone();
            durable.truncate(end.max(disk.durable.end().min(disk.log.end())));
            disk.durable = durable;
        }
        if is_current { self.feed(node, Event::Flushed { end: Offset(end) }) } else { Ok(()) }
    }

    /// The power of a node fails.
    pub(crate) fn crash(&mut self, node: usize) {
        if self.is_traced {
            println!("{} node {node} crashes", self.now);
        }
        self.saw("crashed");
        let Node { disk, raft, calls, active, .. } = &mut self.nodes[node];
        if raft.take().is_some() {
            disk.crash(&mut self.chance);
        }
        calls.clear();
        *active = None;
    }

    pub(crate) fn start(&mut self, node: usize) -> Checked {
        if self.nodes[node].raft.is_some() {
            return Ok(());
        }
        if self.mistake == Some(Mistake::ElectionStateRestored) {
            let disk = &mut self.nodes[node].disk;
            disk.quorum_state = disk.old_quorum_state.clone();
        }
        let seed = self.chance.next();
        let now = self.now;
        let node_state = &mut self.nodes[node];
        // A snapshot that is further on than what the crash left of the log takes its place.
        if let Some((id, bytes)) = node_state.disk.snapshots.iter().next_back()
            && id.0.offset.0 > node_state.disk.log.end()
        {
            let chain = SnapshotFile::from_bytes(bytes.clone()).map_or(0, |file| file.chain);
            let log = crate::disk::LogImage { start: id.0, start_chain: chain, entries: Vec::new() };
            node_state.disk.log = log.clone();
            node_state.disk.durable = log;
        }
        *self.seen.entry("starts").or_default() += 1;
        node_state.start += 1;
        node_state.wake_at = None;
        node_state.committed = 0;
        let state = node_state.disk.log_state();
        let (settings, persisted) = (node_state.settings(seed), node_state.persisted());
        let (raft, effects) = Raft::start(settings, persisted, state, node_state.local_time(now));
        node_state.raft = Some(raft);
        self.perform(node, effects)
    }

    /// The active controller of a node writes something. Returns whether there is one.
    pub(crate) fn write(&mut self, node: usize) -> Result<bool, crate::checks::Violation> {
        let Node { raft: Some(raft), active, .. } = &self.nodes[node] else { return Ok(false) };
        if *active != Some(raft.epoch().0) || !raft.is_leader() {
            return Ok(false);
        }
        let epoch = raft.epoch().0;
        self.values += 1;
        let from = self.nodes[node].disk.log.end();
        self.nodes[node].disk.log.push(epoch, Content::Data(self.values));
        self.checks.appended(node, &self.nodes[node].disk.log, from)?;
        let end = self.nodes[node].disk.log.end();
        self.feed(node, Event::Appended { end: Offset(end) })?;
        if self.nodes[node].raft.is_some() {
            self.flush(node)?;
        }
        Ok(true)
    }

    /// A node makes a snapshot of what it has seen committed.
    pub(crate) fn snapshot(&mut self, node: usize) -> Checked {
        let Node { raft: Some(raft), disk, committed, .. } = &self.nodes[node] else { return Ok(()) };
        let is_hasty = self.mistake == Some(Mistake::SnapshotOfUncommitted);
        let end = if is_hasty { disk.log.end() } else { *committed };
        let epoch = LeaderEpoch(disk.log.epoch_before(end));
        let id = SnapshotId(OffsetAndEpoch { offset: Offset(end), epoch });
        if end == 0 || !(raft.may_create_snapshot(id) || is_hasty) || disk.snapshots.contains_key(&id) {
            return Ok(());
        }
        let Some(chain) = disk.log.chain_below(end) else { return Ok(()) };
        if !self.checks.is_committed_chain(end, chain) {
            return violated("a snapshot holds what is committed", format!("node {node} makes one of {end}"));
        }
        let file = SnapshotFile {
            version: raft.log().version_below(id.0.offset),
            voters: raft.log().voters_below(id.0.offset).cloned(),
            chain,
        };
        let bytes = file.to_bytes();
        let size = bytes.len() as u64;
        self.nodes[node].disk.snapshots.insert(id, bytes);
        self.saw("snapshots");
        self.feed(node, Event::SnapshotCreated { id, size })
    }

    /// A node deletes what its newest snapshot makes superfluous.
    pub(crate) fn delete_prefix(&mut self, node: usize) -> Checked {
        let Some((id, _)) = self.nodes[node].disk.snapshots.iter().next_back().map(|(id, b)| (*id, b.clone())) else {
            return Ok(());
        };
        if id == SnapshotId::BOOTSTRAP || self.nodes[node].raft.is_none() {
            return Ok(());
        }
        let disk = &mut self.nodes[node].disk;
        disk.snapshots.retain(|snapshot, _| *snapshot >= id);
        disk.log.delete_below(id);
        disk.durable.delete_below(id);
        self.feed(node, Event::PrefixDeleted { id })
    }

    /// The nodes that lead, by their own account.
    pub(crate) fn leaders(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|node| self.raft(*node).is_some_and(|raft| matches!(raft.role(), Role::Leader(_))))
            .collect()
    }
}
