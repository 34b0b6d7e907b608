use super::accumulator::{Accumulator, NextBatch};
use super::answer::{BatchAnswer, read_answer};
use super::batch::SealedBatch;
use super::landing::settle;
use super::metrics::ProducerCounters;
use super::requests::{Transactional, init_producer_id, start_produce};
use super::settings::ProducerSettings;
use super::transaction::TransactionVersion;
use crate::backoff::Backoff;
use crate::cluster::CONCURRENT_PAUSE_MAX;
use crate::cluster::{AutoCreate, Cluster, is_stale};
use crate::error::{ClientError, Result};
use crate::network::{Answer, Connection};
use ottla_protocol::ErrorCode;
use ottla_records::Compressor;
use ottla_types::{NodeId, ProducerId, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// What the sender shares with the producer's callers.
pub(super) struct Shared {
    pub(super) settings: ProducerSettings,
    pub(super) cluster: Cluster,
    pub(super) accumulator: Mutex<Accumulator>,
    /// Told when there may be something new to send, and when the producer is closed.
    pub(super) wake: Notify,
    /// Told when the coordinator answered for the partitions of a transaction.
    pub(super) added: Notify,
    pub(super) counters: ProducerCounters,
}

impl Shared {
    fn note_sent(&self, batch: &SealedBatch) {
        let (counters, records) = (&self.counters, u64::try_from(batch.count).unwrap_or_default());
        if batch.tries > 1 {
            counters.record_retries.add(records);
            return;
        }
        counters.batch_bytes.note(batch.bytes.len() as u64);
        counters.batch_records.note(records);
        counters.queue_ms.note_time(batch.created.elapsed());
    }
}

/// The batches of one request.
pub(super) type Sent = Vec<(TopicPartition, SealedBatch)>;

/// What the sender's helpers tell it.
enum Event {
    Answer {
        node: NodeId,
        sent: Sent,
        result: Result<Answer>,
    },
    Connected {
        node: NodeId,
        result: Result<Arc<Connection>>,
    },
    Refreshed(Result<()>),
    ProducerId(Result<ProducerId>),
    /// Of the partitions of a transaction. `Err(None)`: ask again.
    Added(Result<(), Option<ClientError>>),
}

#[derive(Default)]
struct Node {
    connection: Option<Arc<Connection>>,
    is_connecting: bool,
    in_flight: usize,
}

/// The task that sends. It never waits for a node: connecting, asking for metadata and waiting for answers are tasks of
/// their own that report here, so a node that hangs holds up only its own partitions.
pub(super) struct Sender {
    shared: Arc<Shared>,
    events: mpsc::Receiver<Event>,
    reports: mpsc::Sender<Event>,
    nodes: BTreeMap<NodeId, Node>,
    compressor: Compressor,
    producer_id: Option<ProducerId>,
    is_asking_producer_id: bool,
    needs_metadata: bool,
    is_refreshing: bool,
    /// Between two questions for the partitions of a transaction.
    add_backoff: Backoff,
    /// Not before this time is metadata or a producer id asked for again.
    quiet_until: Instant,
    backoff: Backoff,
    /// Where the next round begins, so that the first partitions of the alphabet don't starve the last.
    round: usize,
}

/// Reports that wait; more helpers than this wait with theirs.
const REPORTS_MAX: usize = 64;
/// The longest sleep without a reason, after which the metadata's age is looked at.
const IDLE_MAX: Duration = Duration::from_secs(5);

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (reports, events) = mpsc::channel(REPORTS_MAX);
        let backoff = Backoff::new(shared.settings.client.retry_backoff, shared.settings.client.retry_backoff_max);
        Self {
            shared,
            events,
            reports,
            nodes: BTreeMap::new(),
            compressor: Compressor::new(),
            producer_id: None,
            is_asking_producer_id: false,
            needs_metadata: false,
            is_refreshing: false,
            add_backoff: backoff.clone(),
            quiet_until: Instant::now(),
            backoff,
            round: 0,
        }
    }

    /// Runs until the producer is closed and all its records have their fate.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            let expiry = self.shared.accumulator.lock().expire(now);
            self.add_partitions();
            let due = self.send_ready(now).await;
            self.ask_what_is_missing(now);
            {
                let accumulator = self.shared.accumulator.lock();
                if accumulator.is_closed && accumulator.is_idle() {
                    return;
                }
            }
            let idle = now + IDLE_MAX;
            let wake_at = [expiry, due].into_iter().flatten().fold(idle, Instant::min);
            let wake_at =
                if self.needs_metadata && self.quiet_until > now { wake_at.min(self.quiet_until) } else { wake_at };
            tokio::select! {
                event = self.events.recv() => self.handle_all(event),
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
        }
    }

    fn handle_all(&mut self, first: Option<Event>) {
        let mut next = first;
        while let Some(event) = next {
            self.handle(event);
            next = self.events.try_recv().ok();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Answer { node, sent, result } => {
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.in_flight = node.in_flight.saturating_sub(1);
                }
                self.take_answer(sent, result);
            }
            Event::Connected { node, result } => {
                let state = self.nodes.entry(node).or_default();
                state.is_connecting = false;
                match result {
                    Ok(connection) => state.connection = Some(connection),
                    Err(error) => {
                        tracing::debug!(%node, %error, "can't connect");
                        self.needs_metadata = true;
                    }
                }
            }
            Event::Refreshed(result) => {
                self.is_refreshing = false;
                self.after(result.is_ok());
                self.needs_metadata |= result.is_err();
            }
            Event::Added(answer) => {
                if answer.is_ok() {
                    self.add_backoff = self.first_backoff();
                }
                let mut accumulator = self.shared.accumulator.lock();
                if let Some(transaction) = &mut accumulator.transaction {
                    transaction.added(answer);
                    if !transaction.is_live() {
                        accumulator.give_up_waiting();
                    }
                }
                drop(accumulator);
                self.shared.added.notify_waiters();
            }
            Event::ProducerId(result) => {
                self.is_asking_producer_id = false;
                self.after(result.is_ok());
                match result {
                    Ok(id) => self.producer_id = Some(id),
                    Err(error) if error.is_retriable() || is_stale(&error) => {}
                    Err(error) => self.shared.accumulator.lock().fail_all(&error),
                }
            }
        }
    }

    /// Keeps a pause after a failure; also after a success a short one, since a leader that is not yet elected would
    /// else be asked for without end.
    fn after(&mut self, succeeded: bool) {
        if succeeded {
            self.backoff = self.first_backoff();
            self.quiet_until = Instant::now() + self.shared.settings.client.retry_backoff;
        } else {
            self.quiet_until = Instant::now() + self.backoff.pause();
        }
    }

    fn first_backoff(&self) -> Backoff {
        let settings = &self.shared.settings.client;
        Backoff::new(settings.retry_backoff, settings.retry_backoff_max)
    }

    /// Starts telling the coordinator of the partitions that a transaction sends to, where it has to be told.
    fn add_partitions(&mut self) {
        let shared = self.shared.clone();
        let (partitions, identity, is_first) = {
            let mut accumulator = shared.accumulator.lock();
            let Some(transaction) = &mut accumulator.transaction else { return };
            let (Some(identity), is_first) = (transaction.identity(), transaction.is_first_add()) else { return };
            let Some(partitions) = transaction.next_to_add() else { return };
            (partitions, identity, is_first)
        };
        let (reports, pause) = (self.reports.clone(), self.add_backoff.pause());
        tokio::spawn(async move {
            let settings = &shared.settings;
            let id = settings.transactional_id.as_deref().unwrap_or_default();
            let to = Transactional { cluster: &shared.cluster, id, version: TransactionVersion::One };
            let mut retry = shared.cluster.retry_for(settings.client.request_timeout);
            let answer = match to.add_partitions(&mut retry, identity, &partitions).await {
                Err(error) if error.is_retriable() || is_stale(&error) => {
                    // The markers of the transaction before are still being written.
                    let is_soon = is_first && error.is(ErrorCode::ConcurrentTransactions);
                    tracing::debug!(%error, "partitions of a transaction were not added, trying again");
                    tokio::time::sleep(if is_soon { pause.min(CONCURRENT_PAUSE_MAX) } else { pause }).await;
                    Err(None)
                }
                answer => answer.map_err(Some),
            };
            let _ = reports.send(Event::Added(answer)).await;
        });
    }

    /// Sends all that can be sent now. Answers when more may be.
    async fn send_ready(&mut self, now: Instant) -> Option<Instant> {
        let (mut ready, mut due) = self.shared.accumulator.lock().ready(now);
        if ready.is_empty() {
            return due;
        }
        let asks_by_itself = self.shared.settings.idempotence && self.shared.settings.transactional_id.is_none();
        if asks_by_itself && self.producer_id.is_none() {
            self.ask_producer_id(now);
            return Some(due.map_or(self.quiet_until, |due| due.min(self.quiet_until))).filter(|at| *at > now).or(due);
        }
        self.round = (self.round + 1) % ready.len();
        ready.rotate_left(self.round);
        let metadata = self.shared.cluster.metadata();
        let mut by_leader = BTreeMap::<NodeId, Vec<TopicPartition>>::new();
        for partition in ready {
            match metadata.leader(&partition.topic, partition.partition.value()) {
                Some((node, _)) => by_leader.entry(node).or_default().push(partition),
                None => self.needs_metadata = true,
            }
        }
        let mut again = false;
        for (node, partitions) in by_leader {
            again |= self.send_to(node, &partitions).await;
        }
        if again {
            due = Some(now);
        }
        due
    }

    /// Sends one request with the next batches of these partitions, if the node can take one. Answers whether another
    /// request could follow at once.
    async fn send_to(&mut self, node: NodeId, partitions: &[TopicPartition]) -> bool {
        let in_flight_max = self.shared.settings.in_flight_max;
        let state = self.nodes.entry(node).or_default();
        if state.connection.as_ref().is_some_and(|connection| connection.is_closed()) {
            state.connection = None;
        }
        let Some(connection) = state.connection.clone() else {
            if !state.is_connecting {
                state.is_connecting = true;
                let (cluster, reports) = (self.shared.cluster.clone(), self.reports.clone());
                tokio::spawn(async move {
                    let result = cluster.node(node).await;
                    let _ = reports.send(Event::Connected { node, result }).await;
                });
            }
            return false;
        };
        if state.in_flight >= in_flight_max {
            return false;
        }
        let sent = self.take_batches(partitions);
        if sent.is_empty() {
            return false;
        }
        let started = start_produce(&self.shared, &connection, &sent).await;
        let state = self.nodes.entry(node).or_default();
        state.in_flight += 1;
        let may_follow = state.in_flight < in_flight_max;
        let (reports, timeout) = (self.reports.clone(), self.shared.settings.client.request_timeout);
        tokio::spawn(async move {
            let result = match started {
                Ok(pending) => pending.wait(timeout).await,
                Err(error) => Err(error),
            };
            let _ = reports.send(Event::Answer { node, sent, result }).await;
        });
        may_follow
    }

    fn take_batches(&mut self, partitions: &[TopicPartition]) -> Sent {
        let mut accumulator = self.shared.accumulator.lock();
        let mut sent = Vec::with_capacity(partitions.len());
        let mut bytes = 0;
        for partition in partitions {
            if bytes >= self.shared.settings.request_bytes_max {
                break;
            }
            match accumulator.next_batch(partition, self.producer_id, &mut self.compressor) {
                NextBatch::Batch(batch) => {
                    bytes += batch.bytes.len();
                    self.shared.note_sent(&batch);
                    sent.push((partition.clone(), batch));
                }
                NextBatch::NeedsProducerId => self.producer_id = None,
                NextBatch::Nothing => {}
            }
        }
        sent
    }

    fn take_answer(&mut self, sent: Sent, result: Result<Answer>) {
        let metadata = self.shared.cluster.metadata();
        let answers = result.and_then(|answer| read_answer(&answer, &metadata));
        let mut accumulator = self.shared.accumulator.lock();
        for (partition, batch) in sent {
            let answer = match &answers {
                Ok(None) => BatchAnswer::unacknowledged(),
                Ok(Some(answers)) => match answers.get(&partition) {
                    Some(answer) => answer.clone(),
                    None => BatchAnswer::failed(ClientError::State("a batch was sent but not answered")),
                },
                Err(error) => BatchAnswer::failed(error.clone()),
            };
            self.needs_metadata |= answer.result.as_ref().is_err_and(is_stale);
            settle(&self.shared, &mut accumulator, &partition, batch, answer);
        }
    }

    /// Starts asking for metadata when it is missing or old.
    fn ask_what_is_missing(&mut self, now: Instant) {
        let settings = &self.shared.settings.client;
        let is_old = self.shared.cluster.metadata_age().is_some_and(|age| age >= settings.metadata_age_max);
        if !(self.needs_metadata || is_old) || self.is_refreshing || self.quiet_until > now {
            return;
        }
        self.needs_metadata = false;
        self.is_refreshing = true;
        let cluster = self.shared.cluster.clone();
        let mut topics = self.shared.accumulator.lock().topics();
        topics.extend(cluster.metadata().topics.keys().cloned());
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let refreshed = cluster.refresh(Some(&topics), AutoCreate::Allowed).await.map(|_| ());
            let _ = reports.send(Event::Refreshed(refreshed)).await;
        });
    }

    fn ask_producer_id(&mut self, now: Instant) {
        if self.is_asking_producer_id || self.quiet_until > now {
            return;
        }
        self.is_asking_producer_id = true;
        let (cluster, reports) = (self.shared.cluster.clone(), self.reports.clone());
        tokio::spawn(async move {
            let _ = reports.send(Event::ProducerId(init_producer_id(&cluster).await)).await;
        });
    }
}
