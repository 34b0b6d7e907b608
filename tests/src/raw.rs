//! Single requests over a socket, written and read as JSON, so that what no client would send can be asked too.

use ottla_protocol::schema::{DefaultValue, FieldSchema, FieldType, StructSchema, by_name};
use ottla_protocol::{ApiKey, json};
use serde_json::{Map, Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The largest answer that is taken.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The digits of base64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A connection to a server of the Kafka protocol.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    /// Connects to `host:port`; an answer may take half a minute.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, correlation_id: 0 })
    }

    /// Asks and waits for the answer. Fields that `body` leaves out have their defaults.
    ///
    /// # Errors
    /// When the request can't be made of `body`, the connection closes (`UnexpectedEof`), or the answer is no such response.
    pub fn ask(&mut self, api: ApiKey, version: i16, body: &Value) -> io::Result<Value> {
        self.send(api, version, body)?;
        self.answer(api, version)
    }

    /// Whether an answer, or its beginning, comes in this time.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn is_answered(&mut self, within: Duration) -> io::Result<bool> {
        // A timeout of zero would be none.
        self.stream.set_read_timeout(Some(within.max(Duration::from_micros(1))))?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match peeked {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits for the answer to the request that was sent last.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn answer(&mut self, api: ApiKey, version: i16) -> io::Result<Value> {
        let answer = self.receive()?;
        let response = schema(&format!("{}Response", api.name()))?;
        let header = schema("ResponseHeader")?;
        let header_length =
            json::from_json(header, &response_header(self.correlation_id), api.response_header_version(version))
                .map_err(io::Error::other)?
                .len();
        let body = answer.get(header_length..).ok_or(io::ErrorKind::UnexpectedEof)?;
        json::to_json(response, body, version).map_err(io::Error::other)
    }

    /// Sends a request whose answer is asked for later, by [`Self::answer`].
    ///
    /// # Errors
    /// When the request can't be made of `body`, or the connection is closed.
    pub fn send(&mut self, api: ApiKey, version: i16, body: &Value) -> io::Result<()> {
        self.correlation_id += 1;
        let header = json!({
            "requestApiKey": api.code(), "requestApiVersion": version,
            "correlationId": self.correlation_id, "clientId": "raw",
        });
        let mut frame = encode("RequestHeader", api.request_header_version(version), &header)?;
        frame.extend(encode(&format!("{}Request", api.name()), version, body)?);
        self.send_frame(&frame)
    }

    /// Sends bytes as one frame.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn send_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.stream.write_all(&[&length.to_be_bytes(), frame].concat())
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the connection is closed, or half a minute has passed.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// Bytes as JSON has them.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// What each character stands for, [`NO_DIGIT`] when it is none: a table, for texts of many megabytes.
const DIGIT_VALUES: [u8; 256] = digit_values();

/// Not the value of a digit.
const NO_DIGIT: u8 = 255;

const fn digit_values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// The bytes that such a text stands for; what is none is left out.
pub fn unbase64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for character in text.bytes() {
        let value = DIGIT_VALUES[usize::from(character)];
        if value == NO_DIGIT {
            continue;
        }
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    bytes
}

fn response_header(correlation_id: i32) -> Value {
    json!({ "correlationId": correlation_id })
}

fn schema(name: &str) -> io::Result<&'static ottla_protocol::schema::MessageSchema> {
    by_name(name).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no message {name}")))
}

fn encode(name: &str, version: i16, body: &Value) -> io::Result<Vec<u8>> {
    let schema = schema(name)?;
    let body = with_defaults(schema.structure, version, body);
    Ok(json::from_json(schema, &body, version).map_err(io::Error::other)?.to_vec())
}

/// The body with the defaults of the fields that it lacks and without those that the version lacks. What the schema does
/// not know at all stays, for the encoder to refuse.
fn with_defaults(schema: &StructSchema, version: i16, body: &Value) -> Value {
    let Value::Object(members) = body else { return body.clone() };
    let mut all: Map<String, Value> = members.clone();
    for field in schema.fields {
        if !field.versions.contains(version) {
            all.shift_remove(field.name);
            continue;
        }
        let value = match members.get(field.name) {
            Some(value) => filled(&field.kind, version, value),
            None => default(field, version),
        };
        all.insert(field.name.to_owned(), value);
    }
    Value::Object(all)
}

fn filled(kind: &FieldType, version: i16, value: &Value) -> Value {
    match (kind, value) {
        (FieldType::Struct(schema), Value::Object(_)) => with_defaults(schema, version, value),
        (FieldType::Array(element), Value::Array(list)) => {
            list.iter().map(|value| filled(element, version, value)).collect()
        }
        _ => value.clone(),
    }
}

fn default(field: &FieldSchema, version: i16) -> Value {
    match (field.default, &field.kind) {
        (DefaultValue::Null, _) => Value::Null,
        (DefaultValue::Number(number), FieldType::Bool) => Value::Bool(number != 0),
        (DefaultValue::Number(number), _) => number.into(),
        (DefaultValue::Zero, FieldType::Bool) => Value::Bool(false),
        (DefaultValue::Zero, FieldType::String | FieldType::Bytes) => "".into(),
        (DefaultValue::Zero, FieldType::Uuid) => "AAAAAAAAAAAAAAAAAAAAAA".into(),
        (DefaultValue::Zero, FieldType::Records) => Value::Null,
        (DefaultValue::Zero, FieldType::Array(_)) => Value::Array(Vec::new()),
        (DefaultValue::Zero, FieldType::Struct(schema)) => with_defaults(schema, version, &Value::Object(Map::new())),
        (DefaultValue::Zero, _) => 0.into(),
    }
}
