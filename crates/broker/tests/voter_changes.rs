//! The voters of the metadata quorum change while it decides.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use core::time::Duration;
use harness::asking::{check_metadata, created, describe, in_sync, voters, wait, write};
use harness::cluster::{Cluster, Plan, Voters, directory};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_raft_voter_request::Listener;
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::{
    AddRaftVoterRequest, ApiVersionsRequest, DescribeClusterRequest, RemoveRaftVoterRequest,
    UnregisterControllerRequest, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

fn add_request(id: i32) -> AddRaftVoterRequest {
    let listener =
        Listener { name: "CONTROLLER".to_owned(), host: format!("node{id}"), port: 19093, ..Default::default() };
    AddRaftVoterRequest {
        cluster_id: None,
        voter_id: id,
        voter_directory_id: directory(id),
        listeners: vec![listener],
        timeout_ms: 10_000,
        ack_when_committed: true,
        ..Default::default()
    }
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap()
}

fn add(cluster: &Cluster, by: i32, request: &AddRaftVoterRequest) -> ErrorCode {
    code(wait(cluster, "a voter is added", &cluster.node(by).send(request)).error_code)
}

fn remove(cluster: &Cluster, by: i32, voter_id: i32, voter_directory_id: ottla_types::DirectoryId) -> ErrorCode {
    let request = RemoveRaftVoterRequest { cluster_id: None, voter_id, voter_directory_id, ..Default::default() };
    code(wait(cluster, "a voter is removed", &cluster.node(by).send(&request)).error_code)
}

fn set_kraft_version(cluster: &Cluster, by: i32, level: i16, validate_only: bool) -> UpdateFeaturesResponse {
    let update = FeatureUpdateKey {
        feature: "kraft.version".to_owned(),
        max_version_level: level,
        upgrade_type: 1,
        ..Default::default()
    };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], validate_only, ..Default::default() };
    wait(cluster, "the feature is updated", &cluster.node(by).send(&request))
}

fn finalized(cluster: &Cluster, by: i32) -> Option<i16> {
    let request = ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
        ..Default::default()
    };
    let answer = cluster.node(by).ask(&request);
    let feature = answer.finalized_features.iter().find(|feature| feature.name == "kraft.version");
    feature.map(|feature| feature.max_version_level)
}

fn dynamic() -> Plan {
    Plan::new(3, Voters::Dynamic(3))
}

#[test]
fn the_quorum_is_described_with_its_observers_wherever_it_is_asked() {
    let cluster = Cluster::of(Plan::new(3, Voters::First));
    for by in 1..=3 {
        let (answer, partition) = describe(&cluster, by);
        let ids = |states: &[ottla_protocol::messages::describe_quorum_response::ReplicaState]| {
            states.iter().map(|state| state.replica_id).collect::<Vec<_>>()
        };
        assert_eq!((ids(&partition.current_voters), ids(&partition.observers)), (vec![1], vec![2, 3]));
        assert_eq!((partition.leader_id, answer.nodes.len()), (1, 1));
        let caught_up = |state: &ottla_protocol::messages::describe_quorum_response::ReplicaState| {
            state.log_end_offset >= partition.high_watermark && state.last_caught_up_timestamp > 0
        };
        cluster.run_until("all have caught up", |cluster| {
            let active = cluster.node(1).ask(&harness::asking::describe_request());
            active.topics[0].partitions[0].observers.iter().all(caught_up)
        });
    }
}

/// The controllers that are registered, and the active one, as a controller tells.
fn controllers(cluster: &Cluster, by: i32) -> (Vec<i32>, i32) {
    let request = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
    let answer = cluster.node(by).send_to_controller(&request).take().unwrap();
    assert_eq!(answer.error_code, 0, "{answer:?}");
    (answer.brokers.iter().map(|controller| controller.broker_id).collect(), answer.controller_id)
}

#[test]
fn controllers_are_registered_and_register_again_when_they_are_struck_out() {
    let mut cluster = Cluster::of(dynamic());
    let all_are = |cluster: &Cluster| {
        let active = cluster.active();
        active.is_some_and(|active| cluster.living_ids().all(|id| controllers(cluster, id) == (vec![1, 2, 3], active)))
    };
    cluster.run_until("all controllers are registered", all_are);
    let active = cluster.active().unwrap();
    let other = (1..=3).find(|id| *id != active).unwrap();
    let request = UnregisterControllerRequest { controller_id: other, ..Default::default() };
    let before = cluster.node(active).node.quorum().log_end;
    let answer = wait(&cluster, "it is struck out", &cluster.node(other).send(&request));
    assert_eq!(answer.error_code, 0, "{answer:?}");
    cluster.run_until("all controllers are registered again", |cluster| {
        cluster.node(active).node.quorum().high_watermark > before + 1 && all_are(cluster)
    });
    cluster.lose_power(active);
    cluster.run_until("another one is active", |cluster| cluster.active().is_some() && all_are(cluster));
}

