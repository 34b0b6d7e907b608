use super::{Assignment, Member, sorted};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Balances the members while moving as few partitions as possible. A partition that has to move is left out of this
/// assignment: its owner gives it up and joins again, and only then somebody else gets it (KIP-429).
pub(super) fn assign(members: &[Member], partitions: &BTreeMap<String, i32>) -> Assignment {
    let members = sorted(members);
    let owners = owners(&members, partitions);
    let mut sharing = Sharing::new(&members, &owners);
    for (topic, count) in partitions {
        let name: Arc<str> = topic.as_str().into();
        for index in 0..*count {
            let partition = TopicPartition::new(name.clone(), index);
            if !owners.contains_key(&partition) {
                sharing.give(partition);
            }
        }
    }
    sharing.balance();
    sharing.without_moves(&owners)
}

/// Who owns what, among the partitions that exist and that the owner still wants. Two members may claim the same one
/// after a rebalance that one of them missed: the later generation counts, and of the same generation none does.
fn owners(members: &[&Member], partitions: &BTreeMap<String, i32>) -> BTreeMap<TopicPartition, usize> {
    let mut claims = BTreeMap::<TopicPartition, (i32, Option<usize>)>::new();
    for (index, member) in members.iter().enumerate() {
        for partition in &member.owned {
            let topic = &*partition.topic;
            let exists = partitions.get(topic).is_some_and(|count| partition.partition.value() < *count);
            if !exists || !member.topics.contains(topic) {
                continue;
            }
            let claim = claims.entry(partition.clone()).or_insert((i32::MIN, None));
            if member.generation > claim.0 {
                *claim = (member.generation, Some(index));
            } else if member.generation == claim.0 {
                claim.1 = None;
            }
        }
    }
    claims.into_iter().filter_map(|(partition, (_, owner))| Some((partition, owner?))).collect()
}

/// The assignment in the making.
struct Sharing<'a> {
    members: &'a [&'a Member],
    shares: Vec<BTreeSet<TopicPartition>>,
}

