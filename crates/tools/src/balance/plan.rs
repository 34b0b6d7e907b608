//! Makes a layout even, as a function of data alone: the same layout always leads to the same changes.

use super::layout::{Changes, Layout, Unplannable};
use super::load::Load;
use super::{leaders, placement};

/// What is to change, so that each target has as many replicas as any other and leads as many partitions, replicas of a partition are in
/// as many racks as they can be, and as few replicas move as must.
///
/// # Errors
/// There are not enough targets.
pub(super) fn plan(layout: &Layout) -> Result<Changes, Unplannable> {
    let mut load = Load::of(layout);
    placement::empty_leaving(layout, &mut load)?;
    if layout.has_racks() {
        placement::part_neighbours(layout, &mut load);
    }
    placement::even_out(layout, &mut load);
    leaders::spread(layout, &mut load);
    let planned = load.partitions.iter().zip(&load.replicas);
    let changed = planned.filter(|((_, partition), replicas)| partition.replicas != **replicas);
    Ok(changed.map(|((name, _), replicas)| ((*name).clone(), replicas.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::super::layout::Partition;
    use super::*;
    use ottla_types::TopicPartition;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// A layout of one topic by its partitions' replicas.
    fn layout(targets: &[(i32, Option<&str>)], leaving: &[i32], replicas: &[&[i32]]) -> Layout {
        let partition = |(index, replicas): (i32, &&[i32])| {
            let partition = Partition { replicas: replicas.to_vec(), bytes: 100, is_leaderless: false };
            (TopicPartition::new("t", index), partition)
        };
        Layout {
            targets: targets.iter().map(|(id, rack)| (*id, rack.map(str::to_owned))).collect(),
            leaving: leaving.iter().copied().collect(),
            partitions: (0..).zip(replicas).map(partition).collect(),
        }
    }

    fn counts(layout: &Layout) -> BTreeMap<i32, usize> {
        let mut counts: BTreeMap<i32, usize> = layout.targets.keys().map(|id| (*id, 0)).collect();
        for broker in layout.partitions.values().flat_map(|partition| &partition.replicas) {
            *counts.entry(*broker).or_default() += 1;
        }
        counts
    }

    fn leads(layout: &Layout) -> BTreeMap<i32, usize> {
        let mut leads: BTreeMap<i32, usize> = layout.targets.keys().map(|id| (*id, 0)).collect();
        for leader in layout.partitions.values().filter_map(|partition| partition.replicas.first()) {
            *leads.entry(*leader).or_default() += 1;
        }
        leads
    }

    fn spread_of(counts: &BTreeMap<i32, usize>) -> usize {
        counts.values().max().unwrap_or(&0) - counts.values().min().unwrap_or(&0)
    }

    fn copies(layout: &Layout, changes: &Changes) -> usize {
        changes.iter().map(|(name, replicas)| layout.added(name, replicas).len()).sum()
    }

    fn racks_of(layout: &Layout, replicas: &[i32]) -> usize {
        let racks: BTreeSet<_> = replicas.iter().filter_map(|id| layout.targets.get(id)).collect();
        racks.len()
    }

    #[test]
    fn a_broker_that_comes_gets_its_share_and_no_more_moves() {
        let three = [(1, None), (2, None), (3, None)];
        let replicas: Vec<[i32; 3]> = (0..12).map(|i| [1 + i % 3, 1 + (i + 1) % 3, 1 + (i + 2) % 3]).collect();
        let replicas: Vec<&[i32]> = replicas.iter().map(|it| &it[..]).collect();
        assert!(plan(&layout(&three, &[], &replicas)).unwrap().is_empty(), "it was even before");
        let four = layout(&[(1, None), (2, None), (3, None), (4, None)], &[], &replicas);
        let changes = plan(&four).unwrap();
        assert_eq!(copies(&four, &changes), 9, "36 replicas are 9 for each of four: {changes:?}");
        assert_eq!(four.bytes_copied(&changes), 900);
        let after = four.after(&changes);
        assert_eq!((spread_of(&counts(&after)), spread_of(&leads(&after))), (0, 0));
    }

    #[test]
    fn a_broker_that_goes_is_emptied_and_the_others_share_what_it_had() {
        let replicas: [&[i32]; 4] = [&[1, 2], &[2, 3], &[3, 4], &[4, 1]];
        let four = layout(&[(1, None), (2, None), (3, None)], &[4], &replicas);
        let changes = plan(&four).unwrap();
        let after = four.after(&changes);
        assert_eq!(copies(&four, &changes), 2);
        assert!(!counts(&after).contains_key(&4) && spread_of(&counts(&after)) <= 1);
        let two = layout(&[(1, None)], &[2], &[&[1, 2]]);
        let partition = TopicPartition::new("t", 0);
        assert_eq!(plan(&two), Err(Unplannable::TooFewBrokers { partition, replicas: 2, targets: 1 }));
    }

    #[test]
    fn replicas_that_share_a_rack_are_parted_and_never_brought_together() {
        let racks = [(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, Some("b"))];
        let crowded = layout(&racks, &[], &[&[1, 2], &[1, 2], &[3, 4], &[3, 4]]);
        let changes = plan(&crowded).unwrap();
        let after = crowded.after(&changes);
        assert!(after.partitions.values().all(|partition| racks_of(&after, &partition.replicas) == 2), "{changes:?}");
        assert_eq!((spread_of(&counts(&after)), copies(&crowded, &changes)), (0, 4));
    }

    #[test]
    fn what_is_on_a_broker_that_is_away_stays_there_and_what_nobody_leads_stays_too() {
        let mut away = layout(&[(1, None), (2, None)], &[3], &[&[9, 1], &[9, 1], &[9, 1], &[3, 1]]);
        for partition in away.partitions.values_mut().rev().take(1) {
            partition.is_leaderless = true;
        }
        let changes = plan(&away).unwrap();
        assert!(changes.values().all(|replicas| replicas[0] == 9), "{changes:?}");
        assert!(!changes.contains_key(&TopicPartition::new("t", 3)));
    }

    #[test]
    fn leaders_are_spread_by_the_order_alone_also_in_several_steps() {
        // Only by way of 2 can 1 lead fewer: 1 and 3 share no partition.
        let chain =
            layout(&[(1, None), (2, None), (3, None)], &[], &[&[1, 2], &[1, 2], &[2, 3], &[2, 3], &[1, 3], &[1, 3]]);
        let changes = plan(&chain).unwrap();
        assert_eq!(chain.bytes_copied(&changes), 0);
        assert_eq!(spread_of(&leads(&chain.after(&changes))), 0);
    }

    fn some_layout(with_racks: bool) -> impl Strategy<Value = Layout> {
        let shape = (2usize..8, 1usize..4, 0usize..3, 1usize..30);
        shape.prop_flat_map(move |(brokers, racks, leaving, partitions)| {
            let leaving = leaving.min(brokers - 1);
            let most = (brokers - leaving).min(4);
            let ids: Vec<i32> = (1..).take(brokers).collect();
            let partition = (1..=most, 0u64..1_000, 0usize..3).prop_flat_map(move |(factor, bytes, topic)| {
                (proptest::sample::subsequence(ids.clone(), factor).prop_shuffle(), Just(bytes), Just(topic))
            });
            proptest::collection::vec(partition, partitions).prop_map(move |partitions| {
                let id = |i: usize| i32::try_from(i).unwrap_or_default() + 1;
                let rack = |i: usize| with_racks.then(|| format!("r{}", i % racks));
                let targets = (0..brokers - leaving).map(|i| (id(i), rack(i))).collect();
                let leaving = (brokers - leaving..brokers).map(id).collect();
                let named = |(index, (replicas, bytes, topic)): (i32, (Vec<i32>, u64, usize))| {
                    (
                        TopicPartition::new(format!("t{topic}"), index),
                        Partition { replicas, bytes, is_leaderless: false },
                    )
                };
                Layout { targets, leaving, partitions: (0..).zip(partitions).map(named).collect() }
            })
        })
    }

    /// What holds of every plan.
    fn check(layout: &Layout) -> Result<Layout, TestCaseError> {
        let changes = plan(layout).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let after = layout.after(&changes);
        for (name, partition) in &after.partitions {
            let before = &layout.partitions[name].replicas;
            let different: BTreeSet<_> = partition.replicas.iter().collect();
            prop_assert_eq!(partition.replicas.len(), before.len());
            prop_assert_eq!(different.len(), before.len());
            prop_assert!(partition.replicas.iter().all(|id| layout.targets.contains_key(id)));
        }
        prop_assert_eq!(plan(&after), Ok(Changes::new()), "a plan that is carried out leaves nothing to do");
        prop_assert_eq!(plan(layout), Ok(changes), "the same layout leads to the same plan");
        Ok(after)
    }

    /// How many replicas must move at least, so that no broker has two more than another.
    fn least_moves(layout: &Layout) -> usize {
        let counts = counts(layout);
        let mut targets: Vec<usize> =
            counts.iter().filter(|(id, _)| layout.targets.contains_key(id)).map(|(_, count)| *count).collect();
        targets.sort_unstable_by(|a, b| b.cmp(a));
        let all: usize = counts.values().sum();
        let (share, rest) = (all / targets.len(), all % targets.len());
        let over = targets.iter().enumerate().map(|(i, count)| count.saturating_sub(share + usize::from(i < rest)));
        let leaving: usize = layout.leaving.iter().filter_map(|id| counts.get(id)).sum();
        over.sum::<usize>() + leaving
    }

    proptest! {
        #[test]
        fn without_racks_every_broker_has_its_share_and_no_replica_moves_that_need_not(layout in some_layout(false)) {
            let after = check(&layout)?;
            let counts: BTreeMap<_, _> = counts(&after).into_iter().filter(|(id, _)| layout.targets.contains_key(id)).collect();
            prop_assert!(spread_of(&counts) <= 1, "{:?}", counts);
            let changes = plan(&layout).unwrap_or_default();
            // A broker that can't take a partition that has to go, since it has a replica of it, gets another one in its place.
            let (copies, least) = (copies(&layout, &changes), least_moves(&layout));
            let forced: usize = layout.leaving.iter().filter_map(|id| self::counts(&layout).get(id).copied()).sum();
            prop_assert!(least <= copies && copies <= least + forced, "{} instead of {}", copies, least);
        }

        #[test]
        fn with_racks_no_partition_is_in_fewer_racks_than_it_could_be_and_brokers_of_a_rack_are_even(layout in some_layout(true)) {
            let after = check(&layout)?;
            let counts = counts(&after);
            let racks: BTreeSet<_> = layout.targets.values().collect();
            if layout.has_racks() {
                for partition in after.partitions.values() {
                    prop_assert_eq!(racks_of(&after, &partition.replicas), partition.replicas.len().min(racks.len()));
                }
            }
            for rack in racks {
                let of_rack = counts.iter().filter(|(id, _)| layout.targets.get(id) == Some(rack));
                let of_rack: BTreeMap<_, _> = of_rack.map(|(id, count)| (*id, *count)).collect();
                prop_assert!(spread_of(&of_rack) <= 1, "{:?}", of_rack);
            }
        }

        #[test]
        fn no_broker_leads_two_more_than_another_that_could_lead_in_its_place(layout in some_layout(false)) {
            let after = check(&layout)?;
            let leads = leads(&after);
            for partition in after.partitions.values() {
                let first = leads[&partition.replicas[0]];
                prop_assert!(partition.replicas.iter().all(|other| first <= leads[other] + 1), "{:?}", leads);
            }
        }
    }
}
