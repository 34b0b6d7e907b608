use super::ask::{ANSWER_CORRELATION, Done, REQUEST_CORRELATION};
use super::greeting::{Greeted, Greeting};
use super::{Answered, Ask, AskFailure, OutboundOptions};
use crate::buffers::assembly_capacity;
use crate::frame::{Front, cut, front};
use crate::stream::{Stream, Transfer};
use bytes::{BufMut as _, Bytes, BytesMut};
use core::time::Duration;
use ottla_env::Monotonic;
use rustix::event::epoll::EventFlags;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// What one read takes from the socket at most while no large answer is expected.
const READ_BYTES: usize = 64 << 10;
/// No more is sent to have a host say that it is there while so much waits for an answer.
const PULSES_MAX: usize = 64;
/// Requests given to the system with one call.
const SLICES_MAX: usize = 16;

/// One connection that is made, from its first byte to its last.
pub(super) struct Link<K> {
    pub(super) stream: Stream,
    state: State<K>,
    /// The other host has to say by then that it is there.
    answer_by: Monotonic,
    /// The greeting has to be over by then.
    greet_by: Monotonic,
    /// When the other host is next made to say that it is there.
    pulse_at: Option<Monotonic>,
    output: VecDeque<BytesMut>,
    /// How much of the first of them is sent.
    sent: usize,
    input: Vec<u8>,
    in_flight: VecDeque<InFlight>,
    next_correlation: i32,
    /// Whether the loop is to say when the socket can be written to.
    pub(super) wants_to_write: bool,
    /// What the system was asked to tell of the socket.
    pub(super) interest: EventFlags,
}

/// What the system is asked to tell of a socket that is being connected.
pub(super) const INTEREST_AT_FIRST: EventFlags = EventFlags::OUT;

enum State<K> {
    /// The connection is not made yet.
    Connecting,
    /// The request of the greeting with this correlation id is not answered yet; so many were before it.
    Greeting(i32, usize),
    Ready(K),
}

struct InFlight {
    correlation: i32,
    version: i16,
    deadline: Monotonic,
    /// Nothing where the request is there only to be acknowledged by the other host.
    done: Option<Done>,
}

/// A request that waits for its connection.
pub(super) struct Waiting<K> {
    pub(super) ask: Ask<K>,
    pub(super) deadline: Monotonic,
}

/// How a link ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The connection could not be made.
    Unreachable(String),
    /// Nobody listens there.
    Refused,
    /// The other host does not say that it is there.
    Silent,
    /// The other host does not acknowledge any more what is sent.
    Lost,
    /// The other side has ended it, or an answer was late.
    Closed,
    /// What came is no answer.
    Malformed(String),
}

impl Broken {
    /// Why a connection was not made.
    pub(super) fn of_connecting(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // It was made, and ended before we looked.
            io::ErrorKind::ConnectionReset => Self::Closed,
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => Self::Silent,
            _ => Self::Unreachable(error.to_string()),
        }
    }

    /// What is told to requests that were not sent.
    pub(super) fn of_waiting(&self) -> AskFailure {
        match self {
            Self::Unreachable(reason) => AskFailure::Unreachable(reason.clone()),
            Self::Refused => AskFailure::Refused,
            Self::Silent => AskFailure::Silent,
            Self::Lost => AskFailure::Lost,
            Self::Closed => AskFailure::Closed,
            Self::Malformed(reason) => AskFailure::Malformed(reason.clone()),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Lost,
            _ => Self::Closed,
        }
    }
}

