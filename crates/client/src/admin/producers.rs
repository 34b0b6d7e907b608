use super::leaders::{LeaderJob, Outcomes, at_leaders};
use super::{Admin, by_topic, item};
use crate::cluster::Cluster;
use crate::error::{ClientError, Result};
use ottla_protocol::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use ottla_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, ProducerState as DescribedProducer,
};
use ottla_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla_types::{NodeId, Offset, ProducerId, Sequence, Timestamp, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A producer as a partition's replica knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence of its last record; -1 when none is kept.
    pub last_sequence: Sequence,
    /// When it last wrote.
    pub last_timestamp: Timestamp,
    /// The epoch of the coordinator that last ended a transaction of it here.
    pub coordinator_epoch: Option<i32>,
    /// Where its open transaction begins.
    pub transaction_start_offset: Option<Offset>,
}

impl ProducerState {
    fn new(described: &DescribedProducer) -> Self {
        Self {
            producer_id: ProducerId(described.producer_id),
            producer_epoch: described.producer_epoch,
            last_sequence: Sequence(described.last_sequence),
            last_timestamp: Timestamp(described.last_timestamp),
            coordinator_epoch: Some(described.coordinator_epoch).filter(|epoch| *epoch >= 0),
            transaction_start_offset: Some(Offset(described.current_txn_start_offset)).filter(|offset| offset.0 >= 0),
        }
    }
}

/// A transaction to abort on one partition, whatever its coordinator knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HangingTransaction {
    /// Where it hangs.
    pub partition: TopicPartition,
    /// Whose it is.
    pub producer_id: ProducerId,
    /// In which epoch.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that ends it: not less than the last that the partition saw.
    pub coordinator_epoch: i32,
}

impl Admin {
    /// The producers that a partition's leader knows of.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_producers(
        &self,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Result<Vec<ProducerState>>>> {
        let work = partitions.iter().map(|partition| (partition.clone(), ())).collect();
        at_leaders(self.cluster(), &work, &Description).await
    }

    /// The producers that this broker's replicas know of.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_producers_at(
        &self,
        broker: NodeId,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Result<Vec<ProducerState>>>> {
        let request = describe_request(partitions.iter());
        Ok(self.at_node(broker, &request, |answer| Ok(described(answer))).await?.into_iter().collect())
    }

    /// Ends a transaction that its coordinator does not end, by writing an abort marker to the partition.
    ///
    /// # Errors
    /// No answer could be had, or the leader refused the marker.
    pub async fn abort_transaction(&self, transaction: &HangingTransaction) -> Result<()> {
        let work = BTreeMap::from([(transaction.partition.clone(), transaction.clone())]);
        let mut aborted = at_leaders(self.cluster(), &work, &Abortion).await?;
        aborted.remove(&transaction.partition).unwrap_or(Err(NOT_ANSWERED))
    }
}

const NOT_ANSWERED: ClientError = ClientError::State("a partition was asked for but not answered");

fn describe_request<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> DescribeProducersRequest {
    let topic = |(name, partition_indexes)| TopicRequest { name, partition_indexes, ..Default::default() };
    DescribeProducersRequest { topics: by_topic(partitions).into_iter().map(topic).collect(), ..Default::default() }
}

fn described(response: DescribeProducersResponse) -> Outcomes<Vec<ProducerState>> {
    let mut outcomes = Vec::new();
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for partition in topic.partitions {
            let producers = partition.active_producers.iter().map(ProducerState::new).collect();
            let outcome = item(partition.error_code, partition.error_message).map(|()| producers);
            outcomes.push((TopicPartition::new(name.clone(), partition.partition_index), outcome));
        }
    }
    outcomes
}

struct Description;

impl LeaderJob for Description {
    type Order = ();
    type Outcome = Vec<ProducerState>;

    async fn send(
        &self,
        cluster: &Cluster,
        node: NodeId,
        part: &BTreeMap<TopicPartition, ()>,
    ) -> Result<Outcomes<Vec<ProducerState>>> {
        Ok(described(cluster.call(node, &describe_request(part.keys())).await?))
    }
}

struct Abortion;

impl LeaderJob for Abortion {
    type Order = HangingTransaction;
    type Outcome = ();

    async fn send(
        &self,
        cluster: &Cluster,
        node: NodeId,
        part: &BTreeMap<TopicPartition, HangingTransaction>,
    ) -> Result<Outcomes<()>> {
        let marker = |transaction: &HangingTransaction| WritableTxnMarker {
            producer_id: transaction.producer_id.value(),
            producer_epoch: transaction.producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: transaction.partition.topic.to_string(),
                partition_indexes: vec![transaction.partition.partition.value()],
                ..Default::default()
            }],
            coordinator_epoch: transaction.coordinator_epoch,
            ..Default::default()
        };
        let request = WriteTxnMarkersRequest { markers: part.values().map(marker).collect(), ..Default::default() };
        let response = cluster.call(node, &request).await?;
        let topics = response.markers.into_iter().flat_map(|marker| marker.topics);
        let outcomes = topics.flat_map(|topic| {
            let name: Arc<str> = topic.name.into();
            topic.partitions.into_iter().map(move |partition| {
                let key = TopicPartition::new(name.clone(), partition.partition_index);
                (key, item(partition.error_code, None))
            })
        });
        Ok(outcomes.collect())
    }
}
