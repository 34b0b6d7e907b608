use crate::messages::METADATA_TOPIC;
use crate::{KraftVersion, Raft, ReplicaKey, ReplicaProgress, Role};
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_types::{DirectoryId, Timestamp};

impl Raft {
    /// The answer to DescribeQuorum at the time `now`, which is `wall` in the world. Only the leader knows; any other replica
    /// refuses, so that the client asks elsewhere.
    pub fn describe(&self, now: Duration, wall: Timestamp, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
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
        let partition = self.describe_partition(now, wall);
        let nodes = if partition.error_code == 0 { self.describe_nodes() } else { Vec::new() };
        let topic =
            TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
        DescribeQuorumResponse { topics: vec![topic], nodes, ..Default::default() }
    }

    fn describe_partition(&self, now: Duration, wall: Timestamp) -> PartitionData {
        let Role::Leader(leader) = self.role() else {
            return PartitionData {
                error_code: ErrorCode::NotLeaderOrFollower.code(),
                error_message: Some(ErrorCode::NotLeaderOrFollower.message().to_owned()),
                ..Default::default()
            };
        };
        let local = self.settings().local;
        // Voters that are configured by hand have no directories as far as the quorum knows.
        let is_dynamic = self.kraft_version() == KraftVersion::Dynamic;
        let directory = |key: &ReplicaKey| key.directory.filter(|_| is_dynamic).unwrap_or(DirectoryId::ZERO);
        // The machine counts time from a start of its own, so that a clock that is set does not move its deadlines.
        let at = |time: Option<Duration>| {
            let ago = time.map(|time| i64::try_from(now.saturating_sub(time).as_millis()).unwrap_or(i64::MAX));
            ago.map_or(-1, |ago| wall.0.saturating_sub(ago))
        };
        let state = |(key, progress): (&ReplicaKey, &ReplicaProgress)| {
            let is_local = key.matches(&local);
            // The leader does not fetch from itself: it is caught up by definition.
            let (fetch, caught_up) =
                if is_local { (wall.0, wall.0) } else { (at(progress.last_fetch), at(progress.last_caught_up)) };
            let end = if is_local { self.log_end_offset() } else { progress.end_offset };
            ReplicaState {
                replica_id: key.id.0,
                replica_directory_id: directory(key),
                log_end_offset: end.0,
                last_fetch_timestamp: fetch,
                last_caught_up_timestamp: caught_up,
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
        let nodes = self.voters().iter().map(|voter| Node {
            node_id: voter.key.id.0,
            listeners: listeners(voter),
            ..Default::default()
        });
        nodes.collect()
    }
}
