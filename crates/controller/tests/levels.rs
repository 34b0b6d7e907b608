//! Feature levels of clusters whose nodes do not all run the same software, and the registration of controllers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, assigned, registration, topics};
use ottla_controller::format::FormatOptions;
use ottla_metadata::Partition;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, ControllerRegistrationRequest, UnregisterControllerRequest, UpdateFeaturesRequest,
    controller_registration_request, update_features_request,
};
use ottla_types::{MetadataVersion, NodeId, PartitionIndex, Uuid};

const WHOLE: &str = "The update failed for all features since the following feature had an error: ";

fn at_level(level: i16) -> Cluster {
    let options = FormatOptions { metadata_version: Some(MetadataVersion(level)), ..Default::default() };
    Cluster::formatted_with("", &options)
}

fn request(updates: &[(&str, i16, i8)]) -> UpdateFeaturesRequest {
    let update = |(feature, level, kind): &(&str, i16, i8)| update_features_request::FeatureUpdateKey {
        feature: (*feature).to_owned(),
        max_version_level: *level,
        upgrade_type: *kind,
        ..Default::default()
    };
    UpdateFeaturesRequest { feature_updates: updates.iter().map(update).collect(), ..Default::default() }
}

fn update(cluster: &mut Cluster, updates: &[(&str, i16, i8)]) -> Result<(), String> {
    let mut no = |_, _| Err("The voters are static.".to_owned());
    let outcome = cluster.controller.update_features(2, &request(updates), &mut no);
    let response = cluster.commit(outcome);
    match response.error_code {
        0 => Ok(()),
        code => {
            assert_eq!(code, ErrorCode::InvalidUpdateVersion.code());
            Err(response.error_message.unwrap().strip_prefix(WHOLE).unwrap().to_owned())
        }
    }
}

/// A broker that runs `metadata.version` up to that level.
fn join_with_level(cluster: &mut Cluster, id: i32, most: i16) {
    let mut request = registration(id, u128::try_from(id).unwrap());
    for feature in request.features.iter_mut().filter(|feature| feature.name == "metadata.version") {
        feature.max_supported_version = most;
    }
    assert_eq!(cluster.register(&request).error_code, 0);
}

fn register_controller(cluster: &mut Cluster, id: i32, most: i16) {
    let request = ControllerRegistrationRequest {
        controller_id: id,
        incarnation_id: Uuid::from_u128(0x3000),
        features: vec![controller_registration_request::Feature {
            name: "metadata.version".to_owned(),
            min_supported_version: 7,
            max_supported_version: most,
            ..Default::default()
        }],
        ..Default::default()
    };
    let outcome = cluster.controller.register_controller(&request);
    assert_eq!(cluster.commit(outcome).error_code, 0);
}

#[test]
fn a_level_rises_only_when_every_broker_and_every_controller_can_run_it() {
    let mut cluster = at_level(25);
    cluster.controller.set_voters([1, 2, 3].map(NodeId).into());
    join_with_level(&mut cluster, 4, 33);
    join_with_level(&mut cluster, 5, 25);
    let upgrade = [("metadata.version", 33, 1)];
    let refused = |reason: &str| Err(format!("Invalid update version 33 for feature metadata.version. {reason}"));
    assert_eq!(update(&mut cluster, &upgrade), refused("Broker 5 only supports versions 7-25"));
    join_with_level(&mut cluster, 5, 33);
    let missing = "controller 2 has not registered, and may not support this feature";
    assert_eq!(update(&mut cluster, &upgrade), refused(missing));
    register_controller(&mut cluster, 2, 33);
    register_controller(&mut cluster, 3, 27);
    assert_eq!(update(&mut cluster, &upgrade), refused("Controller 3 only supports versions 7-27"));
    register_controller(&mut cluster, 3, 33);
    assert_eq!(update(&mut cluster, &upgrade), Ok(()));
    assert_eq!(cluster.controller.image().features.metadata_version(), Some(MetadataVersion(33)));
}

#[test]
fn before_controllers_register_only_brokers_are_asked() {
    let mut cluster = at_level(12);
    cluster.controller.set_voters([1, 2, 3].map(NodeId).into());
    assert_eq!(update(&mut cluster, &[("metadata.version", 14, 1)]), Ok(()));
}

#[test]
fn a_broker_that_cannot_run_what_the_cluster_runs_stays_out() {
    let mut cluster = at_level(33);
    let mut request = registration(1, 1);
    request.features.retain(|feature| feature.name != "transaction.version");
    assert_eq!(cluster.register(&request).error_code, ErrorCode::UnsupportedVersion.code());
}

