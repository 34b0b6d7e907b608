use super::link::{Broken, INTEREST_AT_FIRST, Link, Waiting};
use super::{Ask, AskFailure, DOUBLINGS_MAX, Destination, Ended, Greeting, OutboundOptions, dial};
use crate::inbox::Inbox;
use crate::stream::Stream;
use core::time::Duration;
use ottla_env::{Clock, Monotonic};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

const EVENTS_MAX: usize = 64;
/// Where nobody has tried for so long, what failed before says nothing of the next attempt.
const FAILURES_REMEMBERED: Duration = Duration::from_secs(3);
const WAKE_TOKEN: u64 = u64::MAX;
/// Reads of one connection before the others have their turn.
const READS_MAX: usize = 16;
/// Connections in a row that may end without a word before that counts as a failure to connect, and the pause behind the first
/// of them, which doubles: 63 ms in all, more than a process with thousands of files takes to be gone.
const HUNG_UP_MAX: u32 = 6;
const HUNG_UP_PAUSE: Duration = Duration::from_millis(1);
/// Rounds of notices before the system is asked for events again.
const ROUNDS_MAX: usize = 8;

/// What the loop is told from outside.
pub(super) enum Notice<K> {
    /// Send this request.
    Ask(Destination, Ask<K>),
    /// A name was looked up for the peer of this token.
    Found(u64, io::Result<Vec<SocketAddr>>),
    /// Nobody is expected at this address any more.
    Forget(Arc<str>, u16),
    /// End everything.
    Stop,
}

/// One destination, with or without a connection.
struct Peer<K> {
    destination: Destination,
    waiting: VecDeque<Waiting<K>>,
    connection: Connection<K>,
    /// Connections in a row that could not be made.
    failures: u32,
    /// Connections in a row that were accepted and ended unheard.
    hung_up: u32,
    /// When the last of them failed.
    failed_at: Monotonic,
}

enum Connection<K> {
    /// There is none; the next may be tried from then on.
    None(Monotonic),
    /// The name is being looked up.
    LookingUp,
    /// The addresses are tried one after the other; those left are in reverse order.
    Linked(Box<Link<K>>, Vec<SocketAddr>),
}

/// The thread that owns all connections to other nodes.
pub(super) struct EventLoop<G: Greeting> {
    greeting: G,
    options: OutboundOptions,
    clock: Arc<dyn Clock>,
    ended: Ended,
    inbox: Arc<Inbox<Notice<G::Known>>>,
    epoll: OwnedFd,
    tokens: HashMap<Destination, u64>,
    peers: HashMap<u64, Peer<G::Known>>,
    next_token: u64,
    stopping: bool,
}

impl<G: Greeting> EventLoop<G> {
    pub(super) fn new(
        greeting: G,
        options: OutboundOptions,
        clock: Arc<dyn Clock>,
        ended: Ended,
        inbox: Arc<Inbox<Notice<G::Known>>>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, inbox.as_fd(), EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
        let (tokens, peers) = (HashMap::new(), HashMap::new());
        Ok(Self { greeting, options, clock, ended, inbox, epoll, tokens, peers, next_token: 0, stopping: false })
    }

    pub(super) fn run(mut self) {
        self.inbox.adopt_thread();
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        let mut notices = Vec::new();
        loop {
            let settled = self.settle_notices(&mut notices);
            if self.stopping {
                break;
            }
            self.wait(&mut events, settled);
            for event in &events {
                let Event { flags, data, .. } = *event;
                self.handle(data.u64(), flags);
            }
            self.keep_time();
        }
        self.stop();
    }

    /// Follows the notices, and those that come of it: an answer often leads to the next request. Says whether none is left.
    fn settle_notices(&mut self, notices: &mut Vec<Notice<G::Known>>) -> bool {
        for _ in 0..ROUNDS_MAX {
            self.inbox.take(notices);
            if notices.is_empty() {
                return true;
            }
            for notice in notices.drain(..) {
                self.follow(notice);
            }
        }
        false
    }

