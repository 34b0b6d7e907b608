//! What the configuration says of a cluster is what its nodes do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use core::time::Duration;
use harness::cluster::Cluster;
use harness::{Pending, Running, World};
use ottla_env::{Clock as _, DiskOperation};
use ottla_env_sim::{Fault, FaultKind, SimClock};
use ottla_protocol::ApiKey;
use ottla_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, FetchRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, MetadataRequest,
    metadata_response,
};
use ottla_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The lanes of requests to other nodes.
const METADATA: u16 = 1;
const LIFECYCLE: u16 = 2;
const CONTROLLER: u16 = 3;
const FETCHERS: u16 = 16;

/// Creates a topic of which each partition lies on these brokers.
fn create(cluster: &Cluster, name: &str, assignments: &[&[i32]]) {
    let assignments = (0..).zip(assignments).map(|(index, brokers)| CreatableReplicaAssignment {
        partition_index: index,
        broker_ids: brokers.to_vec(),
        ..Default::default()
    });
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments.collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let created = cluster.nodes[0].send(&request);
    cluster.run_until("the topic is created", |_| {
        created.take().is_some_and(|answer| {
            assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
            true
        })
    });
    cluster.run_until("everybody knows the topic", |cluster| {
        cluster.living().all(|node| !partitions(node, name).is_empty())
    });
}

