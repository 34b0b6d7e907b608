use crate::random::{Seed, Sequence};
use ottla_types::BrokerId;
use std::collections::BTreeMap;

/// A broker that takes replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsableBroker {
    /// Its id.
    pub id: BrokerId,
    /// Its rack, where it has one.
    pub rack: Option<String>,
    /// Whether it is fenced.
    pub is_fenced: bool,
}

/// A ring of brokers that starts one further on in each round, so that each gets its turn as first.
#[derive(Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    used: usize,
    start: usize,
    round: usize,
}

impl Ring {
    fn begin(&mut self, random: &mut Sequence) {
        self.brokers.sort_unstable();
        if !self.brokers.is_empty() {
            self.start = random.below(self.brokers.len());
        }
    }

    /// The next broker of the round; `None` when all have been used.
    fn next(&mut self, round: usize) -> Option<BrokerId> {
        let count = self.brokers.len();
        if count == 0 {
            return None;
        }
        if self.round != round {
            self.round = round;
            self.used = 0;
            self.start = (self.start + 1) % count;
        }
        if self.used >= count {
            return None;
        }
        let broker = self.brokers.get((self.used + self.start) % count).copied();
        self.used += 1;
        broker
    }
}

#[derive(Default)]
struct Rack {
    live: Ring,
    fenced: Ring,
}

/// Places the replicas of new partitions in stripes: first replicas go round the racks, the others of a partition to other
/// racks as far as there are any, round the brokers within a rack; live brokers before fenced ones, and a live one always
/// first, since it is to lead.
pub struct Placer {
    racks: Vec<Rack>,
    next_rack: usize,
    /// Partitions placed. Each is a round of its own, so that a ring notices a new one.
    round: usize,
    placed_in_this_order: usize,
    brokers: usize,
    live_brokers: usize,
    random: Sequence,
}

