//! How a server is brought to its end, and started again.

use ottla_tests::{Dice, Server};
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// How long a start may take at the most, by and large; kills at the start fall within.
const START_MS: u64 = 250;

/// How long a clean stop may take, by and large.
const STOP_MS: u64 = 60;

/// One end of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// Killed while it works.
    Kill,
    /// Killed while it works, and then again each time so long after the start of its recovery.
    KillAtStart(Vec<Duration>),
    /// Told to stop, and killed so long after that.
    KillAtStop(Duration),
    /// Told to stop, and let.
    Stop,
}

/// How often each was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    #[allow(dead_code, reason = "printed")]
    kills: u64,
    #[allow(dead_code, reason = "printed")]
    kills_at_start: u64,
    #[allow(dead_code, reason = "printed")]
    kills_at_stop: u64,
    #[allow(dead_code, reason = "printed")]
    stops: u64,
}

impl Strike {
    /// The next one.
    pub(crate) fn roll(dice: &mut Dice) -> Self {
        match dice.roll(10) {
            0..6 => Self::Kill,
            6..8 => {
                let times = 1 + dice.roll(3);
                Self::KillAtStart((0..times).map(|_| Duration::from_millis(dice.roll(START_MS))).collect())
            }
            8 => Self::KillAtStop(Duration::from_millis(dice.roll(STOP_MS))),
            _ => Self::Stop,
        }
    }

    /// Ends the server and starts it again; returns when it answers.
    pub(crate) fn fall(&self, server: &mut Server, count: &mut Count) -> io::Result<()> {
        match self {
            Self::Kill => {
                server.kill()?;
                count.kills += 1;
            }
            Self::KillAtStart(moments) => {
                server.kill()?;
                count.kills += 1;
                for moment in moments {
                    server.begin()?;
                    sleep(*moment);
                    server.kill()?;
                    count.kills_at_start += 1;
                }
            }
            Self::KillAtStop(moment) => {
                server.terminate()?;
                sleep(*moment);
                server.kill()?;
                count.kills_at_stop += 1;
            }
            Self::Stop => {
                server.stop()?;
                count.stops += 1;
            }
        }
        server.launch()
    }
}
