//! Requests as bytes, and what has to be known of their answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::produce_response::ProduceResponse;
use ottla_protocol::messages::request_header::RequestHeader;
use ottla_protocol::{ErrorCode, Message, RecordSet, Request};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::Timestamp;

use crate::Failure;

/// Topics by name: one version before topic ids.
pub const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;
const CREATE_TOPICS_VERSION: i16 = 7;
const DELETE_TOPICS_VERSION: i16 = 5;
const FIND_COORDINATOR_VERSION: i16 = 4;
const LIST_OFFSETS_VERSION: i16 = 7;
const INCREMENTAL_ALTER_CONFIGS_VERSION: i16 = 1;

/// The kinds of resources that have configurations.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// The header of every response used here: a correlation id and no tagged fields.
pub const RESPONSE_HEADER_BYTES: usize = 5;

/// A request with its length in front.
pub fn framed<R: Request>(request: &R, version: i16) -> Result<Vec<u8>, Failure> {
    let header = RequestHeader {
        request_api_key: R::API_KEY.code(),
        request_api_version: version,
        correlation_id: 1,
        client_id: Some("compare".to_owned()),
        ..Default::default()
    };
    let header = header.to_bytes(R::API_KEY.request_header_version(version))?;
    let body = request.to_bytes(version)?;
    let mut bytes = Vec::with_capacity(4 + header.len() + body.len());
    bytes.extend_from_slice(&((header.len() + body.len()) as u32).to_be_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// A batch of records of one value size.
#[derive(Clone)]
pub struct Batch {
    pub bytes: Bytes,
    pub records: usize,
    pub value_bytes: usize,
}

impl Batch {
    /// As many records of `value_bytes` as fit into `batch_bytes`, but at least one.
    pub fn new(value_bytes: usize, batch_bytes: usize) -> Result<Self, Failure> {
        // Not all the same byte, so that nothing on the way can take advantage of it.
        let value: Vec<u8> = (0..value_bytes).map(|index| (index * 7 + index / 251) as u8).collect();
        let record = RecordToWrite { timestamp: Timestamp(now_ms()), key: None, value: Some(&value), headers: &[] };
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let mut records = 0;
        while records == 0 || builder.estimated_size(&record) <= batch_bytes {
            builder.append(&record)?;
            records += 1;
        }
        let bytes = builder.build(&mut Compressor::new())?;
        Ok(Self { bytes, records, value_bytes: records * value_bytes })
    }

    /// Records with keys of 16 bytes out of so many, and values of 100 bytes; `random` is the state of the choice.
    pub fn keyed(records: usize, keys: u64, random: &mut u64) -> Result<Self, Failure> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let mut value = [0; 100];
        for _ in 0..records {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = format!("{:016x}", (*random >> 20) % keys);
            for (byte, part) in value.iter_mut().zip(random.to_le_bytes().into_iter().cycle()) {
                *byte = part;
            }
            let (key, value) = (Some(key.as_bytes()), Some(&value[..]));
            builder.append(&RecordToWrite { timestamp: Timestamp(now_ms()), key, value, headers: &[] })?;
        }
        Ok(Self { bytes: builder.build(&mut Compressor::new())?, records, value_bytes: records * value.len() })
    }
}

pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as i64
}

/// A Produce request of one batch to one partition.
pub fn produce(topic: &str, partition: i32, acks: i16, batch: &Batch) -> Result<Vec<u8>, Failure> {
    produce_all(topic, partition..partition + 1, acks, batch)
}

/// A Produce request of the same batch to several partitions.
pub fn produce_all(
    topic: &str,
    partitions: std::ops::Range<i32>,
    acks: i16,
    batch: &Batch,
) -> Result<Vec<u8>, Failure> {
    let partition_data = partitions.map(|index| PartitionProduceData {
        index,
        records: RecordSet::Bytes(batch.bytes.clone()),
        ..Default::default()
    });
    let topic =
        TopicProduceData { name: topic.to_owned(), partition_data: partition_data.collect(), ..Default::default() };
    let request = ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    framed(&request, PRODUCE_VERSION)
}

/// Looks for errors in the answer to a Produce request.
pub fn check_produced(answer: &[u8]) -> Result<(), Failure> {
    let response = ProduceResponse::view(body(answer)?, PRODUCE_VERSION)?;
    for topic in response.responses.iter() {
        for partition in topic.partition_responses.iter() {
            check("Produce", partition.error_code)?;
        }
    }
    Ok(())
}

/// A Fetch request for one partition, outside of a session, answered at once.
pub fn fetch(topic: &str, offset: i64, bytes_max: i32) -> Result<Vec<u8>, Failure> {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: -1,
        fetch_offset: offset,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: bytes_max,
        ..Default::default()
    };
    let topic = FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_id: 0,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    framed(&request, FETCH_VERSION)
}

/// The bytes of records in the answer to a Fetch request of one partition.
pub fn fetched_bytes(answer: &[u8]) -> Result<usize, Failure> {
    let response = FetchResponse::view(body(answer)?, FETCH_VERSION)?;
    check("Fetch", response.error_code)?;
    let mut bytes = 0;
    for topic in response.responses.iter() {
        for partition in topic.partitions.iter() {
            check("Fetch", partition.error_code)?;
            bytes += partition.records.map_or(0, <[u8]>::len);
        }
    }
    Ok(bytes)
}

