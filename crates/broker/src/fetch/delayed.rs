//! A fetch from its first look to its answer, which may come much later.

use super::answer::{PartitionAnswer, to_response};
use super::parameters::FetchParameters;
use super::read_all::{Lookup, Reads, read_all};
use super::session::{FetchSession, PartitionKey, PartitionRequest};
use super::session_cache::{FetchContext, FetchSessionCache, SessionRequest};
use crate::call::Reply;
use crate::leader_hints::LeaderHint;
use crate::metadata_view::MetadataView;
use crate::partition::{Partition, PartitionRegistry};
use crate::timers::{Expire, TimerKey, Timers};
use crate::waiters::Waiter;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use core::time::Duration;
use ottla_env::{Clock, Monotonic, Random};
use ottla_net::{ConnectionContext, ConnectionId};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchResponse;
use ottla_protocol::messages::fetch_response::NodeEndpoint;
use ottla_replication::ReplicaSelector;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// For how long after it leads more partitions a broker keeps followers waiting for a moment only: news of leaders take a few
/// milliseconds from node to node, on a busy machine some tens.
const NEWS: Duration = Duration::from_millis(250);
/// That moment.
const MOMENT: Duration = Duration::from_millis(10);

/// A decoded fetch request.
pub(crate) struct Fetch {
    pub(crate) parameters: FetchParameters,
    pub(crate) session: SessionRequest,
    pub(crate) connection: Arc<ConnectionContext>,
    pub(crate) reply: Reply,
}

/// Everything that fetches need of the node, and the fetches that wait.
pub(crate) struct Fetches {
    partitions: Arc<PartitionRegistry>,
    metadata: Arc<MetadataView>,
    timers: Arc<Timers>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    selector: ReplicaSelector,
    sessions: FetchSessionCache,
    parked: Mutex<BTreeMap<ConnectionId, BTreeMap<u64, Arc<DelayedFetch>>>>,
    next_id: Mutex<u64>,
    /// Until then followers are kept waiting for a moment only.
    hurried_until: AtomicU64,
}

/// What is left to do when a fetch is answered.
struct Work {
    parameters: FetchParameters,
    context: FetchContext,
    requests: Vec<(PartitionKey, PartitionRequest)>,
    reply: Reply,
}

/// A parked fetch. Whoever takes its work out answers it: an append, a change of a partition, its deadline, or the end of
/// its connection, which just drops it.
pub(crate) struct DelayedFetch {
    fetches: Weak<Fetches>,
    id: u64,
    connection: ConnectionId,
    /// Whether it reads what is not committed yet.
    is_follower: bool,
    /// How many bytes are missing to `min_bytes`.
    missing: AtomicI64,
    work: Mutex<Option<Work>>,
    /// Whether somebody wanted to complete it while there was no work to take: it was just looked at, or is done.
    was_called: AtomicBool,
    parked: Mutex<Parking>,
}

/// Where a parked fetch is entered and has to be taken out again.
#[derive(Default)]
struct Parking {
    watched: Vec<Arc<Partition>>,
    timer: Option<TimerKey>,
}

/// The parts of a node that fetches work with.
pub(crate) struct FetchEnvironment {
    pub(crate) partitions: Arc<PartitionRegistry>,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// Which replicas consumers are sent to.
    pub(crate) selector: ReplicaSelector,
    pub(crate) session_slots_max: usize,
    pub(crate) session_partitions_max: usize,
}

impl Fetches {
    pub(crate) fn new(environment: FetchEnvironment) -> Self {
        Self {
            partitions: environment.partitions,
            metadata: environment.metadata,
            timers: environment.timers,
            clock: environment.clock,
            random: environment.random,
            selector: environment.selector,
            sessions: FetchSessionCache::new(environment.session_slots_max, environment.session_partitions_max),
            parked: Mutex::default(),
            next_id: Mutex::default(),
            hurried_until: AtomicU64::new(0),
        }
    }

