use super::frame::FrameReader;
use super::versions::NodeVersions;
use crate::error::{ClientError, Result, check};
use crate::metrics::NetworkCounters;
use crate::settings::ClientSettings;
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use ottla_protocol::{ApiKey, ErrorCode, Message, Reader, Request};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How many requests may wait to be written. A caller beyond that waits for its turn.
const WRITE_QUEUE_MAX: usize = 64;
/// How many requests may wait for their answers. Far above what one client has in flight to one node; a bound all the
/// same, since a node that takes requests and never answers must not grow this side's memory.
const IN_FLIGHT_MAX: usize = 1_024;
/// Requests up to this size are written together with the ones behind them; a larger one is not worth the copy.
const COALESCE_BYTES_MAX: usize = 16 << 10;

/// A connection to one node, ready for use: the versions are negotiated.
///
/// Requests are written in the order in which they were started and answered by the node in that order; any number of
/// tasks may use it at once. After any failure (a timeout too: its answer could not be told from the next one's) the
/// connection is closed, and everything that waits on it fails.
pub(crate) struct Connection {
    address: String,
    client_id: String,
    versions: NodeVersions,
    counters: Arc<NetworkCounters>,
    requests: mpsc::Sender<Outgoing>,
    correlation: AtomicI32,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

/// An encoded request on its way to the writer.
struct Outgoing {
    frame: Bytes,
    /// `None` for a request that has no answer (Produce with acks=0).
    waiting: Option<Waiting>,
}

/// The place where the answer to a written request goes.
struct Waiting {
    correlation_id: i32,
    since: Instant,
    reply: oneshot::Sender<Bytes>,
}

struct Shared {
    closed: AtomicBool,
    /// In the order of writing, which is the order of the answers.
    in_flight: Mutex<VecDeque<Waiting>>,
}

impl Shared {
    /// Ends everything that waits: dropping a reply's sender is the signal.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.in_flight.lock().clear();
    }
}

/// An answer, not yet decoded.
pub(crate) struct Answer {
    /// The answer's body, a slice of the received frame.
    pub(crate) body: Bytes,
    /// The version of request and answer.
    pub(crate) version: i16,
}

impl Answer {
    /// Decodes the whole answer into an owned message.
    pub(crate) fn decode<M: Message>(&self, address: &str) -> Result<M> {
        M::decode(&self.body, self.version).map_err(|error| malformed(address, error))
    }
}

/// An answer that is still to come. Dropping it gives the answer up; the connection goes on.
pub(crate) struct PendingAnswer {
    connection: Arc<Connection>,
    api: ApiKey,
    version: i16,
    reply: Option<oneshot::Receiver<Bytes>>,
}

impl PendingAnswer {
    /// Waits for the answer. On a timeout the connection is closed, as Kafka's clients do: answers come in order, and
    /// nothing behind a lost one can be trusted to come.
    pub(crate) async fn wait(self, timeout: Duration) -> Result<Answer> {
        let Some(reply) = self.reply else {
            return Ok(Answer { body: Bytes::new(), version: self.version });
        };
        let address = &self.connection.address;
        match tokio::time::timeout(timeout, reply).await {
            Ok(Ok(frame)) => {
                let body = strip_header(frame, self.api.response_header_version(self.version))
                    .map_err(|reason| self.connection.fail(reason))?;
                Ok(Answer { body, version: self.version })
            }
            Ok(Err(_)) => Err(ClientError::Disconnected { address: address.clone() }),
            Err(_) => {
                self.connection.close();
                Err(ClientError::Timeout { what: format!("{} at {address}", self.api.name()), after: timeout })
            }
        }
    }
}

impl Connection {
    /// Connects and negotiates. The time for both is bounded by the settings.
    pub(crate) async fn open(
        address: &str,
        settings: &ClientSettings,
        counters: &Arc<NetworkCounters>,
    ) -> Result<Arc<Self>> {
        let connecting = connect(address, settings);
        let stream = match tokio::time::timeout(settings.connect_timeout, connecting).await {
            Ok(stream) => stream.map_err(|error| connect_error(address, error))?,
            Err(_) => {
                let what = format!("connecting to {address}");
                return Err(ClientError::Timeout { what, after: settings.connect_timeout });
            }
        };
        let mut connection = Self::start(address, stream, settings, counters.clone());
        connection.versions = negotiate(&connection, settings.request_timeout).await?;
        Ok(Arc::new(connection))
    }