impl Placer {
    /// A placer for these brokers. The same seed places in the same way.
    pub fn new(brokers: impl Iterator<Item = UsableBroker>, seed: Seed) -> Self {
        let mut random = Sequence::new(seed);
        let mut racks: BTreeMap<Option<String>, Rack> = BTreeMap::new();
        let (mut count, mut live) = (0, 0);
        for broker in brokers {
            let rack = racks.entry(broker.rack).or_default();
            let ring = if broker.is_fenced { &mut rack.fenced } else { &mut rack.live };
            ring.brokers.push(broker.id);
            count += 1;
            live += usize::from(!broker.is_fenced);
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for rack in &mut racks {
            rack.fenced.begin(&mut random);
            rack.live.begin(&mut random);
        }
        let next_rack = if racks.is_empty() { 0 } else { random.below(racks.len()) };
        Self { racks, next_rack, round: 0, placed_in_this_order: 0, brokers: count, live_brokers: live, random }
    }

    /// Checks whether partitions with that many replicas can be placed at all.
    ///
    /// # Errors
    /// The reason why not, as a sentence.
    pub fn check(&self, replicas: i16) -> Result<usize, String> {
        let Some(count) = usize::try_from(replicas).ok().filter(|count| *count > 0) else {
            return Err(format!("Invalid replication factor {replicas}: the replication factor must be positive."));
        };
        if self.live_brokers == 0 {
            let reason = "All brokers are currently fenced, or have all their log directories cordoned.";
            return Err(reason.to_owned());
        }
        if count > self.brokers {
            return Err(format!(
                "The target replication factor of {replicas} cannot be reached because only {} broker(s) are registered \
                 or some brokers have all their log directories cordoned.",
                self.brokers
            ));
        }
        Ok(count)
    }

    /// The replicas of the next partition. `replicas` is a number that [`Self::check`] has let through.
    pub fn place(&mut self, replicas: usize) -> Vec<BrokerId> {
        // After as many partitions as there are live brokers, a new order keeps the same sets from coming again.
        if self.placed_in_this_order == self.live_brokers && self.live_brokers > 1 {
            self.shuffle();
            self.placed_in_this_order = 0;
        }
        let start = self.next_rack % self.racks.len().max(1);
        let mut placed = Vec::with_capacity(replicas);
        let (round, racks) = (self.round, self.racks.len());
        let leader_rack = (0..racks).map(|i| (start + i) % racks).find(|rack| {
            let leader = self.racks.get_mut(*rack).and_then(|rack| rack.live.next(round));
            placed.extend(leader);
            leader.is_some()
        });
        let mut rack = start;
        let mut passed_leader = false;
        // Each turn round the racks places something as long as brokers are left, and there are enough.
        for _ in 0..racks.saturating_mul(self.brokers.saturating_add(1)) {
            if placed.len() >= replicas {
                break;
            }
            if Some(rack) == leader_rack && !passed_leader {
                passed_leader = true;
            } else if let Some(rack) = self.racks.get_mut(rack) {
                placed.extend(rack.live.next(round).or_else(|| rack.fenced.next(round)));
            }
            rack = (rack + 1) % racks;
        }
        self.round += 1;
        self.placed_in_this_order += 1;
        self.next_rack = start + 1;
        placed
    }

    fn shuffle(&mut self) {
        self.random.shuffle(&mut self.racks);
        for rack in &mut self.racks {
            self.random.shuffle(&mut rack.live.brokers);
            self.random.shuffle(&mut rack.fenced.brokers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::NodeId;
    use std::collections::BTreeSet;

    fn placer(brokers: &[(i32, &str, bool)], seed: u128) -> Placer {
        let brokers = brokers.iter().map(|(id, rack, is_fenced)| UsableBroker {
            id: NodeId(*id),
            rack: (!rack.is_empty()).then(|| (*rack).to_owned()),
            is_fenced: *is_fenced,
        });
        Placer::new(brokers, Seed(seed))
    }

    #[test]
    fn replicas_of_a_partition_are_on_different_brokers_and_each_broker_is_first_equally_often() {
        for seed in 0..20 {
            let mut placer = placer(&[(1, "", false), (2, "", false), (3, "", false)], seed);
            let mut firsts = BTreeMap::new();
            for _ in 0..300 {
                let placed = placer.place(3);
                assert_eq!(placed.iter().collect::<BTreeSet<_>>().len(), 3);
                *firsts.entry(placed[0]).or_insert(0) += 1;
            }
            assert_eq!(firsts.into_values().collect::<Vec<_>>(), [100, 100, 100]);
        }
    }

    #[test]
    fn replicas_go_to_different_racks_while_there_are_any() {
        for seed in 0..20 {
            let brokers = [(1, "a", false), (2, "a", false), (3, "b", false), (4, "b", false), (5, "c", false)];
            let mut placer = placer(&brokers, seed);
            let rack_of = |id: &NodeId| brokers.iter().find(|broker| broker.0 == id.0).unwrap().1;
            for _ in 0..50 {
                let placed = placer.place(3);
                assert_eq!(placed.iter().map(rack_of).collect::<BTreeSet<_>>().len(), 3, "{placed:?}");
            }
            assert_eq!(placer.place(5).into_iter().collect::<BTreeSet<_>>().len(), 5);
        }
    }

    #[test]
    fn a_fenced_broker_is_never_first_and_comes_last() {
        for seed in 0..20 {
            let mut placer = placer(&[(1, "", false), (2, "", true), (3, "", false)], seed);
            for _ in 0..20 {
                let placed = placer.place(3);
                assert_eq!(placed[2], NodeId(2));
                assert!(!placer.place(2).contains(&NodeId(2)));
            }
        }
    }

    #[test]
    fn one_broker_takes_every_partition() {
        let mut placer = placer(&[(7, "", false)], 1);
        for _ in 0..1_000 {
            assert_eq!(placer.place(1), [NodeId(7)]);
        }
    }

    #[test]
    fn what_cannot_be_placed_is_refused_with_the_reason() {
        let one = placer(&[(1, "", false)], 1);
        assert_eq!(one.check(1), Ok(1));
        let reason = "The target replication factor of 2 cannot be reached because only 1 broker(s) are registered or \
                      some brokers have all their log directories cordoned.";
        assert_eq!(one.check(2), Err(reason.to_owned()));
        let none = placer(&[(1, "", true)], 1);
        let reason = "All brokers are currently fenced, or have all their log directories cordoned.";
        assert_eq!(none.check(1), Err(reason.to_owned()));
    }
}
