use crate::codecs::Codecs;
use crate::partition::{Acknowledgement, Append, Partition, PartitionRead, ReadOrder};
use ottla_coordinator::{MachineLog, MarkerEpoch};
use ottla_env::Clock;
use ottla_log::{AppendInfo, AppendOrigin, ReadBound, TransactionVersion};
use ottla_protocol::ErrorCode;
use ottla_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use std::sync::Arc;

/// A partition of an internal topic as the log of a coordinator.
pub(crate) struct PartitionLog {
    partition: Arc<Partition>,
    clock: Arc<dyn Clock>,
    codecs: Arc<Codecs>,
    /// What was appended and nobody was told of.
    unannounced: Mutex<Vec<AppendInfo>>,
}

impl PartitionLog {
    pub(crate) fn new(partition: Arc<Partition>, clock: Arc<dyn Clock>, codecs: Arc<Codecs>) -> Self {
        Self { partition, clock, codecs, unannounced: Mutex::default() }
    }
}

impl PartitionLog {
    fn write(&self, batch: &mut [u8], transaction_version: TransactionVersion) -> Result<Offset, ErrorCode> {
        let append = Append {
            origin: AppendOrigin::Coordinator { transaction_version },
            acknowledgement: Acknowledgement::All,
            now: self.clock.wall(),
            codecs: &self.codecs,
        };
        match self.partition.append_silently(batch, append) {
            Ok(info) => {
                self.unannounced.lock().push(info);
                Ok(info.last_offset)
            }
            Err(error) => {
                tracing::warn!(partition = %self.partition.index, ?error, "a coordinator can't write");
                Err(error.code)
            }
        }
    }
}

impl MachineLog for PartitionLog {
    fn append(&self, batch: &mut [u8]) -> Result<Offset, ErrorCode> {
        self.write(batch, TransactionVersion::Classic)
    }

    fn append_marker(&self, batch: &mut [u8], epoch: MarkerEpoch) -> Result<Offset, ErrorCode> {
        let version = match epoch {
            MarkerEpoch::Same => TransactionVersion::Classic,
            MarkerEpoch::Bumped => TransactionVersion::EpochBump,
        };
        self.write(batch, version)
    }

    fn announce(&self) {
        let unannounced = std::mem::take(&mut *self.unannounced.lock());
        unannounced.iter().for_each(|info| self.partition.announce(info));
    }

    fn high_watermark(&self) -> Offset {
        self.partition.log.high_watermark()
    }

    fn start_offset(&self) -> Offset {
        self.partition.log.log_start_offset()
    }

    fn end_offset(&self) -> Result<Offset, ErrorCode> {
        self.partition.check_leader(LeaderEpoch::NONE)?;
        Ok(self.partition.log.log_end_offset())
    }

    fn read(&self, from: Offset, bytes_max: usize, into: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let order = ReadOrder {
            offset: from,
            current_leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes: bytes_max,
            min_one_batch: true,
            bound: ReadBound::LogEnd,
            is_leader_only: true,
        };
        let PartitionRead::Records(slice) = self.partition.read(order)? else {
            return Err(ErrorCode::UnknownServerError);
        };
        into.clear();
        for range in &slice.ranges {
            let bytes = range.read().map_err(|error| self.partition.log.judge(error));
            into.extend(
                bytes.map_err(|error| ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::KafkaStorageError))?,
            );
        }
        Ok(())
    }

    fn batch_bytes_max(&self) -> usize {
        self.partition.log.config().max_message_bytes as usize
    }
}
