//! An adapter's side of the protocol between jobs and foreign clients: one JSON object a line comes in, one goes out.
//! `docs/internals/foreign-clients.md` tells what is in them.

use ottla_tests::raw::{base64, unbase64};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

/// A library's no, or a command that makes no sense.
pub(crate) type Refusal = Box<dyn Error>;

/// A client library that does what commands say.
pub(crate) trait Client {
    /// What is told of the library.
    fn hello(&self) -> Value;

    /// Does one command.
    fn work(&mut self, command: &Value) -> Result<Value, Refusal>;

    /// What an error of the library means where a job may ask.
    fn kind(&self, refusal: &Refusal) -> Option<&'static str>;
}

/// A record as it is to be sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: Option<i64>,
}

/// The version of a library, as the lock file has it.
pub(crate) fn version(package: &str) -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let after = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).map(|(_, after)| after);
    after.and_then(|after| after.split('"').next()).unwrap_or("unknown")
}

/// The records of a command.
pub(crate) fn records_in(command: &Value) -> Vec<Sent> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let header = |pair: &Value| (text(&pair[0]), bytes(&pair[1]));
    let record = |record: &Value| Sent {
        key: bytes(&record["key"]),
        value: bytes(&record["value"]),
        headers: list(&record["headers"]).iter().map(header).collect(),
        timestamp: record["timestamp"].as_i64(),
    };
    list(&command["records"]).iter().map(record).collect()
}

/// A record of an answer: its partition, offset and timestamp, and what it holds.
pub(crate) fn record_out(
    place: (i32, i64, i64),
    holds: [Option<&[u8]>; 2],
    headers: &[(&str, Option<&[u8]>)],
) -> Value {
    let (partition, offset, timestamp) = place;
    let [key, value] = holds.map(encoded);
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!([name, encoded(*value)])).collect();
    json!({"partition": partition, "offset": offset, "timestamp": timestamp, "key": key, "value": value, "headers": headers})
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(unbase64)
}

fn encoded(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| base64(bytes).into())
}

/// A text of a command, "" if there is none.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Answers commands until there are no more.
pub(crate) fn serve(client: &mut impl Client) -> Result<(), Refusal> {
    for line in stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        let result = if command["op"] == "hello" { Ok(client.hello()) } else { client.work(&command) };
        let answer = match result {
            Ok(Value::Null) => json!({"ok": {}}),
            Ok(ok) => json!({"ok": ok}),
            Err(refusal) => json!({"error": refusal.to_string(), "kind": client.kind(&refusal)}),
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}
