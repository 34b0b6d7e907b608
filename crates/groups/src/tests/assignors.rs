//! The server-side assignors on random groups.

use super::random::Dice;
use crate::consumer::Partitions;
use crate::consumer::assignor::{Assignor, Subscriber, Subscriptions};
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Members = BTreeMap<Arc<str>, Subscriber>;

fn topic(number: u64) -> TopicId {
    TopicId::from_u128(u128::from(number) + 1)
}

fn count(partitions: &Partitions) -> usize {
    partitions.values().map(BTreeSet::len).sum()
}

/// Every partition of a topic that somebody wants is with one member that wants it.
fn check(members: &Members, topics: &BTreeMap<TopicId, i32>, assigned: &BTreeMap<Arc<str>, Partitions>) {
    let mut owners = BTreeMap::new();
    for (member, partitions) in assigned {
        for (topic, indexes) in partitions {
            assert!(members[member].topics.contains(topic));
            for index in indexes {
                assert!((0..topics[topic]).contains(index));
                assert_eq!(owners.insert((*topic, *index), member), None, "{topic} {index} is with two");
            }
        }
    }
    let wanted: BTreeSet<_> = members.values().flat_map(|member| &member.topics).collect();
    let all: usize = wanted.iter().map(|topic| topics.get(topic).copied().unwrap_or(0) as usize).sum();
    assert_eq!(owners.len(), all);
}

/// Whether all name the same of these topics.
pub(super) fn subscriptions_of(members: &Members) -> Subscriptions {
    let mut all = members.values().map(|member| &member.topics);
    let first = all.next();
    if all.all(|topics| Some(topics) == first) { Subscriptions::Alike } else { Subscriptions::Different }
}

fn random_members(dice: &mut Dice, topics: &BTreeMap<TopicId, i32>, alike: bool) -> Members {
    let all: BTreeSet<TopicId> = topics.keys().copied().collect();
    let subscriber = |dice: &mut Dice| Subscriber {
        instance_id: (dice.roll(4) == 0).then(|| format!("i{}", dice.roll(1000))),
        topics: if alike { all.clone() } else { all.iter().copied().filter(|_| dice.roll(2) == 0).collect() },
        target: Partitions::new(),
    };
    (0..1 + dice.roll(12)).map(|number| (Arc::from(format!("m{number}")), subscriber(dice))).collect()
}

#[test]
fn random_groups_are_divided_evenly_and_keep_what_they_have() {
    for seed in 1..400 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let topics: BTreeMap<TopicId, i32> =
            (0..1 + dice.roll(6)).map(|number| (topic(number), dice.roll(9) as i32)).collect();
        let alike = seed % 2 == 0;
        let mut members = random_members(&mut dice, &topics, alike);
        let assigned = Assignor::Uniform.assign(&members, &topics, subscriptions_of(&members));
        check(&members, &topics, &assigned);
        if alike {
            let (least, most) = assigned.values().map(count).fold((usize::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
            assert!(most - least <= 1, "{least} and {most}");
        }
        for (member_id, partitions) in &assigned {
            members.get_mut(member_id).unwrap().target = partitions.clone();
        }
        assert_eq!(
            Assignor::Uniform.assign(&members, &topics, subscriptions_of(&members)),
            assigned,
            "nothing changes without need, seed {seed}"
        );
        // One goes: the others keep all that they have.
        if alike && members.len() > 1 {
            members.pop_first();
            let after = Assignor::Uniform.assign(&members, &topics, subscriptions_of(&members));
            check(&members, &topics, &after);
            for (member_id, member) in &members {
                for (topic, indexes) in &member.target {
                    assert!(after[member_id][topic].is_superset(indexes), "{member_id} loses something, seed {seed}");
                }
            }
        }
        let range = Assignor::Range.assign(&members, &topics, subscriptions_of(&members));
        check(&members, &topics, &range);
    }
}

#[test]
fn where_members_want_different_topics_nobody_has_two_more_than_another_who_wants_the_same() {
    for seed in 1..300 {
        let mut dice = Dice(seed * 0x85eb_ca6b);
        let topics: BTreeMap<TopicId, i32> = (0..5).map(|number| (topic(number), 1 + dice.roll(9) as i32)).collect();
        let members = random_members(&mut dice, &topics, false);
        let assigned = Assignor::Uniform.assign(&members, &topics, subscriptions_of(&members));
        for (rich, partitions) in &assigned {
            for topic in partitions.keys() {
                for (poor, _) in members.iter().filter(|(_, member)| member.topics.contains(topic)) {
                    assert!(count(partitions) <= count(&assigned[poor]) + 1, "{rich} and {poor}, seed {seed}");
                }
            }
        }
    }
}

#[test]
fn range_gives_the_first_members_more_and_puts_static_ones_first() {
    let subscriber = |instance_id: Option<&str>| Subscriber {
        instance_id: instance_id.map(str::to_owned),
        topics: [topic(0), topic(1)].into(),
        target: Partitions::new(),
    };
    let members: Members =
        [("a".into(), subscriber(None)), ("b".into(), subscriber(Some("z"))), ("c".into(), subscriber(Some("y")))]
            .into();
    let assigned = Assignor::Range.assign(&members, &[(topic(0), 5), (topic(1), 2)].into(), subscriptions_of(&members));
    assert_eq!(assigned["c"], Partitions::from([(topic(0), [0, 1].into()), (topic(1), [0].into())]));
    assert_eq!(assigned["b"], Partitions::from([(topic(0), [2, 3].into()), (topic(1), [1].into())]));
    assert_eq!(assigned["a"], Partitions::from([(topic(0), [4].into())]));
}
