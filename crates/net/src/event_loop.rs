use core::time::Duration;
use std::collections::HashMap;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::{io, mem};

use ottla_env::{Clock, Monotonic};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::accept::{Accepted, Listener, Refusal};
use crate::buffers::ReadBuffers;
use crate::channel::{Channel, Ending, READ, take_ready};
use crate::closing::{ClosingLog, Reason};
use crate::inbox::{Inbox, Notice};
use crate::incoming::{Handling, Incoming};
use crate::server::{Phase, Shared};
use crate::stream::Stream;
use crate::{ConnectionContext, ConnectionId, Service};

/// Events taken from the system at once.
const EVENTS_MAX: usize = 256;

/// Connections accepted before the others get their turn.
const ACCEPT_MAX: usize = 64;

/// How long the listeners rest when the process is out of descriptors or the system out of memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Rounds of sending what became ready and of reading notices before the system is asked for events again. Notices can
/// lead to new ones; more than a few rounds only happen under load, and then events should not wait.
const ROUNDS_MAX: usize = 8;

/// The shortest time between two looks at the deadlines of all connections.
const SWEEP_MIN: Duration = Duration::from_secs(1);

/// Without events for so long, memory that only a busy loop needs is let go.
const TRIM_AFTER: Duration = Duration::from_secs(2);

const WAKE_TOKEN: u64 = u64::MAX;

/// Tokens from here on are listeners; connections are numbered from 0.
const LISTENER_TOKENS: u64 = 1 << 63;

/// One thread that owns connections: it reads their requests, has the service handle them and sends their answers.
///
/// It waits nowhere but in `epoll_wait`, except where the service waits.
pub(crate) struct EventLoop {
    shared: Arc<Shared>,
    service: Arc<dyn Service>,
    clock: Arc<dyn Clock>,
    epoll: Arc<OwnedFd>,
    inbox: Arc<Inbox>,
    /// The number of this loop among the server's.
    index: usize,
    /// Empty in all loops but one.
    listeners: Vec<Listener>,
    /// The listeners are not listened to: there is no room, or not before this time.
    accept_paused: Option<Option<Monotonic>>,
    connections: HashMap<u64, Incoming>,
    buffers: ReadBuffers,
    /// Connections that go on once all others had their turn.
    next_turn: Vec<u64>,
    closing_log: ClosingLog,
    /// When to look at the deadlines of all connections.
    next_sweep: Option<Monotonic>,
    stopping: bool,
}

impl EventLoop {
    pub(crate) fn new(
        shared: Arc<Shared>,
        service: Arc<dyn Service>,
        clock: Arc<dyn Clock>,
        index: usize,
        listeners: Vec<Listener>,
    ) -> io::Result<Self> {
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        let inbox = Arc::clone(&shared.inboxes[index]);
        epoll::add(&*epoll, inbox.as_fd(), EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
        let this = Self {
            shared,
            service,
            clock,
            epoll,
            inbox,
            index,
            listeners,
            accept_paused: None,
            connections: HashMap::new(),
            buffers: ReadBuffers::default(),
            next_turn: Vec::new(),
            closing_log: ClosingLog::default(),
            next_sweep: None,
            stopping: false,
        };
        for (number, listener) in this.listeners.iter().enumerate() {
            let token = EventData::new_u64(LISTENER_TOKENS + number as u64);
            epoll::add(&*this.epoll, &listener.socket, token, EventFlags::IN)?;
        }
        Ok(this)
    }

    /// Serves until the server stops. The last thing it does with every connection is to tell the service that it is
    /// gone.
    pub(crate) fn run(mut self) {
        self.inbox.adopt_server_thread();
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while !(self.stopping && self.connections.is_empty()) {
            let settled = self.settle();
            if self.stopping && self.connections.is_empty() {
                break;
            }
            let now = self.wait(&mut events, settled && self.next_turn.is_empty());
            for event in &events {
                let Event { flags, data, .. } = *event;
                self.handle_event(data.u64(), flags, now);
            }
            self.go_on(now);
            self.keep_time(now);
        }
        self.settle();
    }

    /// Waits for events: not at all unless `settled`. Says what time it is then.
    fn wait(&mut self, events: &mut Vec<Event>, settled: bool) -> Monotonic {
        events.clear();
        let before = self.clock.monotonic();
        let timeout = if settled { self.timeout(before) } else { Some(Duration::ZERO) };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.shared.measures.falls_asleep(self.index, before);
        match epoll::wait(&*self.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "cannot wait for connections"),
        }
        let now = self.clock.monotonic();
        self.shared.measures.wakes_up(self.index, now);
        if events.is_empty() && settled && self.buffers.holds_large() {
            self.buffers.trim();
        }
        now
    }

    /// How long to wait at most: until the next deadline, rounded up so that it has passed on waking.
    fn timeout(&self, now: Monotonic) -> Option<Duration> {
        let accept = self.accept_paused.flatten();
        let deadline = [self.next_sweep, accept].into_iter().flatten().min();
        let until = deadline.map(|deadline| deadline.since(now) + Duration::from_millis(1));
        let trim = self.buffers.holds_large().then_some(TRIM_AFTER);
        [until, trim].into_iter().flatten().min()
    }

