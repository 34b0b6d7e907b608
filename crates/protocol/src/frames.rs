//! How records stand in logs: framed in the metadata log, typed by a number in the coordinators' logs.

use crate::decode_error::{DecodeError, DecodeErrorKind};
use crate::put::Sink;
use crate::reader::Reader;
use crate::writer::Writer;

/// The only version of the frame so far.
const FRAME_VERSION: u32 = 1;

/// Reads the frame before a record: its version, the record's type, the record's version.
pub(crate) fn read_frame(name: &'static str, from: &mut Reader<'_>) -> Result<(u32, i16), DecodeError> {
    let error = |kind, offset| DecodeError { message: name, version: 0, field: "frame".into(), offset, kind };
    let frame = from.unsigned_varint();
    if frame != FRAME_VERSION && from.fault().is_none() {
        let kind = DecodeErrorKind::UnknownFrameVersion;
        return Err(DecodeError { field: format!("frame version {frame}"), ..error(kind, 0) });
    }
    let code = from.unsigned_varint();
    let offset = from.position();
    let version = from.unsigned_varint();
    if let Some(fault) = from.fault() {
        return Err(error(fault.kind(), fault.offset()));
    }
    let version = i16::try_from(version).map_err(|_| error(DecodeErrorKind::UnsupportedVersion, offset))?;
    Ok((code, version))
}

/// Writes the frame before a record. Types and versions are never negative.
pub(crate) fn write_frame(to: &mut Writer, code: i16, version: i16) {
    to.unsigned_varint(FRAME_VERSION);
    to.unsigned_varint(u32::from(code.unsigned_abs()));
    to.unsigned_varint(u32::from(version.unsigned_abs()));
}

/// The error of a type that no record has.
pub(crate) fn unknown_type(name: &'static str, code: i32) -> DecodeError {
    DecodeError {
        message: name,
        version: 0,
        field: format!("type {code}"),
        offset: 0,
        kind: DecodeErrorKind::UnknownType,
    }
}

/// The error of bytes behind the record.
pub(crate) fn trailing(name: &'static str, version: i16, from: &Reader<'_>) -> DecodeError {
    let kind = DecodeErrorKind::TrailingBytes;
    DecodeError { message: name, version, field: String::new(), offset: from.position(), kind }
}

/// Reads the two bytes that stand first in a coordinator's key or value.
pub(crate) fn read_prefix(name: &'static str, from: &mut Reader<'_>) -> Result<i16, DecodeError> {
    let prefix = from.read::<i16>();
    match from.fault() {
        None => Ok(prefix),
        Some(fault) => Err(DecodeError {
            message: name,
            version: 0,
            field: "type".into(),
            offset: fault.offset(),
            kind: fault.kind(),
        }),
    }
}

