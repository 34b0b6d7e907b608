//! Clusters whose nodes are all voters of the metadata quorum and brokers: the active controller changes, and nothing that was
//! answered is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use core::time::Duration;
use harness::asking::{
    check_equal, check_metadata, create, created, describe, in_sync, metadata_log, partitions, voters, wait, write,
};
use harness::cluster::{Cluster, Plan, Voters};
use harness::{Pending, Running};
use ottla_env::Disk;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    CreateTopicsResponse, DescribeConfigsRequest, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use std::path::Path;

const TOPIC: i8 = 2;
const METADATA: &str = "/data/__cluster_metadata-0";

fn set_config(node: &Running, topic: &str, name: &str, value: &str) -> Pending<IncrementalAlterConfigsResponse> {
    let config = AlterableConfig {
        name: name.to_owned(),
        config_operation: 0,
        value: Some(value.to_owned()),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned(),
        configs: vec![config],
        ..Default::default()
    };
    node.send(&IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() })
}

fn config(node: &Running, topic: &str, name: &str) -> Option<String> {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned(),
        configuration_keys: Some(vec![name.to_owned()]),
        ..Default::default()
    };
    let answer = node.ask(&DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    answer.results[0].configs.first().and_then(|config| config.value.clone())
}

fn code(answer: &CreateTopicsResponse) -> ErrorCode {
    ErrorCode::from_code(answer.topics[0].error_code).unwrap()
}

/// Another node than this one.
fn other(cluster: &Cluster, than: i32) -> i32 {
    cluster.living_ids().find(|id| *id != than).unwrap()
}

fn run_until_another_decides(cluster: &Cluster, than: i32) -> i32 {
    cluster.run_until("another controller is active", |cluster| cluster.active().is_some_and(|id| id != than));
    cluster.active().unwrap()
}

/// Both kinds of quorum behave the same.
fn in_both_quorums(test: impl Fn(Plan)) {
    for voters in [Voters::Static, Voters::Dynamic(3)] {
        test(Plan::new(3, voters));
    }
}

#[test]
fn three_voters_elect_a_controller_and_every_node_takes_decisions_and_records() {
    in_both_quorums(|plan| {
        let cluster = Cluster::of(plan);
        let active = cluster.active().unwrap();
        assert_eq!(cluster.nodes.iter().filter(|running| running.node.quorum().is_active).count(), 1);
        for id in 1..=3 {
            let name = format!("by-way-of-{id}");
            created(&cluster, id, &name, 3);
            in_sync(&cluster, &name, 3);
            write(&cluster, &name);
            check_equal(&cluster, &name);
            assert_eq!(voters(&cluster, id), [1, 2, 3]);
            assert_eq!(describe(&cluster, id).1.leader_id, active);
        }
        check_metadata(&cluster);
    });
}

#[test]
fn another_controller_takes_over_when_the_active_one_loses_power_and_nothing_answered_is_lost() {
    in_both_quorums(|plan| {
        let mut cluster = Cluster::of(plan);
        created(&cluster, 1, "kept", 6);
        in_sync(&cluster, "kept", 3);
        write(&cluster, "kept");
        let first = cluster.active().unwrap();
        let epoch = cluster.node(first).node.quorum().epoch;
        // The last answer comes of the controller that falls at once.
        let answer = wait(&cluster, "it is set", &set_config(cluster.node(first), "kept", "retention.ms", "123456"));
        assert_eq!(answer.responses[0].error_code, 0);
        cluster.lose_power(first);
        let second = run_until_another_decides(&cluster, first);
        assert!(cluster.node(second).node.quorum().epoch > epoch);
        cluster.run_until("the others lead, and know what was set", |cluster| {
            cluster.living().all(|node| {
                let told = partitions(node, "kept");
                told.len() == 6
                    && told.iter().all(|told| told.leader != first && told.leader > 0)
                    && config(node, "kept", "retention.ms").as_deref() == Some("123456")
            })
        });
        in_sync(&cluster, "kept", 2);
        write(&cluster, "kept");
        created(&cluster, other(&cluster, second), "later", 2);

        cluster.start_again(first);
        cluster.run_until("it is back", |cluster| cluster.node(first).node.is_running());
        assert_eq!(cluster.node(first).node.quorum().state, "follower");
        in_sync(&cluster, "kept", 3);
        in_sync(&cluster, "later", 3);
        write(&cluster, "kept");
        check_equal(&cluster, "kept");
        check_metadata(&cluster);
        assert_eq!(config(cluster.node(first), "kept", "retention.ms").as_deref(), Some("123456"));
    });
}

