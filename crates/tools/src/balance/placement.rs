//! Which replica goes where.

use super::layout::{Layout, Unplannable};
use super::load::{Index, Load};
use core::cmp::Reverse;

/// Takes everything from the brokers that are to hold nothing: the largest partitions first, so that the small ones even them out.
pub(super) fn empty_leaving(layout: &Layout, load: &mut Load<'_>) -> Result<(), Unplannable> {
    let mut moved: Vec<Index> = load.led().collect();
    moved.sort_by_key(|index| (Reverse(load.size(*index)), *index));
    for index in moved {
        let Some((name, before)) = load.partitions.get(index).map(|(name, it)| (*name, &it.replicas)) else { continue };
        for from in before.iter().filter(|broker| layout.leaving.contains(broker)) {
            let Some(to) = best_target(layout, load, index, *from) else {
                let (replicas, targets) = (before.len(), layout.targets.len());
                return Err(Unplannable::TooFewBrokers { partition: name.clone(), replicas, targets });
            };
            load.shift(index, *from, to);
        }
    }
    Ok(())
}

/// The target that a replica should go to: in another rack than the others, and with the least on it.
fn best_target(layout: &Layout, load: &Load<'_>, index: Index, from: i32) -> Option<i32> {
    let free = layout.targets.keys().copied().filter(|id| !load.holds(index, *id));
    free.min_by_key(|id| {
        (load.neighbours(index, *id, from), load.count(*id), load.of_topic(index, *id), load.bytes(*id), *id)
    })
}

/// Takes replicas of one partition that share a rack apart, while there is a rack that has none.
pub(super) fn part_neighbours(layout: &Layout, load: &mut Load<'_>) {
    for index in load.led().collect::<Vec<_>>() {
        // Each replica moves once at most.
        for _ in load.before(index) {
            let is_crowded = |id: &i32| layout.targets.contains_key(id) && load.neighbours(index, *id, *id) > 0;
            let crowded = load.replicas(index).iter().copied().filter(is_crowded);
            let Some(from) = crowded.max_by_key(|id| (load.count(*id), *id)) else { break };
            let Some(to) = best_target(layout, load, index, from) else { break };
            if load.neighbours(index, to, from) >= load.neighbours(index, from, from) {
                break;
            }
            load.shift(index, from, to);
        }
    }
}

/// Moves replicas from brokers with more to brokers with fewer, until no move makes it more even. Each move brings two brokers nearer to
/// each other, so no more replicas move than must.
pub(super) fn even_out(layout: &Layout, load: &mut Load<'_>) {
    while let Some((index, from, to)) = best_move(layout, load) {
        load.shift(index, from, to);
    }
}

fn best_move(layout: &Layout, load: &Load<'_>) -> Option<(Index, i32, i32)> {
    let mut pairs = Vec::new();
    for from in layout.targets.keys().copied() {
        for to in layout.targets.keys().copied() {
            let difference = load.count(from).saturating_sub(load.count(to));
            if difference >= 2 {
                pairs.push((Reverse(difference), from, to));
            }
        }
    }
    pairs.sort_unstable();
    pairs.into_iter().find_map(|(_, from, to)| Some((best_partition(load, from, to)?, from, to)))
}

/// The partition whose replica should go: one that is on the move anyway, then one of a topic of which the one broker has many and the
/// other few, then one whose size fits.
fn best_partition(load: &Load<'_>, from: i32, to: i32) -> Option<Index> {
    let (heavy, light) = (i128::from(load.bytes(from)), i128::from(load.bytes(to)));
    let may_go = load.on(from).filter(|index| {
        load.is_led(*index)
            && !load.holds(*index, to)
            && load.neighbours(*index, to, from) <= load.neighbours(*index, from, from)
    });
    may_go.min_by_key(|index| {
        let was_on = |broker| load.before(*index).contains(&broker);
        // A replica that was moved already costs nothing more, and one that goes back costs less.
        let cost = i8::from(was_on(from)) - i8::from(was_on(to));
        let (more, fewer) = (load.of_topic(*index, from), load.of_topic(*index, to));
        let unevenness = (heavy - light - 2 * i128::from(load.size(*index))).unsigned_abs();
        (cost, Reverse(more.saturating_sub(fewer)), unevenness, *index)
    })
}
