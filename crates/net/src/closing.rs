use core::fmt;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use ottla_env::Monotonic;

use crate::ConnectionContext;
use crate::channel::Ending;
use crate::incoming::{InputError, Overdue};
use crate::output::SendError;

/// Why a connection was closed.
#[derive(Debug)]
pub(crate) enum Reason {
    /// The client has gone.
    Disconnected,
    /// The server stops.
    Stopped,
    Ended(Ending),
    Input(InputError),
    Overdue(Overdue),
    /// It held so many bytes while there were too many.
    Crowded(usize),
}

impl Reason {
    /// Whether an operator who looks for trouble should see it without asking for details.
    fn is_remarkable(&self) -> bool {
        match self {
            Self::Disconnected | Self::Stopped => false,
            Self::Ended(Ending::Finished) => false,
            Self::Ended(Ending::Failed(SendError::Socket(error))) | Self::Input(InputError::Socket(error)) => {
                !is_departure(error)
            }
            Self::Overdue(overdue) => !matches!(overdue, Overdue::Idle | Overdue::EndOfInput),
            Self::Ended(_) | Self::Input(_) | Self::Crowded(_) => true,
        }
    }

    /// Whether it is our fault, or that of the machine.
    fn is_own_fault(&self) -> bool {
        matches!(
            self,
            Self::Ended(
                Ending::Dropped(_)
                    | Ending::Failed(SendError::Disk(_) | SendError::FileTooShort | SendError::ResponseTooLong(_))
            )
        )
    }
}

impl From<Ending> for Reason {
    fn from(ending: Ending) -> Self {
        Self::Ended(ending)
    }
}

impl From<InputError> for Reason {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl From<Overdue> for Reason {
    fn from(overdue: Overdue) -> Self {
        Self::Overdue(overdue)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the client has gone"),
            Self::Stopped => f.write_str("the server stops"),
            Self::Ended(Ending::Finished) => f.write_str("the client has ended its side"),
            Self::Ended(Ending::Asked(reason)) => f.write_str(reason),
            Self::Ended(Ending::Dropped(None)) => f.write_str("a request was lost without an answer"),
            Self::Ended(Ending::Dropped(Some(name))) => write!(f, "a request was lost without an answer: {name}"),
            Self::Ended(Ending::Failed(SendError::Socket(error))) => write!(f, "sending failed: {error}"),
            Self::Ended(Ending::Failed(SendError::Disk(error))) => write!(f, "an answer can't be read: {error}"),
            Self::Ended(Ending::Failed(SendError::FileTooShort)) => {
                f.write_str("a file ended before the range that was promised to the client")
            }
            Self::Ended(Ending::Failed(SendError::ResponseTooLong(length))) => {
                write!(f, "an answer of {length} bytes is longer than the protocol allows")
            }
            Self::Input(InputError::Frame(error)) => error.fmt(f),
            Self::Input(InputError::Socket(error)) => write!(f, "receiving failed: {error}"),
            Self::Crowded(bytes) => write!(
                f,
                "connections hold more than ottla.connections.max.bytes, and this one held {bytes} bytes of half requests or answers that were not taken"
            ),
            Self::Overdue(Overdue::Idle) => f.write_str("nothing was asked for connections.max.idle.ms"),
            Self::Overdue(Overdue::Assembly) => f.write_str("a request took too long to arrive"),
            Self::Overdue(Overdue::WriteStall) => f.write_str("the client takes no answers"),
            Self::Overdue(Overdue::EndOfInput) => {
                f.write_str("the client has ended its side and its requests took too long")
            }
        }
    }
}

/// Clients go in many ways.
fn is_departure(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
    )
}

/// How many lines a loop writes about its connections in each second; a client that misbehaves on purpose shall not fill
/// the disk with them.
const LINES_MAX: u32 = 10;

/// Writes about connections that were closed or not let in, within a limit.
#[derive(Default)]
pub(crate) struct ClosingLog {
    second: Monotonic,
    lines: u32,
    suppressed: u64,
}

impl ClosingLog {
    pub(crate) fn closed(&mut self, now: Monotonic, context: &ConnectionContext, reason: &Reason) {
        if reason.is_own_fault() {
            tracing::error!("closed {context:?}: {reason}");
        } else if !reason.is_remarkable() {
            tracing::debug!("closed {context:?}: {reason}");
        } else if self.may_write(now) {
            tracing::info!("closed {context:?}: {reason}");
        }
    }

    pub(crate) fn refused(&mut self, now: Monotonic, listener: &str, peer: SocketAddr, why: &str) {
        if self.may_write(now) {
            tracing::info!("refused a connection from {peer} on {listener}: {why}");
        }
    }

    fn may_write(&mut self, now: Monotonic) -> bool {
        if now.since(self.second) >= Duration::from_secs(1) {
            if self.suppressed > 0 {
                tracing::info!("{} more lines about closed or refused connections left out", self.suppressed);
            }
            *self = Self { second: now, lines: 0, suppressed: 0 };
        }
        if self.lines >= LINES_MAX {
            self.suppressed += 1;
            return false;
        }
        self.lines += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestName;

    #[test]
    fn it_is_said_which_request_was_lost() {
        let reason = Reason::from(Ending::Dropped(Some(RequestName { api: "Fetch", version: 18 })));
        assert_eq!(reason.to_string(), "a request was lost without an answer: Fetch of version 18");
        assert!(reason.is_own_fault());
    }
}
