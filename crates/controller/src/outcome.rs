use ottla_metadata::VersionedRecord;

/// A decision: what to append, and what to answer when it is committed.
///
/// The records are one decision: append them in this order. An atomic one goes into one batch of the log, so that all of
/// it is there or nothing; the others are cut by [`Outcome::into_batches`]. With no records the response can be given as
/// soon as everything appended before is committed.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Outcome<R> {
    /// The records to append. At most [`BATCH_RECORDS_MAX`] of an atomic decision.
    pub records: Vec<VersionedRecord>,
    /// The response.
    pub response: R,
    /// Whether the records must be in one batch.
    pub is_atomic: bool,
}

/// The most records that one batch of the metadata log holds. Kafka's figure.
pub const BATCH_RECORDS_MAX: usize = 10_000;

/// The most records that one request of a user may cause. Kafka's figure.
pub(crate) const RECORDS_MAX: usize = BATCH_RECORDS_MAX;

/// What a user is told whose request would cause more.
pub(crate) const TOO_MANY_RECORDS: &str = "Unable to perform excessively large batch operation.";

impl<R> Outcome<R> {
    /// All of it, or nothing. The one who decides sees to it that the records fit into one batch.
    pub(crate) fn atomic(records: Vec<VersionedRecord>, response: R) -> Self {
        Self { records, response, is_atomic: true }
    }

    /// Records each of which stands for itself, in any number.
    pub(crate) fn in_batches(records: Vec<VersionedRecord>, response: R) -> Self {
        Self { records, response, is_atomic: false }
    }

    /// An answer that changes nothing.
    pub fn answer(response: R) -> Self {
        Self { records: Vec::new(), response, is_atomic: true }
    }

    /// The batches to append, in their order, none of them empty, and the response.
    pub fn into_batches(self) -> (Vec<Vec<VersionedRecord>>, R) {
        let Self { mut records, response, is_atomic } = self;
        if records.is_empty() {
            return (Vec::new(), response);
        }
        let mut batches = Vec::with_capacity(records.len().div_ceil(BATCH_RECORDS_MAX));
        while !is_atomic && records.len() > BATCH_RECORDS_MAX {
            let rest = records.split_off(BATCH_RECORDS_MAX);
            batches.push(std::mem::replace(&mut records, rest));
        }
        batches.push(records);
        (batches, response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::metadata_records::{MetadataRecord, NoOpRecord};

    #[test]
    fn what_is_not_atomic_is_cut_into_batches_in_order() {
        let records = |count| vec![VersionedRecord::from(MetadataRecord::NoOp(NoOpRecord::default())); count];
        let lengths = |outcome: Outcome<()>| outcome.into_batches().0.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(Outcome::in_batches(records(25_000), ())), [10_000, 10_000, 5_000]);
        assert_eq!(lengths(Outcome::in_batches(records(10_000), ())), [10_000]);
        assert_eq!(lengths(Outcome::atomic(records(10_000), ())), [10_000]);
        assert_eq!(lengths(Outcome::answer(())), [0usize; 0]);
    }
}
