use crate::error::{ClientError, Result};
use ottla_protocol::ErrorCode;
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Under which id and epoch a producer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
}

/// How the cluster keeps transactions (its finalized feature `transaction.version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum TransactionVersion {
    /// The producer says which partitions take part before it sends to them.
    #[default]
    One,
    /// They take part by being sent to, and each transaction has an epoch of its own (KIP-890).
    Two,
}

impl TransactionVersion {
    /// The version of that finalized level; without one the cluster is older than the second.
    pub(super) fn of_level(level: Option<i16>) -> Self {
        if level.is_some_and(|level| level >= 2) { Self::Two } else { Self::One }
    }
}

/// Where a producer stands.
#[derive(Clone, Debug)]
enum Phase {
    Uninitialized,
    Initializing,
    Ready,
    InTransaction,
    Committing,
    Aborting,
    /// Only an abort leads on.
    Failed(Arc<ClientError>),
    /// Nothing leads on.
    Fatal(Arc<ClientError>),
}

/// The next step of ending a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndStep {
    /// Send EndTxn.
    End { identity: Identity, committed: bool },
    /// Ask for the next epoch.
    NewEpoch { identity: Identity },
    /// It has ended.
    Done,
}

/// How bad an answer with an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Abortable,
    Fatal,
}

/// The transactions of one producer. Pure: it decides, and nothing is sent here.
///
/// Invariants:
/// - a record is taken in only while a transaction is open, and a batch is sent only to a partition that takes part;
/// - while a transaction is being aborted, or can only be aborted, nothing more is sent of it;
/// - the identity changes only when no transaction is open, so all batches of one have the same.
#[derive(Debug)]
pub(super) struct Transaction {
    phase: Phase,
    version: TransactionVersion,
    identity: Option<Identity>,
    /// To be told to the coordinator; only in version one.
    to_add: BTreeSet<TopicPartition>,
    /// Being told to the coordinator.
    adding: BTreeSet<TopicPartition>,
    added: BTreeSet<TopicPartition>,
    /// The coordinator may know of the transaction: it has to be told of its end.
    has_begun: bool,
    /// A call to add offsets began and did not succeed: whether they take part is not known.
    offsets_in_doubt: bool,
    /// Sequences have a gap, or something may still be on its way: the next transaction needs another epoch.
    needs_new_epoch: bool,
    /// The coordinator can give a new epoch to a producer that goes on (KIP-360).
    can_bump: bool,
    /// A call that changes the phase is under way.
    pub(super) is_busy: bool,
}

