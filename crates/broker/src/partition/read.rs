use super::Partition;
use ottla_log::{LogOffsets, ReadBound, ReadError, ReadRequest, ReadSlice};
use ottla_protocol::ErrorCode;
use ottla_replication::{ReadFrom, ReplicaSelector};
use ottla_types::{BrokerId, LeaderEpoch, Offset};

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
    /// Whether a follower refuses to read.
    pub(crate) is_leader_only: bool,
}

/// What a read has found.
#[derive(Debug)]
pub(crate) enum PartitionRead {
    /// Batches, or none yet.
    Records(ReadSlice),
    /// The reader's log went another way: it must cut back to this epoch and its end offset (KIP-595).
    Diverging { epoch: LeaderEpoch, end_offset: Offset, offsets: LogOffsets },
    /// The reader is to read from that replica (KIP-392).
    Elsewhere { replica: BrokerId, offsets: LogOffsets },
}

impl Partition {
    /// Reads for a consumer: as leader, or as a follower up to what is known here to be committed. An offset between that and the
    /// log's end has no records yet; one beyond the end is out of range, and sends the consumer back to the leader.
    pub(crate) fn read(&self, order: ReadOrder) -> Result<PartitionRead, ErrorCode> {
        match order.is_leader_only {
            true => self.check_leader(order.current_leader_epoch)?,
            false => self.check_replica(order.current_leader_epoch)?,
        }
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

    /// Sends a consumer to another replica.
    pub(crate) fn read_elsewhere(&self, order: ReadOrder, replica: BrokerId) -> Result<PartitionRead, ErrorCode> {
        self.check_replica(order.current_leader_epoch)?;
        Ok(PartitionRead::Elsewhere { replica, offsets: self.log.offsets() })
    }

    /// The follower that a consumer should read from; `None` for this replica. `rack_of` says where brokers stand that the
    /// consumer can reach.
    pub(crate) fn read_replica<'a>(
        &self,
        selector: ReplicaSelector,
        rack: &str,
        offset: Offset,
        rack_of: impl Fn(BrokerId) -> Option<&'a str>,
    ) -> Option<BrokerId> {
        let replica = self.replica.lock();
        match replica.leader()?.read_replica(selector, rack, offset, rack_of, self.context.now()) {
            ReadFrom::Leader => None,
            ReadFrom::Follower(broker) => Some(broker),
        }
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