fn body(answer: &[u8]) -> Result<&[u8], Failure> {
    answer.get(RESPONSE_HEADER_BYTES..).ok_or_else(|| Failure::from("an answer shorter than its header"))
}

/// An error code as a failure.
pub fn check(what: &str, code: i16) -> Result<(), Failure> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        Some(error) => Err(Failure::from(format!("{what}: {}", error.name()))),
        None => Err(Failure::from(format!("{what}: error {code}"))),
    }
}

/// A connection for one request at a time.
pub struct Client {
    stream: TcpStream,
}

impl Client {
    pub fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(([127, 0, 0, 1], port).into())
    }

    pub fn connect_to(address: SocketAddr) -> io::Result<Self> {
        // A node that is cut off does not refuse.
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream })
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        self.ask_into(request, &mut answer)?;
        Ok(answer)
    }

    /// Sends a request and waits for its answer, which takes the place of what was in `answer`.
    pub fn ask_into(&mut self, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
        self.stream.write_all(request)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        answer.resize(u32::from_be_bytes(length) as usize, 0);
        self.stream.read_exact(answer)
    }

    /// Asks and waits for the whole answer, whatever error it tells.
    pub fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Failure> {
        let answer = self.ask(&framed(request, version)?)?;
        Ok(R::Response::decode(body(&answer)?, version)?)
    }

    /// Asks for a coordinator until there is one: the first to ask has its topic made. `kind` is 0 for groups, 1 for
    /// transactional ids.
    pub fn find_coordinator(&mut self, key: &str, kind: i8) -> Result<(), Failure> {
        let request =
            FindCoordinatorRequest { key_type: kind, coordinator_keys: vec![key.to_owned()], ..Default::default() };
        let since = std::time::Instant::now();
        loop {
            let response = self.exchange(&request, FIND_COORDINATOR_VERSION)?;
            let code = response.coordinators.first().map_or(0, |coordinator| coordinator.error_code);
            match check("FindCoordinator", code) {
                Err(_) if since.elapsed() < Duration::from_secs(30) => std::thread::sleep(Duration::from_millis(10)),
                found => return found,
            }
        }
    }

    /// The offset behind the last record of partition 0.
    pub fn end_offset(&mut self, topic: &str) -> Result<i64, Failure> {
        let partition = ListOffsetsPartition { current_leader_epoch: -1, timestamp: -1, ..Default::default() };
        let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition], ..Default::default() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let response = self.exchange(&request, LIST_OFFSETS_VERSION)?;
        let partition = response.topics.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| Failure::from("ListOffsets without a partition"))?;
        check("ListOffsets", partition.error_code)?;
        Ok(partition.offset)
    }

    /// Makes a topic whose files go soon after it is deleted.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> Result<(), Failure> {
        self.create_topic_with(name, partitions, &[])
    }

    /// Makes a topic with configurations.
    pub fn create_topic_with(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<(), Failure> {
        let config = |(name, value): (&str, &str)| CreatableTopicConfig {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let configs = [("file.delete.delay.ms", "1000")].into_iter().chain(configs.iter().copied()).map(config);
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let response = self.exchange(&request, CREATE_TOPICS_VERSION)?;
        response.topics.iter().try_for_each(|topic| check("CreateTopics", topic.error_code))
    }

    /// Sets a configuration of all brokers.
    pub fn set_of_all_brokers(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.set(BROKER, "", name, value)
    }

    /// Sets a configuration of a topic.
    pub fn set_of_topic(&mut self, topic: &str, name: &str, value: &str) -> Result<(), Failure> {
        self.set(TOPIC, topic, name, value)
    }

    fn set(&mut self, resource_type: i8, resource_name: &str, name: &str, value: &str) -> Result<(), Failure> {
        let resource_name = resource_name.to_owned();
        let config = AlterableConfig { name: name.to_owned(), value: Some(value.to_owned()), ..Default::default() };
        let resource =
            AlterConfigsResource { resource_type, resource_name, configs: vec![config], ..Default::default() };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let response = self.exchange(&request, INCREMENTAL_ALTER_CONFIGS_VERSION)?;
        response.responses.iter().try_for_each(|resource| check("IncrementalAlterConfigs", resource.error_code))
    }

    /// Removes a topic.
    pub fn delete_topic(&mut self, name: &str) -> Result<(), Failure> {
        let request =
            DeleteTopicsRequest { topic_names: vec![name.to_owned()], timeout_ms: 30_000, ..Default::default() };
        let response = self.exchange(&request, DELETE_TOPICS_VERSION)?;
        response.responses.iter().try_for_each(|topic| check("DeleteTopics", topic.error_code))
    }

    /// Produces again and again until it is acknowledged: the leader may not be there yet.
    pub fn produce_until_acknowledged(&mut self, request: &[u8], within: Duration) -> Result<(), Failure> {
        let started = std::time::Instant::now();
        loop {
            let answer = self.ask(request)?;
            match check_produced(&answer) {
                Ok(()) => return Ok(()),
                Err(failure) if started.elapsed() > within => return Err(failure),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}
