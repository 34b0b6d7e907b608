use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};

use ottla_config::Endpoint;
use ottla_env::{Clock, Monotonic};

use crate::accept::{Accepted, Admission, Listener};
use crate::budget::RequestBudget;
use crate::channel::ChannelLimits;
use crate::cold_read::ColdReader;
use crate::event_loop::EventLoop;
use crate::holdings::Holdings;
use crate::inbox::{Inbox, Notice};
use crate::measures::Measures;
use crate::{BindError, NetOptions, ServerReading, Service};

/// The stack of a loop's thread: what a request needs on its way through the broker, with much to spare.
const STACK_BYTES: usize = 1 << 20;

/// Whether a server serves, or how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Requests that have arrived are answered.
    Draining,
    /// Connections are closed at once.
    Ended,
}

/// What the loops of a server share.
pub(crate) struct Shared {
    pub(crate) options: Arc<NetOptions>,
    pub(crate) limits: Arc<ChannelLimits>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) measures: Measures,
    /// How many connections each loop has, or is about to have.
    loads: Vec<AtomicUsize>,
    phase: AtomicU8,
}

/// The number of the next connection. All servers of a process count together: a service that has several listeners, each with a
/// server of its own, knows connections by their numbers.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(0);

impl Shared {
    /// A number for a connection.
    pub(crate) fn next_connection() -> u64 {
        NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives a connection to the loop with the fewest.
    pub(crate) fn hand_over(&self, accepted: Accepted) {
        let loads = self.loads.iter().zip(&self.inboxes);
        let fewest = loads.min_by_key(|(load, _)| load.load(Ordering::Relaxed));
        if let Some((load, inbox)) = fewest {
            load.fetch_add(1, Ordering::Relaxed);
            inbox.send(Notice::Serve(accepted));
        }
    }

    /// A connection of this loop is gone.
    pub(crate) fn forget_load(&self, index: usize) {
        self.loads[index].fetch_sub(1, Ordering::Relaxed);
    }

    /// After activity, the deadlines of all connections are looked at no later than this.
    pub(crate) fn sweep_horizon(&self) -> Duration {
        let options = &self.options;
        let shortest = options.assembly_max.min(options.write_stall_max).min(options.half_closed_max);
        options.idle_max.map_or(shortest, |idle| idle.min(shortest))
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Ended,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        for inbox in &self.inboxes {
            inbox.send(Notice::Stop);
        }
    }
}

/// Open listeners that are not served yet: clients can connect, and wait.
pub struct Listeners {
    listeners: Vec<Listener>,
    options: NetOptions,
}

impl Listeners {
    /// Opens all listeners or none.
    ///
    /// # Errors
    /// The first listener that can't be opened, and why.
    pub fn bind(endpoints: &[Endpoint], options: NetOptions) -> Result<Self, BindError> {
        let listeners = endpoints.iter().map(|endpoint| Listener::bind(endpoint, &options));
        Ok(Self { listeners: listeners.collect::<Result<_, _>>()?, options })
    }

    /// The name of each listener and the address it has, in the order of the endpoints: the port is the one that was
    /// found when the endpoint left it open with 0.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.listeners.iter().map(|listener| (listener.name.to_string(), listener.address)).collect()
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// The operating system has no descriptors or threads left.
    pub fn serve(self, service: Arc<dyn Service>, clock: Arc<dyn Clock>) -> io::Result<Server> {
        let options = Arc::new(self.options);
        let count = options.loops.max(1);
        let inboxes = (0..count).map(|_| Inbox::new().map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let limits = ChannelLimits {
            budget: Arc::new(RequestBudget::new(options.queued_request_bytes_max)),
            holdings: Holdings::new(options.held_bytes_max, inboxes.clone()),
            cold_reader: ColdReader::default(),
            in_flight_max: options.in_flight_max.max(1),
            output_bytes_max: options.output_bytes_max,
        };
        let shared = Arc::new(Shared {
            limits: Arc::new(limits),
            admission: Arc::new(Admission::new(Arc::clone(&options), Arc::clone(&inboxes[0]))),
            measures: Measures::new(count, self.listeners.iter().map(|listener| listener.name.clone())),
            options,
            inboxes,
            loads: (0..count).map(|_| AtomicUsize::new(0)).collect(),
            phase: AtomicU8::new(Phase::Serving as u8),
        });
        let (ended, ends) = channel();
        let mut server = Server { shared: Arc::clone(&shared), threads: Vec::new(), ends };
        let mut listeners = Some(self.listeners);
        for index in 0..count {
            let listeners = listeners.take().unwrap_or_default();
            let event_loop =
                EventLoop::new(Arc::clone(&shared), Arc::clone(&service), Arc::clone(&clock), index, listeners)?;
            let ended = ended.clone();
            let thread = Builder::new().name(format!("network-{index}")).stack_size(STACK_BYTES).spawn(move || {
                event_loop.run();
                // Nobody listens when the server is dropped; then nobody has to know.
                let _ = ended.send(());
            })?;
            server.threads.push(thread);
        }
        Ok(server)
    }
}

/// Reads what a server counts. Keeps nothing of it running.
pub struct ServerReader {
    shared: Arc<Shared>,
}

impl ServerReader {
    /// What was counted so far.
    pub fn read(&self, now: Monotonic) -> ServerReading {
        let budget = &self.shared.limits.budget;
        ServerReading {
            request_bytes_used: budget.used(),
            request_bytes_max: budget.max(),
            ..self.shared.measures.read(now)
        }
    }
}

/// Listeners and connections that are being served. Dropping it closes all of them at once.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    ends: Receiver<()>,
}

impl Server {
    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.admission.connections()
    }

    /// Reads what is counted, for as long as somebody wants to know.
    pub fn reader(&self) -> ServerReader {
        ServerReader { shared: Arc::clone(&self.shared) }
    }

    /// Accepts and reads no more. Requests that have been given to the service are still answered, and each connection
    /// is closed after its last answer. Returns at once.
    pub fn begin_shutdown(&self) {
        self.shared.enter(Phase::Draining);
    }

    /// As `begin_shutdown`, then waits until every connection is closed, and closes those that are left after `grace`.
    /// Afterwards the service is not called any more. Says whether every request was answered in time.
    pub fn shutdown(mut self, grace: Duration) -> bool {
        self.begin_shutdown();
        let deadline = std::time::Instant::now() + grace;
        let mut running = self.threads.len();
        while running > 0 {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if self.ends.recv_timeout(left).is_err() {
                break;
            }
            running -= 1;
        }
        self.end();
        running == 0
    }

    fn end(&mut self) {
        self.shared.enter(Phase::Ended);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that served connections has panicked");
            }
        }
        self.shared.limits.cold_reader.stop();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
