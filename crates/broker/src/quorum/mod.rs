//! Hosts the metadata quorum: `raft` and `controller` over the log of `__cluster_metadata-0`.
//!
//! A decision goes one way: the controller decides, the records are appended and made durable, raft says that they are
//! committed, they are replayed into controller and image, the change is published, the answer leaves.

mod appended;
mod batches;
mod decidable;
mod error;
mod files;
mod format;
mod inner;
mod install;
mod others;
mod pending;
mod periods;
mod recovery;
mod requests_of_nodes;
mod snapshots;
mod start;
mod voters;

pub(crate) use decidable::{Decidable, words};
pub(crate) use error::QuorumError;
pub(crate) use format::holds_metadata;
pub use format::{FormatError, FormatRequest, format, is_unformatted};
pub(crate) use others::Mailbox;
pub use recovery::{Recovery, RecoveryError, Survivor};
pub(crate) use start::{QuorumOptions, QuorumStart};

use core::time::Duration;
use inner::{After, Inner};
use ottla_controller::{Context, Controller, Seed};
use ottla_env::{Clock, Monotonic, Random};
use ottla_metadata::{MetadataDelta, MetadataImage};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_raft::{Address, Event, Voter};
use ottla_types::{BrokerEpoch, BrokerId, NodeId, Offset};
use parking_lot::Mutex;
use pending::Moment;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};

/// Takes each published change, in order, before the answer of the decision that made it leaves. The quorum's lock is held
/// meanwhile: what this leads to may ask the controller by a channel only, which then waits for the lock to be free.
pub(crate) type Publish = Box<dyn Fn(&MetadataDelta) + Send + Sync>;

/// The quorum, as the node sees it.
pub(crate) struct MetadataQuorum {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    mailbox: Arc<Mailbox>,
    inner: Mutex<Inner>,
    /// The thread that works on the state: what is done from within, to publish a change, may want to ask something.
    held_by: Mutex<Option<ThreadId>>,
    /// What it has asked meanwhile.
    asked_within: Mutex<Vec<After>>,
}

/// Where the metadata quorum stands, seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumReading {
    /// Kafka's name of what the replica is at the moment.
    pub state: &'static str,
    /// Whether the controller decides.
    pub is_active: bool,
    /// The leader; -1 while there is none.
    pub leader: i32,
    /// Who got this node's vote; -1 for nobody.
    pub vote: i32,
    /// The newest epoch that it has seen.
    pub epoch: i32,
    /// Below which everything is committed, as far as it knows; -1 while it knows nothing.
    pub high_watermark: i64,
    /// Where its log ends.
    pub log_end: i64,
}

impl MetadataQuorum {
    /// Asks the active controller for a decision. `reply` gets the response when the decision's records are committed and
    /// published, or a refusal when there is no active controller or its log can't be written.
    pub(crate) fn decide<R: Decidable>(
        &self,
        version: i16,
        request: &R,
        reply: impl FnOnce(R::Response) + Send + 'static,
    ) {
        let moment = self.moment(version);
        let refusal = request.clone();
        let reply = move |result: Result<R::Response, ErrorCode>| {
            reply(result.unwrap_or_else(|code| refusal.refuse(version, code)));
        };
        self.with(|inner| {
            let context = inner.context(moment);
            let is_passive = inner.active.is_none() && inner.failure.is_none();
            match is_passive.then(|| request.read(&mut inner.controller, &context)).flatten() {
                Some(response) => inner.after.push(Box::new(|| reply(Ok(response)))),
                None => inner.decide(moment, |controller, context| request.decide(controller, context), reply),
            }
        });
    }

