use bytes::Bytes;
use ottla_types::Sequence;
use std::error::Error;

/// The bytes of one record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EncodedRecord {
    /// The key; records of the metadata log have none.
    pub key: Option<Bytes>,
    /// The value; a tombstone has none.
    pub value: Option<Bytes>,
}

/// A record can't be written or read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CodecError(Box<dyn Error + Send + Sync>);

impl CodecError {
    /// Wraps the codec's own error.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// How a machine's records become bytes. Keyed records of coordinators fit as well as the framed ones, without keys,
/// of the metadata log.
pub trait RecordCodec {
    /// The record.
    type Record: Send;

    /// The sequence that batches bear. Nobody checks it; Kafka's coordinators differ in it.
    const BASE_SEQUENCE: Sequence = Sequence(0);

    /// The bytes of a record.
    fn encode(record: &Self::Record) -> Result<EncodedRecord, CodecError>;

    /// The record of these bytes; `None` when it is of a kind that is passed over.
    fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self::Record>, CodecError>;
}
