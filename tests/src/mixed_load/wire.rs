use ottla_protocol::messages::{RequestHeader, ResponseHeader};
use ottla_protocol::{ErrorCode, Message, Reader, Request};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer that is taken.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Typed requests over a socket, one at a time, to a server that comes and goes.
#[derive(Debug)]
pub struct Wire {
    address: String,
    stream: Option<TcpStream>,
    correlation_id: i32,
}

impl Wire {
    /// To the server at `host:port`, which need not be there yet.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None, correlation_id: 0 }
    }

    /// Asks once. After an error the next request gets a connection of its own.
    ///
    /// # Errors
    /// There is nobody, or the connection ended: whether the request was carried out is not known then.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let asked = self.send(version, request).and_then(|()| self.answer::<R>(version));
        if asked.is_err() {
            self.stream = None;
        }
        asked
    }

    /// Sends a request that is not answered.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn tell<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        let told = self.send(version, request);
        if told.is_err() {
            self.stream = None;
        }
        told
    }

    fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        self.correlation_id += 1;
        let header = RequestHeader {
            request_api_key: R::API_KEY.code(),
            request_api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some("mixed-load".to_owned()),
            ..Default::default()
        };
        let header = header.to_bytes(R::API_KEY.request_header_version(version)).map_err(io::Error::other)?;
        let body = request.to_bytes(version).map_err(io::Error::other)?;
        let length = u32::try_from(header.len() + body.len()).map_err(io::Error::other)?;
        self.connected()?.write_all(&[&length.to_be_bytes(), &header[..], &body[..]].concat())
    }

    fn connected(&mut self) -> io::Result<&mut TcpStream> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.stream = Some(stream);
        }
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn answer<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let stream = self.connected()?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        let mut reader = Reader::new(&answer);
        let header = ResponseHeader::decode_from(&mut reader, R::API_KEY.response_header_version(version))
            .map_err(io::Error::other)?;
        if header.correlation_id != self.correlation_id {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer to another request"));
        }
        R::Response::decode_from(&mut reader, version).map_err(io::Error::other)
    }
}

/// The error of a code; what has no name is an unknown one.
pub(super) fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// Whether a server says that it is not ready, or no longer, and that it has done nothing.
pub(super) fn is_passing(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::NotController
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::LeaderNotAvailable
            // A leader that can't ask the coordinator whether the transaction is known.
            | ErrorCode::NotEnoughReplicas
    )
}