    fn start(address: &str, stream: TcpStream, settings: &ClientSettings, counters: Arc<NetworkCounters>) -> Self {
        counters.connections_made.add(1);
        let (read, write) = stream.into_split();
        let (requests, queue) = mpsc::channel(WRITE_QUEUE_MAX);
        let shared = Arc::new(Shared { closed: AtomicBool::new(false), in_flight: Mutex::default() });
        let reader = FrameReader::new(read, settings.response_bytes_max);
        let tasks = [
            tokio::spawn(write_requests(write, queue, shared.clone())),
            tokio::spawn(read_answers(reader, shared.clone(), address.to_owned(), counters.clone())),
        ];
        Self {
            address: address.to_owned(),
            client_id: settings.client_id.clone(),
            versions: NodeVersions::default(),
            counters,
            requests,
            correlation: AtomicI32::new(0),
            shared,
            tasks,
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the node told about itself.
    pub(crate) fn versions(&self) -> &NodeVersions {
        &self.versions
    }

    /// Whether nothing can be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Closes at once; everything that waits fails.
    pub(crate) fn close(&self) {
        self.shared.close();
        for task in &self.tasks {
            task.abort();
        }
    }

    /// The version in which `R` is sent to this node.
    pub(crate) fn version_of<R: Request>(&self) -> Result<i16> {
        self.versions
            .version_of::<R>()
            .ok_or_else(|| ClientError::UnsupportedApi { address: self.address.clone(), api: R::API_KEY.name() })
    }

    /// Hands a request to the writer. Requests started one after the other are written in that order.
    pub(crate) async fn start_request<R: Request>(
        self: &Arc<Self>,
        request: &R,
        version: i16,
        has_answer: bool,
    ) -> Result<PendingAnswer> {
        let reply = self.enqueue(request, version, has_answer).await?;
        Ok(PendingAnswer { connection: self.clone(), api: R::API_KEY, version, reply })
    }

    /// Sends a request and waits for its decoded answer.
    pub(crate) async fn call<R: Request>(self: &Arc<Self>, request: &R, timeout: Duration) -> Result<R::Response> {
        let version = self.version_of::<R>()?;
        let answer = self.start_request(request, version, true).await?.wait(timeout).await?;
        answer.decode(&self.address)
    }

    async fn enqueue<R: Request>(
        &self,
        request: &R,
        version: i16,
        has_answer: bool,
    ) -> Result<Option<oneshot::Receiver<Bytes>>> {
        let correlation_id = self.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = encode_frame(request, version, correlation_id, &self.client_id)?;
        self.counters.requests.add(1);
        self.counters.outgoing_bytes.add(frame.len() as u64);
        let (sender, receiver) = oneshot::channel();
        let waiting = has_answer.then_some(Waiting { correlation_id, since: Instant::now(), reply: sender });
        let disconnected = || ClientError::Disconnected { address: self.address.clone() };
        self.requests.send(Outgoing { frame, waiting }).await.map_err(|_| disconnected())?;
        // The writer clears the queue of the waiting ones when it closes; one that came after that must not wait.
        if self.is_closed() { Err(disconnected()) } else { Ok(has_answer.then_some(receiver)) }
    }

    fn fail(&self, reason: String) -> ClientError {
        self.close();
        ClientError::Malformed { address: self.address.clone(), reason }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.connections_closed.add(1);
        self.close();
    }
}

async fn connect(address: &str, settings: &ClientSettings) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    if let Some(bytes) = settings.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = settings.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(stream)
}

fn connect_error(address: &str, source: std::io::Error) -> ClientError {
    ClientError::Connect { address: address.to_owned(), source: Arc::new(source) }
}

fn malformed(address: &str, reason: impl ToString) -> ClientError {
    ClientError::Malformed { address: address.to_owned(), reason: reason.to_string() }
}

/// Length, header, body.
fn encode_frame<R: Request>(request: &R, version: i16, correlation_id: i32, client_id: &str) -> Result<Bytes> {
    let header = RequestHeader {
        request_api_key: R::API_KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: Some(client_id.to_owned()),
        ..Default::default()
    };
    let header = header.to_bytes(R::API_KEY.request_header_version(version))?;
    let body = request.to_bytes(version)?;
    let length = header.len() + body.len();
    let mut frame = BytesMut::with_capacity(4 + length);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.extend_from_slice(&header);
    frame.extend_from_slice(&body);
    Ok(frame.freeze())
}

fn strip_header(frame: Bytes, header_version: i16) -> Result<Bytes, String> {
    let mut reader = Reader::new(&frame);
    ResponseHeader::decode_from(&mut reader, header_version).map_err(|error| error.to_string())?;
    let body_start = frame.len() - reader.remaining();
    Ok(frame.slice(body_start..))
}

/// Asks the node for its versions. A node that does not know the version of the question itself answers in version 0
/// with the code UNSUPPORTED_VERSION and the versions it knows (KIP-511); it is asked again in one of those.
async fn negotiate(connection: &Connection, timeout: Duration) -> Result<NodeVersions> {
    const NEWEST: i16 = 4;
    let request = ApiVersionsRequest {
        client_software_name: "ottla-client".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let mut version = NEWEST;
    loop {
        let reply = connection.enqueue(&request, version, true).await?;
        let Some(reply) = reply else { return Err(ClientError::Closed) };
        let frame = match tokio::time::timeout(timeout, reply).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(_)) => return Err(ClientError::Disconnected { address: connection.address.clone() }),
            Err(_) => {
                let what = format!("ApiVersions at {}", connection.address);
                return Err(ClientError::Timeout { what, after: timeout });
            }
        };
        // The answer to ApiVersions has header version 0 always: the client can't know yet what the node knows.
        let body = strip_header(frame, 0).map_err(|reason| connection.fail(reason))?;
        let unsupported = body.get(..2) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes()[..]);
        let decoded = if unsupported && version > 0 {
            let response = ApiVersionsResponse::decode(&body, 0).map_err(|e| malformed(&connection.address, e))?;
            let known = response.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions.code());
            version = known.map_or(0, |api| api.max_version.min(version - 1)).max(0);
            continue;
        } else {
            ApiVersionsResponse::decode(&body, version).map_err(|e| malformed(&connection.address, e))?
        };
        check(decoded.error_code)?;
        return Ok(NodeVersions::new(decoded));
    }
}

