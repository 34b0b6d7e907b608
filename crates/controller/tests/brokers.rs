//! Brokers that come, go, fail and disagree: what becomes of their registrations and of what they lead.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, assigned, registration, topics};
use ottla_controller::Task;
use ottla_metadata::{LeaderRecoveryState, Partition, directory_id};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AlterPartitionReassignmentsRequest, AlterPartitionRequest, AssignReplicasToDirsRequest,
    BrokerHeartbeatRequest, BrokerRegistrationRequest, ElectLeadersRequest, UnregisterBrokerRequest,
    UpdateFeaturesRequest, alter_partition_reassignments_request, alter_partition_request,
    assign_replicas_to_dirs_request, elect_leaders_request, update_features_request,
};
use ottla_types::{NodeId, PartitionIndex, Uuid};
use std::time::Duration;

/// Brokers 1 to 3, all live, and the topic `t` with one partition on them, led by 1. Returns the epochs.
fn three() -> (Cluster, [i64; 3]) {
    let mut cluster = Cluster::formatted("");
    let epochs = [1, 2, 3].map(|id| cluster.join(id, u128::try_from(id).unwrap()));
    let response = cluster.create_topics(&topics([assigned("t", &[(0, &[1, 2, 3])])]));
    assert_eq!(response.topics[0].error_code, 0);
    (cluster, epochs)
}

fn partition(cluster: &Cluster) -> Partition {
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap();
    Partition::clone(topic.partitions.get(&PartitionIndex(0)).unwrap())
}

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

/// Leader, replicas in sync and leader epoch.
fn state(cluster: &Cluster) -> (i32, Vec<i32>, i32) {
    let partition = partition(cluster);
    (partition.leader.0, ids(&partition.in_sync_replicas), partition.leader_epoch.0)
}

#[test]
fn a_broker_that_falls_silent_is_fenced_and_another_one_leads() {
    let (mut cluster, epochs) = three();
    assert_eq!(cluster.pass(Duration::from_millis(9_000)), []);
    for id in [2, 3] {
        cluster.heartbeat(&cluster.alive(id, epochs[usize::try_from(id).unwrap() - 1]));
    }
    assert_eq!(cluster.controller.next_deadline(), Some(cluster.now + Duration::from_millis(1)));
    assert_eq!(cluster.pass(Duration::from_millis(1)), [Task::Fence(NodeId(1))]);
    assert_eq!(state(&cluster), (2, vec![2, 3], 1));
}

#[test]
fn a_fenced_broker_that_has_not_replayed_its_registration_stays_fenced() {
    let mut cluster = Cluster::formatted("");
    let epoch = cluster.register(&registration(1, 1)).broker_epoch;
    let early = BrokerHeartbeatRequest { current_metadata_offset: epoch - 1, ..cluster.alive(1, epoch) };
    let response = cluster.heartbeat(&early);
    assert_eq!((response.is_fenced, response.is_caught_up), (true, false));
    let late = BrokerHeartbeatRequest { current_metadata_offset: epoch, ..cluster.alive(1, epoch) };
    let response = cluster.heartbeat(&late);
    assert_eq!((response.is_fenced, response.is_caught_up), (false, true));
}

#[test]
fn a_broker_shuts_down_when_it_leads_nothing_and_the_others_know_who_leads_instead() {
    let (mut cluster, epochs) = three();
    for id in [2, 3] {
        cluster.heartbeat(&cluster.alive(id, epochs[usize::try_from(id).unwrap() - 1]));
    }
    let wish = BrokerHeartbeatRequest { want_shut_down: true, ..cluster.alive(1, epochs[0]) };
    let response = cluster.heartbeat(&wish);
    assert_eq!((response.should_shut_down, response.is_fenced), (false, false));
    assert_eq!(state(&cluster), (2, vec![2, 3], 1));
    // The others have not replayed the change yet.
    assert!(!cluster.heartbeat(&wish).should_shut_down);
    for id in [2, 3] {
        cluster.heartbeat(&cluster.alive(id, epochs[usize::try_from(id).unwrap() - 1]));
    }
    let response = cluster.heartbeat(&wish);
    assert_eq!((response.should_shut_down, response.is_fenced), (true, true));
    assert!(cluster.controller.image().cluster.broker(NodeId(1)).unwrap().fenced);
}