impl<K> Link<K> {
    pub(super) fn new(stream: Stream, answer_by: Monotonic, greet_by: Monotonic) -> Self {
        Self {
            stream,
            state: State::Connecting,
            answer_by,
            greet_by,
            pulse_at: None,
            output: VecDeque::new(),
            sent: 0,
            input: Vec::new(),
            in_flight: VecDeque::new(),
            next_correlation: 1,
            wants_to_write: true,
            interest: INTEREST_AT_FIRST,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Requests that are sent and not answered.
    pub(super) fn unanswered(&self) -> usize {
        self.in_flight.iter().filter(|request| request.done.is_some()).count()
    }

    /// Puts off the next pulse, since the other host has just said something or is about to.
    pub(super) fn put_off_pulse(&mut self, at: Option<Monotonic>) {
        self.pulse_at = at.filter(|_| self.is_ready() && self.in_flight.iter().any(|request| request.done.is_some()));
    }

    /// Has the other host say that it is there, if it is time for that.
    pub(super) fn pulse(
        &mut self,
        now: Monotonic,
        every: Duration,
        greeting: &impl Greeting<Known = K>,
    ) -> Result<(), Broken> {
        if self.pulse_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let deadline = self.in_flight.iter().map(|request| request.deadline).max().unwrap_or(now);
        if self.in_flight.len() < PULSES_MAX {
            let correlation = self.push(greeting.begin());
            self.in_flight.push_back(InFlight { correlation, version: 0, deadline, done: None });
        }
        self.put_off_pulse(Some(now + every));
        self.write(greeting)
    }

    /// The earliest moment at which something is late.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self.state {
            State::Ready(_) => self.in_flight.iter().map(|request| request.deadline).chain(self.pulse_at).min(),
            State::Connecting => Some(self.answer_by.min(self.greet_by)),
            State::Greeting(..) => Some(self.greet_by),
        }
    }

    /// How the link ends because something is late; not, if only a pulse is due.
    pub(super) fn late(&self, now: Monotonic) -> Option<Broken> {
        let too_late = || Broken::Unreachable("it does not answer".to_owned());
        match self.state {
            State::Ready(_) => self.in_flight.iter().any(|request| request.deadline <= now).then_some(Broken::Closed),
            State::Connecting if self.greet_by <= now => Some(too_late()),
            State::Connecting => (self.answer_by <= now).then_some(Broken::Silent),
            State::Greeting(..) => (self.greet_by <= now).then(too_late),
        }
    }

    /// Puts a request on its way; one that can't be made is answered at once.
    pub(super) fn send(&mut self, waiting: Waiting<K>) {
        let Waiting { ask: Ask { encode, done, .. }, deadline } = waiting;
        let State::Ready(known) = &self.state else {
            return done(Err(AskFailure::Closed));
        };
        match encode(known) {
            Ok(framed) => {
                let correlation = self.push(framed.bytes);
                self.in_flight.push_back(InFlight { correlation, version: framed.version, deadline, done: Some(done) });
            }
            Err(reason) => done(Err(AskFailure::Unsupported(reason))),
        }
    }