/// Writes what is queued until the connection ends. Small requests that wait together go out in one write.
async fn write_requests(mut stream: OwnedWriteHalf, mut queue: mpsc::Receiver<Outgoing>, shared: Arc<Shared>) {
    let mut together = BytesMut::new();
    'requests: while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        while let Some(Outgoing { frame, waiting }) = next.take() {
            if let Some(waiting) = waiting
                && !register(&shared, waiting)
            {
                break 'requests;
            }
            let small = frame.len() <= COALESCE_BYTES_MAX;
            if small {
                together.extend_from_slice(&frame);
            }
            if !small || together.len() > COALESCE_BYTES_MAX {
                if stream.write_all_buf(&mut together).await.is_err() {
                    break 'requests;
                }
                if !small && stream.write_all(&frame).await.is_err() {
                    break 'requests;
                }
            }
            next = queue.try_recv().ok();
        }
        if stream.write_all_buf(&mut together).await.is_err() {
            break;
        }
    }
    shared.close();
}

/// Notes who waits for the next answer, before the request goes out. `false`: too many wait already.
fn register(shared: &Shared, waiting: Waiting) -> bool {
    let mut in_flight = shared.in_flight.lock();
    if in_flight.len() >= IN_FLIGHT_MAX || shared.closed.load(Ordering::Acquire) {
        return false;
    }
    in_flight.push_back(waiting);
    true
}

/// Gives each answer to the one that waits first. Anything unexpected ends the connection.
async fn read_answers(
    mut frames: FrameReader<OwnedReadHalf>,
    shared: Arc<Shared>,
    address: String,
    counters: Arc<NetworkCounters>,
) {
    loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%address, %error, "connection failed");
                break;
            }
        };
        counters.responses.add(1);
        counters.incoming_bytes.add(frame.len() as u64 + 4);
        let correlation_id = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id));
        let waiting = shared.in_flight.lock().pop_front();
        match waiting {
            Some(waiting) if Some(waiting.correlation_id) == correlation_id => {
                counters.request_latency_ms.note_time(waiting.since.elapsed());
                // The one that waited may have given up.
                let _ = waiting.reply.send(frame);
            }
            _ => {
                tracing::warn!(%address, ?correlation_id, "an answer that nobody waits for");
                break;
            }
        }
    }
    shared.close();
}
