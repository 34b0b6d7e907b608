//! Partitions that are moved, moved again while they move, and moved back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, assigned, topics};
use ottla_metadata::{LeaderRecoveryState, Partition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerHeartbeatRequest, ListPartitionReassignmentsRequest,
    alter_partition_reassignments_request, list_partition_reassignments_request,
};
use ottla_types::{NodeId, PartitionIndex};

/// Brokers 1 to 6, all live, and the topic `t` with one partition on 1, 2 and 3.
fn six(configs: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::formatted("");
    for id in 1..=6 {
        cluster.join(id, u128::try_from(id).unwrap());
    }
    let mut topic = assigned("t", &[(0, &[1, 2, 3])]);
    topic.configs = cluster::topic("t", 1, 1, configs).configs;
    assert_eq!(cluster.create_topics(&topics([topic])).topics[0].error_code, 0);
    cluster
}

fn partition(cluster: &Cluster) -> Partition {
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap();
    Partition::clone(topic.partitions.get(&PartitionIndex(0)).unwrap())
}

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

/// Replicas, those being added, those being removed.
fn move_of(cluster: &Cluster) -> (Vec<i32>, Vec<i32>, Vec<i32>) {
    let now = partition(cluster);
    (ids(&now.replicas), ids(&now.adding_replicas), ids(&now.removing_replicas))
}

fn reassign(cluster: &mut Cluster, targets: &[Option<&[i32]>]) -> Vec<(i16, Option<String>)> {
    reassign_freely(cluster, targets, true)
}

