use crate::Controller;
use ottla_metadata::{MetadataImage, MetadataVersionExt, VersionedRecord};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_types::{MetadataVersion, PartitionIndex, TopicIdPartition};
use std::collections::BTreeSet;

/// One decision in the making: the records so far, and the image as it is after them.
///
/// Whoever adds to a decision looks at the draft, not at the controller's image: so every step of a decision sees those
/// before it, and no record gets in that can't be replayed.
pub(crate) struct Draft<'a> {
    pub(crate) controller: &'a Controller,
    pub(crate) image: MetadataImage,
    pub(crate) records: Vec<VersionedRecord>,
    /// The partitions that the records are about: [`crate::partitions::PartitionsByState`] knows them as they were before.
    pub(crate) changed: BTreeSet<TopicIdPartition>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(controller: &'a Controller) -> Self {
        let image = controller.image.clone();
        Self { controller, image, records: Vec::new(), changed: BTreeSet::new() }
    }

    /// Adds a record. One that contradicts the image would stop every node that replays it, so it is left out; that it was
    /// made at all is a fault of the one who decides.
    pub(crate) fn push(&mut self, record: VersionedRecord) {
        if let Err(error) = self.image.replay(&record.record) {
            debug_assert!(false, "a decision contradicts the image: {error}");
            return;
        }
        if let MetadataRecord::PartitionChange(change) = &record.record {
            let partition = PartitionIndex(change.partition_id);
            self.changed.insert(TopicIdPartition { topic_id: change.topic_id, partition });
        }
        self.records.push(record);
    }

    pub(crate) fn metadata_version(&self) -> MetadataVersion {
        self.image.features.metadata_version().unwrap_or(MetadataVersion::MINIMUM)
    }
}
