//! Groups and transactions that this broker coordinates.

use crate::broker::Broker;
use ottla_groups::GroupCensus;
use ottla_metrics::Exposition;
use ottla_metrics::declarations as metrics;
use std::collections::BTreeMap;

/// The states of classic groups that Kafka has metrics for. The groups of other protocols are empty or stable.
const STATES: [(ottla_metrics::Metric, &str); 5] = [
    (metrics::GROUPS_STABLE, "Stable"),
    (metrics::GROUPS_PREPARING, "PreparingRebalance"),
    (metrics::GROUPS_COMPLETING, "CompletingRebalance"),
    (metrics::GROUPS_EMPTY, "Empty"),
    (metrics::GROUPS_DEAD, "Dead"),
];

/// The states that groups of the consumer protocol are counted by also when there are none.
const CONSUMER_STATES: [&str; 5] = ["Empty", "Assigning", "Reconciling", "Stable", "Dead"];

pub(super) fn show(broker: &Broker, exposition: &mut Exposition) {
    let census = broker.groups.census();
    let GroupCensus { groups, offsets } = &census;
    exposition.single(&metrics::GROUPS, groups.values().sum::<usize>() as f64);
    exposition.single(&metrics::GROUP_OFFSETS, *offsets as f64);
    for (metric, wanted) in STATES {
        let count: usize = groups.iter().filter(|((_, state), _)| *state == wanted).map(|(_, count)| count).sum();
        exposition.single(&metric, count as f64);
    }
    let mut by_protocol = BTreeMap::from([("classic", 0), ("consumer", 0)]);
    for ((protocol, _), count) in groups {
        *by_protocol.entry(protocol).or_default() += count;
    }
    let mut family = exposition.family(&metrics::GROUP_COUNT);
    for (protocol, count) in by_protocol {
        family.sample(&[protocol], count as f64);
    }
    let mut family = exposition.family(&metrics::CONSUMER_GROUP_COUNT);
    for state in CONSUMER_STATES {
        family.sample(&[state], groups.get(&("consumer", state)).copied().unwrap_or(0) as f64);
    }
    let mut family = exposition.family(&metrics::TRANSACTIONS);
    for (state, count) in broker.transactions.census() {
        family.sample(&[state], count as f64);
    }
}
