use crate::Side;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::{
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, DeleteGroupsResponse, DescribeGroupsResponse,
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, RequestHeader, SyncGroupResponse,
    TxnOffsetCommitResponse,
};
use ottla_protocol::{ApiKey, Message};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long an answer that is expected is waited for.
const EXPECTED: Duration = Duration::from_secs(3);
/// How long an answer that is not expected is waited for.
const UNEXPECTED: Duration = Duration::from_millis(30);

/// A running Kafka, with one connection a client.
pub(crate) struct Kafka {
    address: String,
    connections: BTreeMap<String, Connection>,
}

struct Connection {
    stream: TcpStream,
    waiting: Vec<(ApiKey, i16)>,
    received: Vec<u8>,
}

impl Kafka {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connections: BTreeMap::new() }
    }
}

impl Side for Kafka {
    fn send(&mut self, client: &str, version: i16, request: &Request) {
        let connection = self.connections.entry(client.to_owned()).or_insert_with(|| {
            let stream = TcpStream::connect(&self.address).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            Connection { stream, waiting: Vec::new(), received: Vec::new() }
        });
        let (api_key, body) = encode(version, request);
        let header = RequestHeader {
            request_api_key: api_key.code(),
            request_api_version: version,
            correlation_id: 1,
            client_id: Some("client".to_owned()),
            ..Default::default()
        };
        let header = header.to_bytes(api_key.request_header_version(version)).unwrap();
        let mut frame = u32::try_from(header.len() + body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&header);
        frame.extend_from_slice(&body);
        connection.stream.write_all(&frame).unwrap();
        connection.waiting.push((api_key, version));
    }