fn partitions(node: &Running, name: &str) -> Vec<metadata_response::MetadataResponsePartition> {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let response = node.ask(&MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
    response.topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

fn leaders(node: &Running, name: &str) -> Vec<i32> {
    partitions(node, name).iter().map(|partition| partition.leader_id).collect()
}

/// Sets a key for all brokers of the cluster.
fn set_for_all(cluster: &Cluster, name: &str, value: &str) {
    const SET: i8 = 0;
    const BROKER: i8 = 4;
    let config = AlterableConfig {
        name: name.to_owned(),
        config_operation: SET,
        value: Some(value.to_owned()),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: BROKER,
        resource_name: String::new(),
        configs: vec![config],
        ..Default::default()
    };
    let altered =
        cluster.nodes[0].send(&IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() });
    cluster.run_until("the configuration is altered", |_| {
        altered.take().is_some_and(|answer| {
            assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
            true
        })
    });
}

/// How long it takes until something is so.
fn time_until(cluster: &Cluster, what: &str, is_so: impl Fn(&Cluster) -> bool) -> Duration {
    let start = cluster.clock.monotonic();
    cluster.run_until(what, is_so);
    cluster.clock.monotonic().since(start)
}

fn run_for(cluster: &Cluster, time: Duration) {
    let end = cluster.clock.monotonic() + time;
    while cluster.clock.monotonic() < end {
        cluster.step();
    }
}

fn seconds(range: core::ops::Range<f64>) -> core::ops::Range<Duration> {
    Duration::from_secs_f64(range.start)..Duration::from_secs_f64(range.end)
}

/// Writes a record to each partition, which all replicas in sync have to acknowledge.
fn write(cluster: &Cluster, topic: &str) {
    for (index, leader) in (0..).zip(leaders(cluster.living().next().unwrap(), topic)) {
        let leader = &cluster.nodes[usize::try_from(leader).unwrap() - 1];
        let written = leader.produce(topic, index, -1, 1);
        cluster.run_until("it is acknowledged", |_| {
            Pending::partition(&written).is_some_and(|answer| {
                assert_eq!(answer.error_code, 0, "{answer:?}");
                true
            })
        });
    }
}

#[test]
fn a_follower_that_lags_for_longer_than_the_configured_time_is_not_in_sync() {
    // The controller does not notice the death.
    let mut cluster = Cluster::start_with(3, "broker.session.timeout.ms=600000\nreplica.lag.time.max.ms=2000");
    create(&cluster, "lagging", &[&[2, 3, 1]]);
    run_for(&cluster, Duration::from_secs(3));
    write(&cluster, "lagging");
    assert_eq!(partitions(&cluster.nodes[0], "lagging")[0].isr_nodes.len(), 3);
    cluster.lose_power(3);
    // A follower that has everything is in sync, however silent it is.
    cluster.nodes[1].produce("lagging", 0, 1, 1);
    let took = time_until(&cluster, "the dead follower is not in sync", |cluster| {
        let in_sync = &partitions(&cluster.nodes[0], "lagging")[0].isr_nodes;
        in_sync.len() == 2 && !in_sync.contains(&3)
    });
    // It was caught up for the last time half a second before at the earliest, and is looked at each second.
    assert!(seconds(1.4..3.2).contains(&took), "{took:?}");
    write(&cluster, "lagging");
}

#[test]
fn followers_ask_for_what_the_file_says() {
    let cluster = Cluster::start_with(
        3,
        "replica.fetch.max.bytes=12345\nreplica.fetch.min.bytes=23\nreplica.fetch.response.max.bytes=54321\n\
         replica.fetch.wait.max.ms=1234\nreplica.socket.timeout.ms=5678",
    );
    create(&cluster, "asked", &[&[1, 2, 3], &[2, 3, 1]]);
    // A leader that is new to it keeps nobody waiting for long at first.
    run_for(&cluster, Duration::from_millis(500));
    cluster.network.seen();
    run_for(&cluster, Duration::from_secs(5));
    write(&cluster, "asked");
    let seen = cluster.network.seen();
    let fetches: Vec<_> = seen.iter().filter(|seen| seen.to.lane >= FETCHERS).collect();
    assert!(fetches.iter().all(|fetch| fetch.within == Duration::from_millis(5678)));
    let fetches: Vec<FetchRequest> = fetches.iter().filter_map(|seen| seen.request()).collect();
    // Idle followers wait for as long as they say.
    assert!((10..60).contains(&fetches.len()), "{}", fetches.len());
    for fetch in &fetches {
        assert_eq!((fetch.max_wait_ms, fetch.min_bytes, fetch.max_bytes), (1234, 23, 54_321));
    }
    let partitions: Vec<_> =
        fetches.iter().flat_map(|fetch| &fetch.topics).flat_map(|topic| &topic.partitions).collect();
    assert!(!partitions.is_empty() && partitions.iter().all(|asked| asked.partition_max_bytes == 12_345));
}

#[test]
fn nodes_wait_for_answers_for_as_long_as_the_file_says() {
    let cluster = Cluster::start_with(
        2,
        "controller.socket.timeout.ms=7000\nbroker.session.timeout.ms=8000\n\
         controller.quorum.request.timeout.ms=3000\ncontroller.quorum.fetch.max.bytes=4567\n\
         request.timeout.ms=6000",
    );
    cluster.network.seen();
    create(&cluster, "waiting", &[&[2, 1]]);
    write(&cluster, "waiting");
    run_for(&cluster, Duration::from_secs(3));
    // The second node asks the controller for these, and for a topic.
    let _ = partitions(&cluster.nodes[1], "makes-itself");
    let init =
        InitProducerIdRequest { transactional_id: None, producer_id: -1, producer_epoch: -1, ..Default::default() };
    let given = cluster.nodes[1].send(&init);
    cluster.run_until("there is a producer id", |_| given.take().is_some_and(|answer| answer.error_code == 0));
    let seen = cluster.network.seen();
    let within = |lane: u16| -> BTreeSet<Duration> {
        seen.iter().filter(|seen| seen.to.lane == lane).map(|seen| seen.within).collect()
    };
    assert_eq!(within(METADATA), BTreeSet::from([Duration::from_secs(3)]));
    assert_eq!(within(LIFECYCLE), BTreeSet::from([Duration::from_secs(4)]), "half a session");
    let asked = seen.iter().filter(|seen| seen.to.lane == CONTROLLER).map(|seen| (seen.key, seen.within));
    let (topics, others): (Vec<_>, Vec<_>) = asked.partition(|(key, _)| *key == ApiKey::CreateTopics);
    assert_eq!(topics, [(ApiKey::CreateTopics, Duration::from_secs(6))]);
    assert_eq!(others, [(ApiKey::AllocateProducerIds, Duration::from_secs(7))]);
    let fetches = seen.iter().filter(|seen| seen.to.lane == METADATA).filter_map(|seen| seen.request::<FetchRequest>());
    assert_eq!(fetches.map(|fetch| fetch.max_bytes).collect::<BTreeSet<_>>(), BTreeSet::from([4567]));
}

/// The lanes on which followers ask for partitions within three seconds.
fn fetcher_lanes(cluster: &Cluster, topic: &str) -> BTreeSet<u16> {
    cluster.network.seen();
    write(cluster, topic);
    run_for(cluster, Duration::from_secs(3));
    let seen = cluster.network.seen();
    seen.iter().map(|seen| seen.to.lane).filter(|lane| *lane >= FETCHERS).collect()
}

#[test]
fn there_are_as_many_fetchers_as_configured_also_after_a_change_at_run_time() {
    let cluster = Cluster::start_with(3, "num.replica.fetchers=2");
    create(&cluster, "fetched", &[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3], &[1, 2, 3], &[1, 2, 3], &[1, 2, 3]]);
    run_for(&cluster, Duration::from_secs(2));
    write(&cluster, "fetched");
    assert_eq!(fetcher_lanes(&cluster, "fetched"), BTreeSet::from([FETCHERS, FETCHERS + 1]));
    for (count, lanes) in [(4, FETCHERS..FETCHERS + 4), (2, FETCHERS..FETCHERS + 2), (1, FETCHERS..FETCHERS + 1)] {
        set_for_all(&cluster, "num.replica.fetchers", &count.to_string());
        // What the fetchers that are too many have asked for is answered first.
        run_for(&cluster, Duration::from_secs(2));
        assert_eq!(fetcher_lanes(&cluster, "fetched"), lanes.collect(), "{count}");
    }
    let in_sync = partitions(&cluster.nodes[0], "fetched");
    assert!(in_sync.iter().all(|partition| partition.isr_nodes.len() == 3), "{in_sync:?}");
}

