//! The load: a single thread, non-blocking sockets, requests made beforehand.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::Failure;
use crate::wire::check_produced;

/// One connection that sends the same request over and over.
struct Sender<'a> {
    stream: TcpStream,
    request: &'a [u8],
    /// Requests to be sent, the first of which has been sent up to `offset`.
    unsent: usize,
    offset: usize,
    /// When each request that is not answered was meant to be sent.
    in_flight: VecDeque<Instant>,
    received: Vec<u8>,
    blocked: bool,
}

impl<'a> Sender<'a> {
    fn connect(port: u16, request: &'a [u8]) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (in_flight, received) = (VecDeque::new(), Vec::with_capacity(64 << 10));
        Ok(Self { stream, request, unsent: 0, offset: 0, in_flight, received, blocked: false })
    }

    fn push(&mut self, meant: Instant) {
        self.unsent += 1;
        self.in_flight.push_back(meant);
    }

    /// Sends as much as the socket takes; says whether the interest in being told has changed.
    fn send(&mut self) -> io::Result<bool> {
        let before = self.blocked;
        self.blocked = false;
        while self.unsent > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = self.unsent.min(slices.len());
            for (index, slice) in slices[..count].iter_mut().enumerate() {
                *slice = IoSlice::new(if index == 0 { &self.request[self.offset..] } else { self.request });
            }
            match self.stream.write_vectored(&slices[..count]) {
                Ok(bytes) => {
                    let reached = self.offset + bytes;
                    self.unsent -= reached / self.request.len();
                    self.offset = reached % self.request.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(before != self.blocked)
    }

    /// Reads what is there and calls `answered` with when each answered request was meant to be sent.
    fn receive(&mut self, mut answered: impl FnMut(Instant)) -> Result<(), Failure> {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err(Failure::from("the broker has closed a connection")),
            Ok(bytes) => self.received.extend_from_slice(&chunk[..bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut done = 0;
        while let Some(length) = self.received.get(done..done + 4) {
            let end = done + 4 + length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            let Some(answer) = self.received.get(done + 4..end) else { break };
            check_produced(answer)?;
            let meant = self.in_flight.pop_front().ok_or_else(|| Failure::from("an answer too many"))?;
            answered(meant);
            done = end;
        }
        self.received.drain(..done);
        Ok(())
    }
}

struct Poll {
    epoll: std::os::fd::OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    fn new(senders: &[Sender<'_>]) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (index, sender) in senders.iter().enumerate() {
            epoll::add(&epoll, &sender.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        }
        Ok(Self { epoll, events: Vec::with_capacity(64) })
    }

    /// Which senders have something to do, within `timeout`.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<usize>> {
        self.events.clear();
        let timeout = timeout
            .map(|timeout| Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| { event.data }.u64() as usize).collect())
    }

    fn send(&self, index: usize, sender: &mut Sender<'_>) -> io::Result<()> {
        if sender.send()? {
            let flags = if sender.blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &sender.stream, EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }
}

/// Sends `requests` requests over `connections` connections, with at most `window` in flight on each. Calls `warm` once,
/// when a tenth is answered; returns how many were answered after that, and in what time.
pub fn closed_loop(
    port: u16,
    request: &[u8],
    shape: Shape,
    requests: usize,
    mut warm: impl FnMut() -> Result<(), Failure>,
) -> Result<(usize, Duration), Failure> {
    let mut senders = (0..shape.connections).map(|_| Sender::connect(port, request)).collect::<io::Result<Vec<_>>>()?;
    let mut poll = Poll::new(&senders)?;
    let (mut sent, mut answered) = (0, 0);
    let mut warmed: Option<(usize, Instant)> = None;
    for (index, sender) in senders.iter_mut().enumerate() {
        for _ in 0..shape.window {
            sender.push(Instant::now());
            sent += 1;
        }
        poll.send(index, sender)?;
    }
    while answered < sent {
        for index in poll.wait(None)? {
            let sender = &mut senders[index];
            let before = answered;
            sender.receive(|_| answered += 1)?;
            for _ in before..answered {
                if sent < requests {
                    sender.push(Instant::now());
                    sent += 1;
                }
            }
            poll.send(index, sender)?;
        }
        if warmed.is_none() && answered >= requests / 10 {
            warm()?;
            warmed = Some((answered, Instant::now()));
        }
    }
    let (before, since) = warmed.ok_or_else(|| Failure::from("too few requests to measure"))?;
    Ok((answered - before, since.elapsed()))
}

/// How requests are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub connections: usize,
    /// Requests in flight on each connection.
    pub window: usize,
}

/// Sends requests at a fixed rate for some time, whatever the answers do: request `i` is due at `start + i / rate`, and
/// its latency counts from then, not from when it could be sent. The latencies of the first fifth are left out; `warm` is
/// called when it is over.
pub fn open_loop(
    port: u16,
    request: &[u8],
    connections: usize,
    rate: u32,
    time: Duration,
    mut warm: impl FnMut() -> Result<(), Failure>,
) -> Result<OpenLoop, Failure> {
    // The default slack of 50 us would be added to every latency.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let mut senders = (0..connections).map(|_| Sender::connect(port, request)).collect::<io::Result<Vec<_>>>()?;
    let mut poll = Poll::new(&senders)?;
    let total = (time.as_secs_f64() * f64::from(rate)) as u64;
    let start = Instant::now() + Duration::from_millis(10);
    let due = |number: u64| start + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
    let counted_from = due(total / 5);
    let (mut sent, mut answered) = (0, 0);
    let mut latencies = Vec::with_capacity(total as usize);
    let mut warmed = None;
    while answered < total {
        let now = Instant::now();
        if warmed.is_none() && now >= counted_from {
            warm()?;
            warmed = Some((answered, now));
        }
        while sent < total && due(sent) <= now {
            let index = sent as usize % senders.len();
            senders[index].push(due(sent));
            poll.send(index, &mut senders[index])?;
            sent += 1;
        }
        let timeout = (sent < total).then(|| due(sent).saturating_duration_since(Instant::now()));
        for index in poll.wait(timeout)? {
            senders[index].receive(|meant| {
                answered += 1;
                if meant >= counted_from {
                    latencies.push(meant.elapsed());
                }
            })?;
            poll.send(index, &mut senders[index])?;
        }
    }
    let (before, since) = warmed.ok_or_else(|| Failure::from("too short to measure"))?;
    let elapsed = since.elapsed();
    latencies.sort_unstable();
    Ok(OpenLoop { latencies, rate: (answered - before) as f64 / elapsed.as_secs_f64(), elapsed })
}

/// What an open loop has shown.
pub struct OpenLoop {
    /// Sorted.
    latencies: Vec<Duration>,
    /// Answers in a second.
    pub rate: f64,
    /// The time after warming up.
    pub elapsed: Duration,
}

impl OpenLoop {
    /// The latency in milliseconds that this share of requests did not exceed.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let index =
            ((self.latencies.len() as f64 * quantile).ceil() as usize).clamp(1, self.latencies.len().max(1)) - 1;
        self.latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}
