//! A server under attack beside a client that behaves, and what attackers send.

use crate::raw::{Connection, base64};
use crate::{Server, now_ms};
use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite};
use ottla_types::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the server's memory may grow to, in KiB. Above the decompressed size that one batch is allowed to have, of which
/// each of the few threads that serve connections may hold one.
const RESIDENT_KIB_MAX: u64 = 640 << 10;

/// How long the good client may wait for its next record, and hostile ones for their answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Thousands connect at once: without room for them to wait in, each would try again after a second.
const SETTINGS: [(&str, &str); 1] = [("socket.listen.backlog.size", "4096")];

/// The topic of the good client.
pub const GOOD_TOPIC: &str = "good";

/// A server under attack, and a client that produces and reads back as long as the test lasts.
#[derive(Debug)]
pub struct Besieged {
    server: Server,
    is_over: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    good_client: Option<JoinHandle<io::Result<()>>>,
}

impl Besieged {
    /// Starts a server with `settings` added to its properties, and the client beside it.
    ///
    /// # Errors
    /// When the server does not start or does not serve the client.
    pub fn start(settings: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_by(&[], settings)
    }

    /// As [`Self::start`], with the server started by a program that becomes it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_by(wrapper: &[&str], settings: &[(&str, &str)]) -> io::Result<Self> {
        let server = Server::start_by(wrapper, &[&SETTINGS, settings].concat())?;
        let mut connection = Connection::open(&server.bootstrap())?;
        let topic =
            json!({"topics": [{"name": GOOD_TOPIC, "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 10_000});
        let created = connection.ask(ApiKey::CreateTopics, 7, &topic)?;
        expect(created["topics"][0]["errorCode"] == 0, || created.to_string())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let (over, count) = (is_over.clone(), served.clone());
        let good_client = Some(thread::spawn(move || behave(&mut connection, &over, &count)));
        let besieged = Self { server, is_over, served, good_client };
        besieged.serves_another_record()?;
        Ok(besieged)
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A connection for bytes of any kind.
    ///
    /// # Errors
    /// When the server does not listen.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.server.bootstrap())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// A connection for requests.
    ///
    /// # Errors
    /// When the server does not listen.
    pub fn raw(&self) -> io::Result<Connection> {
        Connection::open(&self.server.bootstrap())
    }

    /// Whether the server closes the connection of somebody who sends these bytes, without a word.
    ///
    /// # Errors
    /// When the server does not listen.
    pub fn closes(&self, bytes: &[u8]) -> io::Result<bool> {
        Ok(is_closed_by(&mut self.connect()?, bytes))
    }

    /// The largest resident memory that the process ever had, in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn peak_kib(&self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    /// The resident memory of the process, in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_kib(&self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> io::Result<u64> {
        let gone = || io::Error::other("the server is gone");
        let id = self.server.process_id().ok_or_else(gone)?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or_else(gone)?;
        line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)
    }

    /// How many records the good client has produced and read back.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Waits until the good client has been served once more.
    ///
    /// # Errors
    /// When it has failed, or waits for too long.
    pub fn serves_another_record(&self) -> io::Result<()> {
        let (before, since) = (self.served(), Instant::now());
        while self.served() == before {
            let is_running = self.good_client.as_ref().is_some_and(|client| !client.is_finished());
            expect(is_running && since.elapsed() < PATIENCE, || {
                format!("a client that behaves is not served after {before} records")
            })?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends the siege: the good client was served to the last and still is, the memory stayed small, and the server stops
    /// in good order.
    ///
    /// # Errors
    /// One of these is not so.
    pub fn stand(mut self, test: &str) -> io::Result<()> {
        self.serves_another_record()?;
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(client) = self.good_client.take() {
            client.join().map_err(|_| io::Error::other("the client that behaves has panicked"))??;
        }
        let (records, peak) = (self.served(), self.peak_kib()?);
        println!("{test}: {records} records beside it, {} MiB at the most", peak >> 10);
        expect(peak < RESIDENT_KIB_MAX, || format!("{peak} KiB"))?;
        self.server.stop()?;
        let log = self.server.log();
        expect(!log.contains("panicked"), || log.clone())
    }
}

fn expect(is_so: bool, why: impl FnOnce() -> String) -> io::Result<()> {
    if is_so { Ok(()) } else { Err(io::Error::other(why())) }
}

/// Produces a record and reads it back, over and over, and counts how many.
fn behave(connection: &mut Connection, is_over: &AtomicBool, served: &AtomicU64) -> io::Result<()> {
    let batch = batch(Compression::None, b"good")?;
    while !is_over.load(Ordering::Relaxed) {
        let count = served.load(Ordering::Relaxed);
        let produced = connection.ask(ApiKey::Produce, 9, &produce(GOOD_TOPIC, &batch))?;
        let partition = &produced["responses"][0]["partitionResponses"][0];
        expect(partition["errorCode"] == 0 && partition["baseOffset"] == count, || produced.to_string())?;
        let fetched = connection.ask(ApiKey::Fetch, 12, &fetch(GOOD_TOPIC, count))?;
        let partition = &fetched["responses"][0]["partitions"][0];
        let has_records = partition["records"].as_str().is_some_and(|records| !records.is_empty());
        expect(partition["errorCode"] == 0 && has_records, || fetched.to_string())?;
        served.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A Produce of this batch to the first partition of a topic.
pub fn produce(topic: &str, batch: &[u8]) -> Value {
    let partition = json!({"index": 0, "records": base64(batch)});
    json!({"transactionalId": null, "acks": -1, "timeoutMs": 10_000,
        "topicData": [{"name": topic, "partitionData": [partition]}]})
}

/// A Fetch from this offset of the first partition of a topic.
pub fn fetch(topic: &str, offset: u64) -> Value {
    let partition = json!({"partition": 0, "fetchOffset": offset, "partitionMaxBytes": 100_000});
    json!({"replicaId": -1, "maxWaitMs": 10_000, "minBytes": 1, "maxBytes": 100_000, "sessionEpoch": -1,
        "topics": [{"topic": topic, "partitions": [partition]}]})
}

/// A batch of one record of now.
///
/// # Errors
/// When the value is too long.
pub fn batch(codec: Compression, value: &[u8]) -> io::Result<Vec<u8>> {
    let options = BatchOptions { compression: CompressionLevel::default_of(codec), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let timestamp = Timestamp(now_ms());
    builder
        .append(&RecordToWrite { timestamp, key: None, value: Some(value), headers: &[] })
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    builder.build_vec(&mut Compressor::default()).map_err(|error| io::Error::other(format!("{error:?}")))
}

/// Sends bytes and says whether the server closes the connection without a word.
pub fn is_closed_by(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    // The server may close before it has taken all.
    let _ = stream.write_all(bytes);
    let mut answer = [0; 64];
    match stream.read(&mut answer) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Bytes with their length in front.
pub fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes()[..], body].concat()
}

/// The correlation id of every [`request`].
pub const CORRELATION_ID: i32 = 7;

/// A frame with a request header of version 1 (2 when flexible) and a body.
pub fn request(key: i16, version: i16, client_id: &[u8], is_flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(CORRELATION_ID.to_be_bytes());
    bytes.extend(i16::try_from(client_id.len()).unwrap_or(i16::MAX).to_be_bytes());
    bytes.extend(client_id);
    bytes.extend(is_flexible.then_some(0));
    bytes.extend(body);
    frame(&bytes)
}
