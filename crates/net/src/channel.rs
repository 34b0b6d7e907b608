use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::cell::RefCell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::budget::RequestBudget;
use crate::cold_read::ColdReader;
use crate::holdings::Holdings;
use crate::inbox::{Inbox, Notice};
use crate::output::{Output, SCRATCH_BYTES, SendError, Sent};
use crate::pending::Pending;
use crate::stream::Stream;
use crate::{Answer, AnswerSink, ConnectionContext, RequestName};

thread_local! {
    /// Channels with answers that were given on this thread, if it is a loop: sent before the loop sleeps.
    static READY: RefCell<Vec<Arc<Channel>>> = const { RefCell::new(Vec::new()) };

    /// The room for reading ranges of files. Made by the first use.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Takes the channels that became ready on this loop's thread into `into`, which is empty.
pub(crate) fn take_ready(into: &mut Vec<Arc<Channel>>) {
    READY.with_borrow_mut(|ready| core::mem::swap(ready, into));
}

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The service asked for it.
    Asked(&'static str),
    /// The service lost a request, this one if it is known.
    Dropped(Option<RequestName>),
    /// Everything is answered, and nothing more comes.
    Finished,
    /// Sending failed.
    Failed(SendError),
}

/// The outgoing half of a connection.
struct Outgoing {
    /// `None` once the connection is closed.
    stream: Option<Arc<Stream>>,
    output: Output,
    /// What the loop is to be told about.
    interest: EventFlags,
    /// The range at the front is being brought into memory.
    reading_cold: bool,
    /// To be closed when the output is sent, or at once for `Ending::Failed`.
    ending: Option<Ending>,
    /// To be closed when every request is answered and every answer sent.
    finishing: bool,
}

/// What all channels of a server share.
pub(crate) struct ChannelLimits {
    pub(crate) budget: Arc<RequestBudget>,
    pub(crate) holdings: Holdings,
    pub(crate) cold_reader: ColdReader,
    /// How many requests of one connection may be between arrival and sent answer.
    pub(crate) in_flight_max: usize,
    /// How many bytes may wait to be sent on one connection before no more of its requests are handled.
    pub(crate) output_bytes_max: u64,
}

/// How a connection stands after sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing waits to be sent.
    Clear,
    /// Something waits to be sent.
    Waiting,
    /// Its loop must close it.
    Over,
}

/// The half of a connection that answers come in by. Any thread may hold it.
///
/// Two locks: `pending` is held for moments only, so that giving an answer never waits for a system call; `outgoing` is
/// held while sending. Where both are needed, `outgoing` is taken first.
pub(crate) struct Channel {
    pub(crate) context: Arc<ConnectionContext>,
    limits: Arc<ChannelLimits>,
    inbox: Arc<Inbox>,
    epoll: Arc<OwnedFd>,
    pending: Mutex<Pending>,
    outgoing: Mutex<Outgoing>,
    /// The bytes in `outgoing`, to be read without its lock.
    unsent: AtomicU64,
    /// The bytes of answers in memory that are counted among the holdings. Changed under the lock of `outgoing`.
    held: AtomicUsize,
    /// The loop has stopped to handle requests of the connection, and is to be told when it may go on.
    paused: AtomicBool,
}

/// What the events of a connection that reads are.
pub(crate) const READ: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);

impl Channel {
    /// The channel of a connection that is registered with `epoll` for `READ`, under its id.
    pub(crate) fn new(
        context: Arc<ConnectionContext>,
        stream: Arc<Stream>,
        limits: Arc<ChannelLimits>,
        inbox: Arc<Inbox>,
        epoll: Arc<OwnedFd>,
    ) -> Self {
        let outgoing = Outgoing {
            stream: Some(stream),
            output: Output::default(),
            interest: READ,
            reading_cold: false,
            ending: None,
            finishing: false,
        };
        let pending = Mutex::new(Pending::default());
        let (unsent, held, paused) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Self { context, limits, inbox, epoll, pending, outgoing: Mutex::new(outgoing), unsent, held, paused }
    }

