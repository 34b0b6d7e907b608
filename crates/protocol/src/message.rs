use crate::api_key::ApiKey;
use crate::decode_error::{DecodeError, DecodeErrorKind, Fault};
use crate::element::{Element, ToMessage};
use crate::encode_error::{EncodeError, EncodeErrorKind, EncodeFault};
use crate::locate;
use crate::reader::Reader;
use crate::schema::{MessageSchema, VersionRange};
use crate::writer::{Counter, Hole, Writer};
use bytes::Bytes;

/// The part of a message that needs no type to be known: what the functions below [`Message`] share, so that they are
/// compiled once and not for each message.
#[doc(hidden)]
pub trait Encode {
    /// The message as data.
    fn message_schema(&self) -> &'static MessageSchema;

    /// Puts the message into the counter.
    ///
    /// # Errors
    /// The version can't carry it.
    fn count(&self, to: &mut Counter) -> Result<(), EncodeFault>;

    /// Puts the message into the writer.
    ///
    /// # Errors
    /// The version can't carry it.
    fn write(&self, to: &mut Writer) -> Result<(), EncodeFault>;
}

/// A message of the wire, in its owned form.
pub trait Message: Encode + Clone + core::fmt::Debug + PartialEq + Default + Send + Sync + Sized + 'static {
    /// Its name, `ProduceRequest`.
    const NAME: &'static str;
    /// All versions, unstable ones included.
    const VERSIONS: VersionRange;
    /// The flexible ones (KIP-482); empty for some messages.
    const FLEXIBLE_VERSIONS: VersionRange;
    /// The message as data.
    const SCHEMA: &'static MessageSchema;
    /// Its borrowed form.
    type View<'a>: Element<'a> + ToMessage<Message = Self> + core::fmt::Debug;

    /// The message as data.
    fn schema() -> &'static MessageSchema {
        Self::SCHEMA
    }

    /// Reads a message that takes the whole input, without copying.
    ///
    /// # Errors
    /// The bytes are not this message in this version, or there are more than one message takes.
    #[inline]
    fn view(bytes: &[u8], version: i16) -> Result<Self::View<'_>, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.begin(version, Self::FLEXIBLE_VERSIONS.contains(version));
        if Self::VERSIONS.contains(version) {
            let view = Self::View::read(&mut reader);
            if reader.fault().is_none() && reader.remaining() == 0 {
                return Ok(view);
            }
        }
        let refused = Refused { version, rest: bytes, start: 0, fault: reader.fault() };
        Err(refused.error(Self::SCHEMA, reader.position()))
    }

    /// Reads a message from the reader's position on, without copying; what follows stays unread.
    ///
    /// # Errors
    /// The bytes are not this message in this version.
    #[inline]
    fn view_from<'a>(from: &mut Reader<'a>, version: i16) -> Result<Self::View<'a>, DecodeError> {
        let (rest, start) = (from.rest(), from.position());
        from.begin(version, Self::FLEXIBLE_VERSIONS.contains(version));
        if Self::VERSIONS.contains(version) {
            let view = Self::View::read(from);
            if from.fault().is_none() {
                return Ok(view);
            }
        }
        Err(Refused { version, rest, start, fault: from.fault() }.error(Self::SCHEMA, from.position()))
    }

    /// Reads a message that takes the whole input.
    ///
    /// # Errors
    /// The bytes are not this message in this version, or there are more than one message takes.
    fn decode(bytes: &[u8], version: i16) -> Result<Self, DecodeError> {
        Ok(Self::view(bytes, version)?.to_message())
    }

    /// Reads a message from the reader's position on; what follows stays unread.
    ///
    /// # Errors
    /// The bytes are not this message in this version.
    fn decode_from(from: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        Ok(Self::view_from(from, version)?.to_message())
    }

    /// How many bytes the message takes, deferred record sets included.
    ///
    /// # Errors
    /// The version can't carry the message.
    fn encoded_size(&self, version: i16) -> Result<usize, EncodeError> {
        encoded_size(self, version)
    }

    /// Appends the message. After an error the writer is as it was before.
    ///
    /// # Errors
    /// The version can't carry the message.
    fn encode(&self, to: &mut Writer, version: i16) -> Result<(), EncodeError> {
        encode(self, to, version)
    }

    /// The message as bytes of its own, and where its deferred record sets belong.
    ///
    /// # Errors
    /// The version can't carry the message.
    fn to_encoded(&self, version: i16) -> Result<Encoded, EncodeError> {
        to_encoded(self, version)
    }

    /// The message as bytes of its own.
    ///
    /// # Errors
    /// The version can't carry the message, or a record set is deferred.
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        to_bytes(self, version)
    }
}

