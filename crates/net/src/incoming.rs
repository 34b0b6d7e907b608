use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_env::Monotonic;

use crate::accept::Permit;
use crate::buffers::{ReadBuffers, SLACK_BYTES, SMALL_BYTES, assembly_capacity};
use crate::channel::{Channel, ChannelLimits};
use crate::frame::{self, FrameError, Front, LENGTH_BYTES};
use crate::inbox::Notice;
use crate::stream::{Stream, Transfer};
use crate::{NetOptions, Responder, Service};

/// Up to this many bytes of an unfinished request are kept in memory of their own, so that the buffer they came in can
/// serve other connections meanwhile.
const HELD_BYTES_MAX: usize = 16 << 10;

/// How fast a request must arrive at least.
const ASSEMBLY_BYTES_PER_SECOND: usize = 1 << 10;

/// How many requests of one connection are handled before the others get their turn.
const REQUESTS_PER_TURN_MAX: usize = 64;

/// Why a connection is closed by its incoming half.
#[derive(Debug)]
pub(crate) enum Overdue {
    Idle,
    Assembly,
    WriteStall,
    EndOfInput,
}

/// What reading and handling needs from its loop.
pub(crate) struct Handling<'a> {
    pub(crate) service: &'a dyn Service,
    pub(crate) options: &'a NetOptions,
    pub(crate) limits: &'a ChannelLimits,
    pub(crate) buffers: &'a mut ReadBuffers,
    /// Connections that have more to be handled than one turn allows; they go on when all others had theirs.
    pub(crate) next_turn: &'a mut Vec<u64>,
    pub(crate) now: Monotonic,
}

/// Why the incoming half can't go on.
#[derive(Debug)]
pub(crate) enum InputError {
    Frame(FrameError),
    Socket(io::Error),
}

/// Why no request is handled at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// Too many requests or answers of this connection are under way.
    Connection,
    /// The request budget is spent, and has no room for a request of this length.
    Budget { length: usize },
    /// It had its turn.
    Turn,
}

/// The incoming half of a connection. Only its loop has it.
pub(crate) struct Incoming {
    pub(crate) channel: Arc<Channel>,
    stream: Arc<Stream>,
    _permit: Permit,
    /// Bytes received and not yet handled: a part of a request, or whole ones while paused.
    held: Vec<u8>,
    /// What is taken of the budget for the large request that is being received.
    charge: usize,
    /// How many bytes the last request had: the next one may have as many.
    expected: usize,
    paused: bool,
    /// Whether it is paused because its turn is over.
    turn_is_over: bool,
    input_ended: Option<Monotonic>,
    last_request: Monotonic,
    /// The request that is being received: when it was last seen to grow as it must, and how many bytes it had then.
    assembling: Option<(Monotonic, usize)>,
    /// What is counted among the holdings.
    counted: usize,
    /// How many bytes waited to be sent at the last look, and since when it is that many.
    stalled: (u64, Monotonic),
}

impl Incoming {
    pub(crate) fn new(channel: Arc<Channel>, stream: Arc<Stream>, permit: Permit, now: Monotonic) -> Self {
        Self {
            channel,
            stream,
            _permit: permit,
            held: Vec::new(),
            charge: 0,
            expected: 0,
            paused: false,
            turn_is_over: false,
            input_ended: None,
            last_request: now,
            assembling: None,
            counted: 0,
            stalled: (0, now),
        }
    }

    /// Reads once, and handles the whole requests that are there then, as many as one turn allows.
    pub(crate) fn read(&mut self, handling: &mut Handling<'_>) -> Result<(), InputError> {
        if self.paused || self.input_ended.is_some() {
            return Ok(());
        }
        let mut buffer = self.buffer_to_read_into(handling);
        match self.stream.read(&mut buffer) {
            Ok(Transfer::Bytes(_)) => self.handle(buffer, handling),
            Ok(Transfer::Later) => {
                if buffer.is_empty() {
                    handling.buffers.give_back(buffer);
                } else {
                    self.held = buffer;
                }
                Ok(())
            }
            Ok(Transfer::End) => {
                handling.buffers.give_back(buffer);
                self.end_input(handling.now);
                Ok(())
            }
            Err(error) => Err(InputError::Socket(error)),
        }
    }