#[test]
fn a_broker_that_was_let_go_is_back_as_soon_as_its_process_is() {
    let (mut cluster, epochs) = three();
    let next = registration(3, 33);
    let code = cluster.register(&next).error_code;
    assert_eq!(code, ErrorCode::DuplicateBrokerRegistration.code(), "it lives");
    // It leads nothing, so it may go at once.
    let wish = BrokerHeartbeatRequest { want_shut_down: true, ..cluster.alive(3, epochs[2]) };
    assert!(cluster.heartbeat(&wish).should_shut_down);
    let elsewhere = BrokerRegistrationRequest { log_dirs: vec![Uuid::from_u128(99)], ..next.clone() };
    let code = cluster.register(&elsewhere).error_code;
    assert_eq!(code, ErrorCode::DuplicateBrokerRegistration.code(), "another directory proves nothing");
    let code = cluster.register(&next).error_code;
    assert_eq!(code, 0, "the directory's lock proves that the one before is gone");
}

#[test]
fn heartbeats_of_an_unknown_or_former_registration_are_refused() {
    let (mut cluster, epochs) = three();
    for (id, epoch) in [(9, 1), (1, epochs[0] + 1)] {
        let response = cluster.heartbeat(&cluster.alive(id, epoch));
        assert_eq!(response.error_code, ErrorCode::StaleBrokerEpoch.code());
    }
}

#[test]
fn the_last_replica_in_sync_stays_eligible_and_nobody_else_may_lead() {
    let (mut cluster, _) = three();
    for id in [3, 2, 1] {
        let epoch = cluster.controller.image().cluster.broker(NodeId(id)).unwrap().epoch.0;
        let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(id, epoch) };
        cluster.heartbeat(&wish);
    }
    let last = partition(&cluster);
    assert_eq!((last.leader, ids(&last.in_sync_replicas)), (NodeId::NONE, vec![]));
    assert_eq!(ids(&last.eligible_leader_replicas), [1]);
    let epoch = cluster.controller.image().cluster.broker(NodeId(2)).unwrap().epoch.0;
    cluster.heartbeat(&cluster.alive(2, epoch));
    assert_eq!(state(&cluster).0, -1);
    let epoch = cluster.controller.image().cluster.broker(NodeId(1)).unwrap().epoch.0;
    cluster.heartbeat(&cluster.alive(1, epoch));
    let back = partition(&cluster);
    assert_eq!((back.leader, back.leader_recovery_state), (NodeId(1), LeaderRecoveryState::Recovered));
}

#[test]
fn with_unclean_elections_allowed_any_live_replica_leads_when_the_clean_ones_are_gone() {
    let mut cluster = Cluster::formatted("unclean.leader.election.enable=true");
    for id in [1, 2] {
        cluster.join(id, u128::try_from(id).unwrap());
    }
    cluster.create_topics(&topics([assigned("t", &[(0, &[1, 2])])]));
    for id in [2, 1] {
        let epoch = cluster.controller.image().cluster.broker(NodeId(id)).unwrap().epoch.0;
        let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(id, epoch) };
        cluster.heartbeat(&wish);
    }
    let epoch = cluster.controller.image().cluster.broker(NodeId(2)).unwrap().epoch.0;
    cluster.heartbeat(&cluster.alive(2, epoch));
    let partition = partition(&cluster);
    assert_eq!((partition.leader, ids(&partition.in_sync_replicas)), (NodeId(2), vec![2]));
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovering);
}