    fn answers(&mut self, expected: usize) -> Vec<(String, Response)> {
        let mut answers = Vec::new();
        let mut last = Instant::now();
        loop {
            let patience = if answers.len() < expected { EXPECTED } else { UNEXPECTED };
            let all_are_answered = self.connections.values().all(|connection| connection.waiting.is_empty());
            if all_are_answered || last.elapsed() >= patience {
                return answers;
            }
            for (client, connection) in &mut self.connections {
                while let Some(response) = connection.receive() {
                    answers.push((client.clone(), response));
                    last = Instant::now();
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn begin(&mut self) {
        self.connections.clear();
    }

    fn sleep(&mut self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
}

impl Connection {
    fn receive(&mut self) -> Option<Response> {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("Kafka closed the connection: {:?}", self.waiting),
            Ok(length) => self.received.extend_from_slice(&buffer[..length]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        let length = u32::from_be_bytes(*self.received.first_chunk::<4>()?) as usize;
        let frame: Vec<u8> = self.received.get(4..4 + length)?.to_vec();
        self.received.drain(..4 + length);
        let (api_key, version) = self.waiting.remove(0);
        let header_bytes = if api_key.response_header_version(version) == 0 { 4 } else { 5 };
        Some(decode(api_key, version, &frame[header_bytes..]))
    }
}

fn encode(version: i16, request: &Request) -> (ApiKey, bytes::Bytes) {
    fn body<R: ottla_protocol::Request>(version: i16, request: &R) -> (ApiKey, bytes::Bytes) {
        (R::API_KEY, request.to_bytes(version).unwrap())
    }
    match request {
        Request::JoinGroup(request) => body(version, request),
        Request::SyncGroup(request) => body(version, request),
        Request::Heartbeat(request) => body(version, request),
        Request::LeaveGroup(request) => body(version, request),
        Request::OffsetCommit(request) => body(version, request),
        Request::TxnOffsetCommit(request) => body(version, request),
        Request::OffsetFetch { group, require_stable } => {
            let request = OffsetFetchRequest {
                groups: vec![group.clone()],
                require_stable: *require_stable,
                ..Default::default()
            };
            body(version, &request)
        }
        Request::OffsetDelete(request) => body(version, request),
        Request::ListGroups(request) => body(version, request),
        Request::DescribeGroups(request) => body(version, request),
        Request::DeleteGroups(request) => body(version, request),
        Request::ConsumerGroupHeartbeat(request) => body(version, request),
        Request::ConsumerGroupDescribe(request) => body(version, request),
        Request::TopicsDeleted(_) => panic!("not a client's request"),
    }
}

/// Reads an answer of this API.
pub(crate) fn decode(api_key: ApiKey, version: i16, body: &[u8]) -> Response {
    match api_key {
        ApiKey::JoinGroup => Response::JoinGroup(JoinGroupResponse::decode(body, version).unwrap()),
        ApiKey::SyncGroup => Response::SyncGroup(SyncGroupResponse::decode(body, version).unwrap()),
        ApiKey::Heartbeat => Response::Heartbeat(HeartbeatResponse::decode(body, version).unwrap()),
        ApiKey::LeaveGroup => Response::LeaveGroup(LeaveGroupResponse::decode(body, version).unwrap()),
        ApiKey::OffsetCommit => Response::OffsetCommit(OffsetCommitResponse::decode(body, version).unwrap()),
        ApiKey::TxnOffsetCommit => Response::TxnOffsetCommit(TxnOffsetCommitResponse::decode(body, version).unwrap()),
        ApiKey::OffsetFetch => {
            Response::OffsetFetch(OffsetFetchResponse::decode(body, version).unwrap().groups.remove(0))
        }
        ApiKey::OffsetDelete => Response::OffsetDelete(OffsetDeleteResponse::decode(body, version).unwrap()),
        ApiKey::ListGroups => Response::ListGroups(ListGroupsResponse::decode(body, version).unwrap()),
        ApiKey::DescribeGroups => Response::DescribeGroups(DescribeGroupsResponse::decode(body, version).unwrap()),
        ApiKey::DeleteGroups => Response::DeleteGroups(DeleteGroupsResponse::decode(body, version).unwrap()),
        ApiKey::ConsumerGroupHeartbeat => {
            Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse::decode(body, version).unwrap())
        }
        ApiKey::ConsumerGroupDescribe => {
            Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse::decode(body, version).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

/// An answer as the client sees it: through the wire in its version.
pub(crate) fn through_the_wire(version: i16, response: Response) -> Response {
    fn bytes<M: Message>(version: i16, message: &M) -> bytes::Bytes {
        message.to_bytes(version).unwrap()
    }
    let (api_key, body) = match response {
        Response::JoinGroup(response) => (ApiKey::JoinGroup, bytes(version, &response)),
        Response::SyncGroup(response) => (ApiKey::SyncGroup, bytes(version, &response)),
        Response::Heartbeat(response) => (ApiKey::Heartbeat, bytes(version, &response)),
        Response::LeaveGroup(response) => (ApiKey::LeaveGroup, bytes(version, &response)),
        Response::OffsetCommit(response) => (ApiKey::OffsetCommit, bytes(version, &response)),
        Response::TxnOffsetCommit(response) => (ApiKey::TxnOffsetCommit, bytes(version, &response)),
        Response::OffsetFetch(group) => {
            let response = OffsetFetchResponse { groups: vec![group], ..Default::default() };
            (ApiKey::OffsetFetch, bytes(version, &response))
        }
        Response::OffsetDelete(response) => (ApiKey::OffsetDelete, bytes(version, &response)),
        Response::ListGroups(response) => (ApiKey::ListGroups, bytes(version, &response)),
        Response::DescribeGroups(response) => (ApiKey::DescribeGroups, bytes(version, &response)),
        Response::DeleteGroups(response) => (ApiKey::DeleteGroups, bytes(version, &response)),
        Response::ConsumerGroupHeartbeat(response) => (ApiKey::ConsumerGroupHeartbeat, bytes(version, &response)),
        Response::ConsumerGroupDescribe(response) => (ApiKey::ConsumerGroupDescribe, bytes(version, &response)),
        Response::TopicsDeleted => panic!("not a client's answer"),
    };
    decode(api_key, version, &body)
}
