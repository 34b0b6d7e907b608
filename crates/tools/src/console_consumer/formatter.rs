use crate::console::Console;
use ottla_client::{ConsumerRecord, TimestampKind};

/// How records are shown.
#[derive(Clone, Debug)]
pub(super) enum Formatter {
    /// As lines, with the parts that are wanted.
    Default(Box<DefaultFormatter>),
    /// Not at all.
    NoOp,
    /// In a log line on the error output.
    Logging(Box<DefaultFormatter>),
}

impl Formatter {
    /// The formatter of that Java class.
    ///
    /// # Errors
    /// There is none, in the words of Java, or a property has no meaning.
    pub(super) fn new(class: &str, properties: &[(String, String)]) -> Result<Self, String> {
        let default = || DefaultFormatter::new(properties).map(Box::new);
        match class {
            "org.apache.kafka.tools.consumer.DefaultMessageFormatter" | "kafka.tools.DefaultMessageFormatter" => {
                Ok(Self::Default(default()?))
            }
            "org.apache.kafka.tools.consumer.LoggingMessageFormatter" | "kafka.tools.LoggingMessageFormatter" => {
                Ok(Self::Logging(default()?))
            }
            "org.apache.kafka.tools.consumer.NoOpMessageFormatter" | "kafka.tools.NoOpMessageFormatter" => {
                Ok(Self::NoOp)
            }
            _ => Err(class.to_owned()),
        }
    }

    /// Shows a record.
    ///
    /// # Errors
    /// A part can't be read as its deserializer wants it.
    pub(super) fn write(&self, record: &ConsumerRecord, console: &mut Console) -> Result<(), String> {
        match self {
            Self::NoOp => Ok(()),
            Self::Default(formatter) => {
                console.write(&formatter.format(record)?);
                Ok(())
            }
            Self::Logging(formatter) => {
                console.write(&formatter.format(record)?);
                let time = match record.timestamp_kind {
                    TimestampKind::None => String::new(),
                    kind => format!("{}:{}, ", kind_name(kind), record.timestamp),
                };
                let text = |bytes: &Option<bytes::Bytes>| match bytes {
                    Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    None => "null".to_owned(),
                };
                let line = format!("{time}key:{}, value:{}", text(&record.key), text(&record.value));
                let class = "org.apache.kafka.tools.consumer.LoggingMessageFormatter";
                console.error_line(&crate::java::log_line("INFO", &line, class));
                Ok(())
            }
        }
    }
}

fn kind_name(kind: TimestampKind) -> &'static str {
    match kind {
        TimestampKind::None => "NoTimestampType",
        TimestampKind::CreateTime => "CreateTime",
        TimestampKind::LogAppendTime => "LogAppendTime",
    }
}

/// Shows records as lines.
#[derive(Clone, Debug)]
pub(super) struct DefaultFormatter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

impl DefaultFormatter {
    fn new(properties: &[(String, String)]) -> Result<Self, String> {
        let get = |name: &str| {
            let last = properties.iter().rev().find(|(key, _)| key == name);
            last.map(|(_, value)| value.clone())
        };
        let is_true =
            |name: &str, default: bool| get(name).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"));
        let bytes = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned()).into_bytes();
        let deserializer = |name: &str| get(name).map(|class| Deserializer::new(&class)).transpose();
        Ok(Self {
            timestamp: is_true("print.timestamp", false),
            partition: is_true("print.partition", false),
            offset: is_true("print.offset", false),
            delivery: is_true("print.delivery", false),
            epoch: is_true("print.epoch", false),
            headers: is_true("print.headers", false),
            key: is_true("print.key", false),
            value: is_true("print.value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key_deserializer: deserializer("key.deserializer")?,
            value_deserializer: deserializer("value.deserializer")?,
            headers_deserializer: deserializer("headers.deserializer")?,
        })
    }

    /// The parts in order, each followed by the key separator, or by the line separator when it is the last.
    fn format(&self, record: &ConsumerRecord) -> Result<Vec<u8>, String> {
        let mut parts = Vec::new();
        if self.timestamp {
            let time = match record.timestamp_kind {
                TimestampKind::None => "NO_TIMESTAMP".to_owned(),
                kind => format!("{}:{}", kind_name(kind), record.timestamp),
            };
            parts.push(time.into_bytes());
        }
        if self.partition {
            parts.push(format!("Partition:{}", record.partition).into_bytes());
        }
        if self.offset {
            parts.push(format!("Offset:{}", record.offset).into_bytes());
        }
        if self.delivery {
            parts.push(b"Delivery:NOT_PRESENT".to_vec());
        }
        if self.epoch {
            // Kafka's tool hands the record to its formatter without the leader epoch.
            parts.push(b"Epoch:NOT_PRESENT".to_vec());
        }
        if self.headers {
            parts.push(self.headers(record)?);
        }
        if self.key {
            parts.push(self.part(record.key.as_deref(), self.key_deserializer)?);
        }
        if self.value {
            parts.push(self.part(record.value.as_deref(), self.value_deserializer)?);
        }
        let mut line = parts.join(&self.key_separator[..]);
        if !parts.is_empty() {
            line.extend_from_slice(&self.line_separator);
        }
        Ok(line)
    }

