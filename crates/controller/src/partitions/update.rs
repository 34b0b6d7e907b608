use super::change::{NO_CHANGE, Surroundings};
use super::{Election, PartitionChange};
use crate::Controller;
use crate::draft::Draft;
use ottla_metadata::{MetadataVersionExt, Partition, Topic, VersionedRecord, directory_id};
use ottla_protocol::metadata_records::{MetadataRecord, PartitionChangeRecord};
use ottla_types::{BrokerId, DirectoryId, NodeId, TopicId, TopicIdPartition};
use std::collections::BTreeSet;

/// Why partitions must look again who is in sync and who leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The broker is fenced, shuts down or is struck out.
    Leaves(BrokerId),
    /// The broker comes back after it may have lost records.
    Crashed(BrokerId),
    /// A broker is unfenced.
    Returns,
}

impl Reason {
    /// The broker that may neither lead nor be in sync.
    fn gone(self) -> Option<BrokerId> {
        match self {
            Self::Leaves(id) | Self::Crashed(id) => Some(id),
            Self::Returns => None,
        }
    }
}

impl Draft<'_> {
    /// Changes each of the candidates, and each partition that this draft has changed before, that `concerns` the event as
    /// it is now.
    pub(crate) fn update_partitions(
        &mut self,
        reason: Reason,
        candidates: impl Iterator<Item = TopicIdPartition>,
        concerns: impl Fn(&Partition) -> bool,
    ) {
        let mut candidates: BTreeSet<_> = candidates.collect();
        candidates.extend(&self.changed);
        let mut known: Option<(TopicId, ElectionSettings)> = None;
        for key in candidates {
            // Reading the topic's configuration costs more than the rest: once for all of its partitions.
            if known.is_none_or(|(id, _)| id != key.topic_id) {
                let topic = self.image.topics.topic(key.topic_id);
                known = topic.map(|topic| (topic.id, self.controller.election_settings(topic)));
            }
            let Some((_, settings)) = known else { continue };
            let partition = self.image.topics.partition(key.topic_id, key.partition).cloned();
            let Some(partition) = partition.filter(|partition| concerns(partition)) else { continue };
            let record = self.updated(reason, key, &partition, &settings);
            self.push_change(record);
        }
    }

    fn updated(
        &self,
        reason: Reason,
        key: TopicIdPartition,
        partition: &Partition,
        settings: &ElectionSettings,
    ) -> Option<PartitionChangeRecord> {
        let gone = reason.gone();
        let is_acceptable = |id: BrokerId| Some(id) != gone && self.may_serve(partition, id);
        let mut change = self.change_of(key, partition, &is_acceptable, settings);
        change.target_in_sync.retain(|id| Some(*id) != gone);
        change.crashed = gone.filter(|_| matches!(reason, Reason::Crashed(_)));
        change.build()
    }

    /// A change of nothing yet of a partition, with the election that its topic's configuration allows.
    pub(super) fn change_of<'p>(
        &self,
        key: TopicIdPartition,
        partition: &'p Partition,
        is_acceptable: &'p dyn Fn(BrokerId) -> bool,
        settings: &ElectionSettings,
    ) -> PartitionChange<'p> {
        let surroundings = Surroundings {
            is_acceptable,
            level: self.metadata_version(),
            min_in_sync: settings.min_in_sync,
            keeps_eligible: self.image.features.has_eligible_leader_replicas(),
        };
        let mut change = PartitionChange::new(partition, key.topic_id, key.partition, surroundings);
        if settings.may_be_unclean {
            change.election = Election::Unclean;
        }
        change
    }

    /// Adds the record of a change, if there is one. Returns the leader that it names; `None` for no change of leadership.
    pub(super) fn push_change(&mut self, record: Option<PartitionChangeRecord>) -> Option<BrokerId> {
        let record = record?;
        let leader = record.leader;
        let version = self.metadata_version().partition_record_version();
        self.push(VersionedRecord::new(MetadataRecord::PartitionChange(record), version));
        (leader != NO_CHANGE).then_some(NodeId(leader))
    }

    /// Whether the broker's replica may lead: the broker is active, and the replica's directory works.
    pub(super) fn may_serve(&self, partition: &Partition, id: BrokerId) -> bool {
        let Some(broker) = self.image.cluster.broker(id).filter(|broker| broker.is_active()) else { return false };
        partition.directory(id).is_some_and(|directory| broker.has_online_directory(directory))
    }
}

impl Controller {
    /// Where a new replica on that broker lies: in its only directory, else where it decides.
    pub(crate) fn default_directory(&self, id: BrokerId) -> DirectoryId {
        match self.image.cluster.broker(id).map(|broker| &*broker.log_dirs) {
            Some([]) => directory_id::MIGRATING,
            Some([only]) => *only,
            _ => directory_id::UNASSIGNED,
        }
    }

    pub(super) fn election_settings(&self, topic: &Topic) -> ElectionSettings {
        let config = self.topic_config(&topic.name);
        let factor = topic.partitions.values().next().map_or(0, |partition| partition.replicas.len());
        ElectionSettings {
            min_in_sync: usize::try_from(config.min_insync_replicas).unwrap_or(0).min(factor),
            may_be_unclean: config.unclean_leader_election_enable,
        }
    }
}

/// What a topic's configuration says about elections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ElectionSettings {
    pub(super) min_in_sync: usize,
    pub(super) may_be_unclean: bool,
}