impl<'a> Sharing<'a> {
    fn new(members: &'a [&'a Member], owners: &BTreeMap<TopicPartition, usize>) -> Self {
        let mut shares = vec![BTreeSet::new(); members.len()];
        for (partition, owner) in owners {
            if let Some(share) = shares.get_mut(*owner) {
                share.insert(partition.clone());
            }
        }
        Self { members, shares }
    }

    /// The member that wants the topic and has least.
    fn least_loaded(&self, topic: &str) -> Option<usize> {
        let wanting = self.members.iter().enumerate().filter(|(_, member)| member.topics.contains(topic));
        wanting.map(|(index, _)| index).min_by_key(|index| (self.load(*index), *index))
    }

    fn load(&self, index: usize) -> usize {
        self.shares.get(index).map_or(0, BTreeSet::len)
    }

    fn give(&mut self, partition: TopicPartition) {
        let taker = self.least_loaded(&partition.topic);
        if let Some(share) = taker.and_then(|taker| self.shares.get_mut(taker)) {
            share.insert(partition);
        }
    }

    /// Moves partitions from those that have more to those that have at least two less, until there are none such.
    /// Each move makes the sum of the squares of the loads smaller, so this ends.
    fn balance(&mut self) {
        while let Some((from, to, partition)) = self.find_move() {
            if let Some(share) = self.shares.get_mut(from) {
                share.remove(&partition);
            }
            if let Some(share) = self.shares.get_mut(to) {
                share.insert(partition);
            }
        }
    }

    fn find_move(&self) -> Option<(usize, usize, TopicPartition)> {
        let mut by_load: Vec<_> = (0..self.members.len()).collect();
        by_load.sort_by_key(|index| (std::cmp::Reverse(self.load(*index)), *index));
        for from in by_load {
            let mut topics = BTreeMap::new();
            for partition in self.shares.get(from)? {
                // The last of a topic's partitions goes first, so that the first members keep the first partitions.
                topics.insert(partition.topic.clone(), partition);
            }
            for (topic, partition) in topics {
                let to = self.least_loaded(&topic)?;
                if self.load(to) + 1 < self.load(from) {
                    return Some((from, to, partition.clone()));
                }
            }
        }
        None
    }

    fn without_moves(self, owners: &BTreeMap<TopicPartition, usize>) -> Assignment {
        let mut assignment = Assignment::new();
        for (index, (member, mut share)) in self.members.iter().zip(self.shares).enumerate() {
            // Also one that nobody rightly owns but somebody still claims must be given up first.
            share.retain(|partition| {
                let claimed = || self.members.iter().any(|other| other.owned.contains(partition));
                owners.get(partition).map_or_else(|| !claimed(), |owner| *owner == index)
            });
            assignment.insert(member.member_id.clone(), share);
        }
        assignment
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{member, partitions, shown};
    use super::*;

    fn owning(id: &str, topics: &[&str], owned: &[(&str, i32)], generation: i32) -> Member {
        let owned = owned.iter().map(|(topic, index)| TopicPartition::new(*topic, *index)).collect();
        Member { owned, generation, ..member(id, topics) }
    }

    /// Lets every member take over what it was assigned, until nothing changes.
    fn settled(mut members: Vec<Member>, partitions: &BTreeMap<String, i32>) -> (Assignment, usize) {
        for round in 1..10 {
            let assignment = assign(&members, partitions);
            let unchanged = members.iter().all(|member| assignment[&member.member_id] == member.owned);
            if unchanged {
                return (assignment, round);
            }
            for member in &mut members {
                member.owned = assignment[&member.member_id].clone();
                member.generation = round as i32;
            }
        }
        panic!("the group does not come to rest");
    }

    #[test]
    fn a_new_group_is_balanced_at_once() {
        let members = [member("a", &["t"]), member("b", &["t"])];
        assert_eq!(shown(&assign(&members, &partitions(&[("t", 4)]))), "a: t-0 t-2, b: t-1 t-3");
    }

    #[test]
    fn a_partition_that_moves_is_first_given_up() {
        let partitions = partitions(&[("t", 4)]);
        let owned = [("t", 0), ("t", 1), ("t", 2), ("t", 3)];
        let members = vec![owning("a", &["t"], &owned, 1), member("b", &["t"])];
        assert_eq!(shown(&assign(&members, &partitions)), "a: t-0 t-1, b: ");
        let (assignment, _) = settled(members, &partitions);
        assert_eq!(shown(&assignment), "a: t-0 t-1, b: t-2 t-3");
    }

    #[test]
    fn members_keep_what_they_have_when_one_leaves() {
        let partitions = partitions(&[("t", 6)]);
        let members =
            vec![owning("a", &["t"], &[("t", 0), ("t", 3)], 7), owning("b", &["t"], &[("t", 1), ("t", 4)], 7)];
        assert_eq!(shown(&assign(&members, &partitions)), "a: t-0 t-2 t-3, b: t-1 t-4 t-5");
    }

    #[test]
    fn the_later_generation_owns_what_two_members_claim() {
        let partitions = partitions(&[("t", 2)]);
        let members = vec![owning("a", &["t"], &[("t", 0)], 3), owning("b", &["t"], &[("t", 0), ("t", 1)], 2)];
        assert_eq!(shown(&assign(&members, &partitions)), "a: t-0, b: t-1");
    }

    #[test]
    fn every_group_comes_to_rest_balanced_and_without_a_partition_left_over() {
        for member_count in 1..6 {
            for partition_count in 0..12 {
                let partitions = partitions(&[("t", partition_count), ("u", 3)]);
                let names = ["a", "b", "c", "d", "e"];
                let members: Vec<_> = names[..member_count].iter().map(|id| member(id, &["t", "u"])).collect();
                let (assignment, _) = settled(members, &partitions);
                let loads: Vec<_> = assignment.values().map(BTreeSet::len).collect();
                assert_eq!(loads.iter().sum::<usize>(), partition_count as usize + 3);
                assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
            }
        }
    }

    #[test]
    fn a_member_gets_only_what_it_subscribed_to() {
        let members = vec![member("a", &["t"]), member("b", &["t", "u"])];
        let (assignment, _) = settled(members, &partitions(&[("t", 2), ("u", 2)]));
        assert_eq!(shown(&assignment), "a: t-0 t-1, b: u-0 u-1");
    }
}
