//! Batches of producers that a snapshot did not hold, found again in the log.
//!
//! A producer's snapshot holds its last batch, as Kafka's format has it, but a client has up to five under way. After a restart, a
//! truncation or a roll before a crash, those before the last would pass for a gap when they are sent again: the client would give
//! up (librdkafka: "sequence desynchronization"), or begin a new epoch and write once more what is there. Apache Kafka leaves it
//! at that. Looking at each start would cost what a clean stop saves; so it is done when the first batch comes that does not fit.

use crate::error::StorageError;
use crate::log::{Log, View, Writer};
use crate::producers::BatchMetadata;
use crate::scan::HeaderWalk;
use ottla_env::DiskResult;
use ottla_types::{Offset, ProducerEpoch, ProducerId};
use std::collections::VecDeque;

/// How many records before a snapshot are looked at: more than come while a client waits for an answer. With the smallest
/// batches that is a walk over 80 MB, once after a start.
const RECORDS_MAX: i64 = 1_000_000;
/// How many batches of producers are kept of the walk, which are the last ones: five of each of many producers.
const BATCHES_MAX: usize = 100_000;

type Found = VecDeque<(ProducerId, ProducerEpoch, BatchMetadata)>;

impl Log {
    /// Completes what is known of the last batches of producers from the log. Says whether there was anything to look for.
    pub(crate) fn recall_batches(&self, writer: &mut Writer, view: &View) -> Result<bool, StorageError> {
        let Some(end) = writer.producers.lacks_before() else { return Ok(false) };
        let found = self.batches_before(view, end).map_err(|error| self.failed(error))?;
        writer.producers.recall(found);
        Ok(true)
    }

    fn batches_before(&self, view: &View, end: Offset) -> DiskResult<Found> {
        let from = end.plus(-RECORDS_MAX).max(view.log_start_offset);
        let mut found = Found::new();
        let first = view.floor(from).unwrap_or(0);
        for segment in view.segments.iter().skip(first).take_while(|segment| segment.base_offset < end) {
            let size = self.size_in(view, segment)?;
            let file = self.context.files.get(segment)?;
            let start = segment.find(self.disk(), &*file, from.max(segment.base_offset), size)?;
            let Some(Ok(start)) = start else { continue };
            let mut walk = HeaderWalk::new(&*file, start.position, size);
            while let Some(Ok(located)) = walk.next()? {
                let header = located.header;
                if header.base_offset >= end {
                    break;
                }
                if header.producer_id.is_some() && !header.is_control() && header.base_sequence.0 >= 0 {
                    if found.len() == BATCHES_MAX {
                        found.pop_front();
                    }
                    found.push_back((header.producer_id, header.producer_epoch, BatchMetadata::of(&header)));
                }
            }
        }
        Ok(found)
    }
}