impl Transaction {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Uninitialized,
            version: TransactionVersion::One,
            identity: None,
            to_add: BTreeSet::new(),
            adding: BTreeSet::new(),
            added: BTreeSet::new(),
            has_begun: false,
            offsets_in_doubt: false,
            needs_new_epoch: false,
            can_bump: false,
            is_busy: false,
        }
    }

    pub(super) fn version(&self) -> TransactionVersion {
        self.version
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// The error that the producer is stopped by, in the form that callers see.
    pub(super) fn error(&self) -> Option<ClientError> {
        match &self.phase {
            Phase::Failed(source) => Some(ClientError::MustAbort { source: source.clone() }),
            Phase::Fatal(source) => Some(ClientError::MustClose { source: source.clone() }),
            _ => None,
        }
    }

    /// The call is made in the wrong phase, or the producer is stopped by an error.
    fn refuse<T>(&self, why: &'static str) -> Result<T> {
        Err(self.error().unwrap_or(ClientError::State(why)))
    }

    /// `init_transactions` begins, or begins again after it did not come to its end.
    pub(super) fn begin_init(&mut self) -> Result<()> {
        match self.phase {
            Phase::Uninitialized | Phase::Initializing => {
                self.phase = Phase::Initializing;
                Ok(())
            }
            _ => self.refuse("the producer's transactions are initialized already"),
        }
    }

    /// The coordinator gave an identity. `can_bump`: it can give that producer further epochs.
    pub(super) fn initialized(&mut self, identity: Identity, version: TransactionVersion, can_bump: bool) {
        self.can_bump = can_bump;
        self.identity = Some(identity);
        match self.phase {
            Phase::Initializing => {
                self.version = version;
                self.phase = Phase::Ready;
            }
            Phase::Committing | Phase::Aborting => {
                self.needs_new_epoch = false;
                self.complete();
            }
            _ => {}
        }
    }

    /// `begin_transaction`.
    pub(super) fn begin(&mut self) -> Result<()> {
        match self.phase {
            Phase::Ready => {
                self.phase = Phase::InTransaction;
                Ok(())
            }
            Phase::Uninitialized | Phase::Initializing => self.refuse("init_transactions has to be called first"),
            Phase::Committing | Phase::Aborting => self.refuse("the transaction before has not ended: call that again"),
            _ => self.refuse("a transaction is open already"),
        }
    }

    /// A record is to be sent to the partition.
    pub(super) fn use_partition(&mut self, partition: &TopicPartition) -> Result<()> {
        self.check_open()?;
        if self.added.contains(partition) || self.adding.contains(partition) {
            return Ok(());
        }
        match self.version {
            TransactionVersion::One => {
                self.to_add.insert(partition.clone());
            }
            TransactionVersion::Two => {
                self.has_begun = true;
                self.added.insert(partition.clone());
            }
        }
        Ok(())
    }

    /// Whether a transaction is open.
    pub(super) fn check_open(&self) -> Result<()> {
        match self.phase {
            Phase::InTransaction => Ok(()),
            _ => self.refuse("no transaction is open"),
        }
    }

    /// Whether batches of the partition may be sent.
    pub(super) fn may_send(&self, partition: &TopicPartition) -> bool {
        self.is_live() && self.added.contains(partition)
    }

    /// Whether what is not delivered yet still has a chance.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::InTransaction | Phase::Committing)
    }

    /// The partitions to tell the coordinator of, one question at a time.
    pub(super) fn next_to_add(&mut self) -> Option<BTreeSet<TopicPartition>> {
        if !self.adding.is_empty() || self.to_add.is_empty() || !self.is_live() {
            return None;
        }
        self.adding = std::mem::take(&mut self.to_add);
        Some(self.adding.clone())
    }

    /// Whether no partition takes part yet: the question for the first may be asked again sooner.
    pub(super) fn is_first_add(&self) -> bool {
        self.added.is_empty()
    }

    /// The coordinator answered for the partitions, or its answer did not come. `Err(None)`: ask again.
    pub(super) fn added(&mut self, answer: Result<(), Option<ClientError>>) {
        // Also after an error that may be only of the way, the coordinator may have taken them.
        self.has_begun = true;
        let mut asked = std::mem::take(&mut self.adding);
        match answer {
            Ok(()) => self.added.append(&mut asked),
            Err(None) if self.is_live() => self.to_add.append(&mut asked),
            Err(None) => self.needs_new_epoch = true,
            Err(Some(error)) => self.fail(severity_of_call(&error), error),
        }
    }

    /// Whether the coordinator is being told of partitions.
    pub(super) fn is_adding(&self) -> bool {
        !self.adding.is_empty()
    }

    /// `send_offsets_to_transaction` begins.
    pub(super) fn begin_offsets(&mut self) -> Result<Identity> {
        self.check_open()?;
        self.offsets_in_doubt = true;
        self.has_begun = true;
        self.identity.ok_or(ClientError::State("the producer has no id"))
    }

    /// The offsets are part of the transaction.
    pub(super) fn offsets_sent(&mut self) {
        self.offsets_in_doubt = false;
    }

    /// `commit_transaction` begins, or begins again.
    pub(super) fn begin_commit(&mut self) -> Result<()> {
        match self.phase {
            Phase::InTransaction if self.offsets_in_doubt => {
                self.refuse("send_offsets_to_transaction did not succeed: call it again, or abort")
            }
            Phase::InTransaction | Phase::Committing => {
                self.phase = Phase::Committing;
                Ok(())
            }
            Phase::Aborting => self.refuse("the transaction is being aborted: call that again"),
            _ => self.refuse("no transaction is open"),
        }
    }

    /// `abort_transaction` begins, or begins again.
    pub(super) fn begin_abort(&mut self) -> Result<()> {
        match self.phase {
            Phase::InTransaction | Phase::Failed(_) | Phase::Aborting => {
                self.phase = Phase::Aborting;
                self.to_add.clear();
                self.needs_new_epoch |= self.offsets_in_doubt;
                self.offsets_in_doubt = false;
                Ok(())
            }
            Phase::Committing => self.refuse("the transaction is being committed: call that again"),
            _ => self.refuse("no transaction is open"),
        }
    }

    /// What comes next, when nothing of the transaction is on its way any more.
    pub(super) fn end_step(&mut self) -> Result<EndStep> {
        let committed = match self.phase {
            Phase::Committing => true,
            Phase::Aborting => false,
            Phase::Ready => return Ok(EndStep::Done),
            _ => return self.refuse("no transaction is open"),
        };
        let Some(identity) = self.identity else { return self.refuse("the producer has no id") };
        if self.has_begun {
            return Ok(EndStep::End { identity, committed });
        }
        if self.needs_new_epoch {
            return Ok(EndStep::NewEpoch { identity });
        }
        self.complete();
        Ok(EndStep::Done)
    }

    /// The coordinator ended it. `next`: the identity of the next transaction, where it gave one. `version`: what the
    /// cluster uses now.
    pub(super) fn ended(&mut self, next: Option<Identity>, version: TransactionVersion) {
        self.has_begun = false;
        if let Some(next) = next {
            self.identity = Some(next);
            self.needs_new_epoch = false;
        }
        // A cluster that was upgraded expects the first transaction of the other version under another epoch.
        self.needs_new_epoch |= self.version != version;
        self.version = version;
    }

    fn complete(&mut self) {
        self.phase = Phase::Ready;
        self.to_add.clear();
        self.adding.clear();
        self.added.clear();
        self.has_begun = false;
        self.offsets_in_doubt = false;
    }

    /// A batch was given up.
    pub(super) fn batch_failed(&mut self, error: ClientError) {
        self.needs_new_epoch = true;
        self.fail(severity_of_batch(&error), error);
    }

    /// Something of it was sent and its fate is not known.
    pub(super) fn leaves_traces(&mut self) {
        self.needs_new_epoch = true;
    }

    /// The transaction can't be committed, or the producer can't go on.
    pub(super) fn fail(&mut self, severity: Severity, error: ClientError) {
        let severity = match severity {
            // Without a new epoch the gap in its sequences can't be closed.
            Severity::Abortable
                if self.needs_new_epoch && !self.can_bump && self.version == TransactionVersion::One =>
            {
                Severity::Fatal
            }
            severity => severity,
        };
        match (severity, &self.phase) {
            (_, Phase::Fatal(_)) | (Severity::Abortable, Phase::Failed(_) | Phase::Aborting) => {}
            (Severity::Fatal, _) => self.phase = Phase::Fatal(Arc::new(error)),
            (Severity::Abortable, Phase::InTransaction | Phase::Committing) => {
                self.phase = Phase::Failed(Arc::new(error));
            }
            (Severity::Abortable, _) => {}
        }
    }
}

