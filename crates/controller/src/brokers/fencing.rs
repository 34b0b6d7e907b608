//! What becomes of the partitions when a broker comes, goes or fails.

use crate::draft::Draft;
use crate::partitions::Reason;
use ottla_metadata::VersionedRecord;
use ottla_protocol::metadata_records::{BrokerRegistrationChangeRecord, MetadataRecord};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId};

const FENCE: i8 = 1;
const UNFENCE: i8 = -1;
const IN_CONTROLLED_SHUTDOWN: i8 = 1;

impl Draft<'_> {
    /// The broker leads nothing and is in sync with nothing any more.
    pub(super) fn fence_broker(&mut self, id: BrokerId, epoch: BrokerEpoch) {
        self.leave_in_sync(Reason::Leaves(id), id);
        self.push(change(id, epoch, BrokerRegistrationChangeRecord { fenced: FENCE, ..Default::default() }, 0));
    }

    /// The broker may lead again: partitions without a leader look whether it can lead them.
    pub(super) fn unfence_broker(&mut self, id: BrokerId, epoch: BrokerEpoch) {
        self.push(change(id, epoch, BrokerRegistrationChangeRecord { fenced: UNFENCE, ..Default::default() }, 0));
        let leaderless = self.controller.by_state.leaderless();
        self.update_partitions(Reason::Returns, leaderless.iter(), |partition| !partition.has_leader());
    }

    /// The broker hands over what it leads and leaves the in-sync replicas, but stays registered until others know.
    pub(super) fn begin_controlled_shutdown(&mut self, id: BrokerId, epoch: BrokerEpoch) {
        if self.image.cluster.broker(id).is_some_and(|broker| !broker.in_controlled_shutdown) {
            let record =
                BrokerRegistrationChangeRecord { in_controlled_shutdown: IN_CONTROLLED_SHUTDOWN, ..Default::default() };
            self.push(change(id, epoch, record, 1));
        }
        self.leave_in_sync(Reason::Leaves(id), id);
    }

    /// A new incarnation of the broker registers: its predecessor is out of sync, and after a crash may have lost records
    /// that it had confirmed, so that it is no eligible leader either (KIP-966).
    pub(super) fn settle_predecessor(&mut self, id: BrokerId, was_clean: bool) {
        if was_clean || !self.image.features.has_eligible_leader_replicas() {
            self.leave_in_sync(Reason::Leaves(id), id);
        } else {
            self.leave_in_sync(Reason::Crashed(id), id);
            self.leave_eligible(Reason::Crashed(id), id);
        }
    }

    /// The broker is struck out.
    pub(super) fn remove_from_partitions(&mut self, id: BrokerId) {
        self.leave_in_sync(Reason::Leaves(id), id);
        self.leave_eligible(Reason::Leaves(id), id);
    }

    /// Directories of the broker have failed.
    pub(super) fn remove_from_directories(&mut self, id: BrokerId, directories: &[DirectoryId]) {
        let is_there = |directory: Option<DirectoryId>| directory.is_some_and(|dir| directories.contains(&dir));
        let in_sync = self.controller.by_state.in_sync_with(id);
        self.update_partitions(Reason::Leaves(id), in_sync, |partition| {
            partition.in_sync_replicas.contains(&id) && is_there(partition.directory(id))
        });
    }

    fn leave_in_sync(&mut self, reason: Reason, id: BrokerId) {
        let in_sync = self.controller.by_state.in_sync_with(id);
        self.update_partitions(reason, in_sync, |partition| partition.in_sync_replicas.contains(&id));
    }

    fn leave_eligible(&mut self, reason: Reason, id: BrokerId) {
        let eligible = self.controller.by_state.eligible_for(id);
        self.update_partitions(reason, eligible, |partition| partition.eligible_leader_replicas.contains(&id));
    }
}

fn change(id: BrokerId, epoch: BrokerEpoch, record: BrokerRegistrationChangeRecord, version: i16) -> VersionedRecord {
    let record = BrokerRegistrationChangeRecord { broker_id: id.0, broker_epoch: epoch.0, ..record };
    VersionedRecord::new(MetadataRecord::BrokerRegistrationChange(record), version)
}
