//! Finds out for how long a cluster acknowledges nothing, as exactly as its answers tell.
//!
//! A client library has an opinion of its own: it backs off, it waits for metadata. The probe has none: a connection to
//! every node, and as soon as the leader is struck it asks all that are left, every two milliseconds, until one of them
//! acknowledges.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ottla_protocol::Message;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::produce_response::ProduceResponse;

use crate::Failure;
use crate::admin::ms;
use crate::cluster::Cluster;
use crate::wire::{Batch, PRODUCE_VERSION, RESPONSE_HEADER_BYTES, framed};

/// Between an answer and the next request of the same connection.
const PACE: Duration = Duration::from_millis(2);
/// How often a connection that waits for an answer looks whether the probe is over.
const LOOK: Duration = Duration::from_millis(20);
const CONNECT: Duration = Duration::from_millis(500);
/// How long the acknowledgements are watched after all is well again.
const AFTERWARDS: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes single records to the partitions of a topic that one node leads.
pub struct Probe {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    topic: String,
    partitions: i32,
    batch: Batch,
    leader: usize,
    seen: Mutex<Seen>,
}

/// What the connections have seen together.
#[derive(Default)]
struct Seen {
    /// The node that was struck.
    victim: Option<usize>,
    /// The last acknowledgement before that.
    last_before: Option<Instant>,
    /// Partitions of which nobody has acknowledged a record since.
    missing: BTreeSet<i32>,
    all_again: Option<Instant>,
    /// All acknowledgements.
    acknowledged: Vec<Instant>,
    /// The node that acknowledged last.
    leader: Option<usize>,
    next: i32,
    over: bool,
}

impl Probe {
    /// Begins to write; `leader` is the node that leads all partitions.
    pub fn begin(cluster: &Cluster, topic: &str, partitions: i32, leader: usize) -> Result<Self, Failure> {
        let batch = Batch::new(100, 1)?;
        let seen = Mutex::new(Seen::default());
        let shared = Arc::new(Shared { topic: topic.to_owned(), partitions, batch, leader, seen });
        let mut workers = Vec::new();
        for (node, member) in cluster.members.iter().enumerate() {
            let (shared, address) = (shared.clone(), member.address);
            workers.push(thread::spawn(move || Connection { node, address, stream: None }.work(&shared)));
        }
        let (probe, started) = (Self { shared, workers }, Instant::now());
        while probe.shared.seen().last_before.is_none() {
            if started.elapsed() > PATIENCE {
                return Err(Failure::from("the cluster acknowledges nothing"));
            }
            thread::sleep(LOOK);
        }
        Ok(probe)
    }

    /// From now on this node gives no answers that count. For a leader's death this is told before it: whatever another
    /// node acknowledges came after. The death of another node is told after it.
    pub fn struck(&self, victim: usize) {
        let mut seen = self.shared.seen();
        seen.missing = (0..self.shared.partitions).collect();
        seen.victim = Some(victim);
    }

    /// Waits until every partition has acknowledged again, and says how many milliseconds passed without that: from the
    /// last acknowledgement before the strike to the first of the partition that was last, or between any two.
    pub fn gap(self) -> Result<f64, Failure> {
        let started = Instant::now();
        while self.shared.seen().all_again.is_none() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(AFTERWARDS);
        self.shared.seen().over = true;
        for worker in self.workers {
            worker.join().map_err(|_| Failure::from("a connection of the probe has failed"))?;
        }
        let seen = self.shared.seen();
        let (Some(before), Some(again)) = (seen.last_before, seen.all_again) else {
            return Err(Failure::from("the cluster never acknowledged again"));
        };
        let between = seen.acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        Ok(ms(between.max(again - before)))
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which partitions a node is to be sent a record of.
    fn due(&self, node: usize) -> Vec<i32> {
        let mut seen = self.seen();
        let writes = match seen.victim {
            None => node == self.leader,
            Some(victim) if node == victim => false,
            Some(_) => seen.all_again.is_none() || seen.leader == Some(node),
        };
        if !writes {
            return Vec::new();
        }
        let nobody_yet = seen.missing.len() == self.partitions as usize;
        if seen.missing.is_empty() || nobody_yet {
            seen.next = (seen.next + 1) % self.partitions;
            return vec![seen.next];
        }
        seen.missing.iter().copied().collect()
    }

    fn request(&self, partitions: &[i32]) -> Result<Vec<u8>, Failure> {
        let records = || ottla_protocol::RecordSet::Bytes(self.batch.bytes.clone());
        let partition = |index: &i32| PartitionProduceData { index: *index, records: records(), ..Default::default() };
        let partition_data = partitions.iter().map(partition).collect();
        let topic = TopicProduceData { name: self.topic.clone(), partition_data, ..Default::default() };
        let request = ProduceRequest { acks: -1, timeout_ms: 60_000, topic_data: vec![topic], ..Default::default() };
        framed(&request, PRODUCE_VERSION)
    }

    fn answered(&self, node: usize, answer: &[u8]) -> Result<(), Failure> {
        let now = Instant::now();
        let body = answer.get(RESPONSE_HEADER_BYTES..).ok_or_else(|| Failure::from("an answer without a body"))?;
        let response = ProduceResponse::view(body, PRODUCE_VERSION)?;
        let mut seen = self.seen();
        if seen.victim == Some(node) {
            return Ok(());
        }
        for partition in response.responses.iter().flat_map(|topic| topic.partition_responses.iter()) {
            if partition.error_code == 0 {
                seen.acknowledged.push(now);
                seen.leader = Some(node);
                match seen.victim {
                    None => seen.last_before = Some(now),
                    Some(_) => drop(seen.missing.remove(&partition.index)),
                }
            }
        }
        if seen.victim.is_some() && seen.missing.is_empty() {
            seen.all_again.get_or_insert(now);
        }
        Ok(())
    }
}

/// A connection to one node.
struct Connection {
    node: usize,
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Connection {
    fn work(mut self, shared: &Shared) {
        while !shared.seen().over {
            let due = shared.due(self.node);
            // A failure is what is waited through: the connection is made anew.
            if !due.is_empty() && self.exchange(shared, &due).is_err() {
                self.stream = None;
            }
            thread::sleep(PACE);
        }
    }

    fn exchange(&mut self, shared: &Shared, partitions: &[i32]) -> Result<(), Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.address, CONNECT)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LOOK))?;
                none.insert(stream)
            }
        };
        stream.write_all(&shared.request(partitions)?)?;
        let mut received = Vec::new();
        let mut chunk = [0; 64 << 10];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err(Failure::from("closed")),
                Ok(bytes) => received.extend_from_slice(&chunk[..bytes]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if shared.seen().over {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(length) = received.first_chunk::<4>() {
                let end = 4 + u32::from_be_bytes(*length) as usize;
                if let Some(answer) = received.get(4..end) {
                    return shared.answered(self.node, answer);
                }
            }
        }
    }
}
