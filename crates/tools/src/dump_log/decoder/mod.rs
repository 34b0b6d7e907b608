//! How keys and values of records are shown.

mod coordinator;
pub(super) mod json;
mod metadata;
mod remote;

use crate::java_text::text;
use ottla_records::Record;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DecoderChoice {
    Offsets,
    Transactions,
    ClusterMetadata,
    RemoteLogMetadata,
    ShareGroupState,
    /// The names of Java classes.
    Classes {
        key: String,
        value: String,
    },
}

/// A key and a value as they are shown; `None` is not shown at all.
pub(super) type Shown = (Option<String>, Option<String>);

/// Shows keys and values of records.
#[derive(Debug)]
pub(super) enum Decoder {
    Plain { key: Plain, value: Plain },
    Coordinator(coordinator::Family),
    ClusterMetadata,
    RemoteLogMetadata,
}

/// What bytes without a schema are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Text,
    Integer,
    Long,
    Bytes,
}

impl Decoder {
    /// # Errors
    /// A class that is not one of Kafka's own decoders; the sentence says so.
    pub(super) fn new(choice: &DecoderChoice) -> Result<Self, String> {
        Ok(match choice {
            DecoderChoice::Offsets => Self::Coordinator(coordinator::Family::Group),
            DecoderChoice::Transactions => Self::Coordinator(coordinator::Family::Transaction),
            DecoderChoice::ShareGroupState => Self::Coordinator(coordinator::Family::Share),
            DecoderChoice::ClusterMetadata => Self::ClusterMetadata,
            DecoderChoice::RemoteLogMetadata => Self::RemoteLogMetadata,
            DecoderChoice::Classes { key, value } => {
                // Kafka's tool loads the value's class first.
                let value = Plain::of_class(value)?;
                Self::Plain { key: Plain::of_class(key)?, value }
            }
        })
    }

    /// Shows a record. What can't be read is told in the place of the key or the value.
    ///
    /// # Errors
    /// Kafka's tool ends there: a coordinator's record without key, a number of the wrong length.
    pub(super) fn decode(&self, record: &Record<'_>) -> Result<Shown, String> {
        match self {
            Self::Plain { key, value } => Ok((
                record.key.map(|bytes| key.show(bytes)).transpose()?,
                record.value.map(|bytes| value.show(bytes)).transpose()?,
            )),
            Self::Coordinator(family) => family.show(record),
            Self::ClusterMetadata => Ok((None, Some(metadata::show(record)))),
            Self::RemoteLogMetadata => Ok((None, Some(remote::show(record)))),
        }
    }
}

impl Plain {
    fn of_class(name: &str) -> Result<Self, String> {
        match name.strip_prefix("org.apache.kafka.tools.api.") {
            Some("StringDecoder") => Ok(Self::Text),
            Some("IntegerDecoder") => Ok(Self::Integer),
            Some("LongDecoder") => Ok(Self::Long),
            Some("DefaultDecoder") => Ok(Self::Bytes),
            _ => Err(format!(
                "{name}: Java classes can't be loaded here; there are the StringDecoder, IntegerDecoder, LongDecoder and \
                 DefaultDecoder of org.apache.kafka.tools.api"
            )),
        }
    }

    fn show(self, bytes: &[u8]) -> Result<String, String> {
        let short = |needed| format!("a number of {needed} bytes can't be read from {}", bytes.len());
        match self {
            Self::Text => Ok(text(bytes)),
            Self::Integer => {
                bytes.first_chunk().map(|first| i32::from_be_bytes(*first).to_string()).ok_or_else(|| short(4))
            }
            Self::Long => {
                bytes.first_chunk().map(|first| i64::from_be_bytes(*first).to_string()).ok_or_else(|| short(8))
            }
            // Java shows the identity of its array, which says nothing. The hash at least is the same for equal bytes.
            Self::Bytes => {
                let hash = bytes
                    .iter()
                    .fold(1i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(i8::from_be_bytes([*byte]))));
                Ok(format!("[B@{hash:x}"))
            }
        }
    }
}

/// The two bytes before a key or a value, and the rest.
fn prefix(bytes: &[u8]) -> Option<(i16, &[u8])> {
    bytes.split_first_chunk().map(|(first, rest)| (i16::from_be_bytes(*first), rest))
}

/// The frame before a metadata record: the number and the version of the record, and the rest.
fn frame(bytes: &[u8]) -> Result<(i16, i16, &[u8]), String> {
    let mut rest = bytes;
    let mut number = |what: &str| {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let Some((byte, after)) = rest.split_first() else {
                return Err(format!("the {what} is cut off"));
            };
            rest = after;
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(format!("the {what} is longer than five bytes"))
    };
    let frame = number("frame version")?;
    match frame {
        1 => {}
        0 => {
            return Err(
                "Could not deserialize metadata record with frame version 0. Note that upgrades from the preview \
                        release of KRaft in 2.8 to newer versions are not supported."
                    .to_owned(),
            );
        }
        frame => {
            return Err(format!(
                "Could not deserialize metadata record due to unknown frame version {frame}(only frame version 1 is supported)"
            ));
        }
    }
    let narrow = |value: u32, what: &str| i16::try_from(value).map_err(|_| format!("{value} is no {what}"));
    let kind = number("record type").and_then(|value| narrow(value, "record type"))?;
    let version = number("record version").and_then(|value| narrow(value, "record version"))?;
    Ok((kind, version, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_classes_are_known_and_others_refused_by_name() {
        let choice = |key: &str| DecoderChoice::Classes {
            key: key.to_owned(),
            value: super::super::options::STRING_DECODER.to_owned(),
        };
        assert!(Decoder::new(&choice("org.apache.kafka.tools.api.LongDecoder")).is_ok());
        assert!(Decoder::new(&choice("com.example.Mine")).unwrap_err().contains("com.example.Mine"));
    }

    #[test]
    fn numbers_need_their_bytes() {
        assert_eq!(Plain::Integer.show(&[0, 0, 1, 0, 9]).unwrap(), "256");
        assert_eq!(Plain::Long.show(&[0xff; 8]).unwrap(), "-1");
        assert!(Plain::Long.show(&[0; 7]).is_err());
    }

    #[test]
    fn a_frame_is_read_and_what_is_none_is_told() {
        assert_eq!(frame(&[1, 12, 0, 7]), Ok((12, 0, &[7][..])));
        for broken in
            [&[][..], &[2, 0, 0], &[0], &[1], &[1, 0x80], &[1, 0xff, 0xff, 0xff, 0xff, 0xff], &[1, 0xff, 0xff, 3, 0]]
        {
            assert!(frame(broken).is_err(), "{broken:?}");
        }
    }
}