/// How bad an error of a call to a coordinator is.
pub(super) fn severity_of_call(error: &ClientError) -> Severity {
    match error.code() {
        Some(
            ErrorCode::TransactionAbortable
            | ErrorCode::UnknownProducerId
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::OperationNotAttempted
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::InvalidTopicException
            | ErrorCode::FencedInstanceId
            | ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::GroupIdNotFound
            | ErrorCode::StaleMemberEpoch
            | ErrorCode::RebalanceInProgress,
        ) => Severity::Abortable,
        _ => Severity::Fatal,
    }
}

/// How bad it is that a batch was given up. An epoch that is too old is not fatal by itself: the coordinator may have
/// aborted a transaction that took too long (KIP-588), and tells a fenced producer so when it is asked to abort.
fn severity_of_batch(error: &ClientError) -> Severity {
    match error.code() {
        Some(
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::ProducerFenced
            | ErrorCode::UnsupportedVersion
            | ErrorCode::InvalidProducerIdMapping,
        ) => Severity::Fatal,
        _ => Severity::Abortable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Identity = Identity { id: ProducerId(7), epoch: ProducerEpoch(0) };
    const SECOND: Identity = Identity { id: ProducerId(7), epoch: ProducerEpoch(1) };

    fn api(code: ErrorCode) -> ClientError {
        ClientError::Api { code, message: None }
    }

    fn partition(index: i32) -> TopicPartition {
        TopicPartition::new("t", index)
    }

    /// A producer with a transaction open, in a cluster of this version that gives further epochs.
    fn open(version: TransactionVersion) -> Transaction {
        let mut transaction = Transaction::new();
        transaction.begin_init().unwrap();
        transaction.initialized(FIRST, version, true);
        transaction.begin().unwrap();
        transaction
    }

    /// One with a partition that takes part.
    fn used(version: TransactionVersion) -> Transaction {
        let mut transaction = open(version);
        transaction.use_partition(&partition(0)).unwrap();
        if transaction.next_to_add().is_some() {
            transaction.added(Ok(()));
        }
        transaction
    }

    fn end(identity: Identity, committed: bool) -> EndStep {
        EndStep::End { identity, committed }
    }

    #[test]
    fn in_version_one_a_partition_is_sent_to_when_the_coordinator_knows_it() {
        let mut transaction = open(TransactionVersion::One);
        transaction.use_partition(&partition(0)).unwrap();
        assert!(!transaction.may_send(&partition(0)));
        assert_eq!(transaction.next_to_add(), Some([partition(0)].into()));
        transaction.use_partition(&partition(0)).unwrap();
        transaction.use_partition(&partition(1)).unwrap();
        assert_eq!(transaction.next_to_add(), None, "one question at a time");
        transaction.added(Ok(()));
        assert!(transaction.may_send(&partition(0)) && !transaction.may_send(&partition(1)));
        assert_eq!(transaction.next_to_add(), Some([partition(1)].into()));
        transaction.added(Err(None));
        assert_eq!(transaction.next_to_add(), Some([partition(1)].into()), "asked again");
    }

    #[test]
    fn in_version_two_a_partition_takes_part_by_being_sent_to() {
        let mut transaction = open(TransactionVersion::Two);
        transaction.use_partition(&partition(0)).unwrap();
        assert!(transaction.may_send(&partition(0)));
        assert_eq!(transaction.next_to_add(), None);
    }

    #[test]
    fn a_transaction_that_touched_nothing_ends_without_asking() {
        for version in [TransactionVersion::One, TransactionVersion::Two] {
            let mut transaction = open(version);
            transaction.begin_commit().unwrap();
            assert_eq!(transaction.end_step().unwrap(), EndStep::Done);
            transaction.begin().unwrap();
            transaction.begin_abort().unwrap();
            assert_eq!(transaction.end_step().unwrap(), EndStep::Done);
            assert_eq!(transaction.identity(), Some(FIRST));
        }
    }

    #[test]
    fn a_commit_keeps_the_epoch_in_version_one_and_takes_the_answers_in_version_two() {
        for (version, next, after) in
            [(TransactionVersion::One, None, FIRST), (TransactionVersion::Two, Some(SECOND), SECOND)]
        {
            let mut transaction = used(version);
            transaction.begin_commit().unwrap();
            assert_eq!(transaction.end_step().unwrap(), end(FIRST, true));
            transaction.ended(next, version);
            assert_eq!(transaction.end_step().unwrap(), EndStep::Done);
            assert_eq!(transaction.identity(), Some(after));
            transaction.begin().unwrap();
            assert!(!transaction.may_send(&partition(0)), "the next transaction has partitions of its own");
        }
    }

    #[test]
    fn a_failed_batch_can_only_be_aborted_and_leads_to_another_epoch() {
        let mut transaction = used(TransactionVersion::One);
        transaction.batch_failed(api(ErrorCode::InvalidRecord));
        assert!(!transaction.may_send(&partition(0)));
        let error = transaction.begin_commit().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the transaction must be aborted: {}", ErrorCode::InvalidRecord.message())
        );
        assert!(transaction.use_partition(&partition(0)).is_err() && transaction.begin().is_err());
        transaction.begin_abort().unwrap();
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, false));
        transaction.ended(None, TransactionVersion::One);
        assert_eq!(transaction.end_step().unwrap(), EndStep::NewEpoch { identity: FIRST });
        transaction.initialized(SECOND, TransactionVersion::One, true);
        assert_eq!(transaction.end_step().unwrap(), EndStep::Done);
        transaction.begin().unwrap();
        assert_eq!(transaction.identity(), Some(SECOND));
    }

    #[test]
    fn in_version_two_the_abort_itself_brings_the_other_epoch() {
        let mut transaction = used(TransactionVersion::Two);
        transaction.batch_failed(api(ErrorCode::OutOfOrderSequenceNumber));
        transaction.begin_abort().unwrap();
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, false));
        transaction.ended(Some(SECOND), TransactionVersion::Two);
        assert_eq!(transaction.end_step().unwrap(), EndStep::Done);
        assert_eq!(transaction.identity(), Some(SECOND));
    }

    #[test]
    fn a_gap_that_no_epoch_can_close_is_fatal() {
        let mut transaction = Transaction::new();
        transaction.begin_init().unwrap();
        transaction.initialized(FIRST, TransactionVersion::One, false);
        transaction.begin().unwrap();
        transaction.batch_failed(api(ErrorCode::InvalidRecord));
        assert!(matches!(transaction.begin_abort(), Err(ClientError::MustClose { .. })));
    }

    #[test]
    fn a_fenced_producer_must_be_closed_whatever_it_does() {
        let mut transaction = used(TransactionVersion::Two);
        transaction.begin_commit().unwrap();
        transaction.fail(severity_of_call(&api(ErrorCode::ProducerFenced)), api(ErrorCode::ProducerFenced));
        let errors =
            [transaction.begin_commit(), transaction.begin_abort(), transaction.begin(), transaction.begin_init()];
        for error in errors.map(Result::unwrap_err) {
            assert!(matches!(error, ClientError::MustClose { .. }) && error.is_fenced(), "{error:?}");
        }
    }

    #[test]
    fn an_old_epoch_of_a_batch_is_judged_by_the_coordinator() {
        let mut transaction = used(TransactionVersion::Two);
        transaction.batch_failed(api(ErrorCode::InvalidProducerEpoch));
        transaction.begin_abort().unwrap();
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, false));
    }

    #[test]
    fn an_end_whose_answer_did_not_come_is_only_asked_for_again() {
        let mut transaction = used(TransactionVersion::Two);
        transaction.begin_commit().unwrap();
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, true));
        assert!(transaction.begin_abort().is_err() && transaction.begin().is_err());
        transaction.begin_commit().unwrap();
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, true));
        let mut transaction = used(TransactionVersion::Two);
        transaction.begin_abort().unwrap();
        assert!(transaction.begin_commit().is_err());
        transaction.begin_abort().unwrap();
    }

    #[test]
    fn offsets_in_doubt_are_not_committed() {
        let mut transaction = open(TransactionVersion::Two);
        assert_eq!(transaction.begin_offsets().unwrap(), FIRST);
        assert!(transaction.begin_commit().is_err());
        transaction.begin_offsets().unwrap();
        transaction.offsets_sent();
        transaction.begin_commit().unwrap();
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, true), "offsets alone are a transaction too");
    }

    #[test]
    fn partitions_that_may_have_been_added_are_ended_with_the_rest() {
        let mut transaction = open(TransactionVersion::One);
        transaction.use_partition(&partition(0)).unwrap();
        transaction.next_to_add().unwrap();
        transaction.begin_abort().unwrap();
        assert!(transaction.is_adding(), "the end has to wait for the answer");
        transaction.added(Err(None));
        assert!(!transaction.is_adding() && transaction.next_to_add().is_none());
        assert_eq!(transaction.end_step().unwrap(), end(FIRST, false));
    }

    #[test]
    fn refused_partitions_fail_the_transaction() {
        let mut transaction = open(TransactionVersion::One);
        transaction.use_partition(&partition(0)).unwrap();
        transaction.next_to_add().unwrap();
        transaction.added(Err(Some(api(ErrorCode::TopicAuthorizationFailed))));
        assert!(matches!(transaction.begin_commit(), Err(ClientError::MustAbort { .. })));
    }

    #[test]
    fn an_upgraded_cluster_gets_the_next_transaction_under_another_epoch() {
        let mut transaction = used(TransactionVersion::One);
        transaction.begin_commit().unwrap();
        transaction.ended(None, TransactionVersion::Two);
        assert_eq!(transaction.end_step().unwrap(), EndStep::NewEpoch { identity: FIRST });
        transaction.initialized(SECOND, TransactionVersion::Two, true);
        transaction.begin().unwrap();
        transaction.use_partition(&partition(0)).unwrap();
        assert!(transaction.may_send(&partition(0)));
    }

    #[test]
    fn a_producer_has_to_be_initialized_first_and_only_once() {
        let mut transaction = Transaction::new();
        assert!(transaction.begin().is_err() && transaction.use_partition(&partition(0)).is_err());
        assert!(transaction.begin_commit().is_err() && transaction.begin_abort().is_err());
        transaction.begin_init().unwrap();
        transaction.begin_init().unwrap();
        transaction.initialized(FIRST, TransactionVersion::Two, true);
        assert!(transaction.begin_init().is_err());
        assert!(transaction.use_partition(&partition(0)).is_err(), "no transaction is open");
    }
}