    /// Answers a fetch now, or parks it until there is enough to answer.
    pub(crate) fn fetch(self: &Arc<Self>, fetch: Fetch) {
        let now = self.clock.monotonic();
        let session_id = fetch.session.session_id;
        let context = match self.sessions.context(now, fetch.session) {
            Ok(context) => context,
            Err(code) => return refuse(fetch.reply, code, session_id),
        };
        let requests = match &context {
            FetchContext::Sessionless(requests) => requests.clone(),
            FetchContext::Full { request } => request.partitions.clone(),
            FetchContext::Incremental { session, .. } => session.lock().requests(),
        };
        let work = Work { parameters: fetch.parameters, context, requests, reply: fetch.reply };
        let reads = self.read(&work);
        let missing = work.parameters.min_bytes.saturating_sub_unsigned(reads.bytes);
        // Who asks for nothing waits for nothing: a follower that has its leader forget a partition goes on at once.
        if missing <= 0 || reads.is_urgent || work.parameters.max_wait.is_zero() || work.requests.is_empty() {
            return self.answer(work, reads);
        }
        self.park(now, work, reads, missing, &fetch.connection);
    }

    fn read(&self, work: &Work) -> Reads {
        let image = self.metadata.image();
        let lookup = Lookup { partitions: &self.partitions, image: &image, selector: self.selector };
        read_all(lookup, &work.parameters, &work.requests)
    }

    fn park(
        self: &Arc<Self>,
        now: Monotonic,
        work: Work,
        reads: Reads,
        missing: i64,
        connection: &Arc<ConnectionContext>,
    ) {
        let hurries = work.parameters.is_follower && now.0 < self.hurried_until.load(Ordering::Acquire);
        let wait = if hurries { work.parameters.max_wait.min(MOMENT) } else { work.parameters.max_wait };
        let deadline = now + wait;
        let id = {
            let mut next = self.next_id.lock();
            *next += 1;
            *next
        };
        let ends: u64 = reads.bytes;
        let delayed = Arc::new(DelayedFetch {
            fetches: Arc::downgrade(self),
            id,
            connection: connection.id,
            is_follower: work.parameters.is_follower,
            missing: AtomicI64::new(missing),
            work: Mutex::new(Some(work)),
            was_called: AtomicBool::new(false),
            parked: Mutex::default(),
        });
        self.parked.lock().entry(connection.id).or_default().insert(id, delayed.clone());
        {
            let mut parked = delayed.parked.lock();
            for partition in &reads.watched {
                partition.waiters.add(delayed.clone());
            }
            parked.watched = reads.watched;
            parked.timer = Some(self.timers.set(deadline, delayed.clone()));
        }
        // An append between the first look and the entry at the waiters has told nobody: look once more.
        // Not under its lock: what a follower asks for can move the high watermark, which calls those who wait, this one too.
        let looked_at = delayed.work.lock().take();
        let came = looked_at.is_some_and(|work| {
            let again = self.read(&work);
            *delayed.work.lock() = Some(work);
            again.is_urgent || again.bytes > ends || delayed.was_called.load(Ordering::Acquire)
        });
        if came || connection.is_disconnected() {
            delayed.complete();
        }
    }

    /// Answers with what there is.
    fn answer(&self, work: Work, reads: Reads) {
        let read_committed = work.parameters.read_committed;
        let parameters = work.parameters;
        let (session_id, answers) = match work.context {
            FetchContext::Sessionless(_) => (super::session::NO_SESSION, reads.answers),
            FetchContext::Full { request } => (self.new_session(&request, &reads), reads.answers),
            FetchContext::Incremental { session, epoch } => {
                let mut session = session.lock();
                if session.epoch() != epoch {
                    // The client has sent its next request without waiting for this answer.
                    let id = session.id();
                    drop(session);
                    return refuse(work.reply, ErrorCode::InvalidFetchSessionEpoch, id);
                }
                let mut answers = reads.answers;
                answers.retain(|answer| session.note_answer(&answer.key, &answer.summary()));
                (session.id(), answers)
            }
        };
        let node_endpoints = self.leader_endpoints(&parameters, &answers);
        let (responses, segments) = to_response(answers, read_committed);
        let response = FetchResponse { session_id, responses, node_endpoints, ..Default::default() };
        work.reply.send_with_segments(&response, segments);
    }

    /// Where the leaders can be reached that the answers name, each once.
    fn leader_endpoints(&self, parameters: &FetchParameters, answers: &[PartitionAnswer]) -> Vec<NodeEndpoint> {
        let hints: BTreeMap<_, _> =
            answers.iter().filter_map(PartitionAnswer::leader).map(|hint| (hint.leader, hint)).collect();
        // A follower knows where brokers are.
        if hints.is_empty() || parameters.is_follower {
            return Vec::new();
        }
        let image = self.metadata.image();
        let endpoint = |hint: LeaderHint| {
            let (host, port, rack) = hint.endpoint(&image, &parameters.listener)?;
            Some(NodeEndpoint {
                node_id: hint.leader.value(),
                host: host.to_owned(),
                port: i32::from(port),
                rack: rack.map(str::to_owned),
                ..Default::default()
            })
        };
        hints.into_values().filter_map(endpoint).collect()
    }

