//! Which replica should lead: the first of the list.

use super::layout::Layout;
use super::load::{Index, Load};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What each target leads.
type Led = BTreeMap<i32, BTreeSet<Index>>;

/// Changes the order of replicas until no broker could lead fewer partitions by handing some on. This costs no copies.
pub(super) fn spread(layout: &Layout, load: &mut Load<'_>) {
    let mut led: Led = layout.targets.keys().map(|id| (*id, BTreeSet::new())).collect();
    for index in load.led() {
        if let Some(led) = load.replicas(index).first().and_then(|leader| led.get_mut(leader)) {
            led.insert(index);
        }
    }
    while let Some(path) = relief(&led, load) {
        for Handover { index, from, to } in path {
            if let Some(led) = led.get_mut(&from) {
                led.remove(&index);
            }
            if let Some(led) = led.get_mut(&to) {
                led.insert(index);
            }
            let Some(replicas) = load.replicas.get_mut(index) else { continue };
            if let Some(place) = replicas.iter().position(|broker| *broker == to) {
                replicas.swap(0, place);
            }
        }
    }
}

/// A partition that another broker is to lead.
#[derive(Clone, Copy, Debug)]
struct Handover {
    index: Index,
    from: i32,
    to: i32,
}

/// A way from a broker that leads many to one that leads at least two fewer, by which each broker between hands on as many as it gets:
/// the first that is found from the busiest broker on.
fn relief(led: &Led, load: &Load<'_>) -> Option<Vec<Handover>> {
    let mut busiest: Vec<_> = led.iter().map(|(id, led)| (Reverse(led.len()), *id)).collect();
    busiest.sort_unstable();
    let fewest = led.values().map(BTreeSet::len).min()?;
    busiest.into_iter().filter(|(count, _)| count.0 >= fewest + 2).find_map(|(count, start)| {
        let mut reached: BTreeMap<i32, Handover> = BTreeMap::new();
        let mut waiting = VecDeque::from([start]);
        while let Some(from) = waiting.pop_front() {
            for index in led.get(&from).into_iter().flatten().copied() {
                for to in load.replicas(index).iter().copied() {
                    if to == start || reached.contains_key(&to) || !led.contains_key(&to) {
                        continue;
                    }
                    reached.insert(to, Handover { index, from, to });
                    if led.get(&to).is_some_and(|led| led.len() + 2 <= count.0) {
                        return Some(path_to(to, start, &reached));
                    }
                    waiting.push_back(to);
                }
            }
        }
        None
    })
}

fn path_to(end: i32, start: i32, reached: &BTreeMap<i32, Handover>) -> Vec<Handover> {
    let (mut path, mut to) = (Vec::new(), end);
    while let Some(handover) = reached.get(&to) {
        path.push(*handover);
        if handover.from == start {
            break;
        }
        to = handover.from;
    }
    path
}
