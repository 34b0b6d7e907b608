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
pub trait Message: Encode + Clone + core::fmt::Debug + PartialEq + Default + Sized + 'static {
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
        let view = Self::view_from(&mut reader, version)?;
        if reader.remaining() > 0 {
            let fault = Fault::new(DecodeErrorKind::TrailingBytes, reader.position());
            return Err(error(Self::SCHEMA, version, String::new(), fault));
        }
        Ok(view)
    }

    /// Reads a message from the reader's position on, without copying; what follows stays unread.
    ///
    /// # Errors
    /// The bytes are not this message in this version.
    #[inline]
    fn view_from<'a>(from: &mut Reader<'a>, version: i16) -> Result<Self::View<'a>, DecodeError> {
        if !Self::VERSIONS.contains(version) {
            let fault = Fault::new(DecodeErrorKind::UnsupportedVersion, from.position());
            return Err(error(Self::SCHEMA, version, String::new(), fault));
        }
        from.begin(version, Self::FLEXIBLE_VERSIONS.contains(version));
        let start = *from;
        let view = Self::View::read(from);
        match from.fault() {
            None => Ok(view),
            Some(fault) => Err(located(Self::SCHEMA, start, fault)),
        }
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

#[cold]
fn error(schema: &'static MessageSchema, version: i16, field: String, fault: Fault) -> DecodeError {
    DecodeError { message: schema.name, version, field, offset: fault.offset(), kind: fault.kind() }
}

/// The error of a fault, with the field that it lies in.
#[cold]
fn located(schema: &'static MessageSchema, start: Reader<'_>, fault: Fault) -> DecodeError {
    error(schema, start.version(), locate::path(schema, start, fault), fault)
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
