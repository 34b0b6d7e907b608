//! Brokers that do anything in any order: what must hold after every single decision.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, registration, topic, topics};
use ottla_metadata::{LeaderRecoveryState, MetadataImage, Partition};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionRequest, BrokerHeartbeatRequest, DeleteTopicsRequest,
    ElectLeadersRequest, alter_partition_reassignments_request, alter_partition_request, delete_topics_request,
};
use ottla_types::{NodeId, PartitionIndex, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const BROKERS: i32 = 4;
const STEPS: usize = 300;
const SEEDS: u64 = 60;

/// A small generator: the same seed, the same schedule.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }
}

struct World {
    cluster: Cluster,
    dice: Dice,
    incarnations: u128,
    /// Whether any broker has crashed: only then may a leader come from outside of those who have everything.
    crashed: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self { cluster: Cluster::formatted(""), dice: Dice(seed), incarnations: 0, crashed: false };
        for id in 1..=BROKERS {
            world.register(id, true);
            world.beat(id, false, false);
        }
        world
    }

    fn epoch(&self, id: i32) -> Option<i64> {
        self.cluster.controller.image().cluster.broker(NodeId(id)).map(|broker| broker.epoch.0)
    }

    fn register(&mut self, id: i32, clean: bool) {
        self.incarnations += 1;
        let mut request = registration(id, self.incarnations);
        request.previous_broker_epoch = if clean { self.epoch(id).unwrap_or(-1) } else { -1 };
        if self.cluster.register(&request).error_code == 0 && !clean {
            self.crashed = true;
        }
    }

    fn beat(&mut self, id: i32, want_fence: bool, want_shut_down: bool) {
        let Some(epoch) = self.epoch(id) else { return };
        let request = BrokerHeartbeatRequest { want_fence, want_shut_down, ..self.cluster.alive(id, epoch) };
        self.cluster.heartbeat(&request);
    }

    /// Time passes; sessions run out.
    fn wait(&mut self) {
        self.cluster.pass(Duration::from_millis(4_000));
    }

    fn any_partition(&mut self) -> Option<(TopicId, PartitionIndex, Arc<Partition>)> {
        let image = self.cluster.controller.image().clone();
        let all: Vec<_> = image.topics.partitions().map(|(t, index, p)| (t.id, index, p.clone())).collect();
        if all.is_empty() { None } else { Some(all[self.dice.below(all.len())].clone()) }
    }

    /// A leader proposes some of its replicas as in sync.
    fn alter(&mut self) {
        let Some((topic_id, index, partition)) = self.any_partition() else { return };
        let leader = partition.leader.0;
        let Some(broker_epoch) = self.epoch(leader) else { return };
        let mut members = vec![leader];
        for id in partition.replicas.iter().map(|id| id.0).filter(|id| *id != leader) {
            if self.dice.below(2) == 0 {
                members.push(id);
            }
        }
        let state = |id: i32| alter_partition_request::BrokerState {
            broker_id: id,
            broker_epoch: self.epoch(id).unwrap_or(-1),
            ..Default::default()
        };
        let data = alter_partition_request::PartitionData {
            partition_index: index.0,
            leader_epoch: partition.leader_epoch.0,
            partition_epoch: partition.partition_epoch,
            new_isr_with_epochs: members.into_iter().map(state).collect(),
            ..Default::default()
        };
        let request = AlterPartitionRequest {
            broker_id: leader,
            broker_epoch,
            topics: vec![alter_partition_request::TopicData { topic_id, partitions: vec![data], ..Default::default() }],
            ..Default::default()
        };
        let context = self.cluster.context(3);
        let outcome = self.cluster.controller.alter_partition(&context, &request);
        self.cluster.commit(outcome);
    }

    /// An administrator moves a partition, or takes a move back.
    fn reassign(&mut self) {
        let Some((topic_id, index, _)) = self.any_partition() else { return };
        let name = self.cluster.controller.image().topics.topic(topic_id).unwrap().name.to_string();
        let mut target: Vec<i32> = (1..=BROKERS).collect();
        for end in (1..target.len()).rev() {
            let other = self.dice.below(end + 1);
            target.swap(end, other);
        }
        target.truncate(1 + self.dice.below(3));
        let replicas = (self.dice.below(4) > 0).then_some(target);
        let partition = alter_partition_reassignments_request::ReassignablePartition {
            partition_index: index.0,
            replicas,
            ..Default::default()
        };
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![alter_partition_reassignments_request::ReassignableTopic {
                name,
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let outcome = self.cluster.controller.alter_partition_reassignments(&request);
        self.cluster.commit(outcome);
    }

    fn create(&mut self) {
        let name = format!("t{}", self.dice.below(6));
        let factor = i16::try_from(1 + self.dice.below(3)).unwrap();
        let minimum = ["1", "2", "3"][self.dice.below(3)];
        self.cluster.create_topics(&topics([topic(&name, 3, factor, &[("min.insync.replicas", minimum)])]));
    }

    fn delete(&mut self) {
        let name = Some(format!("t{}", self.dice.below(6)));
        let request = DeleteTopicsRequest {
            topics: vec![delete_topics_request::DeleteTopicState { name, ..Default::default() }],
            ..Default::default()
        };
        let context = self.cluster.context(6);
        let outcome = self.cluster.controller.delete_topics(&context, &request);
        self.cluster.commit(outcome);
    }

    fn elect(&mut self) {
        let request = ElectLeadersRequest { election_type: 0, topic_partitions: None, ..Default::default() };
        let outcome = self.cluster.controller.elect_leaders(&request);
        self.cluster.commit(outcome);
    }

    fn step(&mut self) {
        let id = i32::try_from(1 + self.dice.below(usize::try_from(BROKERS).unwrap())).unwrap();
        match self.dice.below(18) {
            0 => self.beat(id, true, false),
            1 => self.beat(id, false, true),
            2 => self.register(id, true),
            3 if self.dice.below(3) == 0 => self.register(id, false),
            4 => self.wait(),
            5 | 6 => self.create(),
            7 => self.delete(),
            8 => self.elect(),
            9..=11 => self.alter(),
            12 => self.reassign(),
            _ => self.beat(id, false, false),
        }
    }
}

/// What must hold of every partition, and of the step from one image to the next.
fn check(before: &MetadataImage, after: &MetadataImage, crashed: bool) {
    for (topic, index, partition) in after.topics.partitions() {
        let at = format!("{}-{index} {partition:?}", topic.name);
        let replicas: BTreeSet<_> = partition.replicas.iter().collect();
        let in_sync: BTreeSet<_> = partition.in_sync_replicas.iter().collect();
        let eligible: BTreeSet<_> = partition.eligible_leader_replicas.iter().collect();
        assert_eq!(replicas.len(), partition.replicas.len(), "a replica twice: {at}");
        assert_eq!(partition.directories.len(), partition.replicas.len(), "{at}");
        assert!(in_sync.is_subset(&replicas) && eligible.is_subset(&replicas), "{at}");
        assert!(in_sync.is_disjoint(&eligible), "in sync and eligible: {at}");
        for id in &in_sync {
            let broker = after.cluster.broker(**id);
            assert!(broker.is_some_and(|broker| broker.is_active()), "{id} is in sync but not active: {at}");
        }
        if partition.has_leader() {
            assert!(in_sync.contains(&partition.leader), "the leader is not in sync: {at}");
        } else {
            assert!(in_sync.is_empty(), "in sync without a leader: {at}");
        }
        if !crashed {
            assert!(!in_sync.is_empty() || !eligible.is_empty(), "nobody has everything any more: {at}");
            assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovered, "{at}");
        }
        let Some(old) = before.topics.partition(topic.id, index) else { continue };
        assert!(partition.leader_epoch >= old.leader_epoch && partition.partition_epoch >= old.partition_epoch, "{at}");
        assert_eq!(partition == old, partition.partition_epoch == old.partition_epoch, "{at}");
        if partition.leader != old.leader {
            assert!(partition.leader_epoch > old.leader_epoch, "another leader in the same epoch: {at}");
        }
    }
}

