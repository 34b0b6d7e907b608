//! Records that are deleted before their time (KIP-107), on all replicas.

use super::Partition;
use ottla_log::ReadError;
use ottla_protocol::ErrorCode;
use ottla_types::{LeaderEpoch, Offset};

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

impl Partition {
    /// Lets the log begin at an offset, as leader. Gives the offset: once [`Self::low_watermark`] is there, no live replica has
    /// anything before it.
    pub(crate) fn delete_records(&self, before: i64) -> Result<Offset, ErrorCode> {
        self.check_leader(LeaderEpoch::NONE)?;
        if !self.rules().config.cleanup_policy.delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let offset = match before {
            HIGH_WATERMARK => self.log.high_watermark(),
            before if before < 0 => return Err(ErrorCode::OffsetOutOfRange),
            before => Offset(before),
        };
        let start = self.log.advance_log_start_offset(offset).map_err(|error| {
            if let ReadError::Storage(_) = error {
                tracing::error!(%error, "records can't be deleted");
            }
            ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::UnknownServerError)
        })?;
        let now = self.context.now();
        self.step(|replica| replica.leader_mut().map(|leader| leader.log_start_moved(start, now)).unwrap_or_default());
        self.waiters.log_start_moved();
        Ok(offset)
    }

    /// The earliest offset that a live replica still has; `None` where this broker does not lead.
    pub(crate) fn low_watermark(&self) -> Option<Offset> {
        self.replica.lock().leader().map(|leader| leader.low_watermark())
    }
}