#[test]
fn a_controller_that_is_cut_off_answers_nothing_as_done_and_its_decisions_are_cut_from_its_log() {
    in_both_quorums(|plan| {
        let cluster = Cluster::of(plan);
        created(&cluster, 1, "before", 2);
        let first = cluster.active().unwrap();
        let others: Vec<i32> = (1..=3).filter(|id| *id != first).collect();
        for other in &others {
            cluster.network.cut(first, *other);
            cluster.network.cut(*other, first);
        }
        let lost = create(cluster.node(first), "lost", 1, &[]);
        let own_end = cluster.node(first).node.quorum();
        assert!(own_end.log_end > own_end.high_watermark, "it has decided, and nobody else has it: {own_end:?}");
        let answer = wait(&cluster, "it is refused", &lost);
        assert_eq!(code(&answer), ErrorCode::NotController);
        let second = run_until_another_decides(&cluster, first);
        let by_others = create(cluster.node(other(&cluster, first)), "by-others", 1, &[]);
        // Two brokers live, as far as the new controller can tell, once the session of the third has run out.
        let answer = wait(&cluster, "the others decide", &by_others);
        assert!(matches!(code(&answer), ErrorCode::None | ErrorCode::InvalidReplicationFactor), "{answer:?}");
        assert!(metadata_log(&cluster, first) != metadata_log(&cluster, second));

        cluster.network.heal();
        cluster.run_until("it follows", |cluster| {
            let (first, second) = (cluster.node(first).node.quorum(), cluster.node(second).node.quorum());
            first.leader == second.leader && first.log_end == second.log_end && second.log_end == second.high_watermark
        });
        created(&cluster, first, "after", 2);
        assert!(cluster.living().all(|node| partitions(node, "lost").is_empty()));
        in_sync(&cluster, "before", 3);
        check_metadata(&cluster);
    });
}

#[test]
fn a_voter_whose_log_ends_before_that_of_the_others_begins_gets_their_snapshot() {
    let properties = "metadata.log.max.record.bytes.between.snapshots=3000\nmetadata.max.retention.bytes=5000";
    for voters in [Voters::Static, Voters::Dynamic(3)] {
        let mut cluster = Cluster::of(Plan { properties: properties.to_owned(), ..Plan::new(3, voters) });
        created(&cluster, 1, "before", 2);
        let away = other(&cluster, cluster.active().unwrap());
        cluster.lose_power(away);
        let end = metadata_log(&cluster, away).last_key_value().map(|(_, batch)| batch.0).unwrap();
        cluster.run_until("others lead", |cluster| {
            cluster.living().all(|node| partitions(node, "before").iter().all(|told| told.leader != away))
        });
        let active = cluster.active().unwrap();
        let oldest = |cluster: &Cluster| {
            let names = cluster.world(active).disk.list(Path::new(METADATA)).unwrap().into_iter().map(|(name, _)| name);
            let oldest = names.filter(|name| name.ends_with(".checkpoint")).min().unwrap();
            oldest[..20].parse::<i64>().unwrap()
        };
        let mut value = String::new();
        for round in 0..100 {
            if oldest(&cluster) > end.0 + 1 {
                break;
            }
            value = format!("{}", 100_000 + round);
            let set = set_config(cluster.node(active), "before", "retention.ms", &value);
            let _ = wait(&cluster, "it is set", &set);
        }
        assert!(oldest(&cluster) > end.0 + 1, "the others have cut their logs");
        cluster.start_again(away);
        cluster.run_until("it is back", |cluster| cluster.node(away).node.is_running());
        in_sync(&cluster, "before", 3);
        assert_eq!(config(cluster.node(away), "before", "retention.ms"), Some(value));
        assert!(metadata_log(&cluster, away).first_key_value().is_none_or(|(base, _)| *base > end));
        write(&cluster, "before");
        check_equal(&cluster, "before");
        check_metadata(&cluster);
    }
}

