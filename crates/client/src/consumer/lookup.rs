use super::partitions::{Partitions, reset_spec};
use super::settings::{ConsumerSettings, OffsetReset};
use super::{fetch_offsets, list_offsets};
use crate::admin::{OffsetAndMetadata, OffsetSpec};
use crate::cluster::Cluster;
use crate::error::{ClientError, Result};
use crate::producer::now_ms;
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be found out about positions.
pub(super) struct Lookup {
    /// Of these the committed offset, and without one what the reset says.
    committed: BTreeSet<TopicPartition>,
    /// Of these what a seek or a reset said.
    seeks: BTreeMap<TopicPartition, OffsetSpec>,
    /// The state of each partition when the lookup began.
    pub(super) states: BTreeMap<TopicPartition, u64>,
}

/// The positions that were found.
pub(super) type Found = BTreeMap<TopicPartition, Result<OffsetAndMetadata>>;

impl Lookup {
    /// What is missing; `None` when nothing is.
    pub(super) fn of(partitions: &Partitions) -> Option<Self> {
        let (committed, seeks) = (partitions.without_position(), partitions.seeks());
        if committed.is_empty() && seeks.is_empty() {
            return None;
        }
        let states = partitions.states.iter().map(|(partition, state)| (partition.clone(), state.seeks)).collect();
        Some(Self { committed, seeks, states })
    }

    pub(super) async fn run(&self, cluster: &Cluster, settings: &ConsumerSettings) -> Result<Found> {
        let mut found = Found::new();
        let mut seeks = self.seeks.clone();
        if !self.committed.is_empty() {
            let committed = match &settings.group_id {
                Some(group) => fetch_offsets(cluster, group, Some(&self.committed)).await?,
                None => BTreeMap::new(),
            };
            for partition in &self.committed {
                match committed.get(partition) {
                    Some(offset) => {
                        found.insert(partition.clone(), Ok(offset.clone()));
                    }
                    None => match reset_spec(settings.offset_reset, now_ms()) {
                        Some(spec) => {
                            seeks.insert(partition.clone(), spec);
                        }
                        None => {
                            found.insert(partition.clone(), Err(no_offset(partition)));
                        }
                    },
                }
            }
        }
        if !seeks.is_empty() {
            found.extend(self.look_up(cluster, settings, &seeks).await?);
        }
        Ok(found)
    }

    async fn look_up(
        &self,
        cluster: &Cluster,
        settings: &ConsumerSettings,
        seeks: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<Found> {
        let listed = list_offsets(cluster, seeks, settings.isolation).await?;
        let mut found = Found::new();
        let mut beyond = BTreeMap::new();
        for (partition, listed) in listed {
            match listed {
                // No record is as late as the time asked for: then it is the end.
                Ok(listed) if listed.offset < 0 => {
                    beyond.insert(partition, OffsetSpec::Latest);
                }
                listed => {
                    found.insert(partition, listed.map(position));
                }
            }
        }
        for (partition, listed) in list_offsets(cluster, &beyond, settings.isolation).await? {
            found.insert(partition, listed.map(position));
        }
        Ok(found)
    }
}

fn position(listed: crate::admin::ListedOffset) -> OffsetAndMetadata {
    OffsetAndMetadata { offset: listed.offset, leader_epoch: listed.leader_epoch, metadata: String::new() }
}

/// The error of a partition that has nowhere to begin.
pub(super) fn no_offset(partition: &TopicPartition) -> ClientError {
    ClientError::NoOffset { topic: partition.topic.to_string(), partition: partition.partition.value() }
}

/// Whether a position that is gone may be replaced.
pub(super) fn may_reset(reset: OffsetReset) -> bool {
    reset != OffsetReset::None
}
