//! Transactional producers: they write into several partitions, commit an offset with it now and then, commit or abort, and are
//! replaced by a second instance whose predecessor does not know of it.

use super::client::{Answer, Client, Outcome as Reply};
use super::history::{Outcome, Value};
use super::routes::Place;
use super::said;
use super::scene::{Identity, Scene, code, is_retriable};
use bytes::Bytes;
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use std::collections::BTreeMap;

/// How long a transaction may take before its coordinator aborts it.
const TIMEOUT_MS: i32 = 8_000;

enum Phase {
    FindCoordinator(Option<Answer<FindCoordinatorRequest>>),
    Introduce(Option<Answer<InitProducerIdRequest>>),
    /// Between transactions.
    Idle,
    Write(Writing),
    CommitOffset(CommittingOffset),
    End {
        commits: bool,
        asking: Option<Answer<EndTxnRequest>>,
    },
}

struct Writing {
    place: Place,
    values: Vec<Value>,
    bytes: Bytes,
    asking: Option<Answer<ProduceRequest>>,
}

struct CommittingOffset {
    coordinator: Option<i32>,
    finding: Option<Answer<FindCoordinatorRequest>>,
    asking: Option<Answer<TxnOffsetCommitRequest>>,
}

pub(crate) struct TransactionalProducer {
    number: i32,
    transactional_id: String,
    client: Client,
    coordinator: Option<i32>,
    identity: Option<Identity>,
    phase: Phase,
    /// The transaction under way, and how much is still to be written in it.
    transaction: Option<usize>,
    left: u64,
    sequences: BTreeMap<Place, i32>,
    sent: u64,
    /// Where reading has got to in the partition whose offsets it commits.
    offset: i64,
    again_at: Monotonic,
    /// Whom this instance has replaced, and what that one tries in vain.
    zombie: Option<(Identity, Option<Answer<EndTxnRequest>>)>,
}

impl TransactionalProducer {
    pub(crate) fn new(number: i32, client: Client) -> Self {
        Self {
            number,
            transactional_id: format!("transactional-{number}"),
            client,
            coordinator: None,
            identity: None,
            phase: Phase::FindCoordinator(None),
            transaction: None,
            left: 0,
            sequences: BTreeMap::new(),
            sent: 0,
            offset: 0,
            again_at: Monotonic::default(),
            zombie: None,
        }
    }