fn encoded_size(message: &dyn Encode, version: i16) -> Result<usize, EncodeError> {
    let schema = message.message_schema();
    check_version(schema, version)?;
    let mut counter = Counter::new(version, schema.flexible.contains(version));
    message.count(&mut counter).map_err(|fault| fault.of(schema.name, version))?;
    Ok(counter.size())
}

fn encode(message: &dyn Encode, to: &mut Writer, version: i16) -> Result<(), EncodeError> {
    let schema = message.message_schema();
    check_version(schema, version)?;
    let (bytes, holes) = (to.buffer().len(), to.holes().len());
    to.begin(version, schema.flexible.contains(version));
    message.write(to).map_err(|fault| {
        to.truncate(bytes, holes);
        fault.of(schema.name, version)
    })
}

fn to_encoded(message: &dyn Encode, version: i16) -> Result<Encoded, EncodeError> {
    let mut writer = Writer::with_capacity(encoded_size(message, version)?);
    encode(message, &mut writer, version)?;
    let (buffer, holes) = writer.into_parts();
    Ok(Encoded { bytes: buffer.freeze(), holes })
}

fn to_bytes(message: &dyn Encode, version: i16) -> Result<Bytes, EncodeError> {
    let encoded = to_encoded(message, version)?;
    if encoded.holes.is_empty() {
        return Ok(encoded.bytes);
    }
    Err(EncodeFault::new(EncodeErrorKind::Deferred).of(message.message_schema().name, version))
}

/// A message that could not be read.
struct Refused<'a> {
    version: i16,
    /// The message's bytes, and what follows them.
    rest: &'a [u8],
    /// How many bytes stand before them in the input.
    start: usize,
    fault: Option<Fault>,
}

impl Refused<'_> {
    /// What the caller is told. Without a fault it is the version that does not exist, or what stands at `position`
    /// behind the message.
    #[cold]
    fn error(self, schema: &'static MessageSchema, position: usize) -> DecodeError {
        let error =
            |field, kind, offset| DecodeError { message: schema.name, version: self.version, field, offset, kind };
        match self.fault {
            _ if !schema.versions.contains(self.version) => {
                error(String::new(), DecodeErrorKind::UnsupportedVersion, self.start)
            }
            None => error(String::new(), DecodeErrorKind::TrailingBytes, position),
            Some(fault) => {
                let mut again = Reader::at(self.rest, self.start);
                again.begin(self.version, schema.flexible.contains(self.version));
                error(locate::path(schema, again, fault), fault.kind(), fault.offset())
            }
        }
    }
}

fn check_version(schema: &MessageSchema, version: i16) -> Result<(), EncodeError> {
    if schema.versions.contains(version) {
        return Ok(());
    }
    Err(EncodeFault::new(EncodeErrorKind::UnsupportedVersion).of(schema.name, version))
}

/// A request: the message of one API key that a client sends.
pub trait Request: Message {
    /// Its API key.
    const API_KEY: ApiKey;
    /// What answers it.
    type Response: Message;
}

/// A message as bytes with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// All bytes but those of deferred record sets.
    pub bytes: Bytes,
    /// Where the deferred record sets belong, in ascending order.
    pub holes: Vec<Hole>,
}

impl Encoded {
    /// How many bytes the message takes on the wire.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.holes.iter().map(|hole| hole.length).sum::<usize>()
    }
}