/// A cluster whose third broker was away, with a partition that it is to lead.
fn back_from_the_dead(properties: &str) -> Cluster {
    let mut cluster = Cluster::start_with(3, properties);
    create(&cluster, "led", &[&[3, 1, 2]]);
    run_for(&cluster, Duration::from_secs(2));
    cluster.lose_power(3);
    cluster.run_until("another leads", |cluster| leaders(&cluster.nodes[0], "led") == [1]);
    cluster.start_again(3);
    cluster.run_until("it is in sync", |cluster| partitions(&cluster.nodes[0], "led")[0].isr_nodes.contains(&3));
    cluster
}

#[test]
fn a_preferred_replica_leads_again_after_the_configured_time() {
    let cluster = back_from_the_dead("leader.imbalance.check.interval.seconds=3");
    let took = time_until(&cluster, "it leads", |cluster| leaders(&cluster.nodes[0], "led") == [3]);
    assert!(seconds(0.0..3.2).contains(&took), "{took:?}");
}

#[test]
fn a_preferred_replica_does_not_lead_again_where_that_is_switched_off() {
    let cluster = back_from_the_dead("leader.imbalance.check.interval.seconds=3\nauto.leader.rebalance.enable=false");
    run_for(&cluster, Duration::from_secs(20));
    assert_eq!(leaders(&cluster.nodes[0], "led"), [1]);
}

#[test]
fn an_unclean_leader_is_elected_once_the_cluster_allows_it_at_run_time() {
    let mut cluster = Cluster::start_with(3, "unclean.leader.election.interval.ms=2000");
    create(&cluster, "unclean", &[&[2, 3]]);
    run_for(&cluster, Duration::from_secs(2));
    write(&cluster, "unclean");
    cluster.lose_power(3);
    cluster.run_until("the other one is in sync alone", |cluster| {
        partitions(&cluster.nodes[0], "unclean")[0].isr_nodes == [2]
    });
    write(&cluster, "unclean");
    cluster.lose_power(2);
    cluster.run_until("nobody leads", |cluster| leaders(&cluster.nodes[0], "unclean") == [-1]);
    cluster.start_again(3);
    cluster.run_until("it runs", |cluster| cluster.nodes[2].node.is_running());
    run_for(&cluster, Duration::from_secs(10));
    assert_eq!(leaders(&cluster.nodes[0], "unclean"), [-1], "it has not all that was acknowledged");
    set_for_all(&cluster, "unclean.leader.election.enable", "true");
    let took = time_until(&cluster, "it leads", |cluster| leaders(&cluster.nodes[0], "unclean") == [3]);
    assert!(seconds(0.0..2.2).contains(&took), "{took:?}");
}

