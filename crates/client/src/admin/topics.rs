use super::{Admin, item};
use crate::cluster::AutoCreate;
use crate::error::{ClientError, Result, check};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla_protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::metadata_response::MetadataResponseTopic;
use ottla_types::{LeaderEpoch, NodeId, TopicId};
use std::collections::{BTreeMap, BTreeSet};

/// A topic to create.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` is the cluster's default, or as many as `assignments` has.
    pub partitions: Option<i32>,
    /// How many replicas each has; `None` is the cluster's default, or as many as `assignments` has.
    pub replication_factor: Option<i16>,
    /// The replicas of each partition, where the cluster is not to choose them.
    pub assignments: BTreeMap<i32, Vec<NodeId>>,
    /// Configuration that differs from the defaults.
    pub configs: BTreeMap<String, String>,
}

/// How many partitions a topic is to have.
#[derive(Clone, Debug)]
pub struct NewPartitions {
    /// The number that the topic has afterwards.
    pub count: i32,
    /// The replicas of each new partition, where the cluster is not to choose them.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// A topic in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its id.
    pub id: TopicId,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
}

/// A topic in full.
#[derive(Clone, Debug)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
    /// Its partitions, sorted by number.
    pub partitions: Vec<TopicPartitionDescription>,
}

/// A partition in full.
#[derive(Clone, Debug)]
pub struct TopicPartitionDescription {
    /// Its number.
    pub index: i32,
    /// Its leader, where it has one.
    pub leader: Option<NodeId>,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// The replicas in sync.
    pub in_sync_replicas: Vec<NodeId>,
    /// The eligible leader replicas (KIP-966); `None` when the server does not tell.
    pub eligible_leader_replicas: Option<Vec<NodeId>>,
    /// The last known eligible leader replicas; `None` when the server does not tell.
    pub last_known_eligible: Option<Vec<NodeId>>,
}

impl Admin {
    /// Creates topics, or with `validate_only` checks whether they could be.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<TopicId>>> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..Default::default()
        };
        self.at_any(&request, |response| {
            fail_if_moved(response.topics.iter().map(|topic| topic.error_code))?;
            let result = |code, message, id| item(code, message).map(|()| id);
            Ok(response
                .topics
                .into_iter()
                .map(|topic| (topic.name, result(topic.error_code, topic.error_message, topic.topic_id)))
                .collect())
        })
        .await
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn delete_topics(&self, names: &[String]) -> Result<BTreeMap<String, Result<()>>> {
        let version = self.cluster().any_node().await?.version_of::<DeleteTopicsRequest>()?;
        let mut request = DeleteTopicsRequest { timeout_ms: self.timeout_ms(), ..Default::default() };
        if version >= 6 {
            let state = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
            request.topics = names.iter().map(state).collect();
        } else {
            request.topic_names = names.to_vec();
        }
        self.at_any(&request, |response| {
            fail_if_moved(response.responses.iter().map(|topic| topic.error_code))?;
            Ok(response
                .responses
                .into_iter()
                .map(|topic| (topic.name.unwrap_or_default(), item(topic.error_code, topic.error_message)))
                .collect())
        })
        .await
    }

    /// Adds partitions to topics.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn create_partitions(
        &self,
        topics: &BTreeMap<String, NewPartitions>,
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<()>>> {
        let request = CreatePartitionsRequest {
            topics: topics.iter().map(|(name, new)| more_partitions(name, new)).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..Default::default()
        };
        self.at_any(&request, |response| {
            fail_if_moved(response.results.iter().map(|topic| topic.error_code))?;
            Ok(response
                .results
                .into_iter()
                .map(|topic| (topic.name, item(topic.error_code, topic.error_message)))
                .collect())
        })
        .await
    }

    /// All topics, Kafka's own too.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn list_topics(&self) -> Result<BTreeMap<String, TopicListing>> {
        let request = MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
        self.at_any(&request, |response| {
            check(response.error_code)?;
            let listing = |topic: MetadataResponseTopic| {
                let listing = TopicListing { id: topic.topic_id, is_internal: topic.is_internal };
                topic.name.map(|name| (name, listing))
            };
            Ok(response.topics.into_iter().filter_map(listing).collect())
        })
        .await
    }

    /// Describes topics, in answers of at most `partitions_per_answer` partitions.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_topics(
        &self,
        names: &BTreeSet<String>,
        partitions_per_answer: i32,
    ) -> Result<BTreeMap<String, Result<TopicDescription>>> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let node = self.cluster().any_node().await?;
        if node.version_of::<DescribeTopicPartitionsRequest>().is_err() {
            return self.describe_topics_by_metadata(names).await;
        }
        let mut described = BTreeMap::new();
        let mut cursor = None;
        loop {
            let request = DescribeTopicPartitionsRequest {
                topics: names.iter().map(|name| TopicRequest { name: name.clone(), ..Default::default() }).collect(),
                response_partition_limit: partitions_per_answer,
                cursor: cursor.take(),
                ..Default::default()
            };
            let response: DescribeTopicPartitionsResponse = self.at_any(&request, Ok).await?;
            let mut progress = false;
            for topic in response.topics {
                progress |= topic.error_code != 0 || !topic.partitions.is_empty();
                add_described(&mut described, topic);
            }
            // An answer that brings nothing would be asked for forever.
            match response.next_cursor {
                Some(next) if progress => {
                    let (topic_name, partition_index) = (next.topic_name, next.partition_index);
                    cursor = Some(Cursor { topic_name, partition_index, ..Default::default() });
                }
                _ => return Ok(described),
            }
        }
    }

    async fn describe_topics_by_metadata(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Result<TopicDescription>>> {
        let response = self.cluster().refresh(Some(names), AutoCreate::Forbidden).await?;
        let describe = |topic: MetadataResponseTopic| {
            let name = topic.name.clone().unwrap_or_default();
            let described = item(topic.error_code, None).map(|()| by_metadata(&name, topic));
            (name, described)
        };
        Ok(response.topics.into_iter().map(describe).collect())
    }

    /// Describes the topic with that id, where there is one. Eligible leader replicas are not told on this way.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_topic_by_id(&self, id: TopicId) -> Result<Option<TopicDescription>> {
        let topic = MetadataRequestTopic { topic_id: id, name: None, ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
        self.at_any(&request, |response| {
            let found = response.topics.into_iter().find(|topic| topic.error_code == 0);
            Ok(found.and_then(|topic| topic.name.clone().map(|name| by_metadata(&name, topic))))
        })
        .await
    }
}

