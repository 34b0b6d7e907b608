//! The bare probe: a process that does of a broker's work only what the machine must do, to see how far a broker is from
//! the physical limit in the same run, under the same load.
//!
//! One thread waits for all connections. Of a Produce it reads the frame, computes the batch's checksum, appends the batch to a
//! file and sends an answer that was made beforehand; of a Fetch it reads a range of that file and sends it. It checks
//! nothing, knows one topic of one partition at a time, and believes that all requests for it are alike. The file of a topic
//! that is deleted stays as long as the brokers' (`file.delete.delay.ms`): one that is cut off at once spares the machine writing
//! it back, and gives its pages to the next.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ottla_protocol::messages::create_topics_response::CreateTopicsResponse;
use ottla_protocol::messages::delete_topics_response::DeleteTopicsResponse;
use ottla_protocol::messages::fetch_request::FetchRequest;
use ottla_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::produce_request::ProduceRequest;
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use ottla_protocol::messages::request_header::RequestHeader;
use ottla_protocol::{Message, Reader, RecordSet, Request};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::Failure;
use crate::wire::RESPONSE_HEADER_BYTES;

/// How much of a fetched partition is sent at most, as the load asks for it.
const FETCH_BYTES: usize = 1 << 20;
/// Where the number of records but one stands in a batch, and where the checksummed part begins.
const LAST_OFFSET_DELTA: usize = 23;
const CHECKSUMMED: usize = 21;

/// The header of every answer: the correlation id that all requests have, and no tagged fields.
const RESPONSE_HEADER: [u8; RESPONSE_HEADER_BYTES] = [0, 0, 0, 1, 0];

/// How long brokers keep the files of deleted topics by default.
const KEPT: Duration = Duration::from_secs(60);

/// The files of deleted topics, the oldest first, with the times from which on they may go.
#[derive(Default)]
struct Deleted {
    count: u64,
    files: VecDeque<(Instant, PathBuf)>,
}

impl Deleted {
    /// A path for a new topic's file, which may be removed when the topic has been gone for long enough.
    fn next(&mut self, directory: &Path) -> io::Result<PathBuf> {
        while let Some((_, path)) = self.files.pop_front_if(|(from, _)| from.elapsed() > KEPT) {
            std::fs::remove_file(path)?;
        }
        self.count += 1;
        let path = directory.join(format!("log-{}", self.count));
        self.files.push_back((Instant::now(), path.clone()));
        Ok(path)
    }
}

/// What is known of the topic that is written at present.
#[derive(Default)]
struct Topic {
    deleted: Deleted,
    file: Option<File>,
    /// Where the batch is in a Produce request of this many bytes.
    frame: usize,
    batch: std::ops::Range<usize>,
    records: usize,
    batches: usize,
    produced: Vec<u8>,
    /// What goes before and after the records of an answer to a Fetch.
    fetched: (Vec<u8>, Vec<u8>),
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    filled: usize,
    unsent: Vec<u8>,
}

/// Serves until it is killed.
pub fn serve(port: u16, directory: &Path) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    connections.push(None);
    let mut events: Vec<Event> = Vec::with_capacity(64);
    let mut topic = Topic::default();
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for index in events.iter().map(|event| { event.data }.u64() as usize) {
            if index == 0 {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                epoll::add(&epoll, &stream, EventData::new_u64(connections.len() as u64), EventFlags::IN)?;
                let received = vec![0; 64 << 10];
                connections.push(Some(Connection { stream, received, filled: 0, unsent: Vec::new() }));
            } else if let Some(connection) = &mut connections[index]
                && !connection.serve(&mut topic, directory)?
            {
                connections[index] = None;
            }
        }
    }
}

impl Connection {
    /// Reads what is there and answers; says whether the connection goes on.
    fn serve(&mut self, topic: &mut Topic, directory: &Path) -> Result<bool, Failure> {
        match self.stream.read(&mut self.received[self.filled..]) {
            Ok(0) => return Ok(false),
            Ok(bytes) => self.filled += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(_) => return Ok(false),
        }
        let mut done = 0;
        while let Some(length) = self.received[..self.filled].get(done..done + 4) {
            let end = done + 4 + length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            if end - done > self.received.len() {
                self.received.resize(end - done, 0);
            }
            if end > self.filled {
                break;
            }
            topic.answer(&self.received[done + 4..end], &mut self.unsent, directory)?;
            done = end;
        }
        self.received.copy_within(done..self.filled, 0);
        self.filled -= done;
        let sent = send_all(&mut self.stream, &self.unsent);
        self.unsent.clear();
        Ok(sent.is_ok())
    }
}

