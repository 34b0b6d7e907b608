//! What a client sees when it is its turn, and what all of them do alike.

use super::client::{Answer, Client};
use super::harness::cluster::Cluster;
use super::history::{History, Value};
use super::routes::{Place, Routes};
use bytes::Bytes;
use ottla_env::{Clock as _, Monotonic};
use ottla_env_sim::SeededRandom;
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::{ErrorCode, RecordSet};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{ProducerEpoch, ProducerId, Sequence};
use std::time::Duration;

pub(crate) struct Scene<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) routes: &'a mut Routes,
    pub(crate) history: &'a mut History,
    pub(crate) random: &'a SeededRandom,
    pub(crate) now: Monotonic,
    /// Nothing new is begun any more; what is under way comes to its end.
    pub(crate) is_closing: bool,
}

/// A producer as brokers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// How many keys the records of a topic have.
pub(crate) const KEYS: u64 = 7;

impl Scene<'_> {
    pub(crate) fn one_in(&self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    /// One of these, if there is any.
    pub(crate) fn pick<T: Clone>(&self, all: &[T]) -> Option<T> {
        usize::try_from(self.random.below(all.len() as u64)).ok().and_then(|at| all.get(at)).cloned()
    }

    /// A moment at which something that went wrong is tried again.
    pub(crate) fn retry_at(&self) -> Monotonic {
        self.now + Duration::from_millis(20 + self.random.below(150))
    }

    /// Some broker, living or not.
    pub(crate) fn some_broker(&self) -> i32 {
        let count = i32::try_from(self.cluster.nodes.len()).unwrap();
        let brokers: Vec<i32> = (1..=count).filter(|id| self.cluster.is_broker(*id)).collect();
        self.pick(&brokers).unwrap()
    }

    /// Records of these values, as a producer sends them.
    pub(crate) fn batch(&self, by: Identity, sequence: i32, is_transactional: bool, values: &[Value]) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: ProducerId::new(by.id),
            producer_epoch: ProducerEpoch(by.epoch),
            base_sequence: Sequence::new(sequence),
            is_transactional,
            ..BatchOptions::default()
        });
        let timestamp = self.cluster.clock.wall();
        for value in values {
            let (key, value) = ((value % KEYS).to_be_bytes(), value.to_be_bytes());
            builder.append(&RecordToWrite { timestamp, key: Some(&key), value: Some(&value), headers: &[] }).unwrap();
        }
        Bytes::from(builder.build_vec(&mut Compressor::default()).unwrap())
    }

    /// Sends a batch to whom is thought to lead the partition.
    pub(crate) fn produce(
        &self,
        client: &Client,
        place: Place,
        transactional_id: Option<&str>,
        batch: &Bytes,
    ) -> Option<Answer<ProduceRequest>> {
        let leader = self.routes.leader(&place)?.leader;
        let data =
            PartitionProduceData { index: place.1, records: RecordSet::from(batch.clone()), ..Default::default() };
        let topic = TopicProduceData { topic_id: place.0, partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: transactional_id.map(str::to_owned),
            acks: -1,
            timeout_ms: 1_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        Some(client.ask(leader, &request))
    }
}

/// Whether a client asks again after this, and may be heard then.
pub(crate) fn is_retriable(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(
        code,
        E::UnknownTopicOrPartition
            | E::UnknownTopicId
            | E::LeaderNotAvailable
            | E::NotLeaderOrFollower
            | E::RequestTimedOut
            | E::ReplicaNotAvailable
            | E::CoordinatorLoadInProgress
            | E::CoordinatorNotAvailable
            | E::NotCoordinator
            | E::NotEnoughReplicas
            | E::NotEnoughReplicasAfterAppend
            | E::KafkaStorageError
            | E::FencedLeaderEpoch
            | E::UnknownLeaderEpoch
            | E::ConcurrentTransactions
            | E::OffsetNotAvailable
            | E::NotController
            | E::UnstableOffsetCommit
            | E::NetworkException
    )
}

pub(crate) fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap()
}
