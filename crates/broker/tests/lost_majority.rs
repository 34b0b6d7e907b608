//! A majority of the voters is lost for ever: one survivor is made the only voter, and the cluster goes on with what it knew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use core::time::Duration;
use harness::asking::{Told, created, describe, in_sync, partitions, voters, wait, write};
use harness::cluster::{Cluster, Plan, Voters, directory};
use harness::{Formatting, World};
use ottla_broker::{Recovery, RecoveryError, Survivor};
use ottla_env::{Disk, OpenMode};
use ottla_env_sim::CrashMode;
use ottla_log::format::format_clean_shutdown;
use ottla_protocol::messages::AddRaftVoterRequest;
use ottla_protocol::messages::add_raft_voter_request::Listener;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use ottla_types::{NodeId, Uuid};
use std::collections::BTreeSet;
use std::path::Path;

const METADATA: &str = "/data/__cluster_metadata-0";

fn survivor(world: &World) -> Survivor {
    Survivor::read(&world.environment(), &world.config()).unwrap()
}

/// The second and the third, with their disks.
fn lost() -> BTreeSet<NodeId> {
    BTreeSet::from([NodeId(2), NodeId(3)])
}

/// What a clean stop leaves: a broker that has crashed is not in sync with brokers that are lost, until somebody elects it all the same.
fn mark_as_stopped(world: &World) {
    let broker = survivor(world).image.cluster.broker(world.config().node_id).unwrap().clone();
    let contents = format_clean_shutdown(broker.epoch);
    ottla_log::replace_file(&world.disk, Path::new("/data/.kafka_cleanshutdown"), contents.as_bytes()).unwrap();
}

fn recover(world: &World) {
    mark_as_stopped(world);
    let survivor = survivor(world);
    let recovery = Recovery::of(&survivor, &world.config(), &lost()).unwrap();
    recovery.write(&world.environment(), &survivor, Path::new("/backup")).unwrap();
}

/// What the operator writes into the properties of a node where voters are configured.
fn name_alone(world: &mut World, id: i32) {
    let line = |line: &str| {
        let others = line.starts_with("controller.quorum.voters=");
        if others { format!("controller.quorum.voters={id}@node{id}:19093\n") } else { format!("{line}\n") }
    };
    world.properties = world.properties.lines().map(line).collect();
}

/// A node whose disk is new, as a controller that asks others for the voters.
fn renew(cluster: &mut Cluster, id: i32) -> Uuid {
    let place = usize::try_from(id).unwrap() - 1;
    let old = &cluster.worlds[place];
    let directory = Uuid::from_u128(0xd2 << 64 | u128::from(id.unsigned_abs()));
    let formatting = Formatting { is_dynamic: true, directory: Some(directory), ..Formatting::default() };
    // The first line names the node, which formatting does too.
    let properties: String =
        old.properties.lines().filter(|line| !line.starts_with("node.id")).fold(String::new(), |text, line| {
            if line.starts_with("log.dirs") || line.starts_with("controller.listener.names") {
                text
            } else {
                text + line + "\n"
            }
        });
    let random = old.random.clone();
    cluster.worlds[place] = World::formatted(id, cluster.clock.clone(), "/data", &properties, &formatting);
    cluster.worlds[place].random = random;
    cluster.start_again(id);
    directory
}

fn add_voter(cluster: &Cluster, by: i32, id: i32, directory: Uuid) {
    cluster.run_until("it follows", |cluster| {
        let end = cluster.node(by).node.quorum().high_watermark;
        cluster.node(id).node.quorum().high_watermark >= end && end > 0
    });
    let host = format!("node{id}");
    let listener = Listener { name: "CONTROLLER".to_owned(), host, port: 19093, ..Default::default() };
    let request = AddRaftVoterRequest {
        cluster_id: None,
        voter_id: id,
        voter_directory_id: directory,
        listeners: vec![listener],
        timeout_ms: 10_000,
        ack_when_committed: true,
        ..Default::default()
    };
    let answer = wait(cluster, "a voter is added", &cluster.node(by).send(&request));
    assert_eq!(answer.error_code, 0, "{answer:?}");
}