    fn new_session(&self, request: &SessionRequest, reads: &Reads) -> i32 {
        let candidate = (self.random.next_u64() >> 33) as i32;
        let Some(session) = self.sessions.create(self.clock.monotonic(), candidate, request) else {
            return super::session::NO_SESSION;
        };
        let mut session: parking_lot::MutexGuard<'_, FetchSession> = session.lock();
        for answer in &reads.answers {
            session.note_answer(&answer.key, &answer.summary());
        }
        session.id()
    }

    /// How many sessions there are, and how many fetches wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let parked = self.parked.lock().values().map(BTreeMap::len).sum();
        (self.sessions.len(), parked)
    }

    /// This broker leads partitions that it did not lead before. Whoever follows them may wait here for records of others, and can
    /// ask for these only when it is answered; a write that all replicas must have would wait as long. So followers are answered
    /// now, and for a while soon: they may hear of it later than this broker.
    pub(crate) fn leads_more(&self) {
        self.hurried_until.store((self.clock.monotonic() + NEWS).0, Ordering::Release);
        let parked: Vec<_> = {
            let all = self.parked.lock();
            all.values().flat_map(BTreeMap::values).filter(|delayed| delayed.is_follower).cloned().collect()
        };
        parked.iter().for_each(DelayedFetch::complete);
    }

    /// Answers all parked fetches with what there is.
    pub(crate) fn complete_all(&self) {
        let all = core::mem::take(&mut *self.parked.lock());
        for delayed in all.into_values().flat_map(BTreeMap::into_values) {
            delayed.complete();
        }
    }

    /// Drops what the connection waits for.
    pub(crate) fn disconnected(&self, connection: &Arc<ConnectionContext>) {
        let gone = self.parked.lock().remove(&connection.id);
        for delayed in gone.into_iter().flat_map(BTreeMap::into_values) {
            drop(delayed.take());
        }
    }
}

impl DelayedFetch {
    /// Takes the work and the entries away. `None` for everyone but the first.
    fn take(self: &Arc<Self>) -> Option<(Arc<Fetches>, Work)> {
        let work = {
            let mut work = self.work.lock();
            let taken = work.take();
            if taken.is_none() {
                self.was_called.store(true, Ordering::Release);
            }
            taken?
        };
        let fetches = self.fetches.upgrade()?;
        let parked = core::mem::take(&mut *self.parked.lock());
        let waiter: Arc<dyn Waiter> = self.clone();
        for partition in parked.watched {
            partition.waiters.remove(&waiter);
        }
        if let Some(timer) = parked.timer {
            fetches.timers.cancel(timer);
        }
        let mut all = fetches.parked.lock();
        if let Some(of_connection) = all.get_mut(&self.connection) {
            of_connection.remove(&self.id);
            if of_connection.is_empty() {
                all.remove(&self.connection);
            }
        }
        drop(all);
        Some((fetches, work))
    }

    fn complete(self: &Arc<Self>) {
        if let Some((fetches, work)) = self.take() {
            let reads = fetches.read(&work);
            fetches.answer(work, reads);
        }
    }
}

impl Waiter for DelayedFetch {
    fn high_watermark_advanced(self: Arc<Self>, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.missing.fetch_sub(bytes, Ordering::AcqRel) <= bytes {
            self.complete();
        }
    }

    fn log_end_advanced(self: Arc<Self>, bytes: u64) {
        if self.is_follower {
            self.high_watermark_advanced(bytes);
        }
    }

    fn log_start_moved(self: Arc<Self>) {
        if self.is_follower {
            self.complete();
        }
    }

    fn partition_changed(self: Arc<Self>) {
        self.complete();
    }
}

impl Expire for DelayedFetch {
    fn expire(self: Arc<Self>, _now: Monotonic) {
        self.complete();
    }
}

fn refuse(reply: Reply, code: ErrorCode, session_id: i32) {
    // Apache Kafka names the session in its refusal only when it knows it.
    let session_id = if code == ErrorCode::FetchSessionIdNotFound { 0 } else { session_id };
    reply.send(&FetchResponse { error_code: code.code(), session_id, ..Default::default() });
}
