use super::Partition;
use ottla_log::{LogOffsets, ReadBound, ReadError, ReadRequest, ReadSlice};
use ottla_protocol::ErrorCode;
use ottla_types::{LeaderEpoch, Offset};

/// What is to be read of one partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadOrder {
    pub(crate) offset: Offset,
    pub(crate) current_leader_epoch: LeaderEpoch,
    pub(crate) last_fetched_epoch: LeaderEpoch,
    pub(crate) max_bytes: usize,
    /// Whether one whole batch is given even when it is larger than `max_bytes`.
    pub(crate) min_one_batch: bool,
    pub(crate) bound: ReadBound,
}

/// What a read has found.
#[derive(Debug)]
pub(crate) enum PartitionRead {
    /// Batches, or none yet.
    Records(ReadSlice),
    /// The reader's log went another way: it must cut back to this epoch and its end offset (KIP-595).
    Diverging { epoch: LeaderEpoch, end_offset: Offset, offsets: LogOffsets },
}

impl Partition {
    /// Reads as leader.
    pub(crate) fn read(&self, order: ReadOrder) -> Result<PartitionRead, ErrorCode> {
        self.check_leader(order.current_leader_epoch)?;
        if let Some(diverging) = self.diverging(&order)? {
            return Ok(diverging);
        }
        let request = ReadRequest {
            offset: order.offset,
            max_bytes: order.max_bytes,
            min_one_batch: order.min_one_batch,
            bound: order.bound,
        };
        let mut slice = self.log.read(request).map_err(|error| read_error(&error))?;
        if slice.first_batch_incomplete {
            // A part of a batch helps nobody: the reader asks again with more room.
            slice.ranges.clear();
        }
        Ok(PartitionRead::Records(slice))
    }

    /// Whether the reader's last epoch ended before the offset that it wants to go on at.
    fn diverging(&self, order: &ReadOrder) -> Result<Option<PartitionRead>, ErrorCode> {
        if order.last_fetched_epoch == LeaderEpoch::NONE {
            return Ok(None);
        }
        let (epoch, end_offset) =
            self.log.end_offset_for_epoch(order.last_fetched_epoch).ok_or(ErrorCode::OffsetOutOfRange)?;
        if epoch < order.last_fetched_epoch || end_offset < order.offset {
            let offsets = self.log.offsets();
            return Ok(Some(PartitionRead::Diverging { epoch, end_offset, offsets }));
        }
        Ok(None)
    }
}

pub(super) fn read_error(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => {}
        ReadError::Storage(_) => tracing::error!(%error, "records can't be read"),
    }
    ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::UnknownServerError)
}
