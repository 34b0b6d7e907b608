//! A server process: configuration, directories, listeners, the node, and its end.

use crate::arguments::StartOptions;
use crate::cluster;
use crate::descriptors::Descriptors;
use crate::directories::{self, DirectoryError};
use crate::logging::{self, ProcessLoggers};
use crate::stopping::Stopping;
use crate::ticker::Ticker;
use crate::waiting::{self, NotTakenIn, Waited};
use crate::watching::Watching;
use ottla_broker::{ApiVersionsGreeting, Node, NodeOptions, PeerNetwork, StartError, outbound_options};
use ottla_config::{ConfigErrors, Endpoint, NodeConfig, ProviderError, SHIPPED_PROPERTIES, properties};
use ottla_env::{Clock, Monotonic};
use ottla_env_os::{OsClock, OsDisk, OsRandom, raise_open_files_max};
use ottla_log::Environment;
use ottla_net::{BindError, Destination, HttpListener, HttpServer, Listeners, NetOptions, Outbound, Server};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Notify;

/// How long connections may take to get their last answers when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long a broker may take to hand over what it leads.
const LEAVING_MAX: Duration = Duration::from_secs(300);
/// How long it goes on asking a controller that does not answer.
const UNHEARD_MAX: Duration = Duration::from_secs(5);
const LEAVING_LOOKS: Duration = Duration::from_millis(5);

/// How long a thread sleeps that only works when it is woken.
const IDLE: Duration = Duration::from_secs(3600);