#[test]
fn a_stopping_broker_has_others_lead_first_unless_that_is_switched_off() {
    for (properties, leader) in [("", 1), ("controlled.shutdown.enable=false", 3)] {
        let cluster = Cluster::start_with(3, &format!("broker.session.timeout.ms=60000\n{properties}"));
        create(&cluster, "handed-over", &[&[3, 1]]);
        run_for(&cluster, Duration::from_secs(2));
        cluster.nodes[2].node.begin_leaving();
        assert_eq!(cluster.nodes[2].node.has_left(), leader == 3, "{properties}");
        // It may go when the others have told that they know who leads now.
        run_for(&cluster, Duration::from_secs(5));
        assert!(cluster.nodes[2].node.has_left());
        assert_eq!(leaders(&cluster.nodes[0], "handed-over"), [leader], "{properties}");
    }
}

#[test]
fn a_broker_that_nobody_registers_gives_up_after_the_configured_time() {
    let clock = Arc::new(SimClock::new(Timestamp(1_700_000_000_000)));
    let properties = "process.roles=broker\ncontroller.quorum.voters=1@node1:19093\n\
                      listeners=PLAINTEXT://node2:19092\ninitial.broker.registration.timeout.ms=3000";
    let running = World::member(2, clock.clone(), "/data", properties).start();
    let run_for = |ms: u64| {
        for _ in 0..ms {
            running.node.tick();
            clock.advance(Duration::from_millis(1));
        }
    };
    run_for(2990);
    assert_eq!(running.node.failure(), None);
    assert!(running.node.tick() <= clock.monotonic() + Duration::from_millis(10), "it looks at the end of its time");
    run_for(10);
    let failure = running.node.failure().unwrap();
    assert!(failure.contains("initial.broker.registration.timeout.ms"), "{failure}");
    assert!(failure.ends_with("(no active controller is known)"), "{failure}");
}

#[test]
fn the_controller_hears_of_a_failed_directory_before_the_next_heartbeat_is_due() {
    const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    const STORAGE_ERROR: i16 = 56;
    let world = World::new("/first,/second", "broker.heartbeat.interval.ms=8000");
    let running = world.start();
    running.create_topic("spread", 2, &[("flush.messages", "1")]);
    let victim = (0..2).find(|index| world.exists(&format!("/second/spread-{index}"))).unwrap();
    let lost = running.produce("spread", victim, -1, 1);
    world.disk.inject(Fault { operation: DiskOperation::Sync, after: 0, times: 1, kind: FaultKind::Error });
    running.node.sync();
    assert_eq!(lost.partition().unwrap().error_code, STORAGE_ERROR);
    running.node.tick();
    let refused = running.produce("spread", victim, -1, 1).partition().unwrap();
    assert_eq!(refused.error_code, NOT_LEADER_OR_FOLLOWER, "it leads there no more");
}

#[test]
fn a_node_alone_works_also_if_nothing_in_its_quorum_may_take_any_time() {
    let keys = ["election.timeout", "election.backoff.max", "fetch.timeout", "request.timeout", "retry.backoff"];
    let lines: String = keys.iter().map(|key| format!("controller.quorum.{key}.ms=0\n")).collect();
    let lines =
        format!("{lines}metadata.max.idle.interval.ms=0\nreplica.fetch.wait.max.ms=0\nreplica.lag.time.max.ms=0");
    let world = World::new("/data", &lines);
    let running = world.start();
    running.create_topic("here", 1, &[]);
    for _ in 0..100 {
        running.node.tick();
        world.clock.advance(Duration::from_millis(10));
    }
    assert_eq!(running.produce("here", 0, -1, 1).partition().unwrap().error_code, 0);
    assert_eq!(running.node.failure(), None);
    assert!(running.node.tick() > world.clock.monotonic() + Duration::from_millis(1), "it has time to sleep");
}
