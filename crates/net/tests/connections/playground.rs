use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ottla_config::{Endpoint, HostPort, SecurityProtocol};
use ottla_env::{Disk, File, OpenMode};
use ottla_env_os::{OsClock, OsDisk};
use ottla_net::{
    ConnectionContext, ConnectionId, Listeners, NetOptions, Responder, Response, Segment, Server, Service,
};
use std::sync::Mutex;

/// What the service has seen of connections, which it counts from 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Connected(usize),
    Disconnected(usize),
}

/// A service whose requests say what to do with them, by their first letter.
pub(crate) struct Playground {
    parked: Mutex<Vec<(Bytes, Responder)>>,
    file: Option<Arc<dyn File>>,
    /// The numbers of the connections that there have been, which are unique in the whole process.
    ids: Mutex<Vec<ConnectionId>>,
    seen: Mutex<Sender<Seen>>,
    arrived: Mutex<Sender<Bytes>>,
    gate: Mutex<Receiver<()>>,
}

impl Service for Playground {
    fn connected(&self, connection: &Arc<ConnectionContext>) {
        let mut ids = self.ids.lock().unwrap();
        let _ = self.seen.lock().unwrap().send(Seen::Connected(ids.len()));
        ids.push(connection.id);
    }

    fn call(&self, _: &Arc<ConnectionContext>, frame: BytesMut, responder: Responder) {
        let mut request = frame.freeze();
        let beginning = request.slice(..request.len().min(32));
        match request.first() {
            // Echo.
            Some(b'e') => responder.send(request),
            // Park: answered with its own text later.
            Some(b'p') => self.parked.lock().unwrap().push((request, responder)),
            // Release what is parked, the last first, and then answer.
            Some(b'r') => {
                self.release();
                responder.send(request);
            }
            Some(b'n') => responder.no_response(),
            // Hold the whole loop until the test opens the gate.
            Some(b'h') => {
                self.gate.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
                responder.no_response();
            }
            Some(b'd') => drop(responder),
            Some(b'c') => responder.close("asked to"),
            // A range of the file between two texts.
            Some(b'f') => {
                request.advance(1);
                let (position, length) = (request.get_u64(), request.get_u64());
                let file = Arc::clone(self.file.as_ref().expect("a file"));
                let segments =
                    vec![Segment::File { file, position, length }, Segment::Bytes(Bytes::from_static(b"tail"))];
                responder.send(Response { head: Bytes::from_static(b"head"), segments });
            }
            // As many bytes as asked for.
            Some(b'b') => {
                request.advance(1);
                responder.send(Bytes::from(vec![b'b'; request.get_u64() as usize]));
            }
            _ => responder.close("unknown letter"),
        }
        let _ = self.arrived.lock().unwrap().send(beginning);
    }

    fn disconnected(&self, connection: &Arc<ConnectionContext>) {
        assert!(connection.is_disconnected());
        let number = self.ids().iter().position(|id| *id == connection.id).unwrap();
        let _ = self.seen.lock().unwrap().send(Seen::Disconnected(number));
    }
}

impl Playground {
    /// Answers what is parked, the last first.
    pub(crate) fn release(&self) {
        let parked = std::mem::take(&mut *self.parked.lock().unwrap());
        for (request, responder) in parked.into_iter().rev() {
            responder.send(request);
        }
    }

    /// The numbers of the connections that there have been.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.ids.lock().unwrap().clone()
    }

    pub(crate) fn parked(&self) -> usize {
        self.parked.lock().unwrap().len()
    }
}

pub(crate) struct Running {
    pub(crate) server: Option<Server>,
    pub(crate) address: SocketAddr,
    pub(crate) playground: Arc<Playground>,
    pub(crate) seen: Receiver<Seen>,
    pub(crate) arrived: Receiver<Bytes>,
    pub(crate) gate: Sender<()>,
}

pub(crate) fn start(options: NetOptions) -> Running {
    start_with(options, None)
}

pub(crate) fn start_with_file(options: NetOptions, path: &Path) -> Running {
    start_with(options, Some(OsDisk.open(path, OpenMode::ReadWrite).unwrap()))
}

fn start_with(options: NetOptions, file: Option<Arc<dyn File>>) -> Running {
    let endpoint = Endpoint {
        listener_name: "PLAINTEXT".to_owned(),
        address: HostPort { host: "127.0.0.1".to_owned(), port: 0 },
        security_protocol: SecurityProtocol::Plaintext,
    };
    let listeners = Listeners::bind(&[endpoint], options).unwrap();
    let address = listeners.addresses()[0].1;
    let (seen_sender, seen) = channel();
    let (arrived_sender, arrived) = channel();
    let (gate, gate_receiver) = channel();
    let playground = Arc::new(Playground {
        parked: Mutex::default(),
        file,
        ids: Mutex::default(),
        seen: Mutex::new(seen_sender),
        arrived: Mutex::new(arrived_sender),
        gate: Mutex::new(gate_receiver),
    });
    let server = listeners.serve(Arc::clone(&playground) as _, Arc::new(OsClock::new())).unwrap();
    Running { server: Some(server), address, playground, seen, arrived, gate }
}

impl Running {
    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        // A test that would wait longer has failed.
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { stream }
    }

    pub(crate) fn next_arrival(&self) -> Bytes {
        self.arrived.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    pub(crate) fn next_seen(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn send(&mut self, request: &[u8]) {
        self.stream.write_all(&framed(request)).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        self.try_receive().unwrap()
    }

    pub(crate) fn try_receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// Waits for the server to close the connection without having sent anything more.
    pub(crate) fn expect_closed(&mut self) {
        match self.stream.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("expected the end, got {other:?}"),
        }
    }
}

pub(crate) fn framed(request: &[u8]) -> Vec<u8> {
    let mut bytes = (request.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(request);
    bytes
}

/// A request of this letter and numbers.
pub(crate) fn request(letter: u8, numbers: &[u64]) -> Vec<u8> {
    let mut bytes = vec![letter];
    for number in numbers {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes
}
