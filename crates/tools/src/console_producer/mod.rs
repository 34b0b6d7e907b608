//! `kafka-console-producer`: sends the lines of its input as records.

mod line_reader;
mod options;

use crate::connection::block_on;
use crate::console::Console;
use crate::failure::Stop;
use crate::java;
use line_reader::LineReader;
use options::OPTIONS;
use ottla_client::{ClientError, Delivery, Producer, ProducerRecord, ProducerSettings};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use tokio::sync::mpsc;

/// Lines that wait to be sent; the reader of the input waits beyond that.
const LINES_MAX: usize = 256;
/// Deliveries that are looked at no sooner than this many behind the last: by then their fate is known as a rule.
const DELIVERIES_MAX: usize = 10_000;
/// No line is longer. A record could not be larger either.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    match options::parse(arguments, console).and_then(|parsed| work(&parsed, console)) {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(parsed: &options::ProducerOptions, console: &mut Console) -> Result<(), Stop> {
    let reader = LineReader::new(&parsed.topic, &parsed.reader_properties)
        .map_err(|message| Stop::Message(format!("org.apache.kafka.common.KafkaException: {message}")))?;
    let pairs = parsed.producer_properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let (settings, _) = ProducerSettings::from_pairs(pairs).map_err(|error| Stop::Message(java::exception(&error)))?;
    let done = block_on(send_lines(settings, reader, parsed.is_sync, console));
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(message)) => Err(Stop::Message(message)),
        Err(error) => Err(Stop::Message(error.to_string())),
    }
}

/// Sends what the input brings, until it ends.
async fn send_lines(
    settings: ProducerSettings,
    mut reader: LineReader,
    is_sync: bool,
    console: &mut Console,
) -> Result<(), String> {
    let producer = Producer::new(settings).map_err(|error| java::exception(&error))?;
    let mut lines = input_lines();
    let mut waiting = VecDeque::new();
    let mut failure = None;
    while let Some(line) = next_line(&mut lines, console).await {
        let record = match line.and_then(|line| reader.record(&line)) {
            Ok(record) => record,
            Err(message) => {
                failure = Some(format!("org.apache.kafka.common.KafkaException: {message}"));
                break;
            }
        };
        let sizes = Sizes::of(&record);
        match producer.send(record).await {
            Ok(delivery) if is_sync => {
                if let Err(error) = delivery.await {
                    failure = Some(format!("java.util.concurrent.ExecutionException: {}", java::exception(&error)));
                    break;
                }
            }
            Ok(delivery) => waiting.push_back((delivery, sizes)),
            Err(error) if is_sync => {
                failure = Some(format!("java.util.concurrent.ExecutionException: {}", java::exception(&error)));
                break;
            }
            Err(error) => tell_lost(&sizes, &error, console),
        }
        if waiting.len() > DELIVERIES_MAX {
            settle(waiting.pop_front(), console).await;
        }
    }
    // All that was read is sent, also when a later line can't be.
    producer.flush().await;
    while !waiting.is_empty() {
        settle(waiting.pop_front(), console).await;
    }
    producer.close().await;
    failure.map_or(Ok(()), Err)
}

/// What the message about a lost record tells.
struct Sizes {
    topic: String,
    key: Option<usize>,
    value: Option<usize>,
}

impl Sizes {
    fn of(record: &ProducerRecord) -> Self {
        let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(bytes::Bytes::len);
        Self { topic: record.topic.clone(), key: length(&record.key), value: length(&record.value) }
    }
}

async fn settle(waiting: Option<(Delivery, Sizes)>, console: &mut Console) {
    if let Some((delivery, sizes)) = waiting
        && let Err(error) = delivery.await
    {
        tell_lost(&sizes, &error, console);
    }
}

fn tell_lost(sizes: &Sizes, error: &ClientError, console: &mut Console) {
    let shown = |size: Option<usize>| size.map_or_else(|| "null".to_owned(), |size| format!("{size} bytes"));
    let (key, value) = (shown(sizes.key), shown(sizes.value));
    let topic = &sizes.topic;
    let text = format!("Error when sending message to topic {topic} with key: {key}, value: {value} with error:");
    let class = "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback";
    console.error_line(&java::log_line("ERROR", &text, class));
    console.error_line(&java::exception(error));
}

type Line = Result<String, String>;

/// Reads the input on a thread of its own: reading waits for whoever types.
fn input_lines() -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        while let Some(line) = read_line(&mut input) {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// The next line without its end: `\n` or `\r\n` ends it.
fn read_line(input: &mut impl BufRead) -> Option<Line> {
    let mut bytes = Vec::new();
    let mut limited = input.take(LINE_BYTES_MAX);
    match limited.read_until(b'\n', &mut bytes) {
        Ok(0) => return None,
        Ok(_) => {}
        Err(error) => return Some(Err(error.to_string())),
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Some(Ok(String::from_utf8_lossy(&bytes).into_owned()))
}

async fn next_line(lines: &mut mpsc::Receiver<Line>, console: &mut Console) -> Option<Line> {
    if Console::is_interactive() {
        console.print(">");
        console.flush();
    }
    lines.recv().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_java_ends_them() {
        let mut input = &b"one\ntwo\r\n\nlast"[..];
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input) {
            lines.push(line.unwrap());
        }
        assert_eq!(lines, ["one", "two", "", "last"]);
    }
}