/// Declares an enum of records that stand framed in a log.
macro_rules! framed_records {
    ($name:ident { $($code:literal => $variant:ident($record:ident),)* }) => {
        /// Any record of the log. On disk each has a frame: the frame's version, the type and the version of the
        /// record, as variable-length numbers.
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $(#[doc = concat!("Type ", stringify!($code), ".")]
            $variant($record),)*
        }

        impl $name {
            /// The number of the record's type.
            pub const fn type_code(&self) -> i16 {
                match self {
                    $(Self::$variant(_) => $code,)*
                }
            }

            /// The name of the record, `TopicRecord`.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$record as crate::Message>::NAME,)*
                }
            }

            /// The versions of the record.
            pub const fn versions(&self) -> crate::VersionRange {
                match self {
                    $(Self::$variant(_) => <$record as crate::Message>::VERSIONS,)*
                }
            }

            /// Reads a framed record that takes the whole input; also returns its version.
            ///
            /// # Errors
            /// An unknown frame or type, or bytes that are not the record.
            pub fn decode_frame(bytes: &[u8]) -> Result<(Self, i16), crate::DecodeError> {
                let mut from = crate::Reader::new(bytes);
                let (code, version) = crate::frames::read_frame(stringify!($name), &mut from)?;
                let record = match code {
                    $($code => Self::$variant(<$record as crate::Message>::decode_from(&mut from, version)?),)*
                    _ => return Err(crate::frames::unknown_type(stringify!($name), code as i32)),
                };
                match from.remaining() {
                    0 => Ok((record, version)),
                    _ => Err(crate::frames::trailing(record.name(), version, &from)),
                }
            }

            /// Appends the record with its frame. After an error the writer holds the frame alone.
            ///
            /// # Errors
            /// The version can't carry the record.
            pub fn encode_frame_to(&self, to: &mut crate::Writer, version: i16) -> Result<(), crate::EncodeError> {
                crate::frames::write_frame(to, self.type_code(), version);
                match self {
                    $(Self::$variant(record) => crate::Message::encode(record, to, version),)*
                }
            }

            /// The record with its frame.
            ///
            /// # Errors
            /// The version can't carry the record.
            pub fn encode_frame(&self, version: i16) -> Result<bytes::Bytes, crate::EncodeError> {
                let mut writer = crate::Writer::default();
                self.encode_frame_to(&mut writer, version)?;
                Ok(writer.into_parts().0.freeze())
            }
        }

        $(impl From<$record> for $name {
            fn from(record: $record) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

/// Declares an enum of the keys of a coordinator's log.
macro_rules! coordinator_keys {
    ($name:ident { $($code:literal => $variant:ident($record:ident),)* }) => {
        /// Any key of the log: two bytes with its type, then the key.
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $(#[doc = concat!("Type ", stringify!($code), ".")]
            $variant($record),)*
        }

        impl $name {
            /// The number of the key's type, which is that of its value too.
            pub const fn type_code(&self) -> i16 {
                match self {
                    $(Self::$variant(_) => $code,)*
                }
            }

            /// Reads a key with its type.
            ///
            /// # Errors
            /// An unknown type, or bytes that are not the key.
            pub fn decode(bytes: &[u8]) -> Result<Self, crate::DecodeError> {
                let mut from = crate::Reader::new(bytes);
                let code = crate::frames::read_prefix(stringify!($name), &mut from)?;
                let key = match code {
                    $($code => Self::$variant(<$record as crate::Message>::decode_from(&mut from, 0)?),)*
                    _ => return Err(crate::frames::unknown_type(stringify!($name), code as i32)),
                };
                match from.remaining() {
                    0 => Ok(key),
                    _ => Err(crate::frames::trailing(stringify!($name), code, &from)),
                }
            }

            /// The key with its type before it.
            ///
            /// # Errors
            /// A string of the key is too long.
            pub fn encode(&self) -> Result<bytes::Bytes, crate::EncodeError> {
                let mut writer = crate::Writer::default();
                crate::Sink::bytes(&mut writer, &self.type_code().to_be_bytes());
                match self {
                    $(Self::$variant(key) => crate::Message::encode(key, &mut writer, 0)?,)*
                }
                Ok(writer.into_parts().0.freeze())
            }
        }

        $(impl From<$record> for $name {
            fn from(key: $record) -> Self {
                Self::$variant(key)
            }
        })*
    };
}

/// Declares an enum of the values of a coordinator's log.
macro_rules! coordinator_values {
    ($name:ident { $($code:literal => $variant:ident($record:ident),)* }) => {
        /// Any value of the log: two bytes with its version, then the value. Its type is that of its key.
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $(#[doc = concat!("Type ", stringify!($code), ".")]
            $variant($record),)*
        }

        impl $name {
            /// The number of the value's type.
            pub const fn type_code(&self) -> i16 {
                match self {
                    $(Self::$variant(_) => $code,)*
                }
            }

            /// The versions of the value.
            pub const fn versions(&self) -> crate::VersionRange {
                match self {
                    $(Self::$variant(_) => <$record as crate::Message>::VERSIONS,)*
                }
            }

            /// Reads the value of a key of type `code`.
            ///
            /// # Errors
            /// An unknown type or version, or bytes that are not the value.
            pub fn decode(code: i16, bytes: &[u8]) -> Result<Self, crate::DecodeError> {
                let mut from = crate::Reader::new(bytes);
                let version = crate::frames::read_prefix(stringify!($name), &mut from)?;
                let value = match code {
                    $($code => Self::$variant(<$record as crate::Message>::decode_from(&mut from, version)?),)*
                    _ => return Err(crate::frames::unknown_type(stringify!($name), code as i32)),
                };
                match from.remaining() {
                    0 => Ok(value),
                    _ => Err(crate::frames::trailing(stringify!($name), version, &from)),
                }
            }

            /// The value with its version before it.
            ///
            /// # Errors
            /// The version can't carry the value.
            pub fn encode(&self, version: i16) -> Result<bytes::Bytes, crate::EncodeError> {
                let mut writer = crate::Writer::default();
                crate::Sink::bytes(&mut writer, &version.to_be_bytes());
                match self {
                    $(Self::$variant(value) => crate::Message::encode(value, &mut writer, version)?,)*
                }
                Ok(writer.into_parts().0.freeze())
            }
        }

        $(impl From<$record> for $name {
            fn from(value: $record) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

pub(crate) use {coordinator_keys, coordinator_values, framed_records};
