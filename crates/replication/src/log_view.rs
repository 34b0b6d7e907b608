use ottla_types::{LeaderEpoch, Offset};

/// What a machine may ask of a replica's log. Nothing changes while a machine is being stepped.
pub trait LogView {
    /// The first offset that can be read.
    fn log_start(&self) -> Offset;

    /// The offset of the next record.
    fn log_end(&self) -> Offset;

    /// The offset below which every record is known to be committed.
    fn high_watermark(&self) -> Offset;

    /// The greatest leader epoch that the log knows, with or without records.
    fn latest_epoch(&self) -> Option<LeaderEpoch>;

    /// The greatest epoch not above `epoch`, and where it ends: at the start of the next one, or at the end of the log. `None`
    /// when the log knows nothing that answers.
    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
}

/// A leader epoch and the offset after its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Where it ends.
    pub end_offset: Offset,
}

impl<L: LogView + ?Sized> LogView for &L {
    fn log_start(&self) -> Offset {
        (**self).log_start()
    }

    fn log_end(&self) -> Offset {
        (**self).log_end()
    }

    fn high_watermark(&self) -> Offset {
        (**self).high_watermark()
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        (**self).latest_epoch()
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        (**self).end_offset_for_epoch(epoch)
    }
}