fn create_with(cluster: &Cluster, by: i32, name: &str, replication_factor: i16) -> CreateTopicsResponse {
    let topic = CreatableTopic { name: name.to_owned(), num_partitions: 2, replication_factor, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    wait(cluster, "the topic is created or refused", &cluster.node(by).send(&request))
}

fn producer_ids_of(world: &World) -> i64 {
    survivor(world).image.next_producer_id.0
}

#[test]
fn the_survivor_decides_alone_with_all_that_its_log_held_whoever_names_the_voters() {
    for voters_by in [Voters::Static, Voters::Dynamic(3)] {
        let mut cluster = Cluster::of(Plan::new(3, voters_by));
        created(&cluster, 1, "kept", 3);
        in_sync(&cluster, "kept", 3);
        write(&cluster, "kept");
        (1..=3).for_each(|id| cluster.kill(id));
        let before = survivor(cluster.world(1));
        if voters_by == Voters::Static {
            let refused = Recovery::of(&before, &cluster.world(1).config(), &lost()).err();
            assert!(matches!(refused, Some(RecoveryError::ConfiguredVoters(_))), "{refused:?}");
            name_alone(&mut cluster.worlds[0], 1);
        }
        recover(cluster.world(1));
        let after = survivor(cluster.world(1));
        assert!(after.end.epoch > before.epoch && after.end.offset > before.end.offset);
        cluster.start_again(1);
        // It leads at once, and has fenced those that are gone as soon as their sessions are over.
        assert!(cluster.node(1).node.quorum().is_active);
        assert_eq!(voters(&cluster, 1), [1]);
        cluster.run_for(Duration::from_secs(30));
        let told = partitions(cluster.node(1), "kept");
        let leads = |told: &Told| told.leader == 1 && told.in_sync.contains(&1);
        assert!(told.len() == 3 && told.iter().all(leads), "{voters_by:?}: {told:?}");
        let pending = cluster.node(1).produce("kept", 0, 1, 7);
        cluster.run_until("what has one copy is acknowledged where that is enough", |_| {
            pending.partition().is_some_and(|partition| partition.error_code == 0)
        });
        let answer = create_with(&cluster, 1, "later", 1);
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
        let log = harness::asking::batches(&cluster, 1, "/data/kept-0");
        assert!(!log.is_empty(), "what was acknowledged is there");
        assert!(cluster.world(1).exists("/backup/quorum-state"), "the log as it was is in the backup");
    }
}

#[test]
fn a_node_that_knows_more_than_the_survivor_follows_it_and_lost_voters_that_return_do_too() {
    let mut cluster = Cluster::of(Plan::new(4, Voters::Dynamic(3)));
    created(&cluster, 1, "kept", 2);
    in_sync(&cluster, "kept", 3);
    cluster.kill(1);
    // What the others decide without it: the fourth node, which is no voter, knows it too.
    cluster.run_until("others decide", |cluster| cluster.active().is_some());
    let answer = create_with(&cluster, 4, "lost", 2);
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    cluster.run_until("the fourth knows it", |cluster| !partitions(cluster.node(4), "lost").is_empty());
    let epochs: Vec<_> =
        survivor(cluster.world(1)).image.topics.partitions().map(|(_, _, it)| it.leader_epoch).collect();
    cluster.kill(2);
    cluster.kill(3);
    recover(cluster.world(1));
    let raised = survivor(cluster.world(1));
    let raised = raised.image.topics.partitions().map(|(_, _, partition)| partition.leader_epoch);
    assert!(raised.zip(&epochs).all(|(now, then)| now.0 >= then.0 + 1_000), "no epoch of a leader comes twice");
    let end = cluster.node(4).node.quorum().log_end;
    assert!(survivor(cluster.world(1)).end.offset.0 > end);
    cluster.start_again(1);
    cluster.run_until("the fourth has forgotten what is lost", |cluster| {
        partitions(cluster.node(4), "lost").is_empty() && partitions(cluster.node(4), "kept").len() == 2
    });
    assert_eq!(describe(&cluster, 4).1.leader_id, 1);
    let answer = create_with(&cluster, 4, "later", 2);
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");

    // A lost voter comes back with the directory that it had, and a log of its own.
    cluster.start_again(2);
    cluster.run_until("it follows", |cluster| {
        cluster.node(2).node.is_running() && cluster.node(2).node.quorum().leader == 1
    });
    cluster.run_until("it knows what the others know", |cluster| {
        partitions(cluster.node(2), "lost").is_empty() && !partitions(cluster.node(2), "later").is_empty()
    });
    assert_eq!(voters(&cluster, 2), [1]);
    add_voter(&cluster, 1, 2, directory(2));
    add_voter(&cluster, 1, 4, directory(4));
    assert_eq!(voters(&cluster, 4), [1, 2, 4]);
    in_sync(&cluster, "later", 2);
    cluster.kill(1);
    cluster.run_until("the new majority decides", |cluster| cluster.active().is_some());
    let answer = create_with(&cluster, 2, "without-the-survivor", 2);
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
}

#[test]
fn two_nodes_with_new_disks_become_voters_and_get_their_replicas_back() {
    let mut cluster = Cluster::of(Plan::new(3, Voters::Dynamic(3)));
    created(&cluster, 1, "kept", 3);
    in_sync(&cluster, "kept", 3);
    write(&cluster, "kept");
    (1..=3).for_each(|id| cluster.kill(id));
    recover(cluster.world(1));
    cluster.start_again(1);
    for id in [2, 3] {
        let directory = renew(&mut cluster, id);
        cluster.run_until("it runs", |cluster| cluster.node(id).node.is_running());
        add_voter(&cluster, 1, id, directory);
    }
    assert_eq!(voters(&cluster, 3), [1, 2, 3]);
    in_sync(&cluster, "kept", 3);
    write(&cluster, "kept");
    harness::asking::check_equal(&cluster, "kept");
    harness::asking::check_metadata(&cluster);
    cluster.lose_power(1);
    cluster.run_until("the new voters decide", |cluster| cluster.active().is_some());
    in_sync(&cluster, "kept", 2);
    write(&cluster, "kept");
}

#[test]
fn when_no_voter_is_left_a_node_that_only_followed_becomes_the_only_one() {
    let mut cluster = Cluster::of(Plan::new(4, Voters::Dynamic(3)));
    created(&cluster, 1, "kept", 2);
    (1..=4).for_each(|id| cluster.kill(id));
    recover(cluster.world(4));
    cluster.start_again(4);
    assert!(cluster.node(4).node.quorum().is_active);
    assert_eq!(voters(&cluster, 4), [4]);
    assert_eq!(partitions(cluster.node(4), "kept").len(), 2);
    cluster.run_until("it serves", |cluster| cluster.node(4).node.is_running());
    let answer = create_with(&cluster, 4, "later", 1);
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
}

#[test]
fn a_crash_at_any_step_leaves_the_node_as_it_was_or_recovered() {
    let mut cluster = Cluster::of(Plan::new(3, Voters::Dynamic(3)));
    created(&cluster, 1, "kept", 2);
    (1..=3).for_each(|id| cluster.kill(id));
    let world = cluster.world(1);
    let first = survivor(world);
    let ids = producer_ids_of(world);
    let mut deaths = 0;
    let recovered = loop {
        let before = survivor(world);
        let recovery = Recovery::of(&before, &world.config(), &lost()).unwrap();
        let backup = format!("/backup-{deaths}");
        world.disk.die_at(world.disk.operations() + deaths);
        let written = recovery.write(&world.environment(), &before, Path::new(&backup));
        let has_died = world.disk.is_dead();
        world.disk.crash(CrashMode::LoseAll);
        let after = survivor(world);
        if after.snapshot == Some(recovery.snapshot) {
            break recovery.snapshot;
        }
        assert!(has_died && written.is_err(), "step {deaths} has done nothing");
        assert_eq!((after.end, after.snapshot), (first.end, first.snapshot), "step {deaths}");
        deaths += 1;
    };
    assert!(deaths > 10, "there are more steps than {deaths}");
    assert!(ids < 0 || producer_ids_of(world) >= ids + 1_000_000);
    cluster.start_again(1);
    assert!(cluster.node(1).node.quorum().is_active);
    assert!(cluster.node(1).node.quorum().epoch > recovered.0.epoch.0);
    assert_eq!(partitions(cluster.node(1), "kept").len(), 2);
}

fn segment(world: &World) -> (String, u64) {
    let names = world.disk.list(Path::new(METADATA)).unwrap().into_iter().map(|(name, _)| name);
    let name = names.filter(|name| name.ends_with(".log")).max().unwrap();
    let path = format!("{METADATA}/{name}");
    let length = world.file_length(&path);
    (path, length)
}

#[test]
fn a_torn_end_does_not_count_and_damage_before_it_is_refused() {
    let mut cluster = Cluster::of(Plan::new(3, Voters::Dynamic(3)));
    created(&cluster, 1, "kept", 2);
    (1..=3).for_each(|id| cluster.kill(id));
    let world = cluster.world(1);
    let whole = survivor(world);
    let (path, length) = segment(world);
    world.disk.corrupt(Path::new(&path), length - 1, b"~");
    let torn = survivor(world);
    assert!(torn.torn_bytes > 0 && torn.end.offset < whole.end.offset, "{:?} and {:?}", torn.end, whole.end);
    // The same, with another segment behind.
    let later = format!("{METADATA}/{:020}.log", whole.end.offset.0);
    drop(world.disk.open(Path::new(&later), OpenMode::CreateNew).unwrap());
    let refused = Survivor::read(&world.environment(), &world.config()).err();
    assert!(matches!(refused, Some(RecoveryError::Damaged { .. })), "{refused:?}");
}

#[test]
fn what_is_no_survivor_is_refused() {
    let mut cluster = Cluster::of(Plan::new(3, Voters::Dynamic(3)));
    (1..=3).for_each(|id| cluster.kill(id));
    let world = cluster.world(1);
    let read = |change: &dyn Fn(&str) -> String| {
        let mut config = change(&world.properties);
        config.push('\n');
        let parsed = ottla_config::properties::parse(config.as_bytes(), "test").unwrap();
        let (config, _) = ottla_config::NodeConfig::from_properties(parsed).unwrap();
        Survivor::read(&world.environment(), &config).err()
    };
    let other = read(&|properties| properties.replace("node.id=1", "node.id=7"));
    assert!(matches!(other, Some(RecoveryError::OtherNode { .. })), "{other:?}");
    let empty = read(&|properties| properties.replace("log.dirs=/data", "log.dirs=/nothing"));
    assert!(matches!(empty, Some(RecoveryError::Unformatted(_))), "{empty:?}");
    let broker =
        read(&|properties| properties.replace("broker,controller", "broker").replace(",CONTROLLER://node1:19093", ""));
    assert!(matches!(broker, Some(RecoveryError::NoController)), "{broker:?}");
    recover(world);
    let survivor = survivor(world);
    let again = Recovery::of(&survivor, &world.config(), &lost()).unwrap();
    let taken = again.write(&world.environment(), &survivor, Path::new("/backup"));
    assert!(matches!(taken, Err(RecoveryError::BackupExists(_))), "{taken:?}");
    assert_eq!(self::survivor(world).end, survivor.end, "nothing was changed");
}