    /// The group whose offsets its transactions commit.
    pub(crate) fn group(number: i32) -> String {
        format!("read-by-{number}")
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>, every: u64) {
        if self.again_at > scene.now {
            return;
        }
        self.advance_zombie(scene);
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::FindCoordinator(asking) => self.find_coordinator(scene, asking),
            Phase::Introduce(asking) => self.introduce(scene, asking),
            Phase::Idle => self.begin(scene, every),
            Phase::Write(writing) => self.write(scene, writing),
            Phase::CommitOffset(committing) => self.commit_offset(scene, committing),
            Phase::End { commits, asking } => self.end(scene, commits, asking),
        }
    }

    fn find_coordinator(&mut self, scene: &Scene<'_>, asking: Option<Answer<FindCoordinatorRequest>>) {
        let asking = asking.unwrap_or_else(|| self.ask_coordinator(scene, 1, &self.transactional_id));
        match found(&asking) {
            Found::Waiting => self.phase = Phase::FindCoordinator(Some(asking)),
            Found::Nobody => self.find_again(scene),
            Found::Node(node) => {
                self.coordinator = Some(node);
                self.phase = Phase::Introduce(None);
            }
        }
    }

    fn ask_coordinator(&self, scene: &Scene<'_>, key_type: i8, key: &str) -> Answer<FindCoordinatorRequest> {
        let request = FindCoordinatorRequest { key_type, coordinator_keys: vec![key.to_owned()], ..Default::default() };
        self.client.ask(scene.some_broker(), &request)
    }

    fn find_again(&mut self, scene: &Scene<'_>) {
        self.again_at = scene.retry_at();
        self.phase = Phase::FindCoordinator(None);
    }

    /// Takes the place of whoever had the id before: what that one had under way is aborted, or has been decided.
    fn introduce(&mut self, scene: &mut Scene<'_>, asking: Option<Answer<InitProducerIdRequest>>) {
        let Some(coordinator) = self.coordinator else { return self.find_again(scene) };
        let asking = asking.unwrap_or_else(|| {
            let request = InitProducerIdRequest {
                transactional_id: Some(self.transactional_id.clone()),
                transaction_timeout_ms: TIMEOUT_MS,
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            };
            self.client.ask(coordinator, &request)
        });
        match asking.take() {
            Reply::Waiting => self.phase = Phase::Introduce(Some(asking)),
            Reply::Lost => self.find_again(scene),
            Reply::Answered(answer) => match code(answer.error_code) {
                ErrorCode::None => {
                    let new = Identity { id: answer.producer_id, epoch: answer.producer_epoch };
                    if let Some(old) = self.identity.filter(|old| old.id == new.id) {
                        assert!(new.epoch > old.epoch, "producer fencing: {new:?} after {old:?}");
                    }
                    self.become_instance(new);
                }
                other if is_retriable(other) => self.find_again(scene),
                other => panic!("{other:?} to an InitProducerId"),
            },
        }
    }

    fn become_instance(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.sequences.clear();
        self.phase = Phase::Idle;
    }

    fn begin(&mut self, scene: &mut Scene<'_>, every: u64) {
        if scene.is_closing || !scene.one_in(every) {
            return;
        }
        self.transaction = Some(scene.history.begin_transaction(self.number));
        self.left = 1 + scene.random.below(4);
        self.next_write(scene);
    }

    fn next_write(&mut self, scene: &mut Scene<'_>) {
        let (Some(identity), Some(transaction)) = (self.identity, self.transaction) else { return };
        let places = scene.routes.places("t-");
        let Some(place) = scene.pick(&places).filter(|_| self.left > 0) else { return self.next_after_writes(scene) };
        self.left -= 1;
        self.sent += 1;
        let values = vec![scene.history.send(place, Some(transaction), (1_000 + self.number, self.sent))];
        let sequence = self.sequences.entry(place).or_default();
        let bytes = scene.batch(identity, *sequence, true, &values);
        *sequence += 1;
        self.phase = Phase::Write(Writing { place, values, bytes, asking: None });
    }

    fn write(&mut self, scene: &mut Scene<'_>, mut writing: Writing) {
        if writing.asking.is_none() {
            // A new instance comes, in the middle of what the old one does.
            if scene.one_in(40) {
                return self.replace(scene);
            }
            writing.asking = scene.produce(&self.client, writing.place, Some(&self.transactional_id), &writing.bytes);
        }
        let Some(asking) = &writing.asking else {
            self.phase = Phase::Write(writing);
            return;
        };
        match asking.take() {
            Reply::Waiting => self.phase = Phase::Write(writing),
            Reply::Lost => self.write_again(scene, writing),
            Reply::Answered(answer) => {
                let answer = &answer.responses[0].partition_responses[0];
                match code(answer.error_code) {
                    ErrorCode::None => {
                        for (offset, value) in (answer.base_offset..).zip(&writing.values) {
                            scene.history.acknowledge(writing.place, offset, *value);
                        }
                        self.next_write(scene);
                    }
                    ErrorCode::DuplicateSequenceNumber => self.next_write(scene),
                    ErrorCode::TransactionAbortable => self.phase = Phase::End { commits: false, asking: None },
                    other if is_retriable(other) => self.write_again(scene, writing),
                    other => self.fail(scene, other),
                }
            }
        }
    }

    fn write_again(&mut self, scene: &Scene<'_>, writing: Writing) {
        self.again_at = scene.retry_at();
        self.phase = Phase::Write(Writing { asking: None, ..writing });
    }

    fn next_after_writes(&mut self, scene: &mut Scene<'_>) {
        if scene.one_in(2) {
            self.phase = Phase::CommitOffset(CommittingOffset { coordinator: None, finding: None, asking: None });
            return;
        }
        self.decide(scene);
    }

    fn decide(&mut self, scene: &mut Scene<'_>) {
        let commits = !scene.one_in(3);
        if let (true, Some(transaction)) = (commits, self.transaction) {
            scene.history.transactions[transaction].outcome = Outcome::Unknown;
        }
        self.phase = Phase::End { commits, asking: None };
    }

    fn commit_offset(&mut self, scene: &mut Scene<'_>, mut committing: CommittingOffset) {
        let Some(identity) = self.identity else { return self.find_again(scene) };
        let Some(place) = scene.routes.places("g-").first().copied() else {
            // An earlier try may have been obeyed: what it asked for must not be forgotten.
            self.phase = Phase::CommitOffset(committing);
            return;
        };
        let group = Self::group(self.number);
        let Some(coordinator) = committing.coordinator else {
            let finding = committing.finding.take().unwrap_or_else(|| self.ask_coordinator(scene, 0, &group));
            match found(&finding) {
                Found::Waiting => committing.finding = Some(finding),
                Found::Nobody => self.again_at = scene.retry_at(),
                Found::Node(node) => committing.coordinator = Some(node),
            }
            self.phase = Phase::CommitOffset(committing);
            return;
        };
        let offset = self.offset + 1;
        let asking = committing.asking.take().unwrap_or_else(|| {
            let partition = TxnOffsetCommitRequestPartition {
                partition_index: place.1,
                committed_offset: offset,
                ..Default::default()
            };
            let topic =
                TxnOffsetCommitRequestTopic { topic_id: place.0, partitions: vec![partition], ..Default::default() };
            let request = TxnOffsetCommitRequest {
                transactional_id: self.transactional_id.clone(),
                group_id: group.clone(),
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                generation_id_or_member_epoch: -1,
                topics: vec![topic],
                ..Default::default()
            };
            self.client.ask(coordinator, &request)
        });
        match asking.take() {
            Reply::Waiting => {
                committing.asking = Some(asking);
                self.phase = Phase::CommitOffset(committing);
            }
            Reply::Answered(answer) => match code(answer.topics[0].partitions[0].error_code) {
                ErrorCode::None => {
                    self.offset = offset;
                    if let Some(transaction) = self.transaction {
                        scene.history.transactions[transaction].offset = Some((place, offset));
                    }
                    self.decide(scene);
                }
                ErrorCode::TransactionAbortable => self.phase = Phase::End { commits: false, asking: None },
                other if is_retriable(other) => self.commit_offset_again(scene),
                other => self.fail(scene, other),
            },
            Reply::Lost => self.commit_offset_again(scene),
        }
    }

    fn commit_offset_again(&mut self, scene: &Scene<'_>) {
        self.again_at = scene.retry_at();
        self.phase = Phase::CommitOffset(CommittingOffset { coordinator: None, finding: None, asking: None });
    }

    fn end(&mut self, scene: &mut Scene<'_>, commits: bool, asking: Option<Answer<EndTxnRequest>>) {
        let (Some(identity), Some(coordinator)) = (self.identity, self.coordinator) else {
            return self.find_again(scene);
        };
        let asking = asking.unwrap_or_else(|| self.ask_end(coordinator, identity, commits));
        match asking.take() {
            Reply::Waiting => self.phase = Phase::End { commits, asking: Some(asking) },
            Reply::Lost => self.end_again(scene, commits),
            Reply::Answered(answer) => match code(answer.error_code) {
                ErrorCode::None => {
                    if let (true, Some(transaction)) = (commits, self.transaction) {
                        scene.history.transactions[transaction].outcome = Outcome::Committed;
                    }
                    scene.history.count(if commits { "committed" } else { "aborted" });
                    said::say(|| format!("-- {:?} of {identity:?} ended, commits {commits}", self.transaction));
                    self.transaction = None;
                    let new = Identity { id: answer.producer_id, epoch: answer.producer_epoch };
                    assert!(new.id != identity.id || new.epoch > identity.epoch, "epochs: {new:?} after {identity:?}");
                    self.become_instance(new);
                }
                other if is_retriable(other) => self.end_again(scene, commits),
                other => self.fail(scene, other),
            },
        }
    }

    fn ask_end(&self, coordinator: i32, identity: Identity, committed: bool) -> Answer<EndTxnRequest> {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.clone(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            committed,
            ..Default::default()
        };
        self.client.ask(coordinator, &request)
    }

    /// The coordinator may have moved; only once it is known again the end is asked for again.
    fn end_again(&mut self, scene: &Scene<'_>, commits: bool) {
        self.again_at = scene.retry_at();
        // Whoever is asked and is not the coordinator says so; some broker will be.
        self.coordinator = Some(scene.some_broker());
        self.phase = Phase::End { commits, asking: None };
    }

    /// The transaction can't go on: its time was over, or it was the wrong moment. The producer begins anew.
    fn fail(&mut self, scene: &mut Scene<'_>, why: ErrorCode) {
        use ErrorCode as E;
        said::say(|| format!("-- {:?} of {:?} fails: {why:?}", self.transaction, self.identity));
        let is_known = matches!(
            why,
            E::InvalidProducerEpoch | E::ProducerFenced | E::InvalidTxnState | E::InvalidProducerIdMapping
        );
        assert!(is_known, "{why:?} to a transactional producer");
        scene.history.count("failed transactions");
        self.transaction = None;
        self.find_again(scene);
    }

    /// A second instance takes over. The first one does not know, and tries to commit later.
    fn replace(&mut self, scene: &Scene<'_>) {
        self.zombie = self.identity.map(|identity| (identity, None));
        self.transaction = None;
        self.find_again(scene);
    }

    /// **Producer fencing.** Once the successor has its epoch, nothing that the predecessor asks for is obeyed.
    fn advance_zombie(&mut self, scene: &mut Scene<'_>) {
        let Some((identity, asking)) = self.zombie.take() else { return };
        let (Some(coordinator), true) = (self.coordinator, self.identity != Some(identity)) else {
            self.zombie = Some((identity, asking));
            return;
        };
        let asking = asking.unwrap_or_else(|| self.ask_end(coordinator, identity, true));
        match asking.take() {
            Reply::Waiting => self.zombie = Some((identity, Some(asking))),
            Reply::Lost => {}
            Reply::Answered(answer) => {
                assert_ne!(answer.error_code, 0, "producer fencing: {identity:?} ended a transaction of a later epoch");
                scene.history.count("fenced producers");
            }
        }
    }
}

enum Found {
    Waiting,
    Nobody,
    Node(i32),
}

fn found(asking: &Answer<FindCoordinatorRequest>) -> Found {
    match asking.take() {
        Reply::Waiting => Found::Waiting,
        Reply::Answered(answer) if answer.coordinators[0].error_code == 0 => {
            Found::Node(answer.coordinators[0].node_id)
        }
        Reply::Answered(_) | Reply::Lost => Found::Nobody,
    }
}