/// The request went to a node that can't reach the controller: the whole of it is to be tried again.
fn fail_if_moved(codes: impl Iterator<Item = i16>) -> Result<()> {
    for code in codes {
        if code == ErrorCode::NotController.code() {
            check(code)?;
        }
    }
    Ok(())
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let assignment = |(index, replicas): (&i32, &Vec<NodeId>)| CreatableReplicaAssignment {
        partition_index: *index,
        broker_ids: replicas.iter().map(|node| node.value()).collect(),
        ..Default::default()
    };
    let config = |(name, value): (&String, &String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
        ..Default::default()
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: topic.assignments.iter().map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn more_partitions(name: &str, new: &NewPartitions) -> CreatePartitionsTopic {
    let assignment = |replicas: &Vec<NodeId>| CreatePartitionsAssignment {
        broker_ids: replicas.iter().map(|node| node.value()).collect(),
        ..Default::default()
    };
    CreatePartitionsTopic {
        name: name.to_owned(),
        count: new.count,
        assignments: new.assignments.as_ref().map(|all| all.iter().map(assignment).collect()),
        ..Default::default()
    }
}

/// A topic may come in several answers, each with a part of its partitions.
fn add_described(
    described: &mut BTreeMap<String, Result<TopicDescription>>,
    topic: DescribeTopicPartitionsResponseTopic,
) {
    let name = topic.name.unwrap_or_default();
    if let Some(error) = ClientError::of_code(topic.error_code) {
        described.insert(name, Err(error));
        return;
    }
    let partitions = topic.partitions.into_iter().map(described_partition);
    match described.get_mut(&name) {
        Some(Ok(known)) => known.partitions.extend(partitions),
        _ => {
            let partitions = partitions.collect();
            let (id, is_internal) = (topic.topic_id, topic.is_internal);
            described.insert(name.clone(), Ok(TopicDescription { name, id, is_internal, partitions }));
        }
    }
}

fn node_ids(ids: Vec<i32>) -> Vec<NodeId> {
    ids.into_iter().map(NodeId).collect()
}

fn described_partition(partition: DescribeTopicPartitionsResponsePartition) -> TopicPartitionDescription {
    TopicPartitionDescription {
        index: partition.partition_index,
        leader: (partition.leader_id >= 0).then_some(NodeId(partition.leader_id)),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        replicas: node_ids(partition.replica_nodes),
        in_sync_replicas: node_ids(partition.isr_nodes),
        eligible_leader_replicas: partition.eligible_leader_replicas.map(node_ids),
        last_known_eligible: partition.last_known_elr.map(node_ids),
    }
}

fn by_metadata(name: &str, topic: MetadataResponseTopic) -> TopicDescription {
    let mut partitions: Vec<_> = topic
        .partitions
        .into_iter()
        .map(|partition| TopicPartitionDescription {
            index: partition.partition_index,
            leader: (partition.leader_id >= 0).then_some(NodeId(partition.leader_id)),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            replicas: node_ids(partition.replica_nodes),
            in_sync_replicas: node_ids(partition.isr_nodes),
            eligible_leader_replicas: None,
            last_known_eligible: None,
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicDescription { name: name.to_owned(), id: topic.topic_id, is_internal: topic.is_internal, partitions }
}
