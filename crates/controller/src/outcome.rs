use ottla_metadata::VersionedRecord;

/// A decision: what to append, and what to answer when it is committed.
///
/// The records are one decision: append them in one go, in this order. With no records the response can be given at once.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Outcome<R> {
    /// The records to append. At most [`RECORDS_MAX`] for one request of a user.
    pub records: Vec<VersionedRecord>,
    /// The response.
    pub response: R,
}

/// The most records that one request of a user may cause. Kafka's figure.
pub(crate) const RECORDS_MAX: usize = 10_000;

impl<R> Outcome<R> {
    pub(crate) fn new(records: Vec<VersionedRecord>, response: R) -> Self {
        Self { records, response }
    }

    /// An answer that changes nothing.
    pub fn answer(response: R) -> Self {
        Self { records: Vec::new(), response }
    }
}
