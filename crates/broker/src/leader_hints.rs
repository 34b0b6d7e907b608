//! Who leads a partition instead, told to a client that came to the wrong place (KIP-951).

use crate::partition::Partition;
use ottla_metadata::{MetadataImage, Topic};
use ottla_types::{BrokerId, LeaderEpoch, PartitionIndex};

/// A leader and its epoch; nobody and none where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaderHint {
    pub(crate) leader: BrokerId,
    pub(crate) epoch: LeaderEpoch,
}

impl LeaderHint {
    /// What a replica here knows of its leader.
    pub(crate) fn of(partition: &Partition) -> Self {
        let leadership = partition.leadership();
        Self { leader: leadership.leader, epoch: leadership.leader_epoch }
    }

    /// What the metadata says of a partition of which there is no replica here.
    pub(crate) fn of_image(topic: Option<&Topic>, index: PartitionIndex) -> Self {
        let known = topic.and_then(|topic| topic.partitions.get(&index));
        known.map_or(Self { leader: BrokerId::NONE, epoch: LeaderEpoch::NONE }, |partition| Self {
            leader: partition.leader,
            epoch: partition.leader_epoch,
        })
    }

    /// The leader, where clients of a listener can reach it: its host, its port, its rack.
    pub(crate) fn endpoint<'a>(
        self,
        image: &'a MetadataImage,
        listener: &str,
    ) -> Option<(&'a str, u16, Option<&'a str>)> {
        let broker = image.cluster.broker(self.leader).filter(|broker| !broker.fenced)?;
        let endpoint = broker.endpoint(listener)?;
        Some((&endpoint.host, endpoint.port, broker.rack.as_deref()))
    }
}
