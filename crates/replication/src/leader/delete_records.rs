use super::Leader;
use ottla_types::Offset;
use thiserror::Error;

/// OFFSET_OUT_OF_RANGE of a DeleteRecords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("records can be deleted up to the high watermark {high_watermark}, not up to {requested}")]
pub struct DeleteRecordsRefusal {
    /// What was asked for.
    pub requested: Offset,
    /// Where the high watermark is.
    pub high_watermark: Offset,
}

impl Leader {
    /// The offset at which the log is to start for a DeleteRecords: `-1` means the high watermark. The host moves the log
    /// start there if it is before, tells [`Leader::log_start_moved`], and answers when
    /// [`Leader::low_watermark`] is there.
    ///
    /// # Errors
    /// Records that are not committed can't be deleted.
    pub fn delete_records_before(&self, requested: Offset) -> Result<Offset, DeleteRecordsRefusal> {
        let refusal = DeleteRecordsRefusal { requested, high_watermark: self.high_watermark };
        match requested {
            Offset(-1) => Ok(self.high_watermark),
            Offset(..-1) => Err(refusal),
            _ if requested > self.high_watermark => Err(refusal),
            _ => Ok(requested),
        }
    }
}
