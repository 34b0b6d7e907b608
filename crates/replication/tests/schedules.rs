//! A leader, its followers and a controller that answers late: what must hold after every event of any schedule.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ottla_replication::{
    Acknowledgement, FollowerFetch, IsrAnswer, IsrProposal, Leader, LeaderSettings, LogOffsets, PartitionState,
    Progress,
};
use ottla_types::{LeaderEpoch, NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REPLICAS: [i32; 4] = [1, 2, 3, 4];

/// A small generator: the same seed, the same schedule.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct World {
    dice: Dice,
    now: Duration,
    leader: Leader,
    end: i64,
    /// Where each follower's log really ends.
    followers: BTreeMap<i32, i64>,
    /// What the controller believes, which the leader learns later.
    in_sync: BTreeSet<i32>,
    partition_epoch: i32,
    proposal: Option<IsrProposal>,
    /// Decided by the controller, on its way to the leader.
    answer: Option<IsrAnswer>,
    acknowledged: i64,
    min_in_sync: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let min_in_sync = usize::try_from(seed % 4 + 1).unwrap();
        let settings = LeaderSettings { local: NodeId(1), lag_max: Duration::from_millis(50), min_in_sync };
        let in_sync: BTreeSet<i32> = REPLICAS.into();
        let state = state(&in_sync, 0);
        let log = LogOffsets { start: Offset(0), end: Offset(0), high_watermark: Offset(0) };
        let (leader, _) = Leader::begin(settings, &state, log, Duration::ZERO);
        Self {
            dice: Dice(seed),
            now: Duration::ZERO,
            leader,
            end: 0,
            followers: REPLICAS[1..].iter().map(|id| (*id, 0)).collect(),
            in_sync,
            partition_epoch: 0,
            proposal: None,
            answer: None,
            acknowledged: 0,
            min_in_sync,
        }
    }

    fn note(&mut self, progress: Progress) {
        if let Some(proposal) = progress.proposal {
            assert!(self.proposal.is_none() && self.answer.is_none(), "a second proposal before the answer");
            self.proposal = Some(proposal);
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.dice.below(20));
        let progress = match self.dice.below(10) {
            0..=2 => {
                self.end += i64::try_from(self.dice.below(5)).unwrap();
                self.leader.appended(Offset(self.end), self.now)
            }
            3..=6 => self.fetch(),
            7 => self.leader.check_lag(self.now),
            8 => {
                self.decide();
                Progress::default()
            }
            _ => match self.answer.take() {
                Some(answer) => self.leader.answered(answer, self.now),
                None => Progress::default(),
            },
        };
        self.note(progress);
        if self.leader.acknowledgement(Offset(self.end)) == Acknowledgement::Done {
            self.acknowledged = self.end;
        }
    }

    /// A follower writes what it got, and asks for more.
    fn fetch(&mut self) -> Progress {
        let id = REPLICAS[usize::try_from(1 + self.dice.below(3)).unwrap()];
        let missing = self.end - self.followers[&id];
        let gets = i64::try_from(self.dice.below(u64::try_from(missing).unwrap() + 1)).unwrap();
        *self.followers.get_mut(&id).unwrap() += gets;
        let fetch = FollowerFetch {
            replica: NodeId(id),
            broker_epoch: None,
            offset: Offset(self.followers[&id]),
            log_start: Offset(0),
        };
        self.leader.follower_fetched(fetch, self.now).unwrap()
    }

    /// The controller takes or refuses the proposal.
    fn decide(&mut self) {
        let Some(proposal) = self.proposal.take() else { return };
        self.answer = Some(if self.dice.below(4) == 0 {
            IsrAnswer::Refused
        } else {
            assert_eq!(proposal.partition_epoch, self.partition_epoch);
            self.partition_epoch += 1;
            self.in_sync = proposal.replicas.iter().map(|id| id.0).collect();
            IsrAnswer::Accepted { partition_epoch: self.partition_epoch }
        });
    }

    fn end_of(&self, id: i32) -> i64 {
        self.followers.get(&id).copied().unwrap_or(self.end)
    }
}

fn state(in_sync: &BTreeSet<i32>, partition_epoch: i32) -> PartitionState {
    PartitionState {
        leader_epoch: LeaderEpoch(0),
        partition_epoch,
        replicas: REPLICAS.map(NodeId).into(),
        in_sync: in_sync.iter().copied().map(NodeId).collect(),
        eligible: REPLICAS.map(NodeId).into(),
    }
}

#[test]
fn whatever_is_committed_is_on_every_replica_that_the_controller_may_make_leader() {
    for seed in 0..400 {
        let mut world = World::new(seed);
        let mut high_watermark = Offset(0);
        for step in 0..400 {
            world.step();
            let now = world.leader.high_watermark();
            assert!(now >= high_watermark, "seed {seed} step {step}: the high watermark went back");
            high_watermark = now;
            for id in &world.in_sync {
                let end = world.end_of(*id);
                assert!(end >= now.0, "seed {seed} step {step}: {id} ends at {end}, committed is {now}");
            }
            let holders = REPLICAS.iter().filter(|id| world.end_of(**id) >= world.acknowledged).count();
            assert!(holders >= world.min_in_sync, "seed {seed} step {step}: {holders} copies were acknowledged");
        }
    }
}

#[test]
fn when_everybody_fetches_everything_is_committed_and_everybody_is_in_sync() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        (0..300).for_each(|_| world.step());
        for _ in 0..20 {
            for id in &REPLICAS[1..] {
                world.followers.insert(*id, world.end);
                let fetch = FollowerFetch {
                    replica: NodeId(*id),
                    broker_epoch: None,
                    offset: Offset(world.end),
                    log_start: Offset(0),
                };
                let progress = world.leader.follower_fetched(fetch, world.now).unwrap();
                world.note(progress);
                world.decide();
                if let Some(answer) = world.answer.take() {
                    let progress = world.leader.answered(answer, world.now);
                    world.note(progress);
                }
            }
        }
        assert_eq!(world.leader.high_watermark(), Offset(world.end), "seed {seed}");
        assert_eq!(world.leader.in_sync().count(), 4, "seed {seed}");
    }
}