    /// Goes on after a pause.
    pub(crate) fn resume(&mut self, handling: &mut Handling<'_>) -> Result<(), InputError> {
        if !self.paused || self.input_ended.is_some() {
            return Ok(());
        }
        self.paused = false;
        // The time that passed was not the client's.
        self.assembling = None;
        self.channel.resume();
        let held = core::mem::take(&mut self.held);
        self.handle(held, handling)?;
        if !self.paused {
            self.channel.set_reading(true);
        }
        Ok(())
    }

    /// Goes on with what is left of the last turn.
    pub(crate) fn go_on(&mut self, handling: &mut Handling<'_>) -> Result<(), InputError> {
        if self.input_ended.is_some() || !self.turn_is_over {
            return Ok(());
        }
        self.paused = false;
        let held = core::mem::take(&mut self.held);
        self.handle(held, handling)?;
        // The turn may have begun when the connection went on after another pause, during which nothing was read.
        if !self.paused {
            self.channel.set_reading(true);
        }
        Ok(())
    }

    /// Reads no more, and lets the connection end when everything is answered.
    pub(crate) fn end_input(&mut self, now: Monotonic) {
        if self.input_ended.is_none() {
            self.input_ended = Some(now);
            self.held = Vec::new();
            self.channel.set_reading(false);
            self.channel.finish();
        }
    }

    /// Gives back what the unfinished request took of the budget. The connection is over.
    pub(crate) fn close(&mut self, limits: &ChannelLimits) {
        limits.budget.give_back(core::mem::take(&mut self.charge));
        limits.holdings.change(core::mem::take(&mut self.counted), 0);
        self.channel.close();
    }

    /// Takes note of the memory that is held for the client: the budget knows of large requests only.
    pub(crate) fn count_held(&mut self, limits: &ChannelLimits) {
        let held = if self.charge == 0 { self.held.capacity() } else { 0 };
        limits.holdings.change(core::mem::replace(&mut self.counted, held), held);
    }

    /// How many bytes are held for the client and not counted in the budget.
    pub(crate) fn held(&self) -> usize {
        self.counted + self.channel.held()
    }

    /// Whether something has taken too long; if not, when to look again.
    pub(crate) fn overdue(&mut self, now: Monotonic, options: &NetOptions) -> Result<Monotonic, Overdue> {
        let in_time = |deadline: Monotonic, overdue| if deadline <= now { Err(overdue) } else { Ok(deadline) };
        let unsent = self.channel.unsent();
        if unsent == 0 || unsent != self.stalled.0 {
            self.stalled = (unsent, now);
        }
        let mut next = in_time(self.stalled.1 + options.write_stall_max, Overdue::WriteStall)?;
        if let Some(ended) = self.input_ended {
            return Ok(next.min(in_time(ended + options.half_closed_max, Overdue::EndOfInput)?));
        }
        if self.paused {
            return Ok(next);
        }
        if let Some((since, _)) = self.assembling {
            return Ok(next.min(in_time(since + options.assembly_max, Overdue::Assembly)?));
        }
        if self.channel.is_clear() {
            let Some(idle_max) = options.idle_max else { return Ok(next) };
            next = in_time(self.last_request + idle_max, Overdue::Idle)?;
        }
        Ok(next)
    }

    /// A buffer with the bytes held so far in front, and room behind them: for the rest of the request when its length
    /// is known, for as much as is usually read at once otherwise.
    fn buffer_to_read_into(&mut self, handling: &mut Handling<'_>) -> Vec<u8> {
        let held = core::mem::take(&mut self.held);
        let expected = self.needed_of(&held, handling.options).unwrap_or(self.expected);
        let capacity =
            if expected <= SMALL_BYTES - SLACK_BYTES { SMALL_BYTES } else { assembly_capacity(held.len(), expected) };
        if held.capacity() >= capacity && held.capacity() > held.len() {
            return held;
        }
        let mut buffer = handling.buffers.take(capacity.max(held.len() + SLACK_BYTES));
        buffer.extend_from_slice(&held);
        if !held.is_empty() {
            handling.buffers.give_back(held);
        }
        buffer
    }