#[test]
fn the_rules_of_partitions_hold_after_every_decision_of_any_schedule() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            let before = world.cluster.controller.image().clone();
            world.step();
            let after = world.cluster.controller.image().clone();
            let crashed = world.crashed;
            let checked = std::panic::catch_unwind(|| check(&before, &after, crashed));
            assert!(checked.is_ok(), "seed {seed}, step {step}");
        }
    }
}

#[test]
fn a_controller_that_starts_from_the_log_or_from_a_snapshot_is_where_the_old_one_was() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        let old = world.cluster.controller.image().clone();
        world.cluster.restart();
        assert_eq!(world.cluster.controller.image(), &old);
        let mut from_snapshot = MetadataImage::new();
        for record in old.to_records() {
            from_snapshot.replay(&record.record).unwrap();
        }
        from_snapshot.provenance = old.provenance;
        assert_eq!(from_snapshot, old);
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = |seed| {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.cluster.log
    };
    assert_eq!(log(5), log(5));
    let kinds = log(5).iter().fold(BTreeMap::new(), |mut kinds, record| {
        *kinds.entry(record.record.name()).or_insert(0) += 1;
        kinds
    });
    assert!(kinds.get("PartitionChangeRecord").is_some_and(|count| *count > 50), "{kinds:?}");
}
