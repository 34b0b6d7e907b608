use crate::record::{Decoded, decode, encode};
use crate::{
    AddPartitions, Completion, Effects, EndTransaction, InitProducerId, Initialized, Markers, MarkersWritten, Request,
    Response, TimerKey, Token, Transaction, TransactionCoordinator, TransactionRecord, TransactionSettings,
    TransactionState, TransactionVersion, VerifyPartitions, fail_response,
};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ID: &str = "id";

/// What waits for the high watermark.
struct Waiting {
    replies: Vec<(Token, Response)>,
    completion: Option<Completion>,
}

/// The coordinator's surroundings: it carries out effects as the runtime does, and checks that each token is answered
/// once, in the call that brought it, and that each record survives its encoding.
pub(super) struct World {
    pub(super) machine: TransactionCoordinator,
    pub(super) now_ms: i64,
    pub(super) log: Vec<(Bytes, Option<Bytes>)>,
    /// The error of the next appends.
    pub(super) append_error: Option<ErrorCode>,
    /// Whether records stay uncommitted until [`World::commit`].
    pub(super) holds_commits: bool,
    /// Whether markers stay unwritten until [`World::write_markers`].
    pub(super) holds_markers: bool,
    /// Markers that are to be written.
    pub(super) markers: Vec<Markers>,
    /// Markers that have been written.
    pub(super) written: Vec<Markers>,
    pub(super) next_producer_id: i64,
    waiting: Vec<Waiting>,
    timers: BTreeMap<TimerKey, i64>,
    replies: BTreeMap<Token, Response>,
    sequence: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(TransactionSettings::default())
    }

    pub(super) fn with(settings: TransactionSettings) -> Self {
        let mut world = Self {
            machine: TransactionCoordinator::new(settings),
            now_ms: 1_000_000,
            log: Vec::new(),
            append_error: None,
            holds_commits: false,
            holds_markers: false,
            markers: Vec::new(),
            written: Vec::new(),
            next_producer_id: 1_000,
            waiting: Vec::new(),
            timers: BTreeMap::new(),
            replies: BTreeMap::new(),
            sequence: 0,
        };
        let effects = world.machine.on_loaded(world.now());
        world.carry_out(effects);
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.now_ms)
    }

    /// Sends a request, with a producer id if it needs one, and says the answer that has come.
    pub(super) fn send(&mut self, request: Request) -> Option<Response> {
        let token = self.submit(request.clone());
        let answer = self.replies.get(&token).cloned();
        if answer != Some(Response::NeedsProducerId) {
            return answer;
        }
        let spare = ProducerId::new(self.next_producer_id);
        self.next_producer_id += 1;
        let token = self.submit(with_spare(request, spare));
        self.replies.get(&token).cloned()
    }

    fn submit(&mut self, request: Request) -> Token {
        self.sequence += 1;
        let token = Token(self.sequence);
        let effects = self.machine.handle(self.now(), request, token);
        let tokens: Vec<Token> = effects.replies.iter().map(|reply| reply.token).collect();
        assert_eq!(tokens, [token]);
        self.carry_out(effects);
        token
    }

    pub(super) fn init(&mut self) -> Result<Initialized, ErrorCode> {
        self.init_expecting(None)
    }

    pub(super) fn init_expecting(&mut self, expected: Option<Initialized>) -> Result<Initialized, ErrorCode> {
        match self.send(Request::InitProducerId(init(expected))) {
            Some(Response::InitProducerId(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn add(&mut self, producer: Initialized, partitions: &[(&str, i32)]) -> ErrorCode {
        self.add_as(producer, partitions, TransactionVersion::V2)
    }

    pub(super) fn add_as(
        &mut self,
        producer: Initialized,
        partitions: &[(&str, i32)],
        client_version: TransactionVersion,
    ) -> ErrorCode {
        let (producer_id, producer_epoch) = producer;
        let transactional_id = ID.into();
        let partitions = set(partitions);
        let add = AddPartitions { transactional_id, producer_id, producer_epoch, partitions, client_version };
        match self.send(Request::AddPartitions(add)) {
            Some(Response::AddPartitions(code)) => code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn verify(
        &mut self,
        producer: Initialized,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let (producer_id, producer_epoch) = producer;
        let partitions = set(partitions);
        let verify = VerifyPartitions { transactional_id: ID.into(), producer_id, producer_epoch, partitions };
        match self.send(Request::VerifyPartitions(verify)) {
            Some(Response::VerifyPartitions(result)) => {
                result.map(|verified| verified.into_iter().map(|(_, code)| code).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn end(&mut self, producer: Initialized, commit: bool) -> Result<Initialized, ErrorCode> {
        self.end_as(producer, commit, TransactionVersion::V2)
    }

    pub(super) fn end_as(
        &mut self,
        producer: Initialized,
        commit: bool,
        client_version: TransactionVersion,
    ) -> Result<Initialized, ErrorCode> {
        match self.send(end(producer, commit, client_version)) {
            Some(Response::EndTransaction(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&self) -> TransactionState {
        self.transaction().state
    }

    pub(super) fn transaction(&self) -> &Transaction {
        self.machine.transaction(ID).expect("the transactional id is known")
    }

    /// Writes all markers that are due, but those of the partitions in `failing`.
    pub(super) fn write_markers(&mut self, failing: &BTreeSet<TopicPartition>) {
        for markers in std::mem::take(&mut self.markers) {
            let written: BTreeSet<TopicPartition> = markers.partitions.difference(failing).cloned().collect();
            let answer = MarkersWritten {
                transactional_id: markers.transactional_id.clone(),
                producer_id: markers.producer_id,
                producer_epoch: markers.producer_epoch,
                written: written.clone(),
            };
            self.written.push(Markers { partitions: written, ..markers });
            self.submit(Request::MarkersWritten(answer));
        }
    }

    /// Lets time pass; timers fire in their order.
    pub(super) fn advance(&mut self, milliseconds: i64) {
        let until = self.now_ms + milliseconds;
        loop {
            let due = self.timers.iter().min_by_key(|(_, deadline)| **deadline);
            let Some((key, deadline)) = due.filter(|(_, deadline)| **deadline <= until) else { break };
            let (key, deadline) = (key.clone(), *deadline);
            self.timers.remove(&key);
            self.now_ms = self.now_ms.max(deadline);
            let effects = self.machine.on_timer(self.now(), &key);
            self.carry_out(effects);
        }
        self.now_ms = until;
    }

    /// Commits everything that has been written.
    pub(super) fn commit(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.release(waiting);
        }
    }

    /// What has been written is not committed in time.
    pub(super) fn time_out(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.fail(waiting, ErrorCode::RequestTimedOut);
        }
    }

    fn carry_out(&mut self, effects: Effects) {
        for change in effects.timers {
            self.timers.insert(change.key, self.now_ms + change.delay_ms);
        }
        assert!(effects.markers.is_empty() || effects.records.is_empty(), "markers before their record is committed");
        self.markers.extend(effects.markers);
        let replies = effects.replies.into_iter().map(|reply| (reply.token, reply.response));
        let waiting = Waiting { replies: replies.collect(), completion: effects.completion };
        if let (Some(error), false) = (self.append_error, effects.records.is_empty()) {
            let before = self.machine.clone();
            self.fail(waiting, error);
            assert_eq!(before, self.machine, "nothing has changed");
            return;
        }
        for record in effects.records {
            let (key, value) = encode(&record).unwrap();
            let Decoded::Record(decoded) = decode(Some(&key), value.as_deref()).unwrap() else { panic!() };
            assert_eq!(decoded, as_written(record.clone()));
            self.log.push((key, value));
            self.machine.replay(record);
        }
        if self.holds_commits {
            self.waiting.push(waiting)
        } else {
            self.release(waiting)
        }
        for timed_out in effects.timed_out {
            let (transactional_id, producer_id) = (timed_out.transactional_id, timed_out.producer_id);
            let abort = Request::AbortTimedOut { transactional_id, producer_id, spare_producer_id: None };
            self.send(abort);
        }
        if !self.holds_markers {
            self.write_markers(&BTreeSet::new());
        }
    }

    fn release(&mut self, waiting: Waiting) {
        for (token, response) in waiting.replies {
            self.answer(token, response);
        }
        if let Some(completion) = waiting.completion {
            let effects = self.machine.on_committed(self.now(), completion);
            self.carry_out(effects);
        }
    }

    fn fail(&mut self, waiting: Waiting, error: ErrorCode) {
        for (token, response) in waiting.replies {
            self.answer(token, fail_response(response, error));
        }
        if let Some(completion) = waiting.completion {
            let effects = self.machine.on_append_failed(self.now(), completion, error);
            self.carry_out(effects);
        }
    }

    fn answer(&mut self, token: Token, response: Response) {
        assert!(self.replies.insert(token, response).is_none(), "{token:?} is answered twice");
    }

    /// A coordinator that knows only what is in the log.
    pub(super) fn replayed(&self) -> TransactionCoordinator {
        let mut machine = TransactionCoordinator::new(self.machine.settings);
        for (key, value) in &self.log {
            let Decoded::Record(record) = decode(Some(key), value.as_deref()).unwrap() else { panic!() };
            machine.replay(record);
        }
        machine
    }

    /// Goes on with a coordinator that has been loaded from the log.
    pub(super) fn restart(&mut self) {
        self.waiting.clear();
        self.markers.clear();
        self.timers.clear();
        self.machine = self.replayed();
        let effects = self.machine.on_loaded(self.now());
        self.carry_out(effects);
    }
}

/// The record as it comes back from its bytes.
pub(super) fn as_written(mut record: TransactionRecord) -> TransactionRecord {
    if let Some(transaction) = &mut record.value {
        transaction.last_producer_epoch = ProducerEpoch::NONE;
        if record.value_version == 0 {
            transaction.previous_producer_id = ProducerId::NONE;
            transaction.next_producer_id = ProducerId::NONE;
            transaction.client_version = TransactionVersion::V0;
        }
    }
    record
}

pub(super) fn set(partitions: &[(&str, i32)]) -> BTreeSet<TopicPartition> {
    partitions.iter().map(|(topic, index)| TopicPartition::new(*topic, *index)).collect()
}

pub(super) fn init(expected: Option<Initialized>) -> InitProducerId {
    InitProducerId {
        transactional_id: ID.into(),
        timeout_ms: 60_000,
        expected,
        enable_two_phase_commit: false,
        keep_prepared: false,
        spare_producer_id: None,
    }
}

pub(super) fn end(producer: Initialized, commit: bool, client_version: TransactionVersion) -> Request {
    let (producer_id, producer_epoch) = producer;
    let transactional_id = ID.into();
    let spare_producer_id = None;
    Request::EndTransaction(EndTransaction {
        transactional_id,
        producer_id,
        producer_epoch,
        commit,
        client_version,
        spare_producer_id,
    })
}

fn with_spare(request: Request, spare: ProducerId) -> Request {
    match request {
        Request::InitProducerId(init) => {
            Request::InitProducerId(InitProducerId { spare_producer_id: Some(spare), ..init })
        }
        Request::EndTransaction(end) => {
            Request::EndTransaction(EndTransaction { spare_producer_id: Some(spare), ..end })
        }
        Request::AbortTimedOut { transactional_id, producer_id, .. } => {
            Request::AbortTimedOut { transactional_id, producer_id, spare_producer_id: Some(spare) }
        }
        other => other,
    }
}

/// A producer by its numbers.
pub(super) fn producer(id: i64, epoch: i16) -> Initialized {
    (ProducerId::new(id), ProducerEpoch(epoch))
}