    pub(crate) fn token(&self) -> u64 {
        self.context.id.0
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Says that requests will be given to the service, and that the caller sends their answers afterwards.
    pub(crate) fn begin_batch(&self) {
        self.pending.lock().schedule();
    }

    /// Adds a request that takes `charge` bytes of the budget and returns its number.
    pub(crate) fn push_request(&self, charge: usize) -> u64 {
        self.pending.lock().push(charge)
    }

    /// How many requests wait for an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.lock().unanswered()
    }

    /// Whether the connection may have another request handled: it has not too many already, and its client takes the
    /// answers.
    pub(crate) fn may_handle(&self) -> bool {
        let (in_flight, answered_bytes) = {
            let pending = self.pending.lock();
            (pending.len(), pending.answered_bytes())
        };
        in_flight < self.limits.in_flight_max && answered_bytes + self.unsent() <= self.limits.output_bytes_max
    }

    /// Whether every request is answered and every answer sent.
    pub(crate) fn is_clear(&self) -> bool {
        self.pending.lock().len() == 0 && self.unsent() == 0
    }

    /// How many bytes wait for the client to take them.
    pub(crate) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::SeqCst)
    }

    /// How many bytes of answers in memory wait for the client, as of the last time something was sent.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Marks that no requests are handled until `Notice::Resume` comes. The caller looks afterwards whether the reason
    /// still holds, since whoever removed it before may not have seen the mark.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
    }

    /// Ends a pause; says whether there was one that nobody else has ended.
    pub(crate) fn resume(&self) -> bool {
        self.paused.swap(false, Ordering::SeqCst)
    }

    /// Closes the connection when every request is answered and every answer sent.
    pub(crate) fn finish(self: &Arc<Self>) {
        self.outgoing.lock().finishing = true;
        self.send_ready();
    }

    /// Says that the cold range has been brought into memory.
    pub(crate) fn set_warmed(&self) {
        let mut outgoing = self.outgoing.lock();
        outgoing.reading_cold = false;
        outgoing.output.set_warmed();
    }

    /// Turns reading on or off.
    pub(crate) fn set_reading(&self, reading: bool) {
        let mut outgoing = self.outgoing.lock();
        let mut interest = outgoing.interest;
        interest.set(READ, reading);
        self.set_interest(&mut outgoing, interest);
    }

    /// Takes the reason for `Notice::Close`.
    pub(crate) fn take_ending(&self) -> Option<Ending> {
        self.outgoing.lock().ending.take()
    }

    /// Ends the channel: answers lead nowhere from now on. Called by the loop only.
    pub(crate) fn close(&self) {
        let released = self.pending.lock().close();
        self.limits.budget.give_back(released);
        let mut outgoing = self.outgoing.lock();
        if let Some(stream) = outgoing.stream.take() {
            let _ = epoll::delete(&*self.epoll, stream.as_fd());
            stream.shut_down();
        }
        outgoing.output = Output::default();
        self.unsent.store(0, Ordering::SeqCst);
        self.count_held(0);
        drop(outgoing);
        self.limits.budget.forget(self.token());
    }

    /// Sends what is ready, on any thread, and tells the loop what it has to know of it.
    pub(crate) fn send_ready(self: &Arc<Self>) {
        match self.flush() {
            Standing::Over => self.inbox.send(Notice::Close(self.token())),
            Standing::Clear | Standing::Waiting => {
                if self.paused.load(Ordering::SeqCst) && self.may_handle() && self.has_budget() && self.resume() {
                    self.inbox.send(Notice::Resume(self.token()));
                }
            }
        }
    }

    /// Whether a small request would be let in: there is budget, or the connection has no other request in flight.
    fn has_budget(&self) -> bool {
        !self.limits.budget.is_spent() || self.unanswered() == 0
    }

    fn flush(self: &Arc<Self>) -> Standing {
        let mut outgoing = self.outgoing.lock();
        let Some(stream) = outgoing.stream.clone() else { return Standing::Clear };
        let standing = self.send_outgoing(&mut outgoing, &stream);
        self.unsent.store(outgoing.output.length(), Ordering::SeqCst);
        self.count_held(outgoing.output.bytes_in_memory() + self.pending.lock().answered_in_memory());
        standing
    }

    /// Called with `outgoing` locked.
    fn count_held(&self, bytes: usize) {
        let before = self.held.swap(bytes, Ordering::Relaxed);
        self.limits.holdings.change(before, bytes);
    }

    fn send_outgoing(self: &Arc<Self>, outgoing: &mut Outgoing, stream: &Stream) -> Standing {
        loop {
            if let Err(error) = self.take_answers(outgoing) {
                outgoing.ending = Some(Ending::Failed(error));
            }
            if matches!(outgoing.ending, Some(Ending::Failed(_))) {
                return Standing::Over;
            }
            if outgoing.reading_cold {
                return Standing::Waiting;
            }
            let sent = with_scratch(|scratch| outgoing.output.send(stream, scratch));
            match sent {
                Err(error) => {
                    outgoing.ending = Some(Ending::Failed(error));
                    return Standing::Over;
                }
                Ok(Sent::All) => {
                    let pending = self.pending.lock();
                    // Answers given while the socket was being written to are taken in another round.
                    if outgoing.ending.is_none() && pending.has_ready() {
                        continue;
                    }
                    if outgoing.finishing && outgoing.ending.is_none() && pending.len() == 0 {
                        outgoing.ending = Some(Ending::Finished);
                    }
                    drop(pending);
                    let without = outgoing.interest.difference(EventFlags::OUT);
                    self.set_interest(outgoing, without);
                    return if outgoing.ending.is_some() { Standing::Over } else { Standing::Clear };
                }
                Ok(Sent::SocketFull | Sent::Enough) => {
                    let with = outgoing.interest.union(EventFlags::OUT);
                    self.set_interest(outgoing, with);
                    return Standing::Waiting;
                }
                Ok(Sent::Cold(range)) => {
                    if self.limits.cold_reader.read(range, Arc::clone(self)) {
                        outgoing.reading_cold = true;
                        let without = outgoing.interest.difference(EventFlags::OUT);
                        self.set_interest(outgoing, without);
                        return Standing::Waiting;
                    }
                    outgoing.output.set_warmed();
                }
            }
        }
    }

    fn take_answers(&self, outgoing: &mut Outgoing) -> Result<(), SendError> {
        let mut pending = self.pending.lock();
        while outgoing.ending.is_none() {
            match pending.take() {
                Some(Answer::Response(response)) => outgoing.output.push(response)?,
                Some(Answer::NoResponse) => {}
                Some(Answer::Close(reason)) => outgoing.ending = Some(Ending::Asked(reason)),
                Some(Answer::Dropped(name)) => outgoing.ending = Some(Ending::Dropped(name)),
                None => return Ok(()),
            }
        }
        let released = pending.close();
        drop(pending);
        self.limits.budget.give_back(released);
        Ok(())
    }

    fn set_interest(&self, outgoing: &mut Outgoing, interest: EventFlags) {
        let Some(stream) = outgoing.stream.as_ref().filter(|_| outgoing.interest != interest) else { return };
        match epoll::modify(&*self.epoll, stream.as_fd(), EventData::new_u64(self.token()), interest) {
            Ok(()) => outgoing.interest = interest,
            Err(error) => tracing::error!(connection = self.token(), %error, "cannot change what to be told about"),
        }
    }
}

impl AnswerSink for Channel {
    fn answer(self: Arc<Self>, sequence: u64, answer: Answer) {
        let given = self.pending.lock().give(sequence, answer);
        if given.released > 0 {
            self.limits.budget.give_back(given.released);
        }
        if given.must_schedule {
            if Inbox::on_any_loop() {
                READY.with_borrow_mut(|ready| ready.push(self));
            } else {
                let inbox = Arc::clone(&self.inbox);
                inbox.send(Notice::Flush(self));
            }
        }
    }
}

fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.is_empty() {
            scratch.resize(SCRATCH_BYTES, 0);
        }
        f(scratch)
    })
}