fn reassign_freely(
    cluster: &mut Cluster,
    targets: &[Option<&[i32]>],
    may_change_factor: bool,
) -> Vec<(i16, Option<String>)> {
    let partition = |replicas: &Option<&[i32]>| alter_partition_reassignments_request::ReassignablePartition {
        partition_index: 0,
        replicas: replicas.map(<[i32]>::to_vec),
        ..Default::default()
    };
    let request = AlterPartitionReassignmentsRequest {
        allow_replication_factor_change: may_change_factor,
        topics: vec![alter_partition_reassignments_request::ReassignableTopic {
            name: "t".to_owned(),
            partitions: targets.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let outcome = cluster.controller.alter_partition_reassignments(&request);
    let response = cluster.commit(outcome);
    response.responses[0].partitions.iter().map(|p| (p.error_code, p.error_message.clone())).collect()
}

/// The leader says who is in sync.
fn in_sync(cluster: &mut Cluster, members: &[i32]) -> i16 {
    let request = cluster.proposal("t", 0, members);
    let context = cluster.context(3);
    let outcome = cluster.controller.alter_partition(&context, &request);
    cluster.commit(outcome).topics[0].partitions[0].error_code
}

fn fence(cluster: &mut Cluster, id: i32) {
    let epoch = cluster.controller.image().cluster.broker(NodeId(id)).unwrap().epoch.0;
    let request = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(id, epoch) };
    assert!(cluster.heartbeat(&request).is_fenced);
}

#[test]
fn a_move_that_is_asked_for_again_goes_on_as_it_was() {
    let mut cluster = six(&[]);
    assert_eq!(reassign(&mut cluster, &[Some(&[4, 2, 3])]), [(0, None)]);
    let before = cluster.log.len();
    assert_eq!(reassign(&mut cluster, &[Some(&[4, 2, 3])]), [(0, None)]);
    assert_eq!(move_of(&cluster), (vec![4, 2, 3, 1], vec![4], vec![1]));
    assert_eq!(cluster.log.len(), before);
}

#[test]
fn a_move_that_gets_another_target_can_still_be_taken_back_to_where_it_began() {
    let mut cluster = six(&[]);
    reassign(&mut cluster, &[Some(&[4, 2, 3])]);
    reassign(&mut cluster, &[Some(&[4, 5, 3])]);
    assert_eq!(move_of(&cluster), (vec![4, 5, 3, 1, 2], vec![4, 5], vec![1, 2]));
    reassign(&mut cluster, &[None]);
    assert_eq!(move_of(&cluster), (vec![3, 1, 2], vec![], vec![]));
}

#[test]
fn what_a_new_target_does_not_name_is_removed_although_it_was_being_added() {
    let mut cluster = six(&[]);
    reassign(&mut cluster, &[Some(&[4, 2, 3])]);
    reassign(&mut cluster, &[Some(&[5, 2, 3])]);
    assert_eq!(move_of(&cluster), (vec![5, 2, 3, 1, 4], vec![5], vec![1, 4]));
    assert_eq!(in_sync(&mut cluster, &[1, 2, 3, 5]), ErrorCode::NewLeaderElected.code());
    assert_eq!(move_of(&cluster), (vec![5, 2, 3], vec![], vec![]));
    assert_eq!(partition(&cluster).leader, NodeId(5));
}

#[test]
fn a_target_where_everything_lies_already_ends_the_move_at_once() {
    let mut cluster = six(&[]);
    reassign(&mut cluster, &[Some(&[4, 2, 3])]);
    reassign(&mut cluster, &[Some(&[1, 2, 3])]);
    assert_eq!(move_of(&cluster), (vec![1, 2, 3], vec![], vec![]));
    reassign(&mut cluster, &[Some(&[3, 2, 1])]);
    assert_eq!(move_of(&cluster), (vec![3, 2, 1], vec![], vec![]));
    assert_eq!(partition(&cluster).leader, NodeId(1));
}

#[test]
fn more_and_fewer_replicas_are_moves_too_unless_the_request_forbids_them() {
    let mut cluster = six(&[]);
    let refused = |from: usize, to: usize| {
        let message = format!("The replication factor is changed from {from} to {to}");
        [(ErrorCode::InvalidReplicationFactor.code(), Some(message))]
    };
    assert_eq!(reassign_freely(&mut cluster, &[Some(&[1, 2])], false), refused(3, 2));
    reassign(&mut cluster, &[Some(&[1, 2, 3, 4])]);
    assert_eq!(move_of(&cluster), (vec![1, 2, 3, 4], vec![4], vec![]));
    assert_eq!(reassign_freely(&mut cluster, &[Some(&[1, 2, 3])], false), refused(4, 3));
    assert_eq!(in_sync(&mut cluster, &[1, 2, 3, 4]), 0);
    assert_eq!(move_of(&cluster), (vec![1, 2, 3, 4], vec![], vec![]));
    reassign(&mut cluster, &[Some(&[2])]);
    assert_eq!((move_of(&cluster).0, partition(&cluster).leader), (vec![2], NodeId(2)));
}

#[test]
fn a_partition_named_twice_in_a_request_is_moved_from_where_the_first_mention_left_it() {
    let mut cluster = six(&[]);
    assert_eq!(reassign(&mut cluster, &[Some(&[4, 2, 3]), Some(&[1, 2, 3, 5])]), [(0, None), (0, None)]);
    assert_eq!(move_of(&cluster), (vec![1, 2, 3, 5, 4], vec![5], vec![4]));
    assert_eq!(reassign(&mut cluster, &[None, None])[1].0, ErrorCode::NoReassignmentInProgress.code());
}

#[test]
fn a_move_is_not_taken_back_to_replicas_that_lack_records_unless_the_topic_allows_it() {
    for unclean in ["false", "true"] {
        let mut cluster = six(&[("unclean.leader.election.enable", unclean)]);
        reassign(&mut cluster, &[Some(&[4, 5, 6])]);
        // Only an added replica is left in sync.
        assert_eq!(in_sync(&mut cluster, &[1, 4]), 0);
        fence(&mut cluster, 1);
        assert_eq!((ids(&partition(&cluster).in_sync_replicas), partition(&cluster).leader), (vec![4], NodeId(4)));
        let result = reassign(&mut cluster, &[None]);
        if unclean == "false" {
            let message = "Unable to revert partition assignment for t:0 because it would require an unclean leader \
                           election.";
            assert_eq!(result, [(ErrorCode::InvalidReplicaAssignment.code(), Some(message.to_owned()))]);
            continue;
        }
        assert_eq!(result, [(0, None)]);
        let after = partition(&cluster);
        assert_eq!((ids(&after.replicas), ids(&after.in_sync_replicas)), (vec![1, 2, 3], vec![2]));
        assert_eq!((after.leader, after.leader_recovery_state), (NodeId(2), LeaderRecoveryState::Recovering));
    }
}

#[test]
fn the_list_of_moves_has_the_partitions_asked_for_in_their_order() {
    let mut cluster = six(&[]);
    cluster.create_topics(&topics([assigned("u", &[(0, &[1]), (1, &[1]), (2, &[1])])]));
    let asked = |name: &str, indexes: &[i32]| list_partition_reassignments_request::ListPartitionReassignmentsTopics {
        name: name.to_owned(),
        partition_indexes: indexes.to_vec(),
        ..Default::default()
    };
    let partition = |index: i32| alter_partition_reassignments_request::ReassignablePartition {
        partition_index: index,
        replicas: Some(vec![2]),
        ..Default::default()
    };
    let request = AlterPartitionReassignmentsRequest {
        topics: vec![alter_partition_reassignments_request::ReassignableTopic {
            name: "u".to_owned(),
            partitions: vec![partition(0), partition(2)],
            ..Default::default()
        }],
        ..Default::default()
    };
    let outcome = cluster.controller.alter_partition_reassignments(&request);
    cluster.commit(outcome);
    let list = |topics: Option<Vec<_>>| {
        let request = ListPartitionReassignmentsRequest { topics, ..Default::default() };
        let response = cluster.controller.list_partition_reassignments(&request);
        let topics = response.topics.into_iter();
        topics.map(|t| (t.name, t.partitions.iter().map(|p| p.partition_index).collect::<Vec<_>>())).collect::<Vec<_>>()
    };
    assert_eq!(list(None), [("u".to_owned(), vec![0, 2])]);
    assert_eq!(
        list(Some(vec![asked("u", &[2, 1, 0]), asked("t", &[0]), asked("no", &[0])])),
        [("u".to_owned(), vec![2, 0])]
    );
}
