//! A whole node on a simulated disk, driven by calls: no sockets, no threads.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

use bytes::{Bytes, BytesMut};
use ottla_broker::{FormatRequest, Node, NodeOptions, StartError, format};
use ottla_config::{NodeConfig, SecurityProtocol, properties};
use ottla_controller::format::{FormatOptions, bootstrap};
use ottla_env::Monotonic;
use ottla_env_sim::{MemoryDisk, SeededRandom, SimClock};
use ottla_log::Environment;
use ottla_net::{Answer, CapturedAnswer, ConnectionContext, ConnectionId, Responder, Segment};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_protocol::messages::{CreateTopicsRequest, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader};
use ottla_protocol::{Message, Reader, RecordSet, Request, Writer};
use ottla_raft::VoterSet;
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{DirectoryId, Timestamp};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

pub mod asking;
pub mod cluster;
pub mod network;

pub struct World {
    pub disk: MemoryDisk,
    pub clock: Arc<SimClock>,
    pub random: Arc<SeededRandom>,
    pub properties: String,
}

/// How a node is formatted.
#[derive(Clone)]
pub struct Formatting {
    /// Whether the voters stand in the log.
    pub is_dynamic: bool,
    /// Those that formatting puts there.
    pub voters: VoterSet,
    /// The id of the directory with the metadata.
    pub directory: Option<DirectoryId>,
}

impl Default for Formatting {
    fn default() -> Self {
        Self { is_dynamic: false, voters: VoterSet::new([]), directory: None }
    }
}

pub struct Running {
    pub node: Arc<Node>,
    /// How often the syncer was woken.
    pub wakes: Arc<AtomicUsize>,
    /// How often it was, when it last looked.
    pub wakes_seen: AtomicUsize,
    /// Whether `tick` is wanted earlier than it said.
    pub woken: Arc<AtomicBool>,
    /// The loader was woken, and has not looked yet.
    to_load: Arc<AtomicBool>,
    /// When `tick` is wanted, in nanoseconds.
    pub due: AtomicU64,
    connection: Arc<ConnectionContext>,
}

/// An answer that may not be there yet.
pub struct Pending<R> {
    captured: CapturedAnswer,
    version: i16,
    header_version: i16,
    response: PhantomData<R>,
}

impl World {
    /// A formatted node; `properties` are added to those that every node needs.
    pub fn new(log_dirs: &str, properties: &str) -> Self {
        let clock = Arc::new(SimClock::new(Timestamp(1_700_000_000_000)));
        let properties = format!(
            "process.roles=broker,controller\ncontroller.quorum.voters=1@localhost:19093\n\
             listeners=PLAINTEXT://localhost:19092,CONTROLLER://localhost:19093\n{properties}"
        );
        Self::member(1, clock, log_dirs, &properties)
    }

    /// A formatted node of a cluster: `properties` say what is not the same for all.
    pub fn member(id: i32, clock: Arc<SimClock>, log_dirs: &str, properties: &str) -> Self {
        Self::formatted(id, clock, log_dirs, properties, &Formatting::default())
    }

    /// A node of a cluster, formatted in this way.
    pub fn formatted(id: i32, clock: Arc<SimClock>, log_dirs: &str, properties: &str, formatting: &Formatting) -> Self {
        let random = Arc::new(SeededRandom::new(4 + u64::try_from(id).unwrap()));
        let properties =
            format!("node.id={id}\ncontroller.listener.names=CONTROLLER\nlog.dirs={log_dirs}\n{properties}\n");
        let world = Self { disk: MemoryDisk::new(), clock, random, properties };
        let directories: Vec<PathBuf> = log_dirs.split(',').map(PathBuf::from).collect();
        let request = FormatRequest {
            directories: &directories,
            metadata_directory: &directories[0],
            metadata_directory_id: formatting.directory,
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qg",
            node_id: ottla_types::NodeId(id),
            bootstrap: &bootstrap(&FormatOptions {
                has_dynamic_voters: formatting.is_dynamic,
                ..FormatOptions::default()
            })
            .unwrap(),
            voters: &formatting.voters,
        };
        format(&world.environment(), &request).unwrap();
        world
    }

