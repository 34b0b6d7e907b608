//! Building the producers' state of a log from a snapshot and the batches after it.

use crate::batch::BatchHeader;
use crate::context::DirectoryContext;
use crate::format::{AbortedTransaction, parse_producer_snapshot};
use crate::names::FileKind;
use crate::producers::{AppendOrigin, Prepared, ProducerStates};
use crate::scan::{HeaderWalk, Located};
use crate::segment::{LogPath, Segment};
use crate::small_file::{read_file, remove_file_if_exists};
use ottla_env::{DiskResult, File};
use ottla_types::Offset;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most that a snapshot may have: more than a million producers.
const SNAPSHOT_LENGTH_MAX: u64 = 64 << 20;
/// Control batches are short; a longer one is no marker.
const CONTROL_LENGTH_MAX: u32 = 1 << 20;

/// Where the state of a log's producers comes from.
pub(crate) struct ProducerSource<'a> {
    pub(crate) context: &'a DirectoryContext,
    pub(crate) path: &'a LogPath,
    /// Ascending. Their sizes are those of their valid batches.
    pub(crate) segments: &'a [Arc<Segment>],
    pub(crate) log_start_offset: Offset,
    pub(crate) expiration_ms: i64,
}

impl ProducerSource<'_> {
    /// The state at an offset: from the newest snapshot that is not beyond it, and the batches after that. Snapshots that
    /// can't be read are removed.
    pub(crate) fn load(&self, snapshots: &mut BTreeSet<Offset>, end: Offset) -> DiskResult<ProducerStates> {
        let mut states = self.newest_snapshot(snapshots, end)?;
        self.replay(&mut states, end)?;
        states.set_end_offset(end);
        Ok(states)
    }

    fn newest_snapshot(&self, snapshots: &mut BTreeSet<Offset>, end: Offset) -> DiskResult<ProducerStates> {
        let now = self.context.environment.clock.wall();
        while let Some(offset) = snapshots.range(..=end).next_back().copied() {
            let path = self.path.file(FileKind::ProducerSnapshot, offset);
            let reason = match read_file(self.context.disk(), &path, SNAPSHOT_LENGTH_MAX) {
                Ok(Some(contents)) => match parse_producer_snapshot(&contents) {
                    Ok(entries) => return Ok(ProducerStates::from_snapshot(&entries, offset, now, self.expiration_ms)),
                    Err(error) => error.to_string(),
                },
                Ok(None) => "it does not exist".to_owned(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(path = %path.display(), reason, "leaving out a producer snapshot");
            remove_file_if_exists(self.context.disk(), &path)?;
            snapshots.remove(&offset);
        }
        Ok(ProducerStates::new(self.log_start_offset))
    }

    fn replay(&self, states: &mut ProducerStates, end: Offset) -> DiskResult<()> {
        let mut next = states.end_offset();
        let first = self.segments.partition_point(|segment| segment.base_offset <= next).saturating_sub(1);
        for segment in self.segments.get(first..).unwrap_or_default() {
            if next >= end || segment.base_offset >= end {
                break;
            }
            let file = self.context.files.get(segment)?;
            let size = segment.size(self.context.disk())?;
            let start = match segment.find(self.context.disk(), &*file, next, size)? {
                Some(Ok(located)) => located.position,
                _ => continue,
            };
            let mut walk = HeaderWalk::new(&*file, start, size);
            while let Some(Ok(located)) = walk.next()? {
                if located.header.base_offset >= end {
                    break;
                }
                // The log may begin within a batch, whose producer counts all the same.
                if located.header.last_offset() >= next {
                    let batch = control_batch(&*file, &located)?;
                    // The transaction index has these already.
                    drop(replay_batch(states, &located.header, &batch));
                    next = located.header.last_offset().next();
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a batch, if they must be looked into.
pub(crate) fn control_batch(file: &dyn File, located: &Located) -> DiskResult<Vec<u8>> {
    let mut bytes = Vec::new();
    if located.header.is_control() && located.header.length <= CONTROL_LENGTH_MAX {
        bytes.resize(located.header.length as usize, 0);
        let read = file.read_at(&mut bytes, located.position)?;
        bytes.truncate(read);
    }
    Ok(bytes)
}

/// Lets the state take in a batch that is in the log. Gives the entries of the transaction index that the batch makes due.
pub(crate) fn replay_batch(states: &mut ProducerStates, header: &BatchHeader, batch: &[u8]) -> Vec<AbortedTransaction> {
    if !header.producer_id.is_some() {
        return Vec::new();
    }
    let mut prepared = Prepared::default();
    if let Err(error) = states.prepare(&mut prepared, header, batch, AppendOrigin::Replication) {
        tracing::warn!(offset = %header.base_offset, %error, "a batch does not fit its producer's state");
        return Vec::new();
    }
    states.commit(prepared, header.last_offset().next()).iter().map(AbortedTransaction::of).collect()
}
