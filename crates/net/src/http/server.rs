use super::Pages;
use super::exchange::{Parsed, REQUEST_BYTES_MAX, parse};
use crate::accept::{BindError, Listener};
use crate::{NetOptions, SecurityProtocol};
use core::time::Duration;
use ottla_config::{Endpoint, HostPort};
use ottla_env::{Clock, Monotonic};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// So many connections at a time; the oldest makes room for another one. Watchers are few.
const CONNECTIONS_MAX: usize = 16;
/// A request must have come so soon after its connection.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// An answer must have been taken so soon after it was made.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// A client may take so long to close its side after the answer.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// What a client sends after its request is thrown away, up to so many bytes.
const REST_BYTES_MAX: usize = 64 << 10;
/// How long the listener rests when it can't accept.
const REST_TIME: Duration = Duration::from_millis(200);
/// What one turn reads of a connection.
const CHUNK_BYTES: usize = 4 << 10;

/// An open HTTP listener that is not served yet.
pub struct HttpListener {
    listener: Listener,
}

/// A thread that serves pages. Dropping it closes everything.
pub struct HttpServer {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

struct Stop {
    is_set: AtomicBool,
    wake: OwnedFd,
}

impl HttpListener {
    /// Opens the listener.
    ///
    /// # Errors
    /// What stands against it.
    pub fn bind(name: &str, address: &HostPort) -> Result<Self, BindError> {
        let endpoint = Endpoint {
            listener_name: name.to_owned(),
            address: address.clone(),
            security_protocol: SecurityProtocol::Plaintext,
        };
        Listener::bind(&endpoint, &NetOptions::default()).map(|listener| Self { listener })
    }

    /// The address it has.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// The operating system has no descriptors or threads left.
    pub fn serve(self, pages: Arc<dyn Pages>, clock: Arc<dyn Clock>) -> io::Result<HttpServer> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stop = Arc::new(Stop { is_set: AtomicBool::new(false), wake });
        let turns = Turns {
            listener: self.listener.socket,
            pages,
            clock,
            stop: stop.clone(),
            connections: Vec::new(),
            rests_until: None,
        };
        let thread = Builder::new().name("http".to_owned()).spawn(move || turns.run())?;
        Ok(HttpServer { stop, thread: Some(thread) })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.is_set.store(true, Ordering::Release);
        if let Err(error) = rustix::io::write(&self.stop.wake, &1u64.to_ne_bytes()) {
            tracing::error!(%error, "the thread that serves pages can't be told to stop");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that served pages has panicked");
        }
    }
}

struct Turns {
    listener: TcpListener,
    pages: Arc<dyn Pages>,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    /// The oldest first.
    connections: Vec<Connection>,
    /// The listener is not listened to before this time.
    rests_until: Option<Monotonic>,
}

struct Connection {
    stream: TcpStream,
    state: State,
    deadline: Monotonic,
}

enum State {
    Reading(Vec<u8>),
    Writing {
        answer: Vec<u8>,
        sent: usize,
    },
    /// The answer is sent. Closing while bytes of the client are unread would take it away from the client again.
    Closing {
        thrown_away: usize,
    },
}

impl Turns {
    fn run(mut self) {
        while !self.stop.is_set.load(Ordering::Acquire) {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(error) => return tracing::error!(%error, "pages can't be served any more"),
            };
            let now = self.clock.monotonic();
            let mut turn = ready.into_iter();
            let accepts = turn.next().unwrap_or(false);
            let pages = &*self.pages;
            self.connections.retain_mut(|connection| {
                let goes_on = !turn.next().unwrap_or(false) || connection.advance(pages, now).unwrap_or(false);
                goes_on && connection.deadline > now
            });
            if accepts {
                self.accept(now);
            }
        }
    }

    /// Waits until something can be done, and says with whom: first the listener, then each connection.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let now = self.clock.monotonic();
        let rests_until = self.rests_until.filter(|until| *until > now);
        let deadlines = self.connections.iter().map(|connection| connection.deadline).chain(rests_until);
        let timeout = deadlines.map(|deadline| deadline.since(now)).min().map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut watched = vec![
            PollFd::new(&self.stop.wake, PollFlags::IN),
            PollFd::new(&self.listener, if rests_until.is_some() { PollFlags::empty() } else { PollFlags::IN }),
        ];
        watched.extend(self.connections.iter().map(|connection| {
            let is_writing = matches!(connection.state, State::Writing { .. });
            PollFd::new(&connection.stream, if is_writing { PollFlags::OUT } else { PollFlags::IN })
        }));
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(watched.iter().skip(1).map(|fd| !fd.revents().is_empty()).collect())
    }

    fn accept(&mut self, now: Monotonic) {
        // One a turn: those that are connected get their turns in between.
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Without descriptors left the next attempt fails as well; a connection that was gone again is no reason to
                // hurry either.
                tracing::debug!(%error, "a watcher's connection can't be accepted");
                self.rests_until = Some(now + REST_TIME);
                return;
            }
        };
        if let Err(error) = stream.set_nonblocking(true) {
            return tracing::debug!(%error, "a connection can't be served");
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            self.connections.remove(0);
        }
        let state = State::Reading(Vec::new());
        self.connections.push(Connection { stream, state, deadline: now + REQUEST_TIME });
    }
}

impl Connection {
    /// Does what can be done without waiting. Says whether the connection goes on.
    fn advance(&mut self, pages: &dyn Pages, now: Monotonic) -> io::Result<bool> {
        let mut chunk = [0; CHUNK_BYTES];
        match &mut self.state {
            State::Reading(input) => {
                let room = (REQUEST_BYTES_MAX - input.len()).min(CHUNK_BYTES);
                let read = without_waiting(self.stream.read(chunk.get_mut(..room).unwrap_or_default()))?;
                let Some(came) = read else { return Ok(true) };
                input.extend_from_slice(chunk.get(..came).unwrap_or_default());
                if came == 0 {
                    return Ok(false);
                }
                if let Parsed::Answer(answer) = parse(input, pages) {
                    self.state = State::Writing { answer, sent: 0 };
                    self.deadline = now + ANSWER_TIME;
                    return self.advance(pages, now);
                }
            }
            State::Writing { answer, sent } => {
                let wrote = without_waiting(self.stream.write(answer.get(*sent..).unwrap_or_default()))?;
                *sent += wrote.unwrap_or(0);
                if *sent >= answer.len() {
                    self.stream.shutdown(Shutdown::Write)?;
                    self.state = State::Closing { thrown_away: 0 };
                    self.deadline = now + CLOSE_TIME;
                }
            }
            State::Closing { thrown_away } => {
                let Some(came) = without_waiting(self.stream.read(&mut chunk))? else { return Ok(true) };
                *thrown_away += came;
                return Ok(came > 0 && *thrown_away < REST_BYTES_MAX);
            }
        }
        Ok(true)
    }
}

/// `None` when it would have had to wait.
fn without_waiting(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
