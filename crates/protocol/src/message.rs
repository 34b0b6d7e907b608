use crate::api_key::ApiKey;
use crate::decode_error::{DecodeError, DecodeErrorKind, Fault};
use crate::element::{Element, ToMessage};
use crate::encode_error::{EncodeError, EncodeErrorKind, EncodeFault};
use crate::locate;
use crate::reader::Reader;
use crate::schema::{MessageSchema, VersionRange};
use crate::writer::{Counter, Hole, Writer};
use bytes::Bytes;

/// A message of the wire, in its owned form.
pub trait Message: Clone + core::fmt::Debug + PartialEq + Default + Sized + 'static {
    /// Its name, `ProduceRequest`.
    const NAME: &'static str;
    /// All versions, unstable ones included.
    const VERSIONS: VersionRange;
    /// The flexible ones (KIP-482); empty for some messages.
    const FLEXIBLE_VERSIONS: VersionRange;
    /// Its borrowed form.
    type View<'a>: Element<'a> + ToMessage<Message = Self> + core::fmt::Debug;

    /// The message as data.
    fn schema() -> &'static MessageSchema;

    #[doc(hidden)]
    fn count(&self, to: &mut Counter) -> Result<(), EncodeFault>;

    #[doc(hidden)]
    fn write(&self, to: &mut Writer) -> Result<(), EncodeFault>;

    /// Reads a message that takes the whole input, without copying.
    ///
    /// # Errors
    /// The bytes are not this message in this version, or there are more than one message takes.
    fn view(bytes: &[u8], version: i16) -> Result<Self::View<'_>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let view = Self::view_from(&mut reader, version)?;
        if reader.remaining() > 0 {
            return Err(error::<Self>(version, String::new(), reader.fault(DecodeErrorKind::TrailingBytes)));
        }
        Ok(view)
    }

    /// Reads a message from the reader's position on, without copying; what follows stays unread.
    ///
    /// # Errors
    /// The bytes are not this message in this version.
    fn view_from<'a>(from: &mut Reader<'a>, version: i16) -> Result<Self::View<'a>, DecodeError> {
        if !Self::VERSIONS.contains(version) {
            return Err(error::<Self>(version, String::new(), from.fault(DecodeErrorKind::UnsupportedVersion)));
        }
        from.begin(version, Self::FLEXIBLE_VERSIONS.contains(version));
        let start = *from;
        Self::View::read(from)
            .map_err(|fault| error::<Self>(version, locate::path(Self::schema(), start, fault), fault))
    }

    /// Reads a message that takes the whole input.
    ///
    /// # Errors
    /// The bytes are not this message in this version, or there are more than one message takes.
    fn decode(bytes: &[u8], version: i16) -> Result<Self, DecodeError> {
        Self::view(bytes, version).map(|view| view.to_message())
    }

    /// Reads a message from the reader's position on; what follows stays unread.
    ///
    /// # Errors
    /// The bytes are not this message in this version.
    fn decode_from(from: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        Self::view_from(from, version).map(|view| view.to_message())
    }

    /// How many bytes the message takes, deferred record sets included.
    ///
    /// # Errors
    /// The version can't carry the message.
    fn encoded_size(&self, version: i16) -> Result<usize, EncodeError> {
        check_version::<Self>(version)?;
        let mut counter = Counter::new(version, Self::FLEXIBLE_VERSIONS.contains(version));
        self.count(&mut counter).map_err(|fault| fault.of(Self::NAME, version))?;
        Ok(counter.size())
    }

    /// Appends the message. After an error the writer is as it was before.
    ///
    /// # Errors
    /// The version can't carry the message.
    fn encode(&self, to: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_version::<Self>(version)?;
        let (bytes, holes) = (to.buffer().len(), to.holes().len());
        to.begin(version, Self::FLEXIBLE_VERSIONS.contains(version));
        self.write(to).map_err(|fault| {
            to.truncate(bytes, holes);
            fault.of(Self::NAME, version)
        })
    }

    /// The message as bytes of its own, and where its deferred record sets belong.
    ///
    /// # Errors
    /// The version can't carry the message.
    fn to_encoded(&self, version: i16) -> Result<Encoded, EncodeError> {
        let mut writer = Writer::with_capacity(self.encoded_size(version)?);
        self.encode(&mut writer, version)?;
        let (buffer, holes) = writer.into_parts();
        Ok(Encoded { bytes: buffer.freeze(), holes })
    }

    /// The message as bytes of its own.
    ///
    /// # Errors
    /// The version can't carry the message, or a record set is deferred.
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        let encoded = self.to_encoded(version)?;
        if encoded.holes.is_empty() {
            return Ok(encoded.bytes);
        }
        Err(EncodeFault::new(EncodeErrorKind::Deferred).of(Self::NAME, version))
    }
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

#[cold]
fn error<M: Message>(version: i16, field: String, fault: Fault) -> DecodeError {
    DecodeError { message: M::NAME, version, field, offset: fault.offset, kind: fault.kind }
}

fn check_version<M: Message>(version: i16) -> Result<(), EncodeError> {
    if M::VERSIONS.contains(version) {
        return Ok(());
    }
    Err(EncodeFault::new(EncodeErrorKind::UnsupportedVersion).of(M::NAME, version))
}