    /// Sends what became ready on this thread and follows the notices. Says whether nothing is left to do.
    fn settle(&mut self) -> bool {
        let (mut ready, mut notices) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            take_ready(&mut ready);
            self.inbox.take(&mut notices);
            if ready.is_empty() && notices.is_empty() {
                return true;
            }
            for channel in ready.drain(..) {
                channel.send_ready();
            }
            for notice in notices.drain(..) {
                self.follow(notice);
            }
        }
        false
    }

    fn follow(&mut self, notice: Notice) {
        match notice {
            Notice::Serve(accepted) => self.serve(accepted),
            Notice::Flush(channel) => channel.send_ready(),
            Notice::Resume(token) => {
                let now = self.clock.monotonic();
                self.with_connection(token, now, Incoming::resume);
            }
            Notice::Close(token) => {
                let ending = self.connections.get(&token).and_then(|incoming| incoming.channel.take_ending());
                self.close(token, &Reason::from(ending.unwrap_or(Ending::Finished)));
            }
            Notice::Accept => self.listen_again(),
            Notice::MakeRoom => self.make_room(),
            Notice::Stop => self.stop(),
        }
    }

    fn handle_event(&mut self, token: u64, flags: EventFlags, now: Monotonic) {
        if token == WAKE_TOKEN {
            // The notices are read before the next wait.
            return;
        }
        if token >= LISTENER_TOKENS {
            self.accept((token - LISTENER_TOKENS) as usize);
            return;
        }
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            self.close(token, &Reason::Disconnected);
            return;
        }
        if flags.contains(EventFlags::OUT)
            && let Some(incoming) = self.connections.get(&token)
        {
            incoming.channel.send_ready();
        }
        if flags.intersects(READ) {
            self.with_connection(token, now, Incoming::read);
        }
        self.sweep_by(now + self.shared.sweep_horizon());
    }

    /// Gives the next turn to the connections that had more to be handled than one turn allows.
    fn go_on(&mut self, now: Monotonic) {
        for token in mem::take(&mut self.next_turn) {
            self.with_connection(token, now, Incoming::go_on);
        }
    }

    /// Lets a connection act, and closes it when it can't go on.
    fn with_connection(
        &mut self,
        token: u64,
        now: Monotonic,
        act: impl FnOnce(&mut Incoming, &mut Handling<'_>) -> Result<(), crate::incoming::InputError>,
    ) {
        let Some(incoming) = self.connections.get_mut(&token) else { return };
        let mut handling = Handling {
            service: &*self.service,
            options: &self.shared.options,
            limits: &self.shared.limits,
            buffers: &mut self.buffers,
            next_turn: &mut self.next_turn,
            now,
        };
        match act(incoming, &mut handling) {
            Ok(()) => incoming.count_held(&self.shared.limits),
            Err(error) => self.close(token, &Reason::from(error)),
        }
        if self.shared.limits.holdings.are_too_many() {
            self.make_room();
        }
    }

    /// Closes the connections that hold the most memory for nothing, until there is not too much of it any more.
    fn make_room(&mut self) {
        let holdings = &self.shared.limits.holdings;
        holdings.begin_to_make_room();
        let harmless = holdings.harmless(self.shared.admission.connections());
        let held = self.connections.iter().map(|(token, incoming)| (incoming.held(), *token));
        let mut holders: Vec<_> = held.filter(|(bytes, _)| *bytes > harmless).collect();
        holders.sort_unstable_by(|a, b| b.cmp(a));
        for (bytes, token) in holders {
            let holdings = &self.shared.limits.holdings;
            // An answer larger than the limit must be possible if it is the only one.
            if holdings.have_room() || bytes >= holdings.held() {
                return;
            }
            self.close(token, &Reason::Crowded(bytes));
        }
    }

    fn accept(&mut self, number: usize) {
        for _ in 0..ACCEPT_MAX {
            let Some(listener) = self.listeners.get(number).filter(|_| self.accept_paused.is_none()) else { return };
            if !self.shared.admission.has_room() {
                self.pause_accepting(None);
                return;
            }
            match listener.socket.accept() {
                Ok((socket, peer)) => match self.shared.admission.admit(peer.ip()) {
                    Ok(permit) => match Accepted::new(socket, listener, peer, permit) {
                        Ok(accepted) => self.shared.hand_over(accepted),
                        Err(error) => tracing::debug!(%peer, %error, "a connection was gone before it was served"),
                    },
                    Err(Refusal::Full) => drop(socket),
                    Err(Refusal::TooManyFromAddress) => {
                        let why = "too many from this address";
                        self.closing_log.refused(self.clock.monotonic(), &listener.name, peer, why);
                    }
                    Err(Refusal::OutOfDescriptors) => {
                        let why = "no more may be open than the limit of the process on file descriptors has room for";
                        self.closing_log.refused(self.clock.monotonic(), &listener.name, peer, why);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhaustion(&error) => {
                    tracing::error!(%error, "cannot accept connections for the moment");
                    self.pause_accepting(Some(self.clock.monotonic() + ACCEPT_PAUSE));
                    return;
                }
                // The client has given up; the next one may not have.
                Err(error) => tracing::debug!(%error, "a connection was gone before it was accepted"),
            }
        }
    }

    fn pause_accepting(&mut self, until: Option<Monotonic>) {
        self.accept_paused = Some(until);
        for listener in &self.listeners {
            let _ = epoll::modify(&*self.epoll, &listener.socket, EventData::new_u64(WAKE_TOKEN), EventFlags::empty());
        }
    }

    fn listen_again(&mut self) {
        self.accept_paused = None;
        for (number, listener) in self.listeners.iter().enumerate() {
            let token = EventData::new_u64(LISTENER_TOKENS + number as u64);
            if let Err(error) = epoll::modify(&*self.epoll, &listener.socket, token, EventFlags::IN) {
                tracing::error!(listener = %listener.name, %error, "cannot go on accepting connections");
            }
        }
    }

    fn serve(&mut self, accepted: Accepted) {
        if self.stopping {
            self.shared.forget_load(self.index);
            return;
        }
        let Accepted { socket, listener, security_protocol, peer, local, permit } = accepted;
        let id = ConnectionId(Shared::next_connection());
        let context = Arc::new(ConnectionContext::new(id, listener, security_protocol, peer, local));
        match self.register(&context, socket) {
            Ok((channel, stream)) => {
                let now = self.clock.monotonic();
                self.connections.insert(id.0, Incoming::new(channel, stream, permit, now));
                self.shared.measures.opened(&context.listener);
                self.service.connected(&context);
                self.sweep_by(now + self.shared.sweep_horizon());
            }
            Err(error) => {
                tracing::error!(%peer, %error, "cannot serve a connection");
                self.shared.forget_load(self.index);
            }
        }
    }

    fn register(&self, context: &Arc<ConnectionContext>, socket: TcpStream) -> io::Result<(Arc<Channel>, Arc<Stream>)> {
        let stream = Arc::new(Stream::plain(socket));
        epoll::add(&*self.epoll, stream.as_fd(), EventData::new_u64(context.id.0), READ)?;
        let channel = Channel::new(
            Arc::clone(context),
            Arc::clone(&stream),
            Arc::clone(&self.shared.limits),
            Arc::clone(&self.inbox),
            Arc::clone(&self.epoll),
        );
        Ok((Arc::new(channel), stream))
    }

    fn close(&mut self, token: u64, reason: &Reason) {
        let Some(mut incoming) = self.connections.remove(&token) else { return };
        incoming.close(&self.shared.limits);
        self.shared.forget_load(self.index);
        let context = Arc::clone(&incoming.channel.context);
        self.shared.measures.closed(&context.listener);
        self.closing_log.closed(self.clock.monotonic(), &context, reason);
        context.set_disconnected();
        self.service.disconnected(&context);
    }

    fn sweep_by(&mut self, deadline: Monotonic) {
        self.next_sweep = Some(self.next_sweep.map_or(deadline, |next| next.min(deadline)));
    }

    /// Does what is due by now.
    fn keep_time(&mut self, now: Monotonic) {
        if self.accept_paused.flatten().is_some_and(|until| until <= now) {
            self.listen_again();
        }
        if self.next_sweep.is_some_and(|due| due <= now) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Monotonic) {
        let mut next: Option<Monotonic> = None;
        let mut overdue = Vec::new();
        for (token, incoming) in &mut self.connections {
            match incoming.overdue(now, &self.shared.options) {
                Ok(deadline) => next = Some(next.map_or(deadline, |next| next.min(deadline))),
                Err(reason) => overdue.push((*token, reason)),
            }
        }
        let pause = SWEEP_MIN.min(self.shared.sweep_horizon() / 4);
        self.next_sweep = next.map(|next| next.max(now + pause));
        for (token, reason) in overdue {
            self.close(token, &Reason::from(reason));
        }
    }

    /// Accepts and reads no more; connections end when their requests are answered, or at once if the server does not
    /// wait for that.
    fn stop(&mut self) {
        for listener in mem::take(&mut self.listeners) {
            let _ = epoll::delete(&*self.epoll, &listener.socket);
        }
        self.stopping = true;
        let phase = self.shared.phase();
        let tokens: Vec<_> = self.connections.keys().copied().collect();
        let now = self.clock.monotonic();
        for token in tokens {
            match phase {
                Phase::Ended => self.close(token, &Reason::Stopped),
                Phase::Serving | Phase::Draining => {
                    if let Some(incoming) = self.connections.get_mut(&token) {
                        incoming.end_input(now);
                    }
                }
            }
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|number| exhausted.iter().any(|errno| errno.raw_os_error() == number))
}