/// Why a server does not start, or ends. Each says what to do about it where that is known.
#[derive(Debug, Error)]
enum ServerError {
    #[error("can't read {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Properties(String),
    #[error("{0}")]
    Provider(#[from] ProviderError),
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    NotBuiltYet(String),
    #[error("{0}")]
    Directories(#[from] DirectoryError),
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    NotTakenIn(#[from] NotTakenIn),
    #[error("{0}")]
    StorageFailed(String),
    #[error("the operating system refuses: {0}")]
    System(#[from] io::Error),
}

/// Says a line. Whoever was to read it may be gone: that is no reason to stop.
macro_rules! say {
    ($($part:tt)*) => {{
        let _ = writeln!(io::stdout(), $($part)*);
    }};
}

/// Runs a server until it is told to stop. The exit code: 0 after a stop in good order, 1 when it could not start.
pub(crate) fn run(options: StartOptions) -> i32 {
    let loggers = logging::start();
    match serve(options, loggers) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!(
                "{}{error}",
                if matches!(error, ServerError::StorageFailed(_)) { "ottla stops: " } else { "ottla can't start: " }
            );
            1
        }
    }
}

fn serve(options: StartOptions, loggers: Arc<ProcessLoggers>) -> Result<(), ServerError> {
    let started = Instant::now();
    let announces_as_kafka = options.announces_as_kafka;
    let config = read_config(options)?;
    let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
    let environment = Environment { disk: Arc::new(OsDisk), clock: clock.clone(), random: Arc::new(OsRandom) };
    let watching_peers = Arc::new(OnceLock::new());
    let network = network(&config, &clock, watching_peers.clone())?;
    directories::prepare(&environment, &config, &network)?;
    // Ports are taken before anything is changed on the disk, but nobody is served before the node stands.
    let descriptors = Descriptors::of(raise_open_files_max());
    let (broker, controller) = bind(&config, &descriptors)?;
    let watch = config.metrics_listener.as_ref().map(|address| HttpListener::bind("METRICS", address)).transpose()?;
    let endpoints = advertised(&config, broker.as_ref());
    let [ticker, syncer, loader] = std::array::from_fn(|_| Arc::new(Ticker::default()));
    let [waking, waking_syncer, waking_loader] = [&ticker, &syncer, &loader].map(Arc::clone);
    let node = Node::start(NodeOptions {
        config: config.clone(),
        disk: environment.disk,
        clock: clock.clone(),
        random: environment.random,
        wake: Arc::new(move || waking.wake()),
        wake_syncer: Arc::new(move || waking_syncer.wake()),
        wake_loader: Arc::new(move || waking_loader.wake()),
        endpoints: endpoints.clone(),
        loggers,
        segment_files_max: descriptors.segment_files,
        peers: network.clone(),
    })?;
    let node = Arc::new(node);
    let _ = watching_peers.set(Arc::downgrade(&node));
    // Before anybody is served: who asks for a stop as soon as it answers must get one in good order.
    let mut stopping = Stopping::listen()?;
    let stop = Arc::new(Notify::new());
    let mut threads = vec![
        tick(ticker, &node, &clock, stop.clone())?,
        sync(syncer, &node, &clock)?,
        load_coordinators(loader, &node, &clock)?,
        keep_logs(&node, &clock)?,
    ];
    threads.extend(compact(&config, &node, &clock)?);
    let mut servers = Vec::new();
    if let Some(controller) = controller {
        servers.push(controller.serve(node.controller_service(), clock.clone())?);
    }
    // Clients wait at the door until the cluster has taken the broker in.
    let waited = waiting::until_taken_in(&node, &mut stopping, &stop, || cluster::of_controllers(&config, &network));
    let mut watched = None;
    if matches!(waited, Ok(Waited::TakenIn)) {
        if let Some(broker) = broker {
            servers.push(broker.serve(node.broker_service(), clock.clone())?);
        }
        watched = watch.map(|listener| watch_node(listener, &config, &node, &servers, &clock)).transpose()?;
        announce(&config, &endpoints, &node, started);
        if announces_as_kafka {
            announce_as_kafka(&config);
        }
        stopping.wait(&stop);
    }
    drop(watched);
    if let Some(failure) = node.failure().filter(|_| waited.is_ok()) {
        // Nothing could be written that a stop in good order would write.
        return Err(ServerError::StorageFailed(failure));
    }
    leave(&node, &mut stopping);
    shut_down(servers, threads, node);
    waited.map(|_| ()).map_err(ServerError::from)
}

/// The way to other nodes. This node calls itself there by its id, as Kafka's do.
/// `node` is told of connections that end, as soon as there is one.
fn network(
    config: &NodeConfig,
    clock: &Arc<dyn Clock>,
    node: Arc<OnceLock<Weak<Node>>>,
) -> Result<Arc<dyn PeerNetwork>, ServerError> {
    let greeting = ApiVersionsGreeting::new(&config.node_id.to_string()).map_err(io::Error::other)?;
    let ended = move |address: &Destination| {
        if let Some(node) = node.get().and_then(Weak::upgrade) {
            node.connection_ended(address);
        }
    };
    let outbound = Outbound::start(greeting, outbound_options(config), clock.clone(), Box::new(ended))?;
    Ok(Arc::new(outbound))
}

/// Serves metrics.
fn watch_node(
    listener: HttpListener,
    config: &NodeConfig,
    node: &Arc<Node>,
    servers: &[Server],
    clock: &Arc<dyn Clock>,
) -> io::Result<HttpServer> {
    say!("Metrics: http://{}/metrics", listener.address());
    let readers = servers.iter().map(Server::reader).collect();
    let pages = Watching::new(node.clone(), config, readers, clock.clone());
    listener.serve(Arc::new(pages), clock.clone())
}

/// A thread that works for the node, and its sleep.
struct Worker {
    sleep: Arc<Ticker>,
    thread: std::thread::JoinHandle<()>,
}

/// Does what is due by time, and has the process stop when the node's storage is lost.
fn tick(sleep: Arc<Ticker>, node: &Arc<Node>, clock: &Arc<dyn Clock>, stop: Arc<Notify>) -> io::Result<Worker> {
    let node = node.clone();
    work("ticker", sleep, clock, move |_| {
        let next = node.tick();
        if node.failure().is_some() {
            stop.notify_one();
        }
        next
    })
}

/// Makes durable what waits for it, whenever somebody wakes it.
fn sync(sleep: Arc<Ticker>, node: &Arc<Node>, clock: &Arc<dyn Clock>) -> io::Result<Worker> {
    let node = node.clone();
    work("syncer", sleep, clock, move |now| {
        node.sync();
        now + IDLE
    })
}

/// Reads the logs of coordinators, apart from what must not wait for that.
fn load_coordinators(sleep: Arc<Ticker>, node: &Arc<Node>, clock: &Arc<dyn Clock>) -> io::Result<Worker> {
    let node = node.clone();
    work("loader", sleep, clock, move |now| {
        node.load_coordinators();
        now + IDLE
    })
}

/// Looks after the logs, apart from what must not wait for a disk.
fn keep_logs(node: &Arc<Node>, clock: &Arc<dyn Clock>) -> io::Result<Worker> {
    let node = node.clone();
    work("log keeper", Arc::default(), clock, move |_| node.keep_logs())
}

/// Compacts logs, each thread one at a time.
fn compact(config: &NodeConfig, node: &Arc<Node>, clock: &Arc<dyn Clock>) -> io::Result<Vec<Worker>> {
    let cleaner = |_| {
        let node = node.clone();
        work("cleaner", Arc::default(), clock, move |_| node.compact())
    };
    (0..config.log.log_cleaner_threads.max(0)).map(cleaner).collect()
}

fn work(
    name: &str,
    sleep: Arc<Ticker>,
    clock: &Arc<dyn Clock>,
    round: impl Fn(Monotonic) -> Monotonic + Send + 'static,
) -> io::Result<Worker> {
    let (sleeping, clock) = (sleep.clone(), clock.clone());
    let run = move || sleeping.run(&clock, || round(clock.monotonic()));
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(Worker { sleep, thread })
}

fn read_config(options: StartOptions) -> Result<NodeConfig, ServerError> {
    let (bytes, source) = match &options.file {
        Some(path) => {
            let read = std::fs::read(path);
            let bytes = read.map_err(|error| ServerError::File { path: path.clone(), error })?;
            (bytes, path.display().to_string())
        }
        None => (SHIPPED_PROPERTIES.as_bytes().to_vec(), "the shipped configuration".to_owned()),
    };
    let parsed = properties::parse(&bytes, &source);
    let mut properties = parsed.map_err(|error| ServerError::Properties(error.to_string()))?;
    for (key, value) in options.overrides {
        properties.set(key, value, "--override");
    }
    properties.resolve(&ottla_tools::ProcessSources)?;
    let (mut config, notices) = NodeConfig::from_properties(properties)?;
    for notice in notices {
        tracing::warn!("{notice}");
    }
    if let Some(sentence) = config.beyond_this_version() {
        return Err(ServerError::NotBuiltYet(sentence));
    }
    // Wherever the process goes later, its directories stay where they were when it started.
    for path in config.log_dirs.iter_mut().chain([&mut config.metadata_log_dir]) {
        *path = std::path::absolute(&*path)?.display().to_string();
    }
    Ok(config)
}

/// The listeners of the broker and of the controller, as far as the node is one.
type Bound = (Option<Listeners>, Option<Listeners>);

fn bind(config: &NodeConfig, descriptors: &Descriptors) -> Result<Bound, ServerError> {
    let (options, unknown) = NetOptions::from_config(&config.sockets, &config.max_connections_per_ip_overrides);
    for host in unknown {
        tracing::warn!(host, "max.connections.per.ip.overrides names a host without an address");
    }
    let bind = |endpoints: &[Endpoint], options: NetOptions| {
        (!endpoints.is_empty()).then(|| Listeners::bind(endpoints, options)).transpose()
    };
    let broker = bind(&config.listeners.broker, descriptors.limit(options.clone()))?;
    let controller = bind(&config.listeners.controller, descriptors.limit_controller(options))?;
    Ok((broker, controller))
}

/// What clients are told, with the ports that the operating system has chosen where the configuration left it to it.
fn advertised(config: &NodeConfig, bound: Option<&Listeners>) -> Vec<Endpoint> {
    let addresses = bound.map(Listeners::addresses).unwrap_or_default();
    let mut endpoints = config.listeners.advertised_broker.clone();
    for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.address.port == 0) {
        let address = addresses.iter().find(|(name, _)| *name == endpoint.listener_name);
        endpoint.address.port = address.map_or(0, |(_, address)| address.port());
    }
    endpoints
}

fn announce(config: &NodeConfig, endpoints: &[Endpoint], node: &Node, started: Instant) {
    let (listeners, whom) = match endpoints {
        [] => (&config.listeners.advertised_controller[..], "the cluster's brokers"),
        _ => (endpoints, "Kafka clients"),
    };
    let listeners: Vec<String> = listeners.iter().map(|endpoint| endpoint.address.to_string()).collect();
    say!(
        "Ottla {} serves {whom} (protocol of Apache Kafka {}) on {}",
        env!("CARGO_PKG_VERSION"),
        crate::arguments::KAFKA_VERSION,
        listeners.join(", ")
    );
    say!("Data: {} (cluster {}, node {})", config.log_dirs.join(", "), node.cluster_id(), config.node_id);
    say!("Started in {} ms with {} partitions", started.elapsed().as_millis(), node.partitions());
}

/// The words that test tools wait for in the output of an image of Apache Kafka, and no more of them than that.
fn announce_as_kafka(config: &NodeConfig) {
    let id = config.node_id;
    say!("[BrokerLifecycleManager id={id}] Transitioning from RECOVERY to RUNNING.");
    say!("[KafkaServer id={id}] started");
    say!("[KafkaRaftServer nodeId={id}] Kafka Server started");
}

/// Hands over what the broker leads, while it still serves: clients are told who leads now. A second wish for a stop ends it.
fn leave(node: &Node, stopping: &mut Stopping) {
    node.begin_leaving();
    let (began, mut heard) = (Instant::now(), Instant::now());
    while !node.has_left() && began.elapsed() < LEAVING_MAX {
        if node.waits_for().is_none() {
            heard = Instant::now();
        }
        if heard.elapsed() > UNHEARD_MAX || stopping.is_asked_within(LEAVING_LOOKS) {
            break;
        }
    }
}

fn shut_down(servers: Vec<Server>, workers: Vec<Worker>, node: Arc<Node>) {
    say!("Stopping");
    node.release_waiting();
    node.stop_compaction();
    for server in servers {
        if !server.shutdown(SHUTDOWN_GRACE) {
            tracing::warn!("not every request was answered before the stop");
        }
    }
    for Worker { sleep, thread } in workers {
        sleep.stop();
        if thread.join().is_err() {
            tracing::error!("a thread of the node has panicked");
        }
    }
    match alone(node) {
        Some(node) => node.shutdown(),
        None => tracing::error!("the node is still in use; the next start will recover its logs"),
    }
    say!("Stopped");
}

/// The node when nobody else uses it any more: the thread of connections to other nodes may for a moment.
fn alone(mut node: Arc<Node>) -> Option<Node> {
    const TRIES: u32 = 1000;
    for _ in 0..TRIES {
        match Arc::try_unwrap(node) {
            Ok(node) => return Some(node),
            Err(shared) => node = shared,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}
