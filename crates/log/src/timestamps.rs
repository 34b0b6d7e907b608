//! Finding offsets by timestamp.

use crate::batch::BatchFault;
use crate::error::{Damage, ReadError, StorageError};
use crate::format::TimestampOffset;
use crate::log::{Log, View};
use crate::scan::{HeaderWalk, Located};
use crate::segment::Segment;
use ottla_env::File;
use ottla_records::{AnyBatch, Decompressor};
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use std::sync::Arc;

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its offset.
    pub offset: Offset,
    /// The leader epoch of its batch; -1 when that is not known.
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record whose timestamp is at or after the one given. `None` when there is none.
    ///
    /// Reads and, if need be, decompresses one batch or a few: for ListOffsets, not for the path of a fetch.
    pub fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let view = self.view();
        for segment in view.segments.iter() {
            let largest = self.largest_timestamp(segment)?.map_or(segment.created, |largest| largest.timestamp);
            if largest < timestamp {
                continue;
            }
            let file = self.context.files.get(segment)?;
            let by_time = segment.position_before_timestamp(self.disk(), timestamp)?;
            let start = by_time.max(segment.position_before(self.disk(), view.log_start_offset)?);
            let mut walk = HeaderWalk::new(&*file, start, self.size_in(&view, segment)?);
            while let Some(Ok(located)) = walk.next()? {
                let header = &located.header;
                if header.max_timestamp < timestamp || header.last_offset() < view.log_start_offset {
                    continue;
                }
                let wanted =
                    |found: &TimestampedOffset| found.timestamp >= timestamp && found.offset >= view.log_start_offset;
                if let Some(found) = first_record(&*file, &located, decompressor, wanted)? {
                    return Ok(Some(found));
                }
            }
            // Kafka looks no further: what is in later segments is later.
            return Ok(None);
        }
        Ok(None)
    }

    /// The first record with the greatest timestamp of the log. `None` when no record has a timestamp.
    pub fn offset_of_max_timestamp(
        &self,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let view = self.view();
        let Some((segment, largest)) = self.max_timestamp(&view)? else { return Ok(None) };
        let file = self.context.files.get(segment)?;
        let start = segment.position_before(self.disk(), largest.offset)?;
        let mut walk = HeaderWalk::new(&*file, start, self.size_in(&view, segment)?);
        while let Some(Ok(located)) = walk.next()? {
            if located.header.max_timestamp == largest.timestamp {
                let wanted = |found: &TimestampedOffset| found.timestamp == largest.timestamp;
                return first_record(&*file, &located, decompressor, wanted);
            }
        }
        Ok(None)
    }

    /// The greatest timestamp of the log, with the first segment that has it.
    fn max_timestamp<'a>(&self, view: &'a View) -> Result<Option<(&'a Arc<Segment>, TimestampOffset)>, ReadError> {
        let mut found: Option<(&Arc<Segment>, TimestampOffset)> = None;
        for segment in view.segments.iter() {
            if let Some(largest) = self.largest_timestamp(segment)?
                && found.is_none_or(|(_, best)| largest.timestamp > best.timestamp)
            {
                found = Some((segment, largest));
            }
        }
        Ok(found)
    }
}

/// The first record of a batch that fulfils a condition.
fn first_record(
    file: &dyn File,
    located: &Located,
    decompressor: &mut Decompressor,
    condition: impl Fn(&TimestampedOffset) -> bool,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let mut bytes = vec![0; located.header.length as usize];
    let read = file.read_at(&mut bytes, located.position)?;
    bytes.truncate(read);
    let leader_epoch = located.header.leader_epoch;
    // To say that there is no such record would send a client past all that follow.
    let unreadable = || {
        let (path, position) = (file.path().to_owned(), located.position);
        let offset = located.header.base_offset;
        ReadError::Storage(StorageError::Damaged(Damage { path, position, offset, fault: BatchFault::Records }))
    };
    let batch = AnyBatch::parse(&bytes).map_err(|_| unreadable())?;
    for record in batch.records(decompressor).map_err(|_| unreadable())? {
        let record = record.map_err(|_| unreadable())?;
        let found = TimestampedOffset { timestamp: record.timestamp, offset: record.offset, leader_epoch };
        if condition(&found) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
