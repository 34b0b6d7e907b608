//! Wishes for a stop.

use std::io;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// The wishes for a stop that come as signals.
pub(crate) struct Stopping {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Stopping {
    /// Takes note of SIGTERM and SIGINT from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(entered);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Waits for one of them, or for somebody in the process who wants it to stop.
    pub(crate) fn wait(&mut self, stop: &Notify) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                () = stop.notified() => {}
            }
        });
    }

    /// Whether one of them comes within some time.
    pub(crate) fn is_asked_within(&mut self, time: Duration) -> bool {
        self.is_asked_or_told_within(&Notify::new(), time)
    }

    /// Whether one of them, or somebody in the process who wants it to stop, comes within some time.
    pub(crate) fn is_asked_or_told_within(&mut self, stop: &Notify, time: Duration) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => true,
                _ = self.interrupt.recv() => true,
                () = stop.notified() => true,
                () = tokio::time::sleep(time) => false,
            }
        })
    }
}
