use super::accumulator::{Accumulator, NextBatch};
use super::answer::{BatchAnswer, Verdict, judge, read_answer};
use super::batch::SealedBatch;
use super::settings::ProducerSettings;
use crate::backoff::Backoff;
use crate::cluster::{AutoCreate, Cluster, is_stale};
use crate::error::{ClientError, Result, check};
use crate::network::{Answer, Connection, PendingAnswer};
use bytes::Bytes;
use ottla_protocol::RecordSet;
use ottla_protocol::messages::InitProducerIdRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
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
}

/// The batches of one request.
type Sent = Vec<(TopicPartition, SealedBatch)>;

/// What the sender's helpers tell it.
enum Event {
    Answer { node: NodeId, sent: Sent, result: Result<Answer> },
    Connected { node: NodeId, result: Result<Arc<Connection>> },
    Refreshed(Result<()>),
    ProducerId(Result<ProducerId>),
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
        let first = self.shared.settings.client.retry_backoff;
        if succeeded {
            self.backoff = Backoff::new(first, self.shared.settings.client.retry_backoff_max);
            self.quiet_until = Instant::now() + first;
        } else {
            self.quiet_until = Instant::now() + self.backoff.pause();
        }
    }

    /// Sends all that can be sent now. Answers when more may be.
    async fn send_ready(&mut self, now: Instant) -> Option<Instant> {
        let (mut ready, mut due) = self.shared.accumulator.lock().ready(now);
        if ready.is_empty() {
            return due;
        }
        if self.shared.settings.idempotence && self.producer_id.is_none() {
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
            settle(&self.shared.settings, &mut accumulator, &partition, batch, answer);
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

async fn init_producer_id(cluster: &Cluster) -> Result<ProducerId> {
    let request =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Default::default() };
    let response = cluster.call_any(&request).await?;
    check(response.error_code)?;
    Ok(ProducerId(response.producer_id))
}

/// Decides what becomes of a batch that landed.
fn settle(
    settings: &ProducerSettings,
    accumulator: &mut Accumulator,
    partition: &TopicPartition,
    batch: SealedBatch,
    answer: BatchAnswer,
) {
    let older_is_open = accumulator.landed(partition, batch.order);
    let now = Instant::now();
    let expired = batch.created + settings.delivery_timeout <= now;
    let may_retry = batch.tries <= settings.retries_max && !expired;
    match judge(&answer, batch.count, batch.producer.is_some(), older_is_open) {
        Verdict::Done => accumulator.finish(batch, answer.result),
        Verdict::Split => match batch.split(accumulator.compression()) {
            Ok((first, second)) => {
                accumulator.put_back(partition, first, now);
                accumulator.put_back(partition, second, now);
            }
            Err(batch) => give_up(accumulator, partition, batch, answer),
        },
        Verdict::Retry { new_epoch } if may_retry => {
            if new_epoch {
                accumulator.need_new_epoch(partition);
            }
            let mut backoff = Backoff::new(settings.client.retry_backoff, settings.client.retry_backoff_max);
            let pause = (0..batch.tries.min(16)).map(|_| backoff.pause()).last().unwrap_or_default();
            accumulator.put_back(partition, batch, now + pause);
        }
        Verdict::Retry { .. } | Verdict::GiveUp => give_up(accumulator, partition, batch, answer),
    }
}

fn give_up(accumulator: &mut Accumulator, partition: &TopicPartition, batch: SealedBatch, answer: BatchAnswer) {
    accumulator.need_new_epoch(partition);
    accumulator.finish(batch, answer.result);
}

/// Writes a Produce request to the connection; requests to one node must be started in order.
async fn start_produce(shared: &Shared, connection: &Arc<Connection>, sent: &Sent) -> Result<PendingAnswer> {
    let metadata = shared.cluster.metadata();
    let mut version = connection.version_of::<ProduceRequest>()?;
    let topic_id = |name: &str| metadata.topic(name).map(|topic| topic.id).filter(|id| !id.is_zero());
    // From version 13 on topics are named by their ids alone (KIP-516).
    if sent.iter().any(|(partition, _)| topic_id(&partition.topic).is_none()) {
        version = version.min(12);
    }
    let mut topics = BTreeMap::<&str, Vec<PartitionProduceData>>::new();
    for (partition, batch) in sent {
        let records: Bytes = batch.bytes.clone();
        topics.entry(&partition.topic).or_default().push(PartitionProduceData {
            index: partition.partition.value(),
            records: RecordSet::Bytes(records),
            ..Default::default()
        });
    }
    let topic = |(name, partition_data): (&str, _)| TopicProduceData {
        name: if version < 13 { name.to_owned() } else { String::new() },
        topic_id: topic_id(name).filter(|_| version >= 13).unwrap_or_default(),
        partition_data,
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: shared.settings.acks.code(),
        timeout_ms: i32::try_from(shared.settings.client.request_timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    connection.start_request(&request, version, shared.settings.acks.code() != 0).await
}
