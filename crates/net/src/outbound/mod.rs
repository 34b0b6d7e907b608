//! Requests to other nodes: connections that this process opens, and answers that it waits for.
//!
//! One thread owns all of them. A request is given with what is to be done with its answer; both happen on any thread and
//! in any order of connections, but on one connection requests leave in the order in which they were given and answers
//! come in that order. Each request is answered exactly once, be it with why there is no answer.

mod ask;
mod dial;
mod event_loop;
mod greeting;
mod link;
mod silence;

pub use ask::{Answered, Ask, AskFailure, Done, Encode, Framed};
pub use greeting::{Greeted, Greeting};
pub use silence::Silence;

use crate::inbox::Inbox;
use event_loop::{EventLoop, Notice};
use ottla_env::Clock;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The stack of the thread: what answers need on their way through the broker, with much to spare.
const STACK_BYTES: usize = 1 << 20;

/// Where requests go. Requests of one lane follow each other on one connection, so that one that is answered late holds
/// up those behind it; what must not wait for it takes another lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// A name or an address.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
    /// Which of the connections to there.
    pub lane: u16,
}

/// How connections to other nodes behave, and what they may hold.
#[derive(Clone, Debug)]
pub struct OutboundOptions {
    /// How long a connection may take to be made and to be greeted. Doubles with each failure in a row.
    pub connect_max: Duration,
    /// The longest such time.
    pub connect_longest: Duration,
    /// How long after a failed connection the next one is tried at the earliest. Doubles with each failure in a row.
    pub back_off: Duration,
    /// The longest such wait.
    pub back_off_max: Duration,
    /// Requests of one destination that are not answered yet. One more is refused.
    pub unanswered_max: usize,
    /// The largest answer, in bytes. A larger one ends the connection.
    pub answer_bytes_max: usize,
    /// How a host is noticed that says nothing any more; unset, only late answers tell.
    pub silence: Option<Silence>,
    /// Connections whose receive buffers are not left to the operating system.
    pub receive_buffer: Option<ReceiveBuffer>,
}

/// The receive buffers of the connections of some lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveBuffer {
    /// Of the connections of this lane and of those behind it.
    pub from_lane: u16,
    /// How large they are.
    pub bytes: usize,
}

impl OutboundOptions {
    /// How long a connection may take after so many in a row that were not made.
    fn connect_within(&self, failures: u32) -> Duration {
        let doubled = self.connect_max.saturating_mul(1 << failures.min(DOUBLINGS_MAX));
        doubled.min(self.connect_longest)
    }

    /// How long an attempt to connect may go unanswered by the other host after so many in a row that were not made.
    fn unanswered_within(&self, failures: u32) -> Duration {
        let within = self.connect_within(failures);
        self.silence.map_or(within, |silence| silence.unanswered_within(failures).min(within))
    }

    fn receive_buffer_bytes(&self, lane: u16) -> Option<usize> {
        self.receive_buffer.filter(|buffer| buffer.from_lane <= lane).map(|buffer| buffer.bytes)
    }
}

/// What grows with failures in a row is doubled at most so often.
const DOUBLINGS_MAX: u32 = 16;

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(10),
            connect_longest: Duration::from_secs(30),
            back_off: Duration::from_millis(50),
            back_off_max: Duration::from_secs(1),
            unanswered_max: 1000,
            answer_bytes_max: 100 << 20,
            silence: None,
            receive_buffer: None,
        }
    }
}

/// Is told when a connection that was greeted has ended, whoever ended it. It may not block.
pub type Ended = Box<dyn Fn(&Destination) + Send + Sync>;

/// Sends requests to other nodes. Dropping it ends all connections; what is not answered then is answered with
/// [`AskFailure::Stopped`].
pub struct Outbound<G: Greeting> {
    inbox: Arc<Inbox<Notice<G::Known>>>,
    thread: Option<JoinHandle<()>>,
}

impl<G: Greeting> Outbound<G> {
    /// Starts the thread. No connection is made before a request needs it.
    ///
    /// # Errors
    /// The operating system has no descriptors or threads left.
    pub fn start(greeting: G, options: OutboundOptions, clock: Arc<dyn Clock>, ended: Ended) -> io::Result<Self> {
        let inbox = Arc::new(Inbox::new()?);
        let event_loop = EventLoop::new(greeting, options, clock, ended, inbox.clone())?;
        let thread = Builder::new().name("peers".to_owned()).stack_size(STACK_BYTES).spawn(move || event_loop.run())?;
        Ok(Self { inbox, thread: Some(thread) })
    }

    /// Sends a request. Never blocks; `ask.done` is called once, on the thread of the connections, or at once on this one
    /// when they have ended.
    pub fn ask(&self, to: Destination, ask: Ask<G::Known>) {
        self.inbox.send(Notice::Ask(to, ask));
    }

    /// Ends the connections to this address, in all lanes: nobody is expected there any more. What waits for an answer is
    /// answered with [`AskFailure::Closed`].
    pub fn forget(&self, host: &str, port: u16) {
        self.inbox.send(Notice::Forget(Arc::from(host), port));
    }
}

impl<G: Greeting> Drop for Outbound<G> {
    fn drop(&mut self) {
        self.inbox.send(Notice::Stop);
        let Some(thread) = self.thread.take() else { return };
        // What is done with an answer may have held the last reference; a thread can't wait for itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the thread of connections to other nodes has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_gets_more_time_with_each_that_was_not_made() {
        let seconds = Duration::from_secs;
        let options =
            OutboundOptions { connect_max: seconds(2), connect_longest: seconds(7), ..OutboundOptions::default() };
        let times = [0, 1, 2, 3, u32::MAX].map(|failures| options.connect_within(failures));
        assert_eq!(times, [2, 4, 7, 7, 7].map(seconds));
    }

    #[test]
    fn only_some_lanes_have_receive_buffers_of_their_own() {
        let receive_buffer = Some(ReceiveBuffer { from_lane: 16, bytes: 5 });
        let options = OutboundOptions { receive_buffer, ..OutboundOptions::default() };
        assert_eq!([0, 15, 16, 40].map(|lane| options.receive_buffer_bytes(lane)), [None, None, Some(5), Some(5)]);
        assert_eq!(OutboundOptions::default().receive_buffer_bytes(16), None);
    }
}
