use super::change::Surroundings;
use super::{Election, PartitionChange};
use crate::Controller;
use ottla_metadata::{MetadataVersionExt, Partition, Topic, VersionedRecord, directory_id};
use ottla_protocol::metadata_records::{MetadataRecord, PartitionChangeRecord};
use ottla_types::{BrokerId, DirectoryId, PartitionIndex, TopicIdPartition};

/// Why partitions must look again who is in sync and who leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The broker is fenced, shuts down or is struck out.
    Leaves(BrokerId),
    /// The broker comes back after it may have lost records.
    Crashed(BrokerId),
    /// The broker is unfenced.
    Returns(BrokerId),
}

impl Controller {
    /// Adds a record for every partition that `concerns` and that changes for that reason.
    pub(crate) fn update_partitions(
        &self,
        reason: Reason,
        concerns: impl Fn(&Topic, &Partition) -> bool,
        records: &mut Vec<VersionedRecord>,
    ) {
        for topic in self.image.topics.iter() {
            let mut settings = None;
            for (index, partition) in topic.partitions.iter().filter(|(_, partition)| concerns(topic, partition)) {
                // Reading the topic's configuration costs more than the rest: do it once, and only if it is needed.
                let settings = settings.get_or_insert_with(|| self.election_settings(topic));
                records.extend(self.updated(reason, topic, *index, partition, settings));
            }
        }
    }

    /// As [`Self::update_partitions`], for one partition.
    pub(super) fn update_partition(&self, reason: Reason, key: TopicIdPartition, records: &mut Vec<VersionedRecord>) {
        let Some(topic) = self.image.topics.topic(key.topic_id) else { return };
        let Some(partition) = topic.partitions.get(&key.partition) else { return };
        let settings = self.election_settings(topic);
        records.extend(self.updated(reason, topic, key.partition, partition, &settings));
    }

    fn updated(
        &self,
        reason: Reason,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
        settings: &ElectionSettings,
    ) -> Option<VersionedRecord> {
        let (gone, back, crashed) = match reason {
            Reason::Leaves(id) => (Some(id), None, None),
            Reason::Crashed(id) => (Some(id), None, Some(id)),
            Reason::Returns(id) => (None, Some(id), None),
        };
        let is_acceptable = |id: BrokerId| {
            Some(id) != gone && (Some(id) == back || self.is_active_broker(id)) && self.is_online(partition, id)
        };
        let mut change = self.change_of(topic, index, partition, &is_acceptable, settings);
        change.target_in_sync.retain(|id| Some(*id) != gone);
        change.crashed = crashed;
        let level = self.metadata_version();
        change.build().map(|record| versioned(record, level.partition_record_version()))
    }

    /// A change of a partition, for which any active broker with the replica's directory online may lead.
    pub(super) fn change_of<'a>(
        &'a self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &'a Partition,
        is_acceptable: &'a dyn Fn(BrokerId) -> bool,
        settings: &ElectionSettings,
    ) -> PartitionChange<'a> {
        let surroundings = Surroundings {
            is_acceptable,
            level: self.metadata_version(),
            min_in_sync: settings.min_in_sync,
            keeps_eligible: self.image.features.has_eligible_leader_replicas(),
        };
        let mut change = PartitionChange::new(partition, topic.id, index, surroundings);
        if settings.may_be_unclean {
            change.election = Election::Unclean;
        }
        change
    }

    pub(super) fn is_online(&self, partition: &Partition, id: BrokerId) -> bool {
        let Some(broker) = self.image.cluster.broker(id) else { return false };
        partition.directory(id).is_some_and(|directory| broker.has_online_directory(directory))
    }

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

pub(super) fn versioned(record: PartitionChangeRecord, version: i16) -> VersionedRecord {
    VersionedRecord::new(MetadataRecord::PartitionChange(record), version)
}
