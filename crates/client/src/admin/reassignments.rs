use super::{Admin, by_topic, item};
use crate::error::Result;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A partition whose replicas are changing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionReassignment {
    /// All its replicas at the moment.
    pub replicas: Vec<NodeId>,
    /// Those that are being added.
    pub adding: Vec<NodeId>,
    /// Those that are being removed.
    pub removing: Vec<NodeId>,
}

/// Whether a reassignment may give a partition more or fewer replicas than it has (KIP-860).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationFactorChange {
    /// It may.
    Allowed,
    /// It is refused then.
    Forbidden,
}

impl Admin {
    /// Begins to move partitions to these replicas, the preferred leader first; `None` cancels what is under way.
    ///
    /// # Errors
    /// No answer could be had, or the server refused all of it.
    pub async fn alter_reassignments(
        &self,
        reassignments: &BTreeMap<TopicPartition, Option<Vec<NodeId>>>,
        factor: ReplicationFactorChange,
    ) -> Result<BTreeMap<TopicPartition, Result<()>>> {
        let mut topics = BTreeMap::<String, Vec<_>>::new();
        for (partition, replicas) in reassignments {
            let replicas = replicas.as_ref().map(|nodes| nodes.iter().map(|node| node.value()).collect());
            topics.entry(partition.topic.to_string()).or_default().push(ReassignablePartition {
                partition_index: partition.partition.value(),
                replicas,
                ..Default::default()
            });
        }
        let topic = |(name, partitions)| ReassignableTopic { name, partitions, ..Default::default() };
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: self.timeout_ms(),
            allow_replication_factor_change: factor == ReplicationFactorChange::Allowed,
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        self.at_any(&request, |response| {
            item(response.error_code, response.error_message)?;
            let results = response.responses.into_iter().flat_map(|topic| {
                let name: Arc<str> = topic.name.into();
                topic.partitions.into_iter().map(move |partition| {
                    let key = TopicPartition::new(name.clone(), partition.partition_index);
                    (key, item(partition.error_code, partition.error_message))
                })
            });
            Ok(results.collect())
        })
        .await
    }

    /// The reassignments that are under way of these partitions, or with `None` of all.
    ///
    /// # Errors
    /// No answer could be had, or the server does not know the request.
    pub async fn list_reassignments(
        &self,
        partitions: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<BTreeMap<TopicPartition, PartitionReassignment>> {
        let topic = |(name, partition_indexes)| ListPartitionReassignmentsTopics {
            name,
            partition_indexes,
            ..Default::default()
        };
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: self.timeout_ms(),
            topics: partitions.map(|partitions| by_topic(partitions.iter()).into_iter().map(topic).collect()),
            ..Default::default()
        };
        let ids = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
        self.at_any(&request, |response| {
            item(response.error_code, response.error_message)?;
            let reassignments = response.topics.into_iter().flat_map(|topic| {
                let name: Arc<str> = topic.name.into();
                topic.partitions.into_iter().map(move |partition| {
                    let reassignment = PartitionReassignment {
                        replicas: ids(&partition.replicas),
                        adding: ids(&partition.adding_replicas),
                        removing: ids(&partition.removing_replicas),
                    };
                    (TopicPartition::new(name.clone(), partition.partition_index), reassignment)
                })
            });
            Ok(reassignments.collect())
        })
        .await
    }
}