    /// The leader of the quorum, if it is known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.inner.lock().raft.leader()
    }

    /// Whether this node's controller is the active one.
    pub(crate) fn is_active(&self) -> bool {
        self.inner.lock().active.is_some()
    }

    /// Whether nobody else votes.
    pub(crate) fn is_only_voter(&self) -> bool {
        let inner = self.inner.lock();
        inner.raft.voters().is_only_voter(&inner.raft.settings().local)
    }

    /// The voters, and where they are reached.
    pub(crate) fn addresses_of_voters(&self) -> Vec<(NodeId, Address)> {
        let inner = self.inner.lock();
        let listener = &inner.raft.settings().listener;
        let address = |voter: &Voter| {
            let named = voter.endpoints.iter().find(|endpoint| endpoint.name.eq_ignore_ascii_case(listener));
            let endpoint = named.or(voter.endpoints.first())?;
            Some((voter.key.id, Address { host: endpoint.host.clone(), port: endpoint.port }))
        };
        inner.raft.voters().iter().filter_map(address).collect()
    }

    /// Where the leader of the quorum is reached, if it is known and another node.
    pub(crate) fn leader_address(&self) -> Option<Address> {
        let inner = self.inner.lock();
        let (raft, listener) = (&inner.raft, &inner.raft.settings().listener);
        raft.leader().filter(|leader| *leader != raft.settings().local.id)?;
        let named = raft.leader_endpoints().iter().find(|endpoint| endpoint.name.eq_ignore_ascii_case(listener));
        let endpoint = named.or(raft.leader_endpoints().first())?;
        Some(Address { host: endpoint.host.clone(), port: endpoint.port })
    }

    /// Takes the request of another replica; `reply` gets the answer. It is dropped when there will be none.
    pub(crate) fn call(
        &self,
        version: i16,
        listener: &str,
        request: ottla_raft::Request,
        reply: impl FnOnce(ottla_raft::Response) + Send + 'static,
    ) {
        self.with(|inner| inner.call(version, listener, request, Box::new(reply)));
    }

    /// Takes in what other replicas have answered and does what is due by time; says when to come again.
    pub(crate) fn tick(&self, now: Monotonic) -> Option<Monotonic> {
        for mail in self.mailbox.take() {
            self.with(|inner| inner.deliver(mail));
        }
        let due = Duration::from_nanos(now.0);
        if self.inner.lock().raft.next_deadline().is_some_and(|deadline| deadline <= due) {
            self.with(|inner| inner.take(Event::Tick));
        }
        self.work_of_controller(due);
        self.inner.lock().next_deadline()
    }

    /// What the active controller does that nobody asks for: it fences brokers that are silent, balances leaders.
    fn work_of_controller(&self, now: Duration) {
        let is_due = |inner: &Inner| inner.controller.next_deadline().is_some_and(|deadline| deadline <= now);
        while is_due(&self.inner.lock()) {
            let done = Arc::new(AtomicBool::new(false));
            let told = done.clone();
            let decide = |controller: &mut Controller, context: &Context| {
                let outcome = controller.tick(context);
                told.store(outcome.response.is_none(), Ordering::Relaxed);
                if let Some(task) = outcome.response {
                    tracing::info!(?task, "the controller acts by itself");
                }
                outcome
            };
            let moment = self.moment(0);
            self.with(|inner| inner.decide(moment, decide, |_| ()));
            if done.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Has the active controller fence a broker whose process is gone.
    pub(crate) fn broker_is_dead(&self, id: BrokerId, epoch: BrokerEpoch) {
        let moment = self.moment(0);
        self.with(|inner| inner.decide(moment, |controller, _| controller.broker_is_dead(id, epoch), |_| ()));
    }

    /// Tells the active controller that the connection to a broker has ended.
    pub(crate) fn connection_ended(&self, id: BrokerId, epoch: BrokerEpoch) {
        self.inner.lock().controller.connection_ended(id, epoch);
    }

    /// Works on the state, and does afterwards, without the lock, what came of it.
    fn with(&self, work: impl FnOnce(&mut Inner)) {
        let (after, is_earlier) = self.hold(|inner| {
            let before = inner.next_deadline();
            work(inner);
            let next = inner.next_deadline();
            (std::mem::take(&mut inner.after), next.is_some_and(|next| before.is_none_or(|before| next < before)))
        });
        after.into_iter().for_each(|answer| answer());
        if is_earlier {
            self.mailbox.wake();
        }
    }

    /// Works on the state, and has asked afterwards what was to be asked from within.
    fn hold<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let result = {
            let mut inner = self.inner.lock();
            *self.held_by.lock() = Some(thread::current().id());
            let result = work(&mut inner);
            *self.held_by.lock() = None;
            result
        };
        let asked = std::mem::take(&mut *self.asked_within.lock());
        asked.into_iter().for_each(|ask| ask());
        result
    }

    /// Whether this very thread works on the state, so that it would wait for itself if it asked for anything.
    pub(crate) fn is_held_here(&self) -> bool {
        *self.held_by.lock() == Some(thread::current().id())
    }

    /// Asks when the thread that works on the state has done so.
    pub(crate) fn ask_afterwards(&self, ask: impl FnOnce() + Send + 'static) {
        self.asked_within.lock().push(Box::new(ask));
    }

    /// The level of `kraft.version`: 1 when the voters are in the log, 0 when the configuration names them.
    pub(crate) fn kraft_version(&self) -> i16 {
        self.inner.lock().raft.kraft_version().level()
    }

    /// Why nothing can be decided any more until a restart; `None` while it can.
    pub(crate) fn failure(&self) -> Option<String> {
        self.inner.lock().failure.clone()
    }

    /// Looks at the newest published image, while no other is published.
    pub(crate) fn look_at_published(&self, look: impl FnOnce(&MetadataImage)) {
        self.hold(|inner| look(inner.loader.published()));
    }

    /// The answer to DescribeQuorum.
    pub(crate) fn describe(&self, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        let (now, wall) = (Duration::from_nanos(self.clock.monotonic().0), self.clock.wall());
        self.inner.lock().raft.describe(now, wall, request)
    }

    /// Where the quorum stands: for metrics.
    pub(crate) fn reading(&self) -> QuorumReading {
        let inner = self.inner.lock();
        let raft = &inner.raft;
        let id = |id: Option<NodeId>| id.unwrap_or(NodeId::NONE).value();
        QuorumReading {
            state: raft.role().name(),
            is_active: inner.active.is_some(),
            leader: id(raft.leader()),
            vote: id(raft.voted()),
            epoch: raft.epoch().value(),
            high_watermark: raft.high_watermark().unwrap_or(Offset(-1)).value(),
            log_end: raft.log_end_offset().value(),
        }
    }

    /// Stops leading: no decision is taken from now on. The log is closed with its directory.
    pub(crate) fn resign(&self) {
        self.with(|inner| inner.take(Event::Stop));
    }

    fn moment(&self, version: i16) -> Moment {
        let mut seed = [0; 16];
        self.random.fill(&mut seed);
        Moment {
            monotonic: Duration::from_nanos(self.clock.monotonic().0),
            seed: Seed(u128::from_le_bytes(seed)),
            version,
        }
    }
}
