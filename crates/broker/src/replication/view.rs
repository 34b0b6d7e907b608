//! A log as the machines of replication see it, and the metadata of a partition in their words.

use ottla_log::Log;
use ottla_metadata::{self as metadata, MetadataImage};
use ottla_replication::{BrokerStatus, EpochEnd, LogView, PartitionState};
use ottla_types::{LeaderEpoch, Offset};

/// A log, to be asked.
#[derive(Clone, Copy)]
pub(crate) struct View<'a>(pub(crate) &'a Log);

impl LogView for View<'_> {
    fn log_start(&self) -> Offset {
        self.0.log_start_offset()
    }

    fn log_end(&self) -> Offset {
        self.0.log_end_offset()
    }

    fn high_watermark(&self) -> Offset {
        self.0.high_watermark()
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.0.leader_epochs().latest().map(|latest| latest.epoch)
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.0.end_offset_for_epoch(epoch).map(|(epoch, end_offset)| EpochEnd { epoch, end_offset })
    }
}

/// What the image says of a partition and of the brokers that hold its replicas.
pub(crate) fn partition_state(image: &MetadataImage, partition: &metadata::Partition) -> PartitionState {
    let status = |id: &ottla_types::BrokerId| {
        let broker = image.cluster.broker(*id)?;
        let status = BrokerStatus {
            epoch: broker.epoch,
            is_fenced: broker.fenced,
            is_shutting_down: broker.in_controlled_shutdown,
        };
        Some((*id, status))
    };
    PartitionState {
        leader: (partition.leader.value() >= 0).then_some(partition.leader),
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: partition.replicas.clone(),
        adding: partition.adding_replicas.clone(),
        removing: partition.removing_replicas.clone(),
        in_sync: partition.in_sync_replicas.clone(),
        brokers: partition.replicas.iter().filter_map(status).collect(),
    }
}
