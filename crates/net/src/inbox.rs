use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

use crate::accept::Accepted;
use crate::channel::Channel;

/// What a loop is told from outside.
pub(crate) enum Notice {
    /// Serve this connection.
    Serve(Accepted),
    /// Answers are ready on this connection.
    Flush(Arc<Channel>),
    /// The connection of this token may read again.
    Resume(u64),
    /// The connection of this token is to be closed, for the reason its channel holds.
    Close(u64),
    /// There is room for another connection.
    Accept,
    /// Connections hold too much memory: those that hold the most are to be closed.
    MakeRoom,
    /// Look at the server's state: it is stopping.
    Stop,
}

thread_local! {
    /// The number of the loop that runs on this thread; 0 on other threads.
    static CURRENT_LOOP: Cell<u64> = const { Cell::new(0) };
    /// Whether that loop sends what connections of servers have ready on this thread.
    static SENDS_READY: Cell<bool> = const { Cell::new(false) };
}

/// The mailbox of one loop. A loop empties it before it sleeps, and is woken by letters from other threads.
pub(crate) struct Inbox<N = Notice> {
    loop_number: u64,
    wake: OwnedFd,
    notified: AtomicBool,
    notices: Mutex<Vec<N>>,
}

impl Inbox {
    /// Says that this thread is the inbox's loop from now on, and sends what becomes ready on it.
    pub(crate) fn adopt_server_thread(&self) {
        self.adopt_thread();
        SENDS_READY.set(true);
    }

    /// Whether this thread is a loop of any server.
    pub(crate) fn on_any_loop() -> bool {
        SENDS_READY.get()
    }
}

impl<N> Inbox<N> {
    pub(crate) fn new() -> rustix::io::Result<Self> {
        static LOOPS: AtomicU64 = AtomicU64::new(0);
        let loop_number = LOOPS.fetch_add(1, Ordering::Relaxed) + 1;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { loop_number, wake, notified: AtomicBool::new(false), notices: Mutex::new(Vec::new()) })
    }

    /// Says that this thread is the inbox's loop from now on.
    pub(crate) fn adopt_thread(&self) {
        CURRENT_LOOP.set(self.loop_number);
    }

    /// Leaves a notice. From the loop's own thread it costs no system call, since the loop looks before it sleeps.
    pub(crate) fn send(&self, notice: N) {
        self.notices.lock().push(notice);
        if CURRENT_LOOP.get() != self.loop_number && !self.notified.swap(true, Ordering::AcqRel) {
            // A full counter means that the loop is woken already; nothing else can fail here.
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }

    /// Takes all notices into `into`, which is empty.
    ///
    /// The wake-up is consumed first, the mark cleared next, the notices taken last: a sender that comes in between
    /// either sees the mark cleared and wakes the loop again, or left its notice before they were taken.
    pub(crate) fn take(&self, into: &mut Vec<N>) {
        if self.notified.load(Ordering::Acquire) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.wake, &mut count);
            self.notified.store(false, Ordering::SeqCst);
        }
        core::mem::swap(&mut *self.notices.lock(), into);
    }
}

impl<N> AsFd for Inbox<N> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
