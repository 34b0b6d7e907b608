//! What becomes of the partitions when a broker comes, goes or fails.

use crate::Controller;
use crate::partitions::Reason;
use ottla_metadata::VersionedRecord;
use ottla_protocol::metadata_records::{BrokerRegistrationChangeRecord, MetadataRecord};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId};

const FENCE: i8 = 1;
const UNFENCE: i8 = -1;
const IN_CONTROLLED_SHUTDOWN: i8 = 1;

impl Controller {
    /// The broker leads nothing and is in sync with nothing any more.
    pub(super) fn fence_broker(&self, id: BrokerId, epoch: BrokerEpoch, records: &mut Vec<VersionedRecord>) {
        self.update_partitions(Reason::Leaves(id), |_, partition| partition.in_sync_replicas.contains(&id), records);
        records.push(change(id, epoch, BrokerRegistrationChangeRecord { fenced: FENCE, ..Default::default() }, 0));
    }

    /// The broker may lead again: partitions without a leader look whether it can lead them.
    pub(super) fn unfence_broker(&self, id: BrokerId, epoch: BrokerEpoch, records: &mut Vec<VersionedRecord>) {
        records.push(change(id, epoch, BrokerRegistrationChangeRecord { fenced: UNFENCE, ..Default::default() }, 0));
        self.update_partitions(Reason::Returns(id), |_, partition| !partition.has_leader(), records);
    }

    /// The broker hands over what it leads and leaves the in-sync replicas, but stays registered until others know.
    pub(super) fn begin_controlled_shutdown(
        &self,
        id: BrokerId,
        epoch: BrokerEpoch,
        records: &mut Vec<VersionedRecord>,
    ) {
        if self.image.cluster.broker(id).is_some_and(|broker| !broker.in_controlled_shutdown) {
            let record =
                BrokerRegistrationChangeRecord { in_controlled_shutdown: IN_CONTROLLED_SHUTDOWN, ..Default::default() };
            records.push(change(id, epoch, record, 1));
        }
        self.update_partitions(Reason::Leaves(id), |_, partition| partition.in_sync_replicas.contains(&id), records);
    }

    /// A new incarnation of the broker registers: its predecessor is out of sync, and after a crash may have lost records
    /// that it had confirmed, so that it is no eligible leader either (KIP-966).
    pub(super) fn settle_predecessor(&self, id: BrokerId, was_clean: bool, records: &mut Vec<VersionedRecord>) {
        if was_clean || !self.image.features.has_eligible_leader_replicas() {
            self.update_partitions(
                Reason::Leaves(id),
                |_, partition| partition.in_sync_replicas.contains(&id),
                records,
            );
        } else {
            let crashed = Reason::Crashed(id);
            self.update_partitions(crashed, |_, partition| partition.in_sync_replicas.contains(&id), records);
            self.update_partitions(crashed, |_, partition| partition.eligible_leader_replicas.contains(&id), records);
        }
    }

    /// The broker is struck out.
    pub(super) fn remove_from_partitions(&self, id: BrokerId, records: &mut Vec<VersionedRecord>) {
        let leaves = Reason::Leaves(id);
        self.update_partitions(leaves, |_, partition| partition.in_sync_replicas.contains(&id), records);
        self.update_partitions(leaves, |_, partition| partition.eligible_leader_replicas.contains(&id), records);
    }

    /// Directories of the broker have failed.
    pub(super) fn remove_from_directories(
        &self,
        id: BrokerId,
        directories: &[DirectoryId],
        records: &mut Vec<VersionedRecord>,
    ) {
        let is_there = |directory: Option<DirectoryId>| directory.is_some_and(|dir| directories.contains(&dir));
        self.update_partitions(Reason::Leaves(id), |_, partition| is_there(partition.directory(id)), records);
    }

    pub(super) fn has_leaderships(&self, id: BrokerId) -> bool {
        self.image
            .topics
            .partitions()
            .any(|(_, _, partition)| partition.leader == id && partition.in_sync_replicas.contains(&id))
    }
}

fn change(id: BrokerId, epoch: BrokerEpoch, record: BrokerRegistrationChangeRecord, version: i16) -> VersionedRecord {
    let record = BrokerRegistrationChangeRecord { broker_id: id.0, broker_epoch: epoch.0, ..record };
    VersionedRecord::new(MetadataRecord::BrokerRegistrationChange(record), version)
}