fn alteration(cluster: &Cluster, epochs: [i64; 3], in_sync: &[usize]) -> AlterPartitionRequest {
    let now = partition(cluster);
    let state = |id: &usize| alter_partition_request::BrokerState {
        broker_id: i32::try_from(*id).unwrap(),
        broker_epoch: epochs[id - 1],
        ..Default::default()
    };
    AlterPartitionRequest {
        broker_id: 1,
        broker_epoch: epochs[0],
        topics: vec![alter_partition_request::TopicData {
            topic_id: cluster.controller.image().topics.topic_id("t").unwrap(),
            partitions: vec![alter_partition_request::PartitionData {
                partition_index: 0,
                leader_epoch: now.leader_epoch.0,
                new_isr_with_epochs: in_sync.iter().map(state).collect(),
                partition_epoch: now.partition_epoch,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn alter(cluster: &mut Cluster, request: &AlterPartitionRequest) -> (i16, Vec<i32>, i32) {
    let context = cluster.context(3);
    let outcome = cluster.controller.alter_partition(&context, request);
    let response = cluster.commit(outcome);
    if response.error_code != 0 {
        return (response.error_code, Vec::new(), 0);
    }
    let result = &response.topics[0].partitions[0];
    (result.error_code, result.isr.clone(), result.partition_epoch)
}

#[test]
fn a_leader_shrinks_and_expands_the_replicas_in_sync_without_a_new_leader_epoch() {
    let (mut cluster, epochs) = three();
    let request = alteration(&cluster, epochs, &[1, 2]);
    assert_eq!(alter(&mut cluster, &request), (0, vec![1, 2], 1));
    let request = alteration(&cluster, epochs, &[1, 2, 3]);
    assert_eq!(alter(&mut cluster, &request), (0, vec![1, 2, 3], 2));
    assert_eq!(state(&cluster), (1, vec![1, 2, 3], 0));
}

#[test]
fn an_alteration_that_rests_on_something_else_than_the_present_state_is_refused() {
    let (mut cluster, epochs) = three();
    let code = |cluster: &mut Cluster, set: fn(&mut AlterPartitionRequest)| {
        let mut request = alteration(cluster, epochs, &[1, 2]);
        set(&mut request);
        ErrorCode::from_code(alter(cluster, &request).0).unwrap()
    };
    let cluster = &mut cluster;
    assert_eq!(code(cluster, |r| r.broker_epoch += 1), ErrorCode::StaleBrokerEpoch);
    assert_eq!(code(cluster, |r| r.topics[0].topic_id = Uuid::from_u128(500)), ErrorCode::UnknownTopicId);
    let set: fn(&mut AlterPartitionRequest) = |r| r.topics[0].partitions[0].partition_index = 9;
    assert_eq!(code(cluster, set), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(cluster, |r| r.topics[0].partitions[0].leader_epoch += 1), ErrorCode::NotController);
    assert_eq!(code(cluster, |r| r.topics[0].partitions[0].leader_epoch -= 1), ErrorCode::FencedLeaderEpoch);
    assert_eq!(code(cluster, |r| r.topics[0].partitions[0].partition_epoch += 1), ErrorCode::NotController);
    assert_eq!(code(cluster, |r| r.topics[0].partitions[0].partition_epoch -= 1), ErrorCode::InvalidUpdateVersion);
    let set: fn(&mut AlterPartitionRequest) = |r| {
        r.topics[0].partitions[0].new_isr_with_epochs.remove(0);
    };
    assert_eq!(code(cluster, set), ErrorCode::InvalidRequest);
    let set: fn(&mut AlterPartitionRequest) = |r| r.topics[0].partitions[0].new_isr_with_epochs[1].broker_epoch += 1;
    assert_eq!(code(cluster, set), ErrorCode::IneligibleReplica);
    assert_eq!(code(cluster, |_| {}), ErrorCode::None);
}

fn elect(cluster: &mut Cluster, election_type: i8, indexes: Option<Vec<i32>>) -> Vec<(i32, i16)> {
    let topics = indexes.map(|partitions| {
        vec![elect_leaders_request::TopicPartitions { topic: "t".to_owned(), partitions, ..Default::default() }]
    });
    let request = ElectLeadersRequest { election_type, topic_partitions: topics, ..Default::default() };
    let outcome = cluster.controller.elect_leaders(&request);
    let response = cluster.commit(outcome);
    assert_eq!(response.error_code, 0);
    let results = response.replica_election_results.iter().flat_map(|result| &result.partition_result);
    results.map(|result| (result.partition_id, result.error_code)).collect()
}

#[test]
fn leadership_goes_back_to_the_preferred_replica_on_request_and_by_itself() {
    for by_itself in [false, true] {
        let (mut cluster, epochs) = three();
        let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(1, epochs[0]) };
        cluster.heartbeat(&wish);
        assert_eq!(elect(&mut cluster, 0, Some(vec![0])), [(0, ErrorCode::PreferredLeaderNotAvailable.code())]);
        cluster.heartbeat(&cluster.alive(1, epochs[0]));
        // In sync again, which the new leader says.
        let mut request = alteration(&cluster, epochs, &[1, 2, 3]);
        (request.broker_id, request.broker_epoch) = (2, epochs[1]);
        assert_eq!(alter(&mut cluster, &request).0, 0);
        if by_itself {
            let outcome = cluster.controller.balance_leaders();
            assert!(!cluster.commit(outcome));
        } else {
            assert_eq!(elect(&mut cluster, 0, None), [(0, 0)]);
        }
        assert_eq!(state(&cluster).0, 1);
        assert_eq!(elect(&mut cluster, 0, Some(vec![0, 7])), [(0, 84), (7, 3)]);
        assert_eq!(elect(&mut cluster, 0, None), []);
    }
}

#[test]
fn when_a_directory_fails_its_replicas_leave_and_the_others_stay() {
    let mut cluster = Cluster::formatted("");
    let mut first = registration(1, 1);
    let (bad, good) = (Uuid::from_u128(0xbad0), Uuid::from_u128(0x600d));
    first.log_dirs = vec![bad, good];
    let epoch = cluster.register(&first).broker_epoch;
    cluster.heartbeat(&cluster.alive(1, epoch));
    cluster.join(2, 2);
    cluster.create_topics(&topics([assigned("t", &[(0, &[1, 2]), (1, &[1, 2])])]));
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap().clone();
    let before = topic.partitions.get(&PartitionIndex(0)).unwrap();
    assert_eq!(before.directory(NodeId(1)), Some(directory_id::UNASSIGNED));
    let assign = |id: Uuid, index: i32| assign_replicas_to_dirs_request::DirectoryData {
        id,
        topics: vec![assign_replicas_to_dirs_request::TopicData {
            topic_id: topic.id,
            partitions: vec![assign_replicas_to_dirs_request::PartitionData {
                partition_index: index,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = AssignReplicasToDirsRequest {
        broker_id: 1,
        broker_epoch: epoch,
        directories: vec![assign(bad, 0), assign(good, 1), assign(good, 9)],
        ..Default::default()
    };
    let outcome = cluster.controller.assign_replicas_to_dirs(&request);
    let response = cluster.commit(outcome);
    let codes = response.directories.iter().map(|directory| directory.topics[0].partitions[0].error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, 0, 3]);
    let request = BrokerHeartbeatRequest { offline_log_dirs: vec![bad], ..cluster.alive(1, epoch) };
    cluster.heartbeat(&request);
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap();
    let leaders: Vec<i32> = topic.partitions.values().map(|partition| partition.leader.0).collect();
    assert_eq!(leaders, [2, 1]);
    assert_eq!(cluster.controller.image().cluster.broker(NodeId(1)).unwrap().log_dirs, [good]);
}

#[test]
fn a_broker_with_all_directories_cordoned_takes_no_new_replicas() {
    let mut cluster = Cluster::formatted("");
    let epoch = cluster.join(1, 1);
    let own = registration(1, 1).log_dirs;
    let request = BrokerHeartbeatRequest { cordoned_log_dirs: Some(own), ..cluster.alive(1, epoch) };
    cluster.heartbeat(&request);
    let response = cluster.create_topics(&topics([cluster::topic("t", 1, 1, &[])]));
    let expected = "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their \
                    log directories cordoned.";
    assert_eq!(response.topics[0].error_message.as_deref(), Some(expected));
}

#[test]
fn an_unregistered_broker_is_forgotten_and_leaves_every_partition() {
    let (mut cluster, _) = three();
    let request = UnregisterBrokerRequest { broker_id: 1, ..Default::default() };
    let outcome = cluster.controller.unregister_broker(&request);
    assert_eq!(cluster.commit(outcome).error_code, 0);
    assert_eq!(state(&cluster), (2, vec![2, 3], 1));
    assert!(cluster.controller.image().cluster.broker(NodeId(1)).is_none());
    let outcome = cluster.controller.unregister_broker(&request);
    assert_eq!(cluster.commit(outcome).error_code, ErrorCode::BrokerIdNotRegistered.code());
}

#[test]
fn registrations_that_cannot_be_are_refused() {
    use ottla_protocol::messages::BrokerRegistrationRequest as Request;
    let mut cluster = Cluster::formatted("");
    cluster.join(1, 1);
    let code = |cluster: &mut Cluster, set: fn(&mut Request)| {
        let mut request = registration(2, 2);
        set(&mut request);
        ErrorCode::from_code(cluster.register(&request).error_code).unwrap()
    };
    let cluster = &mut cluster;
    assert_eq!(code(cluster, |r| r.cluster_id = "another".to_owned()), ErrorCode::InconsistentClusterId);
    assert_eq!(code(cluster, |r| r.is_migrating_zk_broker = true), ErrorCode::BrokerIdNotRegistered);
    assert_eq!(code(cluster, |r| r.log_dirs.clear()), ErrorCode::InvalidRegistration);
    assert_eq!(code(cluster, |r| r.log_dirs = vec![Uuid::from_u128(99)]), ErrorCode::InvalidRegistration);
    assert_eq!(code(cluster, |r| r.log_dirs.push(r.log_dirs[0])), ErrorCode::InvalidRegistration);
    assert_eq!(code(cluster, |r| r.log_dirs = registration(1, 1).log_dirs), ErrorCode::InvalidRegistration);
    let without: fn(&mut Request) = |r| r.features.retain(|feature| feature.name != "metadata.version");
    assert_eq!(code(cluster, without), ErrorCode::InvalidRegistration);
    let old: fn(&mut Request) = |r| {
        r.features.iter_mut().for_each(|feature| feature.max_supported_version = feature.min_supported_version);
    };
    assert_eq!(code(cluster, old), ErrorCode::UnsupportedVersion);
    assert_eq!(code(cluster, |_| {}), ErrorCode::None);
}

#[test]
fn no_producer_id_is_ever_given_out_twice() {
    let (mut cluster, epochs) = three();
    let mut next = 0;
    for round in 0..6 {
        let broker = round % 3;
        let request = AllocateProducerIdsRequest {
            broker_id: i32::try_from(broker).unwrap() + 1,
            broker_epoch: epochs[broker],
            ..Default::default()
        };
        let outcome = cluster.controller.allocate_producer_ids(&request);
        let response = cluster.commit(outcome);
        assert_eq!((response.producer_id_start, response.producer_id_len), (next, 1_000));
        next += 1_000;
    }
    let stale = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: -5, ..Default::default() };
    let outcome = cluster.controller.allocate_producer_ids(&stale);
    assert_eq!(cluster.commit(outcome).error_code, ErrorCode::StaleBrokerEpoch.code());
}

fn update_feature(cluster: &mut Cluster, feature: &str, level: i16, upgrade_type: i8) -> (i16, Option<String>) {
    let request = UpdateFeaturesRequest {
        feature_updates: vec![update_features_request::FeatureUpdateKey {
            feature: feature.to_owned(),
            max_version_level: level,
            upgrade_type,
            ..Default::default()
        }],
        ..Default::default()
    };
    let outcome = cluster.controller.update_features(2, &request, &mut |_, _| Err("No.".to_owned()));
    let response = cluster.commit(outcome);
    (response.error_code, response.error_message)
}

#[test]
fn feature_levels_go_up_and_where_nothing_is_lost_down() {
    let mut cluster = Cluster::running("");
    let whole = "The update failed for all features since the following feature had an error: ";
    let refused = |message: &str| (95, Some(format!("{whole}{message}")));
    assert_eq!(update_feature(&mut cluster, "share.version", 1, 2), (0, None));
    assert_eq!(update_feature(&mut cluster, "share.version", 2, 1), (0, None));
    assert_eq!(
        update_feature(&mut cluster, "share.version", 1, 1),
        refused(
            "Invalid update version 1 for feature share.version. Can't downgrade the version of this feature without \
             setting the upgrade type to either safe or unsafe downgrade."
        )
    );
    assert_eq!(
        update_feature(&mut cluster, "metadata.version", 30, 2),
        refused(
            "Unsupported metadata.version downgrade from 33 to 30. Refusing to perform the requested downgrade because \
             it might delete metadata information."
        )
    );
    assert_eq!(
        update_feature(&mut cluster, "group.version", 7, 1),
        refused("Invalid update version 7 for feature group.version. Local controller 1 only supports versions 0-1")
    );
    assert_eq!(
        update_feature(&mut cluster, "no.such", 1, 1),
        refused("Invalid update version 1 for feature no.such. Local controller 1 does not support this feature.")
    );
}

#[test]
fn eligible_leader_replicas_are_switched_on_together_with_a_minimum_for_all_brokers() {
    let mut cluster = Cluster::running("");
    assert_eq!(update_feature(&mut cluster, "eligible.leader.replicas.version", 0, 2), (0, None));
    let before = cluster.log.len();
    assert_eq!(update_feature(&mut cluster, "eligible.leader.replicas.version", 1, 1), (0, None));
    // The minimum was written when the cluster began, so only the level is new.
    assert_eq!(cluster.log.len(), before + 1);
}

fn reassign(cluster: &mut Cluster, replicas: Option<&[i32]>) -> (i16, Option<String>) {
    let request = AlterPartitionReassignmentsRequest {
        topics: vec![alter_partition_reassignments_request::ReassignableTopic {
            name: "t".to_owned(),
            partitions: vec![alter_partition_reassignments_request::ReassignablePartition {
                partition_index: 0,
                replicas: replicas.map(<[i32]>::to_vec),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let outcome = cluster.controller.alter_partition_reassignments(&request);
    let response = cluster.commit(outcome);
    let result = &response.responses[0].partitions[0];
    (result.error_code, result.error_message.clone())
}

fn under_way(cluster: &Cluster) -> Vec<(Vec<i32>, Vec<i32>, Vec<i32>)> {
    let response = cluster.controller.list_partition_reassignments(&Default::default());
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|p| (p.replicas, p.adding_replicas, p.removing_replicas)).collect()
}

#[test]
fn a_partition_moves_when_its_new_replica_is_in_sync_and_not_before() {
    let (mut cluster, epochs) = three();
    cluster.join(4, 4);
    assert_eq!(under_way(&cluster), []);
    assert_eq!(reassign(&mut cluster, Some(&[4, 2, 3])), (0, None));
    assert_eq!(under_way(&cluster), [(vec![4, 2, 3, 1], vec![4], vec![1])]);
    assert_eq!(state(&cluster), (1, vec![1, 2, 3], 0));
    let mut request = alteration(&cluster, epochs, &[1, 2, 3]);
    let epoch = cluster.controller.image().cluster.broker(NodeId(4)).unwrap().epoch.0;
    request.topics[0].partitions[0].new_isr_with_epochs.push(alter_partition_request::BrokerState {
        broker_id: 4,
        broker_epoch: epoch,
        ..Default::default()
    });
    // The leader that says so is no longer the leader after that.
    assert_eq!(alter(&mut cluster, &request).0, ErrorCode::NewLeaderElected.code());
    assert_eq!(under_way(&cluster), []);
    assert_eq!(ids(&partition(&cluster).replicas), [4, 2, 3]);
    assert_eq!(state(&cluster), (4, vec![2, 3, 4], 1));
}

#[test]
fn a_move_under_way_can_be_taken_back() {
    let (mut cluster, _) = three();
    assert_eq!(reassign(&mut cluster, None), (ErrorCode::NoReassignmentInProgress.code(), None));
    cluster.join(4, 4);
    assert_eq!(reassign(&mut cluster, Some(&[4, 2, 3])).0, 0);
    assert_eq!(reassign(&mut cluster, None), (0, None));
    assert_eq!(under_way(&cluster), []);
    let after = partition(&cluster);
    assert_eq!((ids(&after.replicas), after.leader), (vec![2, 3, 1], NodeId(1)));
    let message = "The manual partition assignment includes broker 9, but no such broker is registered.";
    assert_eq!(reassign(&mut cluster, Some(&[9])), (39, Some(message.to_owned())));
}