/// The load always reads its answers, so that waiting for it can't last.
fn send_all(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stream.set_nonblocking(false)?;
                let written = stream.write_all(bytes);
                stream.set_nonblocking(true)?;
                return written;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Topic {
    fn answer(&mut self, request: &[u8], unsent: &mut Vec<u8>, directory: &Path) -> Result<(), Failure> {
        let version = i16::from_be_bytes([request[2], request[3]]);
        match i16::from_be_bytes([request[0], request[1]]) {
            0 => self.produce(request, unsent, directory)?,
            1 => self.fetch(request, unsent)?,
            2 => unsent.extend_from_slice(&self.end_offset(version)?),
            19 => self.begin(&CreateTopicsResponse::default().to_bytes(version)?, unsent),
            20 => self.begin(&DeleteTopicsResponse::default().to_bytes(version)?, unsent),
            other => return Err(Failure::from(format!("the bare probe knows no request {other}"))),
        }
        Ok(())
    }

    /// A topic is made or removed: the next one begins.
    fn begin(&mut self, answer: &[u8], unsent: &mut Vec<u8>) {
        *self = Self { deleted: std::mem::take(&mut self.deleted), ..Self::default() };
        unsent.extend_from_slice(&framed(answer));
    }

    fn produce(&mut self, request: &[u8], unsent: &mut Vec<u8>, directory: &Path) -> Result<(), Failure> {
        if self.frame != request.len() {
            self.learn(request, directory)?;
        }
        let batch = &request[self.batch.clone()];
        std::hint::black_box(crc_fast::crc32_iscsi(&batch[CHECKSUMMED..]));
        if let Some(file) = &self.file {
            file.write_all_at(batch, (self.batches * batch.len()) as u64)?;
        }
        self.batches += 1;
        unsent.extend_from_slice(&self.produced);
        Ok(())
    }

    /// Takes a Produce request apart, as all those are built that follow.
    fn learn(&mut self, request: &[u8], directory: &Path) -> Result<(), Failure> {
        let (version, produce) = body_of::<ProduceRequest>(request)?;
        let data = produce.topic_data.first().and_then(|topic| topic.partition_data.first());
        let Some((RecordSet::Bytes(records), name)) =
            data.map(|data| (&data.records, produce.topic_data[0].name.clone()))
        else {
            return Err(Failure::from("a Produce without records"));
        };
        let at = request.windows(CHECKSUMMED).position(|window| *window == records[..CHECKSUMMED]);
        let at = at.ok_or_else(|| Failure::from("records that are not in their request"))?;
        let path = self.deleted.next(directory)?;
        let file = File::options().create(true).read(true).write(true).truncate(true).open(path)?;
        let last = &records[LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4];
        *self = Self {
            deleted: std::mem::take(&mut self.deleted),
            file: Some(file),
            frame: request.len(),
            batch: at..at + records.len(),
            records: last.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) + 1,
            batches: 0,
            produced: produced(&name, version)?,
            fetched: (Vec::new(), Vec::new()),
        };
        Ok(())
    }

    fn fetch(&mut self, request: &[u8], unsent: &mut Vec<u8>) -> Result<(), Failure> {
        let (version, fetch) = body_of::<FetchRequest>(request)?;
        let offset = fetch.topics.first().and_then(|topic| topic.partitions.first()).map(|asked| asked.fetch_offset);
        let first = offset.unwrap_or_default() as usize / self.records.max(1);
        let size = self.batch.len();
        let batches = (FETCH_BYTES / size.max(1)).max(1).min(self.batches - first);
        self.fetched = fetched(&fetch.topics[0].topic, batches * size, version)?;
        unsent.extend_from_slice(&self.fetched.0);
        let at = unsent.len();
        unsent.resize(at + batches * size, 0);
        if let Some(file) = &self.file {
            file.read_exact_at(&mut unsent[at..], (first * size) as u64)?;
        }
        unsent.extend_from_slice(&self.fetched.1);
        Ok(())
    }

    fn end_offset(&self, version: i16) -> Result<Vec<u8>, Failure> {
        let offset = (self.batches * self.records) as i64;
        let partition = ListOffsetsPartitionResponse { offset, ..Default::default() };
        let topic = ListOffsetsTopicResponse { partitions: vec![partition], ..Default::default() };
        let response = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
        Ok(framed(&response.to_bytes(version)?))
    }
}

/// The version of a request, and what it asks.
fn body_of<R: Request>(request: &[u8]) -> Result<(i16, R), Failure> {
    let version = i16::from_be_bytes([request[2], request[3]]);
    let mut reader = Reader::new(request);
    RequestHeader::view_from(&mut reader, R::API_KEY.request_header_version(version))?;
    Ok((version, R::decode_from(&mut reader, version)?))
}

/// A response with its length and header in front.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = ((body.len() + RESPONSE_HEADER_BYTES) as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&RESPONSE_HEADER);
    bytes.extend_from_slice(body);
    bytes
}

fn produced(topic: &str, version: i16) -> Result<Vec<u8>, Failure> {
    let partition = PartitionProduceResponse::default();
    let topic =
        TopicProduceResponse { name: topic.to_owned(), partition_responses: vec![partition], ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    Ok(framed(&response.to_bytes(version)?))
}

/// What goes before and after so many bytes of records.
fn fetched(topic: &str, length: usize, version: i16) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let partition = PartitionData { records: RecordSet::Deferred { length }, ..Default::default() };
    let topic = FetchableTopicResponse { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    let encoded = FetchResponse { responses: vec![topic], ..Default::default() }.to_encoded(version)?;
    let hole = encoded.holes.first().ok_or_else(|| Failure::from("a Fetch without a place for records"))?;
    let (before, after) = encoded.bytes.split_at(hole.position);
    let mut front = ((encoded.size() + RESPONSE_HEADER_BYTES) as u32).to_be_bytes().to_vec();
    front.extend_from_slice(&RESPONSE_HEADER);
    front.extend_from_slice(before);
    Ok((front, after.to_vec()))
}