    pub fn environment(&self) -> Environment {
        Environment { disk: Arc::new(self.disk.clone()), clock: self.clock.clone(), random: self.random.clone() }
    }

    pub fn file_length(&self, path: &str) -> u64 {
        let file = ottla_env::Disk::open(&self.disk, Path::new(path), ottla_env::OpenMode::Read).unwrap();
        file.length().unwrap()
    }

    pub fn contents(&self, path: &str) -> Vec<u8> {
        let file = ottla_env::Disk::open(&self.disk, Path::new(path), ottla_env::OpenMode::Read).unwrap();
        let mut contents = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
        let read = file.read_at(&mut contents, 0).unwrap();
        assert_eq!(read, contents.len());
        contents
    }

    pub fn exists(&self, path: &str) -> bool {
        ottla_env::Disk::exists(&self.disk, Path::new(path)).unwrap()
    }

    pub fn config(&self) -> NodeConfig {
        let parsed = properties::parse(self.properties.as_bytes(), "test").unwrap();
        NodeConfig::from_properties(parsed).unwrap().0
    }

    pub fn start(&self) -> Running {
        self.start_among(Arc::new(ottla_broker::NoPeers))
    }

    /// Starts a node that reaches others by these.
    pub fn start_among(&self, peers: Arc<dyn ottla_broker::PeerNetwork>) -> Running {
        self.try_start_among(peers).unwrap()
    }

    /// The same, for a node that may not come up.
    pub fn try_start_among(&self, peers: Arc<dyn ottla_broker::PeerNetwork>) -> Result<Running, StartError> {
        let wakes = Arc::new(AtomicUsize::new(0));
        let syncer_woken = wakes.clone();
        let woken = Arc::new(AtomicBool::new(true));
        let wake = woken.clone();
        let to_load = Arc::new(AtomicBool::new(false));
        let loader_woken = to_load.clone();
        let config = self.config();
        let node = Node::start(NodeOptions {
            peers,
            loggers: Arc::new(ottla_broker::NoLoggers),
            endpoints: config.listeners.advertised_broker.clone(),
            config,
            disk: Arc::new(self.disk.clone()),
            clock: self.clock.clone(),
            random: self.random.clone(),
            wake: Arc::new(move || wake.store(true, Ordering::Relaxed)),
            segment_files_max: 100,
            wake_syncer: Arc::new(move || _ = syncer_woken.fetch_add(1, Ordering::Relaxed)),
            wake_loader: Arc::new(move || loader_woken.store(true, Ordering::Relaxed)),
        })?;
        let (wakes_seen, due) = (AtomicUsize::new(0), AtomicU64::new(0));
        let connection = connection("PLAINTEXT");
        Ok(Running { node: Arc::new(node), wakes, wakes_seen, woken, due, to_load, connection })
    }
}

/// A request as it is sent, without the length in front.
pub fn frame<R: Request>(request: &R, version: i16) -> BytesMut {
    let key = R::API_KEY;
    let header = RequestHeader {
        request_api_key: key.code(),
        request_api_version: version,
        client_id: Some("test".to_owned()),
        ..Default::default()
    };
    let mut writer = Writer::with_capacity(1024);
    header.encode(&mut writer, key.request_header_version(version)).unwrap();
    request.encode(&mut writer, version).unwrap();
    writer.into_parts().0
}

/// A connection to a listener of this name.
pub fn connection(listener: &str) -> Arc<ConnectionContext> {
    connection_of(ConnectionId(1), listener)
}

/// One of several connections.
pub fn connection_of(id: ConnectionId, listener: &str) -> Arc<ConnectionContext> {
    let address = "127.0.0.1:19092".parse().unwrap();
    let protocol = SecurityProtocol::Plaintext;
    Arc::new(ConnectionContext::new(id, listener.into(), protocol, address, address))
}

impl Running {
    /// The same node for another thread, with a connection of its own.
    pub fn on(node: Arc<Node>) -> Self {
        Self {
            node,
            wakes: Arc::default(),
            wakes_seen: AtomicUsize::default(),
            woken: Arc::default(),
            due: AtomicU64::default(),
            to_load: Arc::default(),
            connection: connection("PLAINTEXT"),
        }
    }