    /// Handles all whole requests in `buffer` and keeps the rest.
    fn handle(&mut self, buffer: Vec<u8>, handling: &mut Handling<'_>) -> Result<(), InputError> {
        // Neither conversion copies: the buffer changes its owner, and comes back once the requests cut off from it are
        // dropped. A request that is kept keeps the buffer, and only the rest is copied out of it.
        let mut bytes = BytesMut::from(Bytes::from(buffer));
        self.turn_is_over = false;
        self.channel.begin_batch();
        let result = self.handle_requests(&mut bytes, handling);
        if bytes.len() <= HELD_BYTES_MAX {
            self.held = bytes.to_vec();
            bytes.clear();
            handling.buffers.give_back(Vec::from(bytes));
        } else {
            self.held = Vec::from(bytes);
        }
        self.channel.send_ready();
        match result {
            Ok(None) => Ok(()),
            Ok(Some(Pause::Turn)) => {
                self.paused = true;
                self.turn_is_over = true;
                handling.next_turn.push(self.channel.token());
                Ok(())
            }
            Ok(Some(pause)) => {
                self.pause(pause, handling.limits);
                Ok(())
            }
            Err(error) => Err(InputError::Frame(error)),
        }
    }

    fn handle_requests(
        &mut self,
        bytes: &mut BytesMut,
        handling: &mut Handling<'_>,
    ) -> Result<Option<Pause>, FrameError> {
        for _ in 0..REQUESTS_PER_TURN_MAX {
            if !self.channel.may_handle() {
                self.channel.send_ready();
                self.channel.begin_batch();
                if !self.channel.may_handle() {
                    return Ok(Some(Pause::Connection));
                }
            }
            match frame::front(bytes, handling.options.request_bytes_max)? {
                Front::Whole(length) => {
                    if !self.take_budget(length, handling.limits) {
                        return Ok(Some(Pause::Budget { length }));
                    }
                    self.assembling = None;
                    self.last_request = handling.now;
                    self.expected = LENGTH_BYTES + length;
                    let request = frame::cut(bytes, length);
                    let sequence = self.channel.push_request(core::mem::take(&mut self.charge));
                    let responder = Responder::new(Arc::clone(&self.channel) as _, sequence);
                    handling.service.call(&self.channel.context, request, responder);
                }
                Front::Part { needed } => {
                    if !bytes.is_empty() {
                        self.watch_assembly(bytes.len(), handling);
                    }
                    let large = needed.filter(|needed| *needed > SMALL_BYTES && self.charge == 0);
                    return match large {
                        Some(needed) if !self.take_budget(needed - LENGTH_BYTES, handling.limits) => {
                            Ok(Some(Pause::Budget { length: needed - LENGTH_BYTES }))
                        }
                        _ => Ok(None),
                    };
                }
            }
        }
        Ok(Some(Pause::Turn))
    }

    /// A length that was announced is worth nothing: who sends nothing more, or a byte now and then, is closed even if
    /// the request were to become long.
    fn watch_assembly(&mut self, received: usize, handling: &Handling<'_>) {
        let (since, length) = self.assembling.get_or_insert((handling.now, received));
        let seconds = usize::try_from(handling.options.assembly_max.as_secs()).unwrap_or(usize::MAX);
        if received >= length.saturating_add(seconds.max(1).saturating_mul(ASSEMBLY_BYTES_PER_SECOND)) {
            (*since, *length) = (handling.now, received);
        }
    }

    /// Takes what a request needs of the budget into `charge`, if it is not there already.
    fn take_budget(&mut self, length: usize, limits: &ChannelLimits) -> bool {
        if self.charge == 0 {
            if !limits.budget.take(length) {
                if !self.may_overdraw(length) {
                    return false;
                }
                limits.budget.take_anyway(length);
            }
            self.charge = length;
        }
        true
    }

    /// Whether a request is let in though the budget is spent: a small one of a connection that has no other in flight.
    /// So every connection goes on, and with it whatever the requests that use up the budget wait for.
    fn may_overdraw(&self, length: usize) -> bool {
        length <= SMALL_BYTES && self.channel.unanswered() == 0
    }

    fn pause(&mut self, reason: Pause, limits: &ChannelLimits) {
        self.paused = true;
        self.channel.set_reading(false);
        self.channel.pause();
        let still = match reason {
            Pause::Connection => !self.channel.may_handle(),
            Pause::Turn => false,
            Pause::Budget { length } => {
                limits.budget.wait(self.channel.inbox(), self.channel.token());
                limits.budget.is_spent() && !self.may_overdraw(length)
            }
        };
        if !still && self.channel.resume() {
            self.channel.inbox().send(Notice::Resume(self.channel.token()));
        }
    }

    fn needed_of(&self, held: &[u8], options: &NetOptions) -> Option<usize> {
        match frame::front(held, options.request_bytes_max) {
            Ok(Front::Part { needed }) => needed,
            Ok(Front::Whole(_)) | Err(_) => None,
        }
    }
}