    fn headers(&self, record: &ConsumerRecord) -> Result<Vec<u8>, String> {
        if record.headers.is_empty() {
            return Ok(b"NO_HEADERS".to_vec());
        }
        let header = |header: &ottla_client::Header| {
            let mut shown = format!("{}:", header.key).into_bytes();
            shown.extend(self.part(header.value.as_deref(), self.headers_deserializer)?);
            Ok::<_, String>(shown)
        };
        let headers = record.headers.iter().map(header).collect::<Result<Vec<_>, _>>()?;
        Ok(headers.join(&self.headers_separator[..]))
    }

    fn part(&self, bytes: Option<&[u8]>, deserializer: Option<Deserializer>) -> Result<Vec<u8>, String> {
        let bytes = bytes.unwrap_or(&self.null_literal);
        deserializer.map_or_else(|| Ok(bytes.to_vec()), |deserializer| deserializer.shown(bytes))
    }
}

/// How bytes are read as a value that is then shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    Text,
    Bytes,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
}

impl Deserializer {
    fn new(class: &str) -> Result<Self, String> {
        let short = class.rsplit('.').next().unwrap_or(class);
        Ok(match short {
            "StringDeserializer" => Self::Text,
            "ByteArrayDeserializer" | "BytesDeserializer" => Self::Bytes,
            "ShortDeserializer" => Self::Short,
            "IntegerDeserializer" => Self::Integer,
            "LongDeserializer" => Self::Long,
            "FloatDeserializer" => Self::Float,
            "DoubleDeserializer" => Self::Double,
            "BooleanDeserializer" => Self::Boolean,
            "UUIDDeserializer" => Self::Uuid,
            _ => return Err(class.to_owned()),
        })
    }

    fn shown(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let size = |expected: usize| {
            let class = "org.apache.kafka.common.errors.SerializationException";
            format!("{class}: Size of data received is {}, expected {expected}", bytes.len())
        };
        let text = match self {
            Self::Text | Self::Uuid => String::from_utf8_lossy(bytes).into_owned(),
            Self::Bytes => return Ok(bytes.to_vec()),
            Self::Short => i16::from_be_bytes(bytes.try_into().map_err(|_| size(2))?).to_string(),
            Self::Integer => i32::from_be_bytes(bytes.try_into().map_err(|_| size(4))?).to_string(),
            Self::Long => i64::from_be_bytes(bytes.try_into().map_err(|_| size(8))?).to_string(),
            Self::Float => format!("{:?}", f32::from_be_bytes(bytes.try_into().map_err(|_| size(4))?)),
            Self::Double => format!("{:?}", f64::from_be_bytes(bytes.try_into().map_err(|_| size(8))?)),
            Self::Boolean => match bytes {
                [0] => "false".to_owned(),
                [1] => "true".to_owned(),
                _ => return Err(size(1)),
            },
        };
        Ok(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_client::Header;

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 3,
            offset: 7,
            leader_epoch: Some(1),
            timestamp: 42,
            timestamp_kind: TimestampKind::CreateTime,
            key: Some("k".into()),
            value: Some("v".into()),
            headers: vec![Header::new("a", "1"), Header { key: "b".to_owned(), value: None }],
        }
    }

    fn shown(record: &ConsumerRecord, properties: &[&str]) -> Result<String, String> {
        let pair = |text: &&str| {
            let (key, value) = text.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        let properties: Vec<_> = properties.iter().map(pair).collect();
        DefaultFormatter::new(&properties)?.format(record).map(|line| String::from_utf8(line).unwrap())
    }

    #[test]
    fn a_record_is_shown_as_its_value() {
        assert_eq!(shown(&record(), &[]).unwrap(), "v\n");
        let tombstone = ConsumerRecord { value: None, ..record() };
        assert_eq!(shown(&tombstone, &[]).unwrap(), "null\n");
        assert_eq!(shown(&tombstone, &["null.literal=NIL"]).unwrap(), "NIL\n");
    }

    #[test]
    fn the_parts_come_in_kafkas_order() {
        let all = [
            "print.key=true",
            "print.headers=true",
            "print.epoch=true",
            "print.offset=true",
            "print.partition=true",
            "print.timestamp=true",
            "key.separator=|",
        ];
        let line = "CreateTime:42|Partition:3|Offset:7|Epoch:NOT_PRESENT|a:1,b:null|k|v\n";
        assert_eq!(shown(&record(), &all).unwrap(), line);
        let bare = ConsumerRecord { headers: Vec::new(), timestamp_kind: TimestampKind::None, ..record() };
        assert_eq!(
            shown(&bare, &["print.headers=true", "print.timestamp=true"]).unwrap(),
            "NO_TIMESTAMP\tNO_HEADERS\tv\n"
        );
        assert_eq!(shown(&record(), &["print.key=true", "print.value=false"]).unwrap(), "k\n");
    }

    #[test]
    fn numbers_are_read_by_their_deserializers() {
        let number = ConsumerRecord { value: Some(7i64.to_be_bytes().to_vec().into()), ..record() };
        let long = ["value.deserializer=org.apache.kafka.common.serialization.LongDeserializer"];
        assert_eq!(shown(&number, &long).unwrap(), "7\n");
        assert!(shown(&record(), &long).unwrap_err().contains("Size of data received is 1, expected 8"));
        assert!(shown(&record(), &["value.deserializer=Foo"]).is_err());
    }
}
