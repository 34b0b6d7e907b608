use crate::{KraftVersion, Raft, ReplicaKey, ReplicaProgress, Role};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_types::{DirectoryId, Timestamp};

/// The topic that the quorum keeps.
const METADATA_TOPIC: &str = "__cluster_metadata";

impl Raft {
    /// The answer to DescribeQuorum. Only the leader knows; any other replica refuses, so that the client asks elsewhere.
    pub fn describe(&self, now: Timestamp, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        let is_metadata = matches!(&*request.topics, [topic]
            if topic.topic_name == METADATA_TOPIC && matches!(&*topic.partitions, [p] if p.partition_index == 0));
        if !is_metadata {
            let refuse = |index: i32| PartitionData {
                partition_index: index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                error_message: Some(ErrorCode::UnknownTopicOrPartition.message().to_owned()),
                ..Default::default()
            };
            let topics = request.topics.iter().map(|topic| TopicData {
                topic_name: topic.topic_name.clone(),
                partitions: topic.partitions.iter().map(|p| refuse(p.partition_index)).collect(),
                ..Default::default()
            });
            return DescribeQuorumResponse { topics: topics.collect(), ..Default::default() };
        }
        let partition = self.describe_partition(now);
        let nodes = if partition.error_code == 0 { self.describe_nodes() } else { Vec::new() };
        let topic =
            TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
        DescribeQuorumResponse { topics: vec![topic], nodes, ..Default::default() }
    }

    fn describe_partition(&self, now: Timestamp) -> PartitionData {
        let Role::Leader(leader) = self.role() else {
            return PartitionData {
                error_code: ErrorCode::NotLeaderOrFollower.code(),
                leader_id: -1,
                leader_epoch: self.epoch().0,
                ..Default::default()
            };
        };
        let local = self.settings().local;
        // Voters that are configured by hand have no directories as far as the quorum knows.
        let is_dynamic = self.settings().version == KraftVersion::Dynamic;
        let directory = |key: &ReplicaKey| key.directory.filter(|_| is_dynamic).unwrap_or(DirectoryId::ZERO);
        let state = |(key, progress): (&ReplicaKey, &ReplicaProgress)| {
            let is_local = key.matches(&local);
            // The leader does not fetch from itself: it is caught up by definition.
            let (fetch, caught_up) = if is_local { (now, now) } else { (progress.last_fetch, progress.last_caught_up) };
            let end = if is_local { self.log_end_offset() } else { progress.end_offset };
            ReplicaState {
                replica_id: key.id.0,
                replica_directory_id: directory(key),
                log_end_offset: end.0,
                last_fetch_timestamp: fetch.0,
                last_caught_up_timestamp: caught_up.0,
                ..Default::default()
            }
        };
        PartitionData {
            leader_id: local.id.0,
            leader_epoch: leader.epoch().0,
            high_watermark: leader.high_watermark().map_or(-1, |offset| offset.0),
            current_voters: leader.voters().iter().map(state).collect(),
            observers: leader.observers().iter().map(state).collect(),
            ..Default::default()
        }
    }

    fn describe_nodes(&self) -> Vec<Node> {
        let listeners = |voter: &crate::Voter| {
            let all = voter.endpoints.iter().map(|e| Listener {
                name: e.name.clone(),
                host: e.host.clone(),
                port: e.port,
                ..Default::default()
            });
            all.collect()
        };
        let nodes = self.settings().voters.iter().map(|voter| Node {
            node_id: voter.key.id.0,
            listeners: listeners(voter),
            ..Default::default()
        });
        nodes.collect()
    }
}