    /// The socket can be written to, or something was given to send.
    pub(super) fn write(&mut self, greeting: &impl Greeting<Known = K>) -> Result<(), Broken> {
        if matches!(self.state, State::Connecting) {
            self.stream.connected().map_err(Broken::of_connecting)?;
            let correlation = self.push(greeting.begin());
            self.state = State::Greeting(correlation, 0);
        }
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.output.len().min(SLICES_MAX);
            for (index, (slice, bytes)) in slices.iter_mut().zip(&self.output).enumerate() {
                *slice = IoSlice::new(if index == 0 { &bytes[self.sent..] } else { bytes });
            }
            match self.stream.send(&slices[..count])? {
                Transfer::Bytes(bytes) => self.advance(bytes),
                Transfer::Later => break,
                Transfer::End => return Err(Broken::Closed),
            }
        }
        self.wants_to_write = !self.output.is_empty();
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        while let Some(first) = self.output.front().map(BytesMut::len).filter(|first| *first <= self.sent) {
            self.sent -= first;
            self.output.pop_front();
        }
    }

    /// Queues a request behind those before it, and says under which number.
    fn push(&mut self, mut bytes: BytesMut) -> i32 {
        let correlation = self.next_correlation;
        self.next_correlation = self.next_correlation.wrapping_add(1);
        if let Some(place) = bytes.get_mut(REQUEST_CORRELATION) {
            place.copy_from_slice(&correlation.to_be_bytes());
        }
        let mut length = BytesMut::with_capacity(4);
        length.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.output.push_back(length);
        self.output.push_back(bytes);
        correlation
    }

    /// Reads what is there and passes on the answers that are whole. Says whether there may be more to read: not when there
    /// was room for more than came. What has come since then, the loop is told of again.
    pub(super) fn read(
        &mut self,
        greeting: &impl Greeting<Known = K>,
        options: &OutboundOptions,
    ) -> Result<bool, Broken> {
        let needed = match front(&self.input, options.answer_bytes_max) {
            Ok(Front::Part { needed: Some(needed) }) => assembly_capacity(self.input.len(), needed),
            _ => 0,
        };
        let room = needed.saturating_sub(self.input.len()).max(READ_BYTES);
        self.input.reserve(room);
        let space = self.input.capacity() - self.input.len();
        let filled = match self.stream.read(&mut self.input)? {
            Transfer::Bytes(bytes) => bytes >= space,
            Transfer::Later => return Ok(false),
            Transfer::End => return Err(Broken::Closed),
        };
        if !self.has_whole(options)? {
            return Ok(filled);
        }
        // Without a copy: the answers keep the buffer between them, and what is behind them moves to a new one.
        let mut buffer = BytesMut::from(Bytes::from(core::mem::take(&mut self.input)));
        while let Front::Whole(length) = front(&buffer, options.answer_bytes_max).map_err(malformed)? {
            let answer = cut(&mut buffer, length);
            self.pass_on(answer, greeting)?;
        }
        self.input = buffer.to_vec();
        Ok(filled)
    }

    fn has_whole(&self, options: &OutboundOptions) -> Result<bool, Broken> {
        let front = front(&self.input, options.answer_bytes_max).map_err(malformed)?;
        Ok(matches!(front, Front::Whole(_)))
    }

    fn pass_on(&mut self, answer: BytesMut, greeting: &impl Greeting<Known = K>) -> Result<(), Broken> {
        let correlation = answer.get(ANSWER_CORRELATION).and_then(|bytes| bytes.first_chunk());
        let correlation = correlation.map(|bytes| i32::from_be_bytes(*bytes));
        if let State::Greeting(expected, round) = self.state {
            if correlation != Some(expected) {
                return Err(malformed("an answer to another request than the greeting"));
            }
            match greeting.answered(round, &answer).map_err(malformed)? {
                Greeted::Known(known) => self.state = State::Ready(known),
                Greeted::Again(next) => {
                    let correlation = self.push(next);
                    self.state = State::Greeting(correlation, round + 1);
                    self.write(greeting)?;
                }
            }
            return Ok(());
        }
        match self.in_flight.pop_front_if(|request| Some(request.correlation) == correlation) {
            Some(InFlight { version, done, .. }) => {
                if let Some(done) = done {
                    done(Ok(Answered { bytes: answer, version }));
                }
                Ok(())
            }
            None => Err(malformed("an answer to a request that was not sent, or not the next one")),
        }
    }

    /// Says to everybody who waits for an answer why there is none.
    pub(super) fn end(self, broken: &Broken, now: Monotonic) {
        self.stream.shut_down();
        for request in self.in_flight {
            let Some(done) = request.done else { continue };
            let failure = match broken {
                Broken::Lost => AskFailure::Lost,
                Broken::Malformed(reason) => AskFailure::Malformed(reason.clone()),
                _ if request.deadline <= now => AskFailure::TimedOut,
                _ => AskFailure::Closed,
            };
            done(Err(failure));
        }
    }
}

fn malformed(what: impl ToString) -> Broken {
    Broken::Malformed(what.to_string())
}