#[test]
fn a_voter_is_added_and_the_leader_is_removed_by_way_of_any_broker() {
    let mut cluster = Cluster::of(dynamic());
    created(&cluster, 1, "kept", 3);
    let new = cluster.add("");
    cluster.run_until("it runs", |cluster| cluster.node(new).node.is_running());
    assert_eq!(cluster.node(new).node.quorum().state, "follower");
    assert_eq!(voters(&cluster, new), [1, 2, 3]);

    // What Kafka refuses.
    let by = cluster.living_ids().find(|id| Some(*id) != cluster.active()).unwrap();
    let no_listener = AddRaftVoterRequest { listeners: Vec::new(), ..add_request(new) };
    assert_eq!(add(&cluster, by, &no_listener), ErrorCode::InvalidRequest);
    let stranger = AddRaftVoterRequest { cluster_id: Some("another".to_owned()), ..add_request(new) };
    assert_eq!(add(&cluster, by, &stranger), ErrorCode::InconsistentClusterId);
    assert_eq!(add(&cluster, by, &add_request(2)), ErrorCode::DuplicateVoter);
    assert_eq!(remove(&cluster, by, new, directory(new)), ErrorCode::VoterNotFound);
    assert_eq!(remove(&cluster, by, 2, directory(9)), ErrorCode::VoterNotFound);

    assert_eq!(add(&cluster, by, &add_request(new)), ErrorCode::None);
    assert_eq!(voters(&cluster, by), [1, 2, 3, 4]);
    let first = cluster.active().unwrap();
    let by = cluster.living_ids().find(|id| *id != first).unwrap();
    assert_eq!(remove(&cluster, by, first, directory(first)), ErrorCode::None);
    cluster.run_until("another controller is active", |cluster| cluster.active().is_some_and(|id| id != first));
    let left: Vec<i32> = (1..=4).filter(|id| *id != first).collect();
    assert_eq!(voters(&cluster, first), left);
    cluster.run_until("the removed one follows", |cluster| cluster.node(first).node.quorum().state == "follower");

    // Three voters are left: they bear the loss of one, and do without the removed one.
    created(&cluster, first, "after", 3);
    let active = cluster.active().unwrap();
    cluster.lose_power(active);
    cluster.run_until("another controller is active", |cluster| cluster.active().is_some_and(|id| id != active));
    created(&cluster, first, "later", 3);
    assert!(cluster.active() != Some(first));
    cluster.start_again(active);
    cluster.run_until("all run", |cluster| cluster.living().all(|running| running.node.is_running()));
    in_sync(&cluster, "kept", 3);
    write(&cluster, "kept");
    check_metadata(&cluster);
}

#[test]
fn a_controller_that_may_joins_the_voters_by_itself() {
    let mut cluster = Cluster::of(Plan::new(1, Voters::Dynamic(1)));
    assert_eq!(voters(&cluster, 1), [1]);
    for id in 2..=3 {
        assert_eq!(cluster.add("controller.quorum.auto.join.enable=true"), id);
        cluster.run_until("it is a voter", |cluster| {
            let answer = cluster.node(1).send(&harness::asking::describe_request()).take();
            answer.is_some_and(|answer| {
                let partition = &answer.topics[0].partitions[0];
                partition.error_code == 0 && partition.current_voters.iter().any(|voter| voter.replica_id == id)
            })
        });
    }
    cluster.run_until("all run", |cluster| cluster.living().all(|running| running.node.is_running()));
    created(&cluster, 2, "kept", 3);
    in_sync(&cluster, "kept", 3);
    let first = cluster.active().unwrap();
    cluster.lose_power(first);
    cluster.run_until("another controller is active", |cluster| cluster.active().is_some_and(|id| id != first));
    cluster.start_again(first);
    cluster.run_until("all run", |cluster| cluster.living().all(|running| running.node.is_running()));
    in_sync(&cluster, "kept", 3);
    check_metadata(&cluster);
}

#[test]
fn static_voters_move_into_the_log_and_can_be_changed_then() {
    let mut cluster = Cluster::of(Plan::new(3, Voters::Static));
    created(&cluster, 1, "kept", 3);
    assert_eq!(remove(&cluster, 2, 3, directory(3)), ErrorCode::UnsupportedVersion);
    assert_eq!(add(&cluster, 2, &add_request(9)), ErrorCode::UnsupportedVersion);
    assert_eq!(finalized(&cluster, 1), None);

    // Each voter tells the leader its directory, once to each leader.
    cluster.run_for(Duration::from_secs(5));
    let checked = set_kraft_version(&cluster, 2, 1, true);
    assert_eq!(checked.error_code, 0, "{checked:?}");
    assert_eq!(finalized(&cluster, 1), None);
    let set = set_kraft_version(&cluster, 2, 1, false);
    assert_eq!(set.error_code, 0, "{set:?}");
    cluster.run_until("everybody knows", |cluster| (1..=3).all(|id| finalized(cluster, id) == Some(1)));
    let set = set_kraft_version(&cluster, 2, 0, false);
    assert_eq!(code(set.error_code), ErrorCode::InvalidUpdateVersion, "{set:?}");
    // Again is no change.
    assert_eq!(set_kraft_version(&cluster, 1, 1, false).error_code, 0);

    let (_, partition) = describe(&cluster, 1);
    let directories: Vec<_> = partition.current_voters.iter().map(|voter| voter.replica_directory_id).collect();
    assert_eq!(directories, [directory(1), directory(2), directory(3)]);
    let active = cluster.active().unwrap();
    let gone = (1..=3).find(|id| *id != active).unwrap();
    assert_eq!(remove(&cluster, active, gone, directory(gone)), ErrorCode::None);
    assert_eq!(voters(&cluster, gone).len(), 2);
    assert_eq!(add(&cluster, active, &add_request(gone)), ErrorCode::None);
    assert_eq!(voters(&cluster, gone), [1, 2, 3]);

    // The log is what counts after a restart, not the configuration.
    (1..=3).for_each(|id| cluster.kill(id));
    (1..=3).for_each(|id| cluster.start_again(id));
    cluster.run_until("all run", |cluster| cluster.living().all(|running| running.node.is_running()));
    assert_eq!((voters(&cluster, 1), finalized(&cluster, 3)), (vec![1, 2, 3], Some(1)));
    in_sync(&cluster, "kept", 3);
    check_metadata(&cluster);
}
