use crate::{ListFilter, ListedTransaction, TransactionVersion};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::TransactionState;
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the machine is asked. All but [`Request::List`] concern one transactional id of its partition.
#[derive(Clone, Debug)]
pub enum Request {
    /// A producer wants an id and an epoch of its own.
    InitProducerId(InitProducerId),
    /// Partitions are to be part of the producer's transaction.
    AddPartitions(AddPartitions),
    /// A broker asks whether partitions are part of it (KIP-890).
    VerifyPartitions(VerifyPartitions),
    /// The transaction is to be committed or aborted.
    EndTransaction(EndTransaction),
    /// A transaction that [`crate::Effects::timed_out`] named is to be aborted.
    AbortTimedOut {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// Its producer when it was found.
        producer_id: ProducerId,
        /// An unused producer id, see [`InitProducerId::spare_producer_id`].
        spare_producer_id: Option<ProducerId>,
    },
    /// Markers that [`crate::Effects::markers`] named have been written, or not.
    MarkersWritten(MarkersWritten),
    /// What is known of a transactional id.
    Describe {
        /// The transactional id.
        transactional_id: String,
    },
    /// The transactional ids that pass the filter.
    List(ListFilter),
}

/// A producer wants an id and an epoch of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducerId {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// How long its transactions may last, in milliseconds.
    pub timeout_ms: i32,
    /// What the producer has now, when it wants to go on after an error (KIP-360).
    pub expected: Option<(ProducerId, ProducerEpoch)>,
    /// KIP-939: the end of transactions is decided from outside.
    pub enable_two_phase_commit: bool,
    /// KIP-939: an open transaction is to be kept. Kafka 4.4 refuses it.
    pub keep_prepared: bool,
    /// A producer id that nobody has had. The machine can't make one: when it needs one and has none it answers
    /// [`Response::NeedsProducerId`], and the caller asks again with one. One that is not needed is lost, which does no
    /// harm.
    pub spare_producer_id: Option<ProducerId>,
}

/// Partitions are to be part of the producer's transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitions {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// The partitions, which exist.
    pub partitions: BTreeSet<TopicPartition>,
    /// The version of transactions that the client uses.
    pub client_version: TransactionVersion,
}

/// A broker asks whether partitions are part of the producer's transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyPartitions {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// The partitions.
    pub partitions: BTreeSet<TopicPartition>,
}

/// The transaction is to be committed or aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Whether it is to be committed.
    pub commit: bool,
    /// The version of transactions that the client uses.
    pub client_version: TransactionVersion,
    /// An unused producer id, see [`InitProducerId::spare_producer_id`].
    pub spare_producer_id: Option<ProducerId>,
}

/// Markers have been written, or not: those that are not named here are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkersWritten {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer of the markers.
    pub producer_id: ProducerId,
    /// The epoch of the markers.
    pub producer_epoch: ProducerEpoch,
    /// Partitions whose marker is written, or that are no more.
    pub written: BTreeSet<TopicPartition>,
}

/// The producer id and epoch that a producer goes on with.
pub type Initialized = (ProducerId, ProducerEpoch);
/// Whether partitions were added: `ErrorCode::None` when they were, or have been before.
pub type Added = ErrorCode;
/// Whether each partition is part of the transaction.
pub type Verified = Vec<(TopicPartition, ErrorCode)>;

/// What the machine answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// The producer is initialized, or not.
    InitProducerId(Result<Initialized, ErrorCode>),
    /// Partitions were added, or not.
    AddPartitions(Added),
    /// Each partition's standing.
    VerifyPartitions(Result<Verified, ErrorCode>),
    /// The end is decided and will be carried out: what the producer goes on with.
    EndTransaction(Result<Initialized, ErrorCode>),
    /// A transactional id, or the error in it.
    Describe(Box<TransactionState>),
    /// Those that passed the filter.
    List(Result<Vec<ListedTransaction>, ErrorCode>),
    /// Ask again with a producer id that nobody has had.
    NeedsProducerId,
    /// Nothing to say.
    Done,
}