    fn wait(&self, events: &mut Vec<Event>, settled: bool) {
        events.clear();
        let now = self.clock.monotonic();
        let timeout = if settled {
            // Rounded up, so that the deadline has passed on waking.
            self.next_deadline().map(|deadline| deadline.since(now) + Duration::from_millis(1))
        } else {
            Some(Duration::ZERO)
        };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match epoll::wait(&self.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "cannot wait for other nodes"),
        }
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        self.peers.values().filter_map(Peer::deadline).min()
    }

    fn follow(&mut self, notice: Notice<G::Known>) {
        match notice {
            Notice::Ask(destination, ask) => self.ask(destination, ask),
            Notice::Found(token, found) => self.found(token, found),
            Notice::Forget(host, port) => self.forget(&host, port),
            Notice::Stop => self.stopping = true,
        }
    }

    fn ask(&mut self, destination: Destination, ask: Ask<G::Known>) {
        let now = self.clock.monotonic();
        let token = self.token(destination, now);
        let Some(peer) = self.peers.get_mut(&token) else { return };
        if peer.unanswered() >= self.options.unanswered_max {
            return (ask.done)(Err(AskFailure::Overloaded));
        }
        let deadline = now + ask.within;
        peer.waiting.push_back(Waiting { ask, deadline });
        self.go_on(token);
    }

    fn token(&mut self, destination: Destination, now: Monotonic) -> u64 {
        if let Some(token) = self.tokens.get(&destination) {
            return *token;
        }
        let token = self.next_token;
        self.next_token += 1;
        self.tokens.insert(destination.clone(), token);
        let connection = Connection::None(now);
        let peer = Peer { destination, waiting: VecDeque::new(), connection, failures: 0, failed_at: now, hung_up: 0 };
        self.peers.insert(token, peer);
        token
    }

    /// Sends what waits, or begins to connect for it.
    fn go_on(&mut self, token: u64) {
        let now = self.clock.monotonic();
        let Some(peer) = self.peers.get_mut(&token) else { return };
        match &mut peer.connection {
            Connection::None(from) if *from <= now && !peer.waiting.is_empty() => self.connect(token),
            Connection::Linked(link, _) if link.is_ready() => {
                let was_idle = link.unanswered() == 0;
                while let Some(waiting) = peer.waiting.pop_front() {
                    link.send(waiting);
                }
                if was_idle {
                    link.put_off_pulse(self.options.silence.map(|silence| now + silence.pulse));
                }
                let written = link.write(&self.greeting);
                self.settle(token, written);
            }
            _ => {}
        }
    }

    fn connect(&mut self, token: u64) {
        let now = self.clock.monotonic();
        let Some(peer) = self.peers.get_mut(&token) else { return };
        if now.since(peer.failed_at) > FAILURES_REMEMBERED {
            peer.failures = 0;
        }
        let Destination { host, port, .. } = peer.destination.clone();
        if let Some(address) = dial::numeric(&host, port) {
            return self.found(token, Ok(vec![address]));
        }
        peer.connection = Connection::LookingUp;
        // The system's resolver may block for seconds, which no other connection has to wait for.
        let inbox = self.inbox.clone();
        let look_up = move || inbox.send(Notice::Found(token, dial::look_up(&host, port)));
        if let Err(error) = std::thread::Builder::new().name("look-up".to_owned()).spawn(look_up) {
            self.found(token, Err(error));
        }
    }

    fn found(&mut self, token: u64, found: io::Result<Vec<SocketAddr>>) {
        match found {
            Ok(mut addresses) => {
                addresses.reverse();
                self.try_next(token, addresses, Broken::Unreachable("no address".to_owned()));
            }
            Err(error) => self.failed(token, &Broken::Unreachable(error.to_string())),
        }
    }

    /// Begins to connect to the last of the addresses.
    fn try_next(&mut self, token: u64, mut addresses: Vec<SocketAddr>, why: Broken) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let Some(address) = addresses.pop() else { return self.failed(token, &why) };
        let receive_buffer = self.options.receive_buffer_bytes(peer.destination.lane);
        let unacknowledged_max = self.options.silence.map(|silence| silence.unacknowledged_max);
        let begun = dial::begin(address, receive_buffer, unacknowledged_max).and_then(|socket| {
            let stream = Stream::plain(socket);
            epoll::add(&self.epoll, stream.as_fd(), EventData::new_u64(token), INTEREST_AT_FIRST)?;
            Ok(stream)
        });
        match begun {
            Ok(stream) => {
                let now = self.clock.monotonic();
                let answer_by = now + self.options.unanswered_within(peer.failures);
                let greet_by = now + self.options.connect_within(peer.failures);
                peer.connection = Connection::Linked(Box::new(Link::new(stream, answer_by, greet_by)), addresses);
            }
            Err(error) => self.try_next(token, addresses, Broken::of_connecting(error)),
        }
    }

    fn handle(&mut self, token: u64, flags: EventFlags) {
        // The notices are read before the next wait.
        let Some(Peer { connection: Connection::Linked(link, _), .. }) = self.peers.get_mut(&token) else { return };
        let mut done = Ok(());
        if flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
            done = link.write(&self.greeting);
        }
        if done.is_ok() && flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
            done = read(link, &self.greeting, &self.options);
            link.put_off_pulse(self.options.silence.map(|silence| self.clock.monotonic() + silence.pulse));
        }
        self.settle(token, done);
        self.go_on(token);
    }

    /// Goes on with a connection after something was done on it, or without it.
    fn settle(&mut self, token: u64, done: Result<(), Broken>) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let Connection::Linked(link, _) = &mut peer.connection else { return };
        if let Err(broken) = done {
            return self.broken(token, broken);
        }
        if link.is_ready() {
            peer.failures = 0;
            peer.hung_up = 0;
        }
        let flags = if link.wants_to_write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        // Seldom: a request nearly always fits into the socket's buffer.
        if flags == link.interest {
            return;
        }
        link.interest = flags;
        if let Err(error) = epoll::modify(&self.epoll, link.stream.as_fd(), EventData::new_u64(token), flags) {
            self.broken(token, Broken::Unreachable(error.to_string()));
        }
    }

    /// The connection has ended, or did not come about.
    fn broken(&mut self, token: u64, broken: Broken) {
        let now = self.clock.monotonic();
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let Connection::Linked(link, addresses) = core::mem::replace(&mut peer.connection, Connection::None(now))
        else {
            return;
        };
        let was_ready = link.is_ready();
        let host = (broken == Broken::Lost).then(|| peer.destination.host.clone());
        link.end(&broken, now);
        if let Some(host) = host {
            self.end_idle(&host, token);
        }
        let Some(peer) = self.peers.get_mut(&token) else { return };
        if was_ready {
            if let Broken::Malformed(reason) = &broken {
                tracing::warn!(host = %peer.destination.host, port = peer.destination.port, reason,
                    "another node sent what no answer is");
            }
            (self.ended)(&peer.destination);
            // Requests that were not sent go over the next connection.
            return self.go_on(token);
        }
        if broken == Broken::Closed && peer.hung_up < HUNG_UP_MAX {
            // Of a process that is killed, the system closes the connections before the listener: a new connection may still
            // be accepted that nobody will ever read. What waits is worth another look, which tells a process that is gone.
            peer.connection = Connection::None(now + HUNG_UP_PAUSE * (1 << peer.hung_up));
            peer.hung_up += 1;
            return;
        }
        self.try_next(token, addresses, broken);
    }

    /// A connection to a host is lost. Others on which nothing is under way would only show that once something is sent.
    fn end_idle(&mut self, host: &str, lost: u64) {
        let is_idle = |peer: &Peer<G::Known>| match &peer.connection {
            Connection::Linked(link, _) => link.is_ready() && peer.unanswered() == 0,
            Connection::None(_) | Connection::LookingUp => false,
        };
        let idle = self.peers.iter().filter(|(token, peer)| **token != lost && &*peer.destination.host == host);
        let idle: Vec<u64> = idle.filter(|(_, peer)| is_idle(peer)).map(|(token, _)| *token).collect();
        for token in idle {
            self.broken(token, Broken::Closed);
        }
    }

    /// No address could be connected to: whoever waits is told, and the next attempt comes later.
    fn failed(&mut self, token: u64, broken: &Broken) {
        let now = self.clock.monotonic();
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let doubled = self.options.back_off.saturating_mul(1 << peer.failures.min(DOUBLINGS_MAX));
        peer.failures = peer.failures.saturating_add(1);
        peer.hung_up = 0;
        peer.failed_at = now;
        peer.connection = Connection::None(now + doubled.min(self.options.back_off_max));
        for waiting in core::mem::take(&mut peer.waiting) {
            (waiting.ask.done)(Err(broken.of_waiting()));
        }
    }

    fn forget(&mut self, host: &str, port: u16) {
        let now = self.clock.monotonic();
        let here = |destination: &Destination| &*destination.host == host && destination.port == port;
        let tokens: Vec<u64> =
            self.tokens.extract_if(|destination, _| here(destination)).map(|(_, token)| token).collect();
        for peer in tokens.into_iter().filter_map(|token| self.peers.remove(&token)) {
            peer.end(&Broken::Closed, &AskFailure::Closed, now);
        }
    }

    fn keep_time(&mut self) {
        let now = self.clock.monotonic();
        let due: Vec<u64> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(token, _)| *token)
            .collect();
        for token in due {
            self.late(token, now);
        }
    }

    fn late(&mut self, token: u64, now: Monotonic) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let (late, waiting): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut peer.waiting).into_iter().partition(|one| one.deadline <= now);
        peer.waiting = waiting;
        for one in late {
            (one.ask.done)(Err(AskFailure::TimedOut));
        }
        if let Connection::Linked(link, _) = &mut peer.connection {
            if let Some(broken) = link.late(now) {
                self.broken(token, broken);
            } else if let Some(silence) = self.options.silence {
                let pulsed = link.pulse(now, silence.pulse, &self.greeting);
                self.settle(token, pulsed);
            }
        }
        self.go_on(token);
    }

    fn stop(mut self) {
        let now = self.clock.monotonic();
        for (_, peer) in self.peers.drain() {
            peer.end(&Broken::Closed, &AskFailure::Stopped, now);
        }
        // Whoever asks from now on, or has asked meanwhile, is told by dropping the mailbox's letters.
        let mut notices = Vec::new();
        self.inbox.take(&mut notices);
        for notice in notices {
            if let Notice::Ask(_, ask) = notice {
                (ask.done)(Err(AskFailure::Stopped));
            }
        }
    }
}

impl<K> Peer<K> {
    fn unanswered(&self) -> usize {
        let in_flight = match &self.connection {
            Connection::Linked(link, _) => link.unanswered(),
            Connection::None(_) | Connection::LookingUp => 0,
        };
        self.waiting.len() + in_flight
    }

    fn deadline(&self) -> Option<Monotonic> {
        let waiting = self.waiting.iter().map(|waiting| waiting.deadline).min();
        let connection = match &self.connection {
            Connection::None(from) => waiting.is_some().then_some(*from),
            Connection::LookingUp => None,
            Connection::Linked(link, _) => link.deadline(),
        };
        [waiting, connection].into_iter().flatten().min()
    }

    fn end(self, broken: &Broken, of_waiting: &AskFailure, now: Monotonic) {
        if let Connection::Linked(link, _) = self.connection {
            link.end(broken, now);
        }
        for waiting in self.waiting {
            (waiting.ask.done)(Err(of_waiting.clone()));
        }
    }
}

fn read<G: Greeting>(link: &mut Link<G::Known>, greeting: &G, options: &OutboundOptions) -> Result<(), Broken> {
    for _ in 0..READS_MAX {
        if !link.read(greeting, options)? {
            break;
        }
    }
    Ok(())
}