#[test]
fn all_updates_are_made_or_none() {
    let mut cluster = at_level(33);
    let both = [("share.version", 1, 2), ("group.version", 9, 1)];
    let message = "Invalid update version 9 for feature group.version. Local controller 1 only supports versions 0-1";
    assert_eq!(update(&mut cluster, &both), Err(message.to_owned()));
    assert_eq!(cluster.controller.image().features.levels().get("share.version"), Some(&2));
    // Of a feature that comes twice the first mention counts, as in Kafka's map of features.
    assert_eq!(update(&mut cluster, &[("share.version", 1, 2), ("share.version", 0, 2)]), Ok(()));
    assert_eq!(cluster.controller.image().features.levels().get("share.version"), Some(&1));
}

#[test]
fn the_quorum_is_asked_for_the_level_that_it_keeps_itself() {
    let mut cluster = at_level(33);
    let before = cluster.log.len();
    let mut asked = Vec::new();
    let mut upgrade = |level, validate_only| {
        asked.push((level, validate_only));
        Ok(())
    };
    let mut request = request(&[("kraft.version", 1, 1)]);
    request.validate_only = true;
    let outcome = cluster.controller.update_features(2, &request, &mut upgrade);
    assert_eq!((outcome.records.len(), outcome.response.error_code), (0, 0));
    request.validate_only = false;
    let outcome = cluster.controller.update_features(2, &request, &mut upgrade);
    assert_eq!(cluster.commit(outcome).error_code, 0);
    assert_eq!(asked, [(1, true), (1, false)]);
    // A no-op record, to be waited for.
    assert_eq!(cluster.log.len(), before + 1);
    cluster.controller.set_kraft_version(1);
    assert_eq!(update(&mut cluster, &[("kraft.version", 1, 1)]), Ok(()));
    let message = "Invalid update version 0 for feature kraft.version. Can't downgrade the version of this feature.";
    assert_eq!(update(&mut cluster, &[("kraft.version", 0, 2)]), Err(message.to_owned()));
    cluster.controller.set_kraft_version(0);
    let message = "Invalid update version 1 for feature kraft.version. The voters are static.";
    assert_eq!(update(&mut cluster, &[("kraft.version", 1, 1)]), Err(message.to_owned()));
}

#[test]
fn a_partition_that_lives_by_its_eligible_replica_can_be_led_when_they_are_switched_off() {
    let mut cluster = at_level(33);
    let epoch = cluster.join(1, 1);
    cluster.create_topics(&topics([assigned("t", &[(0, &[1])])]));
    let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(1, epoch) };
    cluster.heartbeat(&wish);
    let partition = |cluster: &Cluster| {
        let topic = cluster.controller.image().topics.topic_by_name("t").unwrap().clone();
        Partition::clone(topic.partitions.get(&PartitionIndex(0)).unwrap())
    };
    assert_eq!(partition(&cluster).eligible_leader_replicas, [NodeId(1)]);
    assert_eq!(update(&mut cluster, &[("eligible.leader.replicas.version", 0, 2)]), Ok(()));
    let after = partition(&cluster);
    assert_eq!((after.in_sync_replicas, after.eligible_leader_replicas), (vec![NodeId(1)], vec![]));
    assert_eq!(after.last_known_eligible_leader_replicas, []);
    cluster.heartbeat(&cluster.alive(1, epoch));
    assert_eq!(partition(&cluster).leader, NodeId(1));
}

#[test]
fn a_controller_that_is_gone_is_struck_out_but_not_the_active_one() {
    let mut cluster = at_level(33);
    register_controller(&mut cluster, 1, 33);
    register_controller(&mut cluster, 2, 33);
    let unregister = |cluster: &mut Cluster, controller_id: i32| {
        let request = UnregisterControllerRequest { controller_id, ..Default::default() };
        let outcome = cluster.controller.unregister_controller(&request);
        let response = cluster.commit(outcome);
        (response.error_code, response.error_message.unwrap_or_default())
    };
    let active = "Controller cannot unregister itself while it is active.".to_owned();
    assert_eq!(unregister(&mut cluster, 1), (ErrorCode::InvalidRequest.code(), active));
    assert_eq!(unregister(&mut cluster, 2), (0, String::new()));
    let gone = "Controller ID 2 is not currently registered.".to_owned();
    assert_eq!(unregister(&mut cluster, 2), (ErrorCode::ControllerIdNotRegistered.code(), gone));
    let mut old = at_level(32);
    let message = "The current MetadataVersion is too old to support controller unregistration.".to_owned();
    assert_eq!(unregister(&mut old, 2), (ErrorCode::UnsupportedVersion.code(), message));
}
