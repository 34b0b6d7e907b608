use crate::decode_error::DecodeError;
use crate::encode_error::EncodeError;
use crate::message::Message;
use crate::schema::MessageSchema;
use bytes::Bytes;

/// What came of reading, and then of writing what was read.
type ReadAndWritten<T = Bytes> = Result<Result<T, EncodeError>, DecodeError>;

/// Reads a message and writes it again, with the size that was counted for it.
type Again = fn(&[u8], i16) -> ReadAndWritten<(Option<usize>, Bytes)>;

/// One message's way through its typed forms, for what goes over all messages.
#[derive(Clone, Copy)]
pub struct Codec {
    family: &'static str,
    schema: &'static MessageSchema,
    check: fn(&[u8], i16) -> Result<(), DecodeError>,
    again: Again,
}

impl core::fmt::Debug for Codec {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Codec({}::{})", self.family, self.schema().name)
    }
}

impl Codec {
    pub(crate) const fn of<M: Message>(family: &'static str) -> Self {
        Self {
            family,
            schema: M::SCHEMA,
            check: |bytes, version| M::view(bytes, version).map(drop),
            again: |bytes, version| {
                let message = M::decode(bytes, version)?;
                Ok(message.to_bytes(version).map(|bytes| (message.encoded_size(version).ok(), bytes)))
            },
        }
    }

    /// The directory of the message's schema file: `messages`, `metadata_records`, ...
    pub const fn family(&self) -> &'static str {
        self.family
    }

    /// The message as data.
    pub const fn schema(&self) -> &'static MessageSchema {
        self.schema
    }

    /// Reads the message as a view and drops it.
    ///
    /// # Errors
    /// The bytes are not the message.
    pub fn check(&self, bytes: &[u8], version: i16) -> Result<(), DecodeError> {
        (self.check)(bytes, version)
    }

    /// Reads the message to its owned form and writes that again.
    ///
    /// # Errors
    /// The bytes are not the message; within, the message can't be written.
    ///
    /// # Panics
    /// The size counted is not the size written: an error of this crate.
    pub fn again(&self, bytes: &[u8], version: i16) -> ReadAndWritten {
        let written = (self.again)(bytes, version)?;
        Ok(written.map(|(size, bytes)| {
            assert_eq!(size, Some(bytes.len()), "the size counted is not the size written");
            bytes
        }))
    }
}

/// Reads any bytes as some message: the first two choose which, the third the version. What is read is written again
/// and must read back the same. For fuzz targets.
///
/// # Panics
/// A promise of this crate is broken.
pub fn fuzz_decode(data: &[u8]) {
    let Some((&[high, low, version], body)) = data.split_first_chunk() else { return };
    let index = usize::from(u16::from_be_bytes([high, low])) % crate::registry::ALL.len();
    let Some(codec) = crate::registry::ALL.get(index) else { return };
    let versions = codec.schema().versions;
    let count = versions.max - versions.min + 1;
    let version = versions.min + i16::from(version) % count;
    let Ok(written) = codec.again(body, version) else {
        assert!(codec.check(body, version).is_err(), "the view reads what the owned form does not");
        return;
    };
    if let Ok(written) = written {
        let again = codec.again(&written, version);
        assert_eq!(again, Ok(Ok(written)), "what was written reads back differently");
    }
    let json = crate::json::to_json(codec.schema(), body, version);
    assert!(json.is_ok(), "the typed form reads what the schema does not");
}
