//! Brokers, administrators and controllers that do anything in any order.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

mod administrators;
mod brokers;

use crate::cluster::Cluster;
use ottla_controller::format::FormatOptions;
use ottla_metadata::Partition;
use ottla_types::{MetadataVersion, NodeId, PartitionIndex, TopicId, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A small generator: the same seed, the same schedule.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn shuffled(&mut self, mut items: Vec<i32>) -> Vec<i32> {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
        items
    }
}

/// A broker's process, as it sees itself.
struct Process {
    incarnation: u128,
    directories: Vec<Uuid>,
    offline: Vec<Uuid>,
}

/// What has happened so far: some rules hold only as long as it has not.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Past {
    /// Records may have been lost, or what is known of who has them: a crash, a failed directory, another minimum of
    /// replicas in sync.
    pub(crate) lossy: bool,
    /// Somebody has asked for an unclean election, or a topic allows them.
    pub(crate) unclean: bool,
    /// Eligible leader replicas were off at some time.
    pub(crate) without_elr: bool,
    /// The last step was a leader's proposal.
    pub(crate) altered: bool,
}

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) past: Past,
    dice: Dice,
    processes: BTreeMap<i32, Process>,
    incarnations: u128,
    racks: bool,
}

impl World {
    /// A cluster of 3 to 7 brokers; size, level of `metadata.version` and features follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.below(2);
        let level = [33, 33, 33, 33, 25, 23, 17, 12][dice.below(8)];
        let mut options = FormatOptions { metadata_version: Some(MetadataVersion(level)), ..Default::default() };
        let has_elr = level >= 23 && !dice.one_in(4);
        if level >= 23 {
            options.feature_levels.insert("eligible.leader.replicas.version".to_owned(), i16::from(has_elr));
        }
        let count = i32::try_from(3 + dice.below(5)).unwrap();
        let racks = dice.one_in(2);
        let past = Past { without_elr: !has_elr, ..Default::default() };
        let cluster = Cluster::formatted_with("", &options);
        let mut world = Self { cluster, past, dice, processes: BTreeMap::new(), incarnations: 0, racks };
        for id in 1..=count {
            world.start(id, true);
            world.beat(id, false, false);
        }
        world
    }

    fn brokers(&self) -> Vec<i32> {
        self.processes.keys().copied().collect()
    }

    fn any_broker(&mut self) -> i32 {
        let brokers = self.brokers();
        brokers[self.dice.below(brokers.len())]
    }

    fn epoch(&self, id: i32) -> Option<i64> {
        self.cluster.controller.image().cluster.broker(NodeId(id)).map(|broker| broker.epoch.0)
    }

    fn any_partition(&mut self) -> Option<(TopicId, PartitionIndex, Arc<Partition>)> {
        let image = self.cluster.controller.image().clone();
        let all: Vec<_> = image.topics.partitions().map(|(t, index, p)| (t.id, index, p.clone())).collect();
        if all.is_empty() { None } else { Some(all[self.dice.below(all.len())].clone()) }
    }

    fn any_name(&mut self) -> String {
        format!("t{}", self.dice.below(6))
    }

    /// One decision, or the passing of some time.
    pub(crate) fn step(&mut self) {
        self.past.altered = false;
        let id = self.any_broker();
        match self.dice.below(40) {
            0 | 1 => self.beat(id, true, false),
            2 | 3 => self.beat(id, false, true),
            4 | 5 => self.start(id, true),
            6 if self.dice.one_in(3) => self.start(id, false),
            7 | 8 => {
                self.cluster.pass(Duration::from_millis(4_000));
            }
            9 if self.dice.one_in(3) => self.fail_directory(id),
            10 => self.assign_directories(id),
            11 if self.dice.one_in(4) => self.unregister(id),
            12 => self.delete(),
            13..=15 => self.create(),
            16 => self.grow(),
            17 | 18 => self.elect(),
            19 if self.dice.one_in(4) => self.set_minimum(),
            20 if self.dice.one_in(4) => self.switch_elr(),
            21..=23 => self.reassign(),
            24..=29 => self.alter(),
            _ => self.beat(id, false, false),
        }
    }

    /// Decides some things that are never committed, and loses the leadership.
    pub(crate) fn lose_leadership(&mut self) {
        let past = self.past;
        self.cluster.hold();
        for _ in 0..self.dice.below(6) {
            self.step();
        }
        self.cluster.lose_leadership();
        self.past = past;
        self.adopt_incarnations();
    }

    pub(crate) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }
}