#[test]
fn a_log_that_ends_before_its_newest_snapshot_starts_anew_there() {
    let properties = "metadata.log.max.record.bytes.between.snapshots=3000";
    let mut cluster = Cluster::of(Plan { properties: properties.to_owned(), ..Plan::new(3, Voters::Static) });
    created(&cluster, 1, "before", 2);
    let away = other(&cluster, cluster.active().unwrap());
    cluster.lose_power(away);
    let active = cluster.active().unwrap();
    for round in 0..20 {
        let value = format!("{}", 100_000 + round);
        let _ = wait(&cluster, "it is set", &set_config(cluster.node(active), "before", "retention.ms", &value));
    }
    // It had fetched the snapshot and given it its name, and has died before it could begin its log behind it.
    let disk = &cluster.world(active).disk;
    let names = disk.list(Path::new(METADATA)).unwrap().into_iter().map(|(name, _)| name);
    let newest = names.filter(|name| name.ends_with(".checkpoint")).max().unwrap();
    let path = Path::new(METADATA).join(&newest);
    let contents = ottla_log::read_file(disk, &path, 1 << 20).unwrap().unwrap();
    ottla_log::replace_file(&cluster.world(away).disk, &path, &contents).unwrap();
    cluster.start_again(away);
    let offset: i64 = newest[..20].parse().unwrap();
    assert_eq!(cluster.node(away).node.quorum().log_end, offset);
    cluster.run_until("it is back", |cluster| cluster.node(away).node.is_running());
    in_sync(&cluster, "before", 3);
    assert!(metadata_log(&cluster, away).first_key_value().is_some_and(|(base, _)| base.0 == offset));
    write(&cluster, "before");
    check_equal(&cluster, "before");
    check_metadata(&cluster);
}

#[test]
fn one_voter_of_three_decides_nothing_until_another_is_back() {
    in_both_quorums(|plan| {
        let mut cluster = Cluster::of(plan);
        created(&cluster, 1, "kept", 2);
        write(&cluster, "kept");
        let left = cluster.active().unwrap();
        let gone: Vec<i32> = (1..=3).filter(|id| *id != left).collect();
        gone.iter().for_each(|id| cluster.kill(*id));
        let asked = create(cluster.node(left), "undecided", 1, &[]);
        let answer = wait(&cluster, "it is refused", &asked);
        assert_eq!(code(&answer), ErrorCode::NotController);
        cluster.run_until("it gives up", |cluster| !cluster.node(left).node.quorum().is_active);
        let asked = create(cluster.node(left), "undecided", 1, &[]);
        let answer = wait(&cluster, "it is refused", &asked);
        assert_eq!(code(&answer), ErrorCode::RequestTimedOut);
        let before = cluster.node(left).node.quorum().high_watermark;
        cluster.run_for(Duration::from_secs(30));
        assert_eq!(cluster.node(left).node.quorum().high_watermark, before);

        cluster.start_again(gone[0]);
        cluster.run_until("two of three decide", |cluster| cluster.active().is_some());
        cluster.start_again(gone[1]);
        cluster.run_until("all run", |cluster| cluster.living().all(|running| running.node.is_running()));
        in_sync(&cluster, "kept", 3);
        write(&cluster, "kept");
        created(&cluster, left, "decided", 2);
        check_metadata(&cluster);
    });
}

#[test]
fn all_nodes_may_go_at_once_and_come_back_with_what_they_had() {
    in_both_quorums(|plan| {
        let mut cluster = Cluster::of(plan);
        created(&cluster, 1, "kept", 3);
        write(&cluster, "kept");
        (1..=3).for_each(|id| cluster.kill(id));
        (1..=3).for_each(|id| cluster.start_again(id));
        cluster.run_until("all run", |cluster| cluster.living().all(|running| running.node.is_running()));
        in_sync(&cluster, "kept", 3);
        check_equal(&cluster, "kept");
        let log = harness::asking::batches(&cluster, 1, "/data/kept-0");
        assert!(!log.is_empty(), "what was acknowledged is there");
        write(&cluster, "kept");
        check_metadata(&cluster);
    });
}
