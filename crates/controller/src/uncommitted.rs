use crate::Controller;
use ottla_metadata::{MetadataImage, ReplayError, VersionedRecord};
use ottla_types::{BrokerId, Offset};
use std::collections::{BTreeMap, VecDeque};

/// The state before each batch that was replayed before it was committed. Images share what is the same, so this costs a
/// few pointers and what the batch has changed.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted(VecDeque<Mark>);

#[derive(Debug)]
struct Mark {
    last_offset: Offset,
    image: MetadataImage,
    transaction: Option<Box<MetadataImage>>,
    registration_offsets: BTreeMap<BrokerId, Offset>,
}

impl Controller {
    /// Applies the records of a batch that this controller has just appended, before it is committed: so the next decision
    /// builds on this one. Call [`Self::commit`] when the quorum has it, [`Self::resign`] when it no longer leads.
    ///
    /// # Errors
    /// When a record contradicts the image. Decisions contain no such records.
    pub fn replay_uncommitted(&mut self, base_offset: Offset, records: &[VersionedRecord]) -> Result<(), ReplayError> {
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.uncommitted.0.push_back(Mark {
            last_offset: base_offset.plus(count - 1),
            image: self.image.clone(),
            transaction: self.transaction.clone(),
            registration_offsets: self.registration_offsets.clone(),
        });
        let mut offset = base_offset;
        for record in records {
            self.replay(offset, &record.record)?;
            offset = offset.next();
        }
        Ok(())
    }

    /// Everything up to and including `offset` is committed, and can no longer be taken back.
    pub fn commit(&mut self, offset: Offset) {
        while self.uncommitted.0.pop_front_if(|mark| mark.last_offset <= offset).is_some() {}
    }

    /// The last offset that was replayed and is not committed yet: what it decides may rest on that.
    pub fn last_uncommitted(&self) -> Option<Offset> {
        self.uncommitted.0.back().map(|mark| mark.last_offset)
    }

    /// This node no longer leads the quorum. What was not committed is taken back: the next leader may have something else
    /// in its place.
    pub fn resign(&mut self) {
        self.schedule = Default::default();
        let Some(first) = std::mem::take(&mut self.uncommitted.0).pop_front() else { return };
        self.transaction = first.transaction;
        self.registration_offsets = first.registration_offsets;
        self.set_image(first.image);
    }
}
