use super::layout::{Layout, Partition};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// A partition, by its place in the order of names. Numbers, since plans of many thousand partitions compare them many million times.
pub(super) type Index = usize;

/// The partitions while they are being planned, and how much each target has of them.
///
/// Invariant: `on`, `bytes` and `of_topic` say what `replicas` says.
pub(super) struct Load<'a> {
    /// The racks of the targets, where they count.
    racks: BTreeMap<i32, Option<&'a str>>,
    pub(super) partitions: Vec<(&'a TopicPartition, &'a Partition)>,
    /// The topic of each partition.
    topics: Vec<usize>,
    /// The replicas of each partition as planned so far.
    pub(super) replicas: Vec<Vec<i32>>,
    /// The partitions of each target.
    on: BTreeMap<i32, BTreeSet<Index>>,
    bytes: BTreeMap<i32, u64>,
    /// How many replicas of each topic a broker has.
    of_topic: BTreeMap<i32, Vec<usize>>,
}

impl<'a> Load<'a> {
    pub(super) fn of(layout: &'a Layout) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut topics = Vec::with_capacity(layout.partitions.len());
        for name in layout.partitions.keys() {
            if names.last() != Some(&&*name.topic) {
                names.push(&name.topic);
            }
            topics.push(names.len() - 1);
        }
        let has_racks = layout.has_racks();
        let holding = layout.partitions.values().flat_map(|partition| partition.replicas.iter());
        let brokers: BTreeSet<i32> = holding.chain(layout.targets.keys()).copied().collect();
        let mut load = Self {
            racks: layout.targets.iter().map(|(id, rack)| (*id, rack.as_deref().filter(|_| has_racks))).collect(),
            partitions: layout.partitions.iter().collect(),
            topics,
            replicas: layout.partitions.values().map(|partition| partition.replicas.clone()).collect(),
            on: layout.targets.keys().map(|id| (*id, BTreeSet::new())).collect(),
            bytes: BTreeMap::new(),
            of_topic: brokers.into_iter().map(|id| (id, vec![0; names.len()])).collect(),
        };
        for (index, partition) in layout.partitions.values().enumerate() {
            partition.replicas.iter().for_each(|broker| load.add(index, *broker));
        }
        load
    }

    /// The partitions that can be copied.
    pub(super) fn led(&self) -> impl Iterator<Item = Index> {
        let led = |(index, (_, partition)): (Index, &(_, &Partition))| (!partition.is_leaderless).then_some(index);
        self.partitions.iter().enumerate().filter_map(led)
    }

    /// The replicas that a partition had before.
    pub(super) fn before(&self, index: Index) -> &'a [i32] {
        self.partitions.get(index).map_or(&[], |(_, partition)| &partition.replicas)
    }

    /// The replicas of a partition as planned so far.
    pub(super) fn replicas(&self, index: Index) -> &[i32] {
        self.replicas.get(index).map_or(&[], |replicas| replicas)
    }

    pub(super) fn is_led(&self, index: Index) -> bool {
        self.partitions.get(index).is_some_and(|(_, partition)| !partition.is_leaderless)
    }

    pub(super) fn size(&self, index: Index) -> u64 {
        self.partitions.get(index).map_or(0, |(_, partition)| partition.bytes)
    }

    fn topic_count(&mut self, index: Index, broker: i32) -> Option<&mut usize> {
        let topic = *self.topics.get(index)?;
        self.of_topic.get_mut(&broker)?.get_mut(topic)
    }

    fn add(&mut self, index: Index, broker: i32) {
        if let Some(on) = self.on.get_mut(&broker) {
            on.insert(index);
        }
        *self.bytes.entry(broker).or_default() += self.size(index);
        if let Some(count) = self.topic_count(index, broker) {
            *count += 1;
        }
    }

    fn remove(&mut self, index: Index, broker: i32) {
        if let Some(on) = self.on.get_mut(&broker) {
            on.remove(&index);
        }
        let size = self.size(index);
        let bytes = self.bytes.entry(broker).or_default();
        *bytes = bytes.saturating_sub(size);
        if let Some(count) = self.topic_count(index, broker) {
            *count = count.saturating_sub(1);
        }
    }

    /// Puts a replica on another broker, in the same place of the list.
    pub(super) fn shift(&mut self, index: Index, from: i32, to: i32) {
        self.remove(index, from);
        self.add(index, to);
        let replicas = self.replicas.get_mut(index);
        if let Some(place) = replicas.and_then(|all| all.iter_mut().find(|broker| **broker == from)) {
            *place = to;
        }
    }

    /// How many replicas a target has.
    pub(super) fn count(&self, broker: i32) -> usize {
        self.on.get(&broker).map_or(0, BTreeSet::len)
    }

    /// The partitions of which a target has a replica.
    pub(super) fn on(&self, broker: i32) -> impl Iterator<Item = Index> {
        self.on.get(&broker).into_iter().flatten().copied()
    }

    pub(super) fn bytes(&self, broker: i32) -> u64 {
        self.bytes.get(&broker).copied().unwrap_or(0)
    }

    /// How many replicas of the partition's topic a broker has.
    pub(super) fn of_topic(&self, index: Index, broker: i32) -> usize {
        let counts = self.of_topic.get(&broker);
        self.topics.get(index).and_then(|topic| counts?.get(*topic)).copied().unwrap_or(0)
    }

    pub(super) fn holds(&self, index: Index, broker: i32) -> bool {
        self.replicas(index).contains(&broker)
    }

    fn rack(&self, broker: i32) -> Option<&'a str> {
        self.racks.get(&broker).copied().flatten()
    }

    /// How many other replicas of the partition are in the broker's rack, if the one on `leaving` goes.
    pub(super) fn neighbours(&self, index: Index, broker: i32, leaving: i32) -> usize {
        let Some(rack) = self.rack(broker) else { return 0 };
        let others = self.replicas(index).iter().filter(|other| ![broker, leaving].contains(other));
        others.filter(|other| self.rack(**other) == Some(rack)).count()
    }
}
