use bytes::Bytes;

/// The record batches of one partition within a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordSet {
    /// No records at all.
    #[default]
    Null,
    /// The batches themselves.
    Bytes(Bytes),
    /// Batches that are sent from elsewhere, a range of a log file for instance: the encoder leaves a hole of
    /// `length` bytes and tells where it is.
    Deferred {
        /// How many bytes belong into the hole.
        length: usize,
    },
}

impl RecordSet {
    /// Whether there are no records at all.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// How many bytes of batches there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Deferred { length } => *length,
        }
    }

    /// Whether there is not one byte of batches.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches, if they are here. `None` for null and for deferred ones.
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl From<Bytes> for RecordSet {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for RecordSet {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl From<Option<&[u8]>> for RecordSet {
    fn from(bytes: Option<&[u8]>) -> Self {
        bytes.map_or(Self::Null, Self::from)
    }
}
