//! The topic id of a log, in `partition.metadata`.

use crate::error::{PartitionError, StorageError};
use crate::format::format_partition_metadata;
use crate::log::Log;
use crate::names::PARTITION_METADATA_FILE;
use crate::small_file::replace_file;
use ottla_types::TopicId;
use std::sync::atomic::Ordering;

impl Log {
    /// Says which topic the log belongs to. Written before the first append and at a clean stop, as in Kafka: a partition
    /// without records costs no sync, and no record is ever in a log whose topic is not known.
    pub fn set_topic_id(&self, id: TopicId) -> Result<(), PartitionError> {
        let mut current = self.topic_id.write();
        match *current {
            Some(found) if found != id => {
                let partition = self.partition.clone();
                Err(PartitionError::InconsistentTopicId { partition, found, expected: id })
            }
            Some(_) => Ok(()),
            None => {
                *current = Some(id);
                self.topic_id_dirty.store(true, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Writes the topic id, when that has not been done yet.
    pub(crate) fn write_topic_id(&self) -> Result<(), StorageError> {
        if !self.topic_id_dirty.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some(id) = self.topic_id() {
            let path = self.path.get().join(PARTITION_METADATA_FILE);
            let contents = format_partition_metadata(id);
            replace_file(self.disk(), &path, contents.as_bytes()).map_err(|error| self.failed(error))?;
        }
        self.topic_id_dirty.store(false, Ordering::Release);
        Ok(())
    }
}