    /// Ticks if it is time, or if the node has asked for it.
    pub fn tick_if_due(&self, now: Monotonic) {
        if self.woken.swap(false, Ordering::Relaxed) || now.0 >= self.due.load(Ordering::Relaxed) {
            self.due.store(self.node.tick().0, Ordering::Relaxed);
        }
    }

    /// Loads coordinators if the loader was woken since it last looked.
    pub fn load_if_woken(&self) {
        if self.to_load.swap(false, Ordering::Relaxed) {
            self.node.load_coordinators();
        }
    }

    /// Syncs if the syncer was woken since it last looked.
    pub fn sync_if_woken(&self) {
        let wakes = self.wakes.load(Ordering::Relaxed);
        if self.wakes_seen.swap(wakes, Ordering::Relaxed) != wakes {
            self.node.sync();
        }
    }

    /// Sends a request in its latest version.
    pub fn send<R: Request>(&self, request: &R) -> Pending<R::Response> {
        self.send_version(request, R::API_KEY.versions().max)
    }

    pub fn send_version<R: Request>(&self, request: &R, version: i16) -> Pending<R::Response> {
        self.send_on(request, version, None)
    }

    fn send_on<R: Request>(&self, request: &R, version: i16, on: Option<&str>) -> Pending<R::Response> {
        let (key, frame) = (R::API_KEY, frame(request, version));
        let (responder, captured) = Responder::captured();
        let context = on.map_or_else(|| self.connection.clone(), connection);
        let service = if on.is_none() { self.node.broker_service() } else { self.node.controller_service() };
        service.call(&context, frame, responder);
        let header_version = key.response_header_version(version);
        Pending { captured, version, header_version, response: PhantomData }
    }

    /// Sends a request to the controller's listener, in its latest version.
    pub fn send_to_controller<R: Request>(&self, request: &R) -> Pending<R::Response> {
        self.send_on(request, R::API_KEY.versions().max, Some("CONTROLLER"))
    }

    /// Sends a request and takes the answer, which must be there at once.
    pub fn ask<R: Request>(&self, request: &R) -> R::Response {
        self.send(request).take().expect("the answer is there at once")
    }

    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
        let response = self.ask(&request);
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    }

    /// Sends one batch of so many records.
    pub fn produce(&self, topic: &str, partition: i32, acks: i16, records: i32) -> Pending<ProduceResponse> {
        let data =
            PartitionProduceData { index: partition, records: RecordSet::from(batch(records)), ..Default::default() };
        let topic = TopicProduceData { name: topic.to_owned(), partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest { acks, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
        self.send_version(&request, 12)
    }
}

impl<R: Message> Pending<R> {
    /// The answer, if it has come.
    pub fn take(&self) -> Option<R> {
        self.take_if_open().expect("an answer, and no end of the connection")
    }

    /// The answer, if it has come; `None` if the connection has ended without one.
    pub fn take_if_open(&self) -> Option<Option<R>> {
        let Some(answer) = self.captured.take() else { return Some(None) };
        let Answer::Response(response) = answer else { return None };
        let mut bytes = response.head.to_vec();
        for segment in response.segments {
            match segment {
                Segment::Bytes(more) => bytes.extend_from_slice(&more),
                Segment::File { file, position, length } => {
                    let mut read = vec![0; usize::try_from(length).unwrap()];
                    assert_eq!(file.read_at(&mut read, position).unwrap(), read.len());
                    bytes.extend_from_slice(&read);
                }
            }
        }
        let bytes = Bytes::from(bytes);
        let mut reader = Reader::new(&bytes);
        ResponseHeader::decode_from(&mut reader, self.header_version).unwrap();
        Some(Some(R::decode_from(&mut reader, self.version).unwrap()))
    }
}

impl Pending<ProduceResponse> {
    /// The answer for the one partition, if it has come.
    pub fn partition(&self) -> Option<PartitionProduceResponse> {
        self.take().map(|response| response.responses[0].partition_responses[0].clone())
    }
}

pub fn batch(records: i32) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for number in 0..records {
        let value = number.to_be_bytes();
        let timestamp = Timestamp(1_700_000_000_000);
        builder.append(&RecordToWrite { timestamp, key: None, value: Some(&value), headers: &[] }).unwrap();
    }
    Bytes::from(builder.build_vec(&mut Compressor::default()).unwrap())
}
